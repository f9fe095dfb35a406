// SPDX-License-Identifier: Apache-2.0
#include "cli/view/move_plan.h"

#include <algorithm>
#include <cstdlib>

#include "cli/view/estimate.h"
#include "cli/view/words.h"

namespace cutover::cli {
namespace {

using api::ConditionStatus;

constexpr size_t kMigrationNameMax = 40;  // crds/tenantmigrations: it becomes part of other names.
constexpr size_t kIndent = 2;
constexpr size_t kLabelWidth = 12;

// It has not begun, and does not before somebody resumes it.
bool IsHeld(const MigrationView& migration) {
  const std::string& phase = migration.phase;
  return migration.suspend && !migration.rehearsal && !migration.meta.deleting() &&
         (phase.empty() || phase == "Pending" || phase == "Preflight");
}

template <class T>
const T* Found(const Lookup<T>& lookup) {
  return lookup && *lookup ? &**lookup : nullptr;
}

template <class T>
PlannedCheck Exists(const Lookup<T>& lookup, const std::string& what) {
  if (!lookup) return {Answer::kUnknown, what, "cannot be read (" + lookup.error().reason + ")"};
  if (!*lookup) return {Answer::kNo, what, "does not exist"};
  return {Answer::kYes, what, ""};
}

PlannedCheck ServerIsReady(const Lookup<api::DatabaseServer>& server, const std::string& name) {
  PlannedCheck check = Exists(server, "server " + name + " is ready");
  if (check.answer != Answer::kYes) return check;
  const api::Condition* ready = (*server)->status.conditions.Find("Ready");
  if (!ready) return {Answer::kUnknown, check.what, "not looked at yet"};
  if (ready->status != ConditionStatus::kTrue)
    return {Answer::kNo, check.what, ready->reason + ": " + ready->message};
  check.detail = "PostgreSQL " + (*server)->status.version;
  return check;
}

// One that differs from what is asked may be what was meant: it is said in what it may differ.
std::string DescribeRival(const MoveFacts& facts) {
  const std::string& name = facts.placement.status.migration_name;
  std::string text = "TenantMigration " + name + " does";
  for (const MigrationView& rival : facts.migrations) {
    if (rival.meta.name != name || rival.meta.namespace_name != facts.order.ns) continue;
    if (IsHeld(rival))
      text += "; it is held, and another than this: to " + rival.target_server_name +
              ", strategy " + rival.strategy + ", switch " + rival.switch_mode + ", backup " +
              rival.backup_mode;
  }
  return text;
}

void CheckPlacement(const MoveFacts& facts, std::vector<PlannedCheck>& checks) {
  const api::DatabasePlacementStatus& status = facts.placement.status;
  if (status.server_name.empty())
    checks.push_back({Answer::kNo, "the placement has been adopted",
                      "no operator has found its database yet: see its conditions"});
  const bool its_own = facts.held && facts.held->meta.name == status.migration_name;
  if (!status.migration_name.empty() && !its_own)
    checks.push_back({Answer::kNo, "no other migration moves it", DescribeRival(facts)});
  else
    checks.push_back({Answer::kYes, "no other migration moves it", ""});
  const api::Condition* drifted = status.conditions.Find("WiringDrifted");
  if (drifted && drifted->status == ConditionStatus::kTrue)
    checks.push_back({Answer::kNo, "the wiring is as the placement says", drifted->message});
}

void CheckAdmission(const MoveFacts& facts, std::vector<PlannedCheck>& checks) {
  const api::DatabaseServer* target = Found(facts.target);
  if (!target) return;
  if (target->spec.unschedulable)
    checks.push_back({Answer::kNo, "the target takes new tenants", "it is unschedulable"});
  if (const auto& allowed = target->spec.allowed_namespaces) {
    const auto& names = allowed->names;
    const bool named = std::find(names.begin(), names.end(), facts.order.ns) != names.end();
    const Answer answer = named                           ? Answer::kYes
                          : allowed->match_labels.empty() ? Answer::kNo
                                                          : Answer::kUnknown;
    checks.push_back({answer, "the target takes tenants of namespace " + facts.order.ns,
                      answer == Answer::kUnknown ? "by the namespace's labels" : ""});
  }
  if (const auto& capacity = target->spec.capacity_tenants) {
    const int64_t tenants = target->status.tenants;
    checks.push_back({tenants < *capacity ? Answer::kYes : Answer::kNo,
                      "the target has room for one more",
                      std::to_string(tenants) + " of " + Counted(*capacity, "tenant")});
  }
}

// What Online and the switch by pooler need of the servers.
void CheckFollowing(const MoveFacts& facts, std::vector<PlannedCheck>& checks) {
  const api::DatabaseServer* sides[] = {Found(facts.source), Found(facts.target)};
  bool pooler = false;
  for (const api::DatabaseServer* server : sides) {
    if (!server) continue;
    pooler |= server->spec.pooler.has_value();
    if (facts.order.strategy != "Online") continue;
    const api::Condition* ready = server->status.conditions.Find("LogicalReplicationReady");
    const bool yes = ready && ready->status == ConditionStatus::kTrue;
    checks.push_back({yes                                                 ? Answer::kYes
                      : ready && ready->status == ConditionStatus::kFalse ? Answer::kNo
                                                                          : Answer::kUnknown,
                      "server " + server->meta.name + " can be followed",
                      yes     ? ""
                      : ready ? ready->reason + ": " + ready->message
                              : "not looked at yet"});
  }
  if (facts.order.switch_by == "Pooler" && sides[0] && sides[1])
    checks.push_back({pooler ? Answer::kYes : Answer::kNo, "a pooler stands before the servers",
                      pooler ? "" : "neither has spec.pooler: set it, or leave out --switch"});
}

void CheckVersions(const MoveFacts& facts, std::vector<PlannedCheck>& checks) {
  const api::DatabaseServer* source = Found(facts.source);
  const api::DatabaseServer* target = Found(facts.target);
  if (!source || !target || source->status.version.empty() || target->status.version.empty())
    return;
  const int from = std::atoi(source->status.version.c_str());
  const int to = std::atoi(target->status.version.c_str());
  checks.push_back({to >= from ? Answer::kYes : Answer::kNo,
                    "the target's major version is not older",
                    source->status.version + " to " + target->status.version});
  const std::string& one = source->status.system_identifier;
  if (!one.empty())
    checks.push_back({one != target->status.system_identifier ? Answer::kYes : Answer::kNo,
                      "source and target are two clusters", ""});
}

std::string MarkOf(Answer answer, const Page& page) {
  switch (answer) {
    case Answer::kYes:
      return page.Paint(Tone::kGood, page.Glyph("✔", "+"));
    case Answer::kNo:
      return page.Paint(Tone::kBad, page.Glyph("✖", "x"));
    case Answer::kUnknown:
      return page.Paint(Tone::kWarning, "?");
  }
  return "";
}

std::string UsersDuring(const MoveOrder& order) {
  if (order.strategy != "Online") return "are stopped from before the copy until after the switch";
  return order.switch_by == "Pooler"
             ? "work while it is copied; for the switch their statements wait in the pooler"
             : "work while it is copied; they are stopped for the switch alone";
}

std::string StartsOf(const MoveOrder& order) {
  const std::string about = order.name + " -n " + order.ns;
  std::string text = order.suspend ? "with: kubectl cutover resume " + about + "; " : "";
  if (order.approval == "Manual")
    return text + "stopping the users " + (order.suspend ? "then " : "") +
           "waits for: kubectl cutover approve " + about;
  return text + (order.suspend ? "then " : "") +
         "stops the users as soon as all is prepared, without asking";
}

std::string WayBackOf(const MoveOrder& order) {
  if (order.hypercare.count() == 0) return "closes as soon as users work on the target";
  const std::string span = FormatSpan(order.hypercare);
  return order.strategy == "Online"
             ? "stays open for " + span + " after the switch, with all that users write by then"
             : "for " + span + " after the switch, and only without what users write by then";
}

// What is on a server already: sizes that the new one comes beside.
std::string SizeOf(const api::DatabaseServer* server) {
  if (!server || server->status.size_bytes <= 0) return "";
  return ", which holds " + FormatBytes(server->status.size_bytes) + " in " +
         Counted(server->status.tenants, "database");
}

std::string SizeOfClaim(const MoveFacts& facts) {
  const Json* claim = Found(facts.backup_claim);
  const std::string size = claim ? claim->At({"status", "capacity", "storage"}).AsString() : "";
  return size.empty() ? "" : " (" + size + ")";
}

std::string DescribeBackup(const MoveFacts& facts) {
  const MoveOrder& order = facts.order;
  if (!order.HasChosenBackup())
    return "not chosen: --backup-claim NAME takes one first, --skip-backup takes none";
  if (order.backup_claim_name.empty()) return "none is taken";
  return "to claim " + order.backup_claim_name + SizeOfClaim(facts) + ", first";
}

EstimateFacts EstimateFactsOf(const MoveFacts& facts) {
  return {facts.placement.status.database_size_bytes,
          facts.order.target_server_name,
          facts.order.strategy,
          facts.order.switch_by,
          facts.order.copy_rate_mebibytes_per_second_max,
          facts.migrations,
          facts.where};
}

void RenderWhat(const MoveFacts& facts, Page& page) {
  const MoveOrder& order = facts.order;
  const api::DatabasePlacement& placement = facts.placement;
  page.Line(page.Paint(Tone::kBold, "Plan of TenantMigration " + order.ns + "/" + order.name) +
            (facts.held ? ", which is held by spec.suspend" : ", which does not exist yet") +
            "; nothing has been changed");
  page.Line();
  std::string database = placement.spec.database_name;
  if (placement.status.database_size_bytes > 0)
    database += ", " + FormatBytes(placement.status.database_size_bytes);
  page.Field(kIndent, "Database", kLabelWidth, database);
  page.Field(kIndent, "From", kLabelWidth,
             placement.status.server_name + SizeOf(Found(facts.source)));
  page.Field(kIndent, "To", kLabelWidth, order.target_server_name + SizeOf(Found(facts.target)));
  const EstimateFacts estimated = EstimateFactsOf(facts);
  page.Field(kIndent, "Copy", kLabelWidth, EstimateCopy(estimated));
  page.Field(kIndent, "Users", kLabelWidth, UsersDuring(order));
  page.Field(kIndent, "Pause", kLabelWidth, EstimatePause(estimated));
  page.Field(kIndent, "Starts", kLabelWidth, StartsOf(order));
  page.Field(kIndent, "Backup", kLabelWidth, DescribeBackup(facts));
  page.Field(kIndent, "Way back", kLabelWidth, WayBackOf(order));
  page.Line();
}

void RenderChanges(const MoveFacts& facts, Page& page) {
  page.Line(std::string(kIndent, ' ') +
            page.Paint(Tone::kBold, "What would change in wiring, routes and workloads"));
  for (const ObjectDiff& diff : facts.changes) RenderDiff(diff, kIndent + 2, page);
  const bool any = std::any_of(
      facts.changes.begin(), facts.changes.end(),
      [](const ObjectDiff& diff) { return !diff.hunks.empty() || !diff.unknown.empty(); });
  if (!any) page.Field(kIndent + 2, "", 0, "Nothing in wiring or routes");
  if (facts.order.switch_by == "Pooler") {
    page.Field(kIndent + 2, "", 0, "Routes and workloads go on as they are");
  } else {
    for (const api::ObjectRef& workload : facts.placement.spec.workloads)
      page.Field(
          kIndent + 2, "", 0,
          workload.kind + " " + workload.name + ": stopped while users are; then as it is now");
  }
  page.Line();
}

std::string MarkOf(api::PreflightResult result, const Page& page) {
  switch (result) {
    case api::PreflightResult::kPassed:
      return MarkOf(Answer::kYes, page);
    case api::PreflightResult::kWarning:
      return page.Paint(Tone::kWarning, "!");
    case api::PreflightResult::kBlocking:
    case api::PreflightResult::kHopeless:
      return MarkOf(Answer::kNo, page);
  }
  return "";
}

// What was asked about this very move; null before.
const api::PreflightStatus* PreflightOf(const MoveFacts& facts) {
  const bool asked =
      facts.held && facts.held->phase == "Preflight" && !facts.held->preflight.lines.empty();
  return asked ? &facts.held->preflight : nullptr;
}

bool Blocks(const api::PreflightStatus& preflight) {
  return std::any_of(preflight.lines.begin(), preflight.lines.end(),
                     [](const api::PreflightLine& line) {
                       return line.result != api::PreflightResult::kPassed &&
                              line.result != api::PreflightResult::kWarning;
                     });
}

void RenderUnasked(const MoveFacts& facts, Page& page) {
  page.Line(std::string(kIndent, ' ') + page.Paint(Tone::kBold, "What only the operator can ask"));
  std::string text =
      "The databases themselves: roles, privileges, extensions, locale, what cannot be copied, and "
      "your own checks. ";
  if (facts.held)
    text +=
        "It has not answered yet for this move; what it waits for says: kubectl cutover status " +
        facts.order.name + " -n " + facts.order.ns;
  else
    text +=
        "It has not asked them about this move yet. To have that done, and nothing begun, create "
        "it with: kubectl cutover move --suspend; then look at this plan again.";
  page.Field(kIndent + 2, "", 0, text);
}

void RenderPreflight(const MoveFacts& facts, Page& page) {
  const api::PreflightStatus* preflight = PreflightOf(facts);
  if (!preflight) return RenderUnasked(facts, page);
  page.Line(std::string(kIndent, ' ') + page.Paint(Tone::kBold, "What the operator has found"));
  std::string when = "asked";
  if (preflight->looked_at) when += " " + FormatDistance(*preflight->looked_at, facts.now);
  // As the operator does (reconcilers/migration).
  when += Blocks(*preflight) ? ", and again every 10s as long as something stands in the way"
                             : ", and again every 10 minutes, and before anything begins";
  page.Field(kIndent + 2, "", 0, when, Tone::kDim);
  for (const api::PreflightLine& line : preflight->lines)
    page.Marked(kIndent + 2, MarkOf(line.result, page), line.name + ": " + line.message);
}

}  // namespace

std::string NameForMove(const std::string& placement_name, const std::string& target_server_name,
                        const std::vector<std::string>& taken) {
  std::string base = placement_name + "-to-" + target_server_name;
  std::replace(base.begin(), base.end(), '.', '-');
  for (int number = 1;; ++number) {
    const std::string suffix = number == 1 ? "" : "-" + std::to_string(number);
    std::string name = base.substr(0, kMigrationNameMax - suffix.size());
    while (name.ends_with('-')) name.pop_back();
    name += suffix;
    if (std::find(taken.begin(), taken.end(), name) == taken.end()) return name;
  }
}

Json ManifestOf(const MoveOrder& order) {
  Json cutover = Json::Object({{"approval", order.approval}});
  if (order.switch_by != "Restart") cutover.Set("switch", order.switch_by);
  Json backup = Json::Object({{"mode", order.backup_claim_name.empty() ? "Skip" : "Required"}});
  if (!order.backup_claim_name.empty()) backup.Set("claimName", order.backup_claim_name);
  Json spec = Json::Object({{"placementRef", Json::Object({{"name", order.placement_name}})},
                            {"target", Json::Object({{"serverName", order.target_server_name}})},
                            {"strategy", order.strategy},
                            {"backup", std::move(backup)},
                            {"cutover", std::move(cutover)}});
  Json copy = Json::Object();
  if (!order.replica_identity.empty()) copy.Set("replicaIdentity", order.replica_identity);
  if (order.copy_rate_mebibytes_per_second_max > 0)
    copy.Set("maxRateMebibytesPerSecond", order.copy_rate_mebibytes_per_second_max);
  if (!copy.Empty()) spec.Set("copy", std::move(copy));
  if (order.hypercare.count() > 0)
    spec.Set("hypercare", Json::Object({{"durationSeconds", order.hypercare.count()}}));
  if (!order.source_server_name.empty())
    spec.Set("source", Json::Object({{"serverName", order.source_server_name}}));
  if (order.suspend) spec.Set("suspend", true);
  return Json::Object({{"apiVersion", api::kApiVersion},
                       {"kind", "TenantMigration"},
                       {"metadata", Json::Object({{"name", order.name}, {"namespace", order.ns}})},
                       {"spec", std::move(spec)}});
}

const MigrationView* FindHeld(const MoveOrder& order, const api::DatabasePlacement& placement,
                              const std::vector<MigrationView>& migrations) {
  const MigrationView* held = nullptr;
  for (const MigrationView& migration : migrations) {
    const std::string& source = migration.source_server_name;
    const bool required = migration.backup_mode == "Required";
    const bool backup =
        order.backup_claim_name.empty() ? !order.skip_backup || !required : required;
    if (!IsHeld(migration) || !backup || migration.meta.namespace_name != order.ns ||
        migration.placement_name != order.placement_name ||
        migration.target_server_name != order.target_server_name ||
        migration.strategy != order.strategy || migration.switch_mode != order.switch_by ||
        (!source.empty() && source != placement.status.server_name) ||
        (!order.name.empty() && migration.meta.name != order.name))
      continue;
    // Of several the one that the placement knows: the others are refused.
    if (!held || migration.meta.name == placement.status.migration_name) held = &migration;
  }
  return held;
}

MoveOrder OrderOf(const MigrationView& migration) {
  MoveOrder order;
  order.placement_name = migration.placement_name;
  order.target_server_name = migration.target_server_name;
  order.ns = migration.meta.namespace_name;
  order.name = migration.meta.name;
  order.strategy = migration.strategy;
  order.approval = migration.approval;
  order.skip_backup = migration.backup_mode != "Required";
  if (!order.skip_backup) order.backup_claim_name = migration.backup_claim_name;
  order.switch_by = migration.switch_mode;
  order.copy_rate_mebibytes_per_second_max = migration.copy_rate_mebibytes_per_second_max;
  order.hypercare = std::chrono::seconds(migration.hypercare_seconds);
  order.suspend = migration.suspend;
  return order;
}

std::string WhereOnly(const std::string& ns, const Error& why) {
  return "in namespace " + ns +
         (why.reason == "Forbidden" ? " (others may not be read)"
                                    : " (others could not be read: " + why.message + ")");
}

bool StandsInTheWay(const MoveFacts& facts) {
  for (const PlannedCheck& check : CheckObjects(facts))
    if (check.answer == Answer::kNo) return true;
  const api::PreflightStatus* preflight = PreflightOf(facts);
  return preflight && Blocks(*preflight);
}

std::vector<PlannedCheck> CheckObjects(const MoveFacts& facts) {
  std::vector<PlannedCheck> checks;
  CheckPlacement(facts, checks);
  if (!facts.placement.status.server_name.empty())
    checks.push_back(ServerIsReady(facts.source, facts.placement.status.server_name));
  checks.push_back(ServerIsReady(facts.target, facts.order.target_server_name));
  CheckAdmission(facts, checks);
  CheckVersions(facts, checks);
  CheckFollowing(facts, checks);
  if (!facts.order.backup_claim_name.empty())
    checks.push_back(Exists(facts.backup_claim,
                            "claim " + facts.order.backup_claim_name + " exists for the backup"));
  if (!facts.held)
    checks.push_back({facts.refusal.empty() ? Answer::kYes : Answer::kNo,
                      "the API server takes the TenantMigration", facts.refusal});
  return checks;
}

std::string RenderPlan(const MoveFacts& facts, const Style& style) {
  Page page(style);
  RenderWhat(facts, page);
  RenderChanges(facts, page);
  page.Line(std::string(kIndent, ' ') + page.Paint(Tone::kBold, "What the objects say"));
  for (const PlannedCheck& check : CheckObjects(facts)) {
    const std::string detail = check.detail.empty() ? "" : ": " + check.detail;
    page.Marked(kIndent + 2, MarkOf(check.answer, page), check.what + detail);
  }
  page.Line();
  RenderPreflight(facts, page);
  return page.Take();
}

}  // namespace cutover::cli
