// SPDX-License-Identifier: Apache-2.0
//
// The target is lost while, or after, users worked on it: nothing is finished on what is not seen
// to be there, since the source may be all that is left of the tenant.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/status.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::Database;
using ::testing::HasSubstr;
using testing::MigrationIn;
using testing::Noon;

constexpr char kConsent[] = "set cutover.dev/rollback and cutover.dev/accept-data-loss";

Error Away() { return {Disposition::kRetry, "ConnectionFailed", "no route to host"}; }
Error HalfDropped() {
  return {Disposition::kRetry, "HalfDropped", "a DROP DATABASE was cut short"};
}

/// What may be known of a target that nobody can work on.
struct Loss {
  const char* how;
  Fact<DatabaseFacts> target;
  const char* reason;
  const char* words;
};

std::vector<Loss> Losses() {
  return {{"dropped, or its server built anew", DatabaseFacts{}, "TargetGone", kConsent},
          {"its drop was cut short", HalfDropped(), "TargetGone", kConsent},
          {"its server does not answer", Away(), "ConnectionFailed",
           "delete DatabaseServer pg-target and create it anew"}};
}

constexpr int kHypercareSeconds = 3600;

api::TenantMigration In(Phase phase, api::Strategy strategy) {
  api::TenantMigration migration = MigrationIn(phase);
  migration.spec.strategy = strategy;
  migration.spec.hypercare_seconds = kHypercareSeconds;
  return migration;
}

/// Nothing can be read but a source as it was left, the ledger, and what is said of the target.
Observation Seen(const Fact<DatabaseFacts>& target) {
  Observation seen = testing::NothingReadableAt(kHypercareSeconds);
  seen.ledger_recorded = true;
  seen.source = Database(ControlState::kJournaled, true);
  seen.target = target;
  seen.maintenance_page = MaintenancePageFacts{};
  seen.backup_job = seen.copy_job = seen.check_jobs = JobFacts{};
  seen.checks = std::vector<CheckOutcome>();
  seen.forward_publisher = PublisherFacts{};
  SubscriberFacts source;
  source.exists = source.enabled = true;
  seen.reverse_subscriber = source;
  return seen;
}

void ExpectHeld(const Decision& decision) {
  EXPECT_FALSE(decision.plan.guard);
  EXPECT_FALSE(decision.plan.effect);
  EXPECT_FALSE(decision.plan.look_at);
  EXPECT_TRUE(decision.plan.trouble);
  EXPECT_GT(decision.plan.wait.count(), 0);
}

class TargetLost : public ::testing::TestWithParam<api::Strategy> {};

INSTANTIATE_TEST_SUITE_P(Both, TargetLost,
                         ::testing::Values(api::Strategy::kOffline, api::Strategy::kOnline),
                         [](const auto& given) { return std::string(Name(given.param)); });

TEST_P(TargetLost, AMoveThatIsDeletedIsNotFinishedOnIt) {
  for (const Loss& loss : Losses()) {
    SCOPED_TRACE(loss.how);
    api::TenantMigration migration = In(Phase::kHypercare, GetParam());
    migration.meta.deletion_timestamp = Noon();
    const Decision held = Decide(migration, Seen(loss.target));
    ExpectHeld(held);
    EXPECT_EQ(held.plan.reason, loss.reason);
    EXPECT_THAT(held.plan.message, HasSubstr(loss.words));
  }
}

TEST_P(TargetLost, AMoveWhoseTimeOfHypercareIsOverIsNotFinishedOnIt) {
  for (const Loss& loss : Losses()) {
    SCOPED_TRACE(loss.how);
    const Decision held = Decide(In(Phase::kHypercare, GetParam()), Seen(loss.target));
    ExpectHeld(held);
    EXPECT_EQ(held.plan.reason, loss.reason);
  }
}

// A tenant that was given up, with both its databases: nothing is left to be kept for anybody, and
// a namespace shall not end never.
TEST_P(TargetLost, WithTheSourceGoneAsWellAMoveThatIsDeletedEnds) {
  Observation seen = Seen(DatabaseFacts{});
  seen.source = DatabaseFacts{};
  api::TenantMigration migration = In(Phase::kHypercare, GetParam());
  migration.meta.deletion_timestamp = Noon();
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kHypercareOver);
  seen.source = seen.target = DatabaseFacts{};
  EXPECT_NE(Decide(In(Phase::kCompleting, GetParam()), seen).plan.reason, "TargetGone");
}

// An etcd that was restored from before the end: Completing had seen the tenant on the target
// before it retired the source and took our row from there.
TEST_P(TargetLost, ATargetWithoutOurRowIsTheTenantsWhereTheSourceIsRetired) {
  Observation seen = Seen(Database(ControlState::kNone, false));
  seen.source = Database(ControlState::kRetired, true);
  api::TenantMigration migration = In(Phase::kHypercare, GetParam());
  migration.meta.deletion_timestamp = Noon();
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kHypercareOver);
}

// The same once the source's retention was over: what is on the target is all that there is, and is
// neither held for ever nor to be dropped by anybody.
TEST_P(TargetLost, ATargetWithoutOurRowIsTheTenantsWhereTheSourceIsGone) {
  Observation seen = Seen(Database(ControlState::kNone, false));
  seen.source = DatabaseFacts{};
  for (const bool deleted : {false, true}) {
    api::TenantMigration migration = In(Phase::kHypercare, GetParam());
    if (deleted) migration.meta.deletion_timestamp = Noon();
    seen.structure = StructureFacts{};
    seen.views = ViewFacts{};
    seen.reverse_sample = SampleFacts{};
    seen.reverse_publisher = PublisherFacts{};
    seen.reverse_subscriber = seen.forward_subscriber = SubscriberFacts{};
    EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kHypercareOver) << deleted;
  }
}

// A server that is built anew has no database, and nobody may take what an application makes there
// for the tenant's.
TEST_P(TargetLost, ADatabaseOfItsNameAloneIsNotTheTenants) {
  Observation seen = Seen(Database(ControlState::kNone, false));
  seen.forward_subscriber = SubscriberFacts{};
  seen.reverse_publisher = PublisherFacts{};
  seen.structure = StructureFacts{};
  seen.views = ViewFacts{};
  seen.reverse_sample = SampleFacts{};
  for (bool deleted : {false, true}) {
    api::TenantMigration migration = In(Phase::kHypercare, GetParam());
    if (deleted) migration.meta.deletion_timestamp = Noon();
    const Decision held = Decide(migration, seen);
    ExpectHeld(held);
    EXPECT_EQ(held.plan.reason, "LedgerMissing");
    EXPECT_THAT(held.plan.message, HasSubstr("restore schema cutover there"));
    EXPECT_THAT(held.plan.message, HasSubstr("made there in its place, drop it"));
  }
}

TEST_P(TargetLost, IsSaidAsSoonAsItIsKnown) {
  Observation seen = Seen(DatabaseFacts{});
  seen.now = Noon() + std::chrono::seconds(1);
  const Decision held = Decide(In(Phase::kHypercare, GetParam()), seen);
  ExpectHeld(held);
  EXPECT_EQ(held.plan.reason, "TargetGone");
}

TEST_P(TargetLost, OneThatIsDeletedGoesBackWhereAPersonAcceptsTheLoss) {
  for (const Loss& loss : Losses()) {
    SCOPED_TRACE(loss.how);
    api::TenantMigration migration = In(Phase::kHypercare, GetParam());
    migration.meta.deletion_timestamp = Noon();
    migration.meta.annotations[api::kRollbackAnnotation] = "back";
    const Decision unaccepted = Decide(migration, Seen(loss.target));
    EXPECT_FALSE(unaccepted.plan.guard);
    EXPECT_EQ(unaccepted.handled.rollback, "") << "it is asked again";
    migration.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
    const Decision accepted = Decide(migration, Seen(loss.target));
    EXPECT_EQ(accepted.plan.guard, Guard::kRollBack);
    EXPECT_EQ(accepted.handled.rollback, "back");
  }
}

TEST_P(TargetLost, OneThatIsDeletedFinishesOnATargetThatIsThereWhateverIsAskedFor) {
  api::TenantMigration migration = In(Phase::kHypercare, GetParam());
  migration.meta.deletion_timestamp = Noon();
  migration.meta.annotations[api::kRollbackAnnotation] = "back";
  migration.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
  const Decision decision = Decide(migration, Seen(Database(ControlState::kOpen, false)));
  EXPECT_EQ(decision.plan.guard, Guard::kHypercareOver);
}

// The way back is not to be taken away where it may be all that there is.
TEST_P(TargetLost, CompletingTakesNothingFromTheSource) {
  for (const Loss& loss : Losses()) {
    SCOPED_TRACE(loss.how);
    const Decision held = Decide(In(Phase::kCompleting, GetParam()), Seen(loss.target));
    ExpectHeld(held);
    EXPECT_EQ(held.plan.reason, loss.reason);
    EXPECT_THAT(held.plan.message, ::testing::Not(HasSubstr(kConsent)))
        << "nothing goes back from there";
    EXPECT_THAT(held.plan.message, HasSubstr("by hand, as the runbook CutoverPersonNeeded says"));
    EXPECT_THAT(held.plan.message, ::testing::Not(HasSubstr("create it anew")));
  }
}

// Behind closed doors: what is not there, or is open to nobody for ever, keeps the source from
// nobody.
TEST_P(TargetLost, GoingBackGoesOnWhereNobodyCanBeOnTheTarget) {
  for (const Loss& loss : Losses()) {
    SCOPED_TRACE(loss.how);
    api::TenantMigration migration = In(Phase::kRollingBack, GetParam());
    migration.status.cutover.opened_at = migration.status.rollback.fenced_at = Noon();
    migration.status.rollback.token = "back";
    Observation seen = Seen(loss.target);
    seen.routes = RouteFacts{true, false, ""};
    seen.workloads = WorkloadFacts{};
    const bool half = !loss.target.known() && loss.target.error().reason == "HalfDropped";
    const Plan unaccepted = Decide(migration, seen).plan;
    EXPECT_NE(unaccepted.effect, Intent::kDropTarget);
    migration.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
    const Decision accepted = Decide(migration, seen);
    if (loss.target.known())
      EXPECT_EQ(accepted.plan.effect, Intent::kReopenSource);
    else if (half)
      EXPECT_EQ(accepted.plan.effect, Intent::kDropTarget) << accepted.plan.message;
    else
      ExpectHeld(accepted);
  }
}

// Nobody has written there, so nobody is asked.
TEST_P(TargetLost, BeforeUsersWereInWhatIsLeftOfADropIsDropped) {
  api::TenantMigration migration = In(Phase::kRollingBack, GetParam());
  Observation seen = Seen(HalfDropped());
  seen.routes = RouteFacts{true, false, ""};
  seen.workloads = WorkloadFacts{};
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropTarget);
}

// A target that follows no longer is no reason to fill the disk of a server that others share.
TEST(TargetLostOnline, TheSlotThatItFollowedByGoes) {
  for (const Loss& loss : Losses()) {
    SCOPED_TRACE(loss.how);
    api::TenantMigration migration = In(Phase::kHypercare, api::Strategy::kOnline);
    Observation seen = Seen(loss.target);
    PublisherFacts left;
    left.traces = left.published = left.slot = true;
    seen.forward_publisher = left;
    seen.now = Noon() + std::chrono::seconds(1);
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropForwardPublisher);
    migration.meta.deletion_timestamp = Noon();
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropForwardPublisher);
  }
}

// Whoever asks to go back without consent is answered, and no effect that must fail is tried.
TEST(TargetLostOnline, NothingIsTriedInADatabaseThatIsGone) {
  api::TenantMigration migration = In(Phase::kHypercare, api::Strategy::kOnline);
  migration.meta.annotations[api::kRollbackAnnotation] = "back";
  Observation seen = Seen(DatabaseFacts{});
  seen.reverse_publisher = PublisherFacts{};
  seen.reverse_sample = Away();
  seen.structure = Away();
  seen.forward_subscriber = Away();
  const Decision held = Decide(migration, seen);
  EXPECT_EQ(held.plan.reason, "RollbackNeedsConsent") << held.plan.message;
  EXPECT_FALSE(held.plan.effect);
}

// A status that says otherwise would have people wait for a way back that is not there.
TEST(TargetLostOnline, RollbackReadyDoesNotStayTrue) {
  api::TenantMigration migration = In(Phase::kHypercare, api::Strategy::kOnline);
  migration.status.conditions.Set(
      {"RollbackReady", api::ConditionStatus::kTrue, "StreamFollows", "it follows", 3, {}}, Noon());
  Observation seen = Seen(DatabaseFacts{});
  seen.reverse_publisher = PublisherFacts{};
  seen.reverse_sample = Fact<SampleFacts>(Subject::kReverseSample);
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kReverseSample);
  seen.reverse_sample = Away();
  const auto status = Advance(migration, seen, Decide(migration, seen));
  EXPECT_FALSE(status.conditions.IsTrue("RollbackReady"));
}

}  // namespace
}  // namespace cutover::migration
