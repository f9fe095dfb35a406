// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/access.h"
#include "postgres/connection.h"
#include "postgres/control.h"

namespace cutover::pg {

/// `ALTER DATABASE … SET`, or `ALTER ROLE … IN DATABASE … SET` when a role is named.
struct StoredSetting {
  std::string role;
  std::string name;
  std::string value;  ///< As stored in pg_db_role_setting.

  auto operator<=>(const StoredSetting&) const = default;
};

/// `SECURITY LABEL FOR provider ON … IS label`.
struct SecurityLabel {
  std::string provider;
  std::string label;

  auto operator<=>(const SecurityLabel&) const = default;
};

/// What CREATE DATABASE and its companions need to make a database like this one.
struct DatabaseProperties {
  std::string name;
  DatabaseAccess access;
  std::string encoding;         ///< "UTF8"
  std::string collate;          ///< LC_COLLATE
  std::string ctype;            ///< LC_CTYPE
  std::string locale_provider;  ///< "libc", "icu" or "builtin"
  std::string locale;           ///< Of icu and builtin.
  std::string icu_rules;
  std::string comment;
  std::vector<StoredSetting> settings;
  std::vector<SecurityLabel> labels;
  int64_t size_bytes = 0;
  int server_major = 0;  ///< Of the server that it was read from.
};

/// Everything above about the database `name` on the server of `connection`; nothing when absent.
Result<std::optional<DatabaseProperties>> FindDatabase(std::stop_token stop, Deadline deadline,
                                                       Connection& connection,
                                                       std::string_view name);

/// Creates a database like `source`, owned by the admin role and fenced from its first moment (no
/// CONNECT for anybody, and CONNECTION LIMIT 0 unless that would shut out the admin himself, who is
/// no superuser), with the control row of `claim` in it. It is
/// made under a name that carries the migration's uid and renamed once it has the row, so whatever
/// is found after a crash is known to be ours. Repeatable. `admin_options` name any database of the
/// target server. Terminal "DatabaseExists" when a database of this name is not this migration's,
/// and "TargetTooOld", before anything is written, when the server is older than the source's.
Status CreateTargetDatabase(std::stop_token stop, Deadline deadline,
                            const ConnectOptions& admin_options, const DatabaseProperties& source,
                            const Claim& claim);

/// Whether CreateTargetDatabase() was cut short on this server: a database under its provisional
/// name is there. DropDatabase() removes it as well.
Result<bool> HasProvisionalDatabase(std::stop_token stop, Deadline deadline, Connection& connection,
                                    std::string_view migration_uid);

struct SkippedSetting {
  StoredSetting setting;
  std::string why;
};

/// Comment, security labels and stored settings of `source`, on the database of the transaction.
/// What the target's version or privileges refuse is skipped and returned: it is for a person to
/// judge.
Result<std::vector<SkippedSetting>> ApplyDatabaseProperties(std::stop_token stop, Deadline deadline,
                                                            Transaction& transaction,
                                                            const DatabaseProperties& source);

/// Lets the tenant in: access as `access` says (the source's, as it was before the fence) and
/// CONNECT for the migration's streams while their roles exist, control row verified → open, in one
/// transaction. `connection` is to the target database.
Status OpenDatabase(std::stop_token stop, Deadline deadline, Connection& connection,
                    const Claim& claim, const DatabaseAccess& access);

/// Whether a DROP DATABASE of it was cut short: nobody may enter it any more, and all that can be
/// done with it is to drop it (PostgreSQL 15.4 and its contemporaries: "invalid database"; older
/// ones do not know).
Result<bool> IsHalfDropped(std::stop_token stop, Deadline deadline, Connection& connection,
                           std::string_view name);

/// Drops the database if its control row is this migration's and in a state that may be dropped
/// (see control.h), sessions and all. Subscriptions in it are given up first, as no database with
/// one can be dropped; their slots at the publisher stay, since by then the other side's
/// subscription of that name is who uses them. Done already when absent. Terminal
/// "ForeignMigration", "Deposed", "NotClaimed", "StateMismatch". `admin_options` name another
/// database of the server.
Status DropDatabase(std::stop_token stop, Deadline deadline, const ConnectOptions& admin_options,
                    std::string_view name, const Claim& claim);

/// A stored setting's name for SET, RESET and GRANT … ON PARAMETER. One of somebody's own
/// ("app.user") is quoted, as pg_dump does: it may hold a reserved word, and before version 14 just
/// anything that a superuser has made up.
std::string QuoteSettingName(std::string_view name);

/// The SQL after `SET name =` for a value as the catalog stores it: for a list (search_path) each
/// element is quoted by itself, or the list would become one odd name.
std::string SettingLiteral(std::string_view name, std::string_view stored_value);

/// `SET name = value` of a value as the catalog stores it: what ALTER DATABASE, ROLE and FUNCTION
/// take.
std::string SetClause(std::string_view name, std::string_view stored_value);

}  // namespace cutover::pg
