// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/catalog.h"
#include "postgres/connection.h"
#include "postgres/excluded_tables.h"
#include "postgres/replication.h"
#include "postgres/roles.h"
#include "postgres/server_probe.h"
#include "reconcilers/migration/checks/check.h"
#include "reconcilers/migration/fact.h"
#include "reconcilers/migration/observation.h"
#include "reconcilers/migration/profiles/profile.h"
#include "reconcilers/wiring/endpoints.h"
#include "reconcilers/wiring/precedence.h"
#include "reconcilers/wiring/routes.h"
#include "reconcilers/wiring/workloads.h"

namespace cutover::migration {

/// A login role that may act as the operator's, and so take down what that role owns.
struct AdminMember {
  std::string name;
  std::string revoke;  ///< The statement that ends the membership by which it may.
};

/// The tenant's database where it is.
struct SourceFacts {
  pg::ServerFacts server;
  std::string admin;  ///< The role that the operator connects as.
  /// The admin is a superuser or a member of the database's owner, so that it can close it.
  bool admin_owns_database = false;
  pg::DatabaseFacts database;
  /// Tables that the tenant's own role, which makes the backup, cannot read in full.
  std::vector<std::string> unreadable_tables;
  /// Superusers and the operator's own role, as far as the database's owner or the placement's
  /// owner is one of them or a member: whoever may act as such a role cannot be fenced.
  std::vector<std::string> unfenceable_roles;
  std::vector<AdminMember> admin_members;              ///< Without superusers.
  Fact<pg::RoleSet> roles;                             ///< That the database cannot do without.
  std::vector<pg::NotExcludable> not_excludable;       ///< Of spec.copy.excludeTables.
  std::vector<pg::BrokenReference> broken_references;  ///< Of rows to excluded tables'.
  /// Publications FOR ALL TABLES, which send the move's own tables along with the tenant's.
  std::vector<std::string> all_tables_publications;
  std::vector<std::string> slots_being_read;  ///< Of publications, other than ours.
  bool retired = false;          ///< By a move from here that was over: the tenant's is elsewhere.
  std::string throttle_problem;  ///< Why the query that throttles cannot be asked, or empty.
};

/// The server that the tenant shall move to.
struct TargetFacts {
  pg::ServerFacts server;
  std::string admin;
  std::vector<AdminMember> admin_members;  ///< Without superusers.
  bool database_exists = false;            ///< One of the tenant's database's name.
  std::map<std::string, pg::AvailableExtension> extensions;
  Fact<pg::RoleSet> roles;  ///< Those of the source's roles that exist here too.
  std::string
      locale_problem;  ///< Why a database with the source's locale cannot be made, or empty.
};

/// What strategy Online asks beside that; unobserved for Offline.
struct OnlineFacts {
  Fact<pg::OnlineObstacles> obstacles;  ///< In the tenant's database.
  /// A stream was tried over the very way and by a role like the one that will be used, and took a
  /// row along.
  Fact<bool> forward_path, reverse_path;
  Fact<pg::OnlineObstacles> pooler_obstacles;  ///< With switch Pooler.
};

using Placements = std::vector<std::shared_ptr<const api::DatabasePlacement>>;

/// Everything that preflight looks at. What could not be read is unknown, with its reason.
struct PreflightFacts {
  api::TenantMigration migration;
  api::DatabasePlacement placement;
  std::string source_server_name;
  WallTime now;
  Placements placements{};  ///< All that the operator sees, this one among them.
  Fact<std::optional<api::DatabaseServer>> source_server, target_server;
  Fact<std::map<std::string, std::string>> namespace_labels;  ///< Of the tenant's namespace.
  Fact<SourceFacts> source;
  Fact<TargetFacts> target;
  Fact<bool> tenant_login;  ///< The tenant's role and password open the database.
  Fact<std::vector<wiring::WorkloadObservation>> workloads;
  Fact<bool> routes;  ///< All of them can be recorded, or what is in the way.
  Fact<std::vector<std::string>> autoscalers;
  Fact<std::vector<wiring::Finding>> wiring;
  Fact<wiring::Objects> wired_objects;
  Fact<bool> backup_claim;  ///< There is one, and it has not lost its volume.
  Fact<std::vector<Finding>> profile;
  Fact<std::vector<Finding>> reach;  ///< FindUnreachable
  OnlineFacts online;
  Fact<std::vector<CheckOutcome>> checks;                 ///< spec.checks with when: Preflight.
  Fact<std::vector<std::string>> missing_cron_jobs;       ///< That checks by Job name.
  std::vector<std::string> prometheus_urls;               ///< As OperatorConfig has them, and
  std::map<std::string, std::string> throttle_queries{};  ///< these, too.
};

/// Admin options of a server: its endpoint, Secret and CA, to its maintenance database.
using AdminOptions = std::function<Result<pg::ConnectOptions>(
    std::stop_token stop, Deadline deadline, const api::DatabaseServer& server)>;

struct PreflightInputs {
  const api::TenantMigration& migration;
  const api::DatabasePlacement& placement;
  std::string source_server_name;  ///< Where the tenant is.
  WallTime now{};                  ///< For spec.cutover.window.
  wiring::Access access;
  AdminOptions admin_options;
  const Profile& profile;
  HttpConnect http = PlainHttp();
  std::vector<std::string> prometheus_urls{};
  std::map<std::string, std::string> throttle_queries{};
  Placements placements{};
};

/// Reads everything and changes nothing of the tenant's: what is tried (a locale, a stream) is gone
/// again afterwards. Never fails: what cannot be read is unknown. Blocks until
/// the deadline at most.
PreflightFacts GatherPreflight(std::stop_token stop, Deadline deadline,
                               const PreflightInputs& inputs);

}  // namespace cutover::migration
