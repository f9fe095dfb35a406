// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/json.h"
#include "operator/base/result.h"

namespace cutover::mover {

/// What one mover Job does. Clone includes its own verification at the spec's level.
enum class JobKind { kClone, kVerify, kBackup };

/// Counts: rows per table and sequences. Rows: every byte of every row, sequences, large objects,
/// structure, ownership and grants.
enum class VerificationLevel { kCounts, kRows };

/// One database as a Job reaches it. Its password is never part of a spec: it comes by environment
/// (kSourcePasswordVariable, kTargetPasswordVariable).
struct Endpoint {
  std::string host;
  int port = 5432;
  std::string database;
  std::string user;
  std::string ssl_mode;  ///< As libpq's sslmode; empty leaves it to libpq.
  std::string ca_file;   ///< As libpq's sslrootcert; empty leaves it to libpq.

  bool operator==(const Endpoint&) const = default;
};

inline constexpr char kSourcePasswordVariable[] = "CUTOVER_SOURCE_PASSWORD";
inline constexpr char kTargetPasswordVariable[] = "CUTOVER_TARGET_PASSWORD";
inline constexpr char kTerminationLogVariable[] = "CUTOVER_TERMINATION_LOG";
inline constexpr char kTerminationLogDefault[] = "/dev/termination-log";

/// How `cutover-mover` ends. The operator and people read the same numbers.
inline constexpr int kExitProven = 0;        ///< Done, and what was promised has been proven.
inline constexpr int kExitDifferent = 1;     ///< The sides differ, or a backup is damaged.
inline constexpr int kExitUnproven = 2;      ///< Nothing is proven: an error stopped the work.
inline constexpr int kExitUsage = 64;        ///< Wrong arguments, or a spec that makes no sense.
inline constexpr int kExitInterrupted = 75;  ///< SIGTERM or SIGINT; running it again is safe.

/// The whole order of one mover Job, as the operator writes it into a ConfigMap. Field names of
/// the JSON form are lowerCamelCase of these.
struct JobSpec {
  JobKind kind = JobKind::kClone;
  std::string migration_uid;
  int attempt = 1;    ///< Grows with each copy that the operator orders for the migration.
  int64_t epoch = 0;  ///< The leader's epoch when it ordered the Job.
  Endpoint source;
  std::optional<Endpoint> target;  ///< Absent for backups only.
  int jobs = 2;
  /// Strategy Online: the source's users keep working, and a stream brings what they write. The
  /// copy is made under the snapshot of a logical slot of this name, which the Job makes, and its
  /// watch (postgres/changes.h) beside it; both are there when it has ended well, and only then.
  /// Empty: nobody writes to the source. Clones only.
  std::string slot;
  std::vector<std::string> exclude_tables;  ///< "schema.table"; structure comes, rows do not.
  std::vector<std::string> accept;          ///< Objects that may stay behind.
  /// Roles bring nothing that reaches beyond the database (pg::Powers::kWithhold).
  bool withhold_powers = false;
  /// The source's superusers may be tenants, the target's are not (CloneOptions).
  bool distrust_superusers = false;
  std::string archive_directory;  ///< Where the rows go that do not come.
  /// How fast the source may be read, and when not at all. Read again while the Job runs, so that
  /// its ConfigMap can be changed: throttle_watch.h.
  int max_rate_mebibytes_per_second = 0;  ///< 0: no limit.
  std::string throttle_query;
  VerificationLevel verification_level = VerificationLevel::kRows;
  int verification_seconds_max = 0;  ///< 0: no bound. Past it nothing is proven (exit 2).
  std::string backup_directory;      ///< Backups only.

  bool operator==(const JobSpec&) const = default;
};

std::string_view Name(JobKind kind);             ///< "Clone", "Verify", "Backup"
std::string_view Name(VerificationLevel level);  ///< "Counts", "Rows"
std::optional<VerificationLevel> ParseLevel(std::string_view text);  ///< Any case.

Json EncodeJobSpec(const JobSpec& spec);

/// Refuses what is incomplete, contradictory or unknown (a misspelt field would be ignored
/// silently otherwise): terminal error with reason "InvalidJobSpec" that names the field.
Result<JobSpec> DecodeJobSpec(const Json& json);

}  // namespace cutover::mover
