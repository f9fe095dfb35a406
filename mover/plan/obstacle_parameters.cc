// SPDX-License-Identifier: Apache-2.0
// GRANT … ON PARAMETER: privileges on a whole server's settings, which no dump of a database holds.
#include <algorithm>
#include <string>
#include <vector>

#include "mover/plan/obstacle_search.h"

namespace cutover::mover {
namespace {

constexpr int kFirstMajor = 15;

/// Of those that let somebody do what he might not do without.
constexpr char kGranted[] = R"(
SELECT p.parname, coalesce(r.rolname, ''), a.privilege_type
  FROM pg_catalog.pg_parameter_acl p CROSS JOIN pg_catalog.aclexplode(p.paracl) AS a
       LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
 WHERE (a.grantee = 0 OR r.rolname = ANY ($1::text[]))
   AND NOT (a.privilege_type = 'SET' AND EXISTS (
         SELECT FROM pg_catalog.pg_settings s
          WHERE lower(s.name) = p.parname AND s.context = 'user'))
 ORDER BY 1, 2, 3)";

constexpr char kHolds[] = R"(
SELECT CASE WHEN $1 = 'public' OR EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)
            THEN pg_catalog.has_parameter_privilege($1::name, $2, $3) ELSE false END)";

}  // namespace

Status FindParameterObstacles(ObstacleSearch& search, const pg::RoleSet& roles) {
  if (search.source.major_version() < kFirstMajor) return Ok();
  std::vector<std::string> names;
  for (const pg::Role& role : roles.roles)
    if (!role.superuser) names.push_back(role.name);
  TRY_ASSIGN(pg::Rows granted, search.OfSource(kGranted, {names}));
  for (const pg::Row row : granted) {
    const std::string parameter = row.Text(0), role = row.Text(1), privilege = row.Text(2);
    const std::string there = role.empty() ? "public" : search.Renamed(role);
    TRY_ASSIGN(pg::Rows holds, search.OfTarget(kHolds, {there, parameter, privilege}));
    if (holds[0].Bool(0)) continue;
    search.Add("privilege " + privilege + " on parameter " + parameter + " of " +
                   (role.empty() ? "everybody" : "role " + role),
               "it is granted by the server, not by the database, and not on the target",
               "on the target, once the role is there: GRANT " + privilege + " ON PARAMETER " +
                   pg::QuoteSettingName(parameter) + " TO " +
                   (role.empty() ? "PUBLIC" : pg::QuoteIdentifier(there)) +
                   "; or accept that it is not given");
  }
  return Ok();
}

}  // namespace cutover::mover
