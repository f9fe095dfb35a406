// SPDX-License-Identifier: Apache-2.0
//
// What two placements have in common. A move changes what one of them names, and the other one's
// tenant would have to follow it without being moved.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "reconcilers/migration/preflight/findings.h"

namespace cutover::migration {
namespace {

// Those that a move stops, and those that it makes lead elsewhere.
std::vector<api::ObjectRef> ObjectsToBeChanged(const api::DatabasePlacementSpec& spec) {
  std::vector<api::ObjectRef> objects = spec.workloads;
  if (spec.connection.secret) objects.push_back({"Secret", spec.connection.secret->name});
  for (const api::WiringFile& file : spec.connection.config_files) objects.push_back(file.object);
  return objects;
}

std::vector<std::string> InBoth(const std::vector<api::ObjectRef>& ours,
                                const std::vector<api::ObjectRef>& theirs) {
  std::vector<std::string> titles;
  for (const api::ObjectRef& object : ours)
    if (std::find(theirs.begin(), theirs.end(), object) != theirs.end())
      titles.push_back(object.kind + " " + object.name);
  return titles;
}

bool HoldsTheSameDatabase(const PreflightFacts& facts, const api::DatabasePlacement& other) {
  const std::string& home =
      other.status.server_name.empty() ? other.spec.server_name : other.status.server_name;
  return home == facts.source_server_name &&
         other.spec.database_name == facts.placement.spec.database_name;
}

void CompareObjects(const api::DatabasePlacementSpec& ours, const api::DatabasePlacement& other,
                    Findings& findings) {
  const std::string title = "DatabasePlacement " + other.meta.name;
  const auto changed = InBoth(ObjectsToBeChanged(ours), ObjectsToBeChanged(other.spec));
  if (!changed.empty())
    findings.push_back({Severity::kBlocking, "SharedObject",
                        List(changed) + ": also of " + title +
                            ", whose tenant would be stopped and led to a server where it is not: "
                            "give each tenant its own, or delete the placement that nobody needs"});
  const auto routes = InBoth(ours.routes, other.spec.routes);
  if (!routes.empty())
    findings.push_back({Severity::kWarning, "SharedRoute",
                        List(routes) + ": also of " + title +
                            ", whose users may see the maintenance page, too: give each tenant its "
                            "own route if they shall not"});
}

}  // namespace

Findings NothingIsShared(const PreflightFacts& facts) {
  const api::DatabasePlacement& ours = facts.placement;
  Findings findings;
  for (const auto& other : facts.placements) {
    const bool in_namespace = other->meta.namespace_name == ours.meta.namespace_name;
    if (other->meta.deleting() || (in_namespace && other->meta.name == ours.meta.name)) continue;
    // That it is theirs is proven by their adoption, which takes the database's own password.
    const bool proven = in_namespace || !other->status.server_name.empty();
    if (HoldsTheSameDatabase(facts, *other))
      findings.push_back({proven ? Severity::kBlocking : Severity::kWarning, "SharedDatabase",
                          "database " + ours.spec.database_name + " on " +
                              facts.source_server_name + " is also that of DatabasePlacement " +
                              other->meta.namespace_name + "/" + other->meta.name +
                              ", whose users would be shut out: delete one of the two"});
    else if (in_namespace)
      CompareObjects(ours.spec, *other, findings);
  }
  return findings;
}

}  // namespace cutover::migration
