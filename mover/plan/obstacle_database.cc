// SPDX-License-Identifier: Apache-2.0
// What the database itself is: encoding, locale, settings, place on disk.
#include "mover/plan/obstacle_search.h"

namespace cutover::mover {
namespace {

/// CREATE DATABASE cannot be tried out; a collation of the same locale can.
std::string ProbeOfLocale(const pg::DatabaseProperties& properties) {
  const std::string create = "CREATE COLLATION pg_temp.cutover_probe (PROVIDER = ";
  if (properties.locale_provider == "icu")
    return create + "icu, LOCALE = " + pg::QuoteLiteral(properties.locale) + ")";
  if (properties.locale_provider == "builtin")
    return create + "builtin, LOCALE = " + pg::QuoteLiteral(properties.locale) + ")";
  return create + "libc, LC_COLLATE = " + pg::QuoteLiteral(properties.collate) +
         ", LC_CTYPE = " + pg::QuoteLiteral(properties.ctype) + ")";
}

Result<pg::DatabaseProperties> PropertiesOf(ObstacleSearch& search, pg::Connection& connection) {
  TRY_ASSIGN(pg::Rows rows, connection.QueryOne(search.stop, search.deadline,
                                                "SELECT pg_catalog.current_database()"));
  TRY_ASSIGN(auto found,
             pg::FindDatabase(search.stop, search.deadline, connection, rows[0].Text(0)));
  if (found) return std::move(*found);
  return TerminalError("DatabaseNotFound",
                       "a database vanished while it was looked at; see who dropped it");
}

/// A locale is tried in a database of the same encoding only: most locales have one of their own.
Status LocaleCanBeMade(ObstacleSearch& search, const pg::DatabaseProperties& source,
                       const pg::DatabaseProperties& there) {
  if (source.encoding != there.encoding) return Ok();
  TRY_ASSIGN(auto refusal, search.Try(ProbeOfLocale(source)));
  if (!refusal) return Ok();
  search.Add("database locale",
             "the target's server cannot make a database of locale " +
                 (source.locale_provider == "libc" ? source.collate + " / " + source.ctype
                                                   : source.locale_provider + " " + source.locale) +
                 ": " + refusal->message,
             "install the locale on that server's machine or in its image, and restart it", false);
  return Ok();
}

/// The database is there already, as whatever somebody created it.
void CompareWithExisting(ObstacleSearch& search, const pg::DatabaseProperties& source,
                         const pg::DatabaseProperties& target) {
  auto compare = [&](const char* what, const std::string& ours, const std::string& theirs,
                     bool waivable) {
    if (ours == theirs) return;
    search.Add(std::string("database ") + what,
               "it is '" + ours + "' on the source and '" + theirs + "' on the target",
               "create the target database like the source's, or let this run create it", waivable);
  };
  compare("encoding", source.encoding, target.encoding, false);
  compare("locale provider", source.locale_provider, target.locale_provider, true);
  compare("collation", source.collate, target.collate, true);
  compare("character type", source.ctype, target.ctype, true);
  compare("locale", source.locale, target.locale, true);
  compare("collation rules", source.icu_rules, target.icu_rules, true);
}

Status SettingsAreTaken(ObstacleSearch& search, const pg::DatabaseProperties& source) {
  for (const pg::StoredSetting& setting : source.settings) {
    TRY_ASSIGN(auto refusal, search.TrySetting(setting));
    if (!refusal) continue;
    const std::string of = setting.role.empty()
                               ? "ALTER DATABASE " + pg::QuoteIdentifier(source.name)
                               : "ALTER ROLE " + pg::QuoteIdentifier(setting.role) +
                                     " IN DATABASE " + pg::QuoteIdentifier(source.name);
    search.Add(DatabaseSettingObject(setting), "the target refuses it: " + refusal->message,
               refusal->sqlstate == "42501"
                   ? "on the target: GRANT SET ON PARAMETER " + pg::QuoteSettingName(setting.name) +
                         " TO " + pg::QuoteIdentifier(search.target_admin)
                   : "on the source: " + of + " RESET " + pg::QuoteSettingName(setting.name));
  }
  return Ok();
}

Status TablespacesAreDefault(ObstacleSearch& search) {
  TRY_ASSIGN(
      pg::Rows rows,
      search.OfSource("SELECT t.spcname, count(*) FROM pg_catalog.pg_tablespace t JOIN"
                      " (SELECT reltablespace FROM pg_catalog.pg_class"
                      "   WHERE reltablespace <> 0 AND oid >= 16384"
                      "  UNION ALL SELECT dattablespace FROM pg_catalog.pg_database"
                      "   WHERE datname = pg_catalog.current_database()) u (space)"
                      " ON u.space = t.oid WHERE t.spcname NOT IN ('pg_default', 'pg_global')"
                      " GROUP BY 1 ORDER BY 1"));
  for (const pg::Row row : rows)
    search.Add("tablespace " + row.Text(0),
               row.Text(1) +
                   " relations (or the database by default) are stored in it; on the "
                   "target all goes to the server's default place",
               "accept that, or move them on the source: ALTER TABLE ALL IN TABLESPACE " +
                   pg::QuoteIdentifier(row.Text(0)) + " SET TABLESPACE pg_default");
  return Ok();
}

}  // namespace

Status FindDatabaseObstacles(ObstacleSearch& search) {
  TRY_ASSIGN(pg::DatabaseProperties source, PropertiesOf(search, search.source));
  TRY_ASSIGN(pg::DatabaseProperties there, PropertiesOf(search, search.target));
  if (search.terms.create)
    TRY(LocaleCanBeMade(search, source, there));
  else
    CompareWithExisting(search, source, there);
  TRY(SettingsAreTaken(search, source));
  return TablespacesAreDefault(search);
}

}  // namespace cutover::mover
