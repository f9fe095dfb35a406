// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "operator/base/json.h"
#include "reconcilers/wiring/routes.h"

/// The backends within one Ingress or HTTPRoute. Pure.
namespace cutover::wiring {

RouteState StateOf(const Json& route, const MaintenanceBackend& maintenance);

/// Whether any backend is a maintenance page of any migration.
bool ShowsAnyMaintenancePage(const Json& route);

/// {kind, name, backends: [{place, hosts, paths, backend}]}. `place` says where the backend stands
/// in words that survive a flip.
Json RecordRoute(const Json& route);

void FlipRoute(const MaintenanceBackend& maintenance, Json& route);

/// Puts the recorded backends in place of maintenance pages. False when one had no record.
bool RestoreRoute(const Json& record, Json& route);

/// A Service that a recorded backend names; `port_name` is empty when the number is known.
struct ServiceReference {
  std::string name;
  int port = 80;
  std::string port_name;
};
/// Those in namespace `ns`; kinds other than Service are left out.
std::vector<ServiceReference> ServicesOf(const Json& backend, const std::string& ns);

}  // namespace cutover::wiring
