// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/contract/job_spec.h"
#include "mover/copy/throttle.h"
#include "mover/plan/chunks.h"
#include "mover/process/pg_programs.h"
#include "mover/process/reporter.h"
#include "mover/process/source_locks.h"
#include "mover/verify/report.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

struct CloneOptions {
  pg::ConnectOptions source;
  /// The database to fill, on the target's server, as an admin role there.
  pg::ConnectOptions target;
  /// Set when the database shall be created, and opened to its tenant at the end: another database
  /// of the same server. Otherwise the database is there, and its owner, grants and connection
  /// limit are somebody else's business.
  std::optional<pg::ConnectOptions> admin;
  /// Whether schema cutover and the roles' marks stay when the copy is proven: for the operator,
  /// who reads and removes them.
  bool keep_traces = false;
  std::string migration_uid;
  int attempt = 1;
  int64_t epoch = 0;
  int jobs = 2;
  /// Where set, the source is read under this snapshot, which another process exported and holds;
  /// what the ledger says was copied under it before is kept. Empty: this run exports its own.
  std::string snapshot;
  /// Whether users write to the source meanwhile, and a stream will bring what they write, from the
  /// slot whose snapshot is given above. Then sequences, which no stream carries, are copied as
  /// they happen to be and not compared: they have to be set when the source is at rest.
  bool followed = false;
  /// Called when the last row has arrived: nobody needs the snapshot any more.
  std::function<void()> on_copied;
  /// Called when the copy is found equal: a last condition for saying so.
  std::function<Status(std::stop_token)> confirm;
  /// How fast the source may be read; changed by whoever owns it. Null: as fast as it goes.
  Throttle* throttle = nullptr;
  /// How long a lock on a table of the source may keep the copy from beginning.
  int lock_seconds_max = kLockSecondsMax;
  /// "schema.table": their structure comes, their rows do not. They go into an archive instead,
  /// unless the object "rows of schema.table" is accepted to stay behind.
  std::vector<std::string> exclude_tables;
  /// Where the archive is made: "excluded-rows-" and the snapshot's identity, as TakeBackup() makes
  /// it. The same for all runs under one snapshot, and never the same for two snapshots.
  std::string archive_directory;
  /// Objects that may stay behind, by the name that FindObstacles() gives them.
  std::vector<std::string> accept;
  /// The operator's preflight has been passed, and users may wait for the copy. So an item of
  /// `accept` that names nothing in the way is only a warning: one that was misspelt but is not
  /// needed either is no reason to fail. And who reaches the database through a group alone is not
  /// asked: behind the fence those whom preflight had let in look left out, too.
  bool preflight_passed = false;
  /// pg::Powers::kWithhold for the roles that come along, and for the extensions' functions.
  bool withhold_powers = false;
  /// The source's superusers may be tenants, and the target's are not: what was theirs is an
  /// obstacle where it would act with a superuser's rights, or only a superuser may make it.
  bool distrust_superusers = false;
  /// Roles that have another name on the target: source → target.
  std::map<std::string, std::string> role_names;
  int64_t chunk_bytes = kChunkBytes;  ///< As PlanChunks() takes it.
  VerificationLevel level = VerificationLevel::kRows;
  int verification_seconds_max = 0;
  /// Called with the connection to the target before anything is written: proves that this run may
  /// write there. Set in Job mode.
  std::function<Status(std::stop_token, pg::Connection&)> authorize;
};

/// Copies a whole database and proves the copy.
///
/// Flow: structure up to the data · rows, under one snapshot, and indexes on those that have
/// arrived · constraints · the rest of the structure · statistics · sequences · settings ·
/// verification · (opening). The source is only read, and its snapshot ends with the last row.
///
/// Users may write to the source. While the rows are copied its tables cannot be altered, dropped
/// or truncated; what of its structure changed before that took hold stops the run
/// ("SourceChanged"), by name. So does, when the copy is followed, what changed after it and made
/// the comparison fail.
///
/// Repetition: a run that died anywhere leaves a database that is closed to its tenant and carries
/// the run's ledger. The next run of the same migration goes on from it if it reads under the same
/// snapshot; otherwise it empties the database and starts again. A database that holds anything
/// else is refused ("TargetNotEmpty"): we never drop what we did not make.
///
/// The report says whether the sides are equal; when they are not, the database stays closed.
Result<Report> CloneDatabase(std::stop_token stop, const PgPrograms& programs,
                             const CloneOptions& options, Reporter& reporter);

}  // namespace cutover::mover
