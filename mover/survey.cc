// SPDX-License-Identifier: Apache-2.0
#include "mover/survey.h"

#include <chrono>
#include <utility>

#include "mover/plan/obstacles.h"
#include "mover/plan/role_names.h"
#include "mover/process/parallel.h"
#include "mover/process/source_guard.h"
#include "mover/process/source_locks.h"
#include "mover/schema/restore.h"
#include "postgres/excluded_tables.h"

namespace cutover::mover {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(30);

Status ReadProperties(std::stop_token stop, pg::Connection& source, Survey& survey) {
  TRY_ASSIGN(pg::Rows rows, source.QueryOne(stop, Deadline::Never(),
                                            "SELECT pg_catalog.current_database(),"
                                            " pg_catalog.to_regnamespace('public') IS NOT NULL"));
  survey.has_public_schema = rows[0].Bool(1);
  TRY_ASSIGN(auto found, pg::FindDatabase(stop, Deadline::Never(), source, rows[0].Text(0)));
  if (!found)
    return TerminalError("DatabaseNotFound",
                         "the source database vanished; look whether somebody dropped it");
  survey.properties = std::move(*found);
  return Ok();
}

Status ReadCatalog(std::stop_token stop, pg::Connection& source, Survey& survey,
                   TablesByObject& objects) {
  TRY(ReadProperties(stop, source, survey));
  TRY_ASSIGN(survey.roles, pg::ReadReferencedRoles(stop, Deadline::Never(), source));
  survey.source_roles = survey.roles;
  TRY_ASSIGN(objects, ReadTablesByObject(stop, Deadline::Never(), source));
  TRY_ASSIGN(survey.extensions, ReadExtensions(stop, Deadline::Never(), source));
  TRY_ASSIGN(survey.late_checks, ReadLateChecks(stop, Deadline::Never(), source));
  TRY_ASSIGN(survey.bare_columns, ReadBareColumns(stop, Deadline::Never(), source));
  TRY_ASSIGN(survey.column_orders, ReadColumnOrders(stop, Deadline::Never(), source));
  TRY_ASSIGN(survey.matviews, ReadPopulatedMatviews(stop, Deadline::Never(), source));
  return Ok();
}

/// What is neither copied nor archived must have been given up in so many words.
void FindLostRows(const CloneOptions& options, const Survey& survey, Obstacles& obstacles) {
  if (!options.archive_directory.empty()) return;
  for (const TablePlan& table : survey.tables)
    if (table.excluded)
      obstacles.found.push_back({"rows of " + table.Display(),
                                 "they would be neither in the copy nor anywhere else",
                                 "name a directory for them with --archive", true});
}

/// The target would refuse the foreign key at the very end.
Status FindLostReferences(std::stop_token stop, const CloneOptions& options, pg::Connection& source,
                          Obstacles& obstacles) {
  TRY_ASSIGN(auto broken,
             pg::FindBrokenReferences(stop, Deadline::Never(), source, options.exclude_tables));
  for (const pg::BrokenReference& reference : broken)
    obstacles.found.push_back(
        {reference.Object(),
         "rows of " + reference.table + " refer to rows of " + reference.referenced +
             ", which is excluded, so that the target would refuse this foreign key",
         "exclude " + reference.Referring() + " too, or do not exclude " + reference.referenced,
         reference.whole});
  return Ok();
}

/// Inherited columns that stand elsewhere than first, of tables that cannot be moulded.
void FindOtherOrders(const Survey& survey, Obstacles& obstacles) {
  for (const ColumnOrder& order : survey.column_orders)
    if (order.has_generated)
      obstacles.found.push_back(
          {order.Object(),
           "a restored table has its inherited columns first, which these are not, and one of its "
           "columns is generated, so the order cannot be given to it: INSERT and COPY that name no "
           "columns would put values into the wrong ones",
           "see that nothing writes to it without naming columns, and accept; or make it anew on "
           "the source with the columns of its parents first",
           true});
}

constexpr char kUnlogged[] =
    "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND n.nspname !~ '^pg_' ORDER BY 1";
constexpr char kCountLargeObjects[] =
    "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata HAVING count(*) > 0";

/// Of a copy that a stream follows: what no stream carries (traps 34 and 58).
Status FindUnfollowed(std::stop_token stop, pg::Connection& source, Obstacles& obstacles) {
  TRY_ASSIGN(pg::Rows large, source.Query(stop, Deadline::Never(), kCountLargeObjects));
  for (const pg::Row row : large)
    obstacles.found.push_back(
        {"large objects",
         "there are " + row.Text(0) + ", and no stream carries what users change of them",
         "copy while nobody writes, without a slot; or accept, if they are never changed", true});
  TRY_ASSIGN(pg::Rows unlogged, source.Query(stop, Deadline::Never(), kUnlogged));
  for (const pg::Row row : unlogged)
    obstacles.notes.push_back("table " + row.Text(0) +
                              " is unlogged: no stream carries its changes, so the target has its "
                              "rows as they were when the copy began");
  return Ok();
}

/// Takes what somebody gave up out of the survey, and gives roles their names on the target. Fails
/// for whatever else cannot come along.
Status Reconcile(std::stop_token stop, const CloneOptions& options, pg::Connection& source,
                 Survey& survey) {
  TRY_ASSIGN(pg::Connection target,
             pg::Connection::Open(stop, Deadline::After(kConnectTimeout),
                                  options.admin ? *options.admin : options.target));
  const MoveTerms terms{options.target.database, options.admin.has_value(),
                        options.role_names,      options.migration_uid,
                        options.withhold_powers, options.distrust_superusers,
                        options.preflight_passed};
  TRY_ASSIGN(Obstacles obstacles, FindObstacles(stop, Deadline::Never(), source, target,
                                                survey.structure.script, terms));
  FindLostRows(options, survey, obstacles);
  FindOtherOrders(survey, obstacles);
  TRY(FindLostReferences(stop, options, source, obstacles));
  if (options.followed) TRY(FindUnfollowed(stop, source, obstacles));
  survey.notes = std::move(obstacles.notes);
  std::vector<std::string> accept = options.accept;
  if (options.preflight_passed) {
    for (const std::string& idle : NotInTheWay(obstacles.found, accept)) {
      survey.notes.push_back("'" + idle + "' was accepted, but nothing of that name is in the way");
      std::erase(accept, idle);
    }
  }
  TRY_ASSIGN(std::vector<Obstacle> waived, WaiveObstacles(obstacles.found, accept));
  for (const Obstacle& obstacle : waived) survey.notes.push_back(DescribeWaived(obstacle));
  LeaveOut(waived, survey.structure.script);
  LeaveOut(waived, survey.roles);
  LeaveOut(waived, survey.properties);
  LeaveOut(waived, survey.extensions);
  if (options.role_names.empty()) return Ok();
  RenameRoles(options.role_names, survey.structure.script);
  RenameRoles(options.role_names, survey.roles);
  RenameRoles(options.role_names, survey.properties);
  RenameRoles(options.role_names, survey.extensions);
  return Ok();
}

Result<Survey> Look(std::stop_token stop, const PgPrograms& programs, const CloneOptions& options,
                    Side& source) {
  Survey survey;
  pg::Connection& connection = source.connection();
  TRY(RequireReadable(stop, Deadline::Never(), connection));
  TRY(programs.RequireDumpFor(stop, Deadline::Never(), connection.major_version()));
  TRY_ASSIGN(survey.tables, ReadTables(stop, Deadline::Never(), connection));
  TRY(ExcludeTables(stop, Deadline::Never(), connection, options.exclude_tables, survey.tables));
  OrderForCopy(survey.tables);
  TRY(LockTables(stop, connection, survey.tables));
  TablesByObject objects;
  // pg_dump reads the catalog at the same time as we do.
  auto [dump, read] = Together(
      [&] {
        return DumpSchema(stop, Deadline::Never(), programs, source.connection().options(),
                          source.snapshot(), options.lock_seconds_max);
      },
      [&] { return ReadCatalog(stop, connection, survey, objects); });
  TRY(read);
  TRY(dump);
  survey.structure = std::move(*dump);
  TRY(Reconcile(stop, options, connection, survey));
  survey.schedule = PlanRestore(survey.structure.script, survey.structure.pre_data, objects);
  return survey;
}

}  // namespace

Result<Side> OpenSource(std::stop_token stop, const CloneOptions& options) {
  pg::ConnectOptions source = options.source;
  // Of every session: asking a table's size takes a lock, too, and so does each lane's COPY.
  source.settings.emplace_back("lock_timeout", std::to_string(options.lock_seconds_max) + "s");
  if (options.snapshot.empty()) return Side::Open(stop, source);
  return Side::Adopt(stop, source, options.snapshot);
}

Result<Survey> SurveySource(std::stop_token stop, const PgPrograms& programs,
                            const CloneOptions& options, Side& source) {
  Result<Survey> survey = Look(stop, programs, options, source);
  if (survey) return survey;
  return tl::make_unexpected(ExplainLock(stop, options.source, std::move(survey).error()));
}

}  // namespace cutover::mover
