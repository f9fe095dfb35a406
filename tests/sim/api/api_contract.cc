// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/api/api_contract.h"

#include <utility>

#include "operator/kube/error.h"
#include "operator/kube/finalizer.h"
#include "operator/kube/metadata.h"

namespace cutover::sim {
namespace {

using kube::kConfigMap;
using kube::kDatabasePlacement;
using kube::kDeployment;
using kube::kSecret;

constexpr char kIsWatched[] = R"({"metadata":{"labels":{"watched":"yes"}}})";

Json Parsed(const char* text) {
  Result<Json> json = Json::Parse(text);
  EXPECT_TRUE(json) << text;
  return json ? *json : Json();
}

void Overlay(Json& object, const Json& rest) {
  for (const auto& [key, value] : rest.Members()) {
    if (value.IsObject() && object[key].IsObject())
      Overlay(object.MutableAt(key), value);
    else
      object.Set(key, value);
  }
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const ApiSubject& subject) {
  return out << subject.name;
}

Told Watched(kube::Client& client, const kube::WatchOptions& options) {
  Told told;
  told.ended = client.Watch({}, kConfigMap, options, [&told](kube::WatchEvent event) {
    if (event.type == kube::WatchEventType::kBookmark) {
      told.bookmarks.push_back(kube::ResourceVersionOf(event.object));
      if (kube::EndsInitialEvents(event)) told.text += "|";
      return;
    }
    const char* type = event.type == kube::WatchEventType::kAdded      ? "+"
                       : event.type == kube::WatchEventType::kModified ? "~"
                                                                       : "-";
    told.text += type + kube::KeyOf(event.object).name;
    told.objects.push_back(std::move(event.object));
  });
  return told;
}

Told WatchedUntilTold(kube::Client& client, kube::WatchOptions options,
                      const std::string& expected) {
  Told told = Watched(client, options);
  while (told.text != expected && expected.starts_with(told.text) &&
         options.timeout < std::chrono::seconds(30)) {
    options.timeout *= 2;
    told = Watched(client, options);
  }
  return told;
}

Json ApiContract::Object(const kube::Resource& resource, const std::string& name,
                         const char* rest) {
  Json object = kube::NewObject(resource, {ns_, name});
  Overlay(object, Parsed(rest));
  return object;
}

Json ApiContract::Created(const kube::Resource& resource, const std::string& name,
                          const char* rest) {
  auto created = client_->Create({}, Soon(), resource, Object(resource, name, rest));
  EXPECT_TRUE(created) << created.error().message;
  return created ? *created : Json();
}

Json ApiContract::Stored(const kube::Resource& resource, const std::string& name) {
  auto stored = client_->Get({}, Soon(), resource, {ns_, name});
  EXPECT_TRUE(stored && *stored) << name;
  return stored && *stored ? **stored : Json();
}

Json ApiContract::Placement(const std::string& name) {
  return Created(kDatabasePlacement, name, R"({"spec":{
      "database":{"name":"t","owner":"t","passwordSecretRef":{"name":"s","key":"password"}},
      "class":"Shared","serverName":"pg-1","profile":{"type":"Generic"},
      "connection":{"service":{"name":"tenant-pg"}}}})");
}

Result<Json> ApiContract::Merge(const kube::Resource& resource, const std::string& name,
                                const char* patch, const std::string& subresource) {
  kube::PatchOptions options;
  options.subresource = subresource;
  options.field_manager = "merger";
  return client_->Patch({}, Soon(), resource, {ns_, name}, Parsed(patch), options);
}

Result<Json> ApiContract::Apply(const kube::Resource& resource, const std::string& name,
                                const char* rest, const std::string& manager,
                                const std::string& subresource) {
  kube::PatchOptions options;
  options.type = kube::PatchType::kApply;
  options.field_manager = manager;
  options.subresource = subresource;
  options.force = true;
  return client_->Patch({}, Soon(), resource, {ns_, name}, Object(resource, name, rest), options);
}

std::string ApiContract::Now(const kube::Resource& resource) {
  auto list = client_->List({}, Soon(), resource, {.ns = ns_});
  EXPECT_TRUE(list);
  return list ? list->resource_version : "";
}

Told ApiContract::WatchedFrom(const std::string& version, const std::string& expected,
                              std::chrono::seconds timeout) {
  kube::WatchOptions options;
  options.ns = ns_;
  options.label_selector = "watched=yes";
  options.resource_version = version;
  options.timeout = timeout;
  Told told = WatchedUntilTold(*client_, options, expected);
  EXPECT_TRUE(told.ended) << told.ended.error().message;
  EXPECT_EQ(told.text, expected);
  return told;
}

// --- objects ------------------------------------------------------------------------------------

TEST_P(ApiContract, AnObjectGetsItsIdentityWhenItIsCreated) {
  Json created = Created(kConfigMap, "a", R"({"data":{"key":"1"}})");
  EXPECT_FALSE(kube::UidOf(created).empty());
  EXPECT_FALSE(kube::ResourceVersionOf(created).empty());
  EXPECT_TRUE(ParseTime(created["metadata"]["creationTimestamp"].StringRef()));
  EXPECT_EQ(kube::ResourceVersionOf(Stored(kConfigMap, "a")), kube::ResourceVersionOf(created));
  auto again = client_->Create({}, Soon(), kConfigMap, Object(kConfigMap, "a"));
  ASSERT_FALSE(again);
  EXPECT_TRUE(kube::IsAlreadyExists(again.error()));
  auto absent = client_->Get({}, Soon(), kConfigMap, {ns_, "b"});
  ASSERT_TRUE(absent);
  EXPECT_FALSE(*absent);
}

TEST_P(ApiContract, AVersionCannotBeBroughtAlong) {
  Json object = Object(kConfigMap, "a");
  object.MutableAt("metadata").Set("resourceVersion", "7");
  EXPECT_FALSE(client_->Create({}, Soon(), kConfigMap, object));
}

TEST_P(ApiContract, AStaleUpdateIsAConflict) {
  Json first = Created(kConfigMap, "a", R"({"data":{"key":"1"}})");
  Json second = first;
  second.MutableAt("data").Set("key", "2");
  ASSERT_TRUE(client_->Update({}, Soon(), kConfigMap, second));
  first.MutableAt("data").Set("key", "3");
  auto stale = client_->Update({}, Soon(), kConfigMap, first);
  ASSERT_FALSE(stale);
  EXPECT_TRUE(kube::IsConflict(stale.error())) << stale.error().reason;
  EXPECT_EQ(Stored(kConfigMap, "a")["data"]["key"].StringRef(), "2");
}

TEST_P(ApiContract, AnUpdateThatChangesNothingMakesNoNewVersion) {
  Json created = Created(kConfigMap, "a", R"({"data":{"key":"1"}})");
  auto updated = client_->Update({}, Soon(), kConfigMap, created);
  ASSERT_TRUE(updated);
  EXPECT_EQ(kube::ResourceVersionOf(*updated), kube::ResourceVersionOf(created));
  auto patched = Merge(kConfigMap, "a", R"({"data":{"key":"1"}})");
  ASSERT_TRUE(patched);
  EXPECT_EQ(kube::ResourceVersionOf(*patched), kube::ResourceVersionOf(created));
}

TEST_P(ApiContract, AMergePatchSetsAndRemoves) {
  Json created = Created(kConfigMap, "a", R"({"data":{"one":"1","two":"2"}})");
  ASSERT_TRUE(Merge(kConfigMap, "a", R"({"data":{"one":null,"three":"3"}})"));
  EXPECT_EQ(Stored(kConfigMap, "a")["data"], Parsed(R"({"two":"2","three":"3"})"));
  Json patch = Json::Object();
  patch.MutableAt("metadata").Set("resourceVersion", kube::ResourceVersionOf(created));
  patch.MutableAt("data").Set("four", "4");
  auto stale = client_->Patch({}, Soon(), kConfigMap, {ns_, "a"}, patch);
  ASSERT_FALSE(stale);
  EXPECT_TRUE(kube::IsConflict(stale.error()));
  auto absent = Merge(kConfigMap, "b", R"({"data":{"one":"1"}})");
  ASSERT_FALSE(absent);
  EXPECT_TRUE(kube::IsNotFound(absent.error()));
}

TEST_P(ApiContract, APatchForAnotherObjectOfTheNameIsAConflict) {
  Created(kConfigMap, "a");
  auto wrong =
      Merge(kConfigMap, "a",
            R"({"metadata":{"uid":"11111111-1111-4111-8111-111111111111"},"data":{"k":"v"}})");
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(kube::IsConflict(wrong.error())) << wrong.error().reason;
}

TEST_P(ApiContract, StatusAndTheRestAreWrittenApart) {
  Json created = Placement("p");
  EXPECT_EQ(created["metadata"]["generation"].AsInt(), 1);
  Json changed = created;
  changed.MutableAt("spec").Set("serverName", "pg-2");
  changed.MutableAt("status").Set("serverName", "ignored");
  auto updated = client_->Update({}, Soon(), kDatabasePlacement, changed);
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ((*updated)["metadata"]["generation"].AsInt(), 2);
  EXPECT_EQ((*updated)["status"]["serverName"].AsString(), "");
  ASSERT_TRUE(Merge(kDatabasePlacement, "p",
                    R"({"spec":{"serverName":"ignored"},"status":{"serverName":"pg-1"}})",
                    "status"));
  Json stored = Stored(kDatabasePlacement, "p");
  EXPECT_EQ(stored["spec"]["serverName"].StringRef(), "pg-2");
  EXPECT_EQ(stored["status"]["serverName"].StringRef(), "pg-1");
  EXPECT_EQ(stored["metadata"]["generation"].AsInt(), 2);
}

TEST_P(ApiContract, AnImmutableSecretStaysAsItIs) {
  Created(kSecret, "s", R"({"immutable":true,"data":{"key":"MQ=="}})");
  auto changed = Merge(kSecret, "s", R"({"data":{"key":"Mg=="}})");
  ASSERT_FALSE(changed);
  EXPECT_TRUE(kube::IsInvalid(changed.error())) << changed.error().reason;
  EXPECT_TRUE(client_->Delete({}, Soon(), kSecret, {ns_, "s"}));
}

// --- deletion -----------------------------------------------------------------------------------

TEST_P(ApiContract, ADeletionMayNameTheVeryObject) {
  Json created = Created(kConfigMap, "a");
  kube::DeleteOptions another;
  another.uid = "11111111-1111-4111-8111-111111111111";
  Status refused = client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}, another);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(kube::IsConflict(refused.error()));
  kube::DeleteOptions stale;
  stale.resource_version = kube::ResourceVersionOf(created);
  ASSERT_TRUE(Merge(kConfigMap, "a", R"({"data":{"key":"2"}})"));
  EXPECT_FALSE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}, stale));
  kube::DeleteOptions exact;
  exact.uid = kube::UidOf(created);
  EXPECT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}, exact));
  EXPECT_FALSE(*client_->Get({}, Soon(), kConfigMap, {ns_, "a"}));
  EXPECT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}));
}

TEST_P(ApiContract, AFinalizerHoldsADeletedObject) {
  Json created = Created(kConfigMap, "a", R"({"metadata":{"finalizers":["cutover.dev/undo"]}})");
  ASSERT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}));
  Json held = Stored(kConfigMap, "a");
  EXPECT_TRUE(kube::IsDeleting(held));
  ASSERT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}));
  EXPECT_EQ(kube::ResourceVersionOf(Stored(kConfigMap, "a")), kube::ResourceVersionOf(held));
  ASSERT_TRUE(kube::RemoveFinalizer({}, Soon(), *client_, kConfigMap, {ns_, "a"},
                                    kube::UidOf(created), "cutover.dev/undo"));
  EXPECT_FALSE(*client_->Get({}, Soon(), kConfigMap, {ns_, "a"}));
  EXPECT_NE(kube::UidOf(Created(kConfigMap, "a")), kube::UidOf(created));
}

TEST_P(ApiContract, ADeletionInTheForegroundWaitsForTheGarbageCollector) {
  Created(kConfigMap, "a");
  kube::DeleteOptions options;
  options.propagation = kube::Propagation::kForeground;
  ASSERT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}, options));
  Json held = Stored(kConfigMap, "a");
  EXPECT_TRUE(kube::IsDeleting(held));
  EXPECT_EQ(held["metadata"]["finalizers"], Parsed(R"(["foregroundDeletion"])"));
}

// --- server-side apply --------------------------------------------------------------------------

TEST_P(ApiContract, ApplyingTheSameTwiceChangesNothing) {
  auto first = Apply(kConfigMap, "a", R"({"data":{"key":"1"}})", "cutover");
  ASSERT_TRUE(first) << first.error().message;
  auto second = Apply(kConfigMap, "a", R"({"data":{"key":"1"}})", "cutover");
  ASSERT_TRUE(second);
  EXPECT_EQ(kube::ResourceVersionOf(*first), kube::ResourceVersionOf(*second));
}

TEST_P(ApiContract, WhatAManagerNoLongerAppliesGoesUnlessAnotherOwnsIt) {
  ASSERT_TRUE(Apply(kConfigMap, "a", R"({"data":{"ours":"1","both":"1"}})", "cutover"));
  ASSERT_TRUE(Apply(kConfigMap, "a", R"({"data":{"theirs":"1","both":"1"}})", "somebody"));
  auto applied = Apply(kConfigMap, "a", R"({"data":{"new":"1"}})", "cutover");
  ASSERT_TRUE(applied);
  EXPECT_EQ((*applied)["data"], Parsed(R"({"both":"1","theirs":"1","new":"1"})"));
}

TEST_P(ApiContract, WhatSomebodyElseHasWrittenSinceIsTheirs) {
  ASSERT_TRUE(Apply(kConfigMap, "a", R"({"data":{"key":"1","other":"1"}})", "cutover"));
  ASSERT_TRUE(Merge(kConfigMap, "a", R"({"data":{"key":"2"}})"));
  auto without = Apply(kConfigMap, "a", R"({"data":{"other":"1"}})", "cutover");
  ASSERT_TRUE(without);
  EXPECT_EQ((*without)["data"], Parsed(R"({"key":"2","other":"1"})"));
  auto forced = Apply(kConfigMap, "a", R"({"data":{"key":"1","other":"1"}})", "cutover");
  ASSERT_TRUE(forced) << forced.error().message;
  EXPECT_EQ((*forced)["data"]["key"].StringRef(), "1");
}

TEST_P(ApiContract, ConditionsAreMergedByTheirTypeAndStatusByItsOwner) {
  Placement("p");
  const char* both = R"({"status":{"serverName":"pg-1","conditions":[
      {"type":"Ready","status":"True","reason":"Ready","message":"m",
       "lastTransitionTime":"2026-11-21T12:00:00Z"},
      {"type":"InSync","status":"True","reason":"InSync","message":"m",
       "lastTransitionTime":"2026-11-21T12:00:00Z"}]}})";
  auto first = Apply(kDatabasePlacement, "p", both, "cutover-status", "status");
  ASSERT_TRUE(first) << first.error().message;
  const char* one = R"({"status":{"serverName":"pg-1","conditions":[
      {"type":"Ready","status":"False","reason":"Moving","message":"m",
       "lastTransitionTime":"2026-11-21T12:00:00Z"}]}})";
  auto second = Apply(kDatabasePlacement, "p", one, "cutover-status", "status");
  ASSERT_TRUE(second) << second.error().message;
  const Json& conditions = (*second)["status"]["conditions"];
  ASSERT_EQ(conditions.Size(), 1u);
  EXPECT_EQ(conditions[size_t{0}]["reason"].StringRef(), "Moving");
}

TEST_P(ApiContract, AMigrationsPlaceSurvivesTheStatusOfThePlacementsReconciler) {
  Placement("p");
  ASSERT_TRUE(Apply(kDatabasePlacement, "p", R"({"status":{"serverName":"pg-1"}})",
                    "cutover-status", "status"));
  ASSERT_TRUE(Merge(kDatabasePlacement, "p", R"({"status":{"serverName":"pg-2"}})", "status"));
  auto without = Apply(kDatabasePlacement, "p", R"({"status":{"databaseSizeBytes":7}})",
                       "cutover-status", "status");
  ASSERT_TRUE(without);
  EXPECT_EQ((*without)["status"]["serverName"].AsString(), "pg-2");
}

TEST_P(ApiContract, AnApplyMayNameTheVersionItRestsOn) {
  auto first = Apply(kConfigMap, "a", R"({"data":{"key":"1"}})", "cutover");
  ASSERT_TRUE(first);
  ASSERT_TRUE(Merge(kConfigMap, "a", R"({"data":{"other":"1"}})"));
  std::string rest = R"({"metadata":{"resourceVersion":")" + kube::ResourceVersionOf(*first) +
                     R"("},"data":{"key":"2"}})";
  auto stale = Apply(kConfigMap, "a", rest.c_str(), "cutover");
  ASSERT_FALSE(stale);
  EXPECT_TRUE(kube::IsConflict(stale.error())) << stale.error().reason;
}

TEST_P(ApiContract, TheStatusOfNothingCannotBeApplied) {
  auto absent = Apply(kDatabasePlacement, "none", R"({"status":{"serverName":"pg-1"}})",
                      "cutover-status", "status");
  ASSERT_FALSE(absent);
  EXPECT_TRUE(kube::IsNotFound(absent.error())) << absent.error().reason;
}

// --- lists and watches --------------------------------------------------------------------------

TEST_P(ApiContract, SelectorsFindWhatTheySay) {
  Created(kConfigMap, "a", R"({"metadata":{"labels":{"tier":"web","owner":"x"}}})");
  Created(kConfigMap, "b", R"({"metadata":{"labels":{"tier":"db"}}})");
  Created(kConfigMap, "c");
  auto names = [&](const char* selector) {
    kube::ListOptions options;
    options.ns = ns_;
    options.label_selector = selector;
    std::string found;
    auto list = client_->List({}, Soon(), kConfigMap, options);
    EXPECT_TRUE(list);
    for (const Json& item : list->items)
      if (kube::KeyOf(item).name.size() == 1) found += kube::KeyOf(item).name;
    return found;
  };
  EXPECT_EQ(names("tier=web"), "a");
  EXPECT_EQ(names("tier in (web,db)"), "ab");
  EXPECT_EQ(names("tier notin (web)"), "bc");
  EXPECT_EQ(names("tier"), "ab");
  EXPECT_EQ(names("!tier"), "c");
  EXPECT_EQ(names("tier!=web"), "bc");
  EXPECT_EQ(names("tier=web,owner=x"), "a");
}

TEST_P(ApiContract, PagesAreOfOneState) {
  for (const char* name : {"a", "b", "c"})
    Created(kConfigMap, name, R"({"metadata":{"labels":{"paged":"yes"}}})");
  kube::ListOptions options;
  options.ns = ns_;
  options.label_selector = "paged=yes";
  options.page_size = 2;
  auto first = client_->GetPage({}, Soon(), kConfigMap, options, {});
  ASSERT_TRUE(first);
  ASSERT_EQ(first->list.items.size(), 2u);
  Created(kConfigMap, "bb", R"({"metadata":{"labels":{"paged":"yes"}}})");
  auto second = client_->GetPage({}, Soon(), kConfigMap, options, {"", first->next});
  ASSERT_TRUE(second);
  ASSERT_EQ(second->list.items.size(), 1u);
  EXPECT_EQ(kube::KeyOf(second->list.items[0]).name, "c");
  EXPECT_TRUE(second->next.empty());
  EXPECT_EQ(second->list.resource_version, first->list.resource_version);
}

TEST_P(ApiContract, AWatchTellsWhatHappenedSinceInOrder) {
  const std::string before = Now(kConfigMap);
  Created(kConfigMap, "a", kIsWatched);
  Created(kConfigMap, "unseen");
  ASSERT_TRUE(Merge(kConfigMap, "a", R"({"data":{"key":"1"}})"));
  Created(kConfigMap, "b", kIsWatched);
  // Out of the selector is gone for who selects by it.
  ASSERT_TRUE(Merge(kConfigMap, "b", R"({"metadata":{"labels":{"watched":"no"}}})"));
  ASSERT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}));
  WatchedFrom(before, "+a~a+b-b-a");
}

TEST_P(ApiContract, AnEventIsTheObjectAsItWasThen) {
  const std::string before = Now(kConfigMap);
  std::vector<std::string> written;
  auto note = [&written](const Result<Json>& object) {
    ASSERT_TRUE(object) << object.error().message;
    written.push_back(kube::ResourceVersionOf(*object));
  };
  note(Created(kConfigMap, "a", kIsWatched));
  note(Merge(kConfigMap, "a", R"({"data":{"key":"1"}})"));
  note(Merge(kConfigMap, "a", R"({"data":{"key":"2"},"metadata":{"labels":{"watched":"no"}}})"));
  note(Merge(kConfigMap, "a", R"({"data":{"key":"3"},"metadata":{"labels":{"watched":"yes"}}})"));
  ASSERT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}));
  Told told = WatchedFrom(before, "+a~a-a+a-a");
  ASSERT_FALSE(told.objects.empty());
  std::string keys;
  for (size_t i = 0; i < told.objects.size(); ++i) {
    keys += told.objects[i]["data"]["key"].AsString("-");
    if (i < written.size()) {
      EXPECT_EQ(kube::ResourceVersionOf(told.objects[i]), written[i]);
    }
  }
  // What leaves a selection is told as it was there, in the version in which it left; and what is
  // deleted as it last was, in the version of its deletion.
  EXPECT_EQ(keys, "-1133");
  EXPECT_TRUE(kube::IsOlderVersion(written.back(), kube::ResourceVersionOf(told.objects.back())));
}

TEST_P(ApiContract, AWatchIsResumedFromAnyEventWithoutRepetition) {
  const std::string before = Now(kConfigMap);
  Created(kConfigMap, "a", kIsWatched);
  ASSERT_TRUE(Merge(kConfigMap, "a", R"({"data":{"key":"1"}})"));
  Created(kConfigMap, "b", kIsWatched);
  ASSERT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}));
  Told all = WatchedFrom(before, "+a~a+b-a");
  std::string rest = all.text;
  for (const Json& last : all.objects) {
    rest = rest.substr(2);
    WatchedFrom(kube::ResourceVersionOf(last), rest);
  }
}

// Servers send one shortly before the end of a watch as a rule, not always.
TEST_P(ApiContract, ABookmarkSaysHowFarAWatchHasToldAlsoOfWhatItDoesNotTell) {
  const std::string before = Now(kConfigMap);
  Created(kConfigMap, "a", kIsWatched);
  const std::string unseen = kube::ResourceVersionOf(Created(kConfigMap, "unseen"));
  std::string bookmark = before;
  for (int attempt = 0; attempt < 10 && kube::IsOlderVersion(bookmark, unseen); ++attempt) {
    Told told = WatchedFrom(before, "+a", std::chrono::seconds(4));
    if (!told.bookmarks.empty()) bookmark = told.bookmarks.back();
  }
  EXPECT_FALSE(kube::IsOlderVersion(bookmark, unseen)) << bookmark << " after " << unseen;
  ASSERT_TRUE(Merge(kConfigMap, "a", R"({"data":{"key":"1"}})"));
  WatchedFrom(bookmark, "~a");
}

TEST_P(ApiContract, AStreamedListIsTheStateUpToABookmarkThatSaysSo) {
  Created(kConfigMap, "a", kIsWatched);
  Created(kConfigMap, "unseen");
  Created(kConfigMap, "gone", kIsWatched);
  ASSERT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "gone"}));
  Created(kConfigMap, "b", kIsWatched);
  const std::string last =
      kube::ResourceVersionOf(*Merge(kConfigMap, "a", R"({"data":{"key":"1"}})"));
  kube::WatchOptions options;
  options.ns = ns_;
  options.label_selector = "watched=yes";
  options.initial_events = true;
  options.timeout = std::chrono::seconds(2);
  Told told = Watched(*client_, options);
  while (!told.text.ends_with("|") && options.timeout < std::chrono::seconds(30)) {
    options.timeout *= 2;  // It ended before it had told all: WatchedUntilTold().
    told = Watched(*client_, options);
  }
  EXPECT_TRUE(told.ended) << told.ended.error().message;
  EXPECT_TRUE(told.text == "+a+b|" || told.text == "+b+a|") << told.text;
  ASSERT_FALSE(told.bookmarks.empty());
  EXPECT_FALSE(kube::IsOlderVersion(told.bookmarks[0], last));
  Created(kConfigMap, "c", kIsWatched);
  WatchedFrom(told.bookmarks[0], "+c");
}

// Nobody ever sees the object without its last finalizer; and who removes it is answered, but not
// with a version that a cache could wait for.
TEST_P(ApiContract, WhoseLastFinalizerGoesIsToldOfAsGone) {
  const std::string before = Now(kConfigMap);
  Json created =
      Created(kConfigMap, "a",
              R"({"metadata":{"labels":{"watched":"yes"},"finalizers":["cutover.dev/undo"]}})");
  ASSERT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}));
  const std::string held = kube::ResourceVersionOf(Stored(kConfigMap, "a"));
  auto removed = Merge(kConfigMap, "a", R"({"metadata":{"finalizers":null}})");
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_TRUE((*removed)["metadata"]["finalizers"].Empty());
  EXPECT_EQ(kube::ResourceVersionOf(*removed), held);
  Told told = WatchedFrom(before, "+a~a-a");
  ASSERT_FALSE(told.objects.empty());
  EXPECT_TRUE(kube::HasFinalizer(told.objects.back(), "cutover.dev/undo"));
  EXPECT_TRUE(kube::IsDeleting(told.objects.back()));
  EXPECT_TRUE(kube::IsOlderVersion(held, kube::ResourceVersionOf(told.objects.back())));
}

TEST_P(ApiContract, AVersionThatIsYetToComeIsTooLarge) {
  auto list = client_->List({}, Soon(), kConfigMap, {.ns = ns_});
  ASSERT_TRUE(list);
  kube::PageRequest page;
  page.resource_version = std::to_string(std::stoll(list->resource_version) + 1'000'000);
  auto answer = client_->GetPage({}, Soon(), kConfigMap, {.ns = ns_}, page);
  ASSERT_FALSE(answer);
  EXPECT_TRUE(kube::IsVersionTooLarge(answer.error())) << answer.error().reason;
}

}  // namespace cutover::sim
