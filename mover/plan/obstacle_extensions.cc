// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "mover/plan/obstacle_search.h"

namespace cutover::mover {
namespace {

/// Extensions whose state is more than their tables, or acts by itself. A copy that looks complete
/// would not be one.
struct Peculiar {
  std::string_view name;
  const char* why;
  const char* remedy;
};
constexpr std::array kPeculiar = {
    Peculiar{"pg_cron", "its jobs would run on both sides at once, and belong to one server",
             "note what SELECT * FROM cron.job says, accept, and schedule the jobs on the target "
             "after the switch"},
    Peculiar{"timescaledb", "its chunks and catalog only survive its own dump and restore",
             "move this database by timescaledb's own means"},
    Peculiar{"citus", "its tables are spread over other servers",
             "move this database by Citus' own means"},
    Peculiar{"citus_columnar", "its storage is not read by COPY in the same snapshot",
             "on the source: SELECT alter_table_set_access_method(…, 'heap') for its tables, then "
             "DROP EXTENSION citus_columnar"},
    Peculiar{"pglogical", "its nodes and slots belong to one server",
             "accept, and create its nodes on the target after the switch"},
    Peculiar{"bdr", "its nodes and slots belong to one server",
             "remove the database from its group first"},
};

/// An extension, and something that is not its own but needs it ("" when nothing does).
constexpr char kExtensions[] = R"(
WITH RECURSIVE inside (extension, classid, objid) AS (
  SELECT d.refobjid, d.classid, d.objid FROM pg_catalog.pg_depend d
   WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
  UNION
  SELECT i.extension, d.classid, d.objid FROM inside i JOIN pg_catalog.pg_depend d
      ON d.refclassid = i.classid AND d.refobjid = i.objid AND d.deptype IN ('i', 'a'))
SELECT e.extname, e.extversion, coalesce((
  SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) FROM inside i
    JOIN pg_catalog.pg_depend d ON d.refclassid = i.classid AND d.refobjid = i.objid
   WHERE i.extension = e.oid AND d.deptype = 'n' AND NOT EXISTS (SELECT FROM inside o
     WHERE o.classid = d.classid AND o.objid = d.objid) LIMIT 1), '')
FROM pg_catalog.pg_extension e ORDER BY e.oid)";

/// Which are loaded when the server starts. Hidden from roles without pg_read_all_settings.
Result<std::string> PreloadedBy(ObstacleSearch& search, pg::Connection& connection) {
  TRY_ASSIGN(pg::Rows rows,
             connection.Query(search.stop, search.deadline,
                              "SELECT ',' || pg_catalog.replace(setting, ' ', '') || ','"
                              " FROM pg_catalog.pg_settings"
                              " WHERE name = 'shared_preload_libraries'"));
  return rows.empty() ? std::string() : rows[0].Text(0);
}

/// An ordinary role creates trusted extensions only; some providers let theirs create more, which
/// only a try can tell.
Status MayCreate(ObstacleSearch& search, const std::string& extension, bool trusted) {
  if (search.target_superuser || trusted) return Ok();
  TRY_ASSIGN(auto refusal,
             search.Try("CREATE EXTENSION " + pg::QuoteIdentifier(extension) + " CASCADE"));
  // 42710: it is there, where we try.
  if (!refusal || refusal->sqlstate == "42710") return Ok();
  search.Add(ExtensionObject(extension),
             "role " + pg::QuoteIdentifier(search.target_admin) +
                 " may not create it on the target: " + refusal->message,
             "let a superuser of the target run the move, or create the database with the "
             "extension before (--existing)",
             false);
  return Ok();
}

struct Offer {
  bool any = false;
  bool same_version = false;
  bool trusted = false;
};

Result<Offer> ReadOffer(ObstacleSearch& search, const std::string& extension,
                        const std::string& version) {
  TRY_ASSIGN(pg::Rows rows,
             search.OfTarget("SELECT count(*), count(*) FILTER (WHERE version = $2),"
                             " coalesce(bool_and(trusted OR NOT superuser), false)"
                             " FROM pg_catalog.pg_available_extension_versions WHERE name = $1",
                             {extension, version}));
  return Offer{rows[0].Int(0) > 0, rows[0].Int(1) > 0, rows[0].Bool(2)};
}

Status LookAtExtension(ObstacleSearch& search, const std::string& name, const std::string& version,
                       const std::string& needed_by) {
  const std::string needed = needed_by.empty() ? "" : " (" + needed_by + " needs it)";
  auto peculiar = std::find_if(kPeculiar.begin(), kPeculiar.end(),
                               [&](const Peculiar& candidate) { return candidate.name == name; });
  if (peculiar != kPeculiar.end()) {
    search.Add(ExtensionObject(name), peculiar->why + needed, peculiar->remedy, needed_by.empty());
    return Ok();
  }
  TRY_ASSIGN(Offer offer, ReadOffer(search, name, version));
  if (!offer.any) {
    search.Add(
        ExtensionObject(name), "the target's server does not have it" + needed,
        "install the package that brings it there, or drop it on the source: DROP EXTENSION " +
            pg::QuoteIdentifier(name),
        needed_by.empty());
    return Ok();
  }
  if (name == "plpgsql") return Ok();  // Every new database has it.
  TRY(MayCreate(search, name, offer.trusted));
  return FindMemberObstacles(search, name, version);
}

}  // namespace

Status FindExtensionObstacles(ObstacleSearch& search) {
  TRY_ASSIGN(std::string ours, PreloadedBy(search, search.source));
  TRY_ASSIGN(std::string theirs, PreloadedBy(search, search.target));
  TRY_ASSIGN(pg::Rows rows, search.OfSource(kExtensions));
  bool has_plpgsql = false;
  for (const pg::Row row : rows) {
    const std::string name = row.Text(0);
    has_plpgsql |= name == "plpgsql";
    TRY(LookAtExtension(search, name, row.Text(1), row.Text(2)));
    const std::string listed = "," + name + ",";
    if (ours.find(listed) != std::string::npos && theirs.find(listed) == std::string::npos)
      search.Note("extension " + name +
                  " is in shared_preload_libraries of the source's server and "
                  "not of the target's; what it does from there it will not do");
  }
  if (!has_plpgsql && !search.target_superuser)
    search.Add(ExtensionObject("plpgsql"),
               "the source has dropped it; a new database on the target has it, and role " +
                   pg::QuoteIdentifier(search.target_admin) + " may not drop it there",
               "on the source: CREATE EXTENSION plpgsql", false);
  return Ok();
}

}  // namespace cutover::mover
