// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/placement/reconciler.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "operator/base/log.h"
#include "operator/kube/for_each.h"
#include "operator/kube/metadata.h"
#include "reconcilers/placement/status.h"
#include "reconcilers/server/admin_login.h"
#include "reconcilers/wiring/service.h"

namespace cutover::placement {
namespace {

bool IsOver(api::Phase phase) {
  return phase == api::Phase::kCompleted || phase == api::Phase::kAborted ||
         phase == api::Phase::kFailed || phase == api::Phase::kRolledBack;
}

bool HasLabels(const Json& object, const std::map<std::string, std::string>& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
    return kube::LabelOf(object, label.first) == label.second;
  });
}

Result<bool> Admits(std::stop_token stop, Deadline deadline, kube::Client& client,
                    const api::DatabaseServer& server, const std::string& ns) {
  const auto& allowed = server.spec.allowed_namespaces;
  if (!allowed) return true;
  if (!allowed->names.empty())
    return std::find(allowed->names.begin(), allowed->names.end(), ns) != allowed->names.end();
  if (allowed->match_labels.empty()) return true;
  TRY_ASSIGN(const std::optional<Json> object,
             client.Get(stop, deadline, kube::kNamespace, {"", ns}));
  return object && HasLabels(*object, allowed->match_labels);
}

// Until a migration has written down how everything was, nothing of the placement is its own, and
// it waits for what the placement lacks: for its adoption, as when all objects were applied at
// once, or for its Service, which may have gone since.
bool HasBegun(const api::TenantMigration& migration) {
  const api::Phase phase = migration.status.phase;
  return phase != api::Phase::kPending && phase != api::Phase::kPreflight &&
         phase != api::Phase::kBackingUp && phase != api::Phase::kPreparing;
}

// What preflight has passed was another placement of that name: adopted, this one would pass for
// it.
bool IsBeforeItsCheck(const api::TenantMigration& migration) {
  return migration.status.phase == api::Phase::kPending ||
         migration.status.phase == api::Phase::kPreflight;
}

bool Moves(const api::TenantMigration& migration, const kube::Key& placement) {
  return PlacementMovedBy(migration) == placement && HasBegun(migration);
}

// On which server users work while a migration neither closes nor opens its doors, which may be for
// days: the Service goes with what its DatabaseServer says then, as it does without a migration.
// Empty while only the migration knows.
std::string ServedOn(const api::TenantMigration& migration) {
  switch (migration.status.phase) {
    case api::Phase::kCopying:
      return migration.spec.online() ? migration.status.source_server_name : "";
    case api::Phase::kCatchingUp:
    case api::Phase::kAwaitingCutover:
      return migration.status.source_server_name;
    case api::Phase::kHypercare:
    case api::Phase::kCompleting:
      return migration.spec.target_server_name;
    default:
      return "";
  }
}

// What the placement says of its server may be older than the move, as when it was restored.
bool LeadsService(const api::TenantMigration& migration, const kube::Key& placement,
                  const std::string& server_name) {
  return Moves(migration, placement) && (server_name.empty() || ServedOn(migration) != server_name);
}

// The uid of a migration that must not lose the placement, or empty.
std::string HolderOf(const api::ObjectMeta& placement) {
  const std::string prefix = api::kMoveFinalizerPrefix;
  for (const std::string& finalizer : placement.finalizers)
    if (finalizer.starts_with(prefix)) return finalizer.substr(prefix.size());
  return "";
}

void LogChange(const api::DatabasePlacementStatus& before,
               const api::DatabasePlacementStatus& after) {
  for (const api::Condition& condition : after.conditions.items()) {
    const api::Condition* held = before.conditions.Find(condition.type);
    if (held != nullptr && held->reason == condition.reason) continue;
    LogInfo("a placement's condition has changed", {{"condition", condition.type},
                                                    {"status", api::Name(condition.status)},
                                                    {"reason", condition.reason},
                                                    {"message", condition.message}});
  }
}

}  // namespace

std::optional<kube::Key> PlacementMovedBy(const api::TenantMigration& migration) {
  if (IsOver(migration.status.phase)) return std::nullopt;
  return kube::Key{migration.meta.namespace_name, migration.spec.placement_name};
}

std::shared_ptr<const api::TenantMigration> ActiveMigrationOf(
    const kube::Key& placement,
    const std::vector<std::shared_ptr<const api::TenantMigration>>& migrations) {
  std::shared_ptr<const api::TenantMigration> first;
  for (const auto& migration : migrations) {
    if (PlacementMovedBy(*migration) != placement) continue;
    const auto age = [](const api::TenantMigration& m) {
      return std::pair(m.meta.creation_timestamp, m.meta.name);
    };
    if (!first || age(*migration) < age(*first)) first = migration;
  }
  return first;
}

PlacementReconciler::PlacementReconciler(PlacementSources sources,
                                         PlacementReconcilerOptions options, const Clock& clock,
                                         AskDatabase ask)
    : sources_(sources), options_(std::move(options)), clock_(clock), ask_(std::move(ask)) {}

wiring::Access PlacementReconciler::WiringAccess() const {
  return {sources_.client, sources_.resolver, options_.operator_namespace};
}

Status PlacementReconciler::ObserveServer(std::stop_token stop, Deadline deadline,
                                          PlacementObservation& seen) {
  if (seen.server_name.empty()) return Ok();
  TRY_ASSIGN(const auto server, sources_.servers.Get({"", seen.server_name}));
  if (!server) return Ok();
  seen.server = *server;
  TRY_ASSIGN(seen.namespace_allowed,
             Admits(stop, deadline, sources_.client, *server, seen.placement.meta.namespace_name));
  return Ok();
}

Result<DatabaseObservation> PlacementReconciler::ObserveDatabase(std::stop_token stop,
                                                                 Deadline deadline,
                                                                 const PlacementObservation& seen) {
  DatabaseQuestion question;
  TRY_ASSIGN(question.admin, server::AdminLogin(stop, deadline, sources_.client,
                                                options_.operator_namespace, *seen.server));
  question.tenant = question.admin.WithDatabase(seen.placement.spec.database_name);
  question.tenant.user = seen.placement.spec.owner;
  question.tenant.password = seen.password ? *seen.password : "";
  return ask_(stop, deadline.OrAfter(options_.database_timeout), question);
}

// Asked live, between reading the Service and writing it: a migration that leads it since then owns
// it, and what that writes makes our write a conflict.
Result<bool> PlacementReconciler::ServiceIsStillOurs(std::stop_token stop, Deadline deadline,
                                                     const PlacementObservation& seen) {
  const kube::Key key{seen.placement.meta.namespace_name, seen.placement.meta.name};
  TRY_ASSIGN(const std::optional<Json> object,
             sources_.client.Get(stop, deadline, kube::kDatabasePlacement, key));
  if (!object || kube::UidOf(*object) != seen.placement.meta.uid) return false;
  if ((*object)["status"]["serverName"].AsString() != seen.placement.status.server_name)
    return false;
  kube::ListOptions options;
  options.ns = key.ns;
  bool is_led = false;
  Status readable;
  const auto consider = [&](const Json& item) {
    if (item.At({"spec", "placementRef", "name"}).StringRef() != key.name) return;
    const Result<api::TenantMigration> migration = api::DecodeTenantMigration(item);
    if (!migration) readable = tl::make_unexpected(migration.error());
    is_led |= migration && LeadsService(*migration, key, seen.placement.status.server_name);
  };
  TRY(kube::ForEach(stop, deadline, sources_.client, kube::kTenantMigration, options, consider));
  TRY(readable);
  return !is_led;
}

// Before the tenant is adopted nobody's word but the spec's is that it is on that server, and the
// spec may be older than a move: a Service that leads elsewhere, perhaps to where users work, stays
// there until the tenant was found.
Result<bool> PlacementReconciler::MayLeadHome(std::stop_token stop, Deadline deadline,
                                              const PlacementObservation& seen) {
  const std::string& service_name = seen.placement.spec.connection.service_name;
  if (!seen.server) return false;
  if (seen.is_being_moved) {
    // Led elsewhere at most: whether there is one at all is what the migration has written down.
    TRY_ASSIGN(
        const wiring::ServiceObservation there,
        wiring::ObserveService(stop, deadline, sources_.client, seen.placement.meta.namespace_name,
                               seen.placement.spec.connection.service_name));
    return there.exists && there.server;
  }
  if (!seen.placement.status.server_name.empty() || service_name.empty() || TenantIsFound(seen))
    return true;
  if (!seen.namespace_allowed) return false;
  TRY_ASSIGN(const wiring::ServiceObservation service,
             wiring::ObserveService(stop, deadline, sources_.client,
                                    seen.placement.meta.namespace_name, service_name));
  if (service.server) return *service.server == wiring::HostPortOf(*seen.server);
  return service.backends.addresses.empty();
}

Status PlacementReconciler::KeepServiceCurrent(std::stop_token stop, Deadline deadline,
                                               const PlacementObservation& seen) {
  bool is_ours = !seen.service_is_led;
  if (is_ours) {
    TRY_ASSIGN(is_ours, MayLeadHome(stop, deadline, seen));
  }
  if (!is_ours) return wiring::RefreshService(stop, deadline, WiringAccess(), seen.placement);
  return wiring::ApplyService(stop, deadline, WiringAccess(), seen.placement,
                              wiring::HostPortOf(*seen.server),
                              [&] { return ServiceIsStillOurs(stop, deadline, seen); });
}

Result<PlacementObservation> PlacementReconciler::Observe(std::stop_token stop, Deadline deadline,
                                                          api::DatabasePlacement placement) {
  PlacementObservation seen;
  const kube::Key key{placement.meta.namespace_name, placement.meta.name};
  const auto migrations = sources_.active_migrations.Find(key);
  if (const auto active = ActiveMigrationOf(key, migrations)) {
    seen.migration_name = active->meta.name;
    seen.taken_generation = active->status.placement_generation;
  }
  seen.is_being_moved = std::any_of(migrations.begin(), migrations.end(),
                                    [&](const auto& one) { return Moves(*one, key); });
  seen.service_is_led = std::any_of(migrations.begin(), migrations.end(), [&](const auto& one) {
    return LeadsService(*one, key, placement.status.server_name);
  });
  seen.may_be_adopted = std::all_of(migrations.begin(), migrations.end(),
                                    [](const auto& one) { return IsBeforeItsCheck(*one); });
  seen.server_name = placement.status.server_name.empty() ? placement.spec.server_name
                                                          : placement.status.server_name;
  seen.placement = std::move(placement);
  TRY(ObserveServer(stop, deadline, seen));
  if (seen.server && seen.namespace_allowed && !seen.is_being_moved) {
    const api::SecretKeyRef& secret = seen.placement.spec.password_secret_ref;
    seen.password =
        server::ReadSecretValue(stop, deadline, sources_.client, {key.ns, secret.name}, secret.key);
    seen.database = ObserveDatabase(stop, deadline, seen);
  }
  seen.service = KeepServiceCurrent(stop, deadline, seen);
  if (!seen.server || seen.is_being_moved) return seen;
  seen.wiring = wiring::ObserveWiring(stop, deadline, WiringAccess(), seen.placement,
                                      {wiring::HostPortOf(*seen.server), std::nullopt});
  return seen;
}

Result<kube::Step> PlacementReconciler::Reconcile(std::stop_token stop, Deadline deadline,
                                                  const kube::Key& key) {
  TRY_ASSIGN(const std::optional<Json> object,
             sources_.client.Get(stop, deadline, kube::kDatabasePlacement, key));
  if (!object) return kube::Step::Gone();
  TRY_ASSIGN(api::DatabasePlacement placement, api::DecodeDatabasePlacement(*object));
  if (kube::IsDeleting(*object)) return ReconcileDeleted(stop, deadline, placement);

  TRY_ASSIGN(const PlacementObservation seen, Observe(stop, deadline, std::move(placement)));
  if (stop.stop_requested()) return kube::Step::Done();
  TRY(Record(stop, deadline, seen.placement, DecideStatus(seen, clock_.WallNow())));
  return kube::Step::After(options_.resync_interval);
}

// It stays until the migration that holds it lets go, and its Service with it, behind which users
// may work all that time.
Result<kube::Step> PlacementReconciler::ReconcileDeleted(std::stop_token stop, Deadline deadline,
                                                         const api::DatabasePlacement& placement) {
  const std::string uid = HolderOf(placement.meta);
  if (uid.empty()) return kube::Step::Done();
  kube::ListOptions options;
  options.ns = placement.meta.namespace_name;
  Holder holder;
  const auto consider = [&](const Json& item) {
    if (kube::UidOf(item) != uid) return;
    holder.migration_name = kube::KeyOf(item).name;
    const auto phase = api::ParsePhase(item["status"]["phase"].AsString());
    holder.is_over = phase && IsOver(*phase);
  };
  TRY(kube::ForEach(stop, deadline, sources_.client, kube::kTenantMigration, options, consider));
  TRY(Record(stop, deadline, placement, DecideStatusOfHeld(placement, holder, clock_.WallNow())));
  TRY(wiring::RefreshService(stop, deadline, WiringAccess(), placement));
  return kube::Step::After(options_.resync_interval);
}

Status PlacementReconciler::Record(std::stop_token stop, Deadline deadline,
                                   const api::DatabasePlacement& placement,
                                   const api::DatabasePlacementStatus& after) {
  const Json encoded = api::EncodeStatus(after);
  if (encoded == api::EncodeStatus(placement.status)) return Ok();
  LogChange(placement.status, after);
  const kube::Key key{placement.meta.namespace_name, placement.meta.name};
  // On condition that nobody has written since: a migration may just have moved serverName.
  Json patch = kube::NewObject(kube::kDatabasePlacement, key);
  patch.MutableAt("metadata").Set("resourceVersion", placement.meta.resource_version);
  patch.Set("status", encoded);
  kube::PatchOptions options;
  options.type = kube::PatchType::kApply;
  options.field_manager = "cutover-status";
  options.subresource = "status";
  options.force = true;
  TRY(sources_.client.Patch(stop, deadline, kube::kDatabasePlacement, key, patch, options));
  return Ok();
}

void AddPlacementController(kube::Manager& manager, kube::Store<api::DatabasePlacement>& placements,
                            kube::Store<api::DatabaseServer>& servers,
                            kube::Store<api::TenantMigration>& migrations,
                            PlacementReconciler& reconciler) {
  kube::ControllerOptions options;
  options.name = "databaseplacement";
  options.workers = reconciler.options().workers;
  kube::Controller& controller = manager.AddController(
      options, [&reconciler](std::stop_token stop, Deadline deadline, const kube::Key& key) {
        return reconciler.Reconcile(stop, deadline, key);
      });

  // Our own writes of the status would call for another look each. What a migration writes there is
  // another matter.
  controller.For<api::DatabasePlacement>(
      placements, [](const api::DatabasePlacement& before, const api::DatabasePlacement& after) {
        return before.meta.generation != after.meta.generation ||
               before.status.server_name != after.status.server_name;
      });
  migrations.AddHandler(
      [&controller](kube::Change, const kube::Key&, const auto& before, const auto& after) {
        const auto was = before ? PlacementMovedBy(*before) : std::nullopt;
        const auto is = after ? PlacementMovedBy(*after) : std::nullopt;
        if (was == is && (!is || HasBegun(*before) == HasBegun(*after))) return;
        if (was) controller.Enqueue(*was);
        if (is) controller.Enqueue(*is);
      });
  servers.AddHandler([&controller, &placements](kube::Change, const kube::Key& key,
                                                const auto& before, const auto& after) {
    if (before && after && before->meta.generation == after->meta.generation &&
        before->status.conditions.IsTrue("Ready") == after->status.conditions.IsTrue("Ready"))
      return;
    for (const auto& placement : placements.List())
      if (placement->status.server_name == key.name || placement->spec.server_name == key.name)
        controller.Enqueue({placement->meta.namespace_name, placement->meta.name});
  });
}

}  // namespace cutover::placement
