// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/route_backends.h"

#include <functional>
#include <map>

#include "operator/kube/metadata.h"
#include "reconcilers/wiring/maintenance.h"

namespace cutover::wiring {
namespace {

// One place where a route names whom it leads to: `backend` of an Ingress, or all `backendRefs` of
// a rule of an HTTPRoute.
struct Place {
  std::string id;  // The same before and after a flip; unique within the route.
  std::vector<std::string> hosts;
  std::vector<std::string> paths;
  const Json* backend = nullptr;
};

// Makes ids unique: Kubernetes admits two equal paths.
class Counter {
 public:
  std::string Unique(const std::string& id) {
    const int count = ++seen_[id];
    return count == 1 ? id : id + " #" + std::to_string(count);
  }

 private:
  std::map<std::string, int> seen_;
};

std::vector<Place> PlacesOfIngress(const Json& route) {
  std::vector<Place> places;
  Counter ids;
  const Json& spec = route["spec"];
  if (spec["defaultBackend"].IsObject())
    places.push_back({"default", {""}, {"/"}, &spec["defaultBackend"]});
  for (const Json& rule : spec["rules"].Items()) {
    const std::string host = rule["host"].AsString();
    for (const Json& path : rule["http"]["paths"].Items()) {
      const std::string name = path["path"].AsString();
      const std::string id = "host " + host + " path " + name + " " + path["pathType"].AsString();
      places.push_back({ids.Unique(id), {host}, {name.empty() ? "/" : name}, &path["backend"]});
    }
  }
  return places;
}

std::vector<Place> PlacesOfHttpRoute(const Json& route) {
  std::vector<Place> places;
  Counter ids;
  std::vector<std::string> hosts;
  for (const Json& host : route["spec"]["hostnames"].Items()) hosts.push_back(host.AsString());
  if (hosts.empty()) hosts.push_back("");
  for (const Json& rule : route["spec"]["rules"].Items()) {
    if (rule["backendRefs"].Empty()) continue;
    std::vector<std::string> paths;
    for (const Json& match : rule["matches"].Items())
      paths.push_back(match["path"]["value"].AsString("/"));
    if (paths.empty()) paths.push_back("/");
    // What remains of a rule without its backends is what tells it from the others.
    Json rest = rule;
    rest.Remove("backendRefs");
    places.push_back({ids.Unique("rule " + rest.Dump()), hosts, paths, &rule["backendRefs"]});
  }
  return places;
}

bool IsIngress(const Json& route) { return route["kind"].StringRef() == "Ingress"; }

std::vector<Place> PlacesOf(const Json& route) {
  return IsIngress(route) ? PlacesOfIngress(route) : PlacesOfHttpRoute(route);
}

// Gives every place the backend that `choose` returns for it; null leaves it alone.
void Replace(Json& route, const std::function<Json(const Place&)>& choose) {
  const Json before = route;
  std::vector<Json> chosen;
  for (const Place& place : PlacesOf(before)) {
    Json backend = choose(place);
    chosen.push_back(backend.IsNull() ? *place.backend : std::move(backend));
  }
  if (chosen.empty()) return;
  // The same walk as PlacesOf, in the same order, for writing.
  size_t next = 0;
  Json& spec = route.MutableAt("spec");
  if (IsIngress(route) && spec["defaultBackend"].IsObject())
    spec.Set("defaultBackend", chosen[next++]);
  for (size_t i = 0; i < before["spec"]["rules"].Size(); ++i) {
    Json& rule = spec.MutableAt("rules").MutableAt(i);
    if (IsIngress(route)) {
      for (size_t k = 0; k < rule["http"]["paths"].Size(); ++k)
        rule.MutableAt("http").MutableAt("paths").MutableAt(k).Set("backend", chosen[next++]);
    } else if (!rule["backendRefs"].Empty()) {
      rule.Set("backendRefs", chosen[next++]);
    }
  }
}

// Names of the Services behind one place.
std::vector<std::string> NamesOf(const Json& backend) {
  std::vector<std::string> names;
  if (backend.IsArray())
    for (const Json& reference : backend.Items()) names.push_back(reference["name"].AsString());
  else
    names.push_back(backend["service"]["name"].AsString());
  return names;
}

bool LeadsOnlyTo(const Json& backend, const std::function<bool(const std::string&)>& is) {
  for (const std::string& name : NamesOf(backend))
    if (!is(name)) return false;
  return true;
}

bool IsMaintenanceName(const std::string& name) { return name.starts_with(kMaintenancePrefix); }

Json BackendFor(const Json& route, const MaintenanceBackend& maintenance) {
  if (IsIngress(route))
    return Json::Object(
        {{"service", Json::Object({{"name", maintenance.service_name},
                                   {"port", Json::Object({{"number", maintenance.port}})}})}});
  // As the API server would complete it, so that a second flip finds nothing to change.
  return Json::Array({Json::Object({{"group", ""},
                                    {"kind", "Service"},
                                    {"name", maintenance.service_name},
                                    {"port", maintenance.port},
                                    {"weight", 1}})});
}

}  // namespace

RouteState StateOf(const Json& route, const MaintenanceBackend& maintenance) {
  size_t at_maintenance = 0;
  const std::vector<Place> places = PlacesOf(route);
  for (const Place& place : places)
    if (LeadsOnlyTo(*place.backend,
                    [&](const std::string& name) { return name == maintenance.service_name; }))
      ++at_maintenance;
  if (at_maintenance == 0) return RouteState::kOriginal;
  return at_maintenance == places.size() ? RouteState::kMaintenance : RouteState::kMixed;
}

bool ShowsAnyMaintenancePage(const Json& route) {
  for (const Place& place : PlacesOf(route))
    for (const std::string& name : NamesOf(*place.backend))
      if (IsMaintenanceName(name)) return true;
  return false;
}

Json RecordRoute(const Json& route) {
  Json backends = Json::Array();
  for (const Place& place : PlacesOf(route))
    backends.Append(Json::Object({{"place", place.id},
                                  {"hosts", Json::ArrayOf(place.hosts)},
                                  {"paths", Json::ArrayOf(place.paths)},
                                  {"backend", *place.backend}}));
  return Json::Object({{"kind", route["kind"].AsString()},
                       {"name", kube::KeyOf(route).name},
                       {"backends", backends}});
}

void FlipRoute(const MaintenanceBackend& maintenance, Json& route) {
  const Json backend = BackendFor(route, maintenance);
  Replace(route, [&](const Place&) { return backend; });
}

bool RestoreRoute(const Json& record, Json& route) {
  bool complete = true;
  Replace(route, [&](const Place& place) {
    if (!LeadsOnlyTo(*place.backend, IsMaintenanceName)) return Json();
    for (const Json& entry : record["backends"].Items())
      if (entry["place"].StringRef() == place.id) return entry["backend"];
    complete = false;
    return Json();
  });
  return complete;
}

std::vector<ServiceReference> ServicesOf(const Json& backend, const std::string& ns) {
  std::vector<ServiceReference> services;
  if (backend.IsArray()) {
    for (const Json& reference : backend.Items()) {
      if (reference["kind"].AsString("Service") != "Service") continue;
      if (reference["namespace"].AsString(ns) != ns) continue;
      services.push_back(
          {reference["name"].AsString(), static_cast<int>(reference["port"].AsInt(80)), ""});
    }
  } else if (backend["service"].IsObject()) {
    const Json& port = backend["service"]["port"];
    services.push_back({backend["service"]["name"].AsString(),
                        static_cast<int>(port["number"].AsInt(80)), port["name"].AsString()});
  }
  return services;
}

}  // namespace cutover::wiring
