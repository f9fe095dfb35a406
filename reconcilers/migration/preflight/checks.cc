// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/preflight/checks.h"

#include <algorithm>
#include <utility>

#include "operator/api/field_writer.h"
#include "operator/base/clock.h"
#include "reconcilers/migration/checks/http_check.h"
#include "reconcilers/migration/checks/prometheus_check.h"
#include "reconcilers/migration/preflight/findings.h"

namespace cutover::migration {
namespace {

using ServerFact = Fact<std::optional<api::DatabaseServer>>;

Findings ServerIsReady(const ServerFact& server, const std::string& name) {
  Findings findings;
  if (!Have(server, findings)) return findings;
  if (!*server) {
    findings.push_back({Severity::kBlocking, "ServerNotFound",
                        "DatabaseServer " + name + " does not exist: create it"});
    return findings;
  }
  const api::Conditions& conditions = (*server)->status.conditions;
  if (conditions.IsTrue("Ready")) return findings;
  const api::Condition* ready = conditions.Find("Ready");
  findings.push_back({Severity::kBlocking, "ServerNotReady",
                      "DatabaseServer " + name + " is not ready: " +
                          (ready ? ready->message : "it has not been probed yet")});
  return findings;
}

Findings SourceIsReady(const PreflightFacts& facts) {
  return ServerIsReady(facts.source_server, facts.source_server_name);
}

Findings TargetIsReady(const PreflightFacts& facts) {
  return ServerIsReady(facts.target_server, facts.migration.spec.target_server_name);
}

Findings ServersDiffer(const PreflightFacts& facts) {
  Findings findings;
  const std::string& target = facts.migration.spec.target_server_name;
  if (target == facts.source_server_name) {
    findings.push_back({Severity::kHopeless, "AlreadyThere",
                        "the tenant is on DatabaseServer " + target +
                            " already: create a TenantMigration to another server"});
    return findings;
  }
  if (!Have(facts.source, findings) || !Have(facts.target, findings)) return findings;
  const std::string& identifier = facts.source->server.system_identifier;
  if (identifier.empty() || identifier != facts.target->server.system_identifier) return findings;
  findings.push_back({Severity::kBlocking, "SameServer",
                      "DatabaseServers " + facts.source_server_name + " and " + target +
                          " are the same PostgreSQL cluster, or a copy of it (system identifier " +
                          identifier + "): correct the endpoint of one of them"});
  return findings;
}

Findings TenantIsWhereTheSpecSays(const PreflightFacts& facts) {
  const std::string& said = facts.migration.spec.source_server_name;
  if (said.empty() || said == facts.source_server_name) return {};
  return {{Severity::kHopeless, "SourceDiffers",
           "the tenant is on DatabaseServer " + facts.source_server_name + ", not on " + said +
               " as spec.source.serverName says: create a new TenantMigration if it is to be moved "
               "from there"}};
}

// The doors could never be closed: the spec cannot be changed, and an end of time does not come
// again, however often the move is tried.
Findings WindowIsNotOver(const PreflightFacts& facts) {
  const auto& end = facts.migration.spec.window_end;
  if (!end || facts.now < *end) return {};
  return {{Severity::kHopeless, "WindowMissed",
           "the window of spec.cutover.window ended at " + FormatTime(*end) +
               ": create a new TenantMigration with a later window"}};
}

// Both server objects, when they were read and exist; what is wrong with them is reported by the
// checks of their own.
const api::DatabaseServer* TargetObject(const PreflightFacts& facts) {
  return facts.target_server.known() && *facts.target_server ? &**facts.target_server : nullptr;
}

bool HasLabels(const std::map<std::string, std::string>& labels,
               const std::map<std::string, std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&labels](const auto& label) {
    auto found = labels.find(label.first);
    return found != labels.end() && found->second == label.second;
  });
}

bool TargetIsThere(const PreflightFacts& facts) { return TargetObject(facts) != nullptr; }

bool TargetHasBound(const PreflightFacts& facts) {
  return TargetIsThere(facts) && TargetObject(facts)->spec.capacity_tenants;
}

bool NamesItsSource(const PreflightFacts& facts) {
  return !facts.migration.spec.source_server_name.empty();
}

bool HasWindow(const PreflightFacts& facts) { return facts.migration.spec.window_end.has_value(); }

bool WantsBackup(const PreflightFacts& facts) {
  return facts.migration.spec.backup_mode == api::BackupMode::kRequired;
}

bool HasWorkloads(const PreflightFacts& facts) { return !facts.placement.spec.workloads.empty(); }

// By pooler they run on.
bool StopsWorkloads(const PreflightFacts& facts) {
  return HasWorkloads(facts) && !facts.migration.spec.by_pooler();
}

bool HasRoutes(const PreflightFacts& facts) { return !facts.placement.spec.routes.empty(); }

bool HasProfile(const PreflightFacts& facts) {
  return facts.placement.spec.profile != api::ProfileType::kGeneric;
}

bool ServesPages(const PreflightFacts& facts) { return HasProfile(facts) && HasRoutes(facts); }

bool OrdersMoreThanToCopy(const PreflightFacts& facts) {
  const api::TenantMigrationSpec& spec = facts.migration.spec;
  return !spec.copy_throttle_query.empty() || !spec.copy_exclude_tables.empty();
}

bool IsOnline(const PreflightFacts& facts) { return facts.migration.spec.online(); }

bool IsByPooler(const PreflightFacts& facts) { return facts.migration.spec.by_pooler(); }

template <auto kKind>
bool HasCheck(const PreflightFacts& facts) {
  const std::vector<api::Check>& checks = facts.migration.spec.checks;
  return std::any_of(checks.begin(), checks.end(),
                     [](const api::Check& check) { return (check.*kKind).has_value(); });
}

bool HasOwnChecks(const PreflightFacts& facts) {
  const std::vector<api::Check>& checks = facts.migration.spec.checks;
  return std::any_of(checks.begin(), checks.end(),
                     [](const api::Check& check) { return check.At(api::CheckWhen::kPreflight); });
}

Findings TargetAdmitsTenant(const PreflightFacts& facts) {
  Findings findings;
  const api::DatabaseServer* target = TargetObject(facts);
  if (!target) return findings;
  const std::string name = "DatabaseServer " + target->meta.name;
  if (target->spec.unschedulable)
    findings.push_back({Severity::kBlocking, "Unschedulable",
                        name + " takes no new tenants: set its spec.unschedulable to false"});
  if (!target->spec.allowed_namespaces) return findings;
  const api::NamespaceSelector& allowed = *target->spec.allowed_namespaces;
  const std::string& ns = facts.placement.meta.namespace_name;
  bool admitted = std::find(allowed.names.begin(), allowed.names.end(), ns) != allowed.names.end();
  if (!allowed.match_labels.empty()) {
    if (!Have(facts.namespace_labels, findings)) return findings;
    admitted = admitted || HasLabels(*facts.namespace_labels, allowed.match_labels);
  }
  if (!admitted)
    findings.push_back({Severity::kBlocking, "NamespaceNotAllowed",
                        name + " takes no tenants of namespace " + ns +
                            ": add it to the server's spec.allowedNamespaces"});
  return findings;
}

Findings TargetHasCapacity(const PreflightFacts& facts) {
  Findings findings;
  const api::DatabaseServer* target = TargetObject(facts);
  if (!target || !target->spec.capacity_tenants || !Have(facts.target, findings)) return findings;
  const std::vector<std::string>& tenants = facts.target->server.tenants;
  if (static_cast<int64_t>(tenants.size()) < *target->spec.capacity_tenants) return findings;
  findings.push_back({Severity::kBlocking, "ServerFull",
                      "DatabaseServer " + target->meta.name + " has " +
                          std::to_string(tenants.size()) + " tenants of at most " +
                          std::to_string(*target->spec.capacity_tenants) +
                          ": raise its spec.capacity.tenants, or move one away"});
  return findings;
}

Findings TenantCanLogIn(const PreflightFacts& facts) {
  Findings findings;
  if (facts.tenant_login.known()) return findings;
  const Error& error = facts.tenant_login.error();
  bool refused = error.reason == "AuthenticationFailed";
  const api::SecretKeyRef& ref = facts.placement.spec.password_secret_ref;
  findings.push_back({Severity::kBlocking, error.reason,
                      refused ? error.message + ": correct key " + ref.key + " of Secret " +
                                    ref.name + ", with which the backup and the checks log in"
                              : error.message});
  return findings;
}

std::string TitleOf(const wiring::WorkloadObservation& workload) {
  return workload.ref.kind + " " + workload.ref.name;
}

Findings WorkloadsExist(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.workloads, findings)) return findings;
  for (const wiring::WorkloadObservation& workload : *facts.workloads) {
    const std::string title = TitleOf(workload);
    if (!workload.exists)
      findings.push_back({Severity::kBlocking, "WorkloadNotFound",
                          title + " does not exist: create it, or take it out of the placement's "
                                  "spec.workloads"});
    else if (workload.wanted_replicas == 0 && !workload.replicas_before &&
             workload.ref.kind != "CronJob")
      findings.push_back({Severity::kWarning, "WorkloadStopped",
                          title + " is at 0 replicas and stays there after the move: scale it up "
                                  "first if users are to come back by themselves"});
  }
  return findings;
}

Findings NoVolumesGo(const PreflightFacts& facts) {
  Findings findings;
  if (!StopsWorkloads(facts) || !Have(facts.workloads, findings)) return findings;
  for (const wiring::WorkloadObservation& workload : *facts.workloads)
    if (workload.MustNotStop())
      findings.push_back({Severity::kBlocking, "VolumesGoWithReplicas",
                          "the move stops " + TitleOf(workload) +
                              ", and Kubernetes would delete its volumes with its pods: set its "
                              "spec.persistentVolumeClaimRetentionPolicy.whenScaled to Retain"});
  return findings;
}

// Where kubectl is told to look: "deployment/odoo".
std::string ArgumentOf(const wiring::WorkloadObservation& workload) {
  return (workload.ref.kind == "Deployment" ? "deployment/" : "statefulset/") + workload.ref.name;
}

bool WiresTemplate(const PreflightFacts& facts, const api::ObjectRef& ref) {
  const std::vector<api::WiringEnv>& env = facts.placement.spec.connection.env;
  return std::any_of(env.begin(), env.end(),
                     [&ref](const api::WiringEnv& item) { return item.workload == ref; });
}

// A workload that is stopped comes back in its present form only, all of it.
Findings RolloutsAreComplete(const PreflightFacts& facts) {
  Findings findings;
  if (!StopsWorkloads(facts) || !Have(facts.workloads, findings)) return findings;
  for (const wiring::WorkloadObservation& workload : *facts.workloads) {
    if (!workload.exists || workload.wanted_replicas == 0) continue;
    const std::string in_namespace = " -n " + facts.placement.meta.namespace_name + " ";
    if (!workload.unfinished.empty())
      findings.push_back({Severity::kBlocking, "WorkloadNotRolledOut",
                          TitleOf(workload) + " has not finished its rollout (" +
                              workload.unfinished +
                              "), and once it was stopped it would come back in its present form "
                              "only: see kubectl rollout status" +
                              in_namespace + ArgumentOf(workload) +
                              ", and repair it or go back by kubectl rollout undo"});
    if (!workload.template_hold.empty() && WiresTemplate(facts, workload.ref))
      findings.push_back({Severity::kBlocking, "TemplateHeldBack",
                          TitleOf(workload) + " has " + workload.template_hold +
                              ", with which pods would go on with the variables of "
                              "spec.connection.env that name the present server: take it out, as "
                              "by kubectl rollout resume, or wire it by spec.connection.service"});
  }
  return findings;
}

Findings RoutesExist(const PreflightFacts& facts) {
  Findings findings;
  Have(facts.routes, findings);
  return findings;
}

Findings NoAutoscalerInterferes(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.autoscalers, findings)) return findings;
  for (const std::string& autoscaler : *facts.autoscalers)
    findings.push_back({Severity::kWarning, "Autoscaler",
                        autoscaler + ": it may set another number of replicas than was there "
                                     "before the move"});
  return findings;
}

// Whoever made it may put back what the switch writes: external-secrets and sealed-secrets do.
void FindOwners(const PreflightFacts& facts, Findings& findings) {
  for (const auto& [name, object] : *facts.wired_objects) {
    if (name.kind != "Secret" && name.kind != "ConfigMap") continue;
    for (const Json& owner : object["metadata"]["ownerReferences"].Items())
      if (owner["controller"].AsBool())
        findings.push_back({Severity::kWarning, "WiringOwned",
                            name.kind + " " + name.name + " is kept by " +
                                owner["kind"].AsString() + " " + owner["name"].AsString() +
                                ", which may put back what the switch writes there: wire the "
                                "workload by spec.connection.service, or suspend that controller "
                                "for the move and let it say the same afterwards"});
  }
}

// What names something else than the source, an alias of it perhaps, is moved all the same.
void FindDrift(const PreflightFacts& facts, Findings& findings) {
  if (!facts.source_server.known() || !*facts.source_server) return;
  const api::DatabaseServer& source = **facts.source_server;
  const wiring::HostPort endpoint = wiring::HostPortOf(source);
  for (const wiring::ItemObservation& item :
       wiring::ObserveObjects(facts.placement, *facts.wired_objects, {endpoint, std::nullopt})) {
    if (item.side != wiring::Side::kNeither) continue;
    findings.push_back({Severity::kWarning, "WiringDrifted",
                        item.item + ": " + item.detail + ", which is not what DatabaseServer " +
                            source.meta.name + " names (" + endpoint.ToString() +
                            "): the switch overwrites it, and going back puts back what is there "
                            "now"});
  }
}

// The switch in thought, since by the time of it users are shut out. Whether all of it can be said.
bool CanBeChanged(const PreflightFacts& facts, Findings& findings) {
  const api::DatabaseServer* target = TargetObject(facts);
  if (!target) return true;
  const auto patches = wiring::PlanWiring(facts.placement, *facts.wired_objects,
                                          wiring::WantedOn(*target, facts.placement));
  if (!patches)
    findings.push_back({Severity::kBlocking, patches.error().reason, patches.error().message});
  return patches.has_value();
}

Findings WiringIsComplete(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.wiring, findings)) return findings;
  for (const wiring::Finding& trap : *facts.wiring) {
    bool blocks = trap.severity == wiring::Severity::kBlocking;
    findings.push_back(
        {blocks ? Severity::kBlocking : Severity::kWarning, trap.reason, trap.message});
  }
  if (Have(facts.wired_objects, findings) && CanBeChanged(facts, findings)) {
    FindDrift(facts, findings);
    FindOwners(facts, findings);
  }
  return findings;
}

Findings ProfileAgrees(const PreflightFacts& facts) {
  Findings findings;
  if (Have(facts.profile, findings)) findings = *facts.profile;
  return findings;
}

Findings WorkloadIsReached(const PreflightFacts& facts) {
  Findings findings;
  if (Have(facts.reach, findings)) findings = *facts.reach;
  return findings;
}

Findings ChecksStayInNamespace(const PreflightFacts& facts) {
  Findings findings;
  for (const api::Check& check : facts.migration.spec.checks) {
    if (!check.http) continue;
    Status own = AsksOwnNamespace(check.http->url, facts.placement.meta.namespace_name);
    if (!own)
      findings.push_back({Severity::kHopeless, own.error().reason,
                          "check " + check.name + ": " + own.error().message});
  }
  return findings;
}

Findings ChecksMayAskPrometheus(const PreflightFacts& facts) {
  Findings findings;
  for (const api::Check& check : facts.migration.spec.checks) {
    if (!check.prometheus) continue;
    Status allowed = MayAskPrometheus(*check.prometheus, facts.placement.meta.namespace_name,
                                      facts.prometheus_urls);
    if (!allowed)
      findings.push_back({Severity::kBlocking, allowed.error().reason,
                          "check " + check.name + ": " + allowed.error().message});
  }
  return findings;
}

Findings CheckJobsHaveTemplates(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.missing_cron_jobs, findings)) return findings;
  for (const std::string& name : *facts.missing_cron_jobs)
    findings.push_back({Severity::kBlocking, "CronJobNotFound",
                        "CronJob " + name + " does not exist in namespace " +
                            facts.placement.meta.namespace_name +
                            ", and a check of this migration is made of it: create it, suspended"});
  return findings;
}

Findings OwnChecksPass(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.checks, findings)) return findings;
  for (const CheckOutcome& outcome : *facts.checks)
    if (!outcome.Passed())
      findings.push_back(
          {Severity::kBlocking, "CheckFailed", "check " + outcome.name + ": " + outcome.message});
  return findings;
}

constexpr PreflightCheck kChecks[] = {
    {"source-server", "the source server exists and is ready", SourceIsReady},
    {"target-server", "the target server exists and is ready", TargetIsReady},
    {"origin", "the tenant is on the server that spec.source.serverName names",
     TenantIsWhereTheSpecSays, NamesItsSource},
    {"window", "the window in which users may be stopped is not over", WindowIsNotOver, HasWindow},
    {"different-servers", "source and target are two clusters, not two names of one",
     ServersDiffer},
    {"admission", "the target takes new tenants, and those of this namespace", TargetAdmitsTenant,
     TargetIsThere},
    {"capacity", "the target has room for one more tenant", TargetHasCapacity, TargetHasBound},
    {"major-version", "the target's major version is not older than the source's",
     NeverToOlderMajor},
    {"tenant", "the database is on a primary and belongs to the role that the placement names",
     TenantIsAsThePlacementSays},
    {"fence", "nobody who acts for the tenant could walk through the fence", TenantCanBeFenced},
    {"privileges", "the operator's role may do on both servers what a move needs",
     OperatorMayDoItsWork},
    {"prepared-transactions", "no prepared transaction outlives the fence", NoPreparedTransactions},
    {"target-database", "the target has no database of that name", TargetHasNoSuchDatabase},
    {"locale", "the target can make a database of the same encoding and locale",
     LocaleCanBeReproduced},
    {"extensions", "the target has every extension of the database", ExtensionsAreAvailable},
    {"roles", "no other role of the same name is on the target", RolesDoNotClash},
    {"role-powers", "no role brings power over the other tenants of a shared server",
     RolesKeepToTheirDatabase},
    {"tenant-login", "the tenant's role and password open the database", TenantCanLogIn},
    {"copy", "the copy can be throttled and leave out tables as ordered", CopyCanBeDoneAsOrdered,
     OrdersMoreThanToCopy},
    {"backup", "the backup has a volume, and its role can read everything", TenantCanBackItselfUp,
     WantsBackup},
    {"workloads", "every workload of the placement exists", WorkloadsExist, HasWorkloads},
    {"volumes", "no volume of a workload goes when it is stopped", NoVolumesGo, StopsWorkloads},
    {"rollouts", "every workload has finished its rollout, and takes what the switch changes",
     RolloutsAreComplete, StopsWorkloads},
    {"routes", "every route of the placement exists and leads to its workload", RoutesExist,
     HasRoutes},
    {"autoscalers", "nobody else sets the number of replicas", NoAutoscalerInterferes,
     HasWorkloads},
    {"wiring", "the placement's wiring, which can be changed, alone names the workload's database",
     WiringIsComplete},
    {"profile", "the application itself is in a state to be moved", ProfileAgrees, HasProfile},
    {"reach", "the operator is served the pages that it asks after the switch", WorkloadIsReached,
     ServesPages},
    {"check-urls", "the checks ask nobody but the tenant's own Services", ChecksStayInNamespace,
     HasCheck<&api::Check::http>},
    {"check-prometheus", "the checks ask no Prometheus that they may not", ChecksMayAskPrometheus,
     HasCheck<&api::Check::prometheus>},
    {"check-jobs", "every CronJob that a check is made of exists", CheckJobsHaveTemplates,
     HasCheck<&api::Check::job>},
    {"checks", "the checks of spec.checks for this moment pass", OwnChecksPass, HasOwnChecks},
    {"replication", "both servers can replicate logically, with room for this move",
     ServersReplicate, IsOnline},
    {"followable", "everything in the database can be followed while users work",
     SourceCanBeFollowed, IsOnline},
    {"stream-paths", "a stream runs in both directions, over the network it will use",
     BothPathsAreOpen, IsOnline},
    {"poolers", "every pooler in front of the tenant can be paused", PoolersCanPause, IsByPooler},
    {"sharing", "no other placement names this database, nor what the move changes",
     NothingIsShared},
    {"leftovers", "people know what does not move by itself", WhatDoesNotMoveByItself},
};

api::PreflightResult ResultOf(Severity severity) {
  switch (severity) {
    case Severity::kWarning:
      return api::PreflightResult::kWarning;
    case Severity::kBlocking:
      return api::PreflightResult::kBlocking;
    case Severity::kHopeless:
      return api::PreflightResult::kHopeless;
  }
  return api::PreflightResult::kBlocking;
}

api::PreflightResult ResultOf(const Findings& findings) {
  api::PreflightResult result = api::PreflightResult::kPassed;
  for (const Finding& finding : findings) result = std::max(result, ResultOf(finding.severity));
  return result;
}

api::PreflightLine LineOf(const PreflightCheck& check, const PreflightFacts& facts) {
  const Findings findings = check.run(facts);
  api::PreflightLine line{std::string(check.name), ResultOf(findings), ""};
  for (const Finding& finding : findings)
    line.message += (line.message.empty() ? "" : "; ") + finding.message;
  if (findings.empty()) line.message = check.makes_sure_that;
  // As it will be read again: what is compared with it next must not be longer.
  line.message = api::Shorten(line.message, api::kStageMessageLengthMax);
  return line;
}

}  // namespace

std::span<const PreflightCheck> PreflightChecks() { return kChecks; }

std::vector<Finding> CheckPreflight(const PreflightFacts& facts) {
  std::vector<Finding> all;
  for (const PreflightCheck& check : kChecks)
    for (Finding& finding : check.run(facts))
      if (std::find(all.begin(), all.end(), finding) == all.end())
        all.push_back(std::move(finding));
  return all;
}

std::vector<api::PreflightLine> LinesOfPreflight(const PreflightFacts& facts) {
  std::vector<api::PreflightLine> lines;
  for (const PreflightCheck& check : kChecks) {
    api::PreflightLine line = LineOf(check, facts);
    const bool found = line.result != api::PreflightResult::kPassed;
    if (found || !check.is_asked || check.is_asked(facts)) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace cutover::migration
