// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "mover/backup/manifest.h"
#include "mover/process/pg_programs.h"
#include "mover/process/reporter.h"
#include "mover/process/source_locks.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

struct BackupOptions {
  pg::ConnectOptions source;
  std::string directory;      ///< The backup's final place; its parent exists.
  std::string migration_uid;  ///< May be empty for a backup taken by hand.
  int jobs = 2;
  /// Only these, qualified and quoted; empty: the whole database. Their rows are counted, too.
  std::vector<std::string> tables;
  /// An exported one to read under; empty: pg_dump's own.
  std::string snapshot;
  int lock_seconds_max = kLockSecondsMax;  ///< How long a lock on a table may be waited for.
};

/// Takes a backup: pg_dump in directory format (without schema cutover) into `directory`.partial,
/// synced to disk, with a manifest; read back as CheckBackup does; and only then renamed to its
/// final name. So a directory of that name is a backup that was complete and readable.
///
/// If one is there already, of the same migration and database, it is checked and returned as it
/// is: a Job that is started again does not dump again. Terminal "BackupExists" when what is there
/// is of something else: backups are never overwritten. What an interrupted run left in .partial is
/// removed. "SourceTableLocked" names who keeps a table locked for too long.
Result<Manifest> TakeBackup(std::stop_token stop, const PgPrograms& programs,
                            const BackupOptions& options, Reporter& reporter);

/// Reads a backup to its last byte: sizes and checksums, the table of contents, and all data
/// through pg_restore's decoder, row by row where the
/// manifest says how many there are. Terminal "BackupDamaged" says what is wrong.
Result<Manifest> CheckBackup(std::stop_token stop, const PgPrograms& programs,
                             const std::string& directory);

}  // namespace cutover::mover
