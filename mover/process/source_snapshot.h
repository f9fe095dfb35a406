// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/snapshot.h"

namespace cutover::mover {

/// How long the source's other writers may keep a slot from being made.
inline constexpr int kSlotSecondsMax = 120;

/// The snapshot that a copy reads the source under, held for whoever copies: an exported one, or
/// that of a logical slot from which a stream will follow the copy. One thread at a time.
///
/// Slots outlive their snapshot and their maker, and keep the source's log. So they are dropped at
/// the end of this object, unless KeepSlots() was called; a crash leaves them to the next run,
/// which replaces them, and to whoever cleans up after the move.
class SourceSnapshot {
 public:
  /// `slot.name` empty: without a slot.
  SourceSnapshot(pg::ConnectOptions source, pg::NewSlot slot);
  ~SourceSnapshot();
  SourceSnapshot(const SourceSnapshot&) = delete;
  SourceSnapshot& operator=(const SourceSnapshot&) = delete;

  /// Makes the snapshot, and the slots, unless it is held. One that was let go is followed by
  /// another one, with slots made anew. Reasons: those of SlotSnapshot::Create().
  Status Take(std::stop_token stop);
  /// The last row was read. Slots stay.
  void LetGo();
  /// The copy is proven: its slots are the stream's now.
  void KeepSlots();

  const std::string& id() const { return id_; }                          ///< After Take().
  const std::string& slot_begins_at() const { return slot_begins_at_; }  ///< Empty without a slot.

 private:
  Status DropSlots();

  const pg::ConnectOptions source_;
  pg::NewSlot slot_;
  std::optional<pg::ExportedSnapshot> exported_;
  std::optional<pg::SlotSnapshot> of_slot_;
  bool slots_are_ours_ = false;
  std::string id_;
  std::string slot_begins_at_;
};

}  // namespace cutover::mover
