// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/profiles/generic.h"

#include "reconcilers/migration/profiles/common.h"

namespace cutover::migration {
namespace {

using api::CheckWhen;

// Neither our own schema, which both sides have during a move, nor extensions' tables, of which
// another version may have others.
constexpr char kCountTables[] =
    "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' "
    "AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'cutover') "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e' "
    "AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)";

Result<Json> ReadFigures(std::stop_token stop, Deadline deadline, pg::Connection& connection) {
  TRY_ASSIGN(pg::Rows rows, connection.QueryOne(stop, deadline, kCountTables));
  return Json::Object({{"tables", rows[0].Int(0)}});
}

}  // namespace

Result<std::vector<Finding>> GenericProfile::Preflight(std::stop_token, Deadline,
                                                       pg::Connection&) const {
  return std::vector<Finding>();
}

Result<Json> GenericProfile::Baseline(std::stop_token stop, Deadline deadline,
                                      pg::Connection& source) const {
  TRY_ASSIGN(pg::Rows size,
             source.QueryOne(stop, deadline,
                             "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())"));
  TRY_ASSIGN(Json figures, ReadFigures(stop, deadline, source));
  return Json::Object({{"databaseBytes", size[0].Int(0)}, {"figures", figures}});
}

std::vector<BuiltinCheck> GenericProfile::Checks(const Json& baseline) const {
  Json figures = baseline["figures"];
  auto equal = [figures](std::stop_token stop, Deadline deadline,
                         const CheckContext& context) -> Result<std::string> {
    TRY_ASSIGN(pg::Connection tenant, ConnectAsTenant(stop, deadline, context));
    TRY_ASSIGN(Json found, ReadFigures(stop, deadline, tenant));
    TRY(CompareFigures(figures, found));
    return std::string("the tenant's role sees what the source had");
  };
  return {{"profile/source-idle", {CheckWhen::kSmoke, CheckWhen::kHypercare}, 60, SourceIsIdle},
          {.name = "profile/figures",
           .when = {CheckWhen::kSmoke},
           .run = equal,
           .needs_users_out = true}};
}

}  // namespace cutover::migration
