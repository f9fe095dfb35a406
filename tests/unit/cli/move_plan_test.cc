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

TEST(Manifest, HasWhatTheFlagsSayAndLeavesTheRestToTheCrd) {
  MoveOrder order = Facts().order;
  const Json plain = ManifestOf(order);
  EXPECT_FALSE(plain["spec"].Contains("copy"));
  EXPECT_FALSE(plain["spec"].Contains("hypercare"));
  EXPECT_FALSE(plain["spec"]["cutover"].Contains("switch"));
  order.switch_by = "Pooler";
  order.replica_identity = "SetFull";
  order.copy_rate_mebibytes_per_second_max = 20;
  order.hypercare = std::chrono::minutes(90);
  const Json full = ManifestOf(order);
  EXPECT_EQ(full.At({"spec", "cutover", "switch"}).AsString(), "Pooler");
  EXPECT_EQ(full.At({"spec", "copy", "replicaIdentity"}).AsString(), "SetFull");
  EXPECT_EQ(full.At({"spec", "copy", "maxRateMebibytesPerSecond"}).AsInt(), 20);
  EXPECT_EQ(full.At({"spec", "hypercare", "durationSeconds"}).AsInt(), 5400);
}

api::TenantMigration Checked(const std::string& name) {
  api::TenantMigration migration = MigrationIn(Phase::kPreflight);
  migration.meta.name = name;
  migration.status.preflight = {Night() - std::chrono::minutes(3),
                                {{"target-database", api::PreflightResult::kPassed,
                                  "the target has no database of that name"},
                                 {"autoscalers", api::PreflightResult::kWarning,
                                  "HorizontalPodAutoscaler odoo: it may set "
                                  "another number of replicas"}}};
  return migration;
}

TEST(Plan, ShowsEachLineOfTheLastPreflightAndWhatMendsIt) {
  MoveFacts facts = Facts();
  EXPECT_THAT(RenderPlan(facts, Style{}), HasSubstr("has not asked them about this move yet"));
  EXPECT_FALSE(StandsInTheWay(facts));
  api::TenantMigration checked = Checked("acme-2");
  facts.migrations = {ViewOf(ObjectOf(checked))};
  EXPECT_FALSE(StandsInTheWay(facts)) << "a warning is in nobody's way";
  EXPECT_EQ(CompareWithGolden("plan-checked.txt", RenderPlan(facts, Style{})), "");
  checked.status.preflight.lines[0] = {"target-database", api::PreflightResult::kBlocking,
                                       "run there DROP DATABASE acme"};
  facts.migrations = {ViewOf(ObjectOf(checked))};
  EXPECT_TRUE(StandsInTheWay(facts));
  EXPECT_THAT(RenderPlan(facts, Style{}),
              HasSubstr("✖ target-database: run there DROP DATABASE acme"));
}

TEST(Plan, TakesTheLatestPreflightOfThisMoveAndOfNoOther) {
  MoveFacts facts = Facts();
  api::TenantMigration later = Checked("later"), other = Checked("other"), moved = Checked("moved");
  later.status.preflight.looked_at = Night();
  other.spec.target_server_name = "pg-elsewhere";
  moved.status.source_server_name = "pg-where-it-was-before";
  for (const auto* migration : {&other, &moved})
    facts.migrations.push_back(ViewOf(ObjectOf(*migration)));
  EXPECT_EQ(FindPreflight(facts), nullptr);
  for (const auto& migration : {Checked("first"), later, Checked("first-again")})
    facts.migrations.push_back(ViewOf(ObjectOf(migration)));
  ASSERT_NE(FindPreflight(facts), nullptr);
  EXPECT_EQ(FindPreflight(facts)->meta.name, "later");
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
