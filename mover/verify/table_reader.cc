// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/table_reader.h"

#include <atomic>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "mover/copy/table_copy.h"
#include "mover/process/parallel.h"
#include "mover/schema/restore.h"
#include "operator/base/mutex.h"

namespace cutover::mover {
namespace {

/// Adds up what the lanes of both sides have read, and tells of each table that is complete.
class Ledger {
 public:
  Ledger(size_t tables, const ReadTerms& terms, Reporter& reporter)
      : terms_(terms), reporter_(reporter), contents_(tables), parts_left_(tables, 0) {}

  void Expect(const std::vector<ChunkGroup>& groups) {
    MutexLock lock(mutex_);
    for (const ChunkGroup& group : groups)
      for (const TableChunk& chunk : group.chunks) ++parts_left_[chunk.table];
  }

  /// Rows that need not be read.
  void Know(size_t table, bool is_source, const RowsSeen& seen) {
    MutexLock lock(mutex_);
    Of(table, is_source).Add(seen);
  }

  /// Tables of which neither side has anything left to read.
  void CloseComplete() {
    MutexLock lock(mutex_);
    for (size_t table = 0; table < contents_.size(); ++table)
      if (parts_left_[table] == 0) Tell(table);
  }

  /// `part`: where it is one of a big table.
  void Add(size_t table, bool is_source, const RowsSeen& seen,
           const std::optional<ReadPart>& part) {
    MutexLock lock(mutex_);
    Of(table, is_source).Add(seen);
    if (part && terms_.on_part) terms_.on_part(*part, seen);
    if (--parts_left_[table] == 0) Tell(table);
  }

 private:
  RowsSeen& Of(size_t table, bool is_source) REQUIRES(mutex_) {
    return is_source ? contents_[table].source : contents_[table].target;
  }
  /// Under the lock, so that one call comes after the other.
  void Tell(size_t table) REQUIRES(mutex_) {
    terms_.on_table(table, contents_[table]);
    reporter_.TableDone();
  }

  const ReadTerms& terms_;
  Reporter& reporter_;
  Mutex mutex_;
  std::vector<TableContents> contents_ GUARDED_BY(mutex_);
  std::vector<int> parts_left_ GUARDED_BY(mutex_);
};

/// One side: its tables (by the pairs' index), how they are split, and its lanes.
class SideReader {
 public:
  SideReader(Side& side, bool is_source, const std::vector<TablePlan>& tables,
             const ReadTerms& terms, Ledger& ledger, Reporter& reporter)
      : side_(side),
        is_source_(is_source),
        tables_(tables),
        terms_(terms),
        ledger_(ledger),
        reporter_(reporter) {
    copy_terms_.encoding = terms.encoding;
    copy_terms_.on_progress = [this](int64_t bytes, int64_t rows) {
      reporter_.AddBytes(bytes, rows);
    };
  }

  PartsRead Plan() {
    PartsRead parts;
    groups_ = PlanChunks(tables_, side_.connection().major_version(), terms_.chunk_bytes);
    parts.known = static_cast<int64_t>(
        std::erase_if(groups_, [this](const ChunkGroup& group) { return IsKnown(group); }));
    ledger_.Expect(groups_);
    for (const ChunkGroup& group : groups_) parts.read += static_cast<int64_t>(group.chunks.size());
    return parts;
  }

  Status Run(std::stop_token stop) {
    return RunInParallel(stop, terms_.jobs, groups_.size(),
                         [this](std::stop_token lane_stop) { return MakeLane(lane_stop); });
  }

 private:
  /// Nothing of a small table: to write it down would cost more than to read it again.
  std::optional<ReadPart> PartOf(const TableChunk& chunk) const {
    const TablePlan& table = tables_[chunk.table];
    if (table.bytes < kSmallTableBytesMax || terms_.counts_only) return std::nullopt;
    return ReadPart{
        chunk.table, is_source_,
        CopyOutStatement(table, ConditionOf(table, chunk.range)) +
            CopyOptions(copy_terms_.FormatOf(table), copy_terms_.encoding, /*freeze=*/false)};
  }

  bool IsKnown(const ChunkGroup& group) {
    if (!terms_.find_part || group.chunks.size() != 1) return false;
    const TableChunk& chunk = group.chunks.front();
    const std::optional<ReadPart> part = PartOf(chunk);
    const std::optional<RowsSeen> seen = part ? terms_.find_part(*part) : std::nullopt;
    if (!seen) return false;
    ledger_.Know(chunk.table, is_source_, *seen);
    reporter_.Spare(chunk.bytes);
    return true;
  }

  Result<Lane> MakeLane(std::stop_token lane_stop) {
    const int lane = 2 * lanes_made_++ + (is_source_ ? 0 : 1);
    TRY_ASSIGN(pg::Connection opened, side_.OpenLane(lane_stop));
    auto connection = std::make_shared<std::optional<pg::Connection>>(std::move(opened));
    return Lane([this, connection, lane](std::stop_token stop, size_t task) -> Status {
      for (const TableChunk& chunk : groups_[task].chunks) {
        const TablePlan& table = tables_[chunk.table];
        reporter_.SetActivity(lane, table.Display());
        Result<RowsSeen> seen = Read(stop, *connection, table, ConditionOf(table, chunk.range));
        if (!seen)
          return tl::make_unexpected(
              WithContext(std::move(seen).error(), "verifying table " + table.Display()));
        ledger_.Add(chunk.table, is_source_, *seen, PartOf(chunk));
      }
      reporter_.SetActivity(lane, "");
      // A new transaction under the same snapshot: its locks would pile up over many tables.
      return side_.Renew(stop, **connection);
    });
  }

  Result<RowsSeen> Read(std::stop_token stop, std::optional<pg::Connection>& connection,
                        const TablePlan& table, const std::string& condition) {
    if (terms_.counts_only) return Count(stop, *connection, table, condition);
    Result<RowsSeen> seen = HashRows(stop, *connection, table, condition, copy_terms_);
    // Planning a query, unlike copying a table, looks at its indexes, and a function in one may
    // need the path that its author had.
    const bool planned = !condition.empty() || !table.row_bytes_sql.empty();
    if (seen || !planned || !FailedByName(seen.error())) return seen;
    TRY_ASSIGN(connection, side_.OpenLane(stop));
    TRY(connection->Exec(stop, Deadline::Never(), kUsualSearchPath));
    seen = HashRows(stop, *connection, table, condition, copy_terms_);
    if (seen) TRY(connection->Exec(stop, Deadline::Never(), kEmptySearchPath));
    return seen;
  }

  Result<RowsSeen> Count(std::stop_token stop, pg::Connection& connection, const TablePlan& table,
                         const std::string& condition) {
    TRY_ASSIGN(pg::Rows rows, connection.QueryOne(stop, Deadline::Never(),
                                                  "SELECT pg_catalog.count(*) FROM ONLY " +
                                                      table.Qualified() + " " + condition));
    RowsSeen seen;
    seen.rows = rows[0].Int(0);
    reporter_.AddBytes(0, seen.rows);
    return seen;
  }

  Side& side_;
  const bool is_source_;
  const std::vector<TablePlan>& tables_;
  const ReadTerms& terms_;
  Ledger& ledger_;
  Reporter& reporter_;
  CopyTerms copy_terms_;
  std::vector<ChunkGroup> groups_;
  std::atomic<int> lanes_made_ = 0;
};

/// The source's tables without those that are known, which keep their places.
std::vector<TablePlan> Unknown(const std::vector<TablePlan>& tables,
                               const std::map<std::string, RowsSeen>& known, Ledger& ledger) {
  std::vector<TablePlan> unknown = tables;
  for (size_t i = 0; i < unknown.size(); ++i) {
    auto found = known.find(unknown[i].Qualified());
    if (found == known.end()) continue;
    ledger.Know(i, true, found->second);
    unknown[i].excluded = true;
  }
  return unknown;
}

}  // namespace

Result<PartsRead> ReadTables(std::stop_token stop, Side& source, Side& target,
                             const TablePairs& tables, const ReadTerms& terms, Reporter& reporter) {
  Ledger ledger(tables.size(), terms, reporter);
  std::vector<TablePlan> unknown;
  if (terms.known_source != nullptr) unknown = Unknown(tables.source, *terms.known_source, ledger);
  SideReader ours(source, true, terms.known_source != nullptr ? unknown : tables.source, terms,
                  ledger, reporter);
  SideReader theirs(target, false, tables.target, terms, ledger, reporter);
  PartsRead parts = ours.Plan();
  const PartsRead of_target = theirs.Plan();
  parts.read += of_target.read;
  parts.known += of_target.known;
  ledger.CloseComplete();
  TRY(RunBoth(
      stop, [&](std::stop_token either) { return ours.Run(either); },
      [&](std::stop_token either) { return theirs.Run(either); }));
  return parts;
}

}  // namespace cutover::mover
