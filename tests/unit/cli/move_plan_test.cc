// SPDX-License-Identifier: Apache-2.0
#include "cli/view/move_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/view/history.h"
#include "tests/unit/cli/golden.h"
#include "tests/unit/cli/scenes.h"

namespace cutover::cli {
namespace {

using api::Phase;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace cutover::cli::testing;

Json ConfigMap(const std::string& host) {
  return Json::Object(
      {{"data", Json::Object({{"odoo.conf", "[options]\ndb_host = " + host +
                                                "\ndb_password = geheim\nworkers = 2\n"}})}});
}

Json Ingress(const std::string& service, int port) {
  Json backend = Json::Object({{"name", service}, {"port", Json::Object({{"number", port}})}});
  Json path = Json::Object({{"backend", Json::Object({{"service", backend}})}});
  Json rule = Json::Object({{"http", Json::Object({{"paths", Json::Array({path})}})}});
  return Json::Object({{"spec", Json::Object({{"rules", Json::Array({rule})}})}});
}

MoveFacts Facts() {
  const Snapshot seen = Seen(MigrationIn(Phase::kPending));
  MoveFacts facts;
  facts.order.placement_name = "acme";
  facts.order.target_server_name = "pg-dedicated";
  facts.order.ns = "acme";
  facts.order.name = NameForMove("acme", "pg-dedicated", {});
  facts.order.approval = "Manual";
  facts.order.backup_claim_name = "backups";
  facts.placement = **seen.placement;
  facts.placement.spec.routes = {{"Ingress", "odoo"}};
  facts.placement.spec.workloads = {{"Deployment", "odoo"}};
  facts.source = seen.source;
  facts.target = seen.target;
  facts.backup_claim = std::optional(Json::Object());
  facts.changes = {
      {"ConfigMap odoo-conf", "from the switch on", "",
       HunksBetween(ConfigMap("pg-shared.db.svc"), ConfigMap("pg-dedicated.db.svc"), false)},
      {"Ingress odoo", "while users are stopped; then as it is now", "",
       HunksBetween(Ingress("odoo", 8069), Ingress("cutover-maintenance-acme-to-pg-dedicated", 80),
                    false)}};
  api::TenantMigration earlier = Typical(Phase::kCompleted);
  earlier.meta.name = "umbrella-to-pg-dedicated";
  earlier.spec.placement_name = "umbrella";
  facts.migrations = {ViewOf(ObjectOf(earlier))};
  facts.now = Night();
  return facts;
}

Answer AnswerTo(const MoveFacts& facts, const std::string& part) {
  for (const PlannedCheck& check : CheckObjects(facts))
    if (check.what.find(part) != std::string::npos) return check.answer;
  ADD_FAILURE() << "nothing is said about " << part;
  return Answer::kUnknown;
}

TEST(Plan, ReadsAsItsGoldenFile) {
  EXPECT_EQ(CompareWithGolden("plan.txt", RenderPlan(Facts(), Style{})), "");
}

TEST(Plan, WhatCannotBeReadIsUnknownAndNotRefused) {
  MoveFacts facts = Facts();
  facts.target = RetryError("Forbidden", "no servers for you");
  EXPECT_EQ(AnswerTo(facts, "server pg-dedicated is ready"), Answer::kUnknown);
  facts.target = std::optional<api::DatabaseServer>();
  EXPECT_EQ(AnswerTo(facts, "server pg-dedicated is ready"), Answer::kNo);
}

TEST(Plan, EveryObstacleThatObjectsShowIsFound) {
  MoveFacts facts = Facts();
  EXPECT_EQ(AnswerTo(facts, "not older"), Answer::kYes);
  (*facts.target)->status.version = "14.9";
  EXPECT_EQ(AnswerTo(facts, "not older"), Answer::kNo);
  (*facts.target)->spec.unschedulable = true;
  EXPECT_EQ(AnswerTo(facts, "takes new tenants"), Answer::kNo);
  (*facts.target)->spec.capacity_tenants = 3;
  (*facts.target)->status.tenants = 3;
  EXPECT_EQ(AnswerTo(facts, "room for one more"), Answer::kNo);
  (*facts.target)->spec.allowed_namespaces = api::NamespaceSelector{{"other"}, {}};
  EXPECT_EQ(AnswerTo(facts, "tenants of namespace acme"), Answer::kNo);
  (*facts.target)->spec.allowed_namespaces = api::NamespaceSelector{{}, {{"plan", "gold"}}};
  EXPECT_EQ(AnswerTo(facts, "tenants of namespace acme"), Answer::kUnknown);
  facts.placement.status.migration_name = "other-move";
  EXPECT_EQ(AnswerTo(facts, "no other migration"), Answer::kNo);
  facts.backup_claim = std::optional<Json>();
  EXPECT_EQ(AnswerTo(facts, "claim backups"), Answer::kNo);
  facts.refusal = "strategy: Online is not for you";
  EXPECT_EQ(AnswerTo(facts, "the API server takes"), Answer::kNo);
}

MoveFacts FactsOfOnline(const std::string& switch_by) {
  MoveFacts facts = Facts();
  facts.order.strategy = "Online";
  facts.order.switch_by = switch_by;
  for (auto* server : {&facts.source, &facts.target})
    (**server)->status.conditions.Set(
        {"LogicalReplicationReady", api::ConditionStatus::kTrue, "Ready", "", 1, {}}, Night());
  return facts;
}

TEST(Plan, OfAnOnlineMoveSaysWhetherBothServersCanBeFollowed) {
  MoveFacts facts = FactsOfOnline("Restart");
  EXPECT_EQ(AnswerTo(facts, "server pg-shared can be followed"), Answer::kYes);
  EXPECT_EQ(AnswerTo(facts, "server pg-dedicated can be followed"), Answer::kYes);
  (*facts.target)
      ->status.conditions.Set({"LogicalReplicationReady",
                               api::ConditionStatus::kFalse,
                               "NotConfigured",
                               "set wal_level to logical",
                               1,
                               {}},
                              Night());
  EXPECT_EQ(AnswerTo(facts, "server pg-dedicated can be followed"), Answer::kNo);
  EXPECT_THAT(RenderPlan(facts, Style{}), HasSubstr("set wal_level to logical"));
  (*facts.source)->status.conditions = {};
  EXPECT_EQ(AnswerTo(facts, "server pg-shared can be followed"), Answer::kUnknown);
}

TEST(Plan, OfASwitchByPoolerNeedsOneAndStopsNoWorkload) {
  MoveFacts facts = FactsOfOnline("Pooler");
  EXPECT_EQ(AnswerTo(facts, "a pooler stands"), Answer::kNo);
  (*facts.source)->spec.pooler.emplace();
  EXPECT_EQ(AnswerTo(facts, "a pooler stands"), Answer::kYes);
  const std::string page = RenderPlan(facts, Style{});
  EXPECT_THAT(page, HasSubstr("wait in the pooler"));
  EXPECT_THAT(page, Not(HasSubstr("Deployment odoo: stopped")));
}

TEST(Plan, SaysHowLongTheWayBackStaysOpenAndWhatItLoses) {
  MoveFacts facts = FactsOfOnline("Restart");
  facts.order.hypercare = std::chrono::hours(24);
  EXPECT_THAT(RenderPlan(facts, Style{}), HasSubstr("with all that users write by then"));
  facts.order.strategy = "Offline";
  EXPECT_THAT(RenderPlan(facts, Style{}), HasSubstr("only without what users write by then"));
}

TEST(Plan, ABackupThatNobodyHasChosenIsAskedForAndNotSaidToBeSkipped) {
  MoveFacts facts = Facts();
  facts.order.backup_claim_name = "";
  EXPECT_THAT(RenderPlan(facts, Style{}), HasSubstr("not chosen: --backup-claim NAME"));
  EXPECT_THAT(RenderPlan(facts, Style{}), Not(HasSubstr("none is taken")));
  facts.order.skip_backup = true;
  EXPECT_THAT(RenderPlan(facts, Style{}), HasSubstr("Backup      none is taken"));
}

TEST(Manifest, HasWhatTheFlagsSayAndLeavesTheRestToTheCrd) {
  MoveOrder order = Facts().order;
  const Json plain = ManifestOf(order);
  EXPECT_FALSE(plain["spec"].Contains("copy"));
  EXPECT_FALSE(plain["spec"].Contains("hypercare"));
  EXPECT_FALSE(plain["spec"]["cutover"].Contains("switch"));
  EXPECT_FALSE(plain["spec"].Contains("source"));
  order.source_server_name = "pg-shared";
  order.switch_by = "Pooler";
  order.replica_identity = "SetFull";
  order.copy_rate_mebibytes_per_second_max = 20;
  order.hypercare = std::chrono::minutes(90);
  const Json full = ManifestOf(order);
  EXPECT_EQ(full.At({"spec", "cutover", "switch"}).AsString(), "Pooler");
  EXPECT_EQ(full.At({"spec", "copy", "replicaIdentity"}).AsString(), "SetFull");
  EXPECT_EQ(full.At({"spec", "copy", "maxRateMebibytesPerSecond"}).AsInt(), 20);
  EXPECT_EQ(full.At({"spec", "hypercare", "durationSeconds"}).AsInt(), 5400);
  EXPECT_EQ(full.At({"spec", "source", "serverName"}).AsString(), "pg-shared");
}

/// What `move --suspend` has made of the order of Facts(), once the operator has looked at it.
api::TenantMigration Held(const std::string& name) {
  api::TenantMigration migration = MigrationIn(Phase::kPreflight);
  migration.meta.name = name;
  migration.spec.suspend = true;
  migration.spec.backup_mode = api::BackupMode::kRequired;
  migration.spec.approval = api::Approval::kManual;
  migration.status.preflight = {Night() - std::chrono::minutes(3),
                                {{"target-database", api::PreflightResult::kPassed,
                                  "the target has no database of that name"},
                                 {"autoscalers", api::PreflightResult::kWarning,
                                  "HorizontalPodAutoscaler odoo: it may set "
                                  "another number of replicas"}}};
  return migration;
}

/// What is seen of Facts() when there are those as well, and the placement is locked for the first.
MoveFacts FactsWith(const std::vector<api::TenantMigration>& migrations) {
  MoveFacts facts = Facts();
  facts.placement.status.migration_name = migrations.front().meta.name;
  for (const api::TenantMigration& migration : migrations)
    facts.migrations.push_back(ViewOf(ObjectOf(migration)));
  MoveOrder order = facts.order;
  order.name = "";
  if (const MigrationView* held = FindHeld(order, facts.placement, facts.migrations)) {
    facts.held = *held;
    facts.order = OrderOf(*held);
    facts.order.backup_claim_name = "backups";  // Which ObjectOf does not have.
  }
  return facts;
}

TEST(Plan, OfAMoveThatIsHeldIsOfThatOneAndHasNoRivalInIt) {
  const MoveFacts facts = FactsWith({Held("acme-2")});
  EXPECT_EQ(AnswerTo(facts, "no other migration"), Answer::kYes);
  EXPECT_FALSE(StandsInTheWay(facts)) << "a warning is in nobody's way";
  EXPECT_EQ(CompareWithGolden("plan-checked.txt", RenderPlan(facts, Style{})), "");
}

TEST(Plan, OfAMoveThatIsHeldSaysWhatThatOneDoes) {
  api::TenantMigration held = Held("acme-2");
  held.spec.approval = api::Approval::kAutomatic;
  held.spec.hypercare_seconds = 3600;
  const std::string page = RenderPlan(FactsWith({held}), Style{});
  EXPECT_THAT(page, HasSubstr("with: kubectl cutover resume acme-2 -n acme; then stops the users"));
  EXPECT_THAT(page, HasSubstr("for 1h00m after the switch"));
}

TEST(Plan, OfAMoveThatIsHeldShowsWhatBlocksIt) {
  api::TenantMigration held = Held("acme-2");
  held.status.preflight.lines[0] = {"target-database", api::PreflightResult::kBlocking,
                                    "run there DROP DATABASE acme"};
  const MoveFacts facts = FactsWith({held});
  EXPECT_TRUE(StandsInTheWay(facts));
  const std::string page = RenderPlan(facts, Style{});
  EXPECT_THAT(page, HasSubstr("✖ target-database: run there DROP DATABASE acme"));
  EXPECT_THAT(page, HasSubstr("asked 3m00s ago, and again every 10s as long as something stands"));
}

TEST(Plan, AResultThatThisPluginDoesNotKnowIsNotTakenForPassed) {
  Json object = ObjectOf(Held("acme-2"));
  for (const Json& line :
       {Json::Object({{"name", "streams"}, {"result", "Perhaps"}, {"message", "of tomorrow"}}),
        Json::Object({{"name", "streams"}, {"message", "of tomorrow"}})}) {
    object.MutableAt("status").MutableAt("preflight").Set("checks", Json::Array({line}));
    MoveFacts facts = Facts();
    facts.held = ViewOf(object);
    EXPECT_TRUE(StandsInTheWay(facts));
    EXPECT_THAT(RenderPlan(facts, Style{}), HasSubstr("✖ streams: of tomorrow"));
  }
}

TEST(Plan, OfAMoveThatIsHeldAndNotAskedYetSaysSo) {
  for (const Phase phase : {Phase::kPending, Phase::kPreflight}) {
    api::TenantMigration held = Held("acme-2");
    held.status.phase = phase;
    if (phase == Phase::kPreflight) held.status.preflight = {};
    const MoveFacts facts = FactsWith({held});
    ASSERT_TRUE(facts.held) << Name(phase);
    EXPECT_FALSE(StandsInTheWay(facts));
    const std::string page = RenderPlan(facts, Style{});
    EXPECT_THAT(page, HasSubstr("has not answered yet for this move")) << Name(phase);
    EXPECT_THAT(page, Not(HasSubstr("create it with"))) << Name(phase);
  }
}

// Whatever of it is another move, or has begun: its preflight says nothing of what is ordered.
TEST(Plan, AMigrationThatIsNotTheOneThatIsPlannedIsARivalAndNothingElse) {
  std::vector<std::pair<const char*, api::TenantMigration>> others;
  auto other = [&](const char* how) -> api::TenantMigration& {
    others.emplace_back(how, Held("acme-2"));
    others.back().second.status.preflight.lines[0].result = api::PreflightResult::kBlocking;
    return others.back().second;
  };
  other("goes on").spec.suspend = false;
  other("was held later").status.phase = Phase::kAwaitingCutover;
  other("ended").status.phase = Phase::kFailed;
  other("goes elsewhere").spec.target_server_name = "pg-elsewhere";
  other("of another placement").spec.placement_name = "umbrella";
  other("from elsewhere").status.source_server_name = "pg-where-it-was-before";
  other("of another strategy").spec.strategy = api::Strategy::kOnline;
  other("by another switch").spec.switch_mode = api::SwitchMode::kPooler;
  other("without a backup").spec.backup_mode = api::BackupMode::kSkip;
  other("in another namespace").meta.namespace_name = "umbrella";
  other("deleted").meta.deletion_timestamp = Night();
  for (const auto& [how, migration] : others) {
    const MoveFacts facts = FactsWith({migration});
    EXPECT_FALSE(facts.held) << how;
    EXPECT_EQ(AnswerTo(facts, "no other migration"), Answer::kNo) << how;
    const std::string page = RenderPlan(facts, Style{});
    EXPECT_THAT(page, Not(HasSubstr("target-database"))) << how;
    EXPECT_THAT(page, HasSubstr("which does not exist yet")) << how;
    MoveFacts alone = facts;
    alone.placement.status.migration_name = "";
    EXPECT_FALSE(StandsInTheWay(alone)) << how;
  }
}

TEST(Plan, OfARivalThatIsHeldSaysWhatMoveThatIs) {
  api::TenantMigration rival = Held("acme-2");
  rival.spec.strategy = api::Strategy::kOnline;
  Style wide;
  wide.width = 300;
  EXPECT_THAT(RenderPlan(FactsWith({rival}), wide),
              HasSubstr("TenantMigration acme-2 does; it is held, and another than this: to "
                        "pg-dedicated, strategy Online, switch Restart, backup Required"));
}

TEST(Plan, OfSeveralThatAreHeldIsOfTheOneThatThePlacementIsLockedFor) {
  EXPECT_EQ(FactsWith({Held("acme-2"), Held("acme-1")}).held->meta.name, "acme-2");
  MoveFacts facts = FactsWith({Held("acme-2"), Held("acme-1")});
  facts.order.name = "acme-1";
  EXPECT_EQ(FindHeld(facts.order, facts.placement, facts.migrations)->meta.name, "acme-1");
  facts.order.name = "acme-3";
  EXPECT_EQ(FindHeld(facts.order, facts.placement, facts.migrations), nullptr);
}

TEST(Plan, ThatSaysNothingOfABackupIsOfWhateverIsHeld) {
  const MoveFacts facts = FactsWith({Held("acme-2")});
  MoveOrder order = facts.order;
  order.backup_claim_name = "";
  EXPECT_NE(FindHeld(order, facts.placement, facts.migrations), nullptr);
  order.skip_backup = true;
  EXPECT_EQ(FindHeld(order, facts.placement, facts.migrations), nullptr);
}

TEST(Plan, SaysThatOthersMayNotBeReadOnlyWhereThatIsWhy) {
  EXPECT_EQ(WhereOnly("acme", RetryError("Forbidden", "not for you").value()),
            "in namespace acme (others may not be read)");
  EXPECT_EQ(WhereOnly("acme", RetryError("Timeout", "the API server is slow").value()),
            "in namespace acme (others could not be read: the API server is slow)");
}

TEST(Plan, WhatCannotBeReadOfOneObjectDoesNotHideTheOthers) {
  MoveFacts facts = Facts();
  facts.changes.push_back({"Secret odoo-db", "from the switch on", "you may not read it", {}});
  const std::string page = RenderPlan(facts, Style{});
  EXPECT_THAT(page, HasSubstr("+db_host = pg-dedicated.db.svc"));
  EXPECT_THAT(page, HasSubstr("Secret odoo-db: unknown, since you may not read it"));
}

TEST(NameForMove, FitsAndIsNobodyElses) {
  EXPECT_EQ(NameForMove("acme", "pg.large", {}), "acme-to-pg-large");
  EXPECT_EQ(NameForMove("acme", "pg", {"acme-to-pg", "acme-to-pg-2"}), "acme-to-pg-3");
  const std::string cut = NameForMove(std::string(60, 'a'), "pg", {});
  EXPECT_EQ(cut.size(), 40u);
}

TEST(History, ListsTheMovesOfOnePlacementLatestFirst) {
  std::vector<MigrationView> migrations;
  for (Phase phase : {Phase::kRolledBack, Phase::kCompleted, Phase::kCopying}) {
    api::TenantMigration migration = Typical(phase);
    migration.meta.name = "move-" + std::to_string(migrations.size() + 1);
    migrations.push_back(ViewOf(ObjectOf(migration)));
  }
  migrations.push_back(migrations.front());
  migrations.back().placement_name = "umbrella";
  const auto moves = HistoryOf(migrations, "acme");
  EXPECT_EQ(moves.size(), 3u);
  EXPECT_EQ(CompareWithGolden("history.txt", RenderHistory(moves, Night(), false)), "");
  EXPECT_EQ(HistoryDocument(moves)["items"].Size(), 3u);
}

}  // namespace
}  // namespace cutover::cli
