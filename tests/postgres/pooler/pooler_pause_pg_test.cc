// SPDX-License-Identifier: Apache-2.0
//
// Pausing: everybody waits and nobody sees an error, or everybody goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "postgres/pooler_console.h"
#include "postgres/simple_session.h"
#include "tests/least_time.h"
#include "tests/postgres/pooler/pooled_tenant.h"
#include "tests/postgres/servers.h"

namespace cutover::pg::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

PauseBounds Within(milliseconds wait) {
  PauseBounds bounds;
  bounds.wait = wait;
  return bounds;
}

/// A client with an open transaction, which it has written into.
class OpenTransaction {
 public:
  OpenTransaction(const PooledTenant& tenant, const OwnPooler& pooler)
      : session_(*SimpleSession::Open({}, Soon(), pooler.As(tenant.name(), tenant.password()),
                                      tenant.name())) {
    EXPECT_TRUE(session_.Query({}, Soon(), "BEGIN"));
    EXPECT_TRUE(session_.Query({}, Soon(), "INSERT INTO public.written VALUES (99, 1)"));
  }
  Status Commit() {
    TRY(session_.Query({}, Soon(), "COMMIT"));
    return Ok();
  }

 private:
  SimpleSession session_;
};

class Pausing : public ::testing::Test {
 protected:
  PoolerEntry EntryAt(const OwnPooler& pooler) const {
    Poolers alone({pooler.Admin()});
    const auto facts = alone.Observe({}, Soon());
    EXPECT_TRUE(facts) << facts.error().message;
    const PoolerEntry* entry = facts->front().Find(tenant_.name());
    EXPECT_NE(entry, nullptr);
    return *entry;
  }
  int RowsOfTheOpenTransaction() const {
    Connection admin = MustConnect(tenant_.source());
    return std::stoi(
        MustRead(admin, "SELECT count(*) FROM public.written WHERE writer = 99").front());
  }

  PooledTenant tenant_;
  OwnPooler first_{tenant_.Options()};
  OwnPooler second_{tenant_.Options()};
  Poolers poolers_{{first_.Admin(), second_.Admin()}};
  const std::vector<std::string> entries_{tenant_.name()};
};

TEST_F(Pausing, LeavesNoConnectionToTheServerAndResumingTwiceIsNoError) {
  Writer one(tenant_, first_, 1), two(tenant_, second_, 2);
  Result<PauseReport> paused = poolers_.Pause({}, Soon(), entries_, {});
  ASSERT_TRUE(paused) << paused.error().message;
  EXPECT_FALSE(paused->transactions_ended);
  EXPECT_EQ(tenant_.SessionsThatStay(tenant_.source()), 0);
  for (const OwnPooler* pooler : {&first_, &second_}) {
    const PoolerEntry entry = EntryAt(*pooler);
    EXPECT_TRUE(entry.paused);
    EXPECT_EQ(entry.servers, 0);
    EXPECT_EQ(entry.database, tenant_.name());
    EXPECT_EQ(entry.host, "127.0.0.1");
  }
  // Pausing what is paused, by a leader that died and came back.
  EXPECT_TRUE(poolers_.Pause({}, Soon(), entries_, {}));
  ASSERT_TRUE(poolers_.Resume({}, Soon(), entries_));
  EXPECT_TRUE(poolers_.Resume({}, Soon(), entries_));
  EXPECT_TRUE(poolers_.Resume({}, Soon(), {"nobody has come to this one yet"}));
  const auto took = [this] {
    const Result<PauseReport> again = poolers_.Pause({}, Soon(), entries_, {});
    EXPECT_TRUE(poolers_.Resume({}, Soon(), entries_));
    return again ? again->took : milliseconds::max();
  };
  EXPECT_LT(LeastTime(milliseconds(2000), took), milliseconds(2000));
  AwaitProgress({&one, &two});
  one.Stop();
  two.Stop();
  EXPECT_THAT(one.errors(), IsEmpty());
  EXPECT_THAT(two.errors(), IsEmpty());
}

TEST_F(Pausing, AnOpenTransactionDelaysItAndPastTheBoundEverybodyGoesOn) {
  Writer one(tenant_, first_, 1), two(tenant_, second_, 2);
  OpenTransaction open(tenant_, second_);
  Result<PauseReport> paused = poolers_.Pause({}, Soon(), entries_, Within(milliseconds(300)));
  ASSERT_FALSE(paused);
  EXPECT_EQ(paused.error().reason, "TransactionsOpen");
  EXPECT_EQ(paused.error().disposition, Disposition::kRetry);
  EXPECT_THAT(paused.error().message, HasSubstr(tenant_.name() + " at 127.0.0.1 (cutover)"));
  EXPECT_FALSE(EntryAt(first_).paused) << "one of two that cannot pause makes all go on";
  EXPECT_FALSE(EntryAt(second_).paused);
  AwaitProgress({&one, &two});
  EXPECT_TRUE(open.Commit()) << "nobody was hurt";
  EXPECT_EQ(RowsOfTheOpenTransaction(), 1);
  one.Stop();
  two.Stop();
  EXPECT_THAT(one.errors(), IsEmpty());
  EXPECT_THAT(two.errors(), IsEmpty());
}

TEST_F(Pausing, AConnectionThatWasJustBeingOpenedDoesNotCostThoseResumedFifteenSeconds) {
  // The way to the server hangs, so that PAUSE meets a login in progress and closes it; PgBouncer
  // takes that for a server that refuses logins.
  Writer idle(tenant_, second_, 1);
  tenant_.Hang(true);
  auto arriving = std::async(std::launch::async, [&] {
    return AskThroughPooler({}, Soon(), first_.Admin(), tenant_.name(), tenant_.name(),
                            tenant_.password());
  });
  while (EntryAt(first_).servers == 0) std::this_thread::sleep_for(milliseconds(5));
  Poolers poolers({first_.Admin()});
  ASSERT_TRUE(poolers.Pause({}, Soon(), entries_, {}));
  tenant_.Hang(false);
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(poolers.Resume({}, Soon(), entries_));
  const Result<std::string> answer = arriving.get();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(14));
}

TEST_F(Pausing, ATransactionThatEndsWithinTheBoundIsCommitted) {
  OpenTransaction open(tenant_, first_);
  auto paused = std::async(std::launch::async, [&] {
    return poolers_.Pause({}, Soon(), entries_, Within(milliseconds(50'000)));
  });
  while (!EntryAt(first_).paused) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_TRUE(open.Commit());
  const Result<PauseReport> report = paused.get();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_LT(report->took, milliseconds(40'000)) << "it does not sleep until its bound";
  EXPECT_EQ(RowsOfTheOpenTransaction(), 1);
}

TEST_F(Pausing, TransactionsPastTheBoundAreEndedWhereTheCallerSaysSo) {
  OpenTransaction open(tenant_, first_);
  Connection admin = MustConnect(tenant_.source());
  PauseBounds bounds = Within(milliseconds(200));
  int ended = 0;
  bounds.end_transactions = [&]() -> Status {
    TRY_ASSIGN(ended, EndOpenTransactions({}, Soon(), admin, tenant_.name(), {}));
    return Ok();
  };
  Result<PauseReport> paused = poolers_.Pause({}, Soon(), entries_, bounds);
  ASSERT_TRUE(paused) << paused.error().message;
  EXPECT_TRUE(paused->transactions_ended);
  EXPECT_EQ(ended, 1);
  EXPECT_FALSE(open.Commit()) << "its client must see an error";
  EXPECT_EQ(RowsOfTheOpenTransaction(), 0);
}

TEST_F(Pausing, AResumeOfSomebodyElseIsToldInsteadOfWaitedFor) {
  OpenTransaction open(tenant_, first_);
  auto paused = std::async(std::launch::async, [&] {
    return poolers_.Pause({}, Soon(), entries_, Within(milliseconds(50'000)));
  });
  while (!EntryAt(first_).paused) std::this_thread::sleep_for(milliseconds(5));
  // PgBouncer never answers that PAUSE now (pgbouncer#715).
  const auto start = std::chrono::steady_clock::now();
  Poolers somebody({first_.Admin()});
  ASSERT_TRUE(somebody.Resume({}, Soon(), entries_));
  const Result<PauseReport> report = paused.get();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().reason, "PoolerResumed");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(40));
  EXPECT_FALSE(EntryAt(second_).paused);
}

TEST_F(Pausing, AnotherPausedDatabaseWithOpenTransactionsDoesNotHoldItUp) {
  PooledTenant neighbour;
  OwnPoolerOptions options = tenant_.Options();
  options.entries.push_back(neighbour.Entry(neighbour.name()));
  options.users.emplace_back(neighbour.name(), neighbour.password());
  OwnPooler shared(options);
  OpenTransaction of_neighbour(neighbour, shared);
  SimpleSession console = *SimpleSession::Open({}, Soon(), shared.Admin(), "pgbouncer");
  ASSERT_TRUE(console.Send("PAUSE " + neighbour.name()));

  Writer writer(tenant_, shared, 1);
  Poolers poolers({shared.Admin()});
  const Result<PauseReport> paused =
      poolers.Pause({}, Soon(), entries_, Within(milliseconds(50'000)));
  ASSERT_TRUE(paused) << paused.error().message;
  EXPECT_LT(paused->took, milliseconds(40'000)) << "PgBouncer's own answer waits for both";
  ASSERT_TRUE(poolers.Resume({}, Soon(), entries_));
  EXPECT_TRUE(of_neighbour.Commit());
}

TEST_F(Pausing, SessionPoolingIsRefusedBeforeAnybodyWaits) {
  OwnPoolerOptions by_entry = tenant_.Options();
  by_entry.entries = {tenant_.Entry(tenant_.name(), "pool_mode=session")};
  OwnPoolerOptions by_default = tenant_.Options();
  by_default.settings = {"pool_mode = session"};
  OwnPoolerOptions by_user = tenant_.Options();
  by_user.settings = {"[users]", tenant_.name() + " = pool_mode=session"};
  for (const OwnPoolerOptions& options : {by_entry, by_default, by_user}) {
    OwnPooler sessions(options);
    Writer writer(tenant_, sessions, 1);
    Poolers poolers({sessions.Admin(), first_.Admin()});
    const Result<PauseReport> paused = poolers.Pause({}, Soon(), entries_, {});
    ASSERT_FALSE(paused);
    EXPECT_EQ(paused.error().reason, "PoolerObstacle");
    EXPECT_EQ(paused.error().disposition, Disposition::kTerminal);
    EXPECT_THAT(paused.error().message, HasSubstr("set pool_mode = transaction"));
    EXPECT_FALSE(EntryAt(first_).paused);
  }
}

TEST_F(Pausing, APoolerThatHangsOrIsGoneLetsTheOthersGoOn) {
  Writer one(tenant_, first_, 1);
  Poolers fresh({first_.Admin(), second_.Admin()});
  for (bool gone : {false, true}) {
    if (gone)
      second_.Kill();
    else
      second_.Freeze();
    const auto start = std::chrono::steady_clock::now();
    const Result<PauseReport> paused = fresh.Pause({}, Soon(), entries_, {});
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(40));
    if (!gone) second_.Thaw();
    ASSERT_FALSE(paused);
    EXPECT_EQ(paused.error().reason, "PoolerUnreachable");
    EXPECT_THAT(paused.error().message, HasSubstr(second_.Admin().Describe()));
    EXPECT_FALSE(EntryAt(first_).paused);
    AwaitProgress({&one});
  }
  second_.Start();
  one.Stop();
  EXPECT_THAT(one.errors(), IsEmpty());
}

TEST_F(Pausing, AWrongPasswordAndAnOnlookerAreRefusedForGood) {
  PoolerLogin wrong = first_.Admin();
  wrong.password = "guessed";
  Poolers guessing({wrong});
  const auto facts = guessing.Observe({}, Soon());
  ASSERT_FALSE(facts);
  EXPECT_EQ(facts.error().reason, "PoolerRefused");
  EXPECT_EQ(facts.error().disposition, Disposition::kTerminal);
  EXPECT_THAT(facts.error().message, Not(HasSubstr("guessed")));

  PoolerLogin onlooker = first_.Admin();
  onlooker.user = "onlooker";
  Poolers looking({onlooker});
  EXPECT_TRUE(looking.Observe({}, Soon()));
  const Result<PauseReport> paused = looking.Pause({}, Soon(), entries_, {});
  ASSERT_FALSE(paused);
  EXPECT_EQ(paused.error().reason, "PoolerRefused");
  EXPECT_THAT(paused.error().message, HasSubstr("admin_users"));
}

TEST_F(Pausing, WhatSomebodyElsePausedAsAWholeIsNotOursToUse) {
  SimpleSession console = *SimpleSession::Open({}, Soon(), first_.Admin(), "pgbouncer");
  ASSERT_TRUE(console.Query({}, Soon(), "PAUSE"));
  const Result<PauseReport> paused =
      poolers_.Pause({}, Soon(), entries_, Within(milliseconds(500)));
  ASSERT_FALSE(paused);
  EXPECT_EQ(paused.error().reason, "PoolerPausedByOther");
  EXPECT_FALSE(EntryAt(second_).paused);
}

TEST_F(Pausing, AnEntryMayHaveAnyNameThatTheConsoleCanBeTold) {
  OwnPoolerOptions options = tenant_.Options();
  options.entries = {tenant_.Entry("Acme-Prod.eu", "dbname=" + tenant_.name())};
  OwnPooler pooler(options);
  Poolers poolers({pooler.Admin()});
  ASSERT_TRUE(poolers.Pause({}, Soon(), {"Acme-Prod.eu"}, {}));
  const auto facts = poolers.Observe({}, Soon());
  ASSERT_TRUE(facts);
  EXPECT_TRUE(facts->front().Find("Acme-Prod.eu")->paused);
  EXPECT_EQ(facts->front().Find("Acme-Prod.eu")->database, tenant_.name());
  EXPECT_TRUE(poolers.Resume({}, Soon(), {"Acme-Prod.eu"}));

  EXPECT_EQ(ConsoleName("acme_1"), "acme_1");
  EXPECT_EQ(ConsoleName("acme-1"), "\"acme-1\"");
  EXPECT_EQ(ConsoleName("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(ConsoleName(std::string(63, 'a')), std::string(63, 'a'));
  EXPECT_EQ(ConsoleName(std::string(62, '-')), std::nullopt)
      << "PgBouncer cuts it, with its quotes";
  EXPECT_EQ(ConsoleName(""), std::nullopt) << "without a name it would pause everybody";
}

}  // namespace
}  // namespace cutover::pg::testing
