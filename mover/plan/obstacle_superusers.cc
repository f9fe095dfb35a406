// SPDX-License-Identifier: Apache-2.0
// What a superuser of the source has made, and what would act with a superuser's rights on the
// target. Whoever was one on a server of his own is none on a server that he shares.
#include <algorithm>
#include <map>
#include <string>

#include "mover/plan/obstacle_search.h"
#include "operator/base/enumerate.h"
#include "postgres/catalog.h"

namespace cutover::mover {
namespace {

constexpr size_t kNamedMax = 10;

/// Views read, SECURITY DEFINER functions run, and the functions of a table's indexes and of a
/// materialized view are called, with their owner's rights.
constexpr char kOwned[] = R"(
WITH owned (classid, objid, owner, kind) AS (
  SELECT 'pg_catalog.pg_class'::regclass::oid, c.oid, c.relowner,
         CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                        WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END
    FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL
  SELECT 'pg_catalog.pg_proc'::regclass, p.oid, p.proowner,
         CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END
    FROM pg_catalog.pg_proc p WHERE p.prosecdef)
SELECT o.classid, o.objid, r.rolname,
       pg_catalog.pg_describe_object(o.classid, o.objid, 0),
       'ALTER ' || kind || ' ' || (pg_catalog.pg_identify_object(o.classid, o.objid, 0)).identity ||
       ' OWNER TO ' || CASE WHEN d.rolsuper THEN '…' ELSE pg_catalog.quote_ident(d.rolname) END
  FROM owned o JOIN pg_catalog.pg_roles r ON r.oid = o.owner AND r.rolsuper,
       pg_catalog.pg_roles d
 WHERE o.objid >= 16384 AND d.oid = (SELECT datdba FROM pg_catalog.pg_database
                                      WHERE datname = pg_catalog.current_database())
 ORDER BY 4)";

bool ComesAlong(const ObstacleSearch& search, const pg::Row row) {
  return std::any_of(search.script.items.begin(), search.script.items.end(),
                     [&](const RestoreItem& item) {
                       return item.class_oid == row.Int(0) && item.object_oid == row.Int(1);
                     });
}

Status WhatTheyOwn(ObstacleSearch& search) {
  struct Owned {
    std::vector<std::string> names;
    std::string remedy;  ///< Of the first.
  };
  TRY_ASSIGN(pg::Rows rows, search.OfSource(kOwned));
  std::map<std::string, Owned> by_role;
  for (const pg::Row row : rows) {
    if (!ComesAlong(search, row)) continue;
    Owned& owned = by_role[row.Text(2)];
    owned.names.push_back(row.Text(3));
    if (owned.remedy.empty()) owned.remedy = row.Text(4);
  }
  for (const auto& [role, owned] : by_role)
    search.Add("objects of superuser " + role,
               Enumerate(owned.names, kNamedMax) +
                   " would act with the rights of the target's superuser, and on a server of his "
                   "own a tenant may have made them",
               "give them on the source to a role that is no superuser: " + owned.remedy +
                   (owned.names.size() > 1 ? "; …" : ""),
               false);
  return Ok();
}

/// By file_fdw, which reads the server's files and runs its programs for whoever may read the
/// table; and by postgres_fdw, past the password that everybody else has to have.
constexpr char kForeign[] = R"(
SELECT 'FOREIGN TABLE ' || n.nspname || '.' || c.relname,
       'whoever may read it reads files, or runs programs, of the server''s machine'
  FROM pg_catalog.pg_foreign_table t JOIN pg_catalog.pg_class c ON c.oid = t.ftrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver
       JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw
       JOIN pg_catalog.pg_proc p ON p.oid = w.fdwhandler
 WHERE p.proname = 'file_fdw_handler'
UNION ALL
SELECT 'USER MAPPING ' || m.usename || ' SERVER ' || m.srvname,
       'only a superuser may set its option ' || o.option_name
  FROM pg_catalog.pg_user_mappings m, pg_catalog.pg_options_to_table(m.umoptions) o
 WHERE o.option_name IN ('password_required', 'sslcert', 'sslkey') ORDER BY 1, 2)";

/// Grants beyond those that an extension's own script gives where it takes PUBLIC's away
/// (dblink_connect_u).
constexpr char kBeyondExtension[] = R"(
SELECT DISTINCT pg_catalog.pg_describe_object(i.classoid, i.objoid, 0)
  FROM pg_catalog.pg_init_privs i
       LEFT JOIN pg_catalog.pg_proc p
              ON i.classoid = 'pg_catalog.pg_proc'::regclass AND p.oid = i.objoid
       LEFT JOIN pg_catalog.pg_class c
              ON i.classoid = 'pg_catalog.pg_class'::regclass AND c.oid = i.objoid,
       LATERAL pg_catalog.aclexplode(coalesce(p.proacl, c.relacl)) a
 WHERE i.privtype = 'e' AND i.objsubid = 0 AND a.grantee <> coalesce(p.proowner, c.relowner)
   AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(i.initprivs) was
                    WHERE was.grantee = a.grantee AND was.privilege_type = a.privilege_type)
 ORDER BY 1)";

Status WhatIsGrantedOfExtensions(ObstacleSearch& search) {
  TRY_ASSIGN(pg::Rows rows, search.OfSource(kBeyondExtension));
  for (const pg::Row row : rows)
    search.Add("grants on " + row.Text(0),
               "its extension withholds it from ordinary users, and a superuser of the source has "
               "given it to some",
               "on the source: REVOKE what was granted", false);
  return Ok();
}

/// They would hold for whatever the target's superuser makes in this database, the operator's own
/// tables among it.
Status WhatTheyGiveInAdvance(ObstacleSearch& search) {
  TRY_ASSIGN(pg::Rows rows,
             search.OfSource("SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper"));
  for (const pg::Row row : rows)
    for (const RestoreItem& item : search.script.items)
      if (item.type == "DEFAULT ACL" && item.owner == row.Text(0))
        search.Add(item.Describe(),
                   "it is superuser " + item.owner +
                       "'s, and would give away what that of the "
                       "target makes",
                   "on the source: ALTER DEFAULT PRIVILEGES FOR ROLE " +
                       pg::QuoteIdentifier(item.owner) +
                       " … REVOKE; or accept that it stays behind");
  return Ok();
}

Status WhatReachesTheMachine(ObstacleSearch& search) {
  TRY_ASSIGN(pg::Rows rows, search.OfSource(kForeign));
  for (const pg::Row row : rows)
    search.Add(row.Text(0), row.Text(1) + ", and the source's superusers are none here",
               "take it away on the source, or accept that it stays behind");
  return Ok();
}

}  // namespace

Status FindSuperuserObstacles(ObstacleSearch& search) {
  TRY(WhatTheyOwn(search));
  TRY(WhatTheyGiveInAdvance(search));
  TRY(WhatIsGrantedOfExtensions(search));
  return WhatReachesTheMachine(search);
}

}  // namespace cutover::mover
