// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/status.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::At;
using testing::Database;
using testing::MigrationIn;

TEST(RollingBack, FencesATargetThatSomebodyMightStillOpenBeforeTheSourceReopens) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kJournaled, true);
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{true, true};
  seen.routes = RouteFacts{true, false, ""};
  seen.workloads = WorkloadFacts();
  for (ControlState state : {ControlState::kVerified, ControlState::kOpen}) {
    seen.target = Database(state, true);
    EXPECT_EQ(Decide(MigrationIn(Phase::kRollingBack), seen).plan.effect, Intent::kFenceTarget)
        << Name(state);
  }
  seen.target = Database(ControlState::kFenced, true);
  EXPECT_EQ(Decide(MigrationIn(Phase::kRollingBack), seen).plan.effect, Intent::kReopenSource);
}

// It might be open to users, as far as anybody knows.
TEST(RollingBack, ATargetThatIsGoneForGoodIsWaitedForAndAPersonToldWhatToDo) {
  api::TenantMigration migration = MigrationIn(Phase::kRollingBack);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.status.cutover.opened_at = testing::Noon();
  migration.status.rollback.token = "back";
  Observation seen = At(1);
  seen.source = Database(ControlState::kJournaled, true);
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{true, true};
  seen.routes = RouteFacts{true, false, ""};
  seen.workloads = WorkloadFacts();
  const Error away{Disposition::kRetry, "ConnectionFailed", "no route to host"};
  seen.target = away;
  seen.structure = away;
  seen.reverse_publisher = away;
  seen.reverse_subscriber = SubscriberFacts{};
  for (const bool accepted : {false, true}) {
    if (accepted) migration.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
    const Plan plan = Decide(migration, seen).plan;
    EXPECT_FALSE(plan.effect || plan.guard || plan.look_at);
    EXPECT_EQ(plan.reason, "ConnectionFailed");
    EXPECT_NE(plan.message.find("delete DatabaseServer pg-target and create it anew"),
              std::string::npos)
        << plan.message;
    EXPECT_EQ(plan.message.find("accept-data-loss") == std::string::npos, accepted) << plan.message;
  }
  seen.target = DatabaseFacts{};  // An empty server answers.
  seen.reverse_publisher = PublisherFacts{};
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kReopenSource);
}

TEST(RollingBack, IsOverThoughADeposedLeadersClaimCameLate) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kOpen, false);
  seen.target = Database(ControlState::kFenced, true);
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{false, false};
  seen.backup_job = seen.copy_job = seen.check_jobs = JobFacts();
  seen.routes = RouteFacts{false, true, ""};
  seen.workloads = WorkloadFacts();
  seen.wiring_restored = true;
  seen.placement = PlacementFacts{};
  EXPECT_EQ(Decide(MigrationIn(Phase::kRollingBack), seen).plan.effect, Intent::kCleanSource);
}

// A failover of the source's server has lost the fence as well.
TEST(RollingBack, IsNotOverWhileTheTargetIsOpenBesideASourceThatIs) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kOpen, false);
  seen.target = Database(ControlState::kOpen, false);
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{true, true};
  seen.routes = RouteFacts{true, false, ""};
  seen.workloads = WorkloadFacts();
  seen.wiring_restored = false;
  EXPECT_EQ(Decide(MigrationIn(Phase::kRollingBack), seen).plan.effect, Intent::kCloseSourceAgain);
  api::TenantMigration refused = MigrationIn(Phase::kRollingBack);
  refused.status.message = "CloseSourceAgain: it is locked";
  EXPECT_EQ(Decide(refused, seen).plan.effect, Intent::kFenceTarget) << "which waits for nothing";
  seen.source = Database(ControlState::kFenced, true);
  EXPECT_EQ(Decide(MigrationIn(Phase::kRollingBack), seen).plan.effect, Intent::kFenceTarget);
  seen.source = Database(ControlState::kOpen, false);
  seen.target = Database(ControlState::kFenced, true);
  EXPECT_EQ(Decide(MigrationIn(Phase::kRollingBack), seen).plan.effect, Intent::kRestoreWiring);
}

TEST(RollingBack, SaysInTheEndWhatItHasLeftRunning) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kNone, false);
  seen.target = Database(ControlState::kFenced, true);
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{false, false};
  seen.backup_job = seen.copy_job = seen.check_jobs = JobFacts();
  seen.routes = RouteFacts{false, true, ""};
  seen.wiring_restored = true;
  seen.requests_outdated = true;
  api::TenantMigration migration = MigrationIn(Phase::kRollingBack);
  migration.status.failure_reason = "RollbackRequested";
  migration.status.failure_message = "asked for";
  for (const char* left : {"", "StatefulSet odoo"}) {
    WorkloadFacts workloads;
    workloads.left_running = left;
    seen.workloads = workloads;
    const Decision decision = Decide(migration, seen);
    ASSERT_EQ(decision.plan.guard, Guard::kRolledBack) << decision.plan.message;
    const std::string words =
        Advance(migration, seen, decision).conditions.Find("RolledBack")->message;
    const std::string expected =
        *left ? "asked for; StatefulSet odoo was left running, since Kubernetes" : "asked for";
    EXPECT_EQ(words.substr(0, *left ? expected.size() : words.size()), expected);
  }
}

// --- whom the source would not let in ------------------------------------------------------------

TEST(RollingBack, StopsNoUsersWhomTheSourceWouldRefuse) {
  for (auto strategy : {api::Strategy::kOffline, api::Strategy::kOnline}) {
    api::TenantMigration migration = MigrationIn(Phase::kRollingBack);
    migration.spec.strategy = strategy;
    migration.status.cutover.opened_at = testing::Noon();
    migration.status.rollback.token = "t";
    migration.meta.annotations[api::kAcceptDataLossAnnotation] = "t";
    Observation seen = At(1);
    seen.source = Database(ControlState::kJournaled, true);
    seen.target = Database(ControlState::kOpen, false);
    seen.ledger_recorded = true;
    seen.maintenance_page = MaintenancePageFacts{true, true};
    seen.routes = RouteFacts{false, true, ""};
    seen.workloads = WorkloadFacts();
    seen.reverse_publisher = PublisherFacts{};
    EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kTenantLoginBack);
    seen.tenant_known_back = false;
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kTakePasswordBack);

    seen.tenant_known_back =
        Error{Disposition::kRetry, "TenantLoginRefused", "no pg_hba.conf entry"};
    const Plan held = Decide(migration, seen).plan;
    EXPECT_EQ(held.reason, "TenantLoginRefused");
    EXPECT_GT(held.wait.count(), 0);
    EXPECT_FALSE(held.guard);
    EXPECT_EQ(held.effect, strategy == api::Strategy::kOnline
                               ? std::optional(Intent::kWatchReverseStream)
                               : std::nullopt)
        << "the way back stays open meanwhile";

    seen.tenant_known_back = Error{Disposition::kRetry, "SecretNotFound", "no Secret db"};
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kFlipRoutes) << "a loss is accepted";
    seen.tenant_known_back = true;
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kFlipRoutes);
    // Behind closed doors his time is not taken for it.
    seen.tenant_known_back = At(1).tenant_known_back;
    seen.routes = RouteFacts{true, false, ""};
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kFenceTarget);
  }
}

// Users work on in a namespace that lives: deleted or not, the move closes no door on them before
// it is known that they find a way in on the other side.
TEST(RollingBack, WaitsWithItsDoorsOpenForTheTenantsSecretThoughItIsDeleted) {
  api::TenantMigration migration = MigrationIn(Phase::kRollingBack);
  Observation seen = At(1);
  seen.source = Database(ControlState::kJournaled, true);
  seen.target = Database(ControlState::kOpen, false);
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{};
  seen.routes = RouteFacts{};
  seen.workloads = WorkloadFacts();
  seen.tenant_known_back = Error{Disposition::kRetry, "PasswordSecretNotFound", "create it"};
  for (const bool deleted : {false, true}) {
    if (deleted) migration.meta.deletion_timestamp = testing::Noon();
    const Plan held = Decide(migration, seen).plan;
    EXPECT_EQ(held.reason, "PasswordSecretNotFound") << deleted;
    EXPECT_FALSE(held.effect || held.guard) << deleted;
  }
  seen.tenant_known_back = true;  // Or goes with its namespace, like the Secret.
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kFenceTarget);
}

// --- without the ledger, and over a move that was over -------------------------------------------

void ExpectHeld(const api::TenantMigration& migration, const Observation& seen,
                const std::string& reason) {
  const Plan plan = Decide(migration, seen).plan;
  EXPECT_FALSE(plan.effect) << plan.message;
  EXPECT_FALSE(plan.guard) << plan.message;
  EXPECT_FALSE(plan.look_at);
  EXPECT_EQ(plan.reason, reason) << plan.message;
  EXPECT_TRUE(plan.trouble);
  EXPECT_GT(plan.wait.count(), 0);
}

// Users are in on the target, or out, and nothing of ours is left but rows and doors.
Observation WithoutLedger(DatabaseFacts source, DatabaseFacts target) {
  Observation seen = At(1);
  seen.source = std::move(source);
  seen.target = std::move(target);
  seen.ledger_recorded = false;
  seen.ledger_secret = "Secret cutover-ledger-1 in namespace here";
  seen.maintenance_page = MaintenancePageFacts{false, false};
  seen.backup_job = seen.copy_job = seen.check_jobs = JobFacts();
  seen.forward_publisher = seen.reverse_publisher = PublisherFacts{};
  seen.forward_subscriber = seen.reverse_subscriber = SubscriberFacts{};
  return seen;
}

TEST(RollingBack, ClosesNothingWithoutTheLedger) {
  for (auto strategy : {api::Strategy::kOffline, api::Strategy::kOnline})
    for (auto switched : {api::SwitchMode::kRestart, api::SwitchMode::kPooler}) {
      api::TenantMigration migration = MigrationIn(Phase::kRollingBack);
      migration.spec.strategy = strategy;
      migration.spec.switch_mode = switched;
      Observation seen = WithoutLedger(Database(ControlState::kJournaled, true),
                                       Database(ControlState::kOpen, false));
      ExpectHeld(migration, seen, "LedgerMissing");
      EXPECT_NE(Decide(migration, seen).plan.message.find(seen.ledger_secret), std::string::npos);
      // Gone only when the source was open again: routes and workloads are still to be restored.
      seen.source = Database(ControlState::kReopened, false);
      seen.target = Database(ControlState::kFenced, true);
      ExpectHeld(migration, seen, "LedgerMissing");
    }
}

TEST(RollingBack, IsOverWithoutTheLedgerOnceOurRowIsGoneFromTheSource) {
  const Observation seen =
      WithoutLedger(Database(ControlState::kNone, false), Database(ControlState::kFenced, true));
  EXPECT_EQ(Decide(MigrationIn(Phase::kRollingBack), seen).plan.guard, Guard::kRolledBack);
}

TEST(Undoing, WithoutALedgerOverOurFenceHolds) {
  for (ControlState state :
       {ControlState::kOpen, ControlState::kFenced, ControlState::kJournaled}) {
    api::TenantMigration migration = MigrationIn(Phase::kUndoing);
    migration.status.cutover.attempts = 1;
    ExpectHeld(migration, WithoutLedger(Database(state, true), DatabaseFacts{}), "LedgerMissing");
  }
}

TEST(Undoing, WithoutALedgerIsOverOnceNoRowOfOursIsLeft) {
  api::TenantMigration migration = MigrationIn(Phase::kUndoing);
  Observation seen =
      WithoutLedger(Database(ControlState::kNone, false), Database(ControlState::kPreparing, true));
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kUndoneAfterFailure);
  migration.spec.strategy = api::Strategy::kOnline;
  ExpectHeld(migration, seen, "LedgerMissing");
  seen.target = DatabaseFacts{};
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kUndoneAfterFailure);
  seen.source = Database(ControlState::kFenced, true);
  DatabaseFacts others = *seen.source;
  others.foreign = true;
  seen.source = others;
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kUndoneAfterFailure);
}

// Whoever prepared it commits it, or somebody does for him; the copy follows on meanwhile.
TEST(Undoing, ACutoverThatMetAPreparedTransactionCostsOnlineNothingButItself) {
  api::TenantMigration migration = MigrationIn(Phase::kUndoing);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.status.failure_reason = "PreparedTransactions";
  migration.status.cutover.fenced_at = testing::Noon();
  migration.status.cutover.attempts = 1;
  Observation seen = testing::At(1);
  seen.ledger_recorded = true;
  seen.requests_outdated = true;
  seen.source = Database(ControlState::kOpen, false);
  seen.workloads = WorkloadFacts();
  seen.routes = RouteFacts{.at_maintenance = false, .as_recorded = true, .detail = ""};
  PublisherFacts source;
  source.slot = true;
  seen.forward_publisher = source;
  Decision decision = Decide(migration, seen);
  EXPECT_EQ(decision.plan.guard, Guard::kCutoverUndone) << decision.plan.message;
  migration.status.failure_reason = "TargetDiverged";
  EXPECT_FALSE(Decide(migration, seen).plan.guard);
}

// Neither a server nor the placement need be there for one that has touched nothing.
TEST(Undoing, BeforePreparingOrWithoutAPlacementAsksNoDatabase) {
  api::TenantMigration migration = MigrationIn(Phase::kUndoing);
  migration.status.stages.clear();
  Observation seen = WithoutLedger({}, {});
  seen.source = seen.target = Error{Disposition::kRetry, "ConnectionFailed", "no route to host"};
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kUndoneAfterFailure);
  migration = MigrationIn(Phase::kUndoing);
  EXPECT_FALSE(Decide(migration, seen).plan.guard) << "what cannot be read is not absent";
  seen.source = Error{Disposition::kRetry, "PlacementNotFound", "create it"};
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kUndoneAfterFailure);
}

TEST(Completing, WithoutALedgerBesideARowOfOursHolds) {
  const api::TenantMigration migration = MigrationIn(Phase::kCompleting);
  const DatabaseFacts retired = Database(ControlState::kRetired, true);
  const DatabaseFacts journaled = Database(ControlState::kJournaled, true);
  ExpectHeld(migration, WithoutLedger(retired, Database(ControlState::kOpen, false)),
             "LedgerMissing");
  ExpectHeld(migration, WithoutLedger(journaled, DatabaseFacts{}), "LedgerMissing");
  const Observation done = WithoutLedger(retired, Database(ControlState::kNone, false));
  EXPECT_EQ(Decide(migration, done).plan.guard, Guard::kCleanedUp);
}

// An etcd that was restored is older than the databases.
TEST(Undoing, OfARetiredSourceIsNoUndo) {
  for (ControlState state : {ControlState::kRetired, ControlState::kDropping})
    for (bool ledger : {true, false}) {
      api::TenantMigration migration = MigrationIn(Phase::kUndoing);
      migration.status.failure_reason = "SlotLost";
      Observation seen = WithoutLedger(Database(state, true), Database(ControlState::kNone, false));
      seen.ledger_recorded = ledger;
      ExpectHeld(migration, seen, "MoveWasOver");
    }
}

TEST(RollingBack, ToARetiredSourceClosesNothing) {
  for (bool ledger : {true, false}) {
    Observation seen =
        WithoutLedger(Database(ControlState::kRetired, true), Database(ControlState::kNone, false));
    seen.ledger_recorded = ledger;
    ExpectHeld(MigrationIn(Phase::kRollingBack), seen, "MoveWasOver");
  }
}

TEST(Opening, OfAMoveThatWasOverGoesNeitherBackNorOn) {
  Observation seen =
      WithoutLedger(Database(ControlState::kRetired, true), Database(ControlState::kNone, false));
  seen.ledger_recorded = true;
  seen.routes = RouteFacts{true, false, ""};
  ExpectHeld(MigrationIn(Phase::kOpening), seen, "MoveWasOver");
  seen.source = Database(ControlState::kJournaled, true);
  EXPECT_EQ(Decide(MigrationIn(Phase::kOpening), seen).plan.reason, "TargetChanged");
}

/// A rollback by consent whose source somebody has dropped.
class WithoutSource : public ::testing::TestWithParam<api::Strategy> {
 protected:
  WithoutSource() : migration_(MigrationIn(Phase::kRollingBack)) {
    migration_.spec.strategy = GetParam();
    migration_.status.cutover.attempts = 1;
    migration_.status.cutover.opened_at = testing::Noon();
    migration_.status.failure_reason = "RollbackRequested";
    migration_.status.handled.rollback = migration_.status.rollback.token = "back";
    migration_.meta.annotations[api::kRollbackAnnotation] = "back";
    migration_.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
    seen_.source = DatabaseFacts{};
    seen_.target = Database(ControlState::kOpen, false);
    seen_.reverse_publisher = PublisherFacts{};
    seen_.ledger_recorded = true;
    seen_.wiring = WiringFacts{.at_target = true, .detail = ""};
    seen_.wiring_restored = false;
    PlacementFacts placement;
    placement.exists = true;
    placement.server_name = "pg-target";
    seen_.placement = placement;
    seen_.routes = RouteFacts{.at_maintenance = false, .as_recorded = true, .detail = ""};
    seen_.workloads = WorkloadFacts{};
    seen_.requests_outdated = true;
    seen_.maintenance_page = MaintenancePageFacts{};
  }

  Plan Next() const { return Decide(migration_, seen_).plan; }

  api::TenantMigration migration_;
  Observation seen_ = At(1);
};
INSTANTIATE_TEST_SUITE_P(Rollback, WithoutSource,
                         ::testing::Values(api::Strategy::kOffline, api::Strategy::kOnline));

TEST_P(WithoutSource, UsersStayOnATargetThatIsOpen) {
  const Plan refused = Next();
  EXPECT_EQ(refused.guard, Guard::kRollbackRefused);
  EXPECT_EQ(refused.reason, "SourceGone");
}

TEST_P(WithoutSource, ATargetThatIsFencedAlreadyIsOpenedAgain) {
  seen_.target = Database(ControlState::kFenced, true);
  EXPECT_EQ(Next().effect, Intent::kReopenTarget);
}

TEST_P(WithoutSource, ATargetThatWasNeverOpenedIsOpenedAndLedTo) {
  migration_.status.cutover.opened_at.reset();
  seen_.wiring = WiringFacts{.at_target = false, .detail = ""};
  seen_.target = Database(ControlState::kVerified, true);
  EXPECT_EQ(Next().effect, Intent::kOpenTarget);
  seen_.target = Database(ControlState::kOpen, false);
  EXPECT_EQ(Next().effect, Intent::kApplyWiring);
  seen_.wiring = WiringFacts{.at_target = true, .detail = ""};
  PlacementFacts placement = *seen_.placement;
  placement.server_name = "pg-source";
  seen_.placement = placement;
  EXPECT_EQ(Next().effect, Intent::kPlaceOnTarget);
}

// Users were on the source again before it went.
TEST_P(WithoutSource, AFencedTargetThatUsersWereLedAwayFromWaitsForAPerson) {
  seen_.target = Database(ControlState::kFenced, true);
  seen_.wiring = WiringFacts{.at_target = false, .detail = ""};
  const Plan held = Next();
  EXPECT_FALSE(held.effect);
  EXPECT_FALSE(held.guard);
  EXPECT_EQ(held.reason, "SourceGone");
}

TEST_P(WithoutSource, NobodyIsLedBackToADatabaseThatIsNotThere) {
  for (ControlState state : {ControlState::kNone, ControlState::kVerified, ControlState::kOpen,
                             ControlState::kFenced, ControlState::kDropping})
    for (bool at_target : {true, false})
      for (bool exists : {true, false}) {
        seen_.target = exists ? Database(state, state != ControlState::kOpen) : DatabaseFacts{};
        seen_.wiring = WiringFacts{.at_target = at_target, .detail = ""};
        const Plan plan = Next();
        EXPECT_NE(plan.effect, Intent::kRestoreWiring) << Name(state);
        EXPECT_NE(plan.effect, Intent::kPlaceOnSource) << Name(state);
        EXPECT_NE(plan.effect, Intent::kReopenSource) << Name(state);
        EXPECT_NE(plan.guard, Guard::kRolledBack) << Name(state);
      }
}

// Restored from a backup, for one: it knows nothing of what the target has.
TEST_P(WithoutSource, AnotherDatabaseInItsPlaceIsNotGoneBackToWhileTheTargetIsOpen) {
  seen_.source = Database(ControlState::kNone, false);
  EXPECT_EQ(Next().guard, Guard::kRollbackRefused);
}

TEST_P(WithoutSource, ARollbackIsRefusedInHypercareWhateverIsAccepted) {
  migration_.status.phase = Phase::kHypercare;
  migration_.status.handled.rollback.clear();
  seen_.structure = StructureFacts{};
  seen_.reverse_sample = SampleFacts{};
  seen_.reverse_publisher = PublisherFacts{};
  seen_.reverse_subscriber = SubscriberFacts{};
  const Decision held = Decide(migration_, seen_);
  EXPECT_FALSE(held.plan.guard);
  EXPECT_EQ(held.plan.reason, "SourceGone");
  EXPECT_EQ(held.handled.rollback, "");
}

// Users are in again, and nothing of ours is left but the ledger.
Observation AllButTheLedgerGone() {
  Observation seen = At(1);
  seen.source = Database(ControlState::kNone, false);
  seen.target = DatabaseFacts{};
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{false, false};
  seen.backup_job = seen.copy_job = seen.check_jobs = JobFacts();
  seen.routes = RouteFacts{false, true, ""};
  seen.workloads = WorkloadFacts();
  seen.poolers = PoolerFacts{.paused = false, .resumed = true, .since = {}, .detail = ""};
  seen.wiring_restored = true;
  return seen;
}

TEST(Undone, IsNotOverWhileARequestOfAFormerLeaderMayComeLate) {
  for (Phase phase : {Phase::kUndoing, Phase::kRollingBack}) {
    api::TenantMigration migration = MigrationIn(phase);
    migration.status.cutover.attempts = 1;
    Observation seen = AllButTheLedgerGone();
    seen.requests_outdated = false;
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kOutdateRequests) << Name(phase);
    seen.requests_outdated = true;
    EXPECT_NE(Decide(migration, seen).plan.effect, Intent::kOutdateRequests) << Name(phase);
  }
}

// Slots keep a server's log, and a copy its disk: neither waits for an object that cannot be
// changed.
TEST(Undone, NothingElseWaitsForThat) {
  api::TenantMigration migration = MigrationIn(Phase::kUndoing);
  migration.status.cutover.attempts = 1;
  Observation seen = AllButTheLedgerGone();
  seen.requests_outdated = false;
  seen.target = Database(ControlState::kCopied, true);
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropTarget);
}

// The sweeper takes a vanished migration without a control row for one that was undone.
TEST(Undone, IsSoBeforeTheControlRowGoes) {
  for (Phase phase : {Phase::kUndoing, Phase::kRollingBack}) {
    api::TenantMigration migration = MigrationIn(phase);
    migration.status.cutover.attempts = 1;
    Observation seen = AllButTheLedgerGone();
    const bool back = phase == Phase::kRollingBack;
    seen.source = Database(back ? ControlState::kReopened : ControlState::kOpen, false);
    seen.requests_outdated = false;
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kOutdateRequests) << Name(phase);
    seen.requests_outdated = true;
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kCleanSource) << Name(phase);
  }
}

TEST(Undone, TheRestOfACopyWhoseDropWasCutShortIsDropped) {
  Observation seen = AllButTheLedgerGone();
  seen.target = Error{Disposition::kRetry, "HalfDropped", "cut short"};
  EXPECT_EQ(Decide(MigrationIn(Phase::kUndoing), seen).plan.effect, Intent::kDropTarget);
}

TEST(Undone, WritesNothingToObjectsWhoseDoorsWereNeverTried) {
  Observation seen = AllButTheLedgerGone();
  EXPECT_EQ(Decide(MigrationIn(Phase::kUndoing), seen).plan.effect, Intent::kDeleteLedger);
  seen.workloads = WorkloadFacts{.as_recorded = false, .detail = ""};
  EXPECT_EQ(Decide(MigrationIn(Phase::kUndoing), seen).plan.effect, Intent::kDeleteLedger)
      << "somebody else has stopped them";
  api::TenantMigration tried = MigrationIn(Phase::kUndoing);
  tried.status.cutover.attempts = 1;
  EXPECT_EQ(Decide(tried, seen).plan.effect, Intent::kStartWorkloads);
  api::TenantMigration by_pooler = MigrationIn(Phase::kUndoing);
  by_pooler.spec.switch_mode = api::SwitchMode::kPooler;
  by_pooler.status.cutover.attempts = 1;
  EXPECT_EQ(Decide(by_pooler, seen).plan.effect, Intent::kDeleteLedger);
}

}  // namespace
}  // namespace cutover::migration
