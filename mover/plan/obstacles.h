// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/plan/restore_script.h"
#include "mover/schema/extensions.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/database.h"
#include "postgres/roles.h"

namespace cutover::mover {

/// Something of the source that would not be on the target afterwards, or not as it was.
struct Obstacle {
  /// Kind and name, as `--accept` takes it. An entry of the dump is named as
  /// RestoreItem::Describe() names it ("EVENT TRIGGER tell"), a difference that verification would
  /// see as Mismatch::table does ("database setting work_mem"), everything else in lower case
  /// ("role bob", "extension postgis", "tablespace fast").
  std::string object;
  std::string why;
  std::string remedy;  ///< What to do about it; a statement where one does it.
  /// False where leaving it behind would break what comes along: --accept cannot help then.
  bool waivable = true;

  auto operator<=>(const Obstacle&) const = default;
};

struct Obstacles {
  std::vector<Obstacle> found;
  /// What comes along, though not quite as it was, and what somebody has to do afterwards
  /// (subscriptions come disabled). Warnings of the report; nothing to accept.
  std::vector<std::string> notes;
};

/// How the move is meant.
struct MoveTerms {
  /// The database to fill. `create`: it is made by this run, as the source's twin. Otherwise it
  /// exists, and `target` below is connected to it.
  std::string target_database;
  bool create = true;
  std::map<std::string, std::string> role_names;  ///< source → target, those that differ.
  std::string migration_uid;
  bool withhold_powers = false;      ///< As CloneOptions have it.
  bool distrust_superusers = false;  ///< As CloneOptions have it.
  bool preflight_passed = false;     ///< As CloneOptions have it.
};

/// Looks for all that cannot come, before anything is written: extensions, roles and their
/// passwords, settings, collations, tablespaces, libraries, label providers, and what the roles of
/// `source` and `target` are not allowed to do (with the GRANT that would help).
///
/// `source` is connected to the database to copy. `target` is connected to an admin database of the
/// target's server, or to the target database when that exists; it must not be in a transaction.
/// Some questions have no other answer than a try: those are made in transactions of `target` that
/// are rolled back. `script` is the source's structure, under its own role names.
/// An error means that the question could not be answered, never that there is an obstacle; but for
/// a target of an older major, of which nothing else is worth asking: terminal "TargetTooOld".
Result<Obstacles> FindObstacles(std::stop_token stop, Deadline deadline, pg::Connection& source,
                                pg::Connection& target, const RestoreScript& script,
                                const MoveTerms& terms);

/// That part of it which must be known before the source can even be locked and dumped: terminal
/// "Obstacles" names all that our role may not read there, with the GRANTs. For the start of a run.
Status RequireReadable(std::stop_token stop, Deadline deadline, pg::Connection& source);

/// Pure: the obstacles among `found` that `accept` waives. Terminal "Obstacles" names all the
/// others at once with their remedies. Terminal "NothingToAccept" when an item of `accept` names no
/// obstacle: a misspelt one would waive nothing.
Result<std::vector<Obstacle>> WaiveObstacles(const std::vector<Obstacle>& found,
                                             const std::vector<std::string>& accept);

/// Pure: the items of `accept` that name no obstacle.
std::vector<std::string> NotInTheWay(const std::vector<Obstacle>& found,
                                     const std::vector<std::string>& accept);

/// Pure: takes the entries of waived obstacles out of `script`, with the entries that hang on them
/// (comments, grants, labels). Others are left alone: an entry that needs a missing one fails by
/// name when it is restored. Roles, settings, labels and extensions are read apart from the dump,
/// and so are left out apart from it. All under the names that they have on the source: leave out
/// first, rename roles then.
void LeaveOut(const std::vector<Obstacle>& waived, RestoreScript& script);
/// A waived role is one that exists on the target, and is used there as it is.
void LeaveOut(const std::vector<Obstacle>& waived, pg::RoleSet& roles);
void LeaveOut(const std::vector<Obstacle>& waived, pg::DatabaseProperties& properties);
void LeaveOut(const std::vector<Obstacle>& waived, std::vector<Extension>& extensions);

/// How --accept, obstacles and differences name a role.
using pg::RoleObject;

/// Pure: whether a difference in `object`, as Mismatch::table names it, is what was accepted.
bool IsAccepted(const std::string& object, const std::vector<std::string>& accept);

/// Pure: "EVENT TRIGGER tell was left behind, as accepted: …", for the report.
std::string DescribeWaived(const Obstacle& obstacle);

}  // namespace cutover::mover
