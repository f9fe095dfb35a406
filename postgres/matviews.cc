// SPDX-License-Identifier: Apache-2.0
#include "postgres/matviews.h"

#include <algorithm>
#include <map>

#include "postgres/authors_path.h"

namespace cutover::pg {
namespace {

// A view that reads another one, however indirectly, reads more views than that one does; so the
// number of views read is an order in which each finds its own filled.
constexpr char kMatviews[] = R"(
WITH RECURSIVE reads (reader, read) AS (
  SELECT r.ev_class, d.refobjid FROM pg_catalog.pg_rewrite r
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass
     AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
     AND d.refobjid <> r.ev_class
    JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind IN ('v', 'm')),
closure (reader, read) AS (
  SELECT reader, read FROM reads
   UNION SELECT c.reader, r.read FROM closure c JOIN reads r ON r.reader = c.read)
SELECT n.nspname, c.relname, c.relispopulated,
       c.relfilenode || ' ' || pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
                               + pg_stat_get_tuples_deleted(c.oid)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'm' AND n.nspname <> 'cutover'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.objid = c.oid
                   AND e.classid = 'pg_catalog.pg_class'::regclass AND e.deptype = 'e')
 ORDER BY (SELECT count(*) FROM closure WHERE reader = c.oid), c.oid)";

// What REFRESH … CONCURRENTLY asks for.
constexpr char kMayConcurrently[] =
    "SELECT c.relispopulated AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid"
    " AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL"
    " AND 0 <> ALL (i.indkey)) FROM pg_class c WHERE c.oid = $1::text::regclass";

// By a view's name: {"mark", "at", "trouble"}.
constexpr char kRecord[] = "materialized-view";

constexpr char kLockTimeout[] = "SET lock_timeout = '5s'";
constexpr char kReset[] = "RESET statement_timeout; RESET lock_timeout";
constexpr auto kResetTimeout = std::chrono::seconds(5);

}  // namespace

Result<std::vector<Matview>> ReadMatviews(std::stop_token stop, Deadline deadline,
                                          Connection& connection) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, kMatviews));
  std::vector<Matview> views;
  for (const Row row : rows)
    views.push_back({QuoteQualified(row.Text(0), row.Text(1)), row.Bool(2), row.Text(3)});
  return views;
}

Status RefreshMatview(std::stop_token stop, Deadline deadline, Connection& connection,
                      const std::string& name, std::chrono::milliseconds bound) {
  TRY_ASSIGN(Rows may, connection.QueryOne(stop, deadline, kMayConcurrently, {name}));
  const std::string refresh =
      std::string("REFRESH MATERIALIZED VIEW ") + (may[0].Bool(0) ? "CONCURRENTLY " : "") + name;
  TRY(connection.Exec(
      stop, deadline,
      std::string(kLockTimeout) + "; SET statement_timeout = " + std::to_string(bound.count())));
  Status done = WithAuthorsPath(stop, deadline, connection,
                                [&] { return connection.Exec(stop, deadline, refresh); });
  if (connection.usable()) TRY(connection.Exec({}, Deadline::After(kResetTimeout), kReset));
  return done;
}

Status RecordMatviews(std::stop_token stop, Deadline deadline, Transaction& transaction,
                      const std::vector<Matview>& views) {
  for (const Matview& view : views)
    TRY(RecordOnce(stop, deadline, transaction, kRecord, view.name,
                   Json::Object({{"mark", view.mark}})));
  return Ok();
}

Result<MatviewsSince> CompareMatviews(std::stop_token stop, Deadline deadline, Connection& source) {
  TRY_ASSIGN(auto entries, ReadRecords(stop, deadline, source, kRecord));
  MatviewsSince since;
  if (entries.empty()) return since;
  std::map<std::string, std::string> marks;
  for (const LedgerEntry& entry : entries) {
    marks[entry.name] = entry.value["mark"].AsString();
    const auto at = ParseTime(entry.value["at"].AsString());
    if (!at) continue;
    since.refreshed_at = std::max(since.refreshed_at.value_or(*at), *at);
    const std::string trouble = entry.value["trouble"].AsString();
    if (trouble.empty()) {
      ++since.refreshed;
      continue;
    }
    since.trouble += (since.trouble.empty() ? "" : "; ") + entry.name + ": " + trouble;
  }
  TRY_ASSIGN(auto views, ReadMatviews(stop, deadline, source));
  for (const Matview& view : views) {
    const auto mark = marks.find(view.name);
    if (view.filled && mark != marks.end() && mark->second != view.mark)
      since.stale.push_back(view);
  }
  return since;
}

Status NoteMatview(std::stop_token stop, Deadline deadline, Connection& source, const Claim& claim,
                   const Matview& view, WallTime now, const std::string& trouble) {
  Json value = Json::Object({{"mark", view.mark}, {"at", FormatMicroTime(now)}});
  if (!trouble.empty()) value.Set("trouble", trouble);
  return WithEpoch(stop, deadline, source, claim,
                   [&](Transaction& transaction, const Control&) -> Status {
                     TRY(ForgetRecord(stop, deadline, transaction, kRecord, view.name));
                     TRY(RecordOnce(stop, deadline, transaction, kRecord, view.name, value));
                     return Ok();
                   });
}

}  // namespace cutover::pg
