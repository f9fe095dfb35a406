// SPDX-License-Identifier: Apache-2.0
//
// What `status` advises, held against the operator's own decisions: whatever waits for a person in
// whatever phase, each command that is offered then is one that the operator takes.
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli/view/assessment.h"
#include "cli/view/command.h"
#include "operator/api/waits_for_person.h"
#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/status.h"
#include "tests/unit/cli/scenes.h"
#include "tests/unit/migration/builders.h"

namespace cutover::cli {
namespace {

using api::Phase;
using migration::ControlState;
using migration::Guard;
using migration::Observation;
using migration::Plan;
using migration::testing::Database;
using migration::testing::Noon;
using std::chrono::seconds;

/// A wait for a person, as the operator comes to it.
struct Wait {
  std::string name;
  std::string reason;
  api::TenantMigration migration;
  Observation seen;
  /// What the operator plans where the facts behind it are not played here.
  std::optional<Plan> plan{};
};

api::TenantMigration In(Phase phase, bool online = false) {
  api::TenantMigration migration = migration::testing::MigrationIn(phase);
  migration.meta.creation_timestamp = Noon();
  migration.spec.hypercare_seconds = 3600;
  if (online) migration.spec.strategy = api::Strategy::kOnline;
  return migration;
}

/// Everything that a decision after the journal looks at; the streams follow in both directions.
Observation See(int second) {
  Observation seen = migration::testing::At(second);
  seen.source = Database(ControlState::kJournaled, true);
  seen.target = Database(ControlState::kOpen, false);
  seen.ledger_recorded = true;
  seen.wiring = migration::WiringFacts{.at_target = true, .detail = ""};
  seen.routes = migration::RouteFacts{.at_maintenance = false, .as_recorded = true, .detail = ""};
  seen.workloads = migration::WorkloadFacts{};
  seen.poolers = migration::PoolerFacts{
      .paused = false, .resumed = true, .since = {}, .proven = true, .detail = ""};
  migration::PublisherFacts publisher;
  publisher.traces = publisher.published = publisher.slot = true;
  migration::SubscriberFacts subscriber;
  subscriber.exists = subscriber.enabled = subscriber.working = true;
  subscriber.heartbeat_at_seconds = publisher.clock_seconds - 1;
  seen.reverse_publisher = publisher;
  seen.reverse_subscriber = subscriber;
  seen.forward_publisher = migration::PublisherFacts();
  seen.forward_subscriber = migration::SubscriberFacts();
  seen.reverse_sample =
      migration::SampleFacts{.taken_at = seen.now, .words = "", .not_compared = ""};
  seen.structure = migration::StructureFacts{.settled = 0, .changes = ""};
  seen.views = migration::ViewFacts();
  seen.checks = std::vector<migration::CheckOutcome>();
  seen.schema_change = std::string();
  seen.way_back_rehearsed = true;
  seen.tenant_known = true;
  seen.maintenance_page = migration::MaintenancePageFacts{.exists = true, .ready = true};
  return seen;
}

Plan Holding(const char* reason) {
  Plan plan = Plan::Wait(seconds(5), "holding for a person", reason);
  plan.trouble = true;
  return plan;
}

void AskToGoBack(api::TenantMigration& migration) {
  migration.meta.annotations[api::kRollbackAnnotation] = "back";
}

void LoseStreamBack(Observation& seen) {
  migration::PublisherFacts gone = *seen.reverse_publisher;
  gone.slot = false;
  seen.reverse_publisher = gone;
}

void FailCheck(Observation& seen) {
  migration::CheckOutcome check;
  check.name = "login-page";
  check.message = "answered 502";
  check.failure_threshold = 1;
  seen.checks = std::vector{check};
}

void AddBeforeJournal(std::vector<Wait>& all) {
  Wait missing{"no placement", "PlacementNotFound", In(Phase::kPending), See(1)};
  missing.seen.placement = migration::PlacementFacts{};
  all.push_back(missing);
  Wait unfit{"preflight", "PreflightFailed", In(Phase::kPreflight), See(1)};
  migration::PlacementFacts placement;
  placement.exists = true;
  placement.server_name = "pg-source";
  unfit.seen.placement = placement;
  unfit.seen.preflight = std::vector{
      migration::Finding{migration::Severity::kBlocking, "ServerFull", "pg-target is full"}};
  all.push_back(unfit);
  for (Phase phase : {Phase::kPreparing, Phase::kAwaitingCutover}) {
    Wait held{"suspended before the journal", "Suspended", In(phase), See(1)};
    held.migration.spec.suspend = true;
    all.push_back(held);
  }
  for (int early : {0, 1}) {
    Wait approval{"approval", "AwaitingApproval", In(Phase::kAwaitingCutover), See(1)};
    approval.migration.spec.approval = api::Approval::kManual;
    if (early) approval.migration.spec.window_start = Noon() + seconds(3600);
    if (early) approval.migration.spec.window_end = Noon() + seconds(7200);
    all.push_back(approval);
  }
  all.push_back({"pod", "PodCannotStart", In(Phase::kCopying), See(1), Holding("PodCannotStart")});
  for (const char* reason : {"SchemaChanged", "ApplyFails"})
    for (Phase phase : {Phase::kCatchingUp, Phase::kAwaitingCutover})
      all.push_back({"stream", reason, In(phase, true), See(1), Holding(reason)});
  for (Phase phase : {Phase::kFencing, Phase::kUndoing})
    all.push_back({"an epoch behind", "EpochBehind", In(phase), See(1), Holding("EpochBehind")});
  for (const char* reason : {"LedgerMissing", "MoveWasOver"})
    all.push_back({"no undo", reason, In(Phase::kUndoing), See(1), Holding(reason)});
  all.push_back({"undoing", "SourceGone", In(Phase::kUndoing), See(1),
                 Plan::Wait(seconds(30), "gone", "SourceGone")});
}

// Somebody else, as a GitOps sync, has put the routes back before users were to come in.
void AddBeforeUsersAreIn(std::vector<Wait>& all) {
  for (Phase phase : {Phase::kOpening, Phase::kSmoke})
    for (bool online : {false, true}) {
      Wait asked{"routes led back", "RollbackNeedsConsent", In(phase, online), See(1)};
      AskToGoBack(asked.migration);
      LoseStreamBack(asked.seen);
      all.push_back(asked);
    }
  Wait failed{"smoke failed", "RollbackNeedsConsent", In(Phase::kSmoke), See(900)};
  FailCheck(failed.seen);
  all.push_back(failed);
  Wait pooler{"smoke failed behind a pooler", "RollbackNeedsConsent", In(Phase::kSmoke, true),
              See(900)};
  pooler.migration.spec.switch_mode = api::SwitchMode::kPooler;
  pooler.migration.status.cutover.opened_at = Noon();
  FailCheck(pooler.seen);
  LoseStreamBack(pooler.seen);
  all.push_back(pooler);
}

void AddHypercare(std::vector<Wait>& all) {
  const auto add = [&](const char* name, const char* reason, bool online, auto change) {
    Wait wait{name, reason, In(Phase::kHypercare, online), See(1)};
    wait.migration.status.conditions.Set(
        {"RollbackReady", api::ConditionStatus::kFalse, "NoReverseStream", "nothing back", 3, {}},
        Noon());
    change(wait);
    all.push_back(wait);
  };
  for (bool online : {false, true}) {
    add("suspended", "Suspended", online, [](Wait& wait) { wait.migration.spec.suspend = true; });
    add("check failed", "HypercareCheckFailed", online, [](Wait& wait) { FailCheck(wait.seen); });
    for (bool consents : {false, true})
      add("source gone", "SourceGone", online, [consents](Wait& wait) {
        AskToGoBack(wait.migration);
        if (consents) wait.migration.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
        wait.seen.source = migration::DatabaseFacts{};
      });
  }
  for (bool online : {false, true})
    add("target gone", "TargetGone", online,
        [](Wait& wait) { wait.seen.target = migration::DatabaseFacts{}; });
  add("rollback", "RollbackNeedsConsent", false, [](Wait& wait) { AskToGoBack(wait.migration); });
  add("stream lost", "RollbackNeedsConsent", true, [](Wait& wait) {
    AskToGoBack(wait.migration);
    LoseStreamBack(wait.seen);
  });
  add("structure", "RollbackNeedsConsent", true, [](Wait& wait) {
    AskToGoBack(wait.migration);
    wait.seen.structure = migration::StructureFacts{.settled = 0, .changes = "table orders"};
  });
  add("smoke failed, no way back", "SmokeFailedNoWayBack", true, [](Wait& wait) {
    wait.migration.status.rollback.reason = "SmokeFailed";
    LoseStreamBack(wait.seen);
  });
  add("lag", "AwaitingWayBack", true, [](Wait& wait) {
    AskToGoBack(wait.migration);
    migration::PublisherFacts far = *wait.seen.reverse_publisher;
    far.lag_bytes = int64_t{1} << 40;
    wait.seen.reverse_publisher = far;
  });
  add("source away", "AwaitingWayBack", true, [](Wait& wait) {
    AskToGoBack(wait.migration);
    wait.seen.reverse_subscriber = Error{Disposition::kRetry, "ConnectionFailed", "no route"};
  });
}

/// One transaction is prepared in it, or a superuser owns it.
void RefuseFence(migration::Fact<migration::DatabaseFacts>& side, std::string_view reason) {
  migration::DatabaseFacts facts = *side;
  facts.prepared_transactions = reason == "PreparedTransactions" ? 1 : 0;
  facts.prepared = "order-42";
  facts.superuser_owner = reason == "SuperuserOwner";
  side = facts;
}

// Wherever a database is about to be fenced that no fence would stop.
void AddFences(std::vector<Wait>& all, const char* reason) {
  for (bool online : {false, true}) {
    Wait before{"doors stay open", reason, In(Phase::kAwaitingCutover, online), See(1)};
    before.migration.spec.approval = api::Approval::kAutomatic;
    before.seen.forward_publisher = before.seen.reverse_publisher;
    before.seen.forward_subscriber = before.seen.reverse_subscriber;
    before.seen.source = Database(ControlState::kOpen, false);
    RefuseFence(before.seen.source, reason);
    all.push_back(before);
    Wait back{"going back waits", reason, In(Phase::kHypercare, online), See(1)};
    AskToGoBack(back.migration);
    back.migration.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
    RefuseFence(back.seen.target, reason);
    all.push_back(back);
  }
  Wait plain{"going back without loss waits", reason, In(Phase::kHypercare, true), See(1)};
  AskToGoBack(plain.migration);
  RefuseFence(plain.seen.target, reason);
  all.push_back(plain);
  Wait open{"the source is open again", reason, In(Phase::kHypercare, true), See(1),
            Holding(reason)};
  open.seen.source = Database(ControlState::kJournaled, false);
  RefuseFence(open.seen.source, reason);
  all.push_back(open);
  Wait out{"users are out", reason, In(Phase::kRollingBack), See(1), Holding(reason)};
  RefuseFence(out.seen.target, reason);
  all.push_back(out);
}

void AddGoingBack(std::vector<Wait>& all) {
  Wait gone{"nothing to go back to", "SourceGone", In(Phase::kRollingBack), See(1)};
  gone.seen.source = migration::DatabaseFacts{};
  gone.seen.target = Database(ControlState::kFenced, true);
  gone.seen.wiring = migration::WiringFacts{.at_target = false, .detail = ""};
  all.push_back(gone);
  Wait lost{"nothing to go back by", "NoWayBack", In(Phase::kRollingBack, true), See(1)};
  lost.migration.spec.switch_mode = api::SwitchMode::kPooler;
  LoseStreamBack(lost.seen);
  all.push_back(lost);
  Wait far{"with the doors open", "AwaitingWayBack", In(Phase::kRollingBack, true), See(1)};
  far.migration.status.cutover.opened_at = Noon();
  far.migration.status.handled.rollback = "back";
  AskToGoBack(far.migration);
  far.seen.reverse_subscriber = Error{Disposition::kRetry, "ConnectionFailed", "no route"};
  all.push_back(far);
}

std::vector<Wait> Waits() {
  std::vector<Wait> all;
  AddBeforeJournal(all);
  AddBeforeUsersAreIn(all);
  AddHypercare(all);
  AddGoingBack(all);
  for (const char* reason : {"PreparedTransactions", "SuperuserOwner"}) AddFences(all, reason);
  return all;
}

/// As the API server has it once the operator has recorded what it decided.
void Record(Wait& wait) {
  migration::Decision decision = migration::Decide(wait.migration, wait.seen);
  if (wait.plan) decision.plan = *wait.plan;
  wait.migration.status = migration::Advance(wait.migration, wait.seen, decision);
}

Snapshot SeenBy(const Wait& wait) {
  Snapshot seen = testing::Seen(wait.migration);
  seen.now = wait.seen.now;
  seen.lease = std::optional<OperatorLease>();
  return seen;
}

std::optional<Command> CommandOf(const std::string& line) {
  for (Command command : {Command::kApprove, Command::kAbort, Command::kRollback, Command::kRetry})
    if (line.find("kubectl cutover " + std::string(Name(command)) + " ") == 0) return command;
  return std::nullopt;
}

/// What the operator decides once the advice was followed as the plugin does it.
migration::Decision Follow(const Wait& wait, const Advice& advice, Command command) {
  const bool accepts = advice.command.find("--accept-data-loss") != std::string::npos;
  const Snapshot seen = SeenBy(wait);
  const Prospect prospect = Foresee(command, seen.migration, accepts, seen.now);
  EXPECT_EQ(prospect.refusal, "") << advice.command;
  EXPECT_EQ(prospect.loses_writes, accepts) << advice.command;
  api::TenantMigration told = wait.migration;
  const std::string token =
      prospect.standing_token.empty() ? "another token" : prospect.standing_token;
  told.meta.annotations[std::string(Annotation(command))] = token;
  if (prospect.loses_writes) told.meta.annotations[api::kAcceptDataLossAnnotation] = token;
  migration::Decision decision = migration::Decide(told, wait.seen);
  if (decision.plan.guard) return decision;
  // A loss that is accepted while it goes back counts once the token is recorded.
  told.status = migration::Advance(told, wait.seen, decision);
  return migration::Decide(told, wait.seen);
}

void ExpectTaken(const Wait& wait, const Advice& advice, Command command) {
  const Plan plan = Follow(wait, advice, command).plan;
  switch (command) {
    case Command::kAbort:
      EXPECT_EQ(plan.guard, Guard::kUndo);
      return;
    case Command::kRetry:
      EXPECT_EQ(plan.guard, Guard::kRetryRequested);
      return;
    case Command::kApprove:
      if (wait.migration.status.phase == Phase::kHypercare) {
        EXPECT_NE(plan.reason, wait.reason) << "users stay";
      } else if (wait.migration.spec.window_start) {
        EXPECT_EQ(plan.reason, "AwaitingWindow");
      } else {
        EXPECT_EQ(plan.guard, Guard::kDoorsMayClose);
      }
      return;
    case Command::kRollback:
      if (advice.effect.find("so it waits") != std::string::npos) {
        EXPECT_TRUE(plan.awaits_consent);
      } else if (wait.migration.status.phase == Phase::kRollingBack) {
        EXPECT_NE(plan.reason, wait.reason);
      } else {
        EXPECT_EQ(plan.guard, Guard::kRollBack) << plan.reason << ": " << plan.message;
      }
      return;
  }
}

void ExpectTaken(const Wait& wait, const Advice& advice) {
  SCOPED_TRACE(advice.command + ": " + advice.effect);
  if (const auto command = CommandOf(advice.command)) return ExpectTaken(wait, advice, *command);
  api::TenantMigration told = wait.migration;
  if (advice.command.find("kubectl annotate ") == 0)
    told.meta.annotations.erase(api::kRollbackAnnotation);
  else if (advice.command.find("kubectl cutover resume ") == 0)
    told.spec.suspend = false;
  else
    return;
  EXPECT_NE(migration::Decide(told, wait.seen).plan.reason, wait.reason);
}

TEST(Advice, EveryCommandThatIsOfferedIsTakenByTheOperator) {
  std::set<std::string_view> reasons;
  for (Wait& wait : Waits()) {
    SCOPED_TRACE(wait.name + ", " + std::string(Name(wait.migration.status.phase)) + ", " +
                 std::string(Name(wait.migration.spec.strategy)));
    Record(wait);
    const Snapshot seen = SeenBy(wait);
    ASSERT_EQ(seen.migration.ReasonOf("Ready", api::ConditionStatus::kFalse), wait.reason);
    for (const Advice& advice : Assess(seen).advice) ExpectTaken(wait, advice);
    for (const api::WaitForPerson& known : api::kWaitsForPerson)
      if (known.reason == wait.reason) reasons.insert(known.reason);
  }
  for (const api::WaitForPerson& known : api::kWaitsForPerson)
    EXPECT_TRUE(reasons.contains(known.reason)) << known.reason << " is not played here";
}

// Nothing in Undoing and RollingBack takes the place of what a person does to the databases.
TEST(Advice, WhateverACommandCanEndIsOfferedOne) {
  for (Wait& wait : Waits()) {
    SCOPED_TRACE(wait.name + ", " + std::string(Name(wait.migration.status.phase)));
    Record(wait);
    const Assessment assessment = Assess(SeenBy(wait));
    EXPECT_EQ(assessment.health, Health::kAsksYou);
    const std::set<std::string_view> mended = {"SourceGone",           "EpochBehind",
                                               "LedgerMissing",        "MoveWasOver",
                                               "PreparedTransactions", "SuperuserOwner"};
    const Phase phase = wait.migration.status.phase;
    const bool goes_back = phase == Phase::kUndoing || phase == Phase::kRollingBack;
    const bool by_hand = goes_back && mended.contains(wait.reason);
    EXPECT_EQ(assessment.advice.empty(), by_hand);
    if (wait.reason == "Suspended") {
      EXPECT_EQ(assessment.advice.front().command, "kubectl cutover resume move -n acme");
    }
  }
}

// It would have a person give up what that does not end.
TEST(Advice, NoLossIsOfferedWhereARollbackAwaitsAFence) {
  std::vector<Wait> all;
  AddFences(all, "PreparedTransactions");
  int held = 0;
  for (Wait& wait : all) {
    Record(wait);
    const Snapshot seen = SeenBy(wait);
    const MigrationView& migration = seen.migration;
    if (!RollbackAwaitsFence(migration)) continue;
    ++held;
    EXPECT_FALSE(GoesBackWithoutLoss(migration));
    if (migration.strategy != "Online") continue;  // There a loss must be accepted, too.
    const Prospect prospect = Foresee(Command::kRollback, migration, false, wait.seen.now);
    EXPECT_EQ(prospect.consequences.find("--accept-data-loss"), std::string::npos);
    EXPECT_NE(prospect.consequences.find("COMMIT PREPARED"), std::string::npos);
  }
  EXPECT_EQ(held, 3) << "Offline, and Online with and without consent";
}

TEST(Advice, AnotherAttemptIsNotOfferedOnceTheWindowIsOver) {
  api::TenantMigration failed = testing::Typical(Phase::kFailed);
  failed.spec.window_start = testing::Night() - seconds(7200);
  failed.spec.window_end = testing::Night() + seconds(60);
  Snapshot seen = testing::Seen(failed);
  const auto offers_retry = [](const Assessment& assessment) {
    for (const Advice& advice : assessment.advice)
      if (CommandOf(advice.command) == Command::kRetry) return true;
    return false;
  };
  EXPECT_TRUE(offers_retry(Assess(seen)));
  seen.now += seconds(60);
  EXPECT_FALSE(offers_retry(Assess(seen)));
  EXPECT_NE(Foresee(Command::kRetry, seen.migration, false, seen.now).refusal, "");
}

}  // namespace
}  // namespace cutover::cli
