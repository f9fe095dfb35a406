// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/api/tenant_migration.h"
#include "operator/base/clock.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "operator/kube/transport.h"
#include "postgres/connection.h"
#include "reconcilers/migration/fact.h"
#include "reconcilers/migration/observation.h"
#include "reconcilers/wiring/routes.h"

namespace cutover::migration {

/// A Transport to "http://host:port". Called from any thread.
using HttpConnect =
    std::function<Result<std::unique_ptr<kube::Transport>>(const std::string& origin)>;

/// Real HTTP, with answers bounded to what a check may want to look at.
HttpConnect PlainHttp();

struct CheckContext;

/// A check that the profile brings along. `run` tries once: what it found when it passes, and an
/// error that says what came instead when not. It is given a deadline of its own.
struct BuiltinCheck {
  std::string name;
  std::vector<api::CheckWhen> when;
  int timeout_seconds = 60;  ///< As spec.checks[].timeoutSeconds.
  std::function<Result<std::string>(std::stop_token stop, Deadline deadline,
                                    const CheckContext& context)>
      run;
  // As spec.checks[] has them, with the same defaults.
  int interval_seconds = api::Check{}.interval_seconds;
  int failure_threshold = api::Check{}.failure_threshold;
  /// Compares with what was read behind closed doors. Once users write, a difference says nothing.
  bool needs_users_out = false;
};

/// What checks may reach. What could not be found out stays unknown: only the checks that need it
/// fail, with its reason.
struct CheckContext {
  std::string namespace_name;  ///< The tenant's.
  std::string database;
  std::string owner;  ///< The tenant's role.
  /// The tenant's own role and password, at the server that has the tenant at this moment. Checks
  /// ask the database as the tenant and as nobody else: `SET ROLE` from an admin's session is no
  /// boundary, since what a tenant's query calls could reset it.
  Fact<pg::ConnectOptions> tenant;
  /// The operator's own, to a database of the server that is not the tenant's.
  Fact<pg::ConnectOptions> source_admin, target_admin;
  /// Where the routes lead when they do not show the maintenance page.
  Fact<std::vector<wiring::RouteBackend>> backends;
  HttpConnect http = PlainHttp();
  /// Beside those in its own namespace, what a check may ask as a Prometheus: whoever runs the
  /// operator says so, since the answers may be about other tenants.
  std::vector<std::string> prometheus_urls;
  std::vector<api::Check> checks;        ///< spec.checks
  std::vector<BuiltinCheck> builtin;     ///< Profile::Checks()
  std::vector<api::CheckStatus> so_far;  ///< status.checks
  bool users_are_in = false;             ///< Leaves out what needs_users_out.
  const Clock* clock = &RealClock();
};

/// Tries every check of `moment` once, the profile's first, and reports all; in Hypercare those
/// that are due by `so_far`. A check that cannot be run is a failing outcome with its reason.
/// Unknown only when `stop` was requested. Checks share the time until the deadline, so that a slow
/// one does not keep the others from being tried. Checks by Job are left out: see
/// cluster/check_jobs.h.
///
/// In Hypercare, where how long http and sql take has a bound, that is the median of
/// kLatencySamples tries, or of as many as there is time for; the first that fails is the outcome.
Fact<std::vector<CheckOutcome>> RunChecks(std::stop_token stop, Deadline deadline,
                                          api::CheckWhen moment, const CheckContext& context);

/// Measures the checks of Hypercare whose baseline is wanted and not in `so_far` yet, in the same
/// way. Asked before the move, when the workloads and `context.tenant` are on the source.
Fact<std::vector<CheckOutcome>> MeasureBaselines(std::stop_token stop, Deadline deadline,
                                                 const CheckContext& context);

/// The tenant's password as spec.database.passwordSecretRef names it. Retry errors
/// "PasswordSecretNotFound" and "PasswordKeyNotFound" say what to create.
Result<std::string> ReadTenantPassword(std::stop_token stop, Deadline deadline,
                                       kube::Client& client,
                                       const api::DatabasePlacement& placement);

/// The tenant's own way to the server that `admin` leads to.
pg::ConnectOptions AsTenant(const pg::ConnectOptions& admin,
                            const api::DatabasePlacement& placement, const std::string& password);

}  // namespace cutover::migration
