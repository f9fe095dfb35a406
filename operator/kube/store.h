// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "operator/base/check.h"
#include "operator/base/json.h"
#include "operator/base/log.h"
#include "operator/base/mutex.h"
#include "operator/base/result.h"
#include "operator/kube/metadata.h"
#include "operator/kube/resource.h"
#include "operator/kube/watcher.h"

namespace cutover::kube {

enum class Change { kAdded, kModified, kDeleted };

/// A local copy of a collection, fed by a Watcher, decoded once per change; or of some namespaces
/// of it, fed by a Watcher for each. Objects are immutable and shared: hold one as long as you
/// like. Thread-safe.
///
/// What is here may be behind the server. Decide by it; before acting in a way that cannot be
/// undone, read with Client::Get.
template <class T>
class Store final : public WatchSink {
 public:
  using Pointer = std::shared_ptr<const T>;
  using Decode = std::function<Result<T>(const Json&)>;
  /// `before` is null for kAdded, `after` for kDeleted; either is also null when that version could
  /// not be decoded. Called on the watching thread, one at a time, in the order of changes; may
  /// read this store; must not block.
  using Handler =
      std::function<void(Change, const Key&, const Pointer& before, const Pointer& after)>;

  /// `namespaces`: those that it is a copy of, each to be fed through PartOf; empty: all, fed
  /// through the store itself.
  Store(std::string name, Decode decode, const std::vector<std::string>& namespaces = {});
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// What the watch of one of the namespaces feeds.
  WatchSink& PartOf(const std::string& ns);

  /// Null when there is no such object; an error when it cannot be decoded, which is not absence.
  Result<Pointer> Get(const Key& key) const;

  /// Whether there is such an object, decoded or not.
  bool Contains(const Key& key) const;

  /// All that could be decoded; those of one namespace unless `ns` is empty. In order of keys.
  std::vector<Pointer> List(const std::string& ns = "") const;

  /// Keys of everything, also of what could not be decoded.
  std::vector<Key> Keys(const std::string& ns = "") const;

  /// True once the first complete list (of every part) has been stored and handled. What handlers
  /// are told before is what was there already.
  bool HasSynced() const { return synced_; }

  /// This process has just written `key`, and the server gave it this version.
  void Expect(const Key& key, const std::string& version);
  /// True while the store has yet to hear of the last version that was expected of `key`: whoever
  /// decided by it now would decide by what was before his own last step.
  bool IsBehind(const Key& key) const;
  const std::string& name() const { return name_; }

  /// Before the watch starts: a handler misses what happened earlier.
  void AddHandler(Handler handler) { handlers_.push_back(std::move(handler)); }

  void BeginList() override { whole().BeginList(); }
  void Listed(Json object) override { whole().Listed(std::move(object)); }
  void EndList(const std::string& version) override { whole().EndList(version); }
  void Upsert(Json object) override { whole().Upsert(std::move(object)); }
  void Remove(Json object) override { whole().Remove(std::move(object)); }
  void Reached(const std::string& version) override { whole().Reached(version); }

  /// A whole list at once.
  void Replace(std::vector<Json> objects);

 private:
  struct Entry {
    std::string uid;
    std::string resource_version;
    Pointer value;                       // Null when it could not be decoded,
    std::shared_ptr<const Error> error;  // and then this says why.
    unsigned list = 0;                   // The last list of its part that showed it.
  };

  // All objects, or those of one namespace.
  class Part final : public WatchSink {
   public:
    Part(Store& store, std::string ns) : store_(store), ns_(std::move(ns)) {}
    bool Covers(const Key& key) const { return ns_.empty() || ns_ == key.ns; }
    void BeginList() override;
    void Listed(Json object) override { Upsert(std::move(object)); }
    void EndList(const std::string& version) override;
    void Upsert(Json object) override;
    void Remove(Json object) override;
    void Reached(const std::string& version) override;

   private:
    friend class Store;
    Store& store_;
    const std::string ns_;
    unsigned list_ = 0;  // Number of the list that is coming, or came last.
    bool synced_ = false;
    std::string reached_;  // Everything up to here is in. Under the store's mutex_.
  };

  Part& whole() { return static_cast<Part&>(PartOf("")); }
  void Put(const Part& part, Json object);
  bool IsKnown(const Part& part, const Key& key, const Json& object);
  Entry MakeEntry(const Part& part, const Key& key, Json object) const;
  void Erase(const Key& key);
  std::vector<Key> Unlisted(const Part& part) const;
  void Notify(Change change, const Key& key, const Pointer& before, const Pointer& after) const;

  const std::string name_;
  const Decode decode_;
  std::vector<Handler> handlers_;             // Constant once the watch has started.
  std::vector<std::unique_ptr<Part>> parts_;  // Constant.
  std::atomic<bool> synced_{false};
  Mutex feeding_;  // One part at a time; taken before mutex_.
  mutable Mutex mutex_;
  std::map<Key, Entry> entries_ GUARDED_BY(mutex_);
  std::map<Key, std::string> expected_ GUARDED_BY(mutex_);  // Newer than what its part reached.
};

/// A decoder that keeps objects as they are.
inline Result<Json> AsIs(const Json& object) { return object; }

/// Removes metadata.managedFields, often half of an object, which nobody here reads.
void StripManagedFields(Json& object);

// Implementation only below.

template <class T>
Store<T>::Store(std::string name, Decode decode, const std::vector<std::string>& namespaces)
    : name_(std::move(name)), decode_(std::move(decode)) {
  for (const std::string& ns : namespaces) parts_.push_back(std::make_unique<Part>(*this, ns));
  if (parts_.empty()) parts_.push_back(std::make_unique<Part>(*this, ""));
}

template <class T>
WatchSink& Store<T>::PartOf(const std::string& ns) {
  for (const auto& part : parts_)
    if (part->ns_ == ns) return *part;
  CHECK(false);  // Whoever made the store named its parts.
  std::abort();
}

template <class T>
auto Store<T>::Get(const Key& key) const -> Result<Pointer> {
  MutexLock lock(mutex_);
  auto found = entries_.find(key);
  if (found == entries_.end()) return Pointer();
  if (found->second.error) return tl::make_unexpected(Error(*found->second.error));
  return found->second.value;
}

template <class T>
bool Store<T>::Contains(const Key& key) const {
  MutexLock lock(mutex_);
  return entries_.contains(key);
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
void Store<T>::Expect(const Key& key, const std::string& version) {
  MutexLock lock(mutex_);
  // Versions that cannot be compared would be waited for without end.
  for (const auto& part : parts_)
    if (part->Covers(key) && IsOlderVersion(part->reached_, version)) expected_[key] = version;
}

template <class T>
bool Store<T>::IsBehind(const Key& key) const {
  MutexLock lock(mutex_);
  return expected_.contains(key);
}

template <class T>
auto Store<T>::MakeEntry(const Part& part, const Key& key, Json object) const -> Entry {
  StripManagedFields(object);
  Entry entry{UidOf(object), ResourceVersionOf(object), nullptr, nullptr, part.list_};
  Result<T> value = decode_(object);
  if (value) {
    entry.value = std::make_shared<const T>(std::move(*value));
  } else {
    Error error = WithContext(std::move(value).error(), name_ + " " + key.ToString());
    LogError("an object cannot be decoded and is left alone", error);
    entry.error = std::make_shared<const Error>(std::move(error));
  }
  return entry;
}

// True when the store has this very version already, which counts as seen in the list that is
// coming. A relist repeats what is known: it is not even decoded, and nobody hears it again.
template <class T>
bool Store<T>::IsKnown(const Part& part, const Key& key, const Json& object) {
  MutexLock lock(mutex_);
  auto found = entries_.find(key);
  if (found == entries_.end() || found->second.uid != UidOf(object) ||
      found->second.resource_version != ResourceVersionOf(object))
    return false;
  found->second.list = part.list_;
  return true;
}

template <class T>
void Store<T>::Put(const Part& part, Json object) {
  const Key key = KeyOf(object);
  if (IsKnown(part, key, object)) return;
  Entry entry = MakeEntry(part, key, std::move(object));
  Pointer before, after = entry.value;
  Change change = Change::kAdded;
  {
    MutexLock lock(mutex_);
    auto [place, inserted] = entries_.try_emplace(key);
    if (!inserted) {
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
std::vector<Key> Store<T>::Unlisted(const Part& part) const {
  std::vector<Key> keys;
  MutexLock lock(mutex_);
  for (const auto& [key, entry] : entries_)
    if (part.Covers(key) && entry.list != part.list_) keys.push_back(key);
  return keys;
}

template <class T>
void Store<T>::Part::BeginList() {
  MutexLock feeding(store_.feeding_);
  ++list_;
}

template <class T>
void Store<T>::Part::Upsert(Json object) {
  MutexLock feeding(store_.feeding_);
  store_.Put(*this, std::move(object));
}

template <class T>
void Store<T>::Part::Remove(Json object) {
  MutexLock feeding(store_.feeding_);
  store_.Erase(KeyOf(object));
}

template <class T>
void Store<T>::Part::EndList(const std::string& version) {
  {
    MutexLock feeding(store_.feeding_);
    for (const Key& key : store_.Unlisted(*this)) store_.Erase(key);
    MutexLock lock(store_.mutex_);
    // A server that has gone back in time hands out its versions again: of what was written before
    // that nothing is left to wait for.
    if (IsOlderVersion(version, reached_))
      std::erase_if(store_.expected_, [&](const auto& item) { return Covers(item.first); });
  }
  Reached(version);
  MutexLock feeding(store_.feeding_);
  synced_ = true;
  store_.synced_ = std::all_of(store_.parts_.begin(), store_.parts_.end(),
                               [](const auto& part) { return part->synced_; });
}

template <class T>
void Store<T>::Part::Reached(const std::string& version) {
  MutexLock lock(store_.mutex_);
  reached_ = version;
  std::erase_if(store_.expected_, [&](const auto& item) {
    return Covers(item.first) && !IsOlderVersion(version, item.second);
  });
}

template <class T>
void Store<T>::Replace(std::vector<Json> objects) {
  BeginList();
  for (Json& object : objects) Listed(std::move(object));
  EndList("");
}

}  // namespace cutover::kube
