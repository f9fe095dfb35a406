// SPDX-License-Identifier: Apache-2.0
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

 private:
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
