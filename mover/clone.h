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
#include "mover/process/pg_programs.h"
#include "mover/process/reporter.h"
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
  std::vector<std::string> exclude_tables;
  /// Objects that may stay behind, by the name that FindObstacles() gives them.
  std::vector<std::string> accept;
  /// Roles that have another name on the target: source → target.
  std::map<std::string, std::string> role_names;
  VerificationLevel level = VerificationLevel::kRows;
  int verification_seconds_max = 0;
  /// Called with the connection to the target before anything is written: proves that this run may
  /// write there. Set in Job mode.
  std::function<Status(std::stop_token, pg::Connection&)> authorize;
};

/// Copies a whole database and proves the copy.
///
/// Flow: roles · database · structure up to the data · rows, under one snapshot · indexes ·
/// constraints · the rest of the structure · sequences · settings · statistics · verification ·
/// (opening). The source is only read, and its snapshot ends with the last row.
///
/// Repetition: a run that died anywhere leaves a database that is closed to its tenant and carries
/// the run's ledger. The next run of the same migration empties it and starts again. A database
/// that holds anything else is refused ("TargetNotEmpty"): we never drop what we did not make.
///
/// The report says whether the sides are equal; when they are not, the database stays closed.
Result<Report> CloneDatabase(std::stop_token stop, const PgPrograms& programs,
                             const CloneOptions& options, Reporter& reporter);

}  // namespace cutover::mover
