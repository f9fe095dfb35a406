// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/procedure_arguments.h"

#include <string>

namespace cutover::mover {
namespace {

// Each procedure with arguments: its names as a dump writes them, its arguments without and with
// defaults in the older spelling, and the same two in the newer one. The number in
// pg_get_function_arg_default() counts input arguments; procedures that old have no others.
constexpr char kProcedures[] = R"(
SELECT quote_ident(n.nspname), quote_ident(p.proname),
       pg_catalog.pg_get_function_identity_arguments(p.oid),
       pg_catalog.pg_get_function_arguments(p.oid), newer.identity, newer.arguments
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
CROSS JOIN LATERAL (
  SELECT string_agg(words, ', ' ORDER BY at) AS identity,
         string_agg(words || coalesce(' DEFAULT ' ||
                    pg_catalog.pg_get_function_arg_default(p.oid, at::integer), ''),
                    ', ' ORDER BY at) AS arguments
  FROM (SELECT at,
               CASE p.proargmodes[at] WHEN 'b' THEN 'INOUT ' WHEN 'v' THEN 'VARIADIC '
                    ELSE 'IN ' END ||
               CASE WHEN coalesce(p.proargnames[at], '') = '' THEN ''
                    ELSE quote_ident(p.proargnames[at]) || ' ' END ||
               pg_catalog.format_type(type, NULL) AS words
        FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY AS t (type, at)
       ) AS argument) AS newer
WHERE p.prokind = 'p' AND p.pronargs > 0 AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', 'cutover'))";

void ReplaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

std::string Call(const std::string& name, const std::string& arguments) {
  return name + "(" + arguments + ")";
}

}  // namespace

Status SpellProcedureArguments(std::stop_token stop, pg::Connection& source,
                               RestoreScript& script) {
  TRY_ASSIGN(pg::Rows rows, source.Query(stop, Deadline::Never(), kProcedures));
  for (const pg::Row row : rows) {
    const std::string name = row.Text(1), qualified = row.Text(0) + "." + name;
    for (RestoreItem& item : script.items) {
      if (item.schema.empty() || (item.type != "PROCEDURE" && item.type != "ACL" &&
                                  item.type != "COMMENT" && item.type != "SECURITY LABEL"))
        continue;
      ReplaceAll(item.name, "PROCEDURE " + Call(name, row.Text(2)),
                 "PROCEDURE " + Call(name, row.Text(4)));
      for (const int older : {2, 3})
        ReplaceAll(item.sql, "PROCEDURE " + Call(qualified, row.Text(older)),
                   "PROCEDURE " + Call(qualified, row.Text(older + 2)));
    }
  }
  return Ok();
}

}  // namespace cutover::mover
