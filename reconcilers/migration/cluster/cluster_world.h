// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/kube/client.h"
#include "postgres/changes.h"
#include "postgres/control.h"
#include "postgres/pooler.h"
#include "postgres/replication.h"
#include "postgres/sequences.h"
#include "reconcilers/migration/checks/check.h"
#include "reconcilers/migration/cluster/config.h"
#include "reconcilers/migration/cluster/database_side.h"
#include "reconcilers/migration/cluster/jobs.h"
#include "reconcilers/migration/cluster/ledger.h"
#include "reconcilers/migration/world.h"
#include "reconcilers/wiring/endpoints.h"
#include "reconcilers/wiring/wiring.h"
#include "reconcilers/wiring/workloads.h"

namespace cutover::migration {

/// Before the journal, a stop that would cost volumes is refused, and the move is undone. Going
/// back knows no other way: users would wait behind its doors for a person. It leaves such a
/// workload running, which loses nothing: the fence ends its sessions and lets no new ones in.
wiring::VolumesAtStake AtStakeIn(api::Phase phase);

/// What outlives one reconcile. The references outlive every ClusterWorld made of it.
struct ClusterContext {
  kube::Client& client;
  wiring::Resolver& resolver;
  const Clock& clock;
  OperatorConfig config;
  /// All placements that the operator sees; null: none.
  std::function<std::vector<std::shared_ptr<const api::DatabasePlacement>>()> placements{};
};

/// The World of one migration during one reconcile: real API server, real PostgreSQL servers.
/// Keeps its connections between calls, and nothing else: every fact is read anew. Not thread-safe;
/// one reconcile, one thread, one ClusterWorld.
/// Errors of effects are those of kube::Client and of postgres/.
class ClusterWorld final : public World {
 public:
  /// `vanished`: the migration has no object any more, so nothing says whether that was deleted.
  explicit ClusterWorld(const ClusterContext& context, bool vanished = false);
  ~ClusterWorld() override;

  Observation Observe(std::stop_token stop, Deadline deadline,
                      const api::TenantMigration& migration) override;
  void LookAt(std::stop_token stop, Deadline deadline, const api::TenantMigration& migration,
              Subject subject, Observation& seen) override;
  Status Perform(std::stop_token stop, Deadline deadline, const api::TenantMigration& migration,
                 Intent intent) override;
  Result<std::string> Record(std::stop_token stop, Deadline deadline,
                             const api::TenantMigration& migration,
                             const api::TenantMigrationStatus& status) override;

 private:
  /// One call's migration with its bounds; what every step below needs.
  struct Call {
    std::stop_token stop;
    Deadline deadline;
    const api::TenantMigration& migration;
  };

  // Reads (observe.cc).
  /// The placement as the move knows it: the ledger's once there is one, else the live one.
  Result<api::DatabasePlacement> NeedPlacement(const Call& call);
  Result<api::DatabaseServer> ReadServer(const Call& call, const std::string& name);
  Result<pg::ConnectOptions> AdminOptions(const Call& call, const std::string& server_name);
  CheckContext MakeCheckContext(const Call& call, const api::DatabasePlacement& placement,
                                const std::string& server_name);
  Result<std::string> RivalOf(const Call& call);
  Result<std::optional<Ledger>> ReadLedger(const Call& call);
  Result<Ledger> NeedLedger(const Call& call);
  bool GoesWithItsNamespace(const Call& call);
  Result<PlacementFacts> ObservePlacement(const Call& call);
  Result<WorkloadFacts> ObserveWorkloads(const Call& call);
  Result<RouteFacts> ObserveRoutes(const Call& call);
  Result<wiring::HostPort> SourceEndpoint(const Call& call);
  Result<WiringFacts> ObserveWiring(const Call& call);
  Result<bool> ObserveWiringRestored(const Call& call);
  Result<bool> ObserveOutdated(const Call& call);
  Result<MaintenancePageFacts> ObservePage(const Call& call, WallTime now);
  Result<DatabaseFacts> ObserveSide(const Call& call, Result<DatabaseSide*> side);
  Result<std::optional<CopyProgress>> ObserveProgress(const Call& call);
  Result<std::optional<CopyResult>> ObserveResult(const Call& call);
  void LookAtStream(const Call& call, Subject subject, Observation& seen);
  void LookAtCluster(const Call& call, Subject subject, Observation& seen);
  Result<PublisherFacts> ObservePublisher(const Call& call, pg::Direction direction);
  Result<SubscriberFacts> ObserveSubscriber(const Call& call, pg::Direction direction);
  Result<SampleFacts> ObserveSample(const Call& call);
  Result<StructureFacts> ObserveStructure(const Call& call);
  Result<ViewFacts> ObserveViews(const Call& call);
  Result<std::string> ObserveSchemaChange(const Call& call);
  Result<std::string> FindSchemaChange(const Call& call);
  Result<bool> ObserveRehearsal(const Call& call);
  Result<bool> ObserveTenantLogin(const Call& call, pg::Side side);
  Result<bool> ObserveTenantLoginBack(const Call& call);
  Result<bool> PasswordChangedSince(const Call& call, const std::string& role, pg::Side side);
  Result<std::string> SchemaChangeSinceMark(const Call& call);
  Result<PoolerFacts> ObservePoolers(const Call& call);
  void ObservePreflight(const Call& call, Observation& seen);
  Result<std::vector<CheckOutcome>> ObserveChecks(const Call& call, api::CheckWhen moment,
                                                  WallTime now);
  Result<std::vector<CheckOutcome>> ObserveBaselines(const Call& call);

  // Effects (effects_cluster.cc, effects_database.cc).
  Status Dispatch(const Call& call, Intent intent);
  Status PerformOnCluster(const Call& call, Intent intent);
  Status PerformOnSource(const Call& call, Intent intent);
  Status PerformOnTarget(const Call& call, Intent intent);
  Status RecordLedger(const Call& call);
  Status HoldPlacement(const Call& call);
  Status ForgetLedger(const Call& call);
  Status CreateBackupJob(const Call& call);
  Status CreateCopyJob(const Call& call);
  Result<CopySides> FindCopySides(const Call& call);
  Result<JobFacts> ObserveCopyJob(const Call& call, WallTime now);
  Status RaiseTargetEpoch(const Call& call, DatabaseSide& target);
  Status StartChecks(const Call& call);
  Status DeleteJobs(const Call& call);
  Status ApplyWiring(const Call& call);
  std::string OutdatingNow(const Call& call) const;
  Status OutdateRequests(const Call& call);
  Status PlaceOn(const Call& call, const std::string& server_name);
  Status PrepareTarget(const Call& call, const pg::Claim& claim, DatabaseSide& target);
  Status DropTarget(const Call& call, const pg::Claim& claim, DatabaseSide& target);
  Status FinalizeTarget(const Call& call, const pg::Claim& claim, pg::Connection& target);
  Status TakePasswordBack(const Call& call, const pg::Claim& claim, pg::Connection& source);
  Status PrepareAgain(const Call& call, const pg::Claim& claim, pg::Connection& target);

  // The stream of strategy Online (stream.cc).
  struct Inside {
    pg::Connection& source;
    pg::Connection& target;
  };
  Result<DatabaseSide*> SideOf(const Call& call, pg::Side side);
  static const std::string& ServerOf(const Call& call, pg::Side side);
  Result<pg::Connection*> InsideOf(const Call& call, pg::Side side);
  Result<Inside> BothSides(const Call& call);
  /// Nothing as well where there is no database.
  Result<std::optional<pg::Control>> ReadControlOf(const Call& call, pg::Side side);
  Status PerformOnStream(const Call& call, Intent intent);
  Status PerformOnOneSide(const Call& call, Intent intent);
  Status PublishSource(const Call& call);
  Status NoteDdl(const Call& call, const pg::Claim& claim, pg::Connection& source);
  /// What a subscriber logs in with to the publisher's side.
  struct StreamLogin {
    pg::PublisherAddress publisher;
    std::string password;
  };
  Result<StreamLogin> MakeStreamLogin(const Call& call, pg::Direction direction);
  Status Subscribe(const Call& call, pg::Direction direction);
  Status ReaddressWayBack(const Call& call);
  Status StartForwardStream(const Call& call);
  Status LayWayBack(const Call& call);
  Status RehearseWayBack(const Call& call);
  Result<pg::CollectedChanges> ReadStream(const Call& call);
  Status WatchStream(const Call& call);
  Status ReadStreamToItsEnd(const Call& call);
  Status LookForRogueWrites(const Call& call, pg::Connection& target);
  Status WriteMarker(const Call& call, pg::Direction direction);
  Status DrainReverse(const Call& call);
  Status AwaitMarker(const Call& call, pg::Direction direction);
  Status LookAtStructure(const Call& call, int64_t settles = 0);
  Status WatchReverseStream(const Call& call);
  Status LookAtRows(const Call& call, Intent intent);
  Status AwaitApplied(const Call& call, pg::Connection& source);
  Status RefreshViews(const Call& call);
  Result<Status> RefreshView(const Call& call, const std::string& name,
                             std::chrono::milliseconds bound);
  Status DropLateSlots(const Call& call, pg::Connection& inside, Error not_claimed);
  Status DropPublisher(const Call& call, pg::Direction direction);
  Result<std::string> ProveStreamed(const Call& call);
  Status ProveNoFailover(const Call& call, const Inside& inside);
  Result<std::vector<pg::SequencePosition>> ReadTargetsSequences(const Call& call);
  Result<bool> TakeSequencesBack(const Call& call,
                                 const std::vector<pg::SequencePosition>& sequences);
  Result<pg::ControlState> StateToHold(const Call& call);
  Result<bool> HoldShut(const Call& call, pg::Side where, pg::ControlState state);
  Status MoveSequencesPastRows(const Call& call);
  Status TakeBackFromTarget(const Call& call);
  Status ReopenTarget(const Call& call, const pg::Claim& claim, pg::Connection& target);

  // The poolers in front of the tenant (poolers.cc).
  struct Front {
    pg::Poolers poolers;
    std::vector<std::string> entries{};  ///< Every line of [databases] that leads to the tenant.
    bool all_told = false;  ///< Of every pooler: one that was silent may have lines of its own.
    std::optional<pg::PoolerLook> look{};  ///< That it was opened with, while it is fresh.
    // As of PoolerFacts:
    std::optional<WallTime> since{};
    std::optional<WallTime> tried_since{};
  };
  Result<Front*> OpenFront(const Call& call);
  Status FindEntries(const Call& call, const pg::PoolerLook& look, Front& front);
  Status EndTransactionsOnTarget(const Call& call);
  Status PausePoolers(const Call& call);
  Status ResumePoolers(const Call& call);
  Result<bool> StaysOnTarget(const Call& call);

  pg::Claim ClaimOn(const Call& call, pg::Side side) const;
  /// The profile's figures of the fenced source; null once they were dropped with our schema.
  Result<Json> ReadBaseline(const Call& call);
  /// What the proof under the fence has left out, in words; empty: nothing.
  Result<std::string> ReadNotCompared(const Call& call, pg::Connection& target);

  /// The side's connections, made at the first use.
  Result<DatabaseSide*> Source(const Call& call);
  Result<DatabaseSide*> Target(const Call& call);
  Result<std::unique_ptr<DatabaseSide>> OpenSide(const Call& call, const std::string& server_name);
  wiring::Access WiringAccess() const;

  const ClusterContext& context_;
  const bool vanished_;
  std::optional<Ledger> ledger_;  ///< Read once: ours alone, but for OutdateRequests() immutable.
  /// As they were first read in this round, which its connections rest on as well.
  std::map<std::string, api::DatabaseServer> servers_;
  /// Of the source, when its structure was last seen to be as copied.
  std::optional<pg::CatalogMark> as_copied_;
  std::optional<std::string> not_compared_;  ///< As the target's ledger has it.
  std::unique_ptr<DatabaseSide> source_;
  std::unique_ptr<DatabaseSide> target_;
  std::unique_ptr<Front> front_;
};

}  // namespace cutover::migration
