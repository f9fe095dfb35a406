// SPDX-License-Identifier: Apache-2.0
#include "mover/copy/copy_lane.h"

#include <chrono>
#include <map>
#include <utility>

#include "mover/process/source_locks.h"
#include "operator/base/log.h"

namespace cutover::mover {
namespace {

constexpr int kTriesMax = 6;
constexpr auto kFirstPause = std::chrono::seconds(1);
/// libpq keeps the largest message it ever got; after a row of such a size it is let go.
constexpr int64_t kRowBytesToKeep = 8 << 20;

bool MayTryAgain(const Error& error) {
  return error.disposition != Disposition::kTerminal && error.reason != "Stopped" &&
         error.reason != "TargetRestarted" && error.reason != "SnapshotLost";
}

bool HasWideRows(const std::vector<RowsSeen>& seen) {
  for (const RowsSeen& chunk : seen)
    if (chunk.row_bytes_max > kRowBytesToKeep) return true;
  return false;
}

}  // namespace

Result<std::vector<RowsSeen>> CopyLane::Copy(std::stop_token stop, const ChunkGroup& group) {
  auto pause = kFirstPause;
  for (int attempt = 1;; ++attempt) {
    Result<std::vector<RowsSeen>> seen = TryCopy(stop, group);
    if (seen && HasWideRows(*seen)) Close();
    if (!seen && seen.error().reason == "LockNotAvailable")  // It has waited long enough.
      return tl::make_unexpected(
          ExplainLock(stop, source_side_.options(), std::move(seen).error()));
    if (seen || !MayTryAgain(seen.error()) || attempt == kTriesMax || stop.stop_requested())
      return seen;
    LogWarn("copying a part failed and is tried again",
            {{"reason", seen.error().reason}, {"error", seen.error().message}});
    Close();
    if (!SleepUntil(stop, Deadline::After(pause))) return seen;
    pause *= 2;
  }
}

Result<std::vector<RowsSeen>> CopyLane::TryCopy(std::stop_token stop, const ChunkGroup& group) {
  const bool again = !target_ && !target_started_at_.empty();
  TRY(Connect(stop));
  if (again) {
    TRY_ASSIGN(auto committed, FindCommitted(stop, group));
    if (committed) return std::move(*committed);
  }
  Result<std::vector<RowsSeen>> seen = CopyGroup(stop, *source_, *target_, tables_, group, terms_);
  if (!seen && FailedByName(seen.error())) return CopyUnderUsualPath(stop, group);
  return seen;
}

Status CopyLane::Connect(std::stop_token stop) {
  if (source_ && source_->usable()) {
    // A new transaction under the same snapshot lets go of the tables that were read before.
    TRY(source_side_.Renew(stop, *source_));
  } else {
    TRY_ASSIGN(pg::Connection source, source_side_.OpenLane(stop));
    source_ = std::move(source);
  }
  if (target_ && target_->usable()) return Ok();
  TRY_ASSIGN(pg::Connection target, connect_target_(stop));
  target_ = std::move(target);
  return RequireSameServer(stop);
}

Status CopyLane::RequireSameServer(std::stop_token stop) {
  TRY_ASSIGN(pg::Rows rows,
             target_->QueryOne(stop, Deadline::Never(),
                               "SELECT pg_catalog.pg_postmaster_start_time()::text"));
  if (target_started_at_.empty()) target_started_at_ = rows[0].Text(0);
  if (target_started_at_ == rows[0].Text(0)) return Ok();
  return RetryError("TargetRestarted",
                    "the target's server was started anew while it was filled; run it again, "
                    "which goes on from what has survived or starts over");
}

Result<std::vector<RowsSeen>> CopyLane::CopyUnderUsualPath(std::stop_token stop,
                                                           const ChunkGroup& group) {
  std::vector<RowsSeen> seen;
  for (const TableChunk& chunk : group.chunks) {
    Close();  // An interrupted COPY has cost both connections.
    TRY(Connect(stop));
    TRY(target_->Exec(stop, Deadline::Never(), kUsualSearchPath));
    // In text, what the source writes could depend on the path (regclass); binary says what is.
    // Then nobody can look for wide rows either, which takes a query.
    CopyTerms terms = terms_;
    terms.slice_wide_rows = terms_.FormatOf(tables_[chunk.table]) == RowFormat::kBinary;
    if (terms.slice_wide_rows) TRY(source_->Exec(stop, Deadline::Never(), kUsualSearchPath));
    TRY_ASSIGN(auto one, CopyGroup(stop, *source_, *target_, tables_,
                                   ChunkGroup{{chunk}, chunk.bytes}, terms));
    seen.push_back(one.front());
  }
  Close();
  return seen;
}

Result<std::optional<std::vector<RowsSeen>>> CopyLane::FindCommitted(std::stop_token stop,
                                                                     const ChunkGroup& group) {
  TRY_ASSIGN(auto entries,
             ReadChunks(stop, Deadline::Never(), *target_, terms_.migration_uid, terms_.attempt));
  std::map<std::pair<std::string, int>, RowsSeen> committed;
  for (const Chunk& entry : entries)
    if (entry.committed) committed[{entry.table, entry.number}] = SeenOf(entry);
  std::vector<RowsSeen> seen;
  for (const TableChunk& chunk : group.chunks) {
    auto found = committed.find({tables_[chunk.table].Qualified(), chunk.number});
    if (found == committed.end()) return std::optional<std::vector<RowsSeen>>();
    seen.push_back(found->second);
  }
  return std::optional<std::vector<RowsSeen>>(std::move(seen));
}

void CopyLane::Close() {
  source_.reset();
  target_.reset();
}

}  // namespace cutover::mover
