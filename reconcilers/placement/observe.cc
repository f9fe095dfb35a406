// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/placement/observe.h"

#include "postgres/database.h"

namespace cutover::placement {

Result<DatabaseObservation> AskOverNetwork(std::stop_token stop, Deadline deadline,
                                           const DatabaseQuestion& question) {
  TRY_ASSIGN(pg::Connection admin, pg::Connection::Open(stop, deadline, question.admin));
  TRY_ASSIGN(const std::optional<pg::DatabaseProperties> properties,
             pg::FindDatabase(stop, deadline, admin, question.tenant.database));
  DatabaseObservation observed;
  if (!properties) return observed;
  observed.exists = true;
  observed.owner = properties->access.owner;
  observed.size_bytes = properties->size_bytes;
  if (question.tenant.password.empty()) return observed;  // Its absence is reported as such.
  const Result<pg::Connection> tenant = pg::Connection::Open(stop, deadline, question.tenant);
  if (!tenant) observed.tenant_login = tl::make_unexpected(tenant.error());
  return observed;
}

}  // namespace cutover::placement
