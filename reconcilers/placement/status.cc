// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/placement/status.h"

#include <optional>
#include <string>

#include "reconcilers/server/progress.h"

namespace cutover::placement {
namespace {

using api::ConditionStatus;
using server::Progress;

// One condition's content.
struct Verdict {
  ConditionStatus status = ConditionStatus::kTrue;
  std::string reason;
  std::string message;
  Progress progress = Progress::kSettled;
};

Verdict Stalled(const char* reason, const std::string& message) {
  return {ConditionStatus::kFalse, reason, message, Progress::kStalled};
}
Verdict Waiting(const char* reason, const std::string& message) {
  return {ConditionStatus::kFalse, reason, message, Progress::kReconciling};
}
Verdict Migrating(const std::string& migration, ConditionStatus status) {
  return {status, "Migrating",
          "TenantMigration " + migration + " is moving the tenant: its own status tells more",
          Progress::kReconciling};
}

const char kReady[] = "Ready";

// Each check says what it makes sure of, or what is wrong. The order is that of dependence.
using Check = std::optional<Verdict> (*)(const PlacementObservation&);

std::optional<Verdict> ServerIsChosen(const PlacementObservation& seen) {
  if (!seen.server_name.empty()) return std::nullopt;
  return Stalled("ServerNotChosen",
                 "nobody says where the tenant is: set spec.serverName to the DatabaseServer that "
                 "holds its database");
}

std::optional<Verdict> ServerExists(const PlacementObservation& seen) {
  if (seen.server) return std::nullopt;
  return Waiting("ServerNotFound", "DatabaseServer " + seen.server_name +
                                       " does not exist: create it, or correct spec.serverName");
}

std::optional<Verdict> ServerIsReady(const PlacementObservation& seen) {
  const api::Condition* ready = seen.server->status.conditions.Find(kReady);
  if (ready != nullptr && ready->status == ConditionStatus::kTrue) return std::nullopt;
  const std::string why = ready == nullptr ? "it has not been probed yet" : ready->message;
  return Waiting("ServerNotReady", "DatabaseServer " + seen.server_name + " is not ready: " + why);
}

std::optional<Verdict> NamespaceIsAllowed(const PlacementObservation& seen) {
  if (seen.namespace_allowed) return std::nullopt;
  return Stalled("NamespaceNotAllowed",
                 "DatabaseServer " + seen.server_name + " does not admit namespace " +
                     seen.placement.meta.namespace_name +
                     ": add it to its spec.allowedNamespaces, or name another server");
}

std::optional<Verdict> PasswordIsReadable(const PlacementObservation& seen) {
  if (seen.password) return std::nullopt;
  return Waiting("PasswordMissing", seen.password.error().message);
}

std::optional<Verdict> DatabaseIsKnown(const PlacementObservation& seen) {
  if (seen.database) return std::nullopt;
  return Waiting("DatabaseNotObserved", seen.database.error().message);
}

std::optional<Verdict> DatabaseExists(const PlacementObservation& seen) {
  if (seen.database->exists) return std::nullopt;
  return Stalled("DatabaseNotFound", "DatabaseServer " + seen.server_name + " has no database \"" +
                                         seen.placement.spec.database_name +
                                         "\": correct spec.database.name or spec.serverName");
}

std::optional<Verdict> OwnerIsAsSaid(const PlacementObservation& seen) {
  const std::string& owner = seen.placement.spec.owner;
  if (seen.database->owner == owner) return std::nullopt;
  return Stalled("OwnerDiffers", "the database belongs to role \"" + seen.database->owner +
                                     "\", not to \"" + owner +
                                     "\" as spec.database.owner says: correct one of them");
}

std::optional<Verdict> TenantMayLogIn(const PlacementObservation& seen) {
  const Status& login = seen.database->tenant_login;
  if (login) return std::nullopt;
  const std::string message = "the tenant cannot log in with the password of Secret " +
                              seen.placement.spec.password_secret_ref.name + ": " +
                              login.error().message;
  return login.error().disposition == Disposition::kTerminal
             ? Stalled("TenantLoginFailed", message)
             : Waiting("TenantLoginFailed", message);
}

std::optional<Verdict> ServiceIsCurrent(const PlacementObservation& seen) {
  if (seen.service) return std::nullopt;
  return seen.service.error().disposition == Disposition::kTerminal
             ? Stalled("ServiceNotCurrent", seen.service.error().message)
             : Waiting("ServiceNotCurrent", seen.service.error().message);
}

constexpr Check kTenantChecks[] = {ServerIsChosen,     ServerExists,       ServerIsReady,
                                   NamespaceIsAllowed, PasswordIsReadable, DatabaseIsKnown,
                                   DatabaseExists,     OwnerIsAsSaid,      TenantMayLogIn};

std::optional<Verdict> FindTenantTrouble(const PlacementObservation& seen) {
  for (Check check : kTenantChecks)
    if (std::optional<Verdict> verdict = check(seen)) return verdict;
  return std::nullopt;
}

Verdict DecideReady(const PlacementObservation& seen) {
  if (seen.is_being_moved) return Migrating(seen.migration_name, ConditionStatus::kUnknown);
  if (std::optional<Verdict> verdict = FindTenantTrouble(seen)) return *verdict;
  if (std::optional<Verdict> verdict = ServiceIsCurrent(seen)) return *verdict;
  return {
      ConditionStatus::kTrue, kReady,
      "the tenant's database is on DatabaseServer " + seen.server_name + " and its role can log in",
      Progress::kSettled};
}

Verdict Unknown(const std::string& message) {
  return {ConditionStatus::kUnknown, "Unknown", message, Progress::kReconciling};
}

Verdict DecideDrift(const PlacementObservation& seen) {
  if (seen.is_being_moved) return Migrating(seen.migration_name, ConditionStatus::kFalse);
  if (!seen.server) return Unknown("the wiring cannot be judged without its server");
  if (!seen.wiring) return Unknown(seen.wiring.error().message);
  if (seen.wiring->AllAt(wiring::Side::kSource))
    return {ConditionStatus::kFalse, "AsExpected", "the wiring leads to the tenant's server",
            Progress::kSettled};
  if (seen.placement.status.server_name.empty())
    return {ConditionStatus::kTrue, "Drifted",
            "the tenant has not been found on DatabaseServer " + seen.server_name +
                " yet, and its wiring leads elsewhere, where it is left: " +
                seen.wiring->Describe(wiring::Side::kSource) +
                ". If the tenant is there, name that server in spec.serverName",
            Progress::kSettled};
  return {ConditionStatus::kTrue, "Drifted",
          "somebody else has changed the wiring, and it is left as it is: " +
              seen.wiring->Describe(wiring::Side::kSource) + ". Let it lead to " +
              seen.server->spec.endpoint.host + ", port " +
              std::to_string(seen.server->spec.endpoint.port),
          Progress::kSettled};
}

// What has changed since a migration took the spec down; it goes on with what that was.
bool ChangeIsQueued(const PlacementObservation& seen) {
  return !seen.migration_name.empty() && seen.taken_generation != 0 &&
         seen.taken_generation != seen.placement.meta.generation;
}

Verdict DecideInSync(const PlacementObservation& seen, const Verdict& drift) {
  if (ChangeIsQueued(seen))
    return {ConditionStatus::kFalse, "ChangeQueued",
            "spec has changed since TenantMigration " + seen.migration_name +
                " took it down (generation " + std::to_string(seen.taken_generation) + ", now " +
                std::to_string(seen.placement.meta.generation) +
                "): the change takes effect when the migration has ended",
            Progress::kReconciling};
  if (seen.is_being_moved) return Migrating(seen.migration_name, ConditionStatus::kUnknown);
  const std::string& pin = seen.placement.spec.server_name;
  const std::string& home = seen.placement.status.server_name;
  if (!pin.empty() && !home.empty() && pin != home)
    return Stalled("PinnedElsewhere",
                   "spec.serverName asks for " + pin + ", but the tenant is on " + home +
                       ": move it there with a TenantMigration, or set spec.serverName to " + home);
  if (drift.status == ConditionStatus::kUnknown) return Unknown(drift.message);
  if (drift.status == ConditionStatus::kTrue) return Stalled("WiringDrifted", drift.message);
  return {ConditionStatus::kTrue, "InSync", "the wiring leads to the server of the tenant",
          Progress::kSettled};
}

void Set(const char* type, const Verdict& verdict, int64_t generation, WallTime now,
         api::Conditions& conditions) {
  conditions.Set({type, verdict.status, verdict.reason, verdict.message, generation, std::nullopt},
                 now);
}

}  // namespace

bool TenantIsFound(const PlacementObservation& seen) { return !FindTenantTrouble(seen); }

api::DatabasePlacementStatus DecideStatus(const PlacementObservation& seen, WallTime now) {
  const int64_t generation = seen.placement.meta.generation;
  api::DatabasePlacementStatus status = seen.placement.status;
  status.observed_generation = generation;
  status.migration_name = seen.migration_name;

  const Verdict ready = DecideReady(seen);
  const Verdict drift = DecideDrift(seen);
  const Verdict in_sync = DecideInSync(seen, drift);
  const bool is_new = status.server_name.empty() && seen.may_be_adopted;
  if (is_new && ready.status == ConditionStatus::kTrue) status.server_name = seen.server_name;
  if (seen.server && status.server_name == seen.server_name)
    status.endpoint =
        wiring::HostPort{seen.server->spec.endpoint.host, seen.server->spec.endpoint.port}
            .ToString();
  if (!seen.is_being_moved && seen.database && seen.database->exists)
    status.database_size_bytes =
        server::SettledFigure(status.database_size_bytes, seen.database->size_bytes);

  Set(kReady, ready, generation, now, status.conditions);
  Set("InSync", in_sync, generation, now, status.conditions);
  Set("WiringDrifted", drift, generation, now, status.conditions);
  // A pin or wiring that differs stops nobody from working: only Ready decides how it fares.
  server::SetProgress(ready.progress, ready.reason, ready.message, generation, now,
                      status.conditions);
  return status;
}

api::DatabasePlacementStatus DecideStatusOfHeld(const api::DatabasePlacement& placement,
                                                const Holder& holder, WallTime now) {
  const int64_t generation = placement.meta.generation;
  api::DatabasePlacementStatus status = placement.status;
  status.observed_generation = generation;
  const std::string held = "it is deleted, and held by TenantMigration " + holder.migration_name;
  Verdict ready = Waiting("Deleting", held + " until that has ended");
  if (holder.migration_name.empty())
    ready = Waiting("Deleting",
                    "it is deleted, and held by a TenantMigration that is gone: the operator puts "
                    "in order what that has left behind");
  else if (holder.is_over)
    ready = Stalled("Deleting", held +
                                    ", which was rolled back: delete that too; its copy on the "
                                    "target goes with it");
  Set(kReady, ready, generation, now, status.conditions);
  server::SetProgress(ready.progress, ready.reason, ready.message, generation, now,
                      status.conditions);
  return status;
}

}  // namespace cutover::placement
