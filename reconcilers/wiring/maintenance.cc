// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/maintenance.h"

#include <cstdint>
#include <cstdio>

#include "operator/api/meta.h"
#include "operator/api/owner_references.h"
#include "operator/kube/metadata.h"

namespace cutover::wiring {
namespace {

constexpr int kPagePort = 8080;
constexpr char kPortName[] = "http";
constexpr char kAppLabel[] = "app.kubernetes.io/name";
constexpr char kAppName[] = "cutover-maintenance";
constexpr size_t kServiceNameMax = 63;

// FNV-1a: the name of a Service must come out the same in every build.
uint64_t Fingerprint(std::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

kube::Key KeyFor(const api::TenantMigration& migration) {
  return {migration.meta.namespace_name, MaintenanceBackendOf(migration).service_name};
}

Json SelectorOf(const api::TenantMigration& migration) {
  return Json::Object({{kAppLabel, kAppName}, {api::kMigrationUidLabel, migration.meta.uid}});
}

Json LabelsOf(const api::TenantMigration& migration) {
  Json labels = SelectorOf(migration);
  labels.Set(api::kManagedByLabel, api::kManagedByValue);
  return labels;
}

Json NewChild(const kube::Resource& resource, const api::TenantMigration& migration) {
  Json child = kube::NewObject(resource, KeyFor(migration));
  Json& metadata = child.MutableAt("metadata");
  metadata.Set("labels", LabelsOf(migration));
  metadata.Set("ownerReferences", api::OwnerReferences("TenantMigration", migration.meta));
  return child;
}

Json PageResources(const PodSettings& settings) {
  if (!settings.page_resources.Empty()) return settings.page_resources;
  return Json::Object({{"requests", Json::Object({{"cpu", "10m"}, {"memory", "16Mi"}})},
                       {"limits", Json::Object({{"memory", "64Mi"}})}});
}

Json PageContainer(const api::MaintenancePage& page, const MaintenanceOptions& options) {
  // The page answers 503 to everything, so only the port itself can tell that it is up.
  const Json probe =
      Json::Object({{"tcpSocket", Json::Object({{"port", kPortName}})}, {"periodSeconds", 1}});
  return Json::Object(
      {{"name", "page"},
       {"image", options.image},
       {"imagePullPolicy", options.image_pull_policy},
       {"args", Json::Array({"maintenance-page", "--port", std::to_string(kPagePort), "--title",
                             page.title, "--message", page.message, "--retry-after",
                             std::to_string(page.retry_after_seconds)})},
       {"ports", Json::Array({Json::Object(
                     {{"name", kPortName}, {"containerPort", kPagePort}, {"protocol", "TCP"}})})},
       {"readinessProbe", probe},
       {"resources", PageResources(options.pods)},
       {"securityContext",
        Json::Object({{"allowPrivilegeEscalation", false},
                      {"readOnlyRootFilesystem", true},
                      {"capabilities", Json::Object({{"drop", Json::Array({"ALL"})}})}})}});
}

// Deletes only what belongs to this very migration: another of the same name may have come since.
Status DeleteOwned(std::stop_token stop, Deadline deadline, kube::Client& client,
                   const kube::Resource& resource, const api::TenantMigration& migration) {
  const kube::Key key = KeyFor(migration);
  TRY_ASSIGN(const std::optional<Json> object, client.Get(stop, deadline, resource, key));
  if (!object || kube::LabelOf(*object, api::kMigrationUidLabel) != migration.meta.uid) return Ok();
  kube::DeleteOptions options;
  options.uid = kube::UidOf(*object);
  return client.Delete(stop, deadline, resource, key, options);
}

Result<bool> HasReadyAddress(std::stop_token stop, Deadline deadline, kube::Client& client,
                             const kube::Key& service) {
  kube::ListOptions options;
  options.ns = service.ns;
  options.label_selector = "kubernetes.io/service-name=" + service.name;
  TRY_ASSIGN(const kube::ObjectList slices,
             client.List(stop, deadline, kube::kEndpointSlice, options));
  for (const Json& slice : slices.items)
    for (const Json& endpoint : slice["endpoints"].Items())
      if (endpoint["conditions"]["ready"].AsBool() && !endpoint["addresses"].Empty()) return true;
  return false;
}

}  // namespace

MaintenanceBackend MaintenanceBackendOf(const api::TenantMigration& migration) {
  std::string name = kMaintenancePrefix + migration.meta.name;
  // A migration's name may hold dots and be longer; a Service's may not.
  const bool plain = name.find('.') == std::string::npos;
  if (name.size() > kServiceNameMax || !plain) {
    char suffix[18];
    std::snprintf(suffix, sizeof(suffix), "-%08x",
                  static_cast<unsigned>(Fingerprint(migration.meta.name) >> 32));
    for (char& c : name)
      if (c == '.') c = '-';
    name = name.substr(0, kServiceNameMax - 9) + suffix;
  }
  return {name, kMaintenancePort};
}

Json MaintenanceDeployment(const api::TenantMigration& migration,
                           const MaintenanceOptions& options) {
  Json pod = Json::Object(
      {{"automountServiceAccountToken", false},
       {"enableServiceLinks", false},
       {"terminationGracePeriodSeconds", 5},
       {"securityContext",
        Json::Object({{"runAsNonRoot", true},
                      {"seccompProfile", Json::Object({{"type", "RuntimeDefault"}})}})},
       {"containers", Json::Array({PageContainer(migration.spec.maintenance_page, options)})}});
  Schedule(options.pods, pod);
  Json deployment = NewChild(kube::kDeployment, migration);
  deployment.Set(
      "spec",
      Json::Object(
          {{"replicas", 1},
           {"selector", Json::Object({{"matchLabels", SelectorOf(migration)}})},
           {"template", Json::Object({{"metadata", PodMetadata(options.pods, LabelsOf(migration))},
                                      {"spec", pod}})}}));
  return deployment;
}

Json MaintenanceService(const api::TenantMigration& migration) {
  Json service = NewChild(kube::kService, migration);
  service.Set("spec",
              Json::Object({{"selector", SelectorOf(migration)},
                            {"ports", Json::Array({Json::Object({{"name", kPortName},
                                                                 {"port", kMaintenancePort},
                                                                 {"protocol", "TCP"},
                                                                 {"targetPort", kPortName}})})}}));
  return service;
}

Status EnsureMaintenancePage(std::stop_token stop, Deadline deadline, kube::Client& client,
                             const api::TenantMigration& migration,
                             const MaintenanceOptions& options) {
  TRY(client.Apply(stop, deadline, kube::kDeployment, MaintenanceDeployment(migration, options)));
  TRY(client.Apply(stop, deadline, kube::kService, MaintenanceService(migration)));
  return Ok();
}

Result<MaintenanceObservation> ObserveMaintenancePage(std::stop_token stop, Deadline deadline,
                                                      kube::Client& client,
                                                      const api::TenantMigration& migration) {
  const kube::Key key = KeyFor(migration);
  TRY_ASSIGN(const std::optional<Json> deployment,
             client.Get(stop, deadline, kube::kDeployment, key));
  TRY_ASSIGN(const std::optional<Json> service, client.Get(stop, deadline, kube::kService, key));
  MaintenanceObservation observed;
  observed.exists = deployment || service;
  observed.half = observed.exists && (!deployment || !service);
  if (deployment) observed.deployment = *deployment;
  if (!deployment || !service) return observed;
  const Json& status = (*deployment)["status"];
  const bool available =
      status["observedGeneration"].AsInt() >= (*deployment)["metadata"]["generation"].AsInt() &&
      status["availableReplicas"].AsInt() > 0;
  // The Deployment may know of a ready pod before the Service does; a route flipped in between
  // would answer with an error of the ingress controller's own.
  TRY_ASSIGN(const bool served, HasReadyAddress(stop, deadline, client, key));
  observed.ready = available && served;
  return observed;
}

Result<std::vector<Json>> PodsOfMaintenancePage(std::stop_token stop, Deadline deadline,
                                                kube::Client& client,
                                                const api::TenantMigration& migration) {
  kube::ListOptions options;
  options.ns = migration.meta.namespace_name;
  options.label_selector =
      std::string(kMaintenanceLabel) + "," + api::kMigrationUidLabel + "=" + migration.meta.uid;
  TRY_ASSIGN(kube::ObjectList pods, client.List(stop, deadline, kube::kPod, options));
  return std::move(pods.items);
}

Status DeleteMaintenancePage(std::stop_token stop, Deadline deadline, kube::Client& client,
                             const api::TenantMigration& migration) {
  TRY(DeleteOwned(stop, deadline, client, kube::kService, migration));
  return DeleteOwned(stop, deadline, client, kube::kDeployment, migration);
}

}  // namespace cutover::wiring
