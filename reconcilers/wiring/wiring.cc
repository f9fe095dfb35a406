// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/wiring.h"

#include "operator/base/check.h"
#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/items.h"
#include "reconcilers/wiring/place.h"
#include "reconcilers/wiring/service.h"

namespace cutover::wiring {
namespace {

Result<Objects> ReadObjects(std::stop_token stop, Deadline deadline, kube::Client& client,
                            const std::string& ns, const std::vector<ObjectName>& names) {
  Objects objects;
  for (const ObjectName& name : names) {
    const std::optional<kube::Resource> resource = ResourceOfKind(name.kind);
    if (!resource)
      return TerminalError("WiringNotChangeable",
                           "objects of kind " + name.kind + " cannot be part of spec.connection");
    TRY_ASSIGN(std::optional<Json> object, client.Get(stop, deadline, *resource, {ns, name.name}));
    if (object) objects.emplace(name, std::move(*object));
  }
  return objects;
}

Status EditLive(std::stop_token stop, Deadline deadline, kube::Client& client,
                const std::string& ns, const ObjectName& name, const Edit& edit,
                const std::string& manager) {
  const std::optional<kube::Resource> resource = ResourceOfKind(name.kind);
  CHECK(resource.has_value());  // The CRD and ReadObjects admit no other kinds.
  TRY_ASSIGN(const bool found,
             EditObject(stop, deadline, client, *resource, {ns, name.name}, edit, manager));
  if (!found) return NotFound(Title(name));
  return Ok();
}

// The Service's place in the wiring. Its addresses must be those of the server that it names, or
// it leads nowhere, whatever it says.
Result<ItemObservation> ObserveServiceItem(std::stop_token stop, Deadline deadline,
                                           const Access& access,
                                           const api::DatabasePlacement& placement,
                                           const Sides& sides) {
  const std::string& name = placement.spec.connection.service_name;
  ItemObservation item{"Service " + name, Side::kNeither, ""};
  TRY_ASSIGN(const ServiceObservation service,
             ObserveService(stop, deadline, access.client, placement.meta.namespace_name, name));
  if (!service.obstacle.empty())
    item.detail = service.obstacle;
  else if (!service.exists)
    item.detail = "does not exist";
  else if (!service.server)
    item.detail = "names no server";
  if (!item.detail.empty()) return item;

  const auto is = [&](const HostPort& side) {
    return service.server->port == side.port &&
           SameHost(service.server->host, side.host, access.operator_namespace);
  };
  const bool source = is(sides.source), target = sides.target && is(*sides.target);
  item.detail = service.server->ToString();
  if (!source && !target) return item;
  TRY_ASSIGN(const Backends backends, FindBackends(stop, deadline, access, *service.server));
  if (backends != service.backends) {
    item.detail += " (its addresses have changed since)";
    return item;
  }
  item.side = source && target ? Side::kEither : source ? Side::kSource : Side::kTarget;
  return item;
}

}  // namespace

std::string_view Name(Side side) {
  switch (side) {
    case Side::kSource:
      return "source";
    case Side::kTarget:
      return "target";
    case Side::kEither:
      return "either";
    case Side::kNeither:
      return "neither";
  }
  return "neither";
}

bool WiringObservation::AllAt(Side side) const {
  for (const ItemObservation& item : items)
    if (item.side != side && item.side != Side::kEither) return false;
  return true;
}

std::string WiringObservation::Describe(Side side) const {
  std::string text;
  for (const ItemObservation& item : items) {
    if (item.side == side || item.side == Side::kEither) continue;
    if (!text.empty()) text += "; ";
    text += item.item + ": " + item.detail;
  }
  return text;
}

Result<WiringObservation> ObserveWiring(std::stop_token stop, Deadline deadline,
                                        const Access& access,
                                        const api::DatabasePlacement& placement,
                                        const Sides& sides) {
  WiringObservation observed;
  const api::Connection& connection = placement.spec.connection;
  if (!connection.service_name.empty()) {
    TRY_ASSIGN(ItemObservation item, ObserveServiceItem(stop, deadline, access, placement, sides));
    observed.items.push_back(std::move(item));
  }
  TRY_ASSIGN(const Objects objects, ReadWiredObjects(stop, deadline, access.client, placement));
  for (ItemObservation& item : ObserveObjects(placement, objects, sides))
    observed.items.push_back(std::move(item));
  return observed;
}

Result<Objects> ReadWiredObjects(std::stop_token stop, Deadline deadline, kube::Client& client,
                                 const api::DatabasePlacement& placement) {
  return ReadObjects(stop, deadline, client, placement.meta.namespace_name,
                     WiredObjects(placement.spec.connection));
}

Result<Json> RecordWiring(std::stop_token stop, Deadline deadline, const Access& access,
                          const api::DatabasePlacement& placement) {
  const api::Connection& connection = placement.spec.connection;
  const std::string& ns = placement.meta.namespace_name;
  TRY_ASSIGN(const Objects objects, ReadWiredObjects(stop, deadline, access.client, placement));
  TRY_ASSIGN(Json record, RecordObjects(placement, objects));
  if (connection.service_name.empty()) return record;
  TRY_ASSIGN(const ServiceObservation service,
             ObserveService(stop, deadline, access.client, ns, connection.service_name));
  if (!service.obstacle.empty()) return TerminalError("ServiceNotOurs", service.obstacle);
  if (!service.exists || !service.server)
    return RetryError("ServiceNotReady", "Service " + connection.service_name +
                                             " does not lead to a server yet: the placement will "
                                             "see to it, look at its conditions if it does not");
  record.Set("service", Json::Object({{"name", connection.service_name},
                                      {"server", service.server->ToString()}}));
  return record;
}

Status ApplyWiring(std::stop_token stop, Deadline deadline, const Access& access,
                   const api::DatabasePlacement& placement, const Wanted& wanted) {
  const std::string& ns = placement.meta.namespace_name;
  const std::vector<ObjectName> names = WiredObjects(placement.spec.connection);
  // All of it in thought first: what cannot be changed is found before anything has been.
  TRY_ASSIGN(const Objects objects, ReadWiredObjects(stop, deadline, access.client, placement));
  TRY(PlanWiring(placement, objects, wanted));
  for (const ObjectName& name : names)
    TRY(EditLive(
        stop, deadline, access.client, ns, name,
        [&](Json& object) { return EditItems(placement, name, wanted, object); }, kChanging));
  return ApplyService(stop, deadline, access, placement, wanted.server);
}

Status RestoreWiring(std::stop_token stop, Deadline deadline, const Access& access,
                     const api::DatabasePlacement& placement, const Json& record,
                     const HostPort& source) {
  const std::string& ns = placement.meta.namespace_name;
  for (const ObjectName& name : RecordedObjects(record))
    TRY(EditLive(
        stop, deadline, access.client, ns, name,
        [&](Json& object) { return RestoreItems(record, name, object); }, kPuttingBack));
  if (!record.Contains("service")) return Ok();
  return ApplyService(stop, deadline, access, placement, source);
}

Result<bool> WiringIsAsRecorded(std::stop_token stop, Deadline deadline, const Access& access,
                                const api::DatabasePlacement& placement, const Json& record,
                                const HostPort& source) {
  const std::string& ns = placement.meta.namespace_name;
  const std::vector<ObjectName> names = RecordedObjects(record);
  TRY_ASSIGN(const Objects objects, ReadObjects(stop, deadline, access.client, ns, names));
  if (objects.size() != names.size()) return false;
  TRY_ASSIGN(const std::vector<ObjectPatch> patches, PlanRestore(objects, record));
  if (!patches.empty()) return false;
  if (!record.Contains("service")) return true;
  const std::string service_name = record["service"]["name"].AsString();
  TRY_ASSIGN(const ServiceObservation service,
             ObserveService(stop, deadline, access.client, ns, service_name));
  if (!service.exists || !service.obstacle.empty() || service.server != source) return false;
  TRY_ASSIGN(const Backends backends, FindBackends(stop, deadline, access, source));
  return service.backends == backends;
}

}  // namespace cutover::wiring
