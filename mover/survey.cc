// SPDX-License-Identifier: Apache-2.0
#include "mover/survey.h"

#include <algorithm>
#include <utility>

#include "mover/process/parallel.h"
#include "mover/process/source_guard.h"
#include "mover/schema/restore.h"

namespace cutover::mover {
namespace {

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

Status ReadCatalog(std::stop_token stop, pg::Connection& source, Survey& survey) {
  TRY(ReadProperties(stop, source, survey));
  TRY_ASSIGN(survey.roles, pg::ReadReferencedRoles(stop, Deadline::Never(), source));
  TRY_ASSIGN(survey.objects, ReadTablesByObject(stop, Deadline::Never(), source));
  TRY_ASSIGN(survey.extensions, ReadExtensions(stop, Deadline::Never(), source));
  TRY_ASSIGN(survey.matviews, ReadPopulatedMatviews(stop, Deadline::Never(), source));
  return Ok();
}

std::string RowsObject(const TablePlan& table) { return "rows of " + table.Display(); }

/// What is neither copied nor archived must have been given up in so many words.
Status RequireArchive(const CloneOptions& options, Survey& survey) {
  if (!options.archive_directory.empty()) return Ok();
  std::string unaccepted;
  for (const TablePlan& table : survey.tables) {
    if (!table.excluded) continue;
    const std::string object = RowsObject(table);
    if (std::find(options.accept.begin(), options.accept.end(), object) != options.accept.end())
      survey.notes.push_back(object + " were left behind, as accepted");
    else
      unaccepted += (unaccepted.empty() ? "" : ", ") + object;
  }
  if (unaccepted.empty()) return Ok();
  return TerminalError("ExcludedRowsWouldBeLost",
                       unaccepted +
                           " would be neither in the copy nor anywhere else; name a directory with "
                           "--archive, or give them up with --accept");
}

}  // namespace

Result<Side> OpenSource(std::stop_token stop, const CloneOptions& options) {
  if (options.snapshot.empty()) return Side::Open(stop, options.source);
  return Side::Adopt(stop, options.source, options.snapshot);
}

Result<Survey> SurveySource(std::stop_token stop, const PgPrograms& programs,
                            const CloneOptions& options, Side& source) {
  Survey survey;
  pg::Connection& connection = source.connection();
  TRY(programs.RequireDumpFor(stop, Deadline::Never(), connection.major_version()));
  TRY_ASSIGN(survey.tables, ReadTables(stop, Deadline::Never(), connection));
  TRY(ExcludeTables(options.exclude_tables, survey.tables));
  TRY(RequireArchive(options, survey));
  OrderForCopy(survey.tables);
  TRY(LockTables(stop, connection, survey.tables, options.lock_seconds_max));
  // pg_dump reads the catalog at the same time as we do.
  auto [dump, read] = Together(
      [&] {
        return DumpSchema(stop, Deadline::Never(), programs, options.source, source.snapshot());
      },
      [&] { return ReadCatalog(stop, connection, survey); });
  TRY(read);
  TRY(dump);
  survey.structure = std::move(*dump);
  survey.schedule = PlanRestore(survey.structure.script, survey.structure.pre_data, survey.objects);
  return survey;
}

}  // namespace cutover::mover
