// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/view_definitions.h"

#include <map>
#include <optional>
#include <string>

namespace cutover::mover {
namespace {

/// By qualified name; without the closing semicolon, as pg_dump embeds them.
using Definitions = std::map<std::string, std::string>;

std::string WithoutSemicolon(std::string definition) {
  if (!definition.empty() && definition.back() == ';') definition.pop_back();
  return definition;
}

Result<Definitions> ReadDefinitions(std::stop_token stop, pg::Connection& connection) {
  TRY_ASSIGN(pg::Rows rows,
             connection.Query(stop, Deadline::Never(),
                              "SELECT n.nspname, c.relname, pg_catalog.pg_get_viewdef(c.oid)"
                              " FROM pg_catalog.pg_class c"
                              " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                              " WHERE c.relkind IN ('v', 'm') AND n.nspname !~ '^pg_'"
                              " AND n.nspname NOT IN ('information_schema', 'cutover')"));
  Definitions definitions;
  for (const pg::Row row : rows)
    definitions[pg::QuoteQualified(row.Text(0), row.Text(1))] = WithoutSemicolon(row.Text(2));
  return definitions;
}

/// The definition in the words of `target`; nothing when it cannot be read there.
Result<std::optional<std::string>> Translate(std::stop_token stop, pg::Connection& target,
                                             const std::string& definition) {
  TRY_ASSIGN(pg::Transaction probe, pg::Transaction::Begin(stop, Deadline::Never(), target));
  Status created =
      probe.Exec(stop, Deadline::Never(), "CREATE TEMPORARY VIEW cutover_probe AS " + definition);
  if (!created) {
    if (!target.usable()) return tl::make_unexpected(std::move(created).error());
    return std::optional<std::string>();
  }
  TRY_ASSIGN(pg::Rows rows,
             probe.QueryOne(stop, Deadline::Never(),
                            "SELECT pg_catalog.pg_get_viewdef('pg_temp.cutover_probe'::regclass)"));
  TRY(probe.Rollback(stop, Deadline::Never()));
  return std::optional<std::string>(WithoutSemicolon(rows[0].Text(0)));
}

void Replace(const std::string& from, const std::string& to, RestoreScript& script) {
  for (RestoreItem& item : script.items) {
    if (item.type != "VIEW" && item.type != "MATERIALIZED VIEW" && item.type != "RULE") continue;
    const size_t at = item.sql.find(from);
    if (at != std::string::npos) item.sql.replace(at, from.size(), to);
  }
}

}  // namespace

Status TranslateViewDefinitions(std::stop_token stop, pg::Connection& source,
                                pg::Connection& target, RestoreScript& script) {
  TRY_ASSIGN(Definitions ours, ReadDefinitions(stop, source));
  TRY_ASSIGN(Definitions theirs, ReadDefinitions(stop, target));
  for (const auto& [name, definition] : ours) {
    auto found = theirs.find(name);
    if (found == theirs.end() || found->second == definition) continue;
    TRY_ASSIGN(std::optional<std::string> translated, Translate(stop, target, definition));
    if (translated) Replace(definition, *translated, script);
  }
  return Ok();
}

}  // namespace cutover::mover
