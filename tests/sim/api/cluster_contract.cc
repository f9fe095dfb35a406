// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/api/cluster_contract.h"

#include <algorithm>

#include "operator/base/random.h"
#include "operator/kube/error.h"
#include "operator/kube/finalizer.h"
#include "operator/kube/metadata.h"
#include "tests/sim/api/api_contract.h"

namespace cutover::sim {
namespace {

using kube::kConfigMap;
using std::chrono::seconds;

Json Parsed(const std::string& text) {
  Result<Json> json = Json::Parse(text);
  EXPECT_TRUE(json) << text;
  return json ? *json : Json();
}

std::string Reference(const std::string& name, const std::string& uid, bool blocks) {
  return R"({"apiVersion":"v1","kind":"ConfigMap","name":")" + name + R"(","uid":")" + uid +
         (blocks ? R"(","blockOwnerDeletion":true})" : R"("})");
}

// metadata of what `owners` own.
std::string OwnedBy(const std::string& owners, const std::string& more = "") {
  return R"({"metadata":{"ownerReferences":[)" + owners + "]" + more + "}}";
}

std::string OwnedBy(const Json& owner, bool blocks = true, const std::string& more = "") {
  return OwnedBy(Reference(kube::KeyOf(owner).name, kube::UidOf(owner), blocks), more);
}

constexpr char kHeld[] = R"(,"finalizers":["cutover.dev/undo"])";

}  // namespace

std::ostream& operator<<(std::ostream& out, const ClusterSubject& subject) {
  return out << subject.name;
}

void ClusterContract::SetUp() {
  cluster_ = GetParam().make();
  ASSERT_NE(cluster_, nullptr);
  ns_ = "space";
  auto made = cluster_->client().Create({}, Soon(), kube::kNamespace,
                                        kube::NewObject(kube::kNamespace, {"", ns_}));
  ASSERT_TRUE(made) << made.error().message;
}

bool ClusterContract::Becomes(const std::string& name,
                              const std::function<bool(const Json* object)>& what) {
  const Deadline deadline = Deadline::After(seconds(60));
  while (!deadline.Expired()) {
    auto stored = cluster_->client().Get({}, Soon(), kConfigMap, {ns_, name});
    if (stored && what(*stored ? &**stored : nullptr)) return true;
    cluster_->CollectGarbage();
  }
  return false;
}

bool ClusterContract::Goes(const std::string& name) {
  return Becomes(name, [](const Json* object) { return object == nullptr; });
}

bool ClusterContract::Is(const std::string& name) {
  auto stored = cluster_->client().Get({}, Soon(), kConfigMap, {ns_, name});
  EXPECT_TRUE(stored) << stored.error().message;
  return stored && *stored;
}

Json ClusterContract::Made(const std::string& name, const std::string& rest) {
  Json object = kube::NewObject(kConfigMap, {ns_, name});
  const Json more = Parsed(rest);
  for (const auto& [key, value] : more["metadata"].Members())
    object.MutableAt("metadata").Set(key, value);
  if (more.Contains("data")) object.Set("data", more["data"]);
  auto made = cluster_->client().Create({}, Soon(), kConfigMap, object);
  EXPECT_TRUE(made) << made.error().message;
  return made ? *made : Json();
}

void ClusterContract::Change(const std::string& name, const std::string& patch) {
  auto changed = cluster_->client().Patch({}, Soon(), kConfigMap, {ns_, name}, Parsed(patch));
  ASSERT_TRUE(changed) << changed.error().message;
}

void ClusterContract::Delete(const std::string& name, kube::Propagation how) {
  kube::DeleteOptions options;
  options.propagation = how;
  Status deleted = cluster_->client().Delete({}, Soon(), kConfigMap, {ns_, name}, options);
  ASSERT_TRUE(deleted) << deleted.error().message;
}

kube::WatchOptions ClusterContract::From(const std::string& version) const {
  kube::WatchOptions options;
  options.ns = ns_;
  options.resource_version = version;
  options.timeout = seconds(1);
  return options;
}

std::string ClusterContract::Now(kube::Client& client) {
  auto list = client.List({}, Soon(), kConfigMap, {.ns = ns_});
  EXPECT_TRUE(list) << list.error().message;
  return list ? list->resource_version : "";
}

// --- compaction ---------------------------------------------------------------------------------

TEST_P(ClusterContract, AWatchFromBeforeACompactionIsGoneAndOneFromAListAfterItGoesOn) {
  const std::string before = Now(cluster_->client());
  Made("a");
  Made("b");
  Delete("a");
  cluster_->Compact();
  Told refused = Watched(cluster_->client(), From(before));
  EXPECT_EQ(refused.text, "") << "all of it, or nothing";
  ASSERT_FALSE(refused.ended);
  EXPECT_TRUE(kube::IsGone(refused.ended.error()));
  EXPECT_EQ(refused.ended.error().reason, kube::reason::kExpired);
  const std::string after = Now(cluster_->client());
  Change("b", R"({"data":{"key":"1"}})");
  Told told = WatchedUntilTold(cluster_->client(), From(after), "~b");
  EXPECT_TRUE(told.ended) << told.ended.error().message;
  EXPECT_EQ(told.text, "~b");
}

TEST_P(ClusterContract, APageFromBeforeACompactionIsGone) {
  for (const char* name : {"a", "b", "c"}) Made(name);
  const kube::ListOptions by_two{.ns = ns_, .page_size = 2};
  auto first = cluster_->client().GetPage({}, Soon(), kConfigMap, by_two, {});
  ASSERT_TRUE(first) << first.error().message;
  Delete("a");
  cluster_->Compact();
  auto second = cluster_->client().GetPage({}, Soon(), kConfigMap, by_two, {"", first->next});
  ASSERT_FALSE(second);
  EXPECT_TRUE(kube::IsGone(second.error())) << second.error().message;
  EXPECT_EQ(second.error().reason, kube::reason::kExpired);
  auto anew = cluster_->client().List({}, Soon(), kConfigMap, by_two);
  ASSERT_TRUE(anew) << anew.error().message;
  EXPECT_EQ(anew->items.size(), 2u);
}

// --- a replica that is behind -------------------------------------------------------------------

TEST_P(ClusterContract, AReplicaThatIsBehindShowsWhatOnceWasAndNothingCanRestOnIt) {
  Made("a", R"({"data":{"key":"1"}})");
  ASSERT_TRUE(cluster_->replica().List({}, Soon(), kConfigMap, {.ns = ns_}));
  cluster_->HoldReplicaBack();
  Made("b");
  Change("a", R"({"data":{"key":"2"}})");
  const std::string present = Now(cluster_->client());
  // "0" is whatever the server has.
  auto page = cluster_->replica().GetPage({}, Soon(), kConfigMap, {.ns = ns_}, {"0", ""});
  ASSERT_TRUE(page) << page.error().message;
  ASSERT_EQ(page->list.items.size(), 1u);
  Json shown = page->list.items[0];
  EXPECT_EQ(shown["data"]["key"].StringRef(), "1");
  EXPECT_TRUE(kube::IsOlderVersion(page->list.resource_version, present));

  auto ahead = cluster_->replica().GetPage({}, Soon(), kConfigMap, {.ns = ns_}, {present, ""});
  ASSERT_FALSE(ahead);
  EXPECT_TRUE(kube::IsVersionTooLarge(ahead.error())) << ahead.error().message;

  shown.MutableAt("data").Set("key", "of the past");
  auto rests_on_it = cluster_->client().Update({}, Soon(), kConfigMap, shown);
  ASSERT_FALSE(rests_on_it);
  EXPECT_TRUE(kube::IsConflict(rests_on_it.error())) << rests_on_it.error().message;
  kube::DeleteOptions that_version;
  that_version.resource_version = kube::ResourceVersionOf(shown);
  EXPECT_FALSE(cluster_->client().Delete({}, Soon(), kConfigMap, {ns_, "a"}, that_version));

  EXPECT_EQ(Watched(cluster_->replica(), From(page->list.resource_version)).text, "");
  cluster_->LetReplicaGoOn();
  ASSERT_TRUE(cluster_->replica().List({}, Soon(), kConfigMap, {.ns = ns_}));
  Told told = WatchedUntilTold(cluster_->replica(), From(page->list.resource_version), "+b~a");
  EXPECT_TRUE(told.ended) << told.ended.error().message;
  EXPECT_EQ(told.text, "+b~a");
}

TEST_P(ClusterContract, AWatchFromAVersionThatTheReplicaHasYetToReachTellsOnlyWhatComesAfterIt) {
  Made("a");
  ASSERT_TRUE(cluster_->replica().List({}, Soon(), kConfigMap, {.ns = ns_}));
  cluster_->HoldReplicaBack();
  Made("b");
  const std::string seen_elsewhere = Now(cluster_->client());
  Made("c");
  Told told = Watched(cluster_->replica(), From(seen_elsewhere));
  EXPECT_TRUE(told.ended) << told.ended.error().message;
  EXPECT_EQ(told.text, "");
  for (const std::string& bookmark : told.bookmarks)
    EXPECT_TRUE(kube::IsOlderVersion(bookmark, seen_elsewhere)) << "it has not come so far";
  cluster_->LetReplicaGoOn();
  ASSERT_TRUE(cluster_->replica().List({}, Soon(), kConfigMap, {.ns = ns_}));
  told = WatchedUntilTold(cluster_->replica(), From(seen_elsewhere), "+c");
  EXPECT_TRUE(told.ended) << told.ended.error().message;
  EXPECT_EQ(told.text, "+c");
}

// --- the collection of garbage ------------------------------------------------------------------

TEST_P(ClusterContract, WhatNobodyOwnsAnyMoreIsCollected) {
  Json owner = Made("owner"), other = Made("other");
  const std::string gone = Reference("owner", kube::UidOf(owner), true);
  Made("child", OwnedBy(owner));
  Made("stays", OwnedBy(other));
  Made("shared", OwnedBy(gone + "," + Reference("other", kube::UidOf(other), true)));
  Delete("owner");
  EXPECT_TRUE(Is("child")) << "by nobody but the garbage collector";
  // Another of the name owns nothing of what its predecessor did.
  Made("owner");
  EXPECT_TRUE(Goes("child"));
  EXPECT_TRUE(Becomes("shared", [&other](const Json* object) {
    if (object == nullptr) return true;
    const Json& owners = (*object)["metadata"]["ownerReferences"];
    return owners.Size() == 1 && owners[size_t{0}]["uid"].StringRef() == kube::UidOf(other);
  }));
  EXPECT_TRUE(Is("shared")) << "one of its owners is there";
  EXPECT_TRUE(Is("stays"));
  EXPECT_TRUE(Is("owner"));
}

TEST_P(ClusterContract, AnOwnerInAnotherNamespaceIsNone) {
  auto made = cluster_->client().Create({}, Soon(), kube::kNamespace,
                                        kube::NewObject(kube::kNamespace, {"", "elsewhere"}));
  ASSERT_TRUE(made) << made.error().message;
  auto owner = cluster_->client().Create({}, Soon(), kConfigMap,
                                         kube::NewObject(kConfigMap, {"elsewhere", "owner"}));
  ASSERT_TRUE(owner) << owner.error().message;
  Made("child", OwnedBy(*owner));
  EXPECT_TRUE(Goes("child"));
}

// What is in it is changed and goes as ever: nobody but its controller, which is not asked here,
// empties it.
TEST_P(ClusterContract, NothingIsMadeInANamespaceThatIsBeingDeleted) {
  Made("before", R"({"metadata":{"finalizers":["cutover.dev/undo"]}})");
  auto gone = cluster_->client().Delete({}, Soon(), kube::kNamespace, {"", ns_});
  ASSERT_TRUE(gone) << gone.error().message;
  const Json after = kube::NewObject(kConfigMap, {ns_, "after"});
  auto made = cluster_->client().Create({}, Soon(), kConfigMap, after);
  auto applied = cluster_->client().Apply({}, Soon(), kConfigMap, after);
  for (const auto& refused : {made, applied}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "Forbidden") << refused.error().message;
    EXPECT_NE(refused.error().message.find("because it is being terminated"), std::string::npos)
        << refused.error().message;
  }
  Change("before", R"({"data":{"key":"value"}})");
  EXPECT_TRUE(Becomes("before", [](const Json* object) {
    return object && (*object)["data"]["key"].StringRef() == "value";
  }));
}

TEST_P(ClusterContract, WhatIsDeletedInTheForegroundGoesAfterAllThatBlocksIt) {
  Json owner = Made("owner");
  Json child = Made("child", OwnedBy(owner));
  Made("grandchild", OwnedBy(child, true, kHeld));
  Delete("owner", kube::Propagation::kForeground);
  auto is_deleting = [](const Json* object) { return object && kube::IsDeleting(*object); };
  EXPECT_TRUE(Becomes("grandchild", is_deleting));
  for (int i = 0; i < 10; ++i) cluster_->CollectGarbage();
  EXPECT_TRUE(Is("child"));
  EXPECT_TRUE(Is("owner"));
  Change("grandchild", R"({"metadata":{"finalizers":null}})");
  EXPECT_TRUE(Goes("child"));
  EXPECT_TRUE(Goes("owner"));
}

TEST_P(ClusterContract, WhatDoesNotBlockItsOwnersDeletionIsNotWaitedFor) {
  Json owner = Made("owner");
  Made("child", OwnedBy(owner, false, kHeld));
  Delete("owner", kube::Propagation::kForeground);
  EXPECT_TRUE(Goes("owner"));
  auto is_deleting = [](const Json* object) { return object && kube::IsDeleting(*object); };
  EXPECT_TRUE(Becomes("child", is_deleting)) << "it is garbage all the same";
}

}  // namespace cutover::sim
