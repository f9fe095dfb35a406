// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "reconcilers/wiring/pod_settings.h"
#include "reconcilers/wiring/routes.h"

namespace cutover::wiring {

/// Begins the name of every maintenance page of ours.
inline constexpr char kMaintenancePrefix[] = "cutover-maintenance-";
inline constexpr int kMaintenancePort = 80;

struct MaintenanceOptions {
  std::string image;  ///< The operator's own.
  std::string image_pull_policy = "IfNotPresent";
  PodSettings pods{};
};

/// The Service that routes are flipped to while `migration` runs: "cutover-maintenance-<name>", cut
/// and hashed when longer than a Service's name may be.
MaintenanceBackend MaintenanceBackendOf(const api::TenantMigration& migration);

/// Deployment and Service of the page in the migration's namespace, owned by the migration, so that
/// they go with it at the latest. Idempotent; returns before the page is ready.
Status EnsureMaintenancePage(std::stop_token stop, Deadline deadline, kube::Client& client,
                             const api::TenantMigration& migration,
                             const MaintenanceOptions& options);

struct MaintenanceObservation {
  bool exists = false;  ///< Deployment or Service.
  bool half = false;    ///< One without the other: whoever made them was cut short.
  bool ready = false;   ///< A ready address is behind the Service: a route may be flipped to it.
  Json deployment;      ///< As it is; null where there is none.
};
Result<MaintenanceObservation> ObserveMaintenancePage(std::stop_token stop, Deadline deadline,
                                                      kube::Client& client,
                                                      const api::TenantMigration& migration);

/// Those that its Deployment has made.
Result<std::vector<Json>> PodsOfMaintenancePage(std::stop_token stop, Deadline deadline,
                                                kube::Client& client,
                                                const api::TenantMigration& migration);

/// Ok also when there is none. Only what carries this migration's uid is deleted.
Status DeleteMaintenancePage(std::stop_token stop, Deadline deadline, kube::Client& client,
                             const api::TenantMigration& migration);

/// A label that both objects of every maintenance page have.
inline constexpr char kMaintenanceLabel[] = "app.kubernetes.io/name=cutover-maintenance";

/// What EnsureMaintenancePage applies. Pure.
Json MaintenanceDeployment(const api::TenantMigration& migration,
                           const MaintenanceOptions& options);
Json MaintenanceService(const api::TenantMigration& migration);

}  // namespace cutover::wiring
