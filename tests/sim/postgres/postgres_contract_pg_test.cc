// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <thread>

#include "tests/postgres/servers.h"
#include "tests/sim/postgres/postgres_contract.h"

namespace cutover::sim {
namespace {

namespace real = pg::testing;

class RealPlace final : public PostgresPlace {
 public:
  RealPlace() {
    pg::Connection connection = real::MustConnect(database_.Options());
    real::MustExec(connection,
                   {"CREATE SEQUENCE public.orders", "SELECT setval('public.orders', 7)"});
  }
  ~RealPlace() override {
    pg::Connection target = real::MustConnect(TargetAdmin());
    const std::string name = pg::QuoteIdentifier(database_.name());
    real::MustExec(target, {"DROP DATABASE IF EXISTS " + name + " WITH (FORCE)",
                            "DROP ROLE IF EXISTS " + owner_.quoted()});
  }
  pg::ConnectOptions SourceAdmin() const override { return real::Servers().source; }
  pg::ConnectOptions TargetAdmin() const override { return real::Servers().target; }
  std::string database() const override { return database_.name(); }
  std::string owner() const override { return owner_.name(); }
  std::string password() const override { return owner_.password(); }
  std::string uid() const override { return uid_; }
  // A bound that is there is made short first, so that the test need not wait for all of it.
  void FallSilent(pg::Transaction& transaction) override {
    pg::Connection observer = real::MustConnect(SourceAdmin());
    const int pid = transaction.connection().backend_pid();
    auto bound = transaction.QueryOne({}, real::Soon(), kShorten);
    ASSERT_TRUE(bound) << bound.error().message;
    const bool ends = (*bound)[0].Text(0) != "0";
    const Deadline patience = ends ? real::Soon() : Deadline::After(std::chrono::milliseconds(300));
    while (!patience.Expired()) {
      if (real::MustRead(observer, kFindSession, {pid}).empty()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

 private:
  static constexpr char kShorten[] =
      "SELECT CASE current_setting('idle_in_transaction_session_timeout') WHEN '0' THEN '0'"
      " ELSE set_config('idle_in_transaction_session_timeout', '100ms', true) END";
  static constexpr char kFindSession[] = "SELECT pid FROM pg_stat_activity WHERE pid = $1";

  real::TestRole owner_{real::Servers().source};
  real::TestDatabase database_{real::Servers().source, owner_.name()};
  std::string uid_ = real::UniqueName("uid");
};

INSTANTIATE_TEST_SUITE_P(Postgres, PostgresContract,
                         ::testing::Values(PostgresSubject{
                             "Real", [] { return std::make_unique<RealPlace>(); }}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cutover::sim
