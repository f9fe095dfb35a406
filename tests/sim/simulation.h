// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "tests/sim/operator_process.h"
#include "tests/sim/surroundings.h"

namespace cutover::sim {

enum class FaultKind {
  kDieBefore,     ///< The operator is killed before the effect.
  kDieAfter,      ///< … after it, before it has heard.
  kAnswerLost,    ///< It happened; the operator learns that it may have.
  kRefused,       ///< It did not happen, and the operator hears that it failed.
  kStaleReads,    ///< What it reads before the effect is older than its own last effect.
  kSecondLeader,  ///< It is paused at the effect until another leads and acts; then goes on.
  kApiAway,       ///< The API server cannot be reached from the effect on.
  kSourceAway,    ///< The source server crashes there, and comes back.
  kTargetAway,    ///< The target server crashes there, and comes back.
};
inline constexpr FaultKind kAllFaults[] = {
    FaultKind::kDieBefore, FaultKind::kDieAfter,   FaultKind::kAnswerLost,
    FaultKind::kRefused,   FaultKind::kStaleReads, FaultKind::kSecondLeader,
    FaultKind::kApiAway,   FaultKind::kSourceAway, FaultKind::kTargetAway};
std::string_view Name(FaultKind kind);

/// Those that `hack/test` tries at every effect: all.
inline constexpr const auto& kSurvivedFaults = kAllFaults;

struct Fault {
  FaultKind kind = FaultKind::kDieBefore;
  int at = 0;                               ///< The number of the effect, from 0.
  std::chrono::milliseconds lasts{45'000};  ///< Of those that last.
  int rival_effects = 6;                    ///< kSecondLeader: how far the other one comes.
};

class Simulation;

/// What a run is about, and where it must end whatever fails on the way.
struct Itinerary {
  std::string name{};
  /// Before the operator starts.
  std::function<void(Surroundings&)> given = [](Surroundings&) {};
  Json spec = Json::Object();  ///< Goes over the migration's usual spec.
  /// What somebody does once the migration has reached a phase, at the next chance.
  std::map<api::Phase, std::function<void(Simulation&)>> on_phase{};
  std::set<api::Phase> ends{};
  std::string given_up_for{};  ///< What status.failureReason must say at the end; empty: anything.
  bool loss_accepted = false;
  bool clients_see_errors = false;   ///< Something other than a switch breaks what they work on.
  bool applied_at_once = false;      ///< With its placement, which nobody has adopted yet.
  bool loses_its_namespace = false;  ///< With all that is in it.
  /// While users write on the target, by nobody's doing of ours: it is to be closed before long.
  bool source_comes_open_again = false;
  bool has_rival = false;  ///< Another migration of the placement, which may be the one that moves.
  /// How long it must have been quiet before it counts as ended: servers and placements are looked
  /// at every 30 s, and what is seen there is reported.
  std::chrono::seconds settles{35};
};

/// In RunResult::end_state, of a database that has every acknowledged write.
inline constexpr std::string_view kComplete = " complete";

struct RunPlan {
  const Itinerary* itinerary = nullptr;
  std::vector<Fault> faults{};
  uint64_t seed = 0;  ///< Not 0: what may happen in any order does so by this seed.
};

struct RunResult {
  std::vector<std::string> failures;  ///< Breached invariants and wrong ends; at most a handful.
  std::optional<api::Phase> end;      ///< Nothing when the migration is gone.
  bool given_up_in_outage = false;    ///< Not at the end that was meant, and rightly so.
  int effects = 0;
  int effects_before = 0;               ///< Of these, how many came before the migration did.
  std::string end_state;                ///< Everything that should not depend on what failed.
  std::unordered_set<uint64_t> states;  ///< Distinct abstract states, by their hashes.
  std::vector<std::string> trace;       ///< What each effect was.
  std::vector<api::Phase> phases;  ///< Those that the migration's status has entered, in order.
  size_t samples = 0;              ///< The most that its status has had.
  /// All that the API server was asked: methods and targets.
  std::set<std::pair<kube::Method, std::string>> requests;
};

/// Thrown where a process dies; nothing of it survives, everything else does.
struct Killed {};

/// One run: a cluster with one tenant, two PostgreSQL servers, two replicas of the operator, and
/// faults at chosen effects. An effect is a write to the API server (leases and events aside) or a
/// committed change in a database, made by the operator. Everything is deterministic: the plan
/// decides the run. Single-threaded; runs on different threads do not touch each other.
class Simulation {
 public:
  explicit Simulation(const RunPlan& plan);
  ~Simulation();

  RunResult Run();

  /// Asked at each effect whether it gets a fault that the plan does not have: with `stale` of a
  /// fault that begins before the effect's reads (kStaleReads), then of any other.
  std::function<std::optional<Fault>(int number, bool stale)> choose_fault;
  /// The same without a fault: who has come to the same end needs not wait for what comes minutes
  /// later. Null: waits.
  const RunResult* reference = nullptr;

  // For itineraries.
  void Annotate(const std::string& annotation, const std::string& value);
  void DeleteMigration();
  /// Whoever leads next is another one.
  void KillOperators();
  /// That, and the lease is deleted: the count of leaders begins anew.
  void LoseLease();
  /// The count goes on where the source's control row has it.
  void RaiseLease();
  /// The ledger's Secret is deleted, and made again as it was after that time.
  void LoseLedger(std::chrono::seconds lasts);
  /// The same of the Secret with the tenant's password; workloads have read it already.
  void LosePasswordSecret(std::chrono::seconds lasts);
  /// Without its finalizer, as somebody in a hurry does: nobody but the sweeper undoes it.
  void VanishMigration();
  /// A person's word for what the sweeper has reported of the target.
  void ResolveOrphan();
  /// The tenant's namespace: its controller comes to these kinds in this order, with that much time
  /// in between, then to all others, and comes again until nothing is left.
  void DeleteNamespace(const std::vector<kube::Resource>& order, std::chrono::seconds apart);
  void PatchSpec(const Json& spec);
  /// A merge patch of an object, or of its status alone, as nobody should.
  void Overwrite(const kube::Resource& resource, const kube::Key& key, const Json& patch);
  void OverwriteStatus(const kube::Resource& resource, const char* name, const Json& status);
  /// Into the migration's status.
  void OverwritePhase(api::Phase phase);
  /// Makes an object that nobody should.
  void Plant(const kube::Resource& resource, const kube::Key& key);
  /// What the gauge cutover_writable_sides says from now on, whatever an operator sees.
  void Misstate(int writable_sides) { misstated_sides_ = writable_sides; }
  /// No operator does anything any more, so that nobody mends what is planted.
  void StopOperators();
  /// Makes an object, deletes it and makes it again, in the operator's name.
  void MakeAgainAsTheOperator(bool foreground);
  void PatchPlacement(const Json& spec);
  /// Deletes the placement and makes it again, with `spec` over what it was.
  void ReplacePlacement(const Json& spec);
  /// As a backup that is restored has none.
  void LosePlacementStatus();
  /// Deletes the tenant's placement, and makes it again from Git; its Service goes with it.
  void MakePlacementAgain();
  /// The placement's own, with where it leads.
  void DeleteService();
  void ScaleWorkload(int replicas);
  /// As somebody who means it: it must have as many at the end.
  void ScaleWorkloadForGood(int replicas);
  /// The source's DatabaseServer gets another name of the very same server.
  void RenameSource();
  /// The server answers under its other name alone, which its DatabaseServer gets.
  void Readdress(ModelServer& server);
  /// As a GitOps tool does: a forced server-side apply of what the tenant's objects were at first,
  /// its placement and migration among them; those of `kinds` alone, if there are any.
  void ApplyFromGit(const std::vector<kube::Resource>& kinds = {});
  /// An object of the tenant's, as it is.
  Json Stored(const kube::Resource& resource, const char* name) const;
  /// Of the tenant's Deployment.
  int64_t WantedReplicas() const;
  /// DDL on the server, which -1 undoes.
  void ChangeStructure(ModelServer& server, int by = 1);
  /// ALTER TABLE … TYPE … USING …, to the type that it was.
  void RewriteRows(ModelServer& server);
  void LoseSlots(ModelServer& server);  ///< Their WAL is thrown away.
  /// Row `number` is written on the server by somebody whom no fence keeps out.
  void WriteBehindTheFence(ModelServer& server, int64_t number);
  void TakeAway(ModelServer& server, std::chrono::seconds lasts);
  /// An asynchronous standby receives nothing more from now on,
  void SetStandbyAside(const ModelServer& server) { SetStandbyAside(server.state()); }
  void SetStandbyAside(ServerState state) { standby_ = std::move(state); }
  /// and is promoted in its server's place.
  void FailOver(ModelServer& server);
  /// The tenant's database is dropped by hand, with all that streams have there; what it held.
  DatabaseState LoseDatabase(ModelServer& server);
  /// Its server dies in that drop: nobody can enter what is left, and its slots and roles are
  /// there.
  void HalfDropDatabase(ModelServer& server);
  void Later(std::chrono::seconds after, std::function<void(Simulation&)> command);
  /// The same of what the end does not wait for.
  void Unforeseen(std::chrono::seconds after, std::function<void(Simulation&)> command);
  std::optional<api::Phase> phase() const { return phase_; }
  Surroundings& surroundings() { return surroundings_; }
  ModelServer& source() { return source_; }
  ModelServer& target() { return target_; }
  VirtualClock& clock() { return clock_; }

 private:
  struct Replica {
    std::unique_ptr<OperatorProcess> process;
    SteadyTime starts_at{};
    bool paused = false;
    bool doomed = false;  // Dies at its next call: it has been told that it no longer leads.
    int stale_reads = 0;  // How many more reads show the past.
    int effects = 0;
    std::optional<int> writable_sides;  // What its gauge says of the migration; nothing: no series.
  };

  void LoseSecret(const kube::Key& key, std::chrono::seconds lasts);

  // Scheduling.
  void Start(Replica& replica);
  bool StepReplica(Replica& replica);
  bool Iterate();
  void PassTime(bool busy);
  SteadyTime NextDue() const;
  void ComeBack();
  void ObeyPeople();
  bool RunUntil(const std::function<bool()>& done, std::chrono::seconds within);
  bool HasEnded() const;
  bool HasSettled();
  bool IsQuiet() const;
  void PutMigrationIntoGit();
  void EmptyNamespace(const kube::Resource* of_kind);
  void FinishNamespace();

  // Faults.
  Result<kube::Response> OnApiCall(Replica& replica, const kube::Request& request,
                                   const std::function<kube::Response()>& serve);
  bool OnCommit(ModelServer& server, const Backend& backend, const std::function<void()>& apply);
  bool OnPoolerCommand(const std::string& what, const std::function<void()>& apply);
  const Fault* BeginEffect(Replica& replica, std::string what);
  void EndEffect(Replica& replica, const Fault* fault);
  void RunRival(Replica& paused, const Fault& fault);
  void ChooseFault(bool stale);
  void PrepareStaleReads(Replica& replica);

  // Oracles.
  void OnChange(const kube::Resource& resource, const ApiModel::Event& event);
  void CheckMigration(const ApiModel::Event& event);
  void CheckNotRecreated(const kube::Resource& resource, const ApiModel::Event& event);
  void ApplyAndCheckNotRecreated(const ModelServer& server, const std::function<void()>& apply);
  void CheckInvariants();
  void CheckSides(bool on_source, bool on_target);
  void CheckSequences(const ModelServer& server);
  void CheckWhatIsTold(const ApiModel::Event& event);
  void CheckWayBack();
  void CheckDisks();
  void HearWritableSides(Replica& replica, const kube::Key& key, std::optional<int> sides);
  void CheckGauge(int writable_sides);
  void CheckEnd();
  void CheckWhatIsSaid();
  void CheckNoWayBackIsPromised();
  void CheckHome(const ModelServer& home);
  void CheckNothingIsLeftOfTheNamespace();
  void CheckNothingOfAStreamIsLeft(const ModelServer& server);
  void CheckQuietAfterwards();
  void FailUnended();
  bool IsMeantEnd(api::Phase end, const std::string& reason) const;
  bool IsGivenUpInOutage(api::Phase end, const std::string& reason) const;
  bool HasOutage() const;
  bool HasFault(std::initializer_list<FaultKind> kinds) const;
  void Fail(const std::string& what);
  std::string EndState() const;
  void Rename(const char* server, const char* host);
  void CountState();

  const Itinerary& itinerary_;
  std::vector<Fault> faults_;
  const uint64_t seed_;
  std::mt19937_64 random_;
  const bool shuffled_;
  VirtualClock clock_;
  const ThreadTime thread_time_;
  ApiModel api_;
  ModelServer source_;
  ModelServer target_;
  ModelNetwork network_;
  Surroundings surroundings_;
  std::vector<std::pair<kube::Resource, Json>> git_;  // Manifests.
  std::vector<std::unique_ptr<Replica>> replicas_;
  Replica* acting_ = nullptr;  // Whose code is running.
  bool struck_ = false;        // By a fault.
  int processes_ = 0;
  std::optional<SteadyTime> api_back_at_, source_back_at_, target_back_at_;
  SteadyTime last_effect_at_{}, looked_at_end_{};
  SteadyTime outage_felt_until_{};  // What was away is back, and has been asked again since.
  bool in_rival_ = false;

  std::optional<api::Phase> phase_;
  std::set<api::Phase> visited_;
  bool is_deleting_ = false;  // Somebody has deleted the migration, and it is still there.
  std::vector<std::function<void(Simulation&)>> commands_;
  std::multimap<SteadyTime, std::function<void(Simulation&)>> later_, unforeseen_;
  std::map<std::string, int64_t> vanished_;  // Objects that the operator has made and deleted.
  std::set<std::string> strays_;             // Made by a leader that was deposed already.
  int64_t attempt_ = 0;
  bool target_verified_ = false;
  bool source_was_there_ = true;
  bool target_was_lost_ = false;  // By hand.
  ServerState standby_;
  WallTime retained_until_{};  // Once it is completed: when the source may go.
  int64_t meant_replicas_ = kReplicas;
  std::string uid_;  // The migration's.
  bool says_way_back_is_open_ = false;
  std::optional<SteadyTime> both_writable_since_;
  std::optional<SteadyTime> no_way_back_since_;  // Since when no stream back could carry a write.
  std::map<std::string, SteadyTime> too_much_since_;  // Slots past the bound; by server and name.
  std::optional<int> misstated_sides_;
  std::optional<SteadyTime> gauge_is_wrong_since_;
  bool operator_writes_ = false, deposed_writes_ = false;
  RunResult result_;
};

}  // namespace cutover::sim
