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
//   cutover.chunk     the copy's ledger, committed with the data it speaks of
//   cutover.result    one row a migration, attempt and kind of Job; written once, at the end
//
// A Backup Job has no target: its result is its termination message alone.

/// Stages in the order in which a Clone passes them; a Verify Job passes "verify" only.
inline constexpr std::string_view kStages[] = {"schema",    "copy",    "indexes", "constraints",
                                               "sequences", "analyze", "verify"};

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

/// One committed part of a table's copy.
struct Chunk {
  std::string table;      ///< Qualified and quoted.
  int number = 0;         ///< 0 for a table that was copied whole.
  std::string key_range;  ///< Empty for a table that was copied whole.
  int64_t rows = 0;
  int64_t bytes = 0;
  std::string digest;

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

/// In the transaction that carries the chunks' rows.
Status WriteChunks(std::stop_token stop, Deadline deadline, pg::Connection& target,
                   std::string_view migration_uid, int attempt, const std::vector<Chunk>& chunks);

Result<std::vector<Chunk>> ReadChunks(std::stop_token stop, Deadline deadline,
                                      pg::Connection& target, std::string_view migration_uid,
                                      int attempt);

/// `result` carries the fields that ReadResult names.
Status WriteResult(std::stop_token stop, Deadline deadline, pg::Connection& target,
                   const Json& result);

}  // namespace cutover::mover
