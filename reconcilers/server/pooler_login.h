// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <vector>

#include "operator/api/database_server.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/pooler.h"
#include "reconcilers/wiring/endpoints.h"

namespace cutover::server {

/// Every PgBouncer of `spec.pooler.adminEndpoint`, as its admin: all pods behind a Service, ready
/// or not, all addresses of another name. Empty for a server without a pooler. Retry errors of
/// ReadSecretValue() and wiring::FindAllBackends().
Result<std::vector<pg::PoolerLogin>> PoolerLogins(std::stop_token stop, Deadline deadline,
                                                  const wiring::Access& access,
                                                  const api::DatabaseServer& server);

/// Those of all `servers`, each once: a tenant's clients may come by any of them.
Result<std::vector<pg::PoolerLogin>> PoolerLogins(std::stop_token stop, Deadline deadline,
                                                  const wiring::Access& access,
                                                  const std::vector<api::DatabaseServer>& servers);

}  // namespace cutover::server
