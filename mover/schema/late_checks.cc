// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/late_checks.h"

#include <utility>

#include "mover/schema/restore.h"

namespace cutover::mover {
namespace {

// Functions of extensions do not read the tenant's tables, and 16384 is where OIDs begin that
// initdb did not give. An operator's function counts as well.
constexpr char kLateChecks[] = R"(
SELECT n.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid),
       coalesce(pg_catalog.obj_description(k.oid, 'pg_constraint'), '')
  FROM pg_catalog.pg_constraint k
       JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype = 'c' AND k.conislocal AND k.coninhcount = 0 AND c.relkind IN ('r', 'p')
   AND n.nspname NOT IN ('cutover', 'information_schema') AND n.nspname !~ '^pg_'
   AND EXISTS (
     SELECT FROM pg_catalog.pg_depend d
            LEFT JOIN pg_catalog.pg_operator o ON d.refclassid =
              'pg_catalog.pg_operator'::regclass AND o.oid = d.refobjid
            JOIN pg_catalog.pg_proc p ON p.oid = CASE WHEN d.refclassid =
              'pg_catalog.pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
      WHERE d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid
        AND p.oid >= 16384 AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_proc'::regclass
             AND e.objid = p.oid AND e.deptype = 'e'))
   AND NOT EXISTS (
     SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass
        AND e.objid = c.oid AND e.deptype = 'e')
   AND NOT EXISTS (
     SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_constraint h ON h.conrelid =
              i.inhrelid AND h.conname = k.conname AND h.conislocal
      WHERE i.inhparent = k.conrelid)
 ORDER BY k.oid)";

/// Under the usual search path when the empty one does not do: the functions may need it.
Status InOneTransaction(std::stop_token stop, Deadline deadline, pg::Connection& target,
                        const std::string& sql) {
  auto attempt = [&](const char* before) -> Status {
    TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(stop, deadline, target));
    TRY(transaction.Exec(stop, deadline, before + sql));
    return transaction.Commit(stop, deadline);
  };
  Status done = attempt("");
  if (done || !target.usable() || !FailedByName(done.error())) return done;
  return attempt("SET LOCAL search_path TO \"$user\", public; ");
}

}  // namespace

Result<std::vector<LateCheck>> ReadLateChecks(std::stop_token stop, Deadline deadline,
                                              pg::Connection& source) {
  TRY_ASSIGN(pg::Rows rows, source.Query(stop, deadline, kLateChecks));
  std::vector<LateCheck> checks;
  for (const pg::Row row : rows)
    checks.push_back({pg::QuoteQualified(row.Text(0), row.Text(1)),
                      pg::QuoteIdentifier(row.Text(2)), row.Text(3), row.Text(4)});
  return checks;
}

Status RemoveLateChecks(std::stop_token stop, Deadline deadline, pg::Connection& target,
                        const std::vector<LateCheck>& checks) {
  for (const LateCheck& check : checks) {
    TRY(target.Exec(stop, deadline,
                    "ALTER TABLE " + check.table + " DROP CONSTRAINT IF EXISTS " + check.name));
  }
  return Ok();
}

Status RestoreLateChecks(std::stop_token stop, Deadline deadline, pg::Connection& target,
                         const std::vector<LateCheck>& checks) {
  TRY(RemoveLateChecks(stop, deadline, target, checks));
  for (const LateCheck& check : checks) {
    std::string sql = "ALTER TABLE " + check.table + " ADD CONSTRAINT " + check.name + " " +
                      check.definition + "; ";
    if (!check.comment.empty())
      sql += "COMMENT ON CONSTRAINT " + check.name + " ON " + check.table + " IS " +
             pg::QuoteLiteral(check.comment);
    Status done = InOneTransaction(stop, deadline, target, sql);
    if (!done)
      return tl::make_unexpected(
          WithContext(std::move(done).error(),
                      "proving CHECK CONSTRAINT " + check.name + " of " + check.table));
  }
  return Ok();
}

}  // namespace cutover::mover
