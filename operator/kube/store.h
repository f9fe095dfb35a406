// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "operator/base/json.h"
#include "operator/base/log.h"
#include "operator/base/mutex.h"
#include "operator/base/result.h"
#include "operator/kube/metadata.h"
#include "operator/kube/resource.h"
#include "operator/kube/watcher.h"

namespace cutover::kube {

enum class Change { kAdded, kModified, kDeleted };

/// A local copy of a collection, fed by a Watcher, decoded once per change. Objects are immutable
/// and shared: hold one as long as you like. Thread-safe.
///
/// What is here may be behind the server. Decide by it; before acting in a way that cannot be
/// undone, read with Client::Get.
template <class T>
class Store final : public WatchSink {
 public:
  using Pointer = std::shared_ptr<const T>;
  using Decode = std::function<Result<T>(const Json&)>;
  /// `before` is null for kAdded, `after` for kDeleted; either is also null when that version could
  /// not be decoded. Called on the watching thread, in the order of changes, outside of locks; must
  /// not block.
  using Handler =
      std::function<void(Change, const Key&, const Pointer& before, const Pointer& after)>;

  Store(std::string name, Decode decode) : name_(std::move(name)), decode_(std::move(decode)) {}

  /// Null when there is no such object; an error when it cannot be decoded, which is not absence.
  Result<Pointer> Get(const Key& key) const;

  /// All that could be decoded; those of one namespace unless `ns` is empty. In order of keys.
  std::vector<Pointer> List(const std::string& ns = "") const;

  /// Keys of everything, also of what could not be decoded.
  std::vector<Key> Keys(const std::string& ns = "") const;

  /// True once the first complete list has been stored and handled.
  bool HasSynced() const { return synced_; }
  const std::string& name() const { return name_; }

  /// Before the watch starts: a handler misses what happened earlier.
  void AddHandler(Handler handler) { handlers_.push_back(std::move(handler)); }

  void Replace(std::vector<Json> objects) override;
  void Upsert(Json object) override;
  void Remove(Json object) override;

 private:
  struct Entry {
    std::string uid;
    std::string resource_version;
    Pointer value;               // Null when it could not be decoded,
    std::optional<Error> error;  // and then this says why.
  };

  Entry MakeEntry(Json object) const;
  void Put(const Key& key, Entry entry);
  void Erase(const Key& key);
  void Notify(Change change, const Key& key, const Pointer& before, const Pointer& after) const;

  const std::string name_;
  const Decode decode_;
  std::vector<Handler> handlers_;  // Constant once the watch has started.
  std::atomic<bool> synced_{false};
  mutable Mutex mutex_;
  std::map<Key, Entry> entries_ GUARDED_BY(mutex_);
};

/// A decoder that keeps objects as they are.
inline Result<Json> AsIs(const Json& object) { return object; }

/// Removes metadata.managedFields, often half of an object, which nobody here reads.
void StripManagedFields(Json& object);

// Implementation only below.

template <class T>
auto Store<T>::Get(const Key& key) const -> Result<Pointer> {
  MutexLock lock(mutex_);
  auto found = entries_.find(key);
  if (found == entries_.end()) return Pointer();
  if (found->second.error) return tl::make_unexpected(*found->second.error);
  return found->second.value;
}

template <class T>
auto Store<T>::List(const std::string& ns) const -> std::vector<Pointer> {
  std::vector<Pointer> all;
  MutexLock lock(mutex_);
  for (const auto& [key, entry] : entries_)
    if (entry.value && (ns.empty() || key.ns == ns)) all.push_back(entry.value);
  return all;
}

template <class T>
std::vector<Key> Store<T>::Keys(const std::string& ns) const {
  std::vector<Key> keys;
  MutexLock lock(mutex_);
  for (const auto& [key, entry] : entries_)
    if (ns.empty() || key.ns == ns) keys.push_back(key);
  return keys;
}

template <class T>
auto Store<T>::MakeEntry(Json object) const -> Entry {
  StripManagedFields(object);
  Entry entry{UidOf(object), ResourceVersionOf(object), nullptr, std::nullopt};
  Result<T> value = decode_(object);
  if (value) {
    entry.value = std::make_shared<const T>(std::move(*value));
  } else {
    entry.error = WithContext(std::move(value).error(), name_ + " " + KeyOf(object).ToString());
    LogError("an object cannot be decoded and is left alone", *entry.error);
  }
  return entry;
}

template <class T>
void Store<T>::Put(const Key& key, Entry entry) {
  Pointer before, after = entry.value;
  Change change = Change::kAdded;
  {
    MutexLock lock(mutex_);
    auto [place, inserted] = entries_.try_emplace(key);
    if (!inserted) {
      // A relist repeats what is known already; nobody needs to hear it again.
      if (place->second.resource_version == entry.resource_version &&
          place->second.uid == entry.uid)
        return;
      // The same name with another uid is another object: the one we knew was deleted in between,
      // and whoever holds state about it must hear so.
      change = place->second.uid == entry.uid ? Change::kModified : Change::kDeleted;
      before = place->second.value;
    }
    place->second = std::move(entry);
  }
  if (change == Change::kDeleted) {
    Notify(Change::kDeleted, key, before, nullptr);
    Notify(Change::kAdded, key, nullptr, after);
  } else {
    Notify(change, key, before, after);
  }
}

template <class T>
void Store<T>::Erase(const Key& key) {
  Pointer before;
  {
    MutexLock lock(mutex_);
    auto found = entries_.find(key);
    if (found == entries_.end()) return;
    before = found->second.value;
    entries_.erase(found);
  }
  Notify(Change::kDeleted, key, before, nullptr);
}

template <class T>
void Store<T>::Notify(Change change, const Key& key, const Pointer& before,
                      const Pointer& after) const {
  for (const Handler& handler : handlers_) handler(change, key, before, after);
}

template <class T>
void Store<T>::Replace(std::vector<Json> objects) {
  std::map<Key, bool> present;
  for (Json& object : objects) {
    Key key = KeyOf(object);
    present.emplace(key, true);
    Put(key, MakeEntry(std::move(object)));
  }
  for (const Key& key : Keys())
    if (!present.contains(key)) Erase(key);
  synced_ = true;
}

template <class T>
void Store<T>::Upsert(Json object) {
  Key key = KeyOf(object);
  Put(key, MakeEntry(std::move(object)));
}

template <class T>
void Store<T>::Remove(Json object) {
  Erase(KeyOf(object));
}

}  // namespace cutover::kube
