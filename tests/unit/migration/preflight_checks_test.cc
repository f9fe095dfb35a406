// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "operator/kube/metadata.h"
#include "reconcilers/migration/preflight/checks.h"
#include "reconcilers/wiring/base64.h"

namespace cutover::migration {
namespace {

using ::testing::HasSubstr;

api::DatabaseServer Server(const char* name) {
  api::DatabaseServer server;
  server.meta.name = name;
  server.status.conditions.Set({"Ready", api::ConditionStatus::kTrue, "Probed", "", 1, {}}, {});
  return server;
}

pg::ServerFacts ServerOf(int major, const char* identifier) {
  pg::ServerFacts facts;
  facts.version_number = major * 10000 + 2;
  facts.version = std::to_string(major) + ".2";
  facts.system_identifier = identifier;
  facts.admin_is_superuser = true;
  return facts;
}

pg::Role RoleOf(const char* name, const char* verifier) {
  pg::Role role;
  role.name = name;
  role.can_login = true;
  role.verifier = verifier;
  return role;
}

SourceFacts GoodSource() {
  SourceFacts source;
  source.server = ServerOf(15, "111");
  source.admin = "admin";
  source.admin_owns_database = true;
  source.database.properties.name = "acme";
  source.database.properties.access.owner = "acme_owner";
  source.database.properties.encoding = "UTF8";
  source.database.properties.collate = "fr_FR.utf8";
  source.database.properties.ctype = "fr_FR.utf8";
  source.database.properties.locale_provider = "libc";
  source.database.extensions = {{"unaccent", "1.1", "public"}};
  pg::RoleSet roles;
  roles.roles = {RoleOf("acme_owner", "SCRAM-SHA-256$1")};
  source.roles = roles;
  return source;
}

TargetFacts GoodTarget() {
  TargetFacts target;
  target.server = ServerOf(17, "222");
  target.admin = "admin";
  target.extensions["unaccent"] = {"1.1", {"1.0", "1.1"}};
  target.roles = pg::RoleSet();
  return target;
}

/// A tenant whom nothing keeps from moving.
PreflightFacts Good() {
  PreflightFacts facts;
  facts.migration.spec.target_server_name = "pg-target";
  facts.migration.spec.backup_claim_name = "backups";
  facts.placement.meta.name = "acme";
  facts.placement.meta.namespace_name = "tenants";
  facts.placement.spec.database_name = "acme";
  facts.placement.spec.owner = "acme_owner";
  facts.placement.spec.password_secret_ref = {"acme-db", "password"};
  facts.placement.spec.profile = api::ProfileType::kOdoo;
  facts.placement.spec.workloads = {{"Deployment", "odoo"}};
  facts.placement.spec.routes = {{"Ingress", "odoo"}};
  facts.source_server_name = "pg-source";
  facts.source_server = std::optional(Server("pg-source"));
  facts.target_server = std::optional(Server("pg-target"));
  facts.namespace_labels = std::map<std::string, std::string>{{"plan", "gold"}};
  facts.source = GoodSource();
  facts.target = GoodTarget();
  facts.tenant_login = true;
  wiring::WorkloadObservation workload;
  workload.ref = {"Deployment", "odoo"};
  workload.exists = true;
  workload.wanted_replicas = 1;
  facts.workloads = std::vector{workload};
  facts.routes = true;
  facts.autoscalers = std::vector<std::string>();
  facts.wiring = std::vector<wiring::Finding>();
  facts.wired_objects = wiring::Objects();
  facts.backup_claim = true;
  facts.profile = std::vector<Finding>();
  facts.reach = std::vector<Finding>();
  facts.checks = std::vector<CheckOutcome>();
  facts.missing_cron_jobs = std::vector<std::string>();
  facts.throttle_queries = {{"busy", "SELECT 0"}, {"load", "SELECT 0"}};
  facts.prometheus_urls = {"http://prometheus.monitoring.svc:9090"};
  return facts;
}

// Facts are immutable on purpose; tests change a copy.
template <class T>
void Change(Fact<T>& fact, const std::function<void(T&)>& change) {
  T value = *fact;
  change(value);
  fact = value;
}
void ChangeSource(PreflightFacts& facts, const std::function<void(SourceFacts&)>& change) {
  Change(facts.source, change);
}
void ChangeTarget(PreflightFacts& facts, const std::function<void(TargetFacts&)>& change) {
  Change(facts.target, change);
}
void ChangeTargetSpec(PreflightFacts& facts,
                      const std::function<void(api::DatabaseServerSpec&)>& change) {
  api::DatabaseServer server = **facts.target_server;
  change(server.spec);
  facts.target_server = std::optional(server);
}

void NameEndpoints(PreflightFacts& facts) {
  for (auto [server, name] : {std::pair(&facts.source_server, "source.example"),
                              std::pair(&facts.target_server, "target.example")}) {
    api::DatabaseServer known = ***server;
    known.spec.endpoint.host = name;
    *server = std::optional(known);
  }
}

/// The placement's wiring is a Secret that says `host`; the source's is source.example.
void WireBySecret(PreflightFacts& facts, const char* host, bool immutable = false) {
  NameEndpoints(facts);
  facts.placement.spec.connection.secret =
      api::WiringSecret{"acme-conn", "host", "", "", "", "", ""};
  Json secret = kube::NewObject(kube::kSecret, {"tenants", "acme-conn"});
  secret.Set("data", Json::Object({{"host", wiring::EncodeBase64(host)}}));
  secret.Set("immutable", immutable);
  facts.wired_objects = wiring::Objects{{{"Secret", "acme-conn"}, std::move(secret)}};
}

/// The placement's wiring is a variable of the Deployment, which names the source.
void WireByVariable(PreflightFacts& facts) {
  NameEndpoints(facts);
  facts.placement.spec.connection.env = {{{"Deployment", "odoo"}, "odoo", "HOST", "", "", ""}};
  Json variable = Json::Object({{"name", "HOST"}, {"value", "source.example"}});
  Json container = Json::Object({{"name", "odoo"}, {"env", Json::Array({variable})}});
  Json pod = Json::Object({{"spec", Json::Object({{"containers", Json::Array({container})}})}});
  Json deployment = kube::NewObject(kube::kDeployment, {"tenants", "odoo"});
  deployment.Set("spec", Json::Object({{"template", pod}}));
  facts.wired_objects = wiring::Objects{{{"Deployment", "odoo"}, std::move(deployment)}};
}

/// The tenant's role on the source, which the target does not have, with one more attribute.
void GiveOwner(PreflightFacts& facts, bool pg::Role::*attribute) {
  ChangeSource(facts, [&](SourceFacts& source) {
    Change<pg::RoleSet>(source.roles, [&](pg::RoleSet& roles) {
      pg::Role owner;
      owner.name = "acme_owner";
      owner.*attribute = true;
      roles.roles = {owner};
    });
  });
}

struct Case {
  const char* check;  ///< The line of the table that must speak up, alone.
  const char* reason;
  Severity severity;
  const char* says;  ///< The remedy, or the object.
  std::function<void(PreflightFacts&)> change;
};

/// Two roles that are on both sides, the one a member of the other on the source only.
void LoseAMembership(PreflightFacts& facts) {
  pg::RoleSet roles;
  roles.roles = {RoleOf("acme_owner", "SCRAM-SHA-256$1"), RoleOf("shop", "SCRAM-SHA-256$2")};
  ChangeTarget(facts, [&roles](TargetFacts& target) { target.roles = roles; });
  roles.memberships = {{"shop", "acme_owner", true}};
  ChangeSource(facts, [&roles](SourceFacts& source) { source.roles = roles; });
}

/// A role that nobody logs in as, on both sides.
void NameARoleLikeAStrangers(PreflightFacts& facts) {
  pg::Role readers = RoleOf("readers", "");
  readers.can_login = false;
  ChangeTarget(facts, [&](TargetFacts& target) { target.roles = pg::RoleSet{{readers}, {}}; });
  ChangeSource(facts, [&](SourceFacts& source) {
    Change<pg::RoleSet>(source.roles, [&](pg::RoleSet& roles) { roles.roles.push_back(readers); });
  });
}

/// A role that is on both sides, and has a setting on the source only.
void LoseASetting(PreflightFacts& facts, const char* name) {
  pg::RoleSet roles;
  roles.roles = {RoleOf("acme_owner", "SCRAM-SHA-256$1")};
  ChangeTarget(facts, [&roles](TargetFacts& target) { target.roles = roles; });
  roles.roles[0].settings = {{"acme_owner", name, "shop"}};
  ChangeSource(facts, [&roles](SourceFacts& source) { source.roles = roles; });
}

// Roles, their memberships and settings, waived or not.
std::vector<Case> CasesOfRoles() {
  return {
      {"roles", "RoleNotCopied", Severity::kBlocking, "REVOKE \"pg_monitor\" FROM \"acme_owner\"",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           Change<pg::RoleSet>(s.roles, [](pg::RoleSet& roles) {
             roles.memberships.push_back({"pg_monitor", "acme_owner"});
           });
         });
       }},
      {"roles", "RoleNotCopied", Severity::kBlocking, "REVOKE \"postgres\" FROM \"acme_owner\"",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           Change<pg::RoleSet>(s.roles, [](pg::RoleSet& roles) {
             pg::Membership in_superuser{"postgres", "acme_owner"};
             in_superuser.of_superuser = true;
             roles.memberships.push_back(in_superuser);
           });
         });
       }},
      {"roles", "RoleNotCopied", Severity::kWarning, "as accepted",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           Change<pg::RoleSet>(s.roles, [](pg::RoleSet& roles) {
             roles.memberships.push_back({"pg_monitor", "acme_owner"});
           });
         });
         f.migration.spec.copy_accept = {"membership of acme_owner in pg_monitor"};
       }},
      {"role-powers", "RoleNotCopied", Severity::kBlocking,
       "run on DatabaseServer pg-source: ALTER ROLE \"acme_owner\" NOREPLICATION), or create a new "
       "TenantMigration with \"REPLICATION of role acme_owner\" in copy.accept",
       [](auto& f) { GiveOwner(f, &pg::Role::replication); }},
      {"role-powers", "RoleNotCopied", Severity::kWarning, "as accepted",
       [](auto& f) {
         GiveOwner(f, &pg::Role::create_role);
         f.migration.spec.copy_accept = {"CREATEROLE of role acme_owner"};
       }},
      {"role-powers", "RoleTakenByName", Severity::kWarning, "readers",
       [](auto& f) { NameARoleLikeAStrangers(f); }},
      {"roles", "RoleClash", Severity::kWarning, "as accepted",
       [](auto& f) {
         ChangeTarget(f, [](TargetFacts& t) {
           pg::RoleSet roles;
           roles.roles = {RoleOf("acme_owner", "SCRAM-SHA-256$2")};
           t.roles = roles;
         });
         f.migration.spec.copy_accept = {"role acme_owner"};
       }},
      {"roles", "RoleNotCopied", Severity::kBlocking, "TO \"acme_owner\" WITH ADMIN TRUE",
       [](auto& f) { LoseAMembership(f); }},
      {"roles", "RoleNotCopied", Severity::kBlocking,
       "ALTER ROLE \"acme_owner\" SET search_path = 'shop'",
       [](auto& f) { LoseASetting(f, "search_path"); }},
      {"roles", "RoleNotCopied", Severity::kBlocking,
       "ALTER ROLE \"acme_owner\" SET \"app.key\" = …",
       [](auto& f) { LoseASetting(f, "app.key"); }},
      {"roles", "RoleNotCopied", Severity::kBlocking,
       "GRANT CONNECT ON DATABASE \"acme\" TO \"alice\"", [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           Change<pg::RoleSet>(s.roles, [](pg::RoleSet& roles) {
             roles.left_behind = {{"readers", {"alice"}}};
           });
         });
       }}};
}

// What spec.copy leaves behind or waives.
std::vector<Case> CasesOfCopy() {
  return {{"extensions", "ExtensionMissing", Severity::kWarning, "as accepted",
           [](auto& f) {
             ChangeSource(f, [](SourceFacts& s) {
               s.database.extensions.push_back({"postgis", "3.3.2", "p"});
             });
             f.migration.spec.copy_accept = {"extension postgis"};
           }},
          {"leftovers", "ConstraintsNotEnforced", Severity::kBlocking,
           "ALTER TABLE public.t ENABLE TRIGGER ALL",
           [](auto& f) {
             ChangeSource(f, [](SourceFacts& s) { s.database.unenforced_tables = {"public.t"}; });
           }},
          {"leftovers", "TablespacesDropped", Severity::kBlocking,
           "\"tablespace fast_disk\" in copy.accept",
           [](auto& f) {
             ChangeSource(f, [](SourceFacts& s) { s.database.tablespaces = {"fast_disk"}; });
           }},
          {"leftovers", "TablespacesDropped", Severity::kWarning, "as accepted",
           [](auto& f) {
             ChangeSource(f, [](SourceFacts& s) { s.database.tablespaces = {"fast_disk"}; });
             f.migration.spec.copy_accept = {"tablespace fast_disk"};
           }},
          {"copy", "ExcludedTableNotFound", Severity::kHopeless, "public.no_such",
           [](auto& f) {
             ChangeSource(f, [](SourceFacts& s) { s.not_excludable = {{"public.no_such"}}; });
           }},
          {"copy", "ExcludedTablePartitioned", Severity::kHopeless,
           "instead: public.log_1, public.log_2",
           [](auto& f) {
             ChangeSource(f, [](SourceFacts& s) {
               s.not_excludable = {{"public.log", true, {"public.log_1", "public.log_2"}}};
             });
           }},
          {"copy", "ExcludedRowsNeeded", Severity::kBlocking,
           "\"FK CONSTRAINT public.note note_fkey\" in copy.accept",
           [](auto& f) {
             ChangeSource(f, [](SourceFacts& s) {
               s.broken_references = {{"public.note", "note_fkey", "public.mail", true}};
             });
           }},
          {"copy", "ExcludedRowsNeeded", Severity::kBlocking,
           "exclude public.note_1, the partitions of public.note, too",
           [](auto& f) {
             ChangeSource(f, [](SourceFacts& s) {
               s.broken_references = {
                   {"public.note", "note_fkey", "public.mail", true, {"public.note_1"}}};
             });
           }},
          {"copy", "ExcludedRowsNeeded", Severity::kHopeless, "excludes public.note too",
           [](auto& f) {
             ChangeSource(f, [](SourceFacts& s) {
               s.broken_references = {{"public.note", "note_fkey", "public.mail", false}};
             });
           }},
          {"copy", "RowsStayBehind", Severity::kWarning, "public.mail_message",
           [](auto& f) { f.migration.spec.copy_exclude_tables = {"public.mail_message"}; }},
          {"copy", "ThrottleQueryUnknown", Severity::kBlocking, "the operator knows busy, load",
           [](auto& f) { f.migration.spec.copy_throttle_query = "SELECT 1"; }},
          {"copy", "ThrottleQueryFailed", Severity::kBlocking, "relation \"load\" does not exist",
           [](auto& f) {
             f.migration.spec.copy_throttle_query = "load";
             ChangeSource(f, [](SourceFacts& s) {
               s.throttle_problem = "relation \"load\" does not exist";
             });
           }}};
}

// Everything that Online asks for, answered well.
void GoOnline(PreflightFacts& facts) {
  facts.migration.spec.strategy = api::Strategy::kOnline;
  facts.migration.spec.switch_mode = api::SwitchMode::kPooler;
  ChangeSource(facts, [](SourceFacts& s) {
    s.server.slots_max = 10;
    s.server.slots_used = 8;
  });
  ChangeTarget(facts, [](TargetFacts& t) {
    t.server.slots_max = 10;
    t.server.slots_used = 9;
  });
  facts.online.obstacles = pg::OnlineObstacles{};
  facts.online.forward_path = facts.online.reverse_path = true;
  facts.online.pooler_obstacles = pg::OnlineObstacles{};
}

std::vector<Case> CasesOfFollowing() {
  return {
      {"followable", "NotFollowable", Severity::kBlocking, "3 large objects",
       [](auto& f) {
         GoOnline(f);
         f.online.obstacles = pg::OnlineObstacles{{"3 large objects"}, {}};
       }},
      {"followable", "MissingPrivilege", Severity::kBlocking, "permission denied",
       [](auto& f) {
         GoOnline(f);
         f.online.obstacles =
             Error{Disposition::kRetry, "MissingPrivilege", "permission denied for function x"};
       }},
      {"followable", "NotFollowed", Severity::kWarning, "keep the content of the copy",
       [](auto& f) {
         GoOnline(f);
         f.online.obstacles = pg::OnlineObstacles{{}, {"views keep the content of the copy"}};
       }},
  };
}

std::vector<Case> CasesOfOnline() {
  std::vector<Case> all = {
      {"replication", "ReplicationNotReady", Severity::kBlocking, "or choose strategy Offline",
       [](auto& f) {
         GoOnline(f);
         ChangeTarget(f, [](TargetFacts& t) {
           t.server.replication_obstacles = {"wal_level is replica: set it to logical"};
         });
       }},
      {"replication", "ReplicationNotReady", Severity::kBlocking,
       "1 of 10 replication slots is free, and the move needs 2",
       [](auto& f) {
         GoOnline(f);
         ChangeSource(f, [](SourceFacts& s) {
           s.server.slots_max = 10;
           s.server.slots_used = 9;
         });
       }},
      {"replication", "LittleWalKept", Severity::kWarning,
       "DatabaseServer pg-target keeps no more than 4096 MB of WAL for a replication slot, less "
       "than "
       "copy.maxRetainedWalBytes (10240 MB)",
       [](auto& f) {
         GoOnline(f);
         ChangeTarget(f, [](TargetFacts& t) { t.server.slot_wal_bytes_max = int64_t{4} << 30; });
       }},
      {"replication", "ReplicationNotReady", Severity::kBlocking,
       "run there ALTER SYSTEM SET max_slot_wal_keep_size = '10304 MB' and SELECT "
       "pg_reload_conf(); or choose strategy Offline",
       [](auto& f) {
         GoOnline(f);
         ChangeSource(f, [](SourceFacts& s) { s.server.slot_wal_bytes_max = 0; });
       }},
      {"stream-paths", "ConnectionFailed", Severity::kBlocking,
       "no pg_hba.conf entry; or choose strategy Offline",
       [](auto& f) {
         GoOnline(f);
         f.online.reverse_path =
             Error{Disposition::kRetry, "ConnectionFailed", "reverse: no pg_hba.conf entry"};
       }},
      {"poolers", "PoolerObstacle", Severity::kBlocking, "pool_mode",
       [](auto& f) {
         GoOnline(f);
         f.online.pooler_obstacles = pg::OnlineObstacles{{"set pool_mode to transaction"}, {}};
       }},
      {"poolers", "PoolerEntryLeftAlone", Severity::kWarning, "another tenant's",
       [](auto& f) {
         GoOnline(f);
         f.online.pooler_obstacles = pg::OnlineObstacles{{}, {"taken for another tenant's"}};
       }},
  };
  for (Case& following : CasesOfFollowing()) all.push_back(std::move(following));
  return all;
}

std::vector<Case> CasesOfChecks() {
  return {
      {"check-prometheus", "PrometheusNotAllowed", Severity::kBlocking, "--prometheus-url",
       [](auto& f) {
         api::Check check;
         check.name = "spy";
         check.prometheus = api::PrometheusCheck{"http://others.svc:9090", "up", 1, {}};
         f.migration.spec.checks = {check};
       }},
      {"check-jobs", "CronJobNotFound", Severity::kBlocking, "CronJob acme-acceptance",
       [](auto& f) { f.missing_cron_jobs = std::vector<std::string>{"acme-acceptance"}; }},
  };
}

void ChangeWorkload(PreflightFacts& facts,
                    const std::function<void(wiring::WorkloadObservation&)>& change) {
  Change<std::vector<wiring::WorkloadObservation>>(facts.workloads,
                                                   [&](auto& workloads) { change(workloads[0]); });
}

// What would not come back as it was, once the workloads were stopped.
std::vector<Case> CasesOfStopping() {
  return {
      {"volumes", "VolumesGoWithReplicas", Severity::kBlocking,
       "the move stops Deployment odoo, and Kubernetes would delete its volumes with its pods: set "
       "its spec.persistentVolumeClaimRetentionPolicy.whenScaled to Retain",
       [](auto& f) { ChangeWorkload(f, [](auto& workload) { workload.loses_volumes = true; }); }},
      {"rollouts", "WorkloadNotRolledOut", Severity::kBlocking,
       "Deployment odoo has not finished its rollout (1 of 2 pods of its present form), and once "
       "it was stopped it would come back in its present form only: see kubectl rollout status -n "
       "tenants deployment/odoo, and repair it or go back by kubectl rollout undo",
       [](auto& f) {
         ChangeWorkload(
             f, [](auto& workload) { workload.unfinished = "1 of 2 pods of its present form"; });
       }},
      {"rollouts", "TemplateHeldBack", Severity::kBlocking,
       "Deployment odoo has spec.paused: true, with which pods would go on with the variables of",
       [](auto& f) {
         ChangeWorkload(f, [](auto& workload) { workload.template_hold = "spec.paused: true"; });
         WireByVariable(f);
       }},
  };
}

// Another tenant's placement, in this namespace, beside the tenant's own.
api::DatabasePlacement& AddNeighbour(PreflightFacts& facts) {
  auto neighbour = std::make_shared<api::DatabasePlacement>();
  neighbour->meta.name = "neighbour";
  neighbour->meta.namespace_name = facts.placement.meta.namespace_name;
  neighbour->spec.database_name = "neighbour";
  neighbour->status.server_name = facts.source_server_name;
  facts.placements = {std::make_shared<api::DatabasePlacement>(facts.placement), neighbour};
  return *neighbour;
}

// What would keep a fence from being proven.
std::vector<Case> CasesOfTheFence() {
  return {
      {"fence", "AdminHasMembers", Severity::kBlocking,
       "DatabaseServer pg-source could open a fenced database again, so that no fence is ever "
       "proven (alice, bob): run on DatabaseServer pg-source: REVOKE \"admin\" FROM \"staff\", or",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           const std::string revoke = "REVOKE \"admin\" FROM \"staff\"";
           s.admin_members = {{"alice", revoke}, {"bob", revoke}};
         });
       }},
      {"fence", "AdminHasMembers", Severity::kBlocking, "run on DatabaseServer pg-target: REVOKE",
       [](auto& f) {
         ChangeTarget(f, [](TargetFacts& t) {
           t.admin_members = {{"alice", "REVOKE \"admin\" FROM \"alice\""}};
         });
       }},
      {"fence", "SubscriptionsWrite", Severity::kBlocking,
       "(feed, news): connect to it on DatabaseServer pg-source and say ALTER SUBSCRIPTION "
       "\"feed\" "
       "DISABLE; ALTER SUBSCRIPTION \"news\" DISABLE",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           s.database.subscriptions = {{"feed", true}, {"news", true}};
         });
       }},
      // The stream's own is none of the tenant's.
      {"fence", "SubscriptionsWrite", Severity::kBlocking, "under the fence (feed): connect",
       [](auto& f) {
         GoOnline(f);
         ChangeSource(f, [](SourceFacts& s) {
           s.database.subscriptions = {{"cutover_reverse_uid", true}, {"feed", true}};
         });
       }},
  };
}

std::vector<Case> CasesOfSharing() {
  return {
      {"sharing", "SharedObject", Severity::kBlocking, "Deployment odoo: also of",
       [](auto& f) {
         AddNeighbour(f).spec.workloads = {{"Deployment", "odoo"}};
       }},
      {"sharing", "SharedObject", Severity::kBlocking,
       "Secret acme-conn, ConfigMap odoo-conf: also of",
       [](auto& f) {
         WireBySecret(f, "source.example");
         f.placement.spec.connection.config_files = {{{"ConfigMap", "odoo-conf"}, "odoo.conf"}};
         Json conf = kube::NewObject(kube::kConfigMap, {"tenants", "odoo-conf"});
         conf.Set("data", Json::Object({{"odoo.conf", "[options]\ndb_host = source.example\n"}}));
         wiring::Objects objects = *f.wired_objects;
         objects.insert({{"ConfigMap", "odoo-conf"}, std::move(conf)});
         f.wired_objects = std::move(objects);
         AddNeighbour(f).spec.connection = f.placement.spec.connection;
       }},
      {"sharing", "SharedRoute", Severity::kWarning, "Ingress odoo: also of",
       [](auto& f) {
         AddNeighbour(f).spec.routes = {{"Ingress", "odoo"}};
       }},
      {"sharing", "SharedDatabase", Severity::kBlocking, "delete one of the two",
       [](auto& f) {
         api::DatabasePlacement& neighbour = AddNeighbour(f);
         neighbour.meta.namespace_name = "elsewhere";
         neighbour.spec.database_name = "acme";
       }},
      {"sharing", "SharedDatabase", Severity::kBlocking, "tenants/neighbour",
       [](auto& f) {
         api::DatabasePlacement& neighbour = AddNeighbour(f);
         neighbour.spec.database_name = "acme";
         neighbour.status.server_name.clear();
         neighbour.spec.server_name = "pg-source";
       }},
      // Anybody could say so: nobody has shown the database's password.
      {"sharing", "SharedDatabase", Severity::kWarning, "elsewhere/neighbour",
       [](auto& f) {
         api::DatabasePlacement& neighbour = AddNeighbour(f);
         neighbour.meta.namespace_name = "elsewhere";
         neighbour.spec.database_name = "acme";
         neighbour.status.server_name.clear();
         neighbour.spec.server_name = "pg-source";
       }},
  };
}

// What tells the workload its database.
std::vector<Case> CasesOfWiring() {
  return {
      {"wiring", "ArgumentOverridesWiring", Severity::kBlocking, "--db_host",
       [](auto& f) {
         f.wiring = std::vector<wiring::Finding>{
             {wiring::Severity::kBlocking, "ArgumentOverridesWiring", "remove --db_host"}};
       }},
      {"wiring", "ModulesUpdatedAtStart", Severity::kWarning, "SKIP",
       [](auto& f) {
         f.wiring = std::vector<wiring::Finding>{
             {wiring::Severity::kWarning, "ModulesUpdatedAtStart", "set SKIP"}};
       }},
      {"wiring", "WiringNotChangeable", Severity::kBlocking, "Secret acme-conn is immutable",
       [](auto& f) { WireBySecret(f, "source.example", true); }},
      {"wiring", "WiringNotFound", Severity::kBlocking, "Secret acme-conn does not exist",
       [](auto& f) {
         WireBySecret(f, "source.example");
         f.wired_objects = wiring::Objects();
       }},
      {"wiring", "WiringOwned", Severity::kWarning,
       "Secret acme-conn is kept by ExternalSecret acme, which may put back what the switch writes",
       [](auto& f) {
         WireBySecret(f, "source.example");
         Change<wiring::Objects>(f.wired_objects, [](wiring::Objects& objects) {
           const Json maker =
               Json::Object({{"kind", "ExternalSecret"}, {"name", "acme"}, {"controller", true}});
           const Json other = Json::Object({{"kind", "Release"}, {"name", "acme"}});
           objects.begin()
               ->second.MutableAt("metadata")
               .Set("ownerReferences", Json::Array({other, maker}));
         });
       }},
      {"wiring", "WiringDrifted", Severity::kWarning,
       "key host leads elsewhere, which is not what DatabaseServer pg-source names "
       "(source.example:5432)",
       [](auto& f) { WireBySecret(f, "pg-alias.example"); }},
  };
}

// What the spec orders beyond a plain move, and what others have in common with the tenant.
std::vector<Case> CasesOfOrders() {
  std::vector<Case> cases = CasesOfCopy();
  cases.push_back({"origin", "SourceDiffers", Severity::kHopeless,
                   "on DatabaseServer pg-source, not",
                   [](auto& f) { f.migration.spec.source_server_name = "pg-old"; }});
  for (Case& of_roles : CasesOfRoles()) cases.push_back(std::move(of_roles));
  for (Case& of_online : CasesOfOnline()) cases.push_back(std::move(of_online));
  for (Case& of_checks : CasesOfChecks()) cases.push_back(std::move(of_checks));
  for (Case& of_the_fence : CasesOfTheFence()) cases.push_back(std::move(of_the_fence));
  for (Case& of_sharing : CasesOfSharing()) cases.push_back(std::move(of_sharing));
  for (Case& of_wiring : CasesOfWiring()) cases.push_back(std::move(of_wiring));
  return cases;
}

std::vector<Case> CasesOfLeftovers() {
  return {
      {"leftovers", "EventTriggers", Severity::kWarning, "audit",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           s.database.event_triggers = {{"audit", "acme_owner", true}};
         });
       }},
      {"leftovers", "SubscriptionsStop", Severity::kWarning, "feed",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) { s.database.subscriptions = {{"feed", false}}; });
       }},
      {"leftovers", "ForeignTables", Severity::kWarning, "public.remote",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) { s.database.foreign_tables = {"public.remote"}; });
       }},
      {"leftovers", "PublicationsLoseSubscribers", Severity::kWarning, "changes",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) { s.database.publications = {"changes"}; });
       }},
      {"leftovers", "AllTablesPublished", Severity::kWarning, "(everything): a subscriber that",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) { s.all_tables_publications = {"everything"}; });
       }},
      {"leftovers", "AllTablesPublished", Severity::kBlocking,
       "whoever reads slots warehouse would stop",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           s.all_tables_publications = {"everything"};
           s.slots_being_read = {"warehouse"};
         });
       }},
      {"leftovers", "LongTransaction", Severity::kWarning, "cut off",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) { s.database.oldest_transaction_age_seconds = 301; });
       }},
  };
}

std::vector<Case> Cases() {
  std::vector<Case> cases = {
      {"source-server", "ServerNotFound", Severity::kBlocking, "create it",
       [](auto& f) { f.source_server = std::optional<api::DatabaseServer>(); }},
      {"source-server", "ServerNotReady", Severity::kBlocking, "not been probed",
       [](auto& f) {
         api::DatabaseServer server = Server("pg-source");
         server.status.conditions.Remove("Ready");
         f.source_server = std::optional(server);
       }},
      {"target-server", "ServerNotReady", Severity::kBlocking, "connection refused",
       [](auto& f) {
         api::DatabaseServer server = Server("pg-target");
         server.status.conditions.Set(
             {"Ready", api::ConditionStatus::kFalse, "Down", "connection refused", 1, {}}, {});
         f.target_server = std::optional(server);
       }},
      {"different-servers", "AlreadyThere", Severity::kHopeless, "another server",
       [](auto& f) { f.source_server_name = "pg-target"; }},
      {"different-servers", "SameServer", Severity::kBlocking, "system identifier 111",
       [](auto& f) {
         ChangeTarget(f, [](TargetFacts& t) { t.server.system_identifier = "111"; });
       }},
      {"admission", "Unschedulable", Severity::kBlocking, "spec.unschedulable",
       [](auto& f) { ChangeTargetSpec(f, [](auto& spec) { spec.unschedulable = true; }); }},
      {"admission", "NamespaceNotAllowed", Severity::kBlocking, "namespace tenants",
       [](auto& f) {
         ChangeTargetSpec(f, [](auto& spec) {
           spec.allowed_namespaces = api::NamespaceSelector{{"others"}, {}};
         });
       }},
      {"admission", "NamespaceNotAllowed", Severity::kBlocking, "spec.allowedNamespaces",
       [](auto& f) {
         ChangeTargetSpec(f, [](auto& spec) {
           spec.allowed_namespaces = api::NamespaceSelector{{}, {{"plan", "silver"}}};
         });
       }},
      {"capacity", "ServerFull", Severity::kBlocking, "2 tenants of at most 2",
       [](auto& f) {
         ChangeTargetSpec(f, [](auto& spec) { spec.capacity_tenants = 2; });
         ChangeTarget(f, [](TargetFacts& t) { t.server.tenants = {"a", "b"}; });
       }},
      {"major-version", "OlderMajor", Severity::kHopeless, "14.2, older than 15.2",
       [](auto& f) { ChangeTarget(f, [](TargetFacts& t) { t.server = ServerOf(14, "222"); }); }},
      {"tenant", "OwnerMismatch", Severity::kBlocking,
       "ALTER DATABASE \"acme\" OWNER TO \"acme_owner\"",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) { s.database.properties.access.owner = "someone"; });
       }},
      {"tenant", "SourceIsStandby", Severity::kBlocking, "primary",
       [](auto& f) { ChangeSource(f, [](SourceFacts& s) { s.server.in_recovery = true; }); }},
      {"fence", "SuperuserOwner", Severity::kHopeless, "may act as postgres",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) { s.unfenceable_roles = {"postgres"}; });
       }},
      {"privileges", "MissingPrivilege", Severity::kBlocking,
       "run on DatabaseServer pg-source: GRANT pg_signal_backend TO admin",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           s.server.missing_privileges = {
               {"pg_signal_backend", "GRANT pg_signal_backend TO admin"}};
         });
       }},
      {"privileges", "MissingPrivilege", Severity::kBlocking,
       "run on DatabaseServer pg-target: ALTER ROLE admin CREATEDB",
       [](auto& f) {
         ChangeTarget(f, [](TargetFacts& t) {
           t.server.missing_privileges = {{"CREATEDB", "ALTER ROLE admin CREATEDB"}};
         });
       }},
      {"privileges", "MissingPrivilege", Severity::kBlocking, "GRANT \"acme_owner\" TO \"admin\"",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           s.server.admin_is_superuser = false;
           s.admin_owns_database = false;
         });
       }},
      {"privileges", "TargetIsStandby", Severity::kBlocking, "primary",
       [](auto& f) { ChangeTarget(f, [](TargetFacts& t) { t.server.in_recovery = true; }); }},
      {"prepared-transactions", "PreparedTransactions", Severity::kBlocking, "ROLLBACK PREPARED",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           s.database.prepared_transactions = {{"forgotten", "acme_owner", ""}};
         });
       }},
      {"target-database", "TargetExists", Severity::kBlocking, "DROP DATABASE \"acme\"",
       [](auto& f) { ChangeTarget(f, [](TargetFacts& t) { t.database_exists = true; }); }},
      {"locale", "LocaleMissing", Severity::kBlocking, "locale fr_FR.utf8",
       [](auto& f) {
         ChangeTarget(f, [](TargetFacts& t) { t.locale_problem = "could not create locale"; });
       }},
      {"extensions", "ExtensionMissing", Severity::kBlocking,
       "extension postgis 3.3.2 is not available",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           s.database.extensions.push_back({"postgis", "3.3.2", "p"});
         });
       }},
      {"extensions", "ExtensionVersion", Severity::kWarning, "1.1 instead of 9.9",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) { s.database.extensions[0].version = "9.9"; });
       }},
      {"roles", "RoleClash", Severity::kBlocking, "acme_owner",
       [](auto& f) {
         ChangeTarget(f, [](TargetFacts& t) {
           pg::RoleSet roles;
           roles.roles = {RoleOf("acme_owner", "SCRAM-SHA-256$2")};
           t.roles = roles;
         });
       }},
      {"tenant-login", "AuthenticationFailed", Severity::kBlocking,
       "correct key password of Secret acme-db",
       [](auto& f) {
         f.tenant_login = Error{Disposition::kTerminal, "AuthenticationFailed", "refused"};
       }},
      {"backup", "BackupClaimNotFound", Severity::kBlocking, "PersistentVolumeClaim backups",
       [](auto& f) { f.backup_claim = false; }},
      {"backup", "BackupIncomplete", Severity::kBlocking, "a.t1, a.t2, a.t3, a.t4, a.t5 and 1 more",
       [](auto& f) {
         ChangeSource(f, [](SourceFacts& s) {
           s.unreadable_tables = {"a.t1", "a.t2", "a.t3", "a.t4", "a.t5", "a.t6"};
         });
       }},
      {"workloads", "WorkloadNotFound", Severity::kBlocking, "Deployment odoo",
       [](auto& f) {
         Change<std::vector<wiring::WorkloadObservation>>(
             f.workloads, [](auto& workloads) { workloads[0].exists = false; });
       }},
      {"workloads", "WorkloadStopped", Severity::kWarning, "Deployment odoo is at 0 replicas",
       [](auto& f) {
         Change<std::vector<wiring::WorkloadObservation>>(
             f.workloads, [](auto& workloads) { workloads[0].wanted_replicas = 0; });
       }},
      {"routes", "RouteNotFound", Severity::kBlocking, "Ingress odoo",
       [](auto& f) {
         f.routes = Error{Disposition::kTerminal, "RouteNotFound", "Ingress odoo does not exist"};
       }},
      {"autoscalers", "Autoscaler", Severity::kWarning, "number of replicas",
       [](auto& f) {
         f.autoscalers = std::vector<std::string>{"HorizontalPodAutoscaler web scales Deployment"};
       }},
      {"profile", "ModulesPending", Severity::kBlocking, "sale (to upgrade)",
       [](auto& f) {
         f.profile =
             std::vector<Finding>{{Severity::kBlocking, "ModulesPending", "sale (to upgrade)"}};
       }},
      {"reach", "WorkloadNotReachable", Severity::kBlocking, "NetworkPolicy",
       [](auto& f) {
         f.reach = std::vector<Finding>{
             {Severity::kBlocking, "WorkloadNotReachable", "allow it by a NetworkPolicy"}};
       }},
      {"check-urls", "CheckOutsideNamespace", Severity::kHopeless, "check spy",
       [](auto& f) {
         api::Check check;
         check.name = "spy";
         check.http = api::HttpCheck{"http://db.other.svc/", "", 200, ""};
         f.migration.spec.checks = {check};
       }},
      {"window", "WindowMissed", Severity::kHopeless, "ended at 2027-01-15T08:00:00Z: create",
       [](auto& f) {
         f.migration.spec.window_end = f.now =
             std::chrono::system_clock::from_time_t(1'800'000'000);
       }},
      {"checks", "CheckFailed", Severity::kBlocking, "check rows: the query gave",
       [](auto& f) {
         CheckOutcome outcome;
         outcome.name = "rows";
         outcome.message = "the query gave \"0\" instead of \"1\"";
         f.checks = std::vector{outcome};
       }},
  };
  for (Case& of_stopping : CasesOfStopping()) cases.push_back(std::move(of_stopping));
  for (Case& more : CasesOfOrders()) cases.push_back(std::move(more));
  for (Case& of_leftovers : CasesOfLeftovers()) cases.push_back(std::move(of_leftovers));
  return cases;
}

TEST(Preflight, ATenantWhomNothingKeepsFromMovingHasNoFindings) {
  PreflightFacts online = Good();
  GoOnline(online);
  for (const PreflightFacts& facts : {Good(), online})
    for (const Finding& finding : CheckPreflight(facts))
      ADD_FAILURE() << finding.reason << ": " << finding.message;
}

TEST(Preflight, EachObstacleIsFoundByItsOwnLineWithItsRemedy) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.reason);
    PreflightFacts facts = Good();
    c.change(facts);
    std::vector<Finding> all = CheckPreflight(facts);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].reason, c.reason);
    EXPECT_EQ(all[0].severity, c.severity);
    EXPECT_THAT(all[0].message, HasSubstr(c.says));
    for (const PreflightCheck& check : PreflightChecks())
      EXPECT_EQ(!check.run(facts).empty(), check.name == c.check) << check.name;
  }
}

TEST(Preflight, WithholdsMembershipsFromANamesakeWhereTenantsShareAServer) {
  PreflightFacts facts = Good();
  NameARoleLikeAStrangers(facts);
  ChangeSource(facts, [](SourceFacts& source) {
    Change<pg::RoleSet>(source.roles, [](pg::RoleSet& roles) {
      roles.memberships = {{"acme_owner", "readers"}};
    });
  });
  const std::vector<Finding> shared = CheckPreflight(facts);
  ASSERT_EQ(shared.size(), 2u);
  EXPECT_EQ(shared[0].reason, "RoleNotCopied");
  EXPECT_EQ(shared[0].severity, Severity::kBlocking);
  EXPECT_THAT(shared[0].message,
              HasSubstr("\"membership of readers in acme_owner\" in copy.accept"));
  EXPECT_EQ(shared[1].reason, "RoleTakenByName");
  ChangeTargetSpec(facts, [](api::DatabaseServerSpec& spec) {
    spec.server_class = api::ServerClass::kDedicated;
  });
  EXPECT_TRUE(CheckPreflight(facts).empty());
}

// The three lines that ask whether the servers, the database and the paths can be followed at all;
// where they cannot, that is no reason not to move. Of the poolers there is another way.
TEST(Preflight, WhateverKeepsAMoveFromBeingOnlineNamesTheOtherChoice) {
  const std::set<std::string_view> of_online = {"replication", "followable", "stream-paths"};
  std::set<std::string_view> tried;
  for (const Case& c : CasesOfOnline()) {
    if (c.severity == Severity::kWarning) continue;
    PreflightFacts facts = Good();
    c.change(facts);
    for (const Finding& finding : CheckPreflight(facts)) {
      const bool pooler = c.check == std::string_view("poolers");
      ASSERT_TRUE(pooler || of_online.contains(c.check)) << c.check << " is new here";
      EXPECT_THAT(finding.message, HasSubstr(pooler ? "choose switch Restart" : "strategy Offline"))
          << finding.reason;
    }
    tried.insert(c.check);
  }
  for (const std::string_view line : of_online) EXPECT_TRUE(tried.contains(line)) << line;
}

// Offline asks a server that does not answer as well.
TEST(Preflight, OfflineIsNotNamedForAServerThatDoesNotAnswer) {
  PreflightFacts facts = Good();
  GoOnline(facts);
  const Error away{Disposition::kRetry, "ConnectionFailed", "no route to host"};
  facts.target = away;
  facts.online.obstacles = away;
  facts.online.forward_path = facts.online.reverse_path = away;
  for (const Finding& finding : CheckPreflight(facts))
    EXPECT_THAT(finding.message, Not(HasSubstr("strategy Offline"))) << finding.reason;
}

TEST(Preflight, EveryLineOfTheTableCanFail) {
  std::set<std::string_view> lines, tried;
  for (const PreflightCheck& check : PreflightChecks()) {
    EXPECT_TRUE(lines.insert(check.name).second) << check.name << " twice";
    EXPECT_FALSE(check.makes_sure_that.empty()) << check.name;
  }
  for (const Case& c : Cases()) tried.insert(c.check);
  EXPECT_EQ(lines, tried);
}

const api::PreflightLine* Line(const std::vector<api::PreflightLine>& lines,
                               const std::string& name) {
  for (const api::PreflightLine& line : lines)
    if (line.name == name) return &line;
  return nullptr;
}

TEST(PreflightLines, SayWhatPassedAsWellAndNothingOfWhatIsNotAsked) {
  PreflightFacts facts = Good();
  facts.migration.spec.strategy = api::Strategy::kOffline;
  facts.migration.spec.switch_mode = api::SwitchMode::kRestart;
  facts.migration.spec.checks.clear();
  const auto lines = LinesOfPreflight(facts);
  for (const api::PreflightLine& line : lines)
    EXPECT_EQ(line.result, api::PreflightResult::kPassed) << line.name;
  ASSERT_NE(Line(lines, "routes"), nullptr);
  EXPECT_EQ(Line(lines, "routes")->message,
            "every route of the placement exists and leads to its workload");
  for (const char* name : {"replication", "followable", "stream-paths", "poolers", "check-urls",
                           "check-jobs", "checks", "capacity"})
    EXPECT_EQ(Line(lines, name), nullptr) << name;
  GoOnline(facts);
  EXPECT_NE(Line(LinesOfPreflight(facts), "stream-paths"), nullptr);
}

TEST(PreflightLines, OfATenantWithoutWorkloadsRoutesAndOrdersSayNothingOfThem) {
  PreflightFacts facts = Good();
  facts.placement.spec.profile = api::ProfileType::kGeneric;
  facts.placement.spec.workloads.clear();
  facts.placement.spec.routes.clear();
  facts.migration.spec.copy_throttle_query.clear();
  facts.migration.spec.copy_exclude_tables.clear();
  for (const char* name : {"workloads", "routes", "autoscalers", "profile", "copy", "reach"})
    EXPECT_EQ(Line(LinesOfPreflight(facts), name), nullptr) << name;
  facts.migration.spec.copy_throttle_query = "busy";
  EXPECT_NE(Line(LinesOfPreflight(facts), "copy"), nullptr);
}

TEST(PreflightLines, OfAServerThatDoesNotExistSayNothingOfItsRoom) {
  PreflightFacts facts = Good();
  facts.target_server = std::optional<api::DatabaseServer>();
  const auto lines = LinesOfPreflight(facts);
  EXPECT_EQ(Line(lines, "target-server")->result, api::PreflightResult::kBlocking);
  EXPECT_EQ(Line(lines, "admission"), nullptr);
}

TEST(PreflightLines, EachObstacleIsInTheLineOfItsCheck) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.reason);
    PreflightFacts facts = Good();
    c.change(facts);
    for (const api::PreflightLine& line : LinesOfPreflight(facts)) {
      const bool mine = line.name == c.check;
      EXPECT_EQ(line.result != api::PreflightResult::kPassed, mine) << line.name;
      if (!mine) continue;
      EXPECT_THAT(line.message, HasSubstr(c.says));
      EXPECT_EQ(line.result == api::PreflightResult::kHopeless, c.severity == Severity::kHopeless);
    }
    EXPECT_NE(Line(LinesOfPreflight(facts), std::string(c.check)), nullptr) << "it was asked";
  }
}

TEST(Preflight, AServerThatKeepsAsMuchWalAsTheMoveMayUseIsReady) {
  PreflightFacts facts = Good();
  GoOnline(facts);
  ChangeSource(facts, [&](SourceFacts& s) {
    s.server.slot_wal_bytes_max = facts.migration.spec.retained_wal_bytes_max;
  });
  EXPECT_TRUE(CheckPreflight(facts).empty());
  facts.migration.spec.strategy = api::Strategy::kOffline;
  facts.migration.spec.switch_mode = api::SwitchMode::kRestart;
  ChangeSource(facts, [](SourceFacts& s) { s.server.slot_wal_bytes_max = 0; });
  EXPECT_TRUE(CheckPreflight(facts).empty()) << "Offline has no slot";
}

TEST(Preflight, AServerThatDoesNotAnswerIsSaidOnceAndNotToBeMovedOffline) {
  PreflightFacts facts = Good();
  GoOnline(facts);
  const Error down{Disposition::kRetry, "ConnectionFailed", "pg-source does not answer"};
  facts.source = down;
  facts.online.obstacles = down;
  facts.online.forward_path = facts.online.reverse_path = down;
  const std::vector<Finding> all = CheckPreflight(facts);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].message, "pg-source does not answer");
}

// Of a source that was retired, or cannot be asked, the tenant may live there already.
TEST(Preflight, WhatMayBeTheTenantsOwnIsNotToBeDropped) {
  for (bool known : {true, false}) {
    PreflightFacts facts = Good();
    ChangeTarget(facts, [](TargetFacts& t) { t.database_exists = true; });
    ChangeSource(facts, [](SourceFacts& s) { s.retired = true; });
    if (!known) facts.source = Error{Disposition::kRetry, "ConnectionFailed", "no route to host"};
    bool found = false;
    for (const Finding& finding : CheckPreflight(facts)) {
      if (finding.reason != "TargetExists") continue;
      found = true;
      EXPECT_EQ(finding.message.find("DROP DATABASE"), std::string::npos) << finding.message;
    }
    EXPECT_TRUE(found);
  }
}

TEST(Preflight, EverythingIsReportedAtOnce) {
  PreflightFacts facts = Good();
  facts.backup_claim = false;
  ChangeTarget(facts, [](TargetFacts& t) { t.database_exists = true; });
  facts.routes = Error{Disposition::kTerminal, "RouteNotFound", "Ingress odoo does not exist"};
  std::vector<std::string> reasons;
  for (const Finding& finding : CheckPreflight(facts)) reasons.push_back(finding.reason);
  EXPECT_EQ(reasons,
            (std::vector<std::string>{"TargetExists", "BackupClaimNotFound", "RouteNotFound"}));
}

TEST(Preflight, WhatCouldNotBeReadBlocksOnceAndIsNeverHopeless) {
  const Error down{Disposition::kRetry, "ConnectionFailed", "pg-source does not answer"};
  const std::vector<std::function<void(PreflightFacts&)>> losses = {
      [&](auto& f) { f.source_server = down; },
      [&](auto& f) { f.target_server = down; },
      [&](auto& f) { f.source = down; },
      [&](auto& f) { f.target = down; },
      [&](auto& f) { f.tenant_login = down; },
      [&](auto& f) { f.workloads = down; },
      [&](auto& f) { f.routes = down; },
      [&](auto& f) { f.autoscalers = down; },
      [&](auto& f) { f.wiring = down; },
      [&](auto& f) { f.wired_objects = down; },
      [&](auto& f) { f.backup_claim = down; },
      [&](auto& f) { f.profile = down; },
      [&](auto& f) { f.reach = down; },
      [&](auto& f) { f.checks = down; },
      [&](auto& f) { ChangeSource(f, [&](SourceFacts& s) { s.roles = down; }); },
      [&](auto& f) { ChangeTarget(f, [&](TargetFacts& t) { t.roles = down; }); },
  };
  for (size_t i = 0; i < losses.size(); ++i) {
    PreflightFacts facts = Good();
    losses[i](facts);
    std::vector<Finding> all = CheckPreflight(facts);
    ASSERT_EQ(all.size(), 1u) << i;
    EXPECT_EQ(all[0], (Finding{Severity::kBlocking, down.reason, down.message})) << i;
  }
}

TEST(Preflight, WhatGoesWrongWhenAWorkloadIsStoppedIsNoObstacleToAMoveThatStopsNone) {
  PreflightFacts facts = Good();
  GoOnline(facts);
  ChangeWorkload(facts, [](auto& workload) {
    workload.loses_volumes = true;
    workload.unfinished = "1 of 2 pods of its present form";
  });
  EXPECT_THAT(CheckPreflight(facts), testing::IsEmpty());
  facts.migration.spec.switch_mode = api::SwitchMode::kRestart;
  EXPECT_EQ(CheckPreflight(facts).size(), 2u);
}

TEST(Preflight, AHeldTemplateThatIsNotWiredIsItsOwnersAffair) {
  PreflightFacts facts = Good();
  ChangeWorkload(facts, [](auto& workload) { workload.template_hold = "spec.paused: true"; });
  EXPECT_THAT(CheckPreflight(facts), testing::IsEmpty());
}

TEST(Preflight, NeighboursThatShareNothingAreInNobodysWay) {
  PreflightFacts facts = Good();
  AddNeighbour(facts);
  EXPECT_THAT(CheckPreflight(facts), testing::IsEmpty());
  api::DatabasePlacement& elsewhere = AddNeighbour(facts);
  elsewhere.meta.namespace_name = "elsewhere";
  elsewhere.spec.workloads = {{"Deployment", "odoo"}};
  EXPECT_THAT(CheckPreflight(facts), testing::IsEmpty()) << "another odoo";
  api::DatabasePlacement& going = AddNeighbour(facts);
  going.spec.workloads = {{"Deployment", "odoo"}};
  going.meta.deletion_timestamp = WallTime();
  EXPECT_THAT(CheckPreflight(facts), testing::IsEmpty());
}

TEST(Preflight, WhatTheSpecDoesNotAskForIsNotAskedFor) {
  PreflightFacts facts = Good();
  facts.migration.spec.backup_mode = api::BackupMode::kSkip;
  facts.backup_claim = Fact<bool>();
  facts.namespace_labels = Fact<std::map<std::string, std::string>>();
  ChangeSource(facts, [](SourceFacts& s) { s.unreadable_tables = {"a.t"}; });
  EXPECT_TRUE(CheckPreflight(facts).empty());
}

TEST(Preflight, ANamespaceWithTheLabelsIsAdmitted) {
  PreflightFacts facts = Good();
  ChangeTargetSpec(facts, [](auto& spec) {
    spec.allowed_namespaces = api::NamespaceSelector{{}, {{"plan", "gold"}}};
  });
  EXPECT_TRUE(CheckPreflight(facts).empty());
  facts.namespace_labels = Error{Disposition::kRetry, "Forbidden", "may not read namespaces"};
  ASSERT_EQ(CheckPreflight(facts).size(), 1u);
  EXPECT_EQ(CheckPreflight(facts)[0].reason, "Forbidden");
}

TEST(Preflight, TheSameMajorIsFineAndARoleThatIsAlreadyTheSameAsWell) {
  PreflightFacts facts = Good();
  ChangeTarget(facts, [&](TargetFacts& t) {
    t.server = ServerOf(15, "222");
    t.roles = *facts.source->roles;
  });
  EXPECT_TRUE(CheckPreflight(facts).empty());
}

}  // namespace
}  // namespace cutover::migration
