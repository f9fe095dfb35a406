// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "reconcilers/wiring/endpoints.h"

/// The placement's own Service and its EndpointSlices; ApplyService is in wiring.h.
namespace cutover::wiring {

/// On each EndpointSlice: the server that its addresses were found for, as "host:port". It is what
/// tells a Service whose pods have moved from one that leads elsewhere.
inline constexpr char kServerAnnotation[] = "cutover.dev/server";

/// What a live look at the Service found.
struct ServiceObservation {
  bool exists = false;
  std::optional<HostPort> server;  ///< Named by our slices; nothing when they disagree or lack.
  Backends backends;               ///< What the slices hold.
  std::string obstacle;            ///< Why it is not ours to change; empty when it is.
};

Result<ServiceObservation> ObserveService(std::stop_token stop, Deadline deadline,
                                          kube::Client& client, const std::string& ns,
                                          const std::string& name);

/// Brings the addresses up to date for the very server that the slices name already, on condition
/// that they still do. It can therefore never undo a switch, and is safe beside a migration.
/// Does nothing when there is no Service, or it names no server.
Status RefreshService(std::stop_token stop, Deadline deadline, const Access& access,
                      const api::DatabasePlacement& placement);

// Pure.

/// Service and EndpointSlices, one slice for each family of addresses, as they are applied; and
/// the names that these may have.
Json DesiredService(const api::DatabasePlacement& placement);
std::vector<kube::Key> SliceKeys(const api::DatabasePlacement& placement);
std::vector<Json> DesiredSlices(const api::DatabasePlacement& placement, const HostPort& server,
                                const Backends& backends);
ServiceObservation InterpretService(const std::optional<Json>& service,
                                    const std::vector<Json>& slices);

}  // namespace cutover::wiring
