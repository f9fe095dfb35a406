// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/server/status.h"

#include <gtest/gtest.h>

#include "reconcilers/server/progress.h"

namespace cutover::server {
namespace {

using api::ConditionStatus;

const WallTime kNow = *ParseTime("2026-11-21T12:00:00Z");
const WallTime kLater = kNow + std::chrono::hours(1);

pg::ServerFacts Healthy() {
  pg::ServerFacts facts;
  facts.version = "15.20";
  facts.system_identifier = "7000";
  facts.timeline = 1;
  facts.wal_level = "logical";
  facts.tenants = {"a", "b"};
  facts.connections_used = 10;
  facts.connections_max = 100;
  return facts;
}

api::DatabaseServer KnownServer() {
  api::DatabaseServer server;
  server.meta.generation = 3;
  server.status = DecideStatus(server, Healthy(), kNow);
  return server;
}

struct VerdictCase {
  const char* why;
  Result<pg::ServerFacts> probe;
  ConditionStatus ready;
  const char* reason;
  const char* kstatus;  // The abnormal condition that must be there; empty: none.
};

pg::ServerFacts With(void (*change)(pg::ServerFacts&)) {
  pg::ServerFacts facts = Healthy();
  change(facts);
  return facts;
}
Result<pg::ServerFacts> Failed(Disposition disposition, const char* reason) {
  return tl::make_unexpected(Error{disposition, reason, "what PostgreSQL said"});
}

TEST(ServerStatus, SaysWhyAServerIsNotReadyAndWhoseMoveItIs) {
  const VerdictCase cases[] = {
      {"all is well", Healthy(), ConditionStatus::kTrue, "Ready", ""},
      {"no Secret", Failed(Disposition::kRetry, "SecretMissing"), ConditionStatus::kFalse,
       "SecretMissing", "Reconciling"},
      {"no key", Failed(Disposition::kRetry, "SecretKeyMissing"), ConditionStatus::kFalse,
       "SecretKeyMissing", "Reconciling"},
      {"nobody answers", Failed(Disposition::kRetry, "ConnectionFailed"), ConditionStatus::kFalse,
       "Unreachable", "Reconciling"},
      {"too slow", Failed(Disposition::kRetry, "DeadlineExceeded"), ConditionStatus::kFalse,
       "Unreachable", "Reconciling"},
      {"wrong password", Failed(Disposition::kTerminal, "AuthenticationFailed"),
       ConditionStatus::kFalse, "AuthenticationFailed", "Stalled"},
      {"wrong certificate", Failed(Disposition::kRetry, "TlsFailed"), ConditionStatus::kFalse,
       "TlsFailed", "Stalled"},
      {"too old", Failed(Disposition::kTerminal, "UnsupportedServer"), ConditionStatus::kFalse,
       "UnsupportedServer", "Stalled"},
      {"lacks privileges", With([](pg::ServerFacts& facts) {
         facts.missing_privileges = {{"CREATEDB", "ALTER ROLE admin CREATEDB"}};
       }),
       ConditionStatus::kFalse, "PrivilegesMissing", "Stalled"},
      {"a standby", With([](pg::ServerFacts& facts) { facts.in_recovery = true; }),
       ConditionStatus::kFalse, "StandbyServer", "Stalled"},
      {"another cluster", With([](pg::ServerFacts& facts) { facts.system_identifier = "8000"; }),
       ConditionStatus::kFalse, "IdentityChanged", "Stalled"},
  };
  for (const VerdictCase& c : cases) {
    const api::DatabaseServerStatus status = DecideStatus(KnownServer(), c.probe, kLater);
    const api::Condition* ready = status.conditions.Find("Ready");
    ASSERT_NE(ready, nullptr) << c.why;
    EXPECT_EQ(ready->status, c.ready) << c.why;
    EXPECT_EQ(ready->reason, c.reason) << c.why;
    EXPECT_EQ(ready->observed_generation, 3) << c.why;
    for (const char* abnormal : {"Reconciling", "Stalled"})
      EXPECT_EQ(status.conditions.Find(abnormal) != nullptr, std::string(abnormal) == c.kstatus)
          << c.why << ": " << abnormal;
  }
}

TEST(ServerStatus, SaysWhatToChangeNextToWhatPostgreSqlSaid) {
  struct Row {
    const char *error, *remedy;
  };
  for (const Row& row : {Row{"ConnectionFailed", "spec.endpoint"}, Row{"TlsFailed", "caSecretRef"},
                         Row{"AuthenticationFailed", "spec.adminSecretRef"},
                         Row{"InsufficientPrivilege", "spec.adminSecretRef"},
                         Row{"ServerStarting", "asked again"}}) {
    const auto status = DecideStatus(KnownServer(), Failed(Disposition::kRetry, row.error), kLater);
    const std::string& message = status.conditions.Find("Ready")->message;
    EXPECT_NE(message.find("what PostgreSQL said"), std::string::npos) << row.error;
    EXPECT_NE(message.find(row.remedy), std::string::npos) << message;
  }
}

TEST(ServerStatus, NamesTheGrantsThatAreMissing) {
  pg::ServerFacts facts = Healthy();
  facts.missing_privileges = {{"CREATEDB", "ALTER ROLE admin CREATEDB"},
                              {"REPLICATION", "ALTER ROLE admin REPLICATION"}};
  const api::DatabaseServerStatus status = DecideStatus({}, facts, kNow);
  const std::string& message = status.conditions.Find("Ready")->message;
  EXPECT_NE(message.find("ALTER ROLE admin CREATEDB"), std::string::npos);
  EXPECT_NE(message.find("ALTER ROLE admin REPLICATION"), std::string::npos);
}

TEST(ServerStatus, KeepsWhatItKnewWhileTheServerIsDead) {
  const api::DatabaseServer known = KnownServer();
  const api::DatabaseServerStatus status =
      DecideStatus(known, Failed(Disposition::kRetry, "ConnectionFailed"), kLater);
  EXPECT_EQ(status.version, "15.20");
  EXPECT_EQ(status.tenants, 2);
  EXPECT_EQ(status.conditions.Find("LogicalReplicationReady")->status, ConditionStatus::kUnknown);
  EXPECT_EQ(status.conditions.Find("Ready")->last_transition_time, kLater);
}

TEST(ServerStatus, NeverTakesAnotherClusterForTheOneItKnows) {
  pg::ServerFacts other = Healthy();
  other.system_identifier = "8000";
  other.version = "17.1";
  api::DatabaseServer server = KnownServer();
  for (int probe = 0; probe < 3; ++probe) server.status = DecideStatus(server, other, kLater);
  EXPECT_EQ(server.status.system_identifier, "7000");
  EXPECT_EQ(server.status.version, "15.20");
  EXPECT_EQ(server.status.conditions.Find("Ready")->reason, "IdentityChanged");
  EXPECT_NE(server.status.conditions.Find("Ready")->message.find("correct spec.endpoint, or"),
            std::string::npos);
  server.status = DecideStatus(server, Healthy(), kLater);
  EXPECT_TRUE(server.status.conditions.IsTrue("Ready"));
}

TEST(ServerStatus, ReplicationObstaclesAreTold) {
  pg::ServerFacts facts = Healthy();
  facts.replication_obstacles = {"wal_level is replica"};
  const api::DatabaseServerStatus status = DecideStatus({}, facts, kNow);
  EXPECT_TRUE(status.conditions.IsTrue("Ready"));
  EXPECT_EQ(status.conditions.Find("LogicalReplicationReady")->status, ConditionStatus::kFalse);
  EXPECT_EQ(status.conditions.Find("LogicalReplicationReady")->message, "wal_level is replica");
}

TEST(ServerStatus, AConvergedServerCausesNoWrite) {
  api::DatabaseServer server = KnownServer();
  server.status.size_bytes = 1'000'000;
  pg::ServerFacts facts = Healthy();
  const api::DatabaseServerStatus again = DecideStatus(server, facts, kLater);
  EXPECT_EQ(api::EncodeStatus(again).Dump(), api::EncodeStatus(server.status).Dump());
  facts.tenants.push_back("c");
  EXPECT_NE(api::EncodeStatus(DecideStatus(server, facts, kLater)),
            api::EncodeStatus(server.status));
}

TEST(SettledFigure, FollowsWhatMatters) {
  EXPECT_EQ(SettledFigure(1000, 1049), 1000);
  EXPECT_EQ(SettledFigure(1000, 1051), 1051);
  EXPECT_EQ(SettledFigure(1000, 900), 900);
  EXPECT_EQ(SettledFigure(0, 1), 1);
  EXPECT_EQ(SettledFigure(1, 0), 0);
  EXPECT_EQ(SettledFigure(10, 11), 11);
}

}  // namespace
}  // namespace cutover::server
