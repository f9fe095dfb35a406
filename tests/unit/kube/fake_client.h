// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "operator/base/mutex.h"
#include "operator/kube/client.h"
#include "operator/kube/metadata.h"

namespace cutover::kube {

/// A small API server in memory: versions, conflicts and merge patches as the real one has them; no
/// validation, no finalizers, no watches. `fault` may fail any call, before or after its effect.
/// Thread-safe.
class FakeClient final : public Client {
 public:
  enum class When { kBefore, kAfter };
  /// What to fail a call with, if at all. `verb` is get, list, create, update, patch or delete.
  std::function<std::optional<Error>(When, const std::string& verb)> fault;

  Result<std::optional<Json>> Get(std::stop_token, Deadline, const Resource& resource,
                                  const Key& key) override {
    TRY(Fault(When::kBefore, "get"));
    MutexLock lock(mutex_);
    auto found = objects_.find({std::string(resource.plural), key});
    if (found == objects_.end()) return std::optional<Json>();
    return std::optional<Json>(found->second);
  }

  Result<ListPage> GetPage(std::stop_token, Deadline, const Resource& resource,
                           const ListOptions& options, const PageRequest&) override {
    TRY(Fault(When::kBefore, "list"));
    MutexLock lock(mutex_);
    ListPage page;
    for (const auto& [id, object] : objects_)
      if (id.first == resource.plural && (options.ns.empty() || id.second.ns == options.ns))
        page.list.items.push_back(object);
    page.list.resource_version = std::to_string(version_);
    return page;
  }

  Result<Json> Create(std::stop_token, Deadline, const Resource& resource, const Json& object,
                      const WriteOptions& = {}) override {
    TRY(Fault(When::kBefore, "create"));
    Json stored = object;
    {
      MutexLock lock(mutex_);
      Id id{std::string(resource.plural), KeyOf(object)};
      if (objects_.contains(id)) return RetryError(reason::kAlreadyExists, id.second.ToString());
      stored.MutableAt("metadata").Set("uid", NextUid());
      Store(id, stored);
    }
    TRY(Fault(When::kAfter, "create"));
    return stored;
  }

  Result<Json> Update(std::stop_token, Deadline, const Resource& resource, const Json& object,
                      const WriteOptions& = {}) override {
    TRY(Fault(When::kBefore, "update"));
    Json stored = object;
    {
      MutexLock lock(mutex_);
      Id id{std::string(resource.plural), KeyOf(object)};
      TRY(CheckVersion(id, object));
      Store(id, stored);
    }
    TRY(Fault(When::kAfter, "update"));
    return stored;
  }

  Result<Json> Patch(std::stop_token, Deadline, const Resource& resource, const Key& key,
                     const Json& patch, const PatchOptions& options = {}) override {
    TRY(Fault(When::kBefore, "patch"));
    Json stored;
    {
      MutexLock lock(mutex_);
      Id id{std::string(resource.plural), key};
      // Apply creates what is not there, like the real one.
      const bool creates = options.type == PatchType::kApply && !objects_.contains(id) &&
                           ResourceVersionOf(patch).empty();
      if (!creates) TRY(CheckVersion(id, patch));
      stored = objects_[id];
      if (creates) stored = Json::Object({{"metadata", Json::Object({{"uid", NextUid()}})}});
      Merge(patch, stored);
      Store(id, stored);
    }
    TRY(Fault(When::kAfter, "patch"));
    return stored;
  }

  Status Delete(std::stop_token, Deadline, const Resource& resource, const Key& key,
                const DeleteOptions& = {}) override {
    TRY(Fault(When::kBefore, "delete"));
    MutexLock lock(mutex_);
    objects_.erase({std::string(resource.plural), key});
    ++version_;
    return Ok();
  }

  Status Watch(std::stop_token stop, const Resource&, const WatchOptions&,
               const std::function<void(WatchEvent)>&) override {
    SleepUntil(stop, Deadline::Never());
    return RetryError(reason::kCancelled, "stopped");
  }

 private:
  using Id = std::pair<std::string, Key>;

  Status Fault(When when, const std::string& verb) {
    if (!fault) return Ok();
    if (std::optional<Error> error = fault(when, verb)) return tl::make_unexpected(*error);
    return Ok();
  }
  std::string NextUid() const REQUIRES(mutex_) { return "uid-" + std::to_string(version_ + 1); }
  Status CheckVersion(const Id& id, const Json& object) REQUIRES(mutex_) {
    auto found = objects_.find(id);
    if (found == objects_.end()) return RetryError(reason::kNotFound, id.second.ToString());
    const std::string& wanted = ResourceVersionOf(object);
    if (!wanted.empty() && wanted != ResourceVersionOf(found->second))
      return RetryError(reason::kConflict, id.second.ToString());
    return Ok();
  }
  void Store(const Id& id, Json& object) REQUIRES(mutex_) {
    object.MutableAt("metadata").Set("resourceVersion", std::to_string(++version_));
    objects_[id] = object;
  }
  static void Merge(const Json& patch, Json& into) {
    for (const auto& [key, value] : patch.Members()) {
      if (value.IsNull())
        into.Remove(key);
      else if (value.IsObject() && into[key].IsObject())
        Merge(value, into.MutableAt(key));
      else
        into.Set(key, value);
    }
  }

  mutable Mutex mutex_;
  std::map<Id, Json> objects_ GUARDED_BY(mutex_);
  int64_t version_ GUARDED_BY(mutex_) = 100;
};

}  // namespace cutover::kube
