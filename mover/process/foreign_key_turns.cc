// SPDX-License-Identifier: Apache-2.0
#include "mover/process/foreign_key_turns.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace cutover::mover {

ForeignKeyTurns::ForeignKeyTurns(const std::vector<ForeignKeyPlan>& keys) : keys_(keys) {
  std::map<uint32_t, size_t> popularity;
  for (const ForeignKeyPlan& key : keys) ++popularity[key.referenced_oid];
  MutexLock lock(mutex_);
  left_.resize(keys.size());
  std::iota(left_.begin(), left_.end(), size_t{0});
  std::stable_sort(left_.begin(), left_.end(), [&](size_t a, size_t b) {
    return popularity[keys[a].referenced_oid] > popularity[keys[b].referenced_oid];
  });
}

std::optional<size_t> ForeignKeyTurns::Next(std::stop_token stop) {
  MutexLock lock(mutex_);
  std::optional<size_t> key;
  freed_.Wait(mutex_, stop, Deadline::Never(), [&] {
    key = TakeFree();
    return key || left_.empty();
  });
  return key;
}

std::optional<size_t> ForeignKeyTurns::TakeFree() {
  auto found = std::find_if(left_.begin(), left_.end(), [this](size_t key) {
    return !busy_tables_.contains(keys_[key].table_oid) &&
           !busy_tables_.contains(keys_[key].referenced_oid);
  });
  if (found == left_.end()) return std::nullopt;
  const size_t key = *found;
  left_.erase(found);
  busy_tables_.insert({keys_[key].table_oid, keys_[key].referenced_oid});
  return key;
}

void ForeignKeyTurns::Done(size_t key) {
  MutexLock lock(mutex_);
  busy_tables_.erase(keys_[key].table_oid);
  busy_tables_.erase(keys_[key].referenced_oid);
  freed_.NotifyAll();
}

}  // namespace cutover::mover
