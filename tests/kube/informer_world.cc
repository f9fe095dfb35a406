// SPDX-License-Identifier: Apache-2.0
#include "tests/kube/informer_world.h"

#include <utility>

#include "operator/base/check.h"
#include "operator/kube/metadata.h"

namespace cutover::testing {
namespace {

using kube::Change;
using kube::Key;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kPause{2};

Deadline Soon() { return Deadline::After(seconds(30)); }

std::string Difference(const std::string& what, const std::map<Key, Json>& truth,
                       const std::map<Key, Json>& found) {
  std::string text;
  for (const auto& [key, object] : truth) {
    auto same = found.find(key);
    if (same == found.end())
      text += "\n  " + what + " lacks " + key.ToString();
    else if (!(same->second == object))
      text += "\n  " + what + " has " + key.ToString() + " at " +
              kube::ResourceVersionOf(same->second) + ", the server at " +
              kube::ResourceVersionOf(object);
  }
  for (const auto& [key, object] : found)
    if (!truth.contains(key)) text += "\n  " + what + " still has " + key.ToString();
  return text;
}

}  // namespace

kube::Connection MakeConnection(const InformerOptions& options) {
  Result<kube::Connection> connection = kube::LoadConnection(options.kubeconfig);
  CHECK(connection.has_value());
  if (options.port != 0)
    connection->transport.url = "https://127.0.0.1:" + std::to_string(options.port);
  if (options.token) {
    connection->transport.tls_source = nullptr;
    connection->transport.certificate_pem.clear();
    connection->transport.key_pem.clear();
    connection->token = options.token;
  }
  return std::move(*connection);
}

std::unique_ptr<kube::Transport> MakeTransport(const kube::Connection& connection) {
  Result<std::unique_ptr<kube::Transport>> made = kube::MakeHttpTransport(connection.transport);
  CHECK(made.has_value());
  return std::move(*made);
}

InformerWorld::InformerWorld(InformerOptions options)
    : fill([](Json& object, const std::string& value) {
        object.Set("data", Json::Object({{"value", value}}));
      }),
      options_(std::move(options)),
      oracle_(MakeClient(options_.kubeconfig)),
      ns_(MakeNamespace(*oracle_)),
      store_(std::string(options_.resource.plural), kube::AsIs) {
  kube::Connection connection = MakeConnection(options_);
  auto faults = std::make_unique<FaultyTransport>(MakeTransport(connection));
  faults_ = faults.get();
  client_ = std::make_unique<kube::ApiClient>(std::move(faults), connection.token);
  store_.AddHandler([this](Change change, const Key& key, const auto& before, const auto& after) {
    Mirror(change, key, before.get(), after.get());
  });
}

void InformerWorld::StartUnsynced() {
  kube::WatcherOptions options;
  options.resource = options_.resource;
  options.ns = ns_;
  options.page_size = options_.page_size;
  options.silence_max = options_.silence_max;
  options.watch_list = options_.watch_list;
  options.sleep = [this](std::stop_token stop, milliseconds) {
    ++pauses_;
    return SleepUntil(stop, Deadline::After(kPause));
  };
  thread_ = std::jthread([this, options](std::stop_token stop) {
    kube::Watcher(*client_, options, store_).Run(stop);
  });
}

bool InformerWorld::Start() {
  StartUnsynced();
  return Eventually([&] { return store_.HasSynced(); });
}

void InformerWorld::Stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

int InformerWorld::Count(Change change) const {
  MutexLock lock(mutex_);
  auto found = told_.find(change);
  return found == told_.end() ? 0 : found->second;
}

void InformerWorld::Put(const std::string& name, const std::string& value) {
  Json object = kube::NewObject(options_.resource, {ns_, name});
  fill(object, value);
  Result<Json> stored = oracle_->Apply({}, Soon(), options_.resource, object);
  EXPECT_TRUE(stored) << stored.error().message;
}

void InformerWorld::Delete(const std::string& name) {
  Status deleted = oracle_->Delete({}, Soon(), options_.resource, {ns_, name});
  EXPECT_TRUE(deleted) << deleted.error().message;
}

void InformerWorld::Replace(const std::string& name) {
  Delete(name);
  Put(name, "another");
}

void InformerWorld::Mirror(Change change, const Key& key, const Json* before, const Json* after) {
  MutexLock lock(mutex_);
  ++told_[change];
  auto known = mirror_.find(key);
  bool there = known != mirror_.end();
  if ((change == Change::kAdded) == there)
    impossible_.push_back(key.ToString() + (there ? " was added twice" : " was never added"));
  if (there && before && !(known->second == *before))
    impossible_.push_back(key.ToString() + " was something else before");
  if (there && after && kube::UidOf(known->second) != kube::UidOf(*after))
    impossible_.push_back(key.ToString() + " became another object without a deletion");
  if (after)
    mirror_.insert_or_assign(key, *after);
  else
    mirror_.erase(key);
}

InformerWorld::Objects InformerWorld::Truth() {
  Result<kube::ObjectList> list = oracle_->List({}, Soon(), options_.resource, {.ns = ns_});
  Objects truth;
  EXPECT_TRUE(list) << list.error().message;
  if (!list) return truth;
  for (Json& object : list->items) {
    kube::StripManagedFields(object);
    truth.emplace(kube::KeyOf(object), std::move(object));
  }
  return truth;
}

InformerWorld::Objects InformerWorld::Stored() const {
  Objects stored;
  for (const auto& object : store_.List()) stored.emplace(kube::KeyOf(*object), *object);
  return stored;
}

std::string InformerWorld::Wrong() {
  Objects truth = Truth();
  std::string wrong = Difference("the store", truth, Stored());
  MutexLock lock(mutex_);
  wrong += Difference("the mirror of what handlers were told", truth, mirror_);
  for (const std::string& told : impossible_) wrong += "\n  handlers were told: " + told;
  return wrong;
}

::testing::AssertionResult InformerWorld::IsTrue() {
  std::string wrong;
  if (Eventually([&] { return (wrong = Wrong()).empty(); })) return ::testing::AssertionSuccess();
  for (const std::string& entry : faults_->log()) wrong += "\n    " + entry;
  return ::testing::AssertionFailure() << wrong;
}

}  // namespace cutover::testing
