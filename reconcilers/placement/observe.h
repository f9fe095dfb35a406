// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "reconcilers/wiring/wiring.h"

namespace cutover::placement {

/// The tenant's database on its server, asked as the server's administrator, and then as the
/// tenant.
struct DatabaseObservation {
  bool exists = false;
  std::string owner;
  int64_t size_bytes = 0;
  Status tenant_login = Ok();  ///< How a login with the tenant's own password went.
};

/// All that is known about a placement at one moment; immutable. An Error is an unknown, with the
/// reason why.
struct PlacementObservation {
  api::DatabasePlacement placement;
  std::string migration_name;    ///< The active migration, or empty.
  bool is_being_moved = false;   ///< By it. One that still prepares has not begun.
  bool service_is_led = false;   ///< By it: where users are to go is its to say at the moment.
  bool may_be_adopted = true;    ///< No migration has checked one that was here before this.
  int64_t taken_generation = 0;  ///< Of the spec that it moves the tenant with; 0: not decided yet.
  std::string server_name;       ///< Where the tenant is, or is to be adopted; empty: nobody said.
  std::optional<api::DatabaseServer> server;  ///< Nothing: there is none of that name.
  bool namespace_allowed = true;
  Result<std::string> password = std::string();  ///< The tenant's own.
  Result<DatabaseObservation> database = DatabaseObservation();
  Status service = Ok();  ///< How keeping our own Service current went.
  Result<wiring::WiringObservation> wiring = wiring::WiringObservation();
};

/// Asks a server about a tenant's database. `admin` and `tenant` name the same server.
struct DatabaseQuestion {
  pg::ConnectOptions admin;
  pg::ConnectOptions tenant;  ///< User, password and database of the tenant.
};
using AskDatabase =
    std::function<Result<DatabaseObservation>(std::stop_token, Deadline, const DatabaseQuestion&)>;
Result<DatabaseObservation> AskOverNetwork(std::stop_token stop, Deadline deadline,
                                           const DatabaseQuestion& question);

}  // namespace cutover::placement
