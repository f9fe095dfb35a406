// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/routes.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

#include "operator/base/check.h"
#include "operator/kube/metadata.h"
#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/maintenance.h"
#include "reconcilers/wiring/route_backends.h"

namespace cutover::wiring {
namespace {

std::string Title(const api::ObjectRef& ref) { return ref.kind + " " + ref.name; }

kube::Resource ResourceOf(const api::ObjectRef& ref) {
  const std::optional<kube::Resource> resource = ResourceOfKind(ref.kind);
  CHECK(resource.has_value());  // The CRD admits Ingress and HTTPRoute only.
  return *resource;
}

const Json* FindRecord(const Json& record, const api::ObjectRef& ref) {
  for (const Json& entry : record.Items())
    if (entry["kind"].StringRef() == ref.kind && entry["name"].StringRef() == ref.name)
      return &entry;
  return nullptr;
}

// The number of a port that a route knows by name only.
Result<int> PortNumber(std::stop_token stop, Deadline deadline, kube::Client& client,
                       const kube::Key& service_key, const std::string& port_name) {
  TRY_ASSIGN(const std::optional<Json> service,
             client.Get(stop, deadline, kube::kService, service_key));
  if (service)
    for (const Json& port : (*service)["spec"]["ports"].Items())
      if (port["name"].StringRef() == port_name) return static_cast<int>(port["port"].AsInt());
  return TerminalError("RouteBackendNotFound", "a route leads to port " + port_name +
                                                   " of Service " + service_key.name +
                                                   ", which does not exist");
}

// Host and path combinations of one recorded backend, each leading to `service_name`:`port`.
void AddBackends(const Json& entry, const std::string& service_name, int port,
                 std::vector<RouteBackend>& backends) {
  for (const Json& host : entry["hosts"].Items())
    for (const Json& path : entry["paths"].Items())
      backends.push_back({host.AsString(), path.AsString(), service_name, port});
}

}  // namespace

std::string_view Name(RouteState state) {
  switch (state) {
    case RouteState::kOriginal:
      return "original";
    case RouteState::kMaintenance:
      return "maintenance";
    case RouteState::kMixed:
      return "mixed";
    case RouteState::kAbsent:
      return "absent";
  }
  return "absent";
}

Result<std::vector<RouteObservation>> ObserveRoutes(std::stop_token stop, Deadline deadline,
                                                    kube::Client& client,
                                                    const api::DatabasePlacement& placement,
                                                    const MaintenanceBackend& maintenance,
                                                    const Json& record) {
  std::vector<RouteObservation> all;
  for (const api::ObjectRef& ref : placement.spec.routes) {
    RouteObservation observed;
    observed.ref = ref;
    const Json* recorded = FindRecord(record, ref);
    TRY_ASSIGN(
        const std::optional<Json> route,
        client.Get(stop, deadline, ResourceOf(ref), {placement.meta.namespace_name, ref.name}));
    if (route) observed.state = StateOf(*route, maintenance);
    if (recorded) observed.as_recorded = route && RecordRoute(*route) == *recorded;
    all.push_back(std::move(observed));
  }
  return all;
}

Result<Json> RecordRoutes(std::stop_token stop, Deadline deadline, kube::Client& client,
                          const api::DatabasePlacement& placement) {
  Json record = Json::Array();
  for (const api::ObjectRef& ref : placement.spec.routes) {
    TRY_ASSIGN(
        const std::optional<Json> route,
        client.Get(stop, deadline, ResourceOf(ref), {placement.meta.namespace_name, ref.name}));
    if (!route)
      return TerminalError("RouteNotFound", Title(ref) +
                                                " does not exist: create it, or take it out of "
                                                "spec.routes of the DatabasePlacement");
    if (ShowsAnyMaintenancePage(*route))
      return TerminalError("RouteAtMaintenance",
                           Title(ref) +
                               " shows a maintenance page already: point it at the "
                               "workload before the tenant is moved");
    Json entry = RecordRoute(*route);
    if (entry["backends"].Empty())
      return TerminalError("RouteHasNoBackend",
                           Title(ref) +
                               " leads to no backend that could be replaced by the "
                               "maintenance page: take it out of spec.routes");
    record.Append(std::move(entry));
  }
  return record;
}

Status FlipToMaintenance(std::stop_token stop, Deadline deadline, kube::Client& client,
                         const api::DatabasePlacement& placement,
                         const MaintenanceBackend& maintenance) {
  for (const api::ObjectRef& ref : placement.spec.routes) {
    TRY_ASSIGN(const bool found,
               EditObject(stop, deadline, client, ResourceOf(ref),
                          {placement.meta.namespace_name, ref.name}, [&](Json& route) {
                            FlipRoute(maintenance, route);
                            return Ok();
                          }));
    if (!found) return TerminalError("RouteNotFound", Title(ref) + " does not exist any more");
  }
  return Ok();
}

Status RestoreRoutes(std::stop_token stop, Deadline deadline, kube::Client& client,
                     const api::DatabasePlacement& placement, const Json& record) {
  Status first = Ok();
  for (const Json& entry : record.Items()) {
    const api::ObjectRef ref{entry["kind"].AsString(), entry["name"].AsString()};
    bool complete = true;
    const Result<bool> found = EditObject(
        stop, deadline, client, ResourceOf(ref), {placement.meta.namespace_name, ref.name},
        [&](Json& route) {
          complete = RestoreRoute(entry, route);
          return Ok();
        },
        kPuttingBack);
    if (!first) continue;
    if (!found)
      first = tl::make_unexpected(found.error());
    else if (!*found)
      first = TerminalError("RouteNotFound", Title(ref) + " is gone: create it again");
    else if (!complete)
      first = TerminalError("RouteNotRecorded",
                            Title(ref) +
                                " leads to the maintenance page in a place that was not "
                                "there before: point that place at the workload");
  }
  return first;
}

std::string RouteBackend::ServiceUrl(std::string_view ns) const {
  return "http://" + service_name + "." + std::string(ns) + ".svc:" + std::to_string(port);
}

Result<std::vector<RouteBackend>> OriginalBackends(std::stop_token stop, Deadline deadline,
                                                   kube::Client& client,
                                                   const api::DatabasePlacement& placement,
                                                   const Json& record) {
  const std::string& ns = placement.meta.namespace_name;
  std::vector<RouteBackend> backends;
  for (const Json& route : record.Items()) {
    for (const Json& entry : route["backends"].Items()) {
      for (const ServiceReference& service : ServicesOf(entry["backend"], ns)) {
        int port = service.port;
        if (!service.port_name.empty()) {
          TRY_ASSIGN(port,
                     PortNumber(stop, deadline, client, {ns, service.name}, service.port_name));
        }
        AddBackends(entry, service.name, port, backends);
      }
    }
  }
  return backends;
}

}  // namespace cutover::wiring
