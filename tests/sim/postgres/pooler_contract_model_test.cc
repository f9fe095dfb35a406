// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/postgres/model_pooler.h"
#include "tests/sim/postgres/model_server.h"
#include "tests/sim/postgres/pooler_contract.h"

namespace cutover::sim {
namespace {

constexpr char kTenant[] = "tenant";
constexpr char kService[] = "tenant-pg.acme.svc";

class ModelPlace final : public PoolerPlace {
 public:
  ModelPlace() {
    network_.Add("source", 5432, source_);
    network_.Add("target", 5432, target_);
    network_.Add("pooler", 6432, pooler_);
    for (ModelServer* server : {&source_, &target_})
      server->Edit([](ServerState& state) {
        state.roles["postgres"] = {.superuser = true, .password = "admin"};
        state.roles["owner"] = {.password = "own"};
        for (const char* name : {"postgres", kTenant})
          state.databases[name] =
              std::make_shared<DatabaseState>(DatabaseState{.access = DefaultAccess("owner")});
      });
  }
  pg::PoolerLogin Admin() const override { return {"pooler", 6432, "boss", "of the console"}; }
  std::string database() const override { return kTenant; }
  std::string host() const override { return kService; }
  pg::ConnectOptions SourceAdmin() const override { return AdminOf("source"); }
  pg::ConnectOptions TargetAdmin() const override { return AdminOf("target"); }
  std::string owner() const override { return "owner"; }
  std::string password() const override { return "own"; }

  Outcome Write(std::chrono::milliseconds) override {
    auto outcome = pooler_.Transact([this](ServerState& state) {
      ASSERT_TRUE(WriteRow(*state.Edit(kTenant), ++rows_, RealClock().WallNow()));
    });
    return outcome == ModelPooler::Outcome::kDone    ? Outcome::kDone
           : outcome == ModelPooler::Outcome::kWaits ? Outcome::kWaits
                                                     : Outcome::kError;
  }
  int RowsOn(const pg::ConnectOptions& server) override {
    return static_cast<int>(ServerOf(server).state().Find(kTenant)->content.rows.size());
  }
  int SessionsOn(const pg::ConnectOptions& server) override {
    int sessions = 0;
    for (const auto& [pid, backend] : ServerOf(server).backends())
      sessions += backend.database == kTenant && backend.user == "owner" ? 1 : 0;
    return sessions;
  }
  void LeadToTarget() override { leads_to_ = &target_; }
  void FenceSource() override {
    source_.Edit([](ServerState& state) { state.Edit(kTenant)->access.connection_limit = 0; });
    std::vector<int> sessions;
    for (const auto& [pid, backend] : source_.backends())
      if (backend.user == "owner") sessions.push_back(pid);
    for (int pid : sessions) source_.End(pid);
  }
  void HoldTransaction() override { pooler_.transaction_stuck = true; }
  void Kill() override { pooler_.up = false; }
  void Restart() override {
    pooler_.Restart();
    pooler_.up = true;
  }

 private:
  static pg::ConnectOptions AdminOf(const char* host) {
    pg::ConnectOptions options;
    options.host = host;
    options.database = kTenant;
    options.user = "postgres";
    options.password = "admin";
    return options;
  }
  ModelServer& ServerOf(const pg::ConnectOptions& options) {
    return options.host == "source" ? source_ : target_;
  }

  ModelServer source_{"source", 150'008, RealClock()};
  ModelServer target_{"target", 170'002, RealClock()};
  ModelServer* leads_to_ = &source_;
  ModelPooler pooler_{kTenant, "owner", "own", kService, [this] { return leads_to_; }};
  ModelNetwork network_;
  int64_t rows_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Model, PoolerContract,
                         ::testing::Values(PoolerSubject{
                             "Model", [] { return std::make_unique<ModelPlace>(); }}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cutover::sim
