// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/service.h"

#include <algorithm>

#include "operator/api/owner_references.h"
#include "operator/kube/metadata.h"
#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/wiring.h"

namespace cutover::wiring {
namespace {

constexpr char kServiceNameLabel[] = "kubernetes.io/service-name";
constexpr char kSliceManagerLabel[] = "endpointslice.kubernetes.io/managed-by";
constexpr char kSliceManager[] = "cutover.dev";
constexpr char kPortName[] = "postgresql";

bool IsIpv6(const std::string& address) { return address.find(':') != std::string::npos; }

bool IsOurs(const Json& slice) { return kube::LabelOf(slice, kSliceManagerLabel) == kSliceManager; }

Json OwnerOf(const api::DatabasePlacement& placement) {
  return api::OwnerReferences("DatabasePlacement", placement.meta);
}

Json EndpointsOf(const std::vector<std::string>& addresses) {
  Json endpoints = Json::Array();
  for (const std::string& address : addresses)
    endpoints.Append(Json::Object(
        {{"addresses", Json::Array({address})}, {"conditions", Json::Object({{"ready", true}})}}));
  return endpoints;
}

Json PortsOf(int port) {
  return Json::Array({Json::Object({{"name", kPortName}, {"port", port}, {"protocol", "TCP"}})});
}

std::string SliceName(const std::string& service, bool ipv6) {
  return service + (ipv6 ? "-cutover-ipv6" : "-cutover-ipv4");
}

Json SliceOf(const api::DatabasePlacement& placement, const HostPort& server, bool ipv6,
             const std::vector<std::string>& addresses, int port) {
  const std::string& service = placement.spec.connection.service_name;
  Json slice = kube::NewObject(kube::kEndpointSlice,
                               {placement.meta.namespace_name, SliceName(service, ipv6)});
  Json& metadata = slice.MutableAt("metadata");
  metadata.Set("labels", Json::Object({{kServiceNameLabel, service},
                                       {kSliceManagerLabel, kSliceManager},
                                       {api::kManagedByLabel, api::kManagedByValue}}));
  metadata.Set("annotations", Json::Object({{kServerAnnotation, server.ToString()}}));
  metadata.Set("ownerReferences", OwnerOf(placement));
  slice.Set("addressType", ipv6 ? "IPv6" : "IPv4");
  slice.Set("endpoints", EndpointsOf(addresses));
  slice.Set("ports", PortsOf(port));
  return slice;
}

std::vector<std::string> OfFamily(const std::vector<std::string>& addresses, bool ipv6) {
  std::vector<std::string> family;
  std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(family),
               [ipv6](const std::string& address) { return IsIpv6(address) == ipv6; });
  return family;
}

Result<std::vector<Json>> SlicesOf(std::stop_token stop, Deadline deadline, kube::Client& client,
                                   const std::string& ns, const std::string& service) {
  kube::ListOptions options;
  options.ns = ns;
  options.label_selector = std::string(kServiceNameLabel) + "=" + service;
  TRY_ASSIGN(kube::ObjectList list, client.List(stop, deadline, kube::kEndpointSlice, options));
  return std::move(list.items);
}

const Json* FindByKey(const std::vector<Json>& objects, const kube::Key& key) {
  for (const Json& object : objects)
    if (kube::KeyOf(object) == key) return &object;
  return nullptr;
}

// Each write is conditional on the version in `present`.
Status WriteSlices(std::stop_token stop, Deadline deadline, kube::Client& client,
                   const std::vector<Json>& present, std::vector<Json> wanted) {
  // A slice of a family that the new server does not have goes first: no moment may serve both.
  for (const Json& slice : present) {
    if (FindByKey(wanted, kube::KeyOf(slice)) != nullptr) continue;
    kube::DeleteOptions options;
    options.uid = kube::UidOf(slice);
    options.resource_version = kube::ResourceVersionOf(slice);
    TRY(client.Delete(stop, deadline, kube::kEndpointSlice, kube::KeyOf(slice), options));
  }
  for (Json& slice : wanted) {
    if (const Json* before = FindByKey(present, kube::KeyOf(slice)))
      slice.MutableAt("metadata").Set("resourceVersion", kube::ResourceVersionOf(*before));
    TRY(client.Apply(stop, deadline, kube::kEndpointSlice, slice));
  }
  return Ok();
}

std::string ObstacleIn(const Json& service) {
  const Json& spec = service["spec"];
  const std::string name = "Service " + service["metadata"]["name"].AsString();
  if (!spec["selector"].Empty())
    return name +
           " has a selector, so Kubernetes itself decides where it leads: name another "
           "Service in spec.connection.service, or remove the selector";
  if (spec["type"].StringRef() == "ExternalName")
    return name +
           " is of type ExternalName: name another Service in spec.connection.service, or "
           "delete this one and it will be made anew";
  for (const Json& port : spec["ports"].Items())
    if (port["port"].AsInt() == kServicePort) return "";
  return name + " has no port " + std::to_string(kServicePort) +
         ": add it, or delete the Service and it will be made anew";
}

}  // namespace

Json DesiredService(const api::DatabasePlacement& placement) {
  Json service = kube::NewObject(
      kube::kService, {placement.meta.namespace_name, placement.spec.connection.service_name});
  Json& metadata = service.MutableAt("metadata");
  metadata.Set("labels", Json::Object({{api::kManagedByLabel, api::kManagedByValue}}));
  metadata.Set("ownerReferences", OwnerOf(placement));
  service.Set(
      "spec",
      Json::Object({{"ipFamilyPolicy", "PreferDualStack"},
                    {"ports", Json::Array({Json::Object({{"name", kPortName},
                                                         {"port", kServicePort},
                                                         {"protocol", "TCP"},
                                                         {"targetPort", kServicePort}})})}}));
  return service;
}

std::vector<kube::Key> SliceKeys(const api::DatabasePlacement& placement) {
  const std::string& ns = placement.meta.namespace_name;
  const std::string& service = placement.spec.connection.service_name;
  return {{ns, SliceName(service, false)}, {ns, SliceName(service, true)}};
}

std::vector<Json> DesiredSlices(const api::DatabasePlacement& placement, const HostPort& server,
                                const Backends& backends) {
  std::vector<Json> slices;
  for (bool ipv6 : {false, true}) {
    const std::vector<std::string> family = OfFamily(backends.addresses, ipv6);
    if (!family.empty()) slices.push_back(SliceOf(placement, server, ipv6, family, backends.port));
  }
  return slices;
}

ServiceObservation InterpretService(const std::optional<Json>& service,
                                    const std::vector<Json>& slices) {
  ServiceObservation observed;
  observed.exists = service.has_value();
  if (service) observed.obstacle = ObstacleIn(*service);
  bool first = true;
  for (const Json& slice : slices) {
    if (!IsOurs(slice)) {
      if (observed.obstacle.empty())
        observed.obstacle = "EndpointSlice " + slice["metadata"]["name"].AsString() +
                            ", which is not ours, feeds the same Service: delete it (or the "
                            "Endpoints object that it mirrors)";
      continue;
    }
    const auto server = ParseHostPort(kube::AnnotationOf(slice, kServerAnnotation));
    if (first)
      observed.server = server ? std::optional(*server) : std::nullopt;
    else if (!server || observed.server != *server)
      observed.server.reset();
    first = false;
    observed.backends.port = static_cast<int>(slice["ports"][size_t{0}]["port"].AsInt());
    for (const Json& endpoint : slice["endpoints"].Items())
      for (const Json& address : endpoint["addresses"].Items())
        observed.backends.addresses.push_back(address.AsString());
  }
  std::sort(observed.backends.addresses.begin(), observed.backends.addresses.end());
  return observed;
}

Result<ServiceObservation> ObserveService(std::stop_token stop, Deadline deadline,
                                          kube::Client& client, const std::string& ns,
                                          const std::string& name) {
  TRY_ASSIGN(const std::optional<Json> service,
             client.Get(stop, deadline, kube::kService, {ns, name}));
  TRY_ASSIGN(const std::vector<Json> slices, SlicesOf(stop, deadline, client, ns, name));
  return InterpretService(service, slices);
}

Status ApplyService(std::stop_token stop, Deadline deadline, const Access& access,
                    const api::DatabasePlacement& placement, const HostPort& server,
                    const StillWanted& still_wanted) {
  const std::string& name = placement.spec.connection.service_name;
  const std::string& ns = placement.meta.namespace_name;
  if (name.empty()) return Ok();
  TRY_ASSIGN(const Backends backends, FindBackends(stop, deadline, access, server));
  TRY_ASSIGN(const std::optional<Json> service,
             access.client.Get(stop, deadline, kube::kService, {ns, name}));
  TRY_ASSIGN(const std::vector<Json> present, SlicesOf(stop, deadline, access.client, ns, name));
  const ServiceObservation observed = InterpretService(service, present);
  if (!observed.obstacle.empty()) return TerminalError("ServiceNotOurs", observed.obstacle);
  if (observed.exists && observed.server == server && observed.backends == backends) return Ok();
  if (still_wanted) {
    TRY_ASSIGN(const bool wanted, still_wanted());
    if (!wanted) return Ok();
  }
  TRY(WriteSlices(stop, deadline, access.client, present,
                  DesiredSlices(placement, server, backends)));
  // One that is there and in nobody's way is left as it is: it is the slices that lead somewhere.
  if (observed.exists) return Ok();
  TRY(access.client.Apply(stop, deadline, kube::kService, DesiredService(placement)));
  return Ok();
}

Status RefreshService(std::stop_token stop, Deadline deadline, const Access& access,
                      const api::DatabasePlacement& placement) {
  const std::string& name = placement.spec.connection.service_name;
  const std::string& ns = placement.meta.namespace_name;
  if (name.empty()) return Ok();
  TRY_ASSIGN(const ServiceObservation observed,
             ObserveService(stop, deadline, access.client, ns, name));
  if (!observed.exists || !observed.server || !observed.obstacle.empty()) return Ok();
  TRY_ASSIGN(const Backends backends, FindBackends(stop, deadline, access, *observed.server));
  if (backends == observed.backends) return Ok();
  for (bool ipv6 : {false, true}) {
    const std::vector<std::string> family = OfFamily(backends.addresses, ipv6);
    // A family that appears or vanishes is left to ApplyService: it makes and deletes objects.
    if (family.empty()) continue;
    TRY(EditObject(stop, deadline, access.client, kube::kEndpointSlice, {ns, SliceName(name, ipv6)},
                   [&](Json& slice) {
                     const std::string names = kube::AnnotationOf(slice, kServerAnnotation);
                     if (!IsOurs(slice) || names != observed.server->ToString()) return Ok();
                     slice.Set("endpoints", EndpointsOf(family));
                     slice.Set("ports", PortsOf(backends.port));
                     return Ok();
                   }));
  }
  return Ok();
}

}  // namespace cutover::wiring
