// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "reconcilers/wiring/endpoints.h"

namespace cutover::server {

/// Where the host of a pooler's entry leads, as seen from one placement and the servers of its
/// move. Servers have databases of the same name, so an entry's database alone tells nothing.
enum class EntryLead {
  kService,    ///< To the placement's own Service, the only one that a switch leads elsewhere.
  kServer,     ///< To one of the servers, past that Service.
  kElsewhere,  ///< To neither, as far as names tell: another tenant's.
};

/// By name, by the Service's cluster IP, and for the pooler's own machine (no host, or loopback) as
/// one of the servers. No name is resolved. Errors of Client::Get().
Result<EntryLead> LeadOf(std::stop_token stop, Deadline deadline, const wiring::Access& access,
                         const api::DatabasePlacement& placement,
                         const std::vector<api::DatabaseServer>& servers, const std::string& host);

}  // namespace cutover::server
