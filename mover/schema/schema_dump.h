// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "mover/plan/restore_script.h"
#include "mover/process/pg_programs.h"
#include "mover/process/source_locks.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// A database's structure as pg_dump knows it, split into its entries.
struct SchemaDump {
  RestoreScript script;
  std::set<int> pre_data;  ///< Dump ids that come before the data.
};

/// pg_dump's archive of a database's structure, as a file in $TMPDIR that goes with this object.
class SchemaArchive {
 public:
  /// Dumps everything but schema cutover. With `snapshot` (as pg_export_snapshot names it) the
  /// structure is that of the snapshot's instant. Tablespaces are left out: everything goes to the
  /// target's default one. A lock on a table is waited for at most `lock_seconds_max`:
  /// ExplainLock() knows the error.
  static Result<SchemaArchive> Dump(std::stop_token stop, Deadline deadline,
                                    const PgPrograms& programs, const pg::ConnectOptions& connect,
                                    const std::string& snapshot,
                                    int lock_seconds_max = kLockSecondsMax);
  SchemaArchive(SchemaArchive&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  SchemaArchive& operator=(SchemaArchive&&) = delete;
  ~SchemaArchive();

  /// Subscriptions come without their slots (and disabled, as pg_dump writes them); what belongs to
  /// a stream of ours does not come at all.
  Result<SchemaDump> Read(std::stop_token stop, Deadline deadline,
                          const PgPrograms& programs) const;
  /// The same, entry by entry: for structures that need not be in memory as a whole.
  Status ReadItems(std::stop_token stop, Deadline deadline, const PgPrograms& programs,
                   const ScriptSplitter::OnItem& on_item) const;

 private:
  explicit SchemaArchive(std::string path) : path_(std::move(path)) {}
  Result<TableOfContents> List(std::stop_token stop, Deadline deadline, const PgPrograms& programs,
                               std::vector<std::string> flags) const;
  Result<RestoreScript> Split(std::stop_token stop, Deadline deadline, const PgPrograms& programs,
                              ScriptSplitter::OnItem on_item) const;

  std::string path_;
};

/// Dumps, and reads the archive at once.
Result<SchemaDump> DumpSchema(std::stop_token stop, Deadline deadline, const PgPrograms& programs,
                              const pg::ConnectOptions& connect, const std::string& snapshot,
                              int lock_seconds_max = kLockSecondsMax);

}  // namespace cutover::mover
