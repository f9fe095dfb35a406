// SPDX-License-Identifier: Apache-2.0
#include "postgres/database.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "postgres/replication/stream.h"

namespace cutover::pg {
namespace {

constexpr size_t kNameBytesMax = 63;

/// The columns of pg_database that say how text is compared, as this version spells them.
std::string LocaleColumns(int major) {
  if (major >= 17) return "d.datlocprovider, d.datlocale, d.daticurules";
  if (major == 16) return "d.datlocprovider, d.daticulocale, d.daticurules";
  if (major == 15) return "d.datlocprovider, d.daticulocale, NULL";
  return "'c', NULL, NULL";
}

std::string ProviderNamed(const std::string& letter) {
  if (letter == "i") return "icu";
  if (letter == "b") return "builtin";
  return "libc";
}

/// The name under which a database is made, before it has a control row to say whose it is.
std::string ProvisionalName(std::string_view migration_uid) {
  std::string name = "cutover_new_" + std::string(migration_uid);
  return name.substr(0, kNameBytesMax);
}

Result<std::vector<StoredSetting>> ReadSettings(const std::stop_token& stop, Deadline deadline,
                                                Connection& connection, std::string_view name) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, R"(
      SELECT coalesce(r.rolname, ''), split_part(item, '=', 1),
             substr(item, strpos(item, '=') + 1)
        FROM pg_db_role_setting s
             JOIN pg_database d ON d.oid = s.setdatabase
             LEFT JOIN pg_roles r ON r.oid = s.setrole
             CROSS JOIN unnest(s.setconfig) AS item
       WHERE d.datname = $1 ORDER BY 1, 2)",
                                         {name}));
  std::vector<StoredSetting> settings;
  for (Row row : rows) settings.push_back({row.Text(0), row.Text(1), row.Text(2)});
  return settings;
}

Result<std::vector<SecurityLabel>> ReadLabels(const std::stop_token& stop, Deadline deadline,
                                              Connection& connection, std::string_view name) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline,
                                         "SELECT l.provider, l.label FROM pg_shseclabel l"
                                         " JOIN pg_database d ON d.oid = l.objoid"
                                         " AND l.classoid = 'pg_database'::regclass"
                                         " WHERE d.datname = $1 ORDER BY 1",
                                         {name}));
  std::vector<SecurityLabel> labels;
  for (Row row : rows) labels.push_back({row.Text(0), row.Text(1)});
  return labels;
}

std::string CreateStatement(const std::string& name, const DatabaseProperties& source, int major,
                            bool admin_is_superuser) {
  std::string sql = "CREATE DATABASE " + QuoteIdentifier(name) + " TEMPLATE template0" +
                    (admin_is_superuser ? " CONNECTION LIMIT 0" : "") + " ENCODING " +
                    QuoteLiteral(source.encoding) + " LC_COLLATE " + QuoteLiteral(source.collate) +
                    " LC_CTYPE " + QuoteLiteral(source.ctype);
  if (major >= 15) sql += " LOCALE_PROVIDER " + source.locale_provider;
  if (source.locale_provider == "icu") sql += " ICU_LOCALE " + QuoteLiteral(source.locale);
  if (source.locale_provider == "builtin") sql += " BUILTIN_LOCALE " + QuoteLiteral(source.locale);
  if (!source.icu_rules.empty()) sql += " ICU_RULES " + QuoteLiteral(source.icu_rules);
  return sql;
}

Result<bool> Exists(const std::stop_token& stop, Deadline deadline, Connection& connection,
                    std::string_view name) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline,
                                         "SELECT FROM pg_database WHERE datname = $1", {name}));
  return !rows.empty();
}

/// A database of the wanted name is there: fine if this migration's row is in it.
Status ClaimExisting(const std::stop_token& stop, Deadline deadline,
                     const ConnectOptions& admin_options, const std::string& name,
                     const Claim& claim) {
  TRY_ASSIGN(Connection connection,
             Connection::Open(stop, deadline, admin_options.WithDatabase(name)));
  TRY_ASSIGN(std::optional<Control> control, ReadControl(stop, deadline, connection));
  if (!control || control->migration_uid != claim.migration_uid)
    return TerminalError(
        "DatabaseExists",
        "database " + QuoteIdentifier(name) +
            " exists on the target and is not this migration's; rename or drop it");
  TRY(ClaimEpoch(stop, deadline, connection, claim));
  return Ok();
}

Status ApplySetting(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                    const std::string& database, const StoredSetting& setting) {
  std::string sql = setting.role.empty() ? "ALTER DATABASE " + QuoteIdentifier(database)
                                         : "ALTER ROLE " + QuoteIdentifier(setting.role) +
                                               " IN DATABASE " + QuoteIdentifier(database);
  sql += " " + SetClause(setting.name, setting.value);
  TRY(transaction.Exec(stop, deadline, "SAVEPOINT setting"));
  Status applied = transaction.Exec(stop, deadline, sql);
  if (applied) return transaction.Exec(stop, deadline, "RELEASE SAVEPOINT setting");
  if (!transaction.connection().usable()) return applied;
  TRY(transaction.Exec(stop, deadline, "ROLLBACK TO SAVEPOINT setting"));
  return applied;
}

/// Elements of a list as the catalog stores it: names, quoted where they have to be.
std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> elements;
  std::string element;
  bool quoted = false;
  bool any = false;
  for (size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '"' && quoted && at + 1 < text.size() && text[at + 1] == '"') {
      element += text[++at];
    } else if (c == '"') {
      quoted = !quoted;
      any = true;
    } else if (!quoted && c == ',') {
      elements.push_back(std::exchange(element, {}));
      any = false;
    } else if (quoted || std::isspace(static_cast<unsigned char>(c)) == 0) {
      element += c;
      any = true;
    }
  }
  if (any || !elements.empty()) elements.push_back(element);
  return elements;
}

}  // namespace

std::string QuoteSettingName(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(),
                                 [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
  return plain ? std::string(name) : QuoteIdentifier(name);
}

std::string SettingLiteral(std::string_view name, std::string_view stored_value) {
  // Those that the server marks GUC_LIST_QUOTE; pg_dump knows them by name as well.
  static constexpr std::array<std::string_view, 5> kLists = {
      "local_preload_libraries", "search_path", "session_preload_libraries", "temp_tablespaces",
      "unix_socket_directories"};
  if (std::find(kLists.begin(), kLists.end(), name) == kLists.end())
    return QuoteLiteral(stored_value);
  std::string literal;
  for (const std::string& element : SplitList(stored_value))
    literal += (literal.empty() ? "" : ", ") + QuoteLiteral(element);
  return literal.empty() ? "''" : literal;
}

std::string SetClause(std::string_view name, std::string_view stored_value) {
  return "SET " + QuoteSettingName(name) + " = " + SettingLiteral(name, stored_value);
}

Result<std::optional<DatabaseProperties>> FindDatabase(std::stop_token stop, Deadline deadline,
                                                       Connection& connection,
                                                       std::string_view name) {
  TRY_ASSIGN(Rows rows,
             connection.Query(stop, deadline,
                              "SELECT pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, " +
                                  LocaleColumns(connection.major_version()) +
                                  ", shobj_description(d.oid, 'pg_database'), "
                                  "pg_database_size(d.oid) FROM pg_database d WHERE datname = $1",
                              {name}));
  if (rows.empty()) return std::optional<DatabaseProperties>();
  DatabaseProperties properties;
  properties.name = name;
  properties.encoding = rows[0].Text(0);
  properties.collate = rows[0].Text(1);
  properties.ctype = rows[0].Text(2);
  properties.locale_provider = ProviderNamed(rows[0].Text(3));
  properties.locale = rows[0].Text(4);
  properties.icu_rules = rows[0].Text(5);
  properties.comment = rows[0].Text(6);
  properties.size_bytes = rows[0].Int(7);
  properties.server_major = connection.major_version();
  TRY_ASSIGN(properties.access, ReadAccess(stop, deadline, connection, name));
  TRY_ASSIGN(properties.settings, ReadSettings(stop, deadline, connection, name));
  TRY_ASSIGN(properties.labels, ReadLabels(stop, deadline, connection, name));
  return std::optional(std::move(properties));
}

Status CreateTargetDatabase(std::stop_token stop, Deadline deadline,
                            const ConnectOptions& admin_options, const DatabaseProperties& source,
                            const Claim& claim) {
  TRY_ASSIGN(Connection server, Connection::Open(stop, deadline, admin_options));
  if (server.major_version() < source.server_major)
    return TerminalError("TargetTooOld", "the target's server is of major " +
                                             std::to_string(server.major_version()) +
                                             ", the source's of " +
                                             std::to_string(source.server_major) +
                                             "; name a target of the same or a newer major");
  TRY_ASSIGN(bool exists, Exists(stop, deadline, server, source.name));
  if (exists) return ClaimExisting(stop, deadline, admin_options, source.name, claim);
  const std::string provisional = ProvisionalName(claim.migration_uid);
  TRY_ASSIGN(bool begun, Exists(stop, deadline, server, provisional));
  if (!begun) {
    TRY_ASSIGN(Rows admin,
               server.QueryOne(stop, deadline,
                               "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"));
    TRY(server.Exec(
        stop, deadline,
        CreateStatement(provisional, source, server.major_version(), admin[0].Bool(0))));
  }
  TRY(server.Exec(stop, deadline,
                  "REVOKE ALL ON DATABASE " + QuoteIdentifier(provisional) + " FROM PUBLIC"));
  {
    TRY_ASSIGN(Connection connection,
               Connection::Open(stop, deadline, admin_options.WithDatabase(provisional)));
    TRY(ClaimEpoch(stop, deadline, connection, claim));
  }
  // The scope above has closed our own session: a database that is in use cannot be renamed.
  return server.Exec(stop, deadline,
                     "ALTER DATABASE " + QuoteIdentifier(provisional) + " RENAME TO " +
                         QuoteIdentifier(source.name));
}

Result<std::vector<SkippedSetting>> ApplyDatabaseProperties(std::stop_token stop, Deadline deadline,
                                                            Transaction& transaction,
                                                            const DatabaseProperties& source) {
  TRY_ASSIGN(Rows name, transaction.QueryOne(stop, deadline, "SELECT current_database()"));
  const std::string database = name[0].Text(0);
  if (!source.comment.empty()) {
    TRY(transaction.Exec(stop, deadline,
                         "COMMENT ON DATABASE " + QuoteIdentifier(database) + " IS " +
                             QuoteLiteral(source.comment)));
  }
  for (const SecurityLabel& label : source.labels) {
    TRY(transaction.Exec(stop, deadline,
                         "SECURITY LABEL FOR " + QuoteIdentifier(label.provider) + " ON DATABASE " +
                             QuoteIdentifier(database) + " IS " + QuoteLiteral(label.label)));
  }
  std::vector<SkippedSetting> skipped;
  for (const StoredSetting& setting : source.settings) {
    Status applied = ApplySetting(stop, deadline, transaction, database, setting);
    if (applied) continue;
    if (applied.error().disposition != Disposition::kTerminal)
      return tl::unexpected(std::move(applied).error());
    skipped.push_back({setting, applied.error().message});
  }
  return skipped;
}

Status OpenDatabase(std::stop_token stop, Deadline deadline, Connection& connection,
                    const Claim& claim, const DatabaseAccess& access) {
  return WithEpoch(
      stop, deadline, connection, claim,
      [&](Transaction& transaction, const Control& held) -> Status {
        if (held.state == ControlState::kOpen) return Ok();
        TRY(MoveState(stop, deadline, transaction, held, ControlState::kVerified,
                      ControlState::kOpen));
        TRY_ASSIGN(Rows name, transaction.QueryOne(stop, deadline, "SELECT current_database()"));
        // The reverse stream reads from the target from here on.
        TRY_ASSIGN(DatabaseAccess with_streams,
                   WithStreamRoles(stop, deadline, transaction, access, claim.migration_uid));
        return ApplyAccess(stop, deadline, transaction, name[0].Text(0), with_streams);
      });
}

namespace {

/// Makes the intention durable in the database itself, so that nobody writes there hereafter in
/// the belief that it stays.
Status MarkDropping(const std::stop_token& stop, Deadline deadline,
                    const ConnectOptions& admin_options, std::string_view name,
                    const Claim& claim) {
  TRY_ASSIGN(Connection connection,
             Connection::Open(stop, deadline, admin_options.WithDatabase(name)));
  return WithEpoch(
      stop, deadline, connection, claim,
      [&](Transaction& transaction, const Control& held) -> Status {
        if (held.state == ControlState::kDropping) return Ok();
        if (!MayMove(held.side, held.state, ControlState::kDropping))
          return TerminalError("StateMismatch",
                               "the " + std::string(Name(held.side)) + " database is " +
                                   std::string(Name(held.state)) + " and must not be dropped");
        return MoveState(stop, deadline, transaction, held, held.state, ControlState::kDropping);
      });
}

/// No database with a subscription can be dropped. After this nobody may count on the database.
Status GiveUpSubscriptions(const std::stop_token& stop, Deadline deadline,
                           const ConnectOptions& admin_options, std::string_view name) {
  TRY_ASSIGN(Connection connection,
             Connection::Open(stop, deadline, admin_options.WithDatabase(name)));
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline,
                                         "SELECT s.subname FROM pg_subscription s JOIN pg_database"
                                         " d ON d.oid = s.subdbid WHERE d.datname = $1",
                                         {name}));
  for (Row row : rows) {
    const std::string subscription = QuoteIdentifier(row.Text(0));
    TRY(connection.Exec(stop, deadline, "ALTER SUBSCRIPTION " + subscription + " DISABLE"));
    TRY(connection.Exec(stop, deadline,
                        "ALTER SUBSCRIPTION " + subscription + " SET (slot_name = NONE)"));
    TRY(connection.Exec(stop, deadline, "DROP SUBSCRIPTION " + subscription));
  }
  return Ok();
}

/// DROP DATABASE knows names, not control rows: a leader that froze in front of it must not wake up
/// when another has long dropped the database and made a new one of that name. So whoever drops
/// holds a lock, by the session that will do it, from before the check of the epoch to the end; and
/// whoever comes later ends that session first.
Status TakeOverDropping(const std::stop_token& stop, Deadline deadline, Connection& server,
                        std::string_view name) {
  TRY(server.Query(stop, deadline,
                   "SELECT pg_terminate_backend(pid) FROM pg_locks"
                   " WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"
                   " AND classid = 4853715 AND objid = (hashtext($1)::bigint & 4294967295)::oid",
                   {name}));
  TRY(server.Query(stop, deadline, "SELECT pg_advisory_lock(4853715, hashtext($1))", {name}));
  return Ok();
}

Status DropNow(const std::stop_token& stop, Deadline deadline, Connection& server,
               std::string_view name) {
  return server.Exec(stop, deadline,
                     "DROP DATABASE IF EXISTS " + QuoteIdentifier(name) + " WITH (FORCE)");
}

}  // namespace

Result<bool> HasProvisionalDatabase(std::stop_token stop, Deadline deadline, Connection& connection,
                                    std::string_view migration_uid) {
  return Exists(stop, deadline, connection, ProvisionalName(migration_uid));
}

Result<bool> IsHalfDropped(std::stop_token stop, Deadline deadline, Connection& connection,
                           std::string_view name) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline,
                                         "SELECT FROM pg_catalog.pg_database"
                                         " WHERE datname = $1 AND datconnlimit = -2",
                                         {name}));
  return !rows.empty();
}

Status DropDatabase(std::stop_token stop, Deadline deadline, const ConnectOptions& admin_options,
                    std::string_view name, const Claim& claim) {
  TRY_ASSIGN(Connection server, Connection::Open(stop, deadline, admin_options));
  if (claim.side == Side::kTarget)
    TRY(DropNow(stop, deadline, server, ProvisionalName(claim.migration_uid)));
  TRY_ASSIGN(bool exists, Exists(stop, deadline, server, name));
  if (!exists) return Ok();
  TRY(TakeOverDropping(stop, deadline, server, name));
  // Asked behind that lock: it is not another one of that name by now.
  TRY_ASSIGN(bool half_dropped, IsHalfDropped(stop, deadline, server, name));
  if (half_dropped) return DropNow(stop, deadline, server, name);
  TRY(MarkDropping(stop, deadline, admin_options, name, claim));
  TRY(GiveUpSubscriptions(stop, deadline, admin_options, name));
  return DropNow(stop, deadline, server, name);
}

}  // namespace cutover::pg
