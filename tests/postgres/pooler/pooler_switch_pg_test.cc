// SPDX-License-Identifier: Apache-2.0
//
// The switch behind a pause: clients go on where they should, and it is proven before anybody
// relies on it. A relay stands for the Service that the poolers have as their host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>

#include "postgres/simple_session.h"
#include "tests/postgres/pooler/pooled_tenant.h"
#include "tests/postgres/servers.h"

namespace cutover::pg::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Deadline InMilliseconds(int64_t count) { return Deadline::After(milliseconds(count)); }

class Switching : public ::testing::Test {
 protected:
  std::string LoginRetryOf(const OwnPooler& pooler) const {
    SimpleSession console = *SimpleSession::Open({}, Soon(), pooler.Admin(), "pgbouncer");
    const auto settings = console.Query({}, Soon(), "SHOW CONFIG");
    for (const SimpleSession::Row& setting : *settings)
      if (setting.at("key") == "server_login_retry") return setting.at("value");
    return "";
  }

  PooledTenant tenant_;
  OwnPooler first_{tenant_.Options()};
  OwnPooler second_{tenant_.Options()};
  Poolers poolers_{{first_.Admin(), second_.Admin()}};
  const std::vector<std::string> entries_{tenant_.name()};
};

TEST_F(Switching, ThereAndBackClientsSeeLatencyAndNoError) {
  std::vector<std::unique_ptr<Writer>> writers;
  for (int i = 0; i < 4; ++i)
    writers.push_back(std::make_unique<Writer>(tenant_, i % 2 == 0 ? first_ : second_, i));
  const std::vector<const Writer*> all = {writers[0].get(), writers[1].get(), writers[2].get(),
                                          writers[3].get()};
  tenant_.Fence(tenant_.target());  // closed from creation
  for (const ConnectOptions& to : {tenant_.target(), tenant_.source()}) {
    const bool there = to.port == tenant_.target().port;
    const ConnectOptions& from = there ? tenant_.source() : tenant_.target();
    tenant_.MoveBehindAPause(poolers_, from, to);
    const PoolerProof proof = tenant_.Proof(to);
    Connection admin = MustConnect(to);
    const Result<bool> proven = poolers_.ProveBefore({}, Soon(), entries_, proof);
    ASSERT_TRUE(proven) << proven.error().message;
    EXPECT_TRUE(*proven) << "each pooler has an entry to ask through";
    EXPECT_EQ(tenant_.SessionsThatStay(to), 0) << "the tenant's own entry is still paused";
    const Status resumed = poolers_.ResumeOnto({}, Soon(), entries_, proof, admin);
    ASSERT_TRUE(resumed) << resumed.error().message;
    AwaitProgress(all);
    EXPECT_EQ(tenant_.SessionsThatStay(from), 0);
    EXPECT_GT(tenant_.Sessions(to), 0);
  }
  for (const auto& writer : writers) writer->Stop();
  for (const auto& writer : writers) {
    EXPECT_THAT(writer->errors(), IsEmpty());
    EXPECT_LT(writer->longest(), milliseconds(14'000)) << "no server_login_retry of 15 s";
    ExpectAllWritten(tenant_.source(), *writer);
  }
  EXPECT_EQ(LoginRetryOf(first_), "15");
}

// What a client prepared on a connection of the source is gone with it: on the target the same name
// is free, and what is prepared there is planned there.
TEST_F(Switching, Trap77_NoStatementThatWasPreparedOnTheSourceOutlivesTheSwitch) {
  tenant_.Fence(tenant_.target());  // closed from creation
  SimpleSession client = *SimpleSession::Open(
      {}, Soon(), first_.As(tenant_.name(), tenant_.password()), tenant_.name());
  auto ask = [&](const char* statement) {
    const auto rows = client.Query({}, Soon(), statement);
    EXPECT_TRUE(rows) << statement << ": " << rows.error().message;
    return rows && !rows->empty() ? rows->front().begin()->second : "";
  };
  const char* prepare = "PREPARE total AS SELECT count(*) FROM written";
  const char* prepared = "SELECT count(*) FROM pg_prepared_statements";
  ask(prepare);
  EXPECT_EQ(ask("EXECUTE total"), "0");
  EXPECT_EQ(ask(prepared), "1") << "it stays with the pooler's connection";
  tenant_.MoveBehindAPause(poolers_, tenant_.source(), tenant_.target());
  Connection target = MustConnect(tenant_.target());
  MustExec(target, {"INSERT INTO public.written VALUES (1, 1), (1, 2)"});
  const Status resumed =
      poolers_.ResumeOnto({}, Soon(), entries_, tenant_.Proof(tenant_.target()), target);
  ASSERT_TRUE(resumed) << resumed.error().message;
  EXPECT_EQ(ask(prepared), "0") << "the client's own session has lived on";
  ask(prepare);
  EXPECT_EQ(ask("EXECUTE total"), "2");
  EXPECT_EQ(tenant_.SessionsThatStay(tenant_.source()), 0);
}

TEST_F(Switching, BeforeResumingItIsSeenThatAPoolerStillLeadsElsewhere) {
  ASSERT_TRUE(poolers_.Pause({}, Soon(), entries_, {}));
  const PoolerProof target = tenant_.Proof(tenant_.target());
  const Result<bool> proven = poolers_.ProveBefore({}, InMilliseconds(3000), entries_, target);
  ASSERT_FALSE(proven);
  EXPECT_EQ(proven.error().reason, "PoolerLeadsElsewhere");
  EXPECT_EQ(proven.error().disposition, Disposition::kRetry);
  EXPECT_THAT(proven.error().message, HasSubstr("but it should be"));
  // A Service that takes its time is waited for.
  auto waiting = std::async(std::launch::async,
                            [&] { return poolers_.ProveBefore({}, Soon(), entries_, target); });
  std::this_thread::sleep_for(milliseconds(300));
  tenant_.LeadToTarget();
  const Result<bool> later = waiting.get();
  ASSERT_TRUE(later) << later.error().message;
  EXPECT_TRUE(*later);
  EXPECT_EQ(LoginRetryOf(second_), "15");
}

TEST_F(Switching, WithoutAnEntryToAskThroughNothingIsClaimed) {
  OwnPooler bare(tenant_.Options(/*with_probe_entry=*/false));
  Poolers poolers({first_.Admin(), bare.Admin()});
  ASSERT_TRUE(poolers.Pause({}, Soon(), entries_, {}));
  const Result<bool> proven =
      poolers.ProveBefore({}, Soon(), entries_, tenant_.Proof(tenant_.source()));
  ASSERT_TRUE(proven) << proven.error().message;
  EXPECT_FALSE(*proven);
  const auto facts = poolers.Observe({}, Soon());
  ASSERT_TRUE(facts);
  EXPECT_EQ(ProbeObstacle(facts->front(), entries_), "");
  EXPECT_THAT(ProbeObstacle(facts->back(), entries_), HasSubstr("add \"postgres = host=127.0.0.1"));
}

TEST_F(Switching, AProbeEntryWhoseDatabaseTheTenantMayNotEnterKeepsNobodyWaiting) {
  const std::string closed = tenant_.name() + "_closed";
  Connection admin = MustConnect(tenant_.source().WithDatabase("postgres"));
  MustExec(admin, {"CREATE DATABASE " + closed});
  MustExec(admin, {"REVOKE CONNECT ON DATABASE " + closed + " FROM PUBLIC"});
  OwnPoolerOptions options = tenant_.Options(/*with_probe_entry=*/false);
  options.entries.push_back(tenant_.Entry(closed, "pool_mode=session"));
  for (const char* when : {"it is refused", "it is gone"}) {
    SCOPED_TRACE(when);
    OwnPooler pooler(options);
    Poolers poolers({pooler.Admin()});
    ASSERT_TRUE(poolers.Pause({}, Soon(), entries_, {}));
    const Result<bool> proven =
        poolers.ProveBefore({}, Soon(), entries_, tenant_.Proof(tenant_.source()));
    EXPECT_TRUE(proven) << proven.error().message;
    EXPECT_FALSE(proven && *proven);
    MustExec(admin, {"DROP DATABASE IF EXISTS " + closed + " WITH (FORCE)"});
  }
}

// Nor does a look at all of them take longer than one answer may.
TEST_F(Switching, APoolerThatHangsKeepsNobodyWaitingButItsOwnClients) {
  Writer writer(tenant_, first_, 1);
  tenant_.Fence(tenant_.target());  // closed from creation
  tenant_.MoveBehindAPause(poolers_, tenant_.source(), tenant_.target());
  second_.Freeze();
  const PoolerProof proof = tenant_.Proof(tenant_.target());
  Connection admin = MustConnect(tenant_.target());
  const auto start = std::chrono::steady_clock::now();
  const PoolerLook look = poolers_.Look({}, Soon());
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(3000));
  ASSERT_EQ(look.facts.size(), 1u);
  ASSERT_TRUE(look.silent);
  EXPECT_THAT(look.silent->message, HasSubstr(second_.Admin().Describe()));
  const Result<bool> proven = poolers_.ProveBefore({}, Soon(), entries_, proof);
  ASSERT_FALSE(proven);
  EXPECT_EQ(proven.error().reason, "PoolerUnreachable");
  int resumed = 0;
  const Status onto =
      poolers_.ResumeOnto({}, Soon(), entries_, proof, admin, [&resumed] { ++resumed; });
  ASSERT_FALSE(onto);
  EXPECT_EQ(onto.error().reason, "PoolerNotResumed");
  EXPECT_THAT(onto.error().message, HasSubstr(second_.Admin().Describe()));
  EXPECT_EQ(resumed, 1);
  AwaitProgress({&writer});
  EXPECT_TRUE(poolers_.Look({}, Soon()).facts.front().proven);
  EXPECT_FALSE(poolers_.Pause({}, Soon(), entries_, {})) << "which needs all of them";
  AwaitProgress({&writer});
  second_.Thaw();
  const Status later = poolers_.ResumeOnto({}, Soon(), entries_, proof, admin);
  ASSERT_TRUE(later) << later.error().message;
  Writer other(tenant_, second_, 2);
  AwaitProgress({&writer, &other});
  for (Writer* each : {&writer, &other}) {
    each->Stop();
    EXPECT_THAT(each->errors(), IsEmpty());
    ExpectAllWritten(tenant_.target(), *each);
  }
}

// A readiness probe through the paused entry is enough for that.
TEST_F(Switching, APoolerThatIsNotReadyIsResumedAndNotWaitedFor) {
  ASSERT_TRUE(poolers_.Pause({}, Soon(), entries_, {}));
  PoolerLogin unready = second_.Admin();
  unready.ready = false;
  Poolers later({first_.Admin(), unready});
  // It has 200 ms for an answer, in which a busy machine may give it none; each round asks again.
  const Deadline patience = Soon();
  while (later.Look({}, Soon()).facts.size() < 2u) ASSERT_FALSE(patience.Expired());
  EXPECT_EQ(later.Observe({}, Soon())->size(), 1u);
  const PoolerProof source = tenant_.Proof(tenant_.source());
  Connection admin = MustConnect(tenant_.source());
  do {
    ASSERT_FALSE(patience.Expired()) << "it is resumed, too";
    ASSERT_TRUE(later.ResumeOnto({}, Soon(), entries_, source, admin));
  } while (poolers_.Observe({}, Soon())->back().Find(tenant_.name())->paused);
  second_.Freeze();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(later.Look({}, Soon()).facts.size(), 1u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(1900)) << "of what others get";
  second_.Thaw();
  second_.Kill();
  EXPECT_FALSE(later.Look({}, Soon()).silent);
  EXPECT_TRUE(later.ResumeOnto({}, Soon(), entries_, source, admin));
  ASSERT_TRUE(later.Pause({}, Soon(), entries_, {})) << "of those that are ready";
  EXPECT_TRUE(later.Resume({}, Soon(), entries_));
}

TEST_F(Switching, ResumingTooEarlyCostsAMomentAndNoWrite) {
  Writer writer(tenant_, first_, 1);
  Result<PauseReport> paused = poolers_.Pause({}, Soon(), entries_, {});
  ASSERT_TRUE(paused) << paused.error().message;
  tenant_.Fence(tenant_.source());
  tenant_.CarryRows(tenant_.source(), tenant_.target());
  const PoolerProof proof = tenant_.Proof(tenant_.target());
  Connection admin = MustConnect(tenant_.target());
  // The relay still leads to the source, which refuses; without the lowered server_login_retry
  // PgBouncer would not try again for 15 s. Whether the writer sees errors is up to its version.
  auto resuming = std::async(
      std::launch::async, [&] { return poolers_.ResumeOnto({}, Soon(), entries_, proof, admin); });
  std::this_thread::sleep_for(milliseconds(800));
  tenant_.LeadToTarget();
  const auto moved = std::chrono::steady_clock::now();
  const Status resumed = resuming.get();
  ASSERT_TRUE(resumed) << resumed.error().message;
  AwaitProgress({&writer});
  EXPECT_LT(std::chrono::steady_clock::now() - moved, std::chrono::seconds(14));
  writer.Stop();
  ExpectAllWritten(tenant_.target(), writer);
  EXPECT_EQ(LoginRetryOf(first_), "15");
}

TEST_F(Switching, AConnectionThatLeadsElsewhereIsFound) {
  Writer writer(tenant_, first_, 1);
  ASSERT_TRUE(poolers_.Pause({}, Soon(), entries_, {}));
  // The fault: the way leads to the source, and the source is asked, but it is not the server
  // whose sessions count.
  Connection other = MustConnect(tenant_.target());
  const Status resumed = poolers_.ResumeOnto({}, InMilliseconds(3000), entries_,
                                             tenant_.Proof(tenant_.source()), other);
  ASSERT_FALSE(resumed);
  EXPECT_EQ(resumed.error().reason, "PoolerLeadsElsewhere");
  EXPECT_THAT(resumed.error().message, HasSubstr("RECONNECT"));
  AwaitProgress({&writer});
}

// Its entry names the server and not the Service.
TEST_F(Switching, APoolerThatLeadsElsewhereKeepsNoOtherFromBeingProven) {
  OwnPoolerOptions options = tenant_.Options(/*with_probe_entry=*/false);
  options.entries = {tenant_.name() +
                     " = host=127.0.0.1 port=" + std::to_string(tenant_.source().port)};
  OwnPooler astray(options);
  Poolers poolers({astray.Admin(), first_.Admin()});
  Writer writer(tenant_, first_, 1);
  tenant_.Fence(tenant_.target());  // closed from creation
  tenant_.MoveBehindAPause(poolers, tenant_.source(), tenant_.target());
  Connection admin = MustConnect(tenant_.target());
  const Status resumed = poolers.ResumeOnto({}, InMilliseconds(3000), entries_,
                                            tenant_.Proof(tenant_.target()), admin);
  ASSERT_FALSE(resumed);
  EXPECT_EQ(resumed.error().reason, "PoolerLeadsElsewhere");
  EXPECT_THAT(resumed.error().message, HasSubstr(astray.Admin().Describe()));
  const PoolerLook look = poolers.Look({}, Soon());
  ASSERT_EQ(look.facts.size(), 2u);
  EXPECT_FALSE(look.facts.front().proven);
  EXPECT_TRUE(look.facts.back().proven);
  AwaitProgress({&writer});
  writer.Stop();
  EXPECT_THAT(writer.errors(), IsEmpty());
  ExpectAllWritten(tenant_.target(), writer);
}

TEST_F(Switching, ThePoolersWayIsAskedAndNotBelieved) {
  ASSERT_TRUE(poolers_.Pause({}, Soon(), entries_, {}));
  Connection target = MustConnect(tenant_.target());
  const Status resumed = poolers_.ResumeOnto({}, InMilliseconds(3000), entries_,
                                             tenant_.Proof(tenant_.target()), target);
  ASSERT_FALSE(resumed);
  EXPECT_EQ(resumed.error().reason, "PoolerLeadsElsewhere");
  EXPECT_EQ(LoginRetryOf(first_), "15");
}

TEST_F(Switching, APoolerKilledWhilePausedWritesNowhereItShouldNotAndGoesOnOnTheTarget) {
  Writer writer(tenant_, first_, 1);
  ASSERT_TRUE(poolers_.Pause({}, Soon(), entries_, {}));
  tenant_.Fence(tenant_.source());
  tenant_.CarryRows(tenant_.source(), tenant_.target());
  first_.Kill();
  first_.Start();
  const auto facts = poolers_.Observe({}, Soon());
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_FALSE(facts->front().Find(tenant_.name())->paused) << "it has forgotten";
  // The writer is back and is refused by the fence: errors, but not one write on the source.
  const int before = writer.acknowledged();
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(writer.acknowledged(), before);

  tenant_.LeadToTarget();
  const PoolerProof proof = tenant_.Proof(tenant_.target());
  Connection admin = MustConnect(tenant_.target());
  const auto start = std::chrono::steady_clock::now();
  const Status resumed = poolers_.ResumeOnto({}, Soon(), entries_, proof, admin);
  ASSERT_TRUE(resumed) << resumed.error().message;
  AwaitProgress({&writer});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(14))
      << "no server_login_retry of 15 s";
  writer.Stop();
  EXPECT_FALSE(writer.errors().empty()) << "the kill itself cannot be hidden from clients";
  ExpectAllWritten(tenant_.target(), writer);
}

TEST_F(Switching, WhatADeadOperatorHasLoweredBecomesTheDefaultAgain) {
  {
    SimpleSession console = *SimpleSession::Open({}, Soon(), first_.Admin(), "pgbouncer");
    ASSERT_TRUE(console.Query({}, Soon(), "SET server_login_retry = '0.05'"));
  }
  Connection source = MustConnect(tenant_.source());
  ASSERT_TRUE(poolers_.ResumeOnto({}, Soon(), entries_, tenant_.Proof(tenant_.source()), source));
  EXPECT_EQ(LoginRetryOf(first_), "15");
}

}  // namespace
}  // namespace cutover::pg::testing
