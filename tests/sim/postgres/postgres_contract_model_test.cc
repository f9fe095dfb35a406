// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/postgres/model_server.h"
#include "tests/sim/postgres/postgres_contract.h"

namespace cutover::sim {
namespace {

class ModelPlace final : public PostgresPlace {
 public:
  ModelPlace() {
    network_.Add("source", 5432, source_);
    network_.Add("target", 5432, target_);
    for (ModelServer* server : {&source_, &target_})
      server->Edit([](ServerState& state) {
        state.roles["postgres"] = {.superuser = true, .password = "admin"};
        state.databases["postgres"] =
            std::make_shared<DatabaseState>(DatabaseState{.access = DefaultAccess("postgres")});
      });
    source_.Edit([](ServerState& state) {
      state.roles["owner"] = {.password = "own"};
      DatabaseState database{.access = DefaultAccess("owner")};
      database.content = {
          .rows = RowSet::First(1), .tables = 1, .sequences = {{"orders", {7, true}}}};
      state.databases["tenant"] = std::make_shared<DatabaseState>(std::move(database));
    });
  }
  pg::ConnectOptions SourceAdmin() const override { return Admin("source"); }
  pg::ConnectOptions TargetAdmin() const override { return Admin("target"); }
  std::string database() const override { return "tenant"; }
  std::string owner() const override { return "owner"; }
  std::string password() const override { return "own"; }
  std::string uid() const override { return "uid-1"; }
  void FallSilent(pg::Transaction&) override {
    for (ModelServer* server : {&source_, &target_}) server->EndSilentTransactions();
  }

 private:
  static pg::ConnectOptions Admin(const char* host) {
    pg::ConnectOptions options;
    options.host = host;
    options.database = "postgres";
    options.user = "postgres";
    options.password = "admin";
    return options;
  }

  ModelServer source_{"source", 150'008, RealClock()};
  ModelServer target_{"target", 170'002, RealClock()};
  ModelNetwork network_;
};

INSTANTIATE_TEST_SUITE_P(Model, PostgresContract,
                         ::testing::Values(PostgresSubject{
                             "Model", [] { return std::make_unique<ModelPlace>(); }}),
                         [](const auto& test) { return test.param.name; });

TEST(ModelOfPostgres, ACommitWhoseAnswerIsLostIsInDoubtAndDone) {
  ModelPlace place;
  auto connection =
      pg::Connection::Open({}, Deadline::Never(), place.SourceAdmin().WithDatabase("tenant"));
  ASSERT_TRUE(connection);
  ModelServer& server = *ModelNetwork::Find("source", 5432);
  server.on_commit = [](const Backend&, const std::function<void()>& apply) {
    apply();
    return false;
  };
  pg::Claim claim{"uid-1", 1, pg::Side::kSource};
  auto claimed = pg::ClaimEpoch({}, Deadline::Never(), *connection, claim);
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().disposition, Disposition::kInDoubt);
  EXPECT_EQ(claimed.error().reason, "TransactionInDoubt");
  EXPECT_FALSE(connection->usable());
  EXPECT_TRUE(server.state().Find("tenant")->control);
}

TEST(ModelOfPostgres, ACrashUndoesWhatWasNotCommitted) {
  ModelPlace place;
  auto connection =
      pg::Connection::Open({}, Deadline::Never(), place.SourceAdmin().WithDatabase("tenant"));
  ASSERT_TRUE(connection);
  ModelServer& server = *ModelNetwork::Find("source", 5432);
  server.on_commit = [&](const Backend&, const std::function<void()>&) {
    server.Crash();
    return false;
  };
  EXPECT_FALSE(pg::ClaimEpoch({}, Deadline::Never(), *connection, {"u", 1, pg::Side::kSource}));
  EXPECT_FALSE(server.state().Find("tenant")->has_schema);
  auto again = pg::Connection::Open({}, Deadline::Never(), place.SourceAdmin());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, "ConnectionFailed");
  server.Start();
  EXPECT_TRUE(pg::Connection::Open({}, Deadline::Never(), place.SourceAdmin()));
}

}  // namespace
}  // namespace cutover::sim
