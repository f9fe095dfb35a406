// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "operator/base/check.h"
#include "operator/base/mutex.h"
#include "operator/kube/metadata.h"
#include "operator/kube/store.h"

namespace cutover::kube {

/// The objects of a store by something that they name, an owner for example: so that whoever
/// reconciles that looks at its own, and not at all there are.
///
/// *Guarantees*: handlers that were added to the store after it find it as current as the store.
///
/// Made before the store's watch starts; outlives the watch. Thread-safe.
template <class T>
class Index {
 public:
  using Pointer = typename Store<T>::Pointer;
  /// What an object is found by; nothing: it is not in the index. Pure.
  using NamedBy = std::function<std::optional<Key>(const T&)>;

  Index(Store<T>& store, NamedBy named_by) : named_by_(std::move(named_by)) {
    store.AddHandler([this](Change, const Key& object, const Pointer& before,
                            const Pointer& after) { Replace(object, before, after); });
  }
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  /// The objects that name `key`, in order of their own keys.
  std::vector<Pointer> Find(const Key& key) const {
    std::vector<Pointer> objects;
    MutexLock lock(mutex_);
    auto found = objects_.find(key);
    if (found == objects_.end()) return objects;
    for (const auto& [object, pointer] : found->second) objects.push_back(pointer);
    return objects;
  }

 private:
  void Replace(const Key& object, const Pointer& before, const Pointer& after) {
    const std::optional<Key> was = before ? named_by_(*before) : std::nullopt;
    const std::optional<Key> is = after ? named_by_(*after) : std::nullopt;
    MutexLock lock(mutex_);
    if (was) {
      auto found = objects_.find(*was);
      CHECK(found != objects_.end());
      found->second.erase(object);
      if (found->second.empty()) objects_.erase(found);
    }
    if (is) objects_[*is][object] = after;
  }

  const NamedBy named_by_;
  mutable Mutex mutex_;
  std::map<Key, std::map<Key, Pointer>> objects_ GUARDED_BY(mutex_);
};

}  // namespace cutover::kube
