// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "mover/contract/job_spec.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

// What a mover tells about itself, in schema `cutover` of the target database. Tables:
//
//   cutover.progress  one row a migration and stage; rewritten at most once a second
//   cutover.run       one row a migration: under which snapshot its plan was made
//   cutover.chunk     the copy's plan, and its ledger: a chunk is marked by the transaction that
//                     carries its rows
//   cutover.result    one row a migration, attempt and kind of Job; written once, at the end
//
// A Backup Job has no target: its result is its termination message alone.

/// Stages in the order in which a Clone passes them; a Verify Job passes "verify" only.
inline constexpr std::string_view kStages[] = {"schema",  "copy",      "indexes", "constraints",
                                               "analyze", "sequences", "verify"};

struct StageProgress {
  std::string stage;
  bool finished = false;
  int64_t bytes_done = 0;
  int64_t bytes_total = 0;  ///< An estimate until the stage is finished.
  int64_t tables_done = 0;
  int64_t tables_total = 0;
  int64_t rows_done = 0;
  double seconds = 0;  ///< Since the stage began, to its end or its last report.

  bool operator==(const StageProgress&) const = default;
};

struct Progress {
  int attempt = 0;
  std::string current_stage;          ///< The last one begun.
  double seconds_since_update = 0;    ///< By the target server's clock.
  std::vector<StageProgress> stages;  ///< In the order they began.
};

/// One part of a table's copy.
struct Chunk {
  std::string table;  ///< Qualified and quoted.
  int number = 0;     ///< 0 for a table that is copied whole.
  int group = 0;      ///< Chunks of the same group are committed together.
  int64_t block_from = 0;
  std::optional<int64_t> block_to;  ///< Absent: to the table's end.
  bool committed = false;
  // Of what was committed:
  int64_t rows = 0;
  int64_t bytes = 0;
  std::string digest;
  std::string transaction;  ///< The target's, which its rows have as their xmin.

  bool operator==(const Chunk&) const = default;
};

/// For the operator. Nothing when no mover has reported for this migration yet; an error when it
/// cannot be read. Any connection to the target database whose role may read schema cutover.
Result<std::optional<Progress>> ReadProgress(std::stop_token stop, Deadline deadline,
                                             pg::Connection& target,
                                             std::string_view migration_uid);

/// For the operator: the result of exactly that Job, or nothing while there is none. Its fields:
/// kind, migrationUid, attempt, epoch, verdict (Equal | Different | Unproven), level, tables, rows,
/// bytes, mismatches [{table, kind, source, target}], mismatchCount, secondsByStage, versions,
/// warnings, and for Unproven error {reason, message, disposition}.
Result<std::optional<Json>> ReadResult(std::stop_token stop, Deadline deadline,
                                       pg::Connection& target, std::string_view migration_uid,
                                       int attempt, JobKind kind);

/// For the mover: makes the schema and its tables where they are missing. Leaves the session with
/// event triggers silenced: use it for the ledger only.
Status CreateLedger(std::stop_token stop, Deadline deadline, pg::Connection& target);

/// For the mover: forgets what earlier runs reported on the migration; results of earlier attempts
/// stay. Runs in the caller's transaction.
Status ForgetRun(std::stop_token stop, Deadline deadline, pg::Connection& target,
                 std::string_view migration_uid, int attempt, JobKind kind);

Status WriteStage(std::stop_token stop, Deadline deadline, pg::Connection& target,
                  std::string_view migration_uid, int attempt, const StageProgress& stage);

/// Writes the plan of a run down, once the tables are there and empty. `snapshot` is the identity
/// of the one it was made under: only a run under the same may go on with it. Runs in the caller's
/// transaction.
Status WritePlan(std::stop_token stop, Deadline deadline, pg::Connection& target,
                 std::string_view migration_uid, int attempt, std::string_view snapshot,
                 const std::vector<Chunk>& chunks);

/// The plan that was written under `snapshot` with all that is committed of it; nothing when there
/// is none.
Result<std::optional<std::vector<Chunk>>> ReadPlan(std::stop_token stop, Deadline deadline,
                                                   pg::Connection& target,
                                                   std::string_view migration_uid, int attempt,
                                                   std::string_view snapshot);

/// Marks chunks of the plan, in the transaction that carries their rows.
Status CommitChunks(std::stop_token stop, Deadline deadline, pg::Connection& target,
                    std::string_view migration_uid, int attempt, const std::vector<Chunk>& chunks);

/// In the plan's order.
Result<std::vector<Chunk>> ReadChunks(std::stop_token stop, Deadline deadline,
                                      pg::Connection& target, std::string_view migration_uid,
                                      int attempt);

/// `result` carries the fields that ReadResult names.
Status WriteResult(std::stop_token stop, Deadline deadline, pg::Connection& target,
                   const Json& result);

}  // namespace cutover::mover
