// SPDX-License-Identifier: Apache-2.0
//
// Several poolers, one of which does not answer: nobody is paused without it, and the clients of
// the others do not wait for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/status.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::At;
using testing::Database;
using ::testing::HasSubstr;
using testing::Noon;

api::TenantMigration Pooled(Phase phase) {
  api::TenantMigration migration = testing::MigrationIn(phase);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.spec.switch_mode = api::SwitchMode::kPooler;
  migration.status.cutover.attempts = 1;
  migration.status.cutover.fenced_at = Noon();
  return migration;
}

PoolerFacts OneIsSilent(bool paused, bool proven = false) {
  PoolerFacts poolers{.paused = paused, .resumed = !paused, .since = {}, .detail = ""};
  poolers.proven = proven;
  poolers.silent = Error{Disposition::kRetry, "PoolerUnreachable", "PgBouncer 10.0.0.10:6432"};
  return poolers;
}

Observation OpenTarget(int seconds, const PoolerFacts& poolers) {
  Observation seen = At(seconds);
  seen.ledger_recorded = true;
  seen.source = Database(ControlState::kJournaled, true);
  seen.target = Database(ControlState::kOpen, false);
  seen.wiring = WiringFacts{.at_target = true, .detail = ""};
  PlacementFacts placement;
  placement.exists = true;
  placement.server_name = "pg-target";
  seen.placement = placement;
  seen.poolers = poolers;
  seen.forward_subscriber = SubscriberFacts{};
  SubscriberFacts back;
  back.exists = true;
  seen.reverse_subscriber = back;
  return seen;
}

TEST(ASilentPooler, KeepsTheDoorsFromClosing) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kOpen, false);
  seen.poolers = OneIsSilent(/*paused=*/true);
  EXPECT_EQ(Decide(Pooled(Phase::kFencing), seen).plan.effect, Intent::kPausePoolers)
      << "which asks it, and lets the others go on when it stays silent";
}

TEST(ASilentPooler, BeforeAnybodyIsPausedStopsNobody) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kOpen, false);
  seen.poolers = OneIsSilent(/*paused=*/false);
  const Plan waits = Decide(Pooled(Phase::kFencing), seen).plan;
  EXPECT_EQ(waits.reason, "PoolerUnreachable") << waits.message;
  EXPECT_FALSE(waits.effect || waits.guard);
}

// A PAUSE that fails lets those who wait go on, and behind a fence they would meet errors.
TEST(ASilentPooler, BehindAFenceIsPausedNoMore) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kFenced, true);
  seen.forward_subscriber = SubscriberFacts{};
  seen.poolers = OneIsSilent(/*paused=*/true);
  EXPECT_EQ(Decide(Pooled(Phase::kFencing), seen).plan.effect, Intent::kDrainForward);
}

TEST(ASilentPooler, KeepsNoClientOfTheOthersOut) {
  for (Phase phase : {Phase::kOpening, Phase::kUndoing, Phase::kRollingBack}) {
    Observation seen = OpenTarget(1, OneIsSilent(/*paused=*/true));
    if (phase != Phase::kOpening) {
      seen.source =
          Database(phase == Phase::kUndoing ? ControlState::kOpen : ControlState::kReopened, false);
      seen.target = Database(ControlState::kFenced, true);
      seen.placement = PlacementFacts{};
      seen.wiring_restored = true;
    }
    EXPECT_EQ(Decide(Pooled(phase), seen).plan.effect, Intent::kResumePoolers) << Name(phase);
  }
}

// They write there by then, so the stream back is begun, and that is known.
TEST(ASilentPooler, IsNamedWhileTheOthersClientsCountAsIn) {
  api::TenantMigration migration = Pooled(Phase::kOpening);
  Observation seen = OpenTarget(2, OneIsSilent(/*paused=*/false, /*proven=*/true));
  Decision decision = Decide(migration, seen);
  EXPECT_EQ(decision.plan.effect, Intent::kStartReverseStream) << decision.plan.message;
  migration.status = Advance(migration, seen, decision);
  EXPECT_TRUE(migration.status.cutover.opened_at);

  seen.reverse_subscriber = SubscriberFacts{};
  seen.poolers = OneIsSilent(/*paused=*/false);  // Another process knows no proof.
  const Plan waits = Decide(migration, seen).plan;
  EXPECT_FALSE(waits.effect || waits.guard);
  EXPECT_EQ(waits.reason, "PoolerUnreachable");
  EXPECT_THAT(waits.message, HasSubstr("10.0.0.10"));
  EXPECT_GT(waits.wait.count(), 0);
}

TEST(ASilentPooler, IsWaitedForNoLongerThanTwoMinutes) {
  api::TenantMigration migration = Pooled(Phase::kOpening);
  migration.status.cutover.opened_at = Noon();
  Observation seen = OpenTarget(119, OneIsSilent(/*paused=*/false));
  seen.reverse_subscriber = SubscriberFacts{};
  EXPECT_FALSE(Decide(migration, seen).plan.guard);
  seen.now = At(121).now;
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kWorkloadsReady);
}

TEST(ASilentPooler, ThatAnswersAgainWhileUsersWorkIsResumed) {
  for (Phase phase : {Phase::kCatchingUp, Phase::kAwaitingCutover, Phase::kHypercare}) {
    Observation seen = At(20);
    seen.source = Database(ControlState::kJournaled, true);
    seen.forward_publisher = seen.reverse_publisher = PublisherFacts{};
    EXPECT_EQ(Decide(Pooled(phase), seen).plan.look_at, Subject::kPoolers) << Name(phase);
    seen.poolers = PoolerFacts{.paused = false, .resumed = false, .since = {}, .detail = ""};
    EXPECT_EQ(Decide(Pooled(phase), seen).plan.effect, Intent::kResumePoolers) << Name(phase);
    seen.poolers = At(20).poolers;
    seen.now = At(15).now;
    EXPECT_NE(Decide(Pooled(phase), seen).plan.look_at, Subject::kPoolers) << "not all the time";
    seen.now = At(3600).now;
    EXPECT_NE(Decide(Pooled(phase), seen).plan.look_at, Subject::kPoolers) << "nor for ever";
    api::TenantMigration untried = Pooled(phase);
    untried.status.cutover.attempts = 0;
    seen.now = At(20).now;
    EXPECT_NE(Decide(untried, seen).plan.look_at, Subject::kPoolers) << "nor what is not ours";
  }
}

// The stream to the target, or the one back, follows; nothing of the poolers is known.
Observation Following(int seconds) {
  Observation seen = OpenTarget(seconds, PoolerFacts{});
  seen.poolers = At(seconds).poolers;
  PublisherFacts publisher;
  publisher.traces = publisher.published = publisher.slot = true;
  seen.forward_publisher = seen.reverse_publisher = publisher;
  SubscriberFacts subscriber;
  subscriber.exists = subscriber.enabled = subscriber.working = true;
  subscriber.heartbeat_at_seconds = publisher.clock_seconds - 1;
  seen.forward_subscriber = seen.reverse_subscriber = subscriber;
  seen.schema_change = std::string();
  seen.structure = StructureFacts{};
  seen.reverse_sample = SampleFacts{.taken_at = seen.now, .words = "", .not_compared = ""};
  return seen;
}

// A suspension, or a token that waits for consent, may last for longer than clients wait.
TEST(ASilentPooler, ThatAnswersAgainIsResumedWhateverIsHeld) {
  struct Held {
    Phase phase;
    bool suspended;
    const char* reason;
  };
  for (const Held& held : {Held{Phase::kCatchingUp, true, "Suspended"},
                           Held{Phase::kAwaitingCutover, true, "Suspended"},
                           Held{Phase::kHypercare, true, "Suspended"},
                           Held{Phase::kHypercare, false, "RollbackNeedsConsent"},
                           Held{Phase::kSmoke, false, "RollbackNeedsConsent"}}) {
    SCOPED_TRACE(std::string(Name(held.phase)) + " " + held.reason);
    api::TenantMigration migration = Pooled(held.phase);
    migration.status.cutover.opened_at = Noon();
    migration.spec.suspend = held.suspended;
    Observation seen = Following(20);
    if (!held.suspended) {
      migration.meta.annotations[api::kRollbackAnnotation] = "back";
      seen.forward_subscriber = SubscriberFacts{};
      seen.structure = StructureFacts{.settled = 0, .changes = "table orders was altered"};
    }
    EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kPoolers);
    seen.poolers = PoolerFacts{.paused = false, .resumed = false, .since = {}, .detail = ""};
    const Decision decision = Decide(migration, seen);
    EXPECT_EQ(decision.plan.effect, Intent::kResumePoolers) << decision.plan.message;
    EXPECT_EQ(decision.plan.reason, held.reason) << "which is not over by that";
    EXPECT_EQ(decision.handled.rollback, "");
    seen.poolers = At(20).poolers;
    seen.now = At(15).now;
    EXPECT_EQ(Decide(migration, seen).plan.reason, held.reason) << "not looked for all the time";
  }
}

TEST(ASilentPooler, ThatAnswersAgainInSmokeIsResumed) {
  Observation seen = Following(20);
  EXPECT_EQ(Decide(Pooled(Phase::kSmoke), seen).plan.look_at, Subject::kPoolers);
  seen.poolers = PoolerFacts{.paused = false, .resumed = false, .since = {}, .detail = ""};
  EXPECT_EQ(Decide(Pooled(Phase::kSmoke), seen).plan.effect, Intent::kResumePoolers);
}

TEST(ASilentPooler, IsWaitedForBeforeTheDoorsClose) {
  api::TenantMigration migration = Pooled(Phase::kAwaitingCutover);
  migration.status.cutover.attempts = 0;
  migration.spec.approval = api::Approval::kAutomatic;
  Observation seen = Following(1);
  seen.source = Database(ControlState::kOpen, false);
  seen.target = At(1).target;
  seen.placement = PlacementFacts{};
  seen.tenant_known = seen.way_back_rehearsed = true;
  PoolerFacts poolers = OneIsSilent(/*paused=*/false);
  seen.poolers = poolers;
  const Plan waits = Decide(migration, seen).plan;
  EXPECT_FALSE(waits.guard);
  EXPECT_EQ(waits.reason, "PoolerUnreachable") << waits.message;
  poolers.silent.reset();
  seen.poolers = poolers;
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kDoorsMayClose);
}

}  // namespace
}  // namespace cutover::migration
