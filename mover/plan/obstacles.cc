// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/obstacles.h"

#include <algorithm>
#include <set>
#include <utility>

#include "mover/plan/obstacle_search.h"
#include "mover/plan/sql_tokens.h"

namespace cutover::mover {
namespace {

Status ReadWhoWeAre(ObstacleSearch& search) {
  const std::string sql =
      "SELECT rolname, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
  TRY_ASSIGN(pg::Rows source, search.source.QueryOne(search.stop, search.deadline, sql));
  search.source_admin = source[0].Text(0);
  search.source_superuser = source[0].Bool(1);
  TRY_ASSIGN(pg::Rows target, search.target.QueryOne(search.stop, search.deadline, sql));
  search.target_admin = target[0].Text(0);
  search.target_superuser = target[0].Bool(1);
  return Ok();
}

/// Nothing else can be asked of such a server.
Result<bool> IsTargetUsable(ObstacleSearch& search) {
  if (search.target.major_version() < search.source.major_version())
    return TerminalError(
        "TargetTooOld",
        "the target's server is PostgreSQL " + std::to_string(search.target.major_version()) +
            ", older than the source's " + std::to_string(search.source.major_version()) +
            "; a database only moves to the same or a newer major version");
  TRY_ASSIGN(pg::Rows rows, search.target.QueryOne(search.stop, search.deadline,
                                                   "SELECT pg_catalog.pg_is_in_recovery()"));
  if (!rows[0].Bool(0)) return true;
  search.Add("target server", "it is a standby, which takes no writes",
             "connect to the primary, or promote this one", false);
  return false;
}

/// Of an entry that is named like the object itself ("USER MAPPING bob SERVER files"), the type is
/// not said twice.
bool IsEntryOf(const RestoreItem& item, const std::string& object) {
  return item.Describe() == object || (item.name == object && object.starts_with(item.type));
}

std::set<std::string> Objects(const std::vector<Obstacle>& obstacles) {
  std::set<std::string> objects;
  for (const Obstacle& obstacle : obstacles) objects.insert(obstacle.object);
  return objects;
}

/// `sql`, SECURITY LABEL statements, without those whose provider is that of `object`.
std::string WithoutLabels(const std::string& sql, const std::string& object) {
  const std::vector<SqlToken> tokens = TokenizeSql(sql);
  std::string kept;
  for (const SqlStatement& statement : SplitStatements(sql, tokens)) {
    const SqlToken& provider = tokens[std::min(statement.begin + 3, statement.end - 1)];
    if (LabelsObject(NameOf(sql, provider)) == object) continue;
    const size_t begin = tokens[statement.begin].begin;
    kept += sql.substr(begin, tokens[statement.end - 1].end - begin) + "\n";
  }
  return kept;
}

std::string Sentence(const Obstacle& obstacle) {
  return obstacle.object + ": " + obstacle.why + "; " + obstacle.remedy;
}

}  // namespace

std::string ExtensionObject(const std::string& extension) { return "extension " + extension; }

std::string DatabaseSettingObject(const pg::StoredSetting& setting) {
  return "database setting " + setting.name +
         (setting.role.empty() ? "" : " of role " + setting.role);
}

Result<std::optional<ObstacleSearch::Refusal>> ObstacleSearch::Try(const std::string& sql) {
  TRY_ASSIGN(pg::Transaction probe, pg::Transaction::Begin(stop, deadline, target));
  Status done = probe.Exec(stop, deadline, sql);
  const std::string sqlstate = done ? "" : target.last_sqlstate();
  if (!done && (!target.usable() || done.error().disposition != Disposition::kTerminal))
    return tl::make_unexpected(std::move(done).error());
  TRY(probe.Rollback(stop, deadline));
  if (done) return std::optional<Refusal>();
  return std::optional(Refusal{sqlstate, done.error().message});
}

const RestoreItem* ObstacleSearch::Entry(uint32_t object_oid, std::string_view type) const {
  auto found = std::find_if(script.items.begin(), script.items.end(), [&](const RestoreItem& item) {
    return item.object_oid == object_oid && item.type == type;
  });
  return found == script.items.end() ? nullptr : &*found;
}

std::string ObstacleSearch::Renamed(const std::string& role) const {
  auto found = terms.role_names.find(role);
  return found == terms.role_names.end() ? role : found->second;
}

Result<Obstacles> FindObstacles(std::stop_token stop, Deadline deadline, pg::Connection& source,
                                pg::Connection& target, const RestoreScript& script,
                                const MoveTerms& terms) {
  ObstacleSearch search{stop, deadline, source, target, script, terms, "", "", false, false, {}};
  TRY(ReadWhoWeAre(search));
  TRY_ASSIGN(bool usable, IsTargetUsable(search));
  if (!usable) return std::move(search.result);
  TRY(FindDatabaseObstacles(search));
  TRY(FindRoleObstacles(search));
  TRY(FindExtensionObstacles(search));
  TRY(FindObjectObstacles(search));
  TRY(FindPrivilegeObstacles(search));
  if (terms.distrust_superusers) TRY(FindSuperuserObstacles(search));
  std::vector<Obstacle>& found = search.result.found;
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return std::move(search.result);
}

Result<std::vector<Obstacle>> WaiveObstacles(const std::vector<Obstacle>& found,
                                             const std::vector<std::string>& accept) {
  const std::set<std::string> accepted(accept.begin(), accept.end());
  std::set<std::string> unused = accepted;
  std::vector<Obstacle> waived;
  std::string refused;
  for (const Obstacle& obstacle : found) {
    unused.erase(obstacle.object);
    if (obstacle.waivable && accepted.contains(obstacle.object)) {
      waived.push_back(obstacle);
      continue;
    }
    refused += "\n  " + Sentence(obstacle);
    if (!obstacle.waivable && accepted.contains(obstacle.object))
      refused += " (this cannot be accepted)";
  }
  if (!refused.empty())
    return TerminalError("Obstacles",
                         "not everything of the database can come along; nothing was written. "
                         "Remove what is in the way, or accept by name what may stay behind:" +
                             refused);
  if (unused.empty()) return waived;
  std::string names;
  for (const std::string& name : unused) names += (names.empty() ? "'" : ", '") + name + "'";
  return TerminalError("NothingToAccept",
                       names +
                           " is to be accepted, but is not in the way; leave that out, or "
                           "correct the name");
}

std::vector<std::string> NotInTheWay(const std::vector<Obstacle>& found,
                                     const std::vector<std::string>& accept) {
  const std::set<std::string> objects = Objects(found);
  std::vector<std::string> idle;
  std::copy_if(accept.begin(), accept.end(), std::back_inserter(idle),
               [&](const std::string& item) { return !objects.contains(item); });
  return idle;
}

void LeaveOut(const std::vector<Obstacle>& waived, RestoreScript& script) {
  std::set<int> gone;
  for (RestoreItem& item : script.items) {
    for (const Obstacle& obstacle : waived) {
      if (IsEntryOf(item, obstacle.object)) gone.insert(item.dump_id);
      if (item.type == "SECURITY LABEL") item.sql = WithoutLabels(item.sql, obstacle.object);
    }
  }
  std::erase_if(script.items, [&](const RestoreItem& item) {
    const bool hangs_on = item.type == "COMMENT" || item.type == "ACL" ||
                          item.type == "SECURITY LABEL" || item.type.starts_with("PUBLICATION ");
    return gone.contains(item.dump_id) || (item.type == "SECURITY LABEL" && item.sql.empty()) ||
           (hangs_on && std::any_of(item.depends_on.begin(), item.depends_on.end(),
                                    [&](int id) { return gone.contains(id); }));
  });
}

void LeaveOut(const std::vector<Obstacle>& waived, pg::RoleSet& roles) {
  pg::LeaveOut(Objects(waived), roles);
}

void LeaveOut(const std::vector<Obstacle>& waived, pg::DatabaseProperties& properties) {
  const std::set<std::string> objects = Objects(waived);
  std::erase_if(properties.settings, [&](const pg::StoredSetting& setting) {
    return objects.contains(DatabaseSettingObject(setting));
  });
  std::erase_if(properties.labels, [&](const pg::SecurityLabel& label) {
    return objects.contains(LabelsObject(label.provider));
  });
}

void LeaveOut(const std::vector<Obstacle>& waived, std::vector<Extension>& extensions) {
  const std::set<std::string> objects = Objects(waived);
  std::erase_if(extensions, [&](const Extension& extension) {
    return objects.contains(ExtensionObject(extension.name));
  });
}

bool IsAccepted(const std::string& object, const std::vector<std::string>& accept) {
  constexpr std::string_view kLabel = "database security label of ";
  const std::string accepted =
      object.starts_with(kLabel) ? LabelsObject(object.substr(kLabel.size())) : object;
  return std::any_of(accept.begin(), accept.end(), [&](const std::string& item) {
    // Whoever accepts a role takes it as it is on the target.
    const bool of_role =
        item.starts_with(RoleObject("")) &&
        (object.starts_with(pg::MembershipObject({.group = "", .member = item.substr(5)})) ||
         (object.starts_with("setting ") && object.ends_with(" of " + item)));
    return item == accepted || of_role;
  });
}

std::string DescribeWaived(const Obstacle& obstacle) {
  return obstacle.object + " was left as it is, as accepted: " + obstacle.why;
}

}  // namespace cutover::mover
