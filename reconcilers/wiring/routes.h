// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"

namespace cutover::wiring {

enum class RouteState {
  kOriginal,     ///< No backend is the maintenance page.
  kMaintenance,  ///< Every backend is the maintenance page.
  kMixed,        ///< Some are: somebody wrote in between.
  kAbsent,       ///< There is no such route.
};
std::string_view Name(RouteState state);

/// One Ingress or HTTPRoute of a placement, read live.
struct RouteObservation {
  api::ObjectRef ref;
  RouteState state = RouteState::kAbsent;
  bool as_recorded = true;  ///< Backends exactly as recorded; true when no record was given.
};

/// The maintenance page's Service, in the routes' namespace.
struct MaintenanceBackend {
  std::string service_name;
  int port = 80;
};

/// All routes of the placement, in its order. `record` (of RecordRoutes) or null.
Result<std::vector<RouteObservation>> ObserveRoutes(std::stop_token stop, Deadline deadline,
                                                    kube::Client& client,
                                                    const api::DatabasePlacement& placement,
                                                    const MaintenanceBackend& maintenance,
                                                    const Json& record = {});

/// The backends of every path and rule, for the ledger. Terminal "RouteNotFound" naming those that
/// do not exist; terminal "RouteAtMaintenance" when one shows a maintenance page of ours already,
/// which must never be taken for the original.
Result<Json> RecordRoutes(std::stop_token stop, Deadline deadline, kube::Client& client,
                          const api::DatabasePlacement& placement);

/// Every backend of every route becomes the maintenance page: Ingress rules and default backend,
/// HTTPRoute rules that have backends (redirects have none and stay). Hosts, paths, TLS, filters,
/// annotations stay. Idempotent.
Status FlipToMaintenance(std::stop_token stop, Deadline deadline, kube::Client& client,
                         const api::DatabasePlacement& placement,
                         const MaintenanceBackend& maintenance);

/// Every backend that is a maintenance page becomes what the record says for its place (host, path,
/// rule). Backends that somebody else has set since are theirs and stay; without such, the
/// spec is what it was. Terminal "RouteNotRecorded" for a maintenance backend that the record does
/// not know, after all others have been put back.
Status RestoreRoutes(std::stop_token stop, Deadline deadline, kube::Client& client,
                     const api::DatabasePlacement& placement, const Json& record);

/// Where a route leads: enough to ask the workload itself, past the route.
struct RouteBackend {
  std::string host;  ///< Empty: any.
  std::string path;
  std::string service_name;
  int port = 80;

  /// http://service.namespace.svc:port
  std::string ServiceUrl(std::string_view ns) const;
  friend bool operator==(const RouteBackend&, const RouteBackend&) = default;
};

/// The backends of a record of RecordRoutes, so that smoke checks know them while the routes show
/// the maintenance page. Ports given by name are looked up in the Service. Backends that are no
/// Services are left out.
Result<std::vector<RouteBackend>> OriginalBackends(std::stop_token stop, Deadline deadline,
                                                   kube::Client& client,
                                                   const api::DatabasePlacement& placement,
                                                   const Json& record);

}  // namespace cutover::wiring
