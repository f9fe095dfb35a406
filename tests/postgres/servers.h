// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg::testing {

/// The throw-away servers that tests/postgres/servers started, found by the environment variable
/// CUTOVER_TEST_PG_DIR. All options are of a superuser and name database `postgres`.
struct TestServers {
  ConnectOptions source;      ///< Major 15.
  ConnectOptions target;      ///< Major 17.
  std::string bin_directory;  ///< pg_dump, pg_restore and others of major 18, to run on the host.
  std::string newer_pooler;   ///< A PgBouncer after 1.21, to run on the host.
  std::string ca_file;        ///< The certificate that all of them present.
  std::string directory;      ///< What CUTOVER_TEST_PG_DIR says.
  std::map<int, ConnectOptions> by_major;

  /// The server of a major from 13 to 18; 15 and 17 are `source` and `target`. Aborts when it could
  /// not be had on this machine.
  const ConnectOptions& OfMajor(int major) const;
};

/// Aborts with a sentence when there are no servers: a test must not pass for want of one.
const TestServers& Servers();

/// Enough for any one statement of a test, and far below ctest's timeout.
inline Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }

/// A name that no other case uses: `prefix`, process and counter.
std::string UniqueName(std::string_view prefix);

/// Connects or aborts the test.
Connection MustConnect(const ConnectOptions& options);
/// Runs statements, each in a transaction of its own (so CREATE DATABASE is possible), or aborts.
void MustExec(Connection& connection, const std::vector<std::string>& statements);
/// The first column of all rows.
std::vector<std::string> MustRead(Connection& connection, const std::string& sql,
                                  const Params& params = {});

/// A login role with a password; dropped at the end with all that it owns on `server`.
class TestRole {
 public:
  explicit TestRole(const ConnectOptions& server, std::string_view attributes = "",
                    std::string_view prefix = "tenant");
  ~TestRole();
  TestRole(const TestRole&) = delete;
  TestRole& operator=(const TestRole&) = delete;

  const std::string& name() const { return name_; }
  const std::string& password() const { return password_; }
  std::string quoted() const { return QuoteIdentifier(name_); }
  /// To connect to `database` as this role.
  ConnectOptions Options(std::string_view database) const;

 private:
  ConnectOptions server_;
  std::string name_;
  std::string password_;
};

/// A database; dropped at the end, sessions and all. Declare it after the role that owns it.
class TestDatabase {
 public:
  TestDatabase(const ConnectOptions& server, std::string_view owner,
               std::string_view prefix = "db");
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  const std::string& name() const { return name_; }
  std::string quoted() const { return QuoteIdentifier(name_); }
  /// To connect to it as the admin.
  ConnectOptions Options() const { return server_.WithDatabase(name_); }

 private:
  ConnectOptions server_;
  std::string name_;
};

/// Drops a database of this name at the end of the scope, if it is there then.
class DropAtEnd {
 public:
  DropAtEnd(ConnectOptions server, std::string database)
      : server_(std::move(server)), database_(std::move(database)) {}
  ~DropAtEnd();
  DropAtEnd(const DropAtEnd&) = delete;
  DropAtEnd& operator=(const DropAtEnd&) = delete;

 private:
  ConnectOptions server_;
  std::string database_;
};

}  // namespace cutover::pg::testing
