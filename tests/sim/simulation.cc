// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/simulation.h"

#include <algorithm>
#include <utility>

#include "operator/base/check.h"
#include "operator/base/random.h"
#include "operator/kube/error.h"
#include "operator/kube/metadata.h"
#include "reconcilers/migration/orphans/sweeper.h"
#include "reconcilers/migration/transitions.h"

namespace cutover::sim {
namespace {

using api::Phase;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kCallTakes{2};
constexpr milliseconds kBusyStep{5};
constexpr seconds kStepMax{5};
constexpr seconds kRestartTakes{3};
// Twice what a reconcile that fails and fails is tried again after at the latest.
constexpr std::chrono::minutes kOutageFeltFor{4};
constexpr seconds kPauseOfADeposedLeader{21};
constexpr int kStaleReadsMax = 30;
constexpr size_t kFailuresMax = 5;
constexpr std::chrono::minutes kLongestRun{45};
// Beyond what is tried again, twice as late each time, while something is away.
constexpr seconds kComesToRestWithin{60};

bool IsEffect(const kube::Request& request) {
  return kube::IsWrite(request.method) && request.target.find("/leases") == std::string::npos &&
         request.target.find("/events") == std::string::npos;
}

// What somebody would keep in Git of the tenant's objects.
std::vector<std::pair<kube::Resource, Json>> ManifestsOf(const ApiModel& api) {
  std::vector<std::pair<kube::Resource, Json>> manifests;
  api.ForEach([&](const kube::Resource& resource, const Json& object) {
    if (kube::KeyOf(object).ns != kSpace) return;
    Json manifest = kube::NewObject(resource, kube::KeyOf(object));
    for (const char* field : {"spec", "data"})
      if (object.Contains(field)) manifest.Set(field, object[field]);
    manifests.emplace_back(resource, std::move(manifest));
  });
  return manifests;
}

void EndSessions(ModelServer& server) {
  std::vector<int> sessions;
  for (const auto& [pid, backend] : server.backends())
    if (backend.database == kTenant) sessions.push_back(pid);
  for (int pid : sessions) server.End(pid);
}

bool IsRefused(const Fault* fault) {
  return fault != nullptr && fault->kind == FaultKind::kRefused;
}

tl::unexpected<Error> Unreachable() {
  return RetryError(kube::reason::kUnreachable, "connection refused");
}

}  // namespace

std::string_view Name(FaultKind kind) {
  switch (kind) {
    case FaultKind::kDieBefore:
      return "DieBefore";
    case FaultKind::kDieAfter:
      return "DieAfter";
    case FaultKind::kAnswerLost:
      return "AnswerLost";
    case FaultKind::kRefused:
      return "Refused";
    case FaultKind::kStaleReads:
      return "StaleReads";
    case FaultKind::kSecondLeader:
      return "SecondLeader";
    case FaultKind::kApiAway:
      return "ApiAway";
    case FaultKind::kSourceAway:
      return "SourceAway";
    case FaultKind::kTargetAway:
      return "TargetAway";
  }
  return "?";
}

Simulation::Simulation(const RunPlan& plan)
    : itinerary_(*plan.itinerary),
      faults_(plan.faults),
      seed_(plan.seed),
      random_(plan.seed),
      shuffled_(plan.seed != 0),
      thread_time_(clock_),
      api_(clock_),
      source_("source", 150'008, clock_),
      target_("target", 170'002, clock_),
      surroundings_(api_, source_, target_, clock_) {
  SeedRandomFraction(plan.seed);
  // No server's clock is to be compared with another machine's.
  source_.clock_ahead = std::chrono::minutes(7);
  target_.clock_ahead = -std::chrono::hours(1);
  network_.Add("pg-source.example", 5432, source_);
  network_.Add(kSourceAlias, 5432, source_);
  network_.Add("pg-target.example", 5432, target_);
  network_.Add(kTargetAlias, 5432, target_);
  for (ModelServer* server : {&source_, &target_})
    server->on_commit = [this, server](const Backend& backend, const std::function<void()>& apply) {
      return OnCommit(*server, backend, apply);
    };
  network_.Add("10.0.0.9", 6432, surroundings_.pooler());
  network_.Add("10.0.0.10", 6432, surroundings_.second_pooler());
  for (ModelPooler* pooler : {&surroundings_.pooler(), &surroundings_.second_pooler()})
    pooler->on_command = [this](const std::string& what, const std::function<void()>& apply) {
      return OnPoolerCommand(what, apply);
    };
  api_.set_on_change([this](const kube::Resource& resource, const ApiModel::Event& event) {
    OnChange(resource, event);
  });
  surroundings_.Furnish();
  git_ = ManifestsOf(api_);
  for (int i = 0; i < 2; ++i) replicas_.push_back(std::make_unique<Replica>());
}

Simulation::~Simulation() {
  for (auto& replica : replicas_) replica->process.reset();
}

// --- scheduling ---------------------------------------------------------------------------------

void Simulation::Start(Replica& replica) {
  replica.paused = replica.doomed = false;
  replica.stale_reads = 0;
  replica.writable_sides.reset();
  replica.process = std::make_unique<OperatorProcess>(
      api_, clock_, "operator-" + std::to_string(++processes_),
      [this, &replica](const kube::Request& request, const std::function<kube::Response()>& serve) {
        return OnApiCall(replica, request, serve);
      });
  replica.process->on_writable_sides = [this, &replica](const kube::Key& key,
                                                        std::optional<int> sides) {
    HearWritableSides(replica, key, sides);
  };
}

// Every way in which a process ends leads here: what it held in memory is gone, its sessions are
// closed, and the Deployment starts another.
bool Simulation::StepReplica(Replica& replica) {
  if (replica.paused) return false;
  if (!replica.process) {
    if (clock_.SteadyNow() < replica.starts_at) return false;
    Start(replica);
  }
  // Half of what a run costs is reading JSON, and what a standby reads is read for nothing unless
  // the leader goes. Runs without a fault, and those of a seed, have it read all the same.
  replica.process->follows_as_standby = shuffled_ || !struck_;
  Replica* outer = std::exchange(acting_, &replica);
  bool busy = false;
  try {
    busy = replica.process->Step();
    if (replica.process->HasLostTheLease() || replica.doomed) throw Killed{};
  } catch (const Killed&) {
    replica.process.reset();
    replica.starts_at = clock_.SteadyNow() + kRestartTakes;
    busy = true;
  }
  acting_ = outer;
  return busy;
}

void Simulation::ComeBack() {
  const SteadyTime now = clock_.SteadyNow();
  if (api_back_at_ && *api_back_at_ <= now) api_back_at_.reset();
  if (source_back_at_ && *source_back_at_ <= now) {
    source_.Start();
    source_back_at_.reset();
  }
  if (target_back_at_ && *target_back_at_ <= now) {
    target_.Start();
    target_back_at_.reset();
  }
}

void Simulation::ObeyPeople() {
  for (auto* due : {&later_, &unforeseen_})
    for (; !due->empty() && due->begin()->first <= clock_.SteadyNow(); due->erase(due->begin()))
      commands_.push_back(due->begin()->second);
  auto commands = std::move(commands_);
  commands_.clear();
  if (!commands.empty()) last_effect_at_ = clock_.SteadyNow();  // Nobody has obeyed yet.
  for (const auto& command : commands) command(*this);
}

bool Simulation::Iterate() {
  ComeBack();
  ObeyPeople();
  bool busy = false;
  std::vector<Replica*> order;
  for (auto& replica : replicas_) order.push_back(replica.get());
  if (shuffled_) std::shuffle(order.begin(), order.end(), random_);
  for (Replica* replica : order) busy |= StepReplica(*replica);
  busy |= surroundings_.Step();
  if (shuffled_ && random_() % 200 == 0) api_.Compact();
  CheckInvariants();
  return busy;
}

SteadyTime Simulation::NextDue() const {
  SteadyTime next = clock_.SteadyNow() + kStepMax;
  for (const auto& replica : replicas_) {
    if (replica->paused) continue;
    next = std::min(next, replica->process ? replica->process->NextDue() : replica->starts_at);
  }
  if (auto due = surroundings_.NextDue()) next = std::min(next, *due);
  for (const auto& back : {api_back_at_, source_back_at_, target_back_at_})
    if (back) next = std::min(next, *back);
  return next;
}

void Simulation::PassTime(bool busy) {
  auto left = NextDue() - clock_.SteadyNow();
  auto least = std::chrono::nanoseconds(busy ? kBusyStep : milliseconds(1));
  clock_.Advance(busy ? least : std::max<std::chrono::nanoseconds>(left, least));
}

bool Simulation::RunUntil(const std::function<bool()>& done, seconds within) {
  const SteadyTime end = clock_.SteadyNow() + within;
  while (!done()) {
    if (clock_.SteadyNow() > end || result_.failures.size() >= kFailuresMax) return false;
    PassTime(Iterate());
  }
  return true;
}

bool Simulation::IsQuiet() const {
  // Whoever was shown the past has not seen the end yet.
  const bool up_to_date = std::all_of(replicas_.begin(), replicas_.end(),
                                      [](const auto& one) { return one->stale_reads == 0; });
  return up_to_date && !api_back_at_ && !source_back_at_ && !target_back_at_ && commands_.empty() &&
         later_.empty() && clock_.SteadyNow() - last_effect_at_ >= itinerary_.settles;
}

bool Simulation::HasEnded() const {
  bool at_end = !phase_ || migration::IsEnd(*phase_);
  return at_end && !is_deleting_ && IsQuiet();
}

// Whether all is as it should be at the end; looked at now and then, while nothing happens. What
// must hold at any time is not forgiven.
bool Simulation::HasSettled() {
  if (!result_.failures.empty()) return true;
  milliseconds patience = kComesToRestWithin;
  for (const Fault& fault : faults_)
    patience = std::max<milliseconds>(patience, kComesToRestWithin + fault.lasts);
  const SteadyTime since = std::max(last_effect_at_, looked_at_end_);
  if (reference == nullptr || clock_.SteadyNow() - since < patience) return false;
  looked_at_end_ = clock_.SteadyNow();
  CheckEnd();
  const bool good = result_.failures.empty();
  result_.failures.clear();
  return good && phase_ == reference->end && EndState() == reference->end_state;
}

RunResult Simulation::Run() {
  auto adopted = [this] {
    auto placement = api_.Get(kube::kDatabasePlacement, {kSpace, kTenant});
    for (const Json& condition : (*placement)->object["status"]["conditions"].Items())
      if (condition["type"].StringRef() == "Ready" && condition["status"].StringRef() == "True")
        return surroundings_.WiredTo() == &source_ && Surroundings::IsWritable(source_);
    return false;
  };
  if (!itinerary_.applied_at_once && !RunUntil(adopted, seconds(600)))
    Fail("the placement was never adopted");
  result_.effects_before = result_.effects;
  if (result_.failures.empty()) {
    itinerary_.given(surroundings_);
    surroundings_.CreateMigration(kMigration, itinerary_.spec);
    PutMigrationIntoGit();
    last_effect_at_ = clock_.SteadyNow();
    if (!RunUntil([this] { return HasEnded(); }, kLongestRun)) FailUnended();
  }
  if (result_.failures.empty()) {
    // What something that was away has kept from being done, or a deposed leader has left behind,
    // is seen to minutes later: the sweeper comes every five.
    looked_at_end_ = clock_.SteadyNow();
    if (HasOutage() || HasFault({FaultKind::kSecondLeader}))
      RunUntil([this] { return HasSettled(); }, seconds(720));
    CheckEnd();
    CheckQuietAfterwards();
  }
  result_.end = phase_;
  result_.end_state = EndState();
  return std::move(result_);
}

void Simulation::FailUnended() {
  auto migration = api_.Get(kube::kTenantMigration, {kSpace, kMigration});
  Fail("never came to rest: " + (migration
                                     ? (*migration)->object["status"]["phase"].AsString() + ": " +
                                           (*migration)->object["status"]["message"].AsString()
                                     : std::string("gone")));
}

// --- people -------------------------------------------------------------------------------------

void Simulation::Annotate(const std::string& annotation, const std::string& value) {
  Json patch = Json::Object();
  patch.MutableAt("metadata").MutableAt("annotations").Set(annotation, value);
  // Nothing to command when it is gone.
  static_cast<void>(
      api_.MergePatch(kube::kTenantMigration, {kSpace, kMigration}, patch, {.manager = "kubectl"}));
}

void Simulation::Overwrite(const kube::Resource& resource, const kube::Key& key,
                           const Json& patch) {
  CHECK(api_.MergePatch(resource, key, patch, {.manager = "kubectl"}));
}

void Simulation::OverwriteStatus(const kube::Resource& resource, const char* name,
                                 const Json& status) {
  CHECK(api_.MergePatch(resource, {kSpace, name}, Json::Object({{"status", status}}),
                        {.manager = "kubectl", .subresource = "status"}));
}

void Simulation::OverwritePhase(api::Phase phase) {
  OverwriteStatus(kube::kTenantMigration, kMigration, Json::Object({{"phase", api::Name(phase)}}));
}

void Simulation::Plant(const kube::Resource& resource, const kube::Key& key) {
  CHECK(api_.Create(resource, kube::NewObject(resource, key), {.manager = "kubectl"}));
}

void Simulation::StopOperators() {
  for (auto& replica : replicas_) replica->paused = true;
}

void Simulation::MakeAgainAsTheOperator(bool foreground) {
  const Json object = kube::NewObject(kube::kConfigMap, {kSpace, "fickle"});
  for (int i = 0; i < 2; ++i) {
    operator_writes_ = true;
    CHECK(api_.Create(kube::kConfigMap, object, {.manager = "cutover"}));
    CHECK(api_.Delete(kube::kConfigMap, {kSpace, "fickle"}, {.foreground = foreground}));
    operator_writes_ = false;
    result_.trace.push_back("a planted write");
    ++result_.effects;
    while (api_.CollectGarbage()) continue;
  }
}

void Simulation::DeleteMigration() {
  static_cast<void>(api_.Delete(kube::kTenantMigration, {kSpace, kMigration}, {}));
}

void Simulation::KillOperators() {
  for (auto& replica : replicas_) {
    if (replica->paused || replica.get() == acting_) {
      replica->doomed = true;  // In the middle of a call.
      continue;
    }
    replica->process.reset();
    replica->starts_at = clock_.SteadyNow() + kRestartTakes;
  }
}

void Simulation::LoseLease() {
  KillOperators();
  static_cast<void>(api_.Delete(kube::kLease, {kOperatorSpace, "cutover-operator"}, {}));
}

void Simulation::RaiseLease() {
  const kube::Key key{kOperatorSpace, "cutover-operator"};
  const DatabaseState* held = source_.state().Find(kTenant);
  const auto lease = api_.Get(kube::kLease, key);
  if (held == nullptr || !held->control || !lease) return;
  if ((*lease)->object.At({"spec", "leaseTransitions"}).AsInt() >= held->control->epoch) return;
  Json patch = Json::Object();
  patch.MutableAt("spec").Set("leaseTransitions", held->control->epoch);
  static_cast<void>(api_.MergePatch(kube::kLease, key, patch, {.manager = "kubectl"}));
}

void Simulation::LoseLedger(std::chrono::seconds lasts) {
  LoseSecret({kOperatorSpace, "cutover-ledger-" + uid_}, lasts);
}

void Simulation::LosePasswordSecret(std::chrono::seconds lasts) {
  LoseSecret({kSpace, "acme-db"}, lasts);
}

void Simulation::LoseSecret(const kube::Key& key, std::chrono::seconds lasts) {
  const auto found = api_.Get(kube::kSecret, key);
  CHECK(found.has_value());
  const Json& was = (*found)->object;
  Json secret = kube::NewObject(kube::kSecret, key);
  const Json& labels = was.At({"metadata", "labels"});
  if (!labels.IsNull()) secret.MutableAt("metadata").Set("labels", labels);
  for (const char* field : {"immutable", "data"})
    if (was.Contains(field)) secret.Set(field, was[field]);
  CHECK(api_.Delete(kube::kSecret, key, {}));
  Later(lasts, [secret](Simulation& then) {
    static_cast<void>(then.api_.Create(kube::kSecret, secret, {.manager = "kubectl"}));
  });
}

void Simulation::VanishMigration() {
  Json patch = Json::Object();
  patch.MutableAt("metadata").Set("finalizers", Json::Array());
  static_cast<void>(
      api_.MergePatch(kube::kTenantMigration, {kSpace, kMigration}, patch, {.manager = "kubectl"}));
  DeleteMigration();
}

void Simulation::ResolveOrphan() {
  Json patch = Json::Object();
  patch.MutableAt("metadata")
      .MutableAt("annotations")
      .Set(migration::kResolveOrphanAnnotation, uid_);
  static_cast<void>(
      api_.MergePatch(kube::kDatabaseServer, {"", kTargetServer}, patch, {.manager = "kubectl"}));
}

// A pod goes with what has made it.
void Simulation::EmptyNamespace(const kube::Resource* of_kind) {
  std::vector<std::pair<kube::Resource, kube::Key>> going;
  api_.ForEach([&](const kube::Resource& resource, const Json& object) {
    const bool is_meant = of_kind == nullptr ? resource != kube::kPod : resource == *of_kind;
    if (is_meant && kube::KeyOf(object).ns == kSpace)
      going.emplace_back(resource, kube::KeyOf(object));
  });
  for (const auto& [resource, key] : going) static_cast<void>(api_.Delete(resource, key, {}));
}

void Simulation::FinishNamespace() {
  EmptyNamespace(nullptr);
  bool is_empty = true;
  api_.ForEach([&](const kube::Resource&, const Json& object) {
    is_empty &= kube::KeyOf(object).ns != kSpace;
  });
  if (!is_empty) return Later(seconds(5), [](Simulation& then) { then.FinishNamespace(); });
  const Json released = Json::Object({{"metadata", Json::Object({{"finalizers", Json()}})}});
  CHECK(api_.MergePatch(kube::kNamespace, {"", kSpace}, released, {.manager = "kcm"}));
}

void Simulation::DeleteNamespace(const std::vector<kube::Resource>& order, seconds apart) {
  CHECK(api_.Delete(kube::kNamespace, {"", kSpace}, {}));
  seconds after{0};
  for (const kube::Resource& resource : order) {
    Later(after, [resource](Simulation& then) { then.EmptyNamespace(&resource); });
    after += apart;
  }
  Later(after, [](Simulation& then) { then.FinishNamespace(); });
}

void Simulation::PatchSpec(const Json& spec) {
  static_cast<void>(api_.MergePatch(kube::kTenantMigration, {kSpace, kMigration},
                                    Json::Object({{"spec", spec}}), {.manager = "kubectl"}));
}

void Simulation::PatchPlacement(const Json& spec) {
  static_cast<void>(api_.MergePatch(kube::kDatabasePlacement, {kSpace, kTenant},
                                    Json::Object({{"spec", spec}}), {.manager = "kubectl"}));
}

void Simulation::ReplacePlacement(const Json& spec) {
  const kube::Key key{kSpace, kTenant};
  Json placement = kube::NewObject(kube::kDatabasePlacement, key);
  placement.Set("spec", Stored(kube::kDatabasePlacement, kTenant)["spec"]);
  for (const auto& [field, value] : spec.Members()) placement.MutableAt("spec").Set(field, value);
  Json patch = Json::Object();
  patch.MutableAt("metadata").Set("finalizers", Json::Array());
  CHECK(api_.MergePatch(kube::kDatabasePlacement, key, patch, {.manager = "kubectl"}));
  CHECK(api_.Delete(kube::kDatabasePlacement, key, {}));
  CHECK(api_.Create(kube::kDatabasePlacement, placement, {.manager = "kubectl"}));
}

void Simulation::LosePlacementStatus() {
  CHECK(api_.MergePatch(
                kube::kDatabasePlacement, {kSpace, kTenant},
                *Json::Parse(R"({"status":{"serverName":null,"endpoint":null,"conditions":null}})"),
                {.manager = "velero", .subresource = "status"})
            .has_value());
}

void Simulation::MakePlacementAgain() {
  CHECK(api_.Delete(kube::kDatabasePlacement, {kSpace, kTenant}, {}).has_value());
  for (const auto& [resource, manifest] : git_)
    if (resource == kube::kDatabasePlacement)
      CHECK(api_.Create(resource, manifest, {.manager = "kubectl"}).has_value());
}

void Simulation::DeleteService() {
  CHECK(api_.Delete(kube::kService, {kSpace, "acme-pg"}, {}).has_value());
  CHECK(api_.Delete(kube::kEndpointSlice, {kSpace, "acme-pg-cutover-ipv4"}, {}).has_value());
}

void Simulation::ScaleWorkload(int replicas) {
  Json patch = Json::Object();
  patch.MutableAt("spec").Set("replicas", replicas);
  static_cast<void>(
      api_.MergePatch(kube::kDeployment, {kSpace, kTenant}, patch, {.manager = "kubectl"}));
}

void Simulation::ScaleWorkloadForGood(int replicas) {
  ScaleWorkload(replicas);
  meant_replicas_ = replicas;
}

void Simulation::Rename(const char* server, const char* host) {
  Json patch = Json::Object();
  patch.MutableAt("spec").MutableAt("endpoint").Set("host", host);
  CHECK(api_.MergePatch(kube::kDatabaseServer, {"", server}, patch, {.manager = "kubectl"}));
}

void Simulation::RenameSource() { Rename(kSourceServer, kSourceAlias); }

void Simulation::Readdress(ModelServer& server) {
  const bool is_source = &server == &source_;
  network_.Remove(is_source ? "pg-source.example" : "pg-target.example", 5432);
  Rename(is_source ? kSourceServer : kTargetServer, is_source ? kSourceAlias : kTargetAlias);
}

// Without what people set while it runs (docs/gitops.md).
void Simulation::PutMigrationIntoGit() {
  Json manifest = kube::NewObject(kube::kTenantMigration, {kSpace, kMigration});
  Json spec = Stored(kube::kTenantMigration, kMigration)["spec"];
  spec.Remove("suspend");
  manifest.Set("spec", std::move(spec));
  git_.emplace_back(kube::kTenantMigration, std::move(manifest));
}

void Simulation::ApplyFromGit(const std::vector<kube::Resource>& kinds) {
  for (const auto& [resource, manifest] : git_) {
    const bool is_meant =
        kinds.empty() || std::find(kinds.begin(), kinds.end(), resource) != kinds.end();
    const kube::Key key = kube::KeyOf(manifest);
    // Who deletes the migration takes it out of Git first.
    if (!is_meant || !api_.Get(resource, key)) continue;
    CHECK(api_.Apply(resource, key, manifest, {.manager = "argocd-controller"}).has_value());
  }
}

Json Simulation::Stored(const kube::Resource& resource, const char* name) const {
  return (*api_.Get(resource, {kSpace, name}))->object;
}

int64_t Simulation::WantedReplicas() const {
  return Stored(kube::kDeployment, kTenant)["spec"]["replicas"].AsInt(-1);
}

void Simulation::ChangeStructure(ModelServer& server, int by) {
  server.Edit([by](ServerState& state) {
    if (DatabaseState* database = state.Edit(kTenant)) database->content.structure += by;
  });
}

void Simulation::RewriteRows(ModelServer& server) {
  server.Edit([](ServerState& state) {
    if (DatabaseState* database = state.Edit(kTenant)) ++database->content.rewritings;
  });
}

void Simulation::LoseSlots(ModelServer& server) {
  server.Edit([](ServerState& state) {
    for (auto& [name, slot] : state.slots) slot.lost = true;
  });
}

void Simulation::WriteBehindTheFence(ModelServer& server, int64_t number) {
  server.Edit([&](ServerState& state) {
    if (DatabaseState* database = state.Edit(kTenant))
      WriteRow(*database, number, clock_.WallNow());
  });
}

void Simulation::TakeAway(ModelServer& server, std::chrono::seconds lasts) {
  server.Crash();
  (&server == &source_ ? source_back_at_ : target_back_at_) = clock_.SteadyNow() + lasts;
}

void Simulation::FailOver(ModelServer& server) {
  server.Crash();
  server.Edit([&](ServerState& state) {
    const int64_t timeline = state.timeline + 1;
    state = standby_;
    state.timeline = timeline;
    state.slots.clear();
  });
  server.Start();
}

DatabaseState Simulation::LoseDatabase(ModelServer& server) {
  const DatabaseState* found = server.state().Find(kTenant);
  CHECK(found != nullptr);
  DatabaseState lost = *found;
  EndSessions(server);
  server.Edit([](ServerState& state) {
    state.databases.erase(kTenant);
    std::erase_if(state.slots, [](const auto& slot) { return slot.second.database == kTenant; });
    std::erase_if(state.roles, [](const auto& role) { return role.first.starts_with("cutover_"); });
  });
  if (&server == &source_) source_was_there_ = false;  // It is known who it was.
  if (&server == &target_) target_was_lost_ = true;
  return lost;
}

void Simulation::HalfDropDatabase(ModelServer& server) {
  EndSessions(server);
  server.Edit([](ServerState& state) {
    DatabaseState* database = state.Edit(kTenant);
    CHECK(database != nullptr);
    // DROP DATABASE begins nothing while there is one (dropdb() counts them first).
    database->subscriptions.clear();
    database->access.connection_limit = kHalfDropped;
  });
  if (&server == &target_) target_was_lost_ = true;
}

void Simulation::Later(seconds after, std::function<void(Simulation&)> command) {
  later_.emplace(clock_.SteadyNow() + after, std::move(command));
}

void Simulation::Unforeseen(seconds after, std::function<void(Simulation&)> command) {
  unforeseen_.emplace(clock_.SteadyNow() + after, std::move(command));
}

// --- faults -------------------------------------------------------------------------------------

Result<kube::Response> Simulation::OnApiCall(Replica& replica, const kube::Request& request,
                                             const std::function<kube::Response()>& serve) {
  if (replica.doomed) throw Killed{};
  clock_.Advance(kCallTakes);
  result_.requests.emplace(request.method, request.target);
  ObeyPeople();
  if (api_back_at_) return Unreachable();
  if (!IsEffect(request)) {
    if (replica.stale_reads > 0 && --replica.stale_reads == 0) {
      replica.process->transport().view = ApiModel::kLatest;
      last_effect_at_ = clock_.SteadyNow();  // What it sees now may be news.
    }
    return serve();
  }
  const Fault* fault = BeginEffect(replica, std::string(kube::Name(request.method)) + " " +
                                                request.target.substr(0, request.target.find('?')));
  if (api_back_at_ || IsRefused(fault)) return Unreachable();
  // What a deposed leader's late request makes again is nobody's decision.
  operator_writes_ = !replica.doomed;
  deposed_writes_ = replica.doomed;
  kube::Response response = serve();
  operator_writes_ = deposed_writes_ = false;
  EndEffect(replica, fault);
  if (fault != nullptr && fault->kind == FaultKind::kAnswerLost)
    return InDoubtError(kube::reason::kUnreachable, "connection reset before the answer");
  return response;
}

bool Simulation::OnCommit(ModelServer& server, const Backend& backend,
                          const std::function<void()>& apply) {
  if (acting_ == nullptr) {
    apply();
    return true;
  }
  Replica& replica = *acting_;
  if (backend.late) {
    apply();
    EndEffect(replica, nullptr);
    return true;
  }
  if (replica.doomed) throw Killed{};
  if (backend.in_transaction && !backend.bounded)
    Fail("a transaction that outlives a leader who falls silent in it: " + backend.changed_by);
  clock_.Advance(kCallTakes);
  const int pid = backend.pid;
  const bool alone = !backend.in_transaction;
  const Fault* fault =
      BeginEffect(replica, "commit on the " + server.name() + ": " + backend.changed_by);
  // The server went away, or ended the session of a client that was silent for too long.
  if (server.Find(pid) == nullptr || IsRefused(fault)) return false;
  if (replica.doomed && alone) throw Late{};
  ApplyAndCheckNotRecreated(server, apply);
  EndEffect(replica, fault);
  return fault == nullptr || fault->kind != FaultKind::kAnswerLost;
}

bool Simulation::OnPoolerCommand(const std::string& what, const std::function<void()>& apply) {
  if (acting_->doomed) throw Killed{};
  clock_.Advance(kCallTakes);
  Replica& replica = *acting_;
  const Fault* fault = BeginEffect(replica, what + " at the pooler");
  if (IsRefused(fault)) return false;
  apply();
  EndEffect(replica, fault);
  return fault == nullptr || fault->kind != FaultKind::kAnswerLost;
}

void Simulation::ChooseFault(bool stale) {
  if (!choose_fault) return;
  if (auto fault = choose_fault(result_.effects, stale)) faults_.push_back(*fault);
}

const Fault* Simulation::BeginEffect(Replica& replica, std::string what) {
  ChooseFault(false);
  const int number = result_.effects++;
  ++replica.effects;
  result_.trace.push_back(replica.process->identity() + " " +
                          (phase_ ? std::string(api::Name(*phase_)) : "-") + " " + std::move(what));
  replica.process->transport().view = ApiModel::kLatest;
  replica.stale_reads = 0;
  last_effect_at_ = clock_.SteadyNow();
  auto found = std::find_if(faults_.begin(), faults_.end(),
                            [&](const Fault& fault) { return fault.at == number; });
  if (found == faults_.end()) return nullptr;
  struck_ = true;
  switch (found->kind) {
    case FaultKind::kDieBefore:
      throw Killed{};
    case FaultKind::kSecondLeader:
      RunRival(replica, *found);
      break;
    case FaultKind::kApiAway:
      outage_felt_until_ = clock_.SteadyNow() + found->lasts + kOutageFeltFor;
      api_back_at_ = clock_.SteadyNow() + found->lasts;
      break;
    case FaultKind::kSourceAway:
      outage_felt_until_ = clock_.SteadyNow() + found->lasts + kOutageFeltFor;
      source_.Crash();
      source_back_at_ = clock_.SteadyNow() + found->lasts;
      break;
    case FaultKind::kTargetAway:
      outage_felt_until_ = clock_.SteadyNow() + found->lasts + kOutageFeltFor;
      target_.Crash();
      target_back_at_ = clock_.SteadyNow() + found->lasts;
      break;
    default:
      break;
  }
  return &*found;
}

void Simulation::EndEffect(Replica& replica, const Fault* fault) {
  last_effect_at_ = clock_.SteadyNow();
  CheckInvariants();
  CountState();
  PrepareStaleReads(replica);
  if (fault != nullptr && fault->kind == FaultKind::kDieAfter) throw Killed{};
}

// From here to the next effect the API server shows what was before this one.
void Simulation::PrepareStaleReads(Replica& replica) {
  ChooseFault(true);
  for (const Fault& fault : faults_) {
    if (fault.kind != FaultKind::kStaleReads || fault.at != result_.effects) continue;
    struck_ = true;
    replica.process->transport().view = api_.version() - 1 - fault.rival_effects % 4;
    replica.stale_reads = kStaleReadsMax;
  }
}

// A process that the machine has forgotten for a while: its request is under way, its lease is
// taken by another, which acts; then the request arrives, and after it the process finds out. A
// transaction that it left open is over by then (idle_in_transaction_session_timeout); a statement
// outside of one is judged by what it finds.
void Simulation::RunRival(Replica& paused, const Fault& fault) {
  if (in_rival_) return;
  in_rival_ = true;
  for (ModelServer* server : {&source_, &target_}) server->EndSilentTransactions();
  paused.paused = true;
  int before = result_.effects;
  const SteadyTime least = clock_.SteadyNow() + kPauseOfADeposedLeader;
  RunUntil(
      [&] {
        return clock_.SteadyNow() >= least && result_.effects - before >= fault.rival_effects;
      },
      seconds(60));
  paused.paused = false;
  paused.doomed = true;
  in_rival_ = false;
}

}  // namespace cutover::sim
