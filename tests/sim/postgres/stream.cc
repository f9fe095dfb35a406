// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/postgres/stream.h"

#include <algorithm>
#include <utility>

namespace cutover::sim {
namespace {

// The publisher's server, if it lets this subscription's role into the database.
ModelServer* Dial(const Subscription& subscription) {
  ModelServer* server = ModelNetwork::Find(subscription.host, subscription.port);
  if (server == nullptr) return nullptr;
  const ServerState& state = server->state();
  auto role = state.roles.find(subscription.user);
  bool let_in = role != state.roles.end() && role->second.password == subscription.password &&
                state.MayConnect(subscription.user, subscription.database);
  return let_in ? server : nullptr;
}

ModelServer* PublisherOf(const Subscription& subscription) {
  if (!subscription.enabled || subscription.apply_errors > 0) return nullptr;
  ModelServer* server = Dial(subscription);
  if (server == nullptr) return nullptr;
  auto slot = server->state().slots.find(subscription.slot);
  bool readable = slot != server->state().slots.end() && !slot->second.lost &&
                  slot->second.database == subscription.database;
  const DatabaseState* database = server->state().Find(subscription.database);
  return readable && database->publications.contains(subscription.publication) ? server : nullptr;
}

// What the slot has to send, oldest first.
std::vector<const LogEntry*> Pending(const ModelServer& publisher,
                                     const Subscription& subscription) {
  const int64_t from =
      std::max(subscription.progress, publisher.state().slots.at(subscription.slot).position);
  std::vector<const LogEntry*> entries;
  const LogEntry* entry = publisher.state().Find(subscription.database)->log.get();
  for (; entry != nullptr && entry->position > from; entry = entry->before.get())
    entries.push_back(entry);
  std::reverse(entries.begin(), entries.end());
  return entries;
}

// False when it cannot be applied: the row is there already, or the table is not.
bool Apply(DatabaseState& database, const LogEntry& entry, const std::string& origin,
           WallTime now) {
  LogEntry applied = entry;
  applied.origin = origin;
  switch (entry.kind) {
    case LogEntry::Kind::kRow:
      return WriteRow(database, entry.number, now, origin);
    case LogEntry::Kind::kMarker:
      if (!database.has_stream_tables) return false;
      database.markers[entry.side] = entry.number;
      break;
    case LogEntry::Kind::kHeartbeat:
      if (!database.has_stream_tables) return false;
      database.heartbeats[entry.side] = entry.beaten_at;
      break;
  }
  Log(database, std::move(applied));
  return true;
}

bool ApplyOne(ModelServer& subscriber, const std::string& database, const std::string& name,
              WallTime made_until, int changes_max) {
  const Subscription& seen = subscriber.state().Find(database)->subscriptions.at(name);
  ModelServer* publisher = PublisherOf(seen);
  if (publisher == nullptr) return false;
  std::vector<const LogEntry*> pending = Pending(*publisher, seen);
  pending.erase(std::find_if(pending.begin(), pending.end(),
                             [&](const LogEntry* entry) { return entry->at > made_until; }),
                pending.end());
  if (pending.empty()) return false;
  if (pending.size() > static_cast<size_t>(changes_max))
    pending.resize(static_cast<size_t>(changes_max));
  const std::string slot_name = seen.slot;
  int64_t applied = seen.progress;
  subscriber.Edit([&](ServerState& state) {
    DatabaseState* edited = state.Edit(database);
    Subscription& subscription = edited->subscriptions.at(name);
    for (const LogEntry* entry : pending) {
      bool skipped = subscription.only_local && !entry->origin.empty();
      if (!skipped && !Apply(*edited, *entry, "pg_" + std::to_string(subscription.oid),
                             subscriber.clock().WallNow())) {
        ++subscription.apply_errors;
        break;
      }
      subscription.progress = applied = entry->position;
    }
  });
  publisher->Edit([&](ServerState& state) {
    Slot& slot = state.slots.at(slot_name);
    slot.position = std::max(slot.position, applied);
  });
  return true;
}

}  // namespace

bool Works(const Subscription& subscription) { return PublisherOf(subscription) != nullptr; }

bool ApplyStreams(ModelServer& subscriber, WallTime made_until, int changes_max) {
  if (!subscriber.up() || !subscriber.applies) return false;
  std::vector<std::pair<std::string, std::string>> enabled;
  for (const auto& [database, state] : subscriber.state().databases)
    for (const auto& [name, subscription] : state->subscriptions)
      if (subscription.enabled) enabled.emplace_back(database, name);
  bool changed = false;
  for (const auto& [database, name] : enabled)
    changed |= ApplyOne(subscriber, database, name, made_until, changes_max);
  return changed;
}

void MakeSlot(ModelServer& server, const std::string& database, const std::string& name) {
  server.Edit([&](ServerState& state) {
    int64_t end = EndOfLog(*state.Find(database));
    state.slots[name] = {database, end, end, false};
  });
}

void DropSlot(ModelServer& server, const std::string& name) {
  server.Edit([&](ServerState& state) { state.slots.erase(name); });
}

}  // namespace cutover::sim
