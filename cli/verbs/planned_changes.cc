// SPDX-License-Identifier: Apache-2.0
#include "cli/verbs/planned_changes.h"

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "operator/kube/metadata.h"
#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/endpoints.h"
#include "reconcilers/wiring/items.h"
#include "reconcilers/wiring/maintenance.h"
#include "reconcilers/wiring/route_backends.h"
#include "reconcilers/wiring/service.h"
#include "reconcilers/wiring/wiring.h"

namespace cutover::cli {
namespace {

constexpr char kAfterSwitch[] = "from the switch on";
constexpr char kDuringSwitch[] = "while users are stopped; then as it is now";

/// Names of the cluster are the cluster's to resolve: this machine may know others by them.
class NoResolver final : public wiring::Resolver {
 public:
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override {
    return RetryError("HostNotResolved",
                      "the addresses of " + host + " are what the operator's DNS says then");
  }
};

ObjectDiff Unknown(const std::string& object, const char* when, const std::string& why) {
  return {object, when, why, {}};
}

// One object as it is, and as `edit` would leave it.
ObjectDiff DiffOf(const Cluster& cluster, const api::ObjectRef& ref, const char* when,
                  const std::function<Status(Json& object)>& edit) {
  const std::string title = ref.kind + " " + ref.name;
  const auto resource = wiring::ResourceOfKind(ref.kind);
  if (!resource) return Unknown(title, when, "this plugin does not know its kind");
  const auto object = cluster.Find(*resource, {cluster.ns(), ref.name});
  if (!object) return Unknown(title, when, object.error().message);
  if (!*object) return Unknown(title, when, "it does not exist");
  Json changed = **object;
  if (const Status edited = edit(changed); !edited)
    return Unknown(title, when, edited.error().message);
  return {title, when, "", HunksBetween(**object, changed, ref.kind == "Secret")};
}

// Of a slice, what a switch writes.
Json PartsOf(const Json& slice) {
  Json parts = Json::Object();
  const std::string server = kube::AnnotationOf(slice, wiring::kServerAnnotation);
  if (!server.empty())
    parts.MutableAt("metadata").MutableAt("annotations").Set(wiring::kServerAnnotation, server);
  for (const char* part : {"endpoints", "ports"})
    if (slice.Contains(part)) parts.Set(part, slice[part]);
  return parts;
}

/// The Service stays as it is: its EndpointSlices lead elsewhere.
class SlicesOfService {
 public:
  SlicesOfService(const Cluster& cluster, const MoveFacts& facts)
      : cluster_(cluster), placement_(facts.placement) {}

  std::vector<ObjectDiff> LeadTo(const wiring::HostPort& server) {
    const std::string title = "Service " + placement_.spec.connection.service_name;
    const auto seen = wiring::ObserveService({}, Cluster::Soon(), cluster_.client(), cluster_.ns(),
                                             placement_.spec.connection.service_name);
    if (!seen) return {Unknown(title, kAfterSwitch, seen.error().message)};
    if (!seen->obstacle.empty()) return {Unknown(title, kAfterSwitch, seen->obstacle)};
    NoResolver resolver;
    const auto backends = wiring::FindBackends(
        {}, Cluster::Soon(), {cluster_.client(), resolver, cluster_.operator_namespace()}, server);
    if (!backends) return WithoutAddresses(server, backends.error().message);
    return Compared(wiring::DesiredSlices(placement_, server, *backends));
  }

 private:
  std::vector<ObjectDiff> Compared(const std::vector<Json>& wanted) {
    std::map<std::string, Json> after;
    for (const Json& slice : wanted) after[kube::KeyOf(slice).name] = PartsOf(slice);
    std::vector<ObjectDiff> diffs;
    for (const kube::Key& key : wiring::SliceKeys(placement_)) {
      const auto found = cluster_.Find(kube::kEndpointSlice, key);
      const std::string title = "EndpointSlice " + key.name;
      if (!found)
        diffs.push_back(Unknown(title, kAfterSwitch, found.error().message));
      else
        diffs.push_back({title, kAfterSwitch, "",
                         HunksBetween(*found ? PartsOf(**found) : Json(), after[key.name], false)});
    }
    return diffs;
  }

  // What can be told all the same: for which server they will be found.
  std::vector<ObjectDiff> WithoutAddresses(const wiring::HostPort& server, const std::string& why) {
    std::vector<ObjectDiff> diffs;
    for (const kube::Key& key : wiring::SliceKeys(placement_)) {
      const auto found = cluster_.Find(kube::kEndpointSlice, key);
      if (!found || !*found) continue;
      Json after = PartsOf(**found);
      after.MutableAt("metadata")
          .MutableAt("annotations")
          .Set(wiring::kServerAnnotation, server.ToString());
      diffs.push_back({"EndpointSlice " + key.name, kAfterSwitch, "",
                       HunksBetween(PartsOf(**found), after, false)});
    }
    diffs.push_back(Unknown("Addresses of Service " + placement_.spec.connection.service_name,
                            kAfterSwitch, why));
    return diffs;
  }

  const Cluster& cluster_;
  const api::DatabasePlacement& placement_;
};

void AddRoutes(const Cluster& cluster, const MoveFacts& facts, std::vector<ObjectDiff>& diffs) {
  api::TenantMigration migration;
  migration.meta.name = facts.order.name;
  migration.meta.namespace_name = facts.order.ns;
  const wiring::MaintenanceBackend maintenance = wiring::MaintenanceBackendOf(migration);
  for (const api::ObjectRef& route : facts.placement.spec.routes)
    diffs.push_back(DiffOf(cluster, route, kDuringSwitch, [&](Json& object) {
      wiring::FlipRoute(maintenance, object);
      return Ok();
    }));
}

}  // namespace

std::vector<ObjectDiff> PlanChanges(const Cluster& cluster, const MoveFacts& facts) {
  std::vector<ObjectDiff> diffs;
  const api::Connection& connection = facts.placement.spec.connection;
  const bool known = facts.target && *facts.target;
  if (!known) diffs.push_back(Unknown("The wiring", kAfterSwitch, "the target cannot be read"));
  if (known) {
    const api::Endpoint& endpoint = (*facts.target)->spec.endpoint;
    const wiring::Wanted wanted{{endpoint.host, endpoint.port},
                                facts.placement.spec.owner,
                                {},
                                facts.placement.spec.database_name};
    if (!connection.service_name.empty())
      for (ObjectDiff& diff : SlicesOfService(cluster, facts).LeadTo(wanted.server))
        diffs.push_back(std::move(diff));
    for (const wiring::ObjectName& name : wiring::WiredObjects(connection))
      diffs.push_back(DiffOf(cluster, {name.kind, name.name}, kAfterSwitch, [&](Json& object) {
        return wiring::EditItems(facts.placement, name, wanted, object);
      }));
  }
  if (facts.order.switch_by != "Pooler") AddRoutes(cluster, facts, diffs);
  return diffs;
}

}  // namespace cutover::cli
