// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "mover/plan/obstacles.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/database.h"
#include "postgres/roles.h"

namespace cutover::mover {

/// How obstacles of these kinds are named.
std::string ExtensionObject(const std::string& extension);
using pg::LabelsObject;
std::string DatabaseSettingObject(const pg::StoredSetting& setting);

/// One search, and what the parts of it share. Each part, a function below, looks at one kind of
/// thing and adds what it finds; an error ends the search. Included by obstacle*.cc only.
struct ObstacleSearch {
  /// What a server says when it refuses a statement.
  struct Refusal {
    std::string sqlstate;
    std::string message;
  };

  std::stop_token stop;
  Deadline deadline;
  pg::Connection& source;
  pg::Connection& target;
  const RestoreScript& script;
  const MoveTerms& terms;
  std::string source_admin;  ///< The roles that we are connected as.
  std::string target_admin;
  bool source_superuser = false;
  bool target_superuser = false;
  Obstacles result;

  void Add(std::string object, std::string why, std::string remedy, bool waivable = true) {
    result.found.push_back({std::move(object), std::move(why), std::move(remedy), waivable});
  }
  void Note(std::string text) { result.notes.push_back(std::move(text)); }

  /// Whether the target takes `sql`, found out in a transaction that is rolled back.
  Result<std::optional<Refusal>> Try(const std::string& sql);
  /// Whether it takes that setting. Whoever may set it for himself may set it for a role or a
  /// database; values are checked alike.
  Result<std::optional<Refusal>> TrySetting(const pg::StoredSetting& setting) {
    return Try("ALTER ROLE CURRENT_USER " + pg::SetClause(setting.name, setting.value));
  }
  Result<pg::Rows> OfSource(const std::string& sql, const pg::Params& params = {}) {
    return source.Query(stop, deadline, sql, params);
  }
  Result<pg::Rows> OfTarget(const std::string& sql, const pg::Params& params = {}) {
    return target.Query(stop, deadline, sql, params);
  }
  /// The entry of the dump for an object of the source; nullptr when there is none.
  const RestoreItem* Entry(uint32_t object_oid, std::string_view type) const;
  /// A role's name on the target.
  std::string Renamed(const std::string& role) const;
};

/// Encoding, locale, stored settings, tablespaces, and what the target's server is.
Status FindDatabaseObstacles(ObstacleSearch& search);
/// Roles that are needed: absent, different, without password; memberships, roles' settings.
Status FindRoleObstacles(ObstacleSearch& search);
/// Privileges of `roles`, the source's, or of everybody on the source server's settings.
Status FindParameterObstacles(ObstacleSearch& search, const pg::RoleSet& roles);
/// Extensions: absent, of other software's kind, without preloading.
Status FindExtensionObstacles(ObstacleSearch& search);
/// What users have changed of an extension's objects. Some are only told by what the target's
/// server makes of the extension, which is tried there, and rolled back.
Status FindMemberObstacles(ObstacleSearch& search, const std::string& name,
                           const std::string& version);
/// Entries of the dump, and what no dump holds: collations, libraries, labels, subscriptions,
/// invalid indexes, foreign servers.
Status FindObjectObstacles(ObstacleSearch& search);
/// What we must be allowed and are not, on either side; and what only a superuser may make, where
/// the source's are not trusted.
Status FindPrivilegeObstacles(ObstacleSearch& search);
/// What acts with the rights of the source's superusers, where those are not trusted.
Status FindSuperuserObstacles(ObstacleSearch& search);

}  // namespace cutover::mover
