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
  facts.changes = ChangesBetween("ConfigMap odoo-conf", ConfigMap("pg-shared.db.svc"),
                                 ConfigMap("pg-dedicated.db.svc"));
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
  order.hypercare = std::chrono::minutes(90);
  const Json full = ManifestOf(order);
  EXPECT_EQ(full.At({"spec", "cutover", "switch"}).AsString(), "Pooler");
  EXPECT_EQ(full.At({"spec", "copy", "replicaIdentity"}).AsString(), "SetFull");
  EXPECT_EQ(full.At({"spec", "hypercare", "durationSeconds"}).AsInt(), 5400);
}

TEST(Changes, ShowTheLinesThatDifferAndNoOther) {
  const auto changes = ChangesBetween("ConfigMap c", ConfigMap("a"), ConfigMap("b"));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].place, ".data.odoo.conf, line 2");
  EXPECT_EQ(changes[0].before, "db_host = a");
  EXPECT_EQ(changes[0].after, "db_host = b");
}

TEST(Changes, NeverShowAPassword) {
  const Json before = Json::Object({{"data", Json::Object({{"uri", "Z2VoZWlt"}})}});
  const Json after = Json::Object({{"data", Json::Object({{"uri", "YW5kZXJz"}})}});
  const auto secret = ChangesBetween("Secret s", before, after);
  ASSERT_EQ(secret.size(), 1u);
  EXPECT_EQ(secret[0].before + secret[0].after, "");
  const Json was = Json::Object({{"env", Json::Array({Json("postgresql://u:geheim@a/db")})}});
  const Json is = Json::Object({{"env", Json::Array({Json("postgresql://u:geheim@b/db")})}});
  const auto uri = ChangesBetween("Deployment d", was, is);
  ASSERT_EQ(uri.size(), 1u);
  EXPECT_EQ(uri[0].after, "postgresql://u:...@b/db");
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
