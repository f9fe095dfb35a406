// SPDX-License-Identifier: Apache-2.0
//
// What must hold in every state that a simulation passes through, and at its end: the invariants of
// the design, section 6.
#include <algorithm>
#include <functional>
#include <set>

#include "operator/kube/metadata.h"
#include "postgres/replication.h"
#include "reconcilers/migration/transitions.h"
#include "tests/sim/simulation.h"

namespace cutover::sim {
namespace {

using api::Phase;
using std::chrono::seconds;

constexpr size_t kFailuresMax = 5;
// Until the leader, or its successor, has seen and recorded it.
constexpr seconds kRecordedWithin{40};
// Why a migration may end where its itinerary does not, when something was away on the way.
constexpr std::string_view kGivenUpFor[] = {
    "BackupFailed",  "CopyFailed",         "SmokeFailed",  "WorkloadsNotReady",
    "StageTimedOut", "WritePauseExceeded", "WindowMissed", "HypercareCheckFailed"};

Phase PhaseOf(const Json& migration) {
  return api::ParsePhase(migration["status"]["phase"].AsString("Pending"))
      .value_or(Phase::kPending);
}

bool SwitchesByPooler(const Json& migration) {
  return migration["spec"]["cutover"]["switch"].StringRef() == "Pooler";
}

// While clients wait in a pooler, these are entered without a record (step.h).
bool MayGoUnrecorded(Phase phase) {
  return phase == Phase::kFinalizing || phase == Phase::kVerifying || phase == Phase::kOpening;
}

bool IsLegal(Phase from, Phase to, bool by_pooler) {
  for (const migration::Transition& line : migration::Transitions()) {
    if (line.from != from) continue;
    if (line.to == to) return true;
    if (by_pooler && MayGoUnrecorded(line.to) && IsLegal(line.to, to, by_pooler)) return true;
  }
  return from == to;
}

void ReplaceAll(std::string& text, const std::string& what, const std::string& with) {
  if (what.empty()) return;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

std::string NameOf(const kube::Resource& resource, const ApiModel::Event& event) {
  return std::string(resource.kind) + " " + kube::KeyOf(event.after->object).ToString();
}

bool IsProgress(std::string_view condition) {
  constexpr std::string_view kProgress[] = {"PreflightPassed", "BackedUp", "Copied",
                                            "InSync",          "Fenced",   "Verified"};
  return std::find(std::begin(kProgress), std::end(kProgress), condition) != std::end(kProgress);
}

// An object without what differs from run to run: versions, times, uids, words about what happened.
Json Timeless(const kube::Resource& resource, const Json& object) {
  Json kept = object;
  Json& metadata = kept.MutableAt("metadata");
  for (const char* name : {"uid", "resourceVersion", "creationTimestamp", "generation",
                           "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences"})
    metadata.Remove(name);
  Json status = object["status"];
  kept.Remove("status");
  const bool moved = resource != kube::kTenantMigration ||
                     status["phase"].StringRef() == api::Name(Phase::kCompleted);
  Json conditions = Json::Object();
  for (const Json& condition : status["conditions"].Items()) {
    const std::string& type = condition["type"].StringRef();
    const std::string& reason = condition["reason"].StringRef();
    if (!moved && IsProgress(type)) continue;  // How far it had come.
    // What a migration may be given up for is judged at the end.
    const bool judged = type == "Succeeded";
    conditions.Set(type, condition["status"].AsString() + (judged ? "" : " " + reason));
  }
  kept.Set("conditions", std::move(conditions));
  if (resource == kube::kDeployment)
    kept.Set("ready", status["readyReplicas"]);
  else if (resource == kube::kDatabasePlacement)
    kept.Set("serverName", status["serverName"]);
  else if (resource == kube::kTenantMigration) {
    kept.Set("phase", status["phase"]);
    kept.MutableAt("spec").Remove("suspend");  // Who is to set it may come too late for that.
  }
  return kept;
}

// Of a migration that is completed, by what its status says of when it was.
WallTime RetainedUntil(const Json& migration) {
  WallTime until = WallTime::max();
  for (const Json& stage : migration["status"]["stages"].Items())
    if (stage["name"].StringRef() == api::Name(Phase::kCompleted))
      if (auto at = ParseTime(stage["startedAt"].StringRef()))
        until = *at + seconds(migration["spec"]["source"]["retentionSeconds"].AsInt());
  return until;
}

bool Applies(const ModelServer& subscriber, const std::string& uid, pg::Direction direction) {
  const DatabaseState* database = subscriber.state().Find(kTenant);
  if (database == nullptr || database->subscriptions.empty()) return false;
  auto found = database->subscriptions.find(pg::StreamName(uid, direction));
  return found != database->subscriptions.end() && found->second.enabled;
}

// A stream back that carries what is written on the target: the slot keeps it, and who applies it
// is not told to stop.
bool HasWayBack(const ModelServer& source, const ModelServer& target, const std::string& uid) {
  const std::string name = pg::StreamName(uid, pg::Direction::kReverse);
  auto slot = target.state().slots.find(name);
  const DatabaseState* database = source.state().Find(kTenant);
  if (slot == target.state().slots.end() || slot->second.lost || database == nullptr) return false;
  return Applies(source, uid, pg::Direction::kReverse);
}

bool HasRewritings(const ModelServer& source, const DatabaseState& target) {
  const DatabaseState* before = source.state().Find(kTenant);
  return before == nullptr || before->content.rewritings == target.content.rewritings;
}

bool SameStructure(const ModelServer& source, const ModelServer& target) {
  const DatabaseState* before = source.state().Find(kTenant);
  const DatabaseState* now = target.state().Find(kTenant);
  return before == nullptr || now == nullptr || before->content.structure == now->content.structure;
}

// With a pooler they are in before Hypercare.
bool UsersMayWriteOnTarget(Phase phase) {
  return phase == Phase::kSmoke || phase == Phase::kHypercare;
}

// Of users who are in: without a pooler "nobody is in yet" is true in Smoke.
bool SaysWayBackIsOpen(const Json& migration) {
  for (const Json& condition : migration["status"]["conditions"].Items())
    if (condition["type"].StringRef() == "RollbackReady")
      return condition["status"].StringRef() == "True" &&
             (SwitchesByPooler(migration) || condition["reason"].StringRef() != "UsersNotIn");
  return false;
}

// What the phase and the reason of a status are.
std::string SituationOf(const Json& status) {
  for (const Json& condition : status["conditions"].Items())
    if (condition["type"].StringRef() == "Ready")
      return status["phase"].AsString() + " " + condition["reason"].AsString();
  return "";
}

// Since when a reason holds is said from the first look on, and stays what it is while the reason
// does, whoever leads. Empty, or what is wrong.
std::string WrongSince(const Json& before, const Json& after, WallTime now) {
  const std::string situation = SituationOf(after);
  if (situation.empty()) return "";
  const std::optional<WallTime> since = ParseTime(after["reasonSince"].AsString());
  if (!since || *since > now) return "reasonSince is not a time up to now in " + situation;
  if (situation == SituationOf(before) && !(before["reasonSince"] == after["reasonSince"]))
    return "reasonSince has moved in " + situation;
  return "";
}

// Samples are few, in order, and written with what they are of. Empty, or what is wrong.
std::string WrongSamples(const Json& before, const Json& after) {
  const Json& samples = after["samples"];
  if (samples.Size() > 60) return "more samples than the API admits";
  WallTime last{};
  for (const Json& sample : samples.Items()) {
    const WallTime time = ParseTime(sample["time"].StringRef()).value_or(WallTime{});
    if (time - last < seconds(10)) return "samples less than ten seconds apart";
    last = time;
  }
  if (before["samples"] == samples || !(before["progress"] == after["progress"])) return "";
  return "a write for nothing but a sample";
}

// What an operator makes in a move of one tenant, by name; but for what it tries the way with,
// which is a rehearsal and comes again.
std::set<std::string> MadeBySql(const ModelServer& server) {
  std::set<std::string> made;
  const std::string on = " on the " + server.name();
  for (const auto& [name, slot] : server.state().slots) made.insert("slot " + name + on);
  for (const auto& [name, role] : server.state().roles) made.insert("role " + name + on);
  for (const auto& [title, database] : server.state().databases) {
    made.insert("database " + title + on);
    if (database->control) made.insert("the control row of " + title + on);
    for (const std::string& name : database->publications) made.insert("publication " + name + on);
    for (const auto& [name, one] : database->subscriptions)
      made.insert("subscription " + name + on);
  }
  std::erase_if(made, [](const std::string& name) {
    return name.find(" cutover_probe_") != std::string::npos;
  });
  return made;
}

std::string Describe(const ModelServer& server, const RowSet& acknowledged) {
  std::string text;
  for (const auto& [name, role] : server.state().roles)
    text += server.name() + " role " + name + " '" + role.comment + "'\n";
  for (const auto& [name, database] : server.state().databases) {
    text += server.name() + " database " + name + " '" + database->comment + "' " +
            pg::ToJson(database->access).Dump();
    if (database->control) text += " control " + database->control->state;
    // Whether rows were looked at before a rollback is a matter of seconds.
    for (const auto& [key, value] : database->ledger)
      if (key.first != "sample") text += " ledger " + key.first + key.second;
    // A home has every write; the other side has what it had when it was left.
    if (database->content.rows == acknowledged) text += kComplete;
    text += '\n';
  }
  return text;
}

}  // namespace

void Simulation::Fail(const std::string& what) {
  if (result_.failures.size() >= kFailuresMax) return;
  result_.failures.push_back(what + " (after effect " + std::to_string(result_.effects - 1) +
                             (result_.trace.empty() ? "" : ": " + result_.trace.back()) + ")");
}

// --- every change of an object ------------------------------------------------------------------

void Simulation::OnChange(const kube::Resource& resource, const ApiModel::Event& event) {
  if (resource == kube::kTenantMigration) CheckMigration(event);
  if (operator_writes_) CheckNotRecreated(resource, event);
  if (deposed_writes_ && !event.before) strays_.insert(NameOf(resource, event));
  if (resource == kube::kSecret) return;
  for (const char* password : {kAdminPassword, kTenantPassword, kNewTenantPassword})
    if (event.after->text.find(password) != std::string::npos)
      Fail("a password in " + std::string(resource.kind) + " " +
           kube::KeyOf(event.after->object).ToString());
}

void Simulation::CheckMigration(const ApiModel::Event& event) {
  const kube::Key key = kube::KeyOf(event.after->object);
  int active = 0;
  for (const VersionPointer& other : api_.List(kube::kTenantMigration, kSpace, {})) {
    Phase phase = PhaseOf(other->object);
    active += phase != Phase::kPending && !migration::IsEnd(phase) ? 1 : 0;
  }
  if (active > 1) Fail("two active migrations of one placement");
  Phase to = PhaseOf(event.after->object);
  Phase from = event.before ? PhaseOf(event.before->object) : to;
  if (!IsLegal(from, to, SwitchesByPooler(event.after->object)))
    Fail("illegal transition from " + std::string(api::Name(from)) + " to " +
         std::string(api::Name(to)));
  CheckWhatIsTold(event);
  if (key.name != kMigration) return;
  uid_ = kube::UidOf(event.after->object);
  says_way_back_is_open_ = UsersMayWriteOnTarget(to) && SaysWayBackIsOpen(event.after->object);
  CheckWayBack();
  attempt_ = event.after->object["status"]["attempt"].AsInt();
  if (to == Phase::kCompleted && from != to) {
    if (!target_verified_) Fail("completed without a verified target");
    retained_until_ = RetainedUntil(event.after->object);
  }
  phase_ = event.after->deleted ? std::nullopt : std::optional(to);
  is_deleting_ = !event.after->deleted && kube::IsDeleting(event.after->object);
  if (from != to || !event.before) result_.phases.push_back(to);
  bool is_new = visited_.insert(to).second;
  auto command = itinerary_.on_phase.find(to);
  if (is_new && command != itinerary_.on_phase.end()) commands_.push_back(command->second);
}

void Simulation::CheckWhatIsTold(const ApiModel::Event& event) {
  const Json nothing;
  const Json& before = event.before ? event.before->object["status"] : nothing;
  const Json& after = event.after->object["status"];
  for (const std::string& wrong :
       {WrongSince(before, after, clock_.WallNow()), WrongSamples(before, after)})
    if (!wrong.empty()) Fail(wrong);
  result_.samples = std::max(result_.samples, after["samples"].Size());
}

// While users work on the target, RollbackReady is said only of a stream that is there, and that
// was made for what they work on.
void Simulation::CheckWayBack() {
  if (!phase_ || !UsersMayWriteOnTarget(*phase_) ||
      (HasWayBack(source_, target_, uid_) && SameStructure(source_, target_))) {
    no_way_back_since_.reset();
    return;
  }
  if (!no_way_back_since_) no_way_back_since_ = clock_.SteadyNow();
  if (says_way_back_is_open_ && clock_.SteadyNow() > outage_felt_until_ &&
      clock_.SteadyNow() - *no_way_back_since_ > kRecordedWithin)
    Fail("RollbackReady, and no stream back carries what is written");
}

// A server's disk is others', too: no slot goes on keeping more of it than the spec allows, whether
// or not the other server is there.
void Simulation::CheckDisks() {
  const int64_t bound = itinerary_.spec["copy"]["maxRetainedWalBytes"].AsInt(0);
  if (bound == 0 || clock_.SteadyNow() <= outage_felt_until_) return;
  for (const ModelServer* server : {&source_, &target_}) {
    for (const auto& [name, slot] : server->state().slots) {
      const DatabaseState* database = server->state().Find(slot.database);
      const std::string title = "slot " + name + " on the " + server->name();
      const bool too_much =
          server->up() && database != nullptr &&
          (EndOfLog(*database) - slot.position) * server->bytes_per_change > bound;
      if (!too_much) {
        too_much_since_.erase(title);
        continue;
      }
      auto since = too_much_since_.try_emplace(title, clock_.SteadyNow()).first->second;
      if (clock_.SteadyNow() - since > kRecordedWithin) Fail(title + " keeps more than it may");
    }
  }
}

// Whoever has deleted something within one attempt has no reason to make it again, unless it was
// something that should not have come. Deleted is what was asked to go: what goes in the foreground
// is gone by somebody else's doing.
void Simulation::CheckNotRecreated(const kube::Resource& resource, const ApiModel::Event& event) {
  const std::string name = NameOf(resource, event);
  const bool goes = event.after->deleted || kube::IsDeleting(event.after->object);
  const bool went = event.before && kube::IsDeleting(event.before->object);
  if (goes && (went || strays_.erase(name) > 0)) return;
  if (goes) {
    vanished_[name] = attempt_;
  } else if (!event.before) {
    auto before = vanished_.find(name);
    if (before != vanished_.end() && before->second == attempt_)
      Fail(name + " was deleted and made again");
  }
}

// The same of what SQL makes. Where no fault interrupts SQL: what one has interrupted is done
// again.
void Simulation::ApplyAndCheckNotRecreated(const ModelServer& server,
                                           const std::function<void()>& apply) {
  if (HasFault({FaultKind::kDieBefore, FaultKind::kDieAfter, FaultKind::kRefused,
                FaultKind::kSecondLeader, FaultKind::kSourceAway, FaultKind::kTargetAway}))
    return apply();
  const std::set<std::string> before = MadeBySql(server);
  apply();
  const std::set<std::string> after = MadeBySql(server);
  for (const std::string& name : before)
    if (!after.contains(name)) vanished_[name] = attempt_;
  for (const std::string& name : after) {
    auto went = vanished_.find(name);
    if (!before.contains(name) && went != vanished_.end() && went->second == attempt_)
      Fail(name + " was dropped and made again");
  }
}

// --- what is measured ---------------------------------------------------------------------------

// Two are said where somebody else has made them: an alert of the chart's wakes somebody for that.
void Simulation::HearWritableSides(Replica& replica, const kube::Key& key,
                                   std::optional<int> sides) {
  if (misstated_sides_) sides = misstated_sides_;
  if (sides && *sides > 1 && !itinerary_.source_comes_open_again)
    Fail("cutover_writable_sides of " + key.ToString() + " says " + std::to_string(*sides));
  if (key.name == kMigration) replica.writable_sides = sides;
}

// What the leader's gauge says was true when it last looked, and it looks again before long. It
// says nothing of what it cannot see.
void Simulation::CheckGauge(int writable_sides) {
  auto is_wrong = [&](const auto& replica) {
    return replica->process && !replica->paused && replica->process->IsLeader() &&
           replica->writable_sides.value_or(writable_sides) != writable_sides;
  };
  const auto wrong = std::find_if(replicas_.begin(), replicas_.end(), is_wrong);
  if (wrong == replicas_.end() || clock_.SteadyNow() <= outage_felt_until_) {
    gauge_is_wrong_since_.reset();
    return;
  }
  if (!gauge_is_wrong_since_) gauge_is_wrong_since_ = clock_.SteadyNow();
  if (clock_.SteadyNow() - *gauge_is_wrong_since_ > kRecordedWithin)
    Fail("cutover_writable_sides goes on saying " + std::to_string(*(*wrong)->writable_sides) +
         ", and it is " + std::to_string(writable_sides));
}

// --- every state --------------------------------------------------------------------------------

void Simulation::CheckInvariants() {
  const DatabaseState* target = target_.state().Find(kTenant);
  if (target == nullptr)
    target_verified_ = false;
  else if (target->control && target->control->state == "verified")
    target_verified_ = true;
  bool on_source = Surroundings::IsWritable(source_), on_target = Surroundings::IsWritable(target_);
  CheckSides(on_source, on_target);
  const bool at_home_on_source = on_source && !on_target;
  if (on_target && !target_verified_) Fail("a target that was not verified is writable");
  // What a namespace takes with it is nobody's to restore.
  if (surroundings_.WiredTo() == &target_ && !target_verified_ && !target_was_lost_ &&
      !itinerary_.loses_its_namespace)
    Fail("wired to a target that was not verified");
  if (surroundings_.WiredTo() == &source_ && phase_ == Phase::kCompleted)
    Fail("wired to the source that users have left for good");
  const RowSet& acknowledged = surroundings_.acknowledged();
  if (on_target && !target->content.rows.Includes(acknowledged))
    Fail("the target lets users write and lacks writes that were acknowledged");
  if (on_target && !HasRewritings(source_, *target))
    Fail("the target lets users write and lacks rows that ALTER TABLE has rewritten");
  if (!itinerary_.loss_accepted && at_home_on_source &&
      !source_.state().Find(kTenant)->content.rows.Includes(acknowledged))
    Fail("the source lets users write and lacks writes that were acknowledged");
  if (on_target) CheckSequences(target_);
  if (at_home_on_source) CheckSequences(source_);
  const bool left_behind = phase_ == Phase::kRollingBack && !SameStructure(source_, target_);
  if (!itinerary_.loss_accepted && at_home_on_source && left_behind)
    Fail("the source lets users write and lacks what DDL has made on the target");
  const bool back = Applies(source_, uid_, pg::Direction::kReverse);
  if (back && Applies(target_, uid_, pg::Direction::kForward)) Fail("changes go in a circle");
  if (back && at_home_on_source) Fail("users write where the stream back is applied");
  CheckWayBack();
  CheckDisks();
  CheckGauge((on_source ? 1 : 0) + (on_target ? 1 : 0));
  bool source_is_there = source_.state().Find(kTenant) != nullptr;
  const bool dropped = source_was_there_ && !source_is_there;
  if (dropped && phase_ != Phase::kCompleted)
    Fail("the source was dropped before the migration completed");
  else if (dropped && clock_.WallNow() < retained_until_)
    Fail("the source was dropped before its retention had ended");
  source_was_there_ = source_is_there;
}

void Simulation::CheckSides(bool on_source, bool on_target) {
  if (!on_source || !on_target) return both_writable_since_.reset();
  if (!both_writable_since_) both_writable_since_ = clock_.SteadyNow();
  const bool is_excused = itinerary_.source_comes_open_again &&
                          (clock_.SteadyNow() <= outage_felt_until_ ||
                           clock_.SteadyNow() - *both_writable_since_ <= kRecordedWithin);
  if (!is_excused) Fail("both sides are writable");
}

// A number that was given out must not come again: users' next insert would fail.
void Simulation::CheckSequences(const ModelServer& server) {
  const Content& content = server.state().Find(kTenant)->content;
  for (const auto& [name, position] : content.sequences)
    if (position.first < content.rows.size())
      Fail("users write on the " + server.name() + ", whose sequence " + name +
           " is behind its rows");
}

// What a reader of the design would call the state: phase, control rows, doors, wiring, helpers.
void Simulation::CountState() {
  auto side = [](const ModelServer& server) {
    const DatabaseState* database = server.state().Find(kTenant);
    std::string text = server.up() ? "u" : "d";
    if (database == nullptr) return text + "-";
    text += database->control ? database->control->state : "none";
    text += Surroundings::IsWritable(server) ? "w" : "c";
    text += std::to_string(server.CountSessions(kTenant) > 0);
    text += std::to_string(database->ledger.size()) + std::to_string(database->results.size());
    for (const auto& [name, subscription] : database->subscriptions)
      text += subscription.enabled ? "e" : "s";
    text +=
        std::to_string(database->publications.size()) + std::to_string(server.state().slots.size());
    return text + std::to_string(server.state().roles.size());
  };
  std::string text = phase_ ? std::string(api::Name(*phase_)) : "gone";
  text += side(source_) + side(target_);
  text += surroundings_.WiredTo() == &target_ ? "T" : "S";
  text += surroundings_.UsersReachTheTenant() ? "r" : "m";
  text += surroundings_.pooler().paused() ? "p" : "";
  text += surroundings_.second_pooler().paused() ? "P" : "";
  for (const kube::Resource& resource :
       {kube::kJob, kube::kDeployment, kube::kService, kube::kConfigMap, kube::kSecret, kube::kPod})
    text += std::to_string(api_.List(resource, "", {}).size()) + ",";
  if (auto workload = api_.Get(kube::kDeployment, {kSpace, kTenant}))
    text += std::to_string((*workload)->object["spec"]["replicas"].AsInt()) +
            (*workload)->object["status"].Dump();
  auto migration = api_.Get(kube::kTenantMigration, {kSpace, kMigration});
  if (migration)
    text += (*migration)->object["status"]["failureReason"].AsString() +
            std::to_string(kube::IsDeleting((*migration)->object));
  result_.states.insert(std::hash<std::string>()(text));
}

// --- the end ------------------------------------------------------------------------------------

bool Simulation::IsMeantEnd(Phase end, const std::string& reason) const {
  const std::string& right = itinerary_.given_up_for;
  return itinerary_.ends.contains(end) && (right.empty() || reason == right);
}

// With something away for a while, giving up is right as well, if that is what it is given up for.
bool Simulation::IsGivenUpInOutage(Phase end, const std::string& reason) const {
  if (!HasOutage() || (end != Phase::kFailed && end != Phase::kRolledBack)) return false;
  return std::find(std::begin(kGivenUpFor), std::end(kGivenUpFor), reason) != std::end(kGivenUpFor);
}

// The database outlives its tenant's namespace: it is where it was or where it was moved to, open,
// and whoever makes the namespace anew finds every write in it.
void Simulation::CheckNothingIsLeftOfTheNamespace() {
  if (phase_) Fail("the migration is left in a namespace that is being deleted");
  if (api_.Get(kube::kNamespace, {"", kSpace})) Fail("the namespace is left Terminating");
  const bool on_source = Surroundings::IsWritable(source_);
  if (!on_source && !Surroundings::IsWritable(target_)) Fail("the tenant is shut out");
  const DatabaseState* home = (on_source ? source_ : target_).state().Find(kTenant);
  if (!itinerary_.loss_accepted && home != nullptr &&
      home->content.rows != surroundings_.acknowledged())
    Fail("other rows are there than were acknowledged");
  if (on_source && target_.state().Find(kTenant) != nullptr)
    Fail("a copy is left behind on the target");
  if (surroundings_.pooler().paused()) Fail("clients are left waiting in the pooler");
  for (const ModelServer* server : {&source_, &target_}) CheckNothingOfAStreamIsLeft(*server);
  if (!api_.List(kube::kJob, "", {}).empty()) Fail("a Job is left behind");
  if (api_.Get(kube::kSecret, {kOperatorSpace, "cutover-ledger-" + uid_}))
    Fail("a ledger is left behind");
}

void Simulation::CheckEnd() {
  if (itinerary_.loses_its_namespace) return CheckNothingIsLeftOfTheNamespace();
  Phase end =
      phase_.value_or(visited_.contains(Phase::kCompleted) ? Phase::kCompleted : Phase::kAborted);
  if (phase_) {
    auto migration = api_.Get(kube::kTenantMigration, {kSpace, kMigration});
    const Json& status = (*migration)->object["status"];
    const std::string& reason = status["failureReason"].StringRef();
    const bool is_meant = IsMeantEnd(end, reason);
    result_.given_up_in_outage = !is_meant && IsGivenUpInOutage(end, reason);
    if (!is_meant && !result_.given_up_in_outage)
      Fail("ended as " + std::string(api::Name(end)) + ": " + reason + ": " +
           status["message"].AsString());
  }
  CheckWhatIsSaid();
  CheckNoWayBackIsPromised();
  auto placement = api_.Get(kube::kDatabasePlacement, {kSpace, kTenant});
  bool moved = (*placement)->object["status"]["serverName"].StringRef() == kTargetServer;
  if (itinerary_.has_rival && moved) end = Phase::kCompleted;  // The other one's.
  if (!phase_ && moved) end = Phase::kCompleted;               // Finished without its object.
  if (phase_ && moved != (end == Phase::kCompleted)) Fail("placed on the wrong server");
  CheckHome(moved ? target_ : source_);
  CheckNothingOfAStreamIsLeft(source_);
  CheckNothingOfAStreamIsLeft(target_);
  for (const VersionPointer& job : api_.List(kube::kJob, "", {}))
    if (!surroundings_.misfortune.job_pods_never_go || !kube::IsDeleting(job->object))
      Fail("a Job is left behind");
  if (api_.Get(kube::kDeployment, {kSpace, "cutover-maintenance-move"}))
    Fail("the maintenance page is left behind");
  // A copy that was rolled back keeps its ledger, which says what it is.
  const bool has_ledger =
      api_.Get(kube::kSecret, {kOperatorSpace, "cutover-ledger-" + uid_}).has_value();
  if (has_ledger != (phase_ == Phase::kRolledBack)) Fail("a ledger too many, or too few");
  bool nothing_moved = end == Phase::kAborted || end == Phase::kFailed;
  if (nothing_moved && target_.state().Find(kTenant) != nullptr)
    Fail("a copy is left behind on the target");
  if (nothing_moved && target_.state().roles.contains(kTenant))
    Fail("a role is left behind on the target");
}

// Equal is what was compared; what was not is said wherever that is.
void Simulation::CheckWhatIsSaid() {
  if (phase_ != Phase::kCompleted) return;
  auto found = api_.Get(kube::kTenantMigration, {kSpace, kMigration});
  const Json& migration = (*found)->object;
  if (migration["spec"]["strategy"].StringRef() != "Online") return;
  const Json& status = migration["status"];
  std::vector<std::string> sayings = {status["message"].AsString(),
                                      status["verification"]["report"].AsString()};
  for (const Json& condition : status["conditions"].Items())
    if (condition["type"].StringRef() == "Verified")
      sayings.push_back(condition["message"].AsString());
  for (const std::string& saying : sayings)
    if (saying.find(kNotCompared) == std::string::npos)
      Fail("what nobody has compared is not said: " + saying);
}

// There is none from an end.
void Simulation::CheckNoWayBackIsPromised() {
  if (!phase_) return;
  auto found = api_.Get(kube::kTenantMigration, {kSpace, kMigration});
  const Json& migration = (*found)->object;
  if (SaysWayBackIsOpen(migration)) Fail("over, and RollbackReady all the same");
  if (!migration["status"]["rollback"]["availableUntil"].IsNull())
    Fail("over, and status.rollback.availableUntil is still there");
}

void Simulation::CheckHome(const ModelServer& home) {
  if (!Surroundings::IsWritable(home)) Fail("the tenant is shut out");
  if (surroundings_.WiredTo() != &home) Fail("wired to the wrong server");
  if (!surroundings_.UsersReachTheTenant()) Fail("users are left at the maintenance page");
  // Who watched the migration go looks for a PAUSE that comes later, and may have died since.
  const bool nobody_looks = !phase_ && HasFault({FaultKind::kSecondLeader}) && faults_.size() > 1;
  for (ModelPooler* pooler : {&surroundings_.pooler(), &surroundings_.second_pooler()})
    if (pooler->up && pooler->paused() && !nobody_looks)
      Fail("clients are left waiting in the pooler");
  auto workload = api_.Get(kube::kDeployment, {kSpace, kTenant});
  if ((*workload)->object["spec"]["replicas"].AsInt(-1) != meant_replicas_)
    Fail("replicas not restored");
  if (meant_replicas_ > 0 && !surroundings_.PodsWork()) Fail("no pod of the tenant's works");
  const DatabaseState* database = home.state().Find(kTenant);
  if (!itinerary_.loss_accepted && database != nullptr &&
      database->content.rows != surroundings_.acknowledged())
    Fail("other rows are there than were acknowledged");
  if (!itinerary_.clients_see_errors && !HasOutage() && surroundings_.client_errors() > 0)
    Fail("clients of the pooler saw errors: " + std::to_string(surroundings_.client_errors()));
}

void Simulation::CheckNothingOfAStreamIsLeft(const ModelServer& server) {
  auto left = [&](const std::string& what, const std::string& name) {
    Fail(what + " " + name + " is left behind on the " + server.name());
  };
  for (const auto& [name, slot] : server.state().slots) left("slot", name);
  for (const auto& [name, role] : server.state().roles)
    if (name.starts_with("cutover_")) left("role", name);
  for (const auto& [title, database] : server.state().databases) {
    for (const std::string& name : database->publications) left("publication", name);
    for (const auto& [name, subscription] : database->subscriptions) left("subscription", name);
    for (const auto& [name, row] : database->probes) left("the schema of a probe", name);
  }
}

bool Simulation::HasFault(std::initializer_list<FaultKind> kinds) const {
  return std::any_of(faults_.begin(), faults_.end(), [&](const Fault& fault) {
    return std::find(kinds.begin(), kinds.end(), fault.kind) != kinds.end();
  });
}

bool Simulation::HasOutage() const {
  return HasFault({FaultKind::kApiAway, FaultKind::kSourceAway, FaultKind::kTargetAway});
}

// Twice as long as the longest pause between looks, the sweeper's five minutes; runs with faults
// are many, and every tenth is listened to for as long.
void Simulation::CheckQuietAfterwards() {
  int before = result_.effects;
  uint64_t number = seed_;
  for (const Fault& fault : faults_) number += static_cast<uint64_t>(fault.at);
  RunUntil([] { return false; }, faults_.empty() || number % 10 == 0 ? seconds(700) : seconds(65));
  if (result_.effects != before)
    Fail("a write after everything had come to rest: " + result_.trace.back());
}

std::string Simulation::EndState() const {
  std::string text;
  std::string uid;
  if (auto migration = api_.Get(kube::kTenantMigration, {kSpace, kMigration}))
    uid = kube::UidOf((*migration)->object);
  api_.ForEach([&](const kube::Resource& resource, const Json& object) {
    if (resource == kube::kLease || resource == kube::kEvent || resource == kube::kPod) return;
    std::string name = kube::KeyOf(object).ToString();
    std::string line = Timeless(resource, object).Dump();
    // The ledger speaks of objects with their versions.
    if (name.find("cutover-ledger-") != std::string::npos) line = "(ledger)";
    text += std::string(resource.kind) + " " + name + " " + line + "\n";
  });
  text += Describe(source_, surroundings_.acknowledged());
  text += Describe(target_, surroundings_.acknowledged());
  ReplaceAll(text, uid, "UID");
  return text;
}

}  // namespace cutover::sim
