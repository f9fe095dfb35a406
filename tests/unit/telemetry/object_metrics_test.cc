// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/object_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <sstream>
#include <utility>

namespace cutover::telemetry {
namespace {

using api::Phase;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

class FixedClock final : public Clock {
 public:
  WallTime WallNow() const override { return now; }
  SteadyTime SteadyNow() const override { return {}; }
  WallTime now = WallTime(seconds(1'000'000));
};

class ObjectMetricsTest : public testing::Test {
 protected:
  ObjectMetricsTest() { objects_.StartLeading(); }

  static api::TenantMigration MigrationIn(Phase phase) {
    api::TenantMigration migration;
    migration.meta.namespace_name = "tenant-a";
    migration.meta.name = "move";
    migration.spec.placement_name = "odoo";
    migration.spec.target_server_name = "pg-17";
    migration.status.source_server_name = "pg-15";
    migration.status.phase = phase;
    return migration;
  }

  void Observe(const api::TenantMigration& migration) {
    objects_.ObserveMigration(std::make_shared<const api::TenantMigration>(migration));
  }
  void Observe(const api::DatabaseServer& server) {
    objects_.ObserveServer(std::make_shared<const api::DatabaseServer>(server));
  }
  void Observe(const api::DatabasePlacement& placement) {
    objects_.ObservePlacement(std::make_shared<const api::DatabasePlacement>(placement));
  }
  std::string Expose() const { return metrics_.Expose(); }

  long SeriesShown() const {
    std::istringstream lines(Expose());
    long series = 0;
    for (std::string line; std::getline(lines, line);) series += line.starts_with('#') ? 0 : 1;
    return series;
  }

  const kube::Key key_{"tenant-a", "move"};
  FixedClock clock_;
  Metrics metrics_;
  ObjectMetrics objects_{metrics_, clock_};
};

TEST_F(ObjectMetricsTest, DescribesAMigrationFromTheObjectAlone) {
  auto migration = MigrationIn(Phase::kCopying);
  auto& progress = migration.status.progress;
  progress.bytes_copied = 10;
  progress.bytes_total = 100;
  progress.tables_copied = 2;
  progress.tables_total = 7;
  progress.rows_copied = 1234;
  progress.eta_seconds = 33;
  Observe(migration);
  const std::string text = Expose();
  for (const char* line :
       {"cutover_migration_info{namespace=\"tenant-a\",name=\"move\",placement=\"odoo\","
        "source=\"pg-15\",target=\"pg-17\",strategy=\"Offline\"} 1\n",
        "cutover_migration_phase{namespace=\"tenant-a\",name=\"move\",phase=\"Copying\"} 1\n",
        "cutover_migration_phase{namespace=\"tenant-a\",name=\"move\",phase=\"Verifying\"} 0\n",
        "cutover_migration_bytes_copied{namespace=\"tenant-a\",name=\"move\"} 10\n",
        "cutover_migration_bytes_expected{namespace=\"tenant-a\",name=\"move\"} 100\n",
        "cutover_migration_tables_copied{namespace=\"tenant-a\",name=\"move\"} 2\n",
        "cutover_migration_tables_expected{namespace=\"tenant-a\",name=\"move\"} 7\n",
        "cutover_migration_rows_copied{namespace=\"tenant-a\",name=\"move\"} 1234\n",
        "cutover_migration_eta_seconds{namespace=\"tenant-a\",name=\"move\"} 33\n",
        "cutover_rollback_ready{namespace=\"tenant-a\",name=\"move\"} 0\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

// Without the series nobody is told that users are kept out beyond what holds by default.
TEST_F(ObjectMetricsTest, ShowsTheBoundOfThePauseThatHoldsWhetherTheSpecNamesItOrNot) {
  auto migration = MigrationIn(Phase::kFencing);
  Observe(migration);
  EXPECT_THAT(Expose(), Not(HasSubstr("write_pause_max_seconds{")));
  migration.spec.strategy = api::Strategy::kOnline;
  Observe(migration);
  EXPECT_THAT(Expose(), HasSubstr("write_pause_max_seconds{namespace=\"tenant-a\",name=\"move\"} "
                                  "60\n"));
  migration.spec.max_write_pause_seconds = 7;
  Observe(migration);
  EXPECT_THAT(Expose(), HasSubstr("write_pause_max_seconds{namespace=\"tenant-a\",name=\"move\"} "
                                  "7\n"));
}

TEST_F(ObjectMetricsTest, ShowsAnEstimateOnlyOfTheCopyAndOfCatchingUp) {
  for (Phase phase : {Phase::kCatchingUp, Phase::kAwaitingCutover, Phase::kVerifying}) {
    auto migration = MigrationIn(phase);
    migration.status.progress.bytes_copied = 10;
    Observe(migration);
    EXPECT_THAT(Expose(), Not(HasSubstr("eta_seconds"))) << Name(phase);
  }
  auto migration = MigrationIn(Phase::kCatchingUp);
  migration.status.progress.eta_seconds = 33;
  Observe(migration);
  EXPECT_THAT(Expose(), HasSubstr("eta_seconds{namespace=\"tenant-a\",name=\"move\"} 33\n"));
}

TEST_F(ObjectMetricsTest, ShowsNoEstimateBeforeTheFirstByte) {
  Observe(MigrationIn(Phase::kCopying));
  EXPECT_THAT(Expose(), Not(HasSubstr("eta_seconds")));
}

TEST_F(ObjectMetricsTest, ShowsZerosSoThatTheFirstOfItsKindIsAnIncrease) {
  const std::string text = Expose();
  for (const char* line : {"cutover_migrations_total{result=\"RolledBack\"} 0\n",
                           "cutover_rollbacks_total{reason=\"RollbackRequested\"} 0\n",
                           "cutover_write_pause_seconds_count 0\n",
                           "cutover_stage_duration_seconds_count{stage=\"Pending\"} 0\n",
                           "cutover_stage_duration_seconds_count{stage=\"RollingBack\"} 0\n"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, Not(HasSubstr("stage=\"Completed\""))) << "no end takes time";
}

TEST_F(ObjectMetricsTest, SaysSinceWhenWhyAndUntilWhen) {
  auto migration = MigrationIn(Phase::kAwaitingCutover);
  api::Stage stage;
  stage.name = "AwaitingCutover";
  stage.started_at = WallTime(seconds(900));
  migration.status.stages.push_back(stage);
  api::Condition ready;
  ready.type = "Ready";
  ready.reason = "AwaitingApproval";
  migration.status.conditions.Set(ready, clock_.now);
  Observe(migration);
  const std::string without = Expose();
  EXPECT_THAT(without, HasSubstr("cutover_migration_phase_start_time_seconds{"
                                 "namespace=\"tenant-a\",name=\"move\"} 900\n"));
  EXPECT_THAT(without, HasSubstr("cutover_migration_reason{namespace=\"tenant-a\",name=\"move\","
                                 "reason=\"AwaitingApproval\"} 1\n"));
  EXPECT_THAT(without, Not(HasSubstr("cutover_migration_reason_since_time_seconds{")));
  EXPECT_THAT(without, Not(HasSubstr("write_pause_max_seconds{")));
  EXPECT_THAT(without, Not(HasSubstr("available_until_time_seconds{")));
  EXPECT_THAT(without, Not(HasSubstr("cutover_rollback_sampled_rows{")));
  migration.spec.max_write_pause_seconds = 300;
  migration.status.reason_since = WallTime(seconds(950));
  migration.status.rollback.available_until = WallTime(seconds(1200));
  migration.status.rollback.sampled_at = WallTime(seconds(1100));
  migration.status.rollback.sampled_rows = 5000;
  Observe(migration);
  const std::string with = Expose();
  EXPECT_THAT(with, HasSubstr("cutover_migration_reason_since_time_seconds{"
                              "namespace=\"tenant-a\",name=\"move\"} 950\n"));
  EXPECT_THAT(with, HasSubstr("cutover_migration_write_pause_max_seconds{"
                              "namespace=\"tenant-a\",name=\"move\"} 300\n"));
  EXPECT_THAT(with, HasSubstr("cutover_rollback_available_until_time_seconds{"
                              "namespace=\"tenant-a\",name=\"move\"} 1200\n"));
  EXPECT_THAT(with, HasSubstr("cutover_rollback_sampled_rows{"
                              "namespace=\"tenant-a\",name=\"move\"} 5000\n"));
}

TEST_F(ObjectMetricsTest, SaysSinceWhenForAReasonOnlyOfWhatIsUnderWay) {
  for (Phase end : {Phase::kCompleted, Phase::kAborted, Phase::kFailed, Phase::kRolledBack}) {
    auto migration = MigrationIn(end);
    migration.status.reason_since = clock_.now;
    Observe(migration);
    EXPECT_THAT(Expose(), Not(HasSubstr("reason_since_time_seconds{"))) << Name(end);
  }
}

TEST_F(ObjectMetricsTest, ShowsAsManySeriesAsItsReferenceSays) {
  const std::string reference = RenderMetricsReference();
  const long leader = SeriesShown();
  EXPECT_THAT(reference, HasSubstr("| leader | " + std::to_string(leader) + ","));
  auto migration = MigrationIn(Phase::kCopying);
  migration.spec.max_write_pause_seconds = 300;
  auto& status = migration.status;
  status.stages = {{"Copying", "Running", clock_.now, {}, "", 0, 0, ""}};
  status.progress.bytes_copied = 10;
  status.conditions.Set({"Ready", api::ConditionStatus::kFalse, "Copying", "", 1, {}}, clock_.now);
  status.reason_since = clock_.now;
  status.cutover.fenced_at = status.verification.finished_at = clock_.now;
  status.rollback.sampled_at = status.rollback.available_until = clock_.now;
  Observe(migration);
  objects_.ObserveWritableSides(key_, 1);
  objects_.ObserveStreams(key_, {{"forward", 1, 1, 1.0}, {"reverse", 1, 1, 1.0}});
  EXPECT_THAT(reference, HasSubstr("| TenantMigration | up to " +
                                   std::to_string(SeriesShown() - leader) + ","));
}

TEST_F(ObjectMetricsTest, DropsEverySeriesOfADeletedObject) {
  auto migration = MigrationIn(Phase::kCopying);
  migration.status.reason_since = clock_.now;
  Observe(migration);
  objects_.ObserveWritableSides(key_, 1);
  api::DatabaseServer server;
  server.meta.name = "tenant-a-server";
  Observe(server);
  api::DatabasePlacement placement;
  placement.meta.namespace_name = "tenant-a";
  placement.meta.name = "odoo";
  Observe(placement);
  ASSERT_THAT(Expose(), HasSubstr("tenant-a"));
  objects_.ForgetMigration(key_);
  objects_.ForgetServer("tenant-a-server");
  objects_.ForgetPlacement({"tenant-a", "odoo"});
  EXPECT_THAT(Expose(), Not(HasSubstr("tenant-a")));
}

TEST_F(ObjectMetricsTest, ReplacesTheSeriesOfAChangedObject) {
  Observe(MigrationIn(Phase::kPending));
  auto moved = MigrationIn(Phase::kPending);
  moved.status.source_server_name = "pg-16";
  Observe(moved);
  EXPECT_THAT(Expose(), Not(HasSubstr("pg-15")));
}

TEST_F(ObjectMetricsTest, LetsTheWritePauseGrowUntilTheDoorsOpen) {
  constexpr char kPause[] =
      "cutover_migration_write_pause_seconds{namespace=\"tenant-a\",name=\"move\"} ";
  auto migration = MigrationIn(Phase::kCopying);
  Observe(migration);
  EXPECT_THAT(Expose(), Not(HasSubstr(kPause)));
  migration.status.cutover.fenced_at = clock_.now;
  Observe(migration);
  clock_.now += seconds(12);
  EXPECT_THAT(Expose(), HasSubstr(std::string(kPause) + "12\n"));
  migration.status.cutover.opened_at = clock_.now;
  migration.status.cutover.write_pause_milliseconds = 12'500;
  Observe(migration);
  clock_.now += seconds(100);
  EXPECT_THAT(Expose(), HasSubstr(std::string(kPause) + "12.5\n"));
  EXPECT_THAT(Expose(), HasSubstr("cutover_write_pause_seconds_count 1\n"));
}

TEST_F(ObjectMetricsTest, SaysWhetherSomethingIsTriedAgain) {
  constexpr char kRetrying[] = "cutover_migration_retrying{namespace=\"tenant-a\",name=\"move\"} ";
  auto migration = MigrationIn(Phase::kHypercare);
  Observe(migration);
  EXPECT_THAT(Expose(), HasSubstr(std::string(kRetrying) + "0\n"));
  for (const auto& [reason, value] :
       {std::pair{"ProgressingWithRetry", "1\n"}, std::pair{"Progressing", "0\n"}}) {
    migration.status.conditions.Set({"Reconciling", api::ConditionStatus::kTrue, reason, "", 1, {}},
                                    clock_.now);
    Observe(migration);
    EXPECT_THAT(Expose(), HasSubstr(std::string(kRetrying) + value));
  }
  migration.status.phase = Phase::kCompleted;
  Observe(migration);
  EXPECT_THAT(Expose(), Not(HasSubstr("migration_retrying{")));
}

// What the alerts go by: a pause that has ended keeps its length.
TEST_F(ObjectMetricsTest, SaysWhetherUsersAreShutOutNow) {
  constexpr char kShutOut[] =
      "cutover_migration_users_shut_out{namespace=\"tenant-a\",name=\"move\"} ";
  auto migration = MigrationIn(Phase::kPreparing);
  auto& status = migration.status;
  const auto shut_out = [&](Phase phase, const char* value) {
    status.phase = phase;
    Observe(migration);
    EXPECT_THAT(Expose(), HasSubstr(std::string(kShutOut) + value + "\n")) << Name(phase);
  };
  shut_out(Phase::kPreparing, "0");
  status.cutover.fenced_at = clock_.now;
  shut_out(Phase::kCopying, "1");
  status.cutover.opened_at = clock_.now;
  shut_out(Phase::kUndoing, "0");
  shut_out(Phase::kRollingBack, "0");
  status.rollback.fenced_at = clock_.now;
  shut_out(Phase::kRollingBack, "1");
  status.rollback.opened_at = clock_.now;
  shut_out(Phase::kRollingBack, "0");
  status.phase = Phase::kRolledBack;
  Observe(migration);
  EXPECT_THAT(Expose(), Not(HasSubstr("users_shut_out{")));
}

TEST_F(ObjectMetricsTest, ARollbacksPauseGrowsAndIsObservedAsOneOfItsOwn) {
  constexpr char kPause[] =
      "cutover_migration_write_pause_seconds{namespace=\"tenant-a\",name=\"move\"} ";
  auto migration = MigrationIn(Phase::kHypercare);
  migration.status.cutover = {clock_.now, clock_.now, clock_.now, 400, 1, {}};
  Observe(migration);
  EXPECT_THAT(Expose(), HasSubstr(std::string(kPause) + "0.4\n"));
  migration.status.phase = Phase::kRollingBack;
  migration.status.rollback.fenced_at = clock_.now;
  Observe(migration);
  clock_.now += seconds(3);
  EXPECT_THAT(Expose(), HasSubstr(std::string(kPause) + "3\n"));
  migration.status.rollback.opened_at = clock_.now;
  migration.status.rollback.write_pause_milliseconds = 3'500;
  Observe(migration);
  EXPECT_THAT(Expose(), HasSubstr(std::string(kPause) + "3.5\n"));
  EXPECT_THAT(Expose(), HasSubstr("cutover_write_pause_seconds_sum 3.5\n"))
      << "the first was there before anybody counted";
}

TEST_F(ObjectMetricsTest, ClaimsNoMismatchesBeforeAVerificationHasEnded) {
  auto migration = MigrationIn(Phase::kVerifying);
  Observe(migration);
  EXPECT_THAT(Expose(), Not(HasSubstr("cutover_verification")));
  migration.status.verification.mismatches = 2;
  migration.status.verification.finished_at = clock_.now;
  Observe(migration);
  EXPECT_THAT(
      Expose(),
      HasSubstr("cutover_verification_mismatches{namespace=\"tenant-a\",name=\"move\"} 2\n"));
}

TEST_F(ObjectMetricsTest, CountsTheEndOfAMigrationOnce) {
  Observe(MigrationIn(Phase::kCompleting));
  EXPECT_THAT(Expose(), HasSubstr("cutover_migrations_total{result=\"Completed\"} 0\n"));
  Observe(MigrationIn(Phase::kCompleted));
  Observe(MigrationIn(Phase::kCompleted));
  EXPECT_THAT(Expose(), HasSubstr("cutover_migrations_total{result=\"Completed\"} 1\n"));
}

TEST_F(ObjectMetricsTest, CountsARollbackWithItsReason) {
  Observe(MigrationIn(Phase::kSmoke));
  auto back = MigrationIn(Phase::kRollingBack);
  back.status.failure_reason = "SmokeCheckFailed";
  Observe(back);
  back.status.phase = Phase::kRolledBack;
  Observe(back);
  EXPECT_THAT(Expose(), HasSubstr("cutover_rollbacks_total{reason=\"SmokeCheckFailed\"} 1\n"));
}

TEST_F(ObjectMetricsTest, TimesAStageWhenItCompletesAndOnlyThen) {
  auto migration = MigrationIn(Phase::kCopying);
  migration.status.stages = {{"Copying", "Running", clock_.now, {}, "", 0, 0, ""}};
  Observe(migration);
  EXPECT_THAT(Expose(), HasSubstr("cutover_stage_duration_seconds_count{stage=\"Copying\"} 0\n"));
  migration.status.stages[0].completed_at = clock_.now + seconds(40);
  Observe(migration);
  Observe(migration);
  EXPECT_THAT(Expose(), HasSubstr("cutover_stage_duration_seconds_sum{stage=\"Copying\"} 40\n"));
  EXPECT_THAT(Expose(), HasSubstr("cutover_stage_duration_seconds_count{stage=\"Copying\"} 1\n"));
}

TEST_F(ObjectMetricsTest, CountsNothingThatHadHappenedBeforeTheFirstSight) {
  auto migration = MigrationIn(Phase::kCompleted);
  migration.status.stages = {
      {"Copying", "Succeeded", clock_.now, clock_.now + seconds(40), "", 0, 0, ""}};
  migration.status.cutover.opened_at = clock_.now;
  Observe(migration);
  const std::string text = Expose();
  EXPECT_THAT(text, HasSubstr("cutover_migrations_total{result=\"Completed\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("cutover_stage_duration_seconds_count{stage=\"Copying\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("cutover_write_pause_seconds_count 0\n"));
}

TEST_F(ObjectMetricsTest, ShowsWritableSidesAsLastObservedAndNothingWhenUnknown) {
  constexpr char kSides[] = "cutover_writable_sides{namespace=\"tenant-a\",name=\"move\"} ";
  objects_.ObserveWritableSides(key_, 1);
  EXPECT_THAT(Expose(), Not(HasSubstr(kSides))) << "nothing known of such a migration";
  Observe(MigrationIn(Phase::kFencing));
  objects_.ObserveWritableSides(key_, 2);
  Observe(MigrationIn(Phase::kFencing));
  EXPECT_THAT(Expose(), HasSubstr(std::string(kSides) + "2\n"));
  objects_.ObserveWritableSides(key_, std::nullopt);
  EXPECT_THAT(Expose(), Not(HasSubstr(kSides)));
}

TEST_F(ObjectMetricsTest, ShowsAServerDownUntilItIsReady) {
  api::DatabaseServer server;
  server.meta.name = "pg-15";
  server.status.tenants = 12;
  Observe(server);
  EXPECT_THAT(Expose(), HasSubstr("cutover_server_up{server=\"pg-15\"} 0\n"));
  server.status.conditions.Set({"Ready", api::ConditionStatus::kTrue, "Probed", "", 1, {}},
                               clock_.now);
  Observe(server);
  EXPECT_THAT(Expose(), HasSubstr("cutover_server_up{server=\"pg-15\"} 1\n"));
  EXPECT_THAT(Expose(), HasSubstr("cutover_server_tenants{server=\"pg-15\"} 12\n"));
}

TEST_F(ObjectMetricsTest, TellsWhereATenantIs) {
  api::DatabasePlacement placement;
  placement.meta.namespace_name = "tenant-a";
  placement.meta.name = "odoo";
  placement.spec.database_name = "shop";
  placement.spec.profile = api::ProfileType::kOdoo;
  placement.status.server_name = "pg-17";
  Observe(placement);
  EXPECT_THAT(Expose(), HasSubstr("cutover_placement_info{namespace=\"tenant-a\",name=\"odoo\","
                                  "database=\"shop\",server=\"pg-17\",class=\"Shared\","
                                  "profile=\"Odoo\"} 1\n"));
}

// The store's own version is shared, so ten thousand migrations are in memory once.
TEST_F(ObjectMetricsTest, KeepsTheObjectItselfAndNothingMadeOfIt) {
  const auto migration = std::make_shared<const api::TenantMigration>(MigrationIn(Phase::kCopying));
  objects_.ObserveMigration(migration);
  EXPECT_EQ(migration.use_count(), 2);
  Expose();
  EXPECT_EQ(migration.use_count(), 2);
  objects_.ForgetMigration(key_);
  EXPECT_EQ(migration.use_count(), 1);
}

TEST_F(ObjectMetricsTest, OfAMigrationThatIsOverOnlyItsEndHasASeries) {
  constexpr char kPhase[] = "cutover_migration_phase{namespace=\"tenant-a\",name=\"move\",phase=";
  const auto phases = [&] {
    const std::string text = Expose();
    int count = 0;
    for (size_t at = text.find(kPhase); at != std::string::npos; at = text.find(kPhase, at + 1))
      ++count;
    return count;
  };
  Observe(MigrationIn(Phase::kCompleting));
  EXPECT_EQ(phases(), 22);
  EXPECT_THAT(Expose(), HasSubstr(std::string(kPhase) + "\"Completed\"} 0\n"))
      << "so that its end is seen to begin";
  for (const char* end : {"Completed", "Aborted", "Failed", "RolledBack"}) {
    Observe(MigrationIn(*api::ParsePhase(end)));
    EXPECT_EQ(phases(), 1);
    EXPECT_THAT(Expose(), HasSubstr(std::string(kPhase) + "\"" + end + "\"} 1\n"));
  }
}

TEST(ObjectMetricsOfAStandby, ShowAndCountNothing) {
  Metrics metrics;
  ObjectMetrics objects(metrics);
  api::TenantMigration migration;
  migration.meta.name = "move";
  objects.ObserveMigration(std::make_shared<const api::TenantMigration>(migration));
  migration.status.phase = Phase::kCompleted;
  objects.ObserveMigration(std::make_shared<const api::TenantMigration>(migration));
  EXPECT_EQ(metrics.Expose(), "");
  objects.StartLeading();
  EXPECT_THAT(metrics.Expose(), HasSubstr("cutover_migration_info"));
}

}  // namespace
}  // namespace cutover::telemetry
