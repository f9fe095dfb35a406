// SPDX-License-Identifier: Apache-2.0
#include "cli/view/move_plan.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "cli/view/redact.h"
#include "cli/view/words.h"

namespace cutover::cli {
namespace {

using api::ConditionStatus;

constexpr size_t kMigrationNameMax = 40;  // crds/tenantmigrations: it becomes part of other names.
constexpr size_t kIndent = 2;
constexpr size_t kLabelWidth = 12;

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::stringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class Comparison {
 public:
  Comparison(std::string object, bool secret) : object_(std::move(object)), secret_(secret) {}

  void Compare(const std::string& path, const Json& before, const Json& after) {
    if (before == after || path == ".metadata.resourceVersion") return;
    if (before.IsObject() && after.IsObject()) {
      for (const auto& [key, value] : after.Members())
        Compare(path + "." + key, before[key], value);
      for (const auto& [key, value] : before.Members())
        if (!after.Contains(key)) Compare(path + "." + key, value, Json());
    } else if (before.IsArray() && after.IsArray()) {
      for (size_t i = 0; i < std::max(before.Size(), after.Size()); ++i)
        Compare(path + "[" + std::to_string(i) + "]", before[i], after[i]);
    } else if (before.IsString() && after.IsString()) {
      CompareLines(path, LinesOf(before.StringRef()), LinesOf(after.StringRef()));
    } else {
      Add(path, Text(before), Text(after));
    }
  }

  std::vector<WiringChange> Take() { return std::move(changes_); }

 private:
  static std::string Text(const Json& value) {
    return value.IsNull() ? "" : value.IsString() ? value.StringRef() : value.Dump();
  }

  // Wiring edits lines in place; lines that were added or taken away are shown by their number.
  void CompareLines(const std::string& path, const std::vector<std::string>& before,
                    const std::vector<std::string>& after) {
    const bool single = before.size() <= 1 && after.size() <= 1;
    for (size_t i = 0; i < std::max(before.size(), after.size()); ++i) {
      const std::string was = i < before.size() ? before[i] : "";
      const std::string is = i < after.size() ? after[i] : "";
      if (was != is) Add(path + (single ? "" : ", line " + std::to_string(i + 1)), was, is);
    }
  }

  void Add(const std::string& path, const std::string& before, const std::string& after) {
    if (secret_)
      changes_.push_back({object_, path, "", ""});
    else
      changes_.push_back({object_, path, WithoutPasswords(before), WithoutPasswords(after)});
  }

  const std::string object_;
  const bool secret_;
  std::vector<WiringChange> changes_;
};

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

void CheckPlacement(const MoveFacts& facts, std::vector<PlannedCheck>& checks) {
  const api::DatabasePlacementStatus& status = facts.placement.status;
  if (status.server_name.empty())
    checks.push_back({Answer::kNo, "the placement has been adopted",
                      "no operator has found its database yet: see its conditions"});
  if (!status.migration_name.empty())
    checks.push_back({Answer::kNo, "no other migration moves it",
                      "TenantMigration " + status.migration_name + " does"});
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
  if (order.strategy != "Online")
    return "are stopped from before the copy until after the switch: as long as copying the "
           "database takes";
  return order.switch_by == "Pooler"
             ? "work while it is copied; for the switch their statements wait in the pooler"
             : "work while it is copied; they are stopped for the switch alone";
}

std::string WayBackOf(const MoveOrder& order) {
  if (order.hypercare.count() == 0) return "closes as soon as users work on the target";
  const std::string span = FormatSpan(order.hypercare);
  return order.strategy == "Online"
             ? "stays open for " + span + " after the switch, with all that users write by then"
             : "for " + span + " after the switch, and only without what users write by then";
}

void RenderWhat(const MoveFacts& facts, Page& page) {
  const MoveOrder& order = facts.order;
  const api::DatabasePlacement& placement = facts.placement;
  page.Line(page.Paint(Tone::kBold, "Plan of TenantMigration " + order.ns + "/" + order.name) +
            ", which does not exist yet; nothing has been changed");
  page.Line();
  std::string database = placement.spec.database_name;
  if (placement.status.database_size_bytes > 0)
    database += ", " + FormatBytes(placement.status.database_size_bytes);
  page.Field(kIndent, "Database", kLabelWidth, database);
  page.Field(kIndent, "From", kLabelWidth, placement.status.server_name);
  page.Field(kIndent, "To", kLabelWidth, order.target_server_name);
  page.Field(kIndent, "Users", kLabelWidth, UsersDuring(order));
  page.Field(kIndent, "Starts", kLabelWidth,
             order.approval == "Manual"
                 ? "stopping the users waits for: kubectl cutover approve " + order.name + " -n " +
                       order.ns
                 : "stops the users as soon as all is prepared, without asking");
  page.Field(kIndent, "Backup", kLabelWidth,
             order.backup_claim_name.empty() ? "none is taken"
                                             : "to claim " + order.backup_claim_name + ", first");
  page.Field(kIndent, "Way back", kLabelWidth, WayBackOf(order));
  page.Line();
}

void RenderChanges(const MoveFacts& facts, Page& page) {
  page.Line(std::string(kIndent, ' ') + page.Paint(Tone::kBold, "What would change"));
  const api::DatabasePlacementSpec& spec = facts.placement.spec;
  const api::DatabaseServer* target = Found(facts.target);
  if (!spec.connection.service_name.empty())
    page.Field(kIndent + 2, "", 0,
               "Service " + spec.connection.service_name + ": leads to " +
                   (target ? target->spec.endpoint.host : facts.order.target_server_name) +
                   "; its name and port stay");
  if (!facts.changes)
    page.Field(kIndent + 2, "", 0, "unknown: " + facts.changes.error().message, Tone::kWarning);
  std::string object;
  for (const WiringChange& change : facts.changes ? *facts.changes : std::vector<WiringChange>()) {
    if (change.object != object) page.Field(kIndent + 2, "", 0, change.object);
    object = change.object;
    if (change.before.empty() && change.after.empty()) {
      page.Field(kIndent + 4, "", 0, change.place + ": another value (not shown)");
      continue;
    }
    page.Field(kIndent + 4, "", 0, change.place, Tone::kDim);
    if (!change.before.empty()) page.Field(kIndent + 4, "- ", 2, change.before, Tone::kBad);
    if (!change.after.empty()) page.Field(kIndent + 4, "+ ", 2, change.after, Tone::kGood);
  }
  if (facts.order.switch_by == "Pooler") {
    page.Field(kIndent + 2, "", 0, "Routes and workloads go on as they are");
    page.Line();
    return;
  }
  for (const api::ObjectRef& route : spec.routes)
    page.Field(kIndent + 2, "", 0,
               route.kind + " " + route.name +
                   ": shows the maintenance page while users are stopped; then as it is now");
  for (const api::ObjectRef& workload : spec.workloads)
    page.Field(
        kIndent + 2, "", 0,
        workload.kind + " " + workload.name + ": stopped while users are; then as it is now");
  page.Line();
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
  if (!order.replica_identity.empty())
    spec.Set("copy", Json::Object({{"replicaIdentity", order.replica_identity}}));
  if (order.hypercare.count() > 0)
    spec.Set("hypercare", Json::Object({{"durationSeconds", order.hypercare.count()}}));
  if (order.suspend) spec.Set("suspend", true);
  return Json::Object({{"apiVersion", api::kApiVersion},
                       {"kind", "TenantMigration"},
                       {"metadata", Json::Object({{"name", order.name}, {"namespace", order.ns}})},
                       {"spec", std::move(spec)}});
}

std::vector<WiringChange> ChangesBetween(const std::string& object, const Json& before,
                                         const Json& after) {
  Comparison comparison(object, object.starts_with("Secret "));
  comparison.Compare("", before, after);
  return comparison.Take();
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
    page.Line(std::string(kIndent + 2, ' ') + MarkOf(check.answer, page) + " " +
              page.Paint(Tone::kPlain, check.what) + page.Paint(Tone::kDim, detail));
  }
  page.Line();
  page.Line(std::string(kIndent, ' ') + page.Paint(Tone::kBold, "What only the operator can tell"));
  page.Field(
      kIndent + 2, "", 0,
      "It asks the databases themselves in Preflight: roles, privileges, extensions, locale, "
      "what cannot be copied, and your own checks. To have all of it checked, and nobody "
      "stopped, create it with --approval Manual, look at its status, and abort it.");
  return page.Take();
}

}  // namespace cutover::cli
