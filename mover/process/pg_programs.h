// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "mover/process/child.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// PostgreSQL's client programs (pg_dump, pg_restore). Thread-safe: it is only a directory's name.
class PgPrograms {
 public:
  /// `directory` empty: CUTOVER_PG_BINDIR, or PATH where that is unset too.
  static PgPrograms In(std::string_view directory);

  /// `program` with arguments; it reaches no database.
  ChildCommand Command(std::string_view program, std::vector<std::string> arguments) const;
  /// The same, connected by environment: a password must not be an argument.
  ChildCommand Command(std::string_view program, std::vector<std::string> arguments,
                       const pg::ConnectOptions& connect) const;

  /// What pg_dump says of itself: "pg_dump (PostgreSQL) 18.1 (Debian …)".
  Result<std::string> DumpVersion(std::stop_token stop, Deadline deadline) const;
  /// The major version of pg_dump. Reading a server that is newer than pg_dump cannot work.
  Result<int> DumpMajor(std::stop_token stop, Deadline deadline) const;
  /// Terminal error "ProgramTooOld" when pg_dump is older than `server_major`.
  Status RequireDumpFor(std::stop_token stop, Deadline deadline, int server_major) const;

 private:
  explicit PgPrograms(std::string directory) : directory_(std::move(directory)) {}
  std::string directory_;
};

}  // namespace cutover::mover
