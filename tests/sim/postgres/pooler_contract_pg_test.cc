// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <optional>
#include <thread>

#include "postgres/simple_session.h"
#include "tests/postgres/pooler/pooled_tenant.h"
#include "tests/postgres/servers.h"
#include "tests/sim/postgres/pooler_contract.h"

namespace cutover::sim {
namespace {

namespace real = pg::testing;

class RealPlace final : public PoolerPlace {
 public:
  pg::PoolerLogin Admin() const override { return pooler_.Admin(); }
  std::string database() const override { return tenant_.name(); }
  std::string host() const override { return "127.0.0.1"; }
  pg::ConnectOptions SourceAdmin() const override { return tenant_.source(); }
  pg::ConnectOptions TargetAdmin() const override { return tenant_.target(); }
  std::string owner() const override { return tenant_.name(); }
  std::string password() const override { return tenant_.password(); }

  Outcome Write(std::chrono::milliseconds patience) override {
    if (!client_) {
      auto opened = Open();
      if (!opened) return Outcome::kError;
      client_ = std::move(*opened);
      waits_ = false;
    }
    if (!waits_ && !client_->Send("INSERT INTO public.written VALUES (1, 1)")) return Gone();
    const Deadline deadline = Deadline::After(patience);
    while (!deadline.Expired()) {
      auto answered = client_->Answered();
      if (!answered) return Gone();
      waits_ = !answered->has_value();
      if (!waits_) return Outcome::kDone;
      client_->AwaitInput(std::chrono::milliseconds(20));
    }
    return Outcome::kWaits;
  }
  int RowsOn(const pg::ConnectOptions& server) override {
    pg::Connection admin = real::MustConnect(server);
    return std::stoi(real::MustRead(admin, "SELECT count(*) FROM public.written").front());
  }
  int SessionsOn(const pg::ConnectOptions& server) override { return tenant_.Sessions(server); }
  void LeadToTarget() override { tenant_.LeadToTarget(); }
  void FenceSource() override { tenant_.Fence(tenant_.source()); }
  void HoldTransaction() override {
    auto opened = Open();
    ASSERT_TRUE(opened) << opened.error().message;
    holder_ = std::move(*opened);
    ASSERT_TRUE(holder_->Query({}, real::Soon(), "BEGIN"));
    ASSERT_TRUE(holder_->Query({}, real::Soon(), "SELECT 1"));
  }
  void Kill() override { pooler_.Kill(); }
  void Restart() override { pooler_.Start(); }

 private:
  Result<pg::SimpleSession> Open() {
    return pg::SimpleSession::Open({}, real::Soon(), pooler_.As(tenant_.name(), tenant_.password()),
                                   tenant_.name());
  }
  Outcome Gone() {
    client_.reset();
    return Outcome::kError;
  }

  real::PooledTenant tenant_;
  real::OwnPooler pooler_{tenant_.Options()};
  std::optional<pg::SimpleSession> client_, holder_;
  bool waits_ = false;  // For the answer to its last statement.
};

INSTANTIATE_TEST_SUITE_P(PgBouncer, PoolerContract,
                         ::testing::Values(PoolerSubject{
                             "Real", [] { return std::make_unique<RealPlace>(); }}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cutover::sim
