// SPDX-License-Identifier: Apache-2.0
#include "mover/process/source_snapshot.h"

#include <chrono>
#include <utility>

#include "operator/base/log.h"

namespace cutover::mover {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(30);

}  // namespace

SourceSnapshot::SourceSnapshot(pg::ConnectOptions source, pg::NewSlot slot)
    : source_(std::move(source)), slot_(std::move(slot)) {}

SourceSnapshot::~SourceSnapshot() {
  LetGo();
  if (!slots_are_ours_) return;
  if (Status dropped = DropSlots(); !dropped)
    LogError(
        "the slots of a copy that failed could not be dropped; drop them, or the source keeps "
        "its log for them",
        WithContext(dropped.error(), "slot " + slot_.name));
}

Status SourceSnapshot::Take(std::stop_token stop) {
  if (exported_ || of_slot_) return Ok();
  if (slot_.name.empty()) {
    TRY_ASSIGN(auto exported,
               pg::ExportedSnapshot::Export(stop, Deadline::After(kConnectTimeout), source_));
    id_ = exported.id();
    exported_.emplace(std::move(exported));
    return Ok();
  }
  if (slots_are_ours_) TRY(DropSlots());
  TRY_ASSIGN(auto made,
             pg::SlotSnapshot::Create(stop, Deadline::After(std::chrono::seconds(kSlotSecondsMax)),
                                      source_, slot_));
  slots_are_ours_ = true;
  id_ = made.id();
  slot_begins_at_ = made.begins_at();
  of_slot_.emplace(std::move(made));
  return Ok();
}

void SourceSnapshot::LetGo() {
  exported_.reset();
  of_slot_.reset();
}

void SourceSnapshot::KeepSlots() { slots_are_ours_ = false; }

/// Without a stop token: what was stopped is cleaned up, too.
Status SourceSnapshot::DropSlots() {
  slots_are_ours_ = false;
  const Deadline deadline = Deadline::After(kConnectTimeout);
  TRY_ASSIGN(pg::Connection admin, pg::Connection::Open({}, deadline, source_));
  TRY(pg::DropIdleSlot({}, deadline, admin, slot_.name));
  return slot_.watch.empty() ? Ok() : pg::DropIdleSlot({}, deadline, admin, slot_.watch);
}

}  // namespace cutover::mover
