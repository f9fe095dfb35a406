// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/postgres/pooler_contract.h"

#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>

#include "postgres/server_probe.h"

namespace cutover::sim {
namespace {

using Outcome = PoolerPlace::Outcome;
using std::chrono::milliseconds;

Deadline Shortly() { return Deadline::After(milliseconds(3000)); }

}  // namespace

std::ostream& operator<<(std::ostream& out, const PoolerSubject& subject) {
  return out << subject.name;
}

int PoolerContract::SessionsThatStayOn(const pg::ConnectOptions& server) {
  const Deadline deadline = Soon();
  while (place_->SessionsOn(server) > 0 && !deadline.Expired())
    std::this_thread::sleep_for(milliseconds(20));
  return place_->SessionsOn(server);
}

pg::PoolerEntry PoolerContract::Entry() {
  auto facts = poolers_.Observe({}, Soon());
  if (!facts) throw std::runtime_error(facts.error().message);
  const pg::PoolerEntry* entry = facts->front().Find(place_->database());
  if (entry == nullptr) throw std::runtime_error("the pooler has no entry for the tenant");
  return *entry;
}

Result<pg::PauseReport> PoolerContract::Pause(std::function<Status()> end_transactions) {
  pg::PauseBounds bounds;
  bounds.wait = milliseconds(3000);
  bounds.end_transactions = std::move(end_transactions);
  return poolers_.Pause({}, Soon(), entries_, bounds);
}

pg::Connection PoolerContract::Connect(const pg::ConnectOptions& server) {
  auto connection = pg::Connection::Open({}, Soon(), server);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

pg::PoolerProof PoolerContract::ProofOf(const pg::ConnectOptions& server) {
  pg::Connection connection = Connect(server);
  auto identifier = pg::ReadSystemIdentifier({}, Soon(), connection);
  if (!identifier) throw std::runtime_error(identifier.error().message);
  return {place_->owner(), place_->password(), *identifier};
}

TEST_P(PoolerContract, SaysWhereItsEntryLeadsAndWhetherItIsPaused) {
  pg::PoolerEntry entry = Entry();
  EXPECT_EQ(entry.host, place_->host());
  EXPECT_EQ(entry.database, place_->database());
  EXPECT_EQ(entry.pool_mode, "transaction");
  EXPECT_FALSE(entry.paused);
  ASSERT_TRUE(Pause());
  EXPECT_TRUE(Entry().paused);
  ASSERT_TRUE(poolers_.Resume({}, Soon(), entries_));
  EXPECT_FALSE(Entry().paused);
}

TEST_P(PoolerContract, WhilePausedClientsWaitAndNobodyHasASessionOnTheServer) {
  ASSERT_EQ(Write(), Outcome::kDone);
  ASSERT_EQ(place_->SessionsOn(place_->SourceAdmin()), 1);
  ASSERT_TRUE(Pause());
  EXPECT_EQ(SessionsThatStayOn(place_->SourceAdmin()), 0);
  EXPECT_EQ(WriteAndSeeIfItWaits(), Outcome::kWaits);
  EXPECT_EQ(place_->RowsOn(place_->SourceAdmin()), 1);
  ASSERT_TRUE(poolers_.Resume({}, Soon(), entries_));
  EXPECT_EQ(Write(), Outcome::kDone);
  EXPECT_EQ(place_->RowsOn(place_->SourceAdmin()), 2);
}

TEST_P(PoolerContract, PausingWhatIsPausedAndResumingWhatIsNotIsNoError) {
  EXPECT_TRUE(poolers_.Resume({}, Soon(), entries_));
  EXPECT_TRUE(Pause());
  EXPECT_TRUE(Pause());
  EXPECT_TRUE(Entry().paused);
  EXPECT_TRUE(poolers_.Resume({}, Soon(), entries_));
  EXPECT_TRUE(poolers_.Resume({}, Soon(), entries_));
  EXPECT_EQ(Write(), Outcome::kDone);
}

TEST_P(PoolerContract, ItsConnectionStaysWhereItIsUntilAPauseAndThenGoesWhereTheHostLeads) {
  ASSERT_EQ(Write(), Outcome::kDone);
  place_->LeadToTarget();
  EXPECT_EQ(Write(), Outcome::kDone);
  EXPECT_EQ(place_->RowsOn(place_->SourceAdmin()), 2);
  EXPECT_EQ(place_->RowsOn(place_->TargetAdmin()), 0);
  ASSERT_TRUE(Pause());
  ASSERT_TRUE(poolers_.Resume({}, Soon(), entries_));
  EXPECT_EQ(Write(), Outcome::kDone);
  EXPECT_EQ(place_->RowsOn(place_->SourceAdmin()), 2);
  EXPECT_EQ(place_->RowsOn(place_->TargetAdmin()), 1);
}

TEST_P(PoolerContract, WhoWaitedGoesOnWhereTheHostLeadsByThen) {
  ASSERT_EQ(Write(), Outcome::kDone);
  ASSERT_TRUE(Pause());
  EXPECT_EQ(WriteAndSeeIfItWaits(), Outcome::kWaits);
  place_->FenceSource();
  place_->LeadToTarget();
  pg::Connection target = Connect(place_->TargetAdmin());
  int resumed = 0;
  const Status onto = poolers_.ResumeOnto({}, Soon(), entries_, ProofOf(place_->TargetAdmin()),
                                          target, [&resumed] { ++resumed; });
  EXPECT_TRUE(onto) << onto.error().message;
  EXPECT_EQ(resumed, 1);
  EXPECT_FALSE(Entry().paused);
  EXPECT_EQ(Write(), Outcome::kDone);
  EXPECT_EQ(place_->RowsOn(place_->SourceAdmin()), 1);
  EXPECT_EQ(place_->RowsOn(place_->TargetAdmin()), 1);
}

TEST_P(PoolerContract, WhoIsLetThroughToAFencedServerIsNotServed) {
  ASSERT_EQ(Write(), Outcome::kDone);
  place_->FenceSource();
  EXPECT_NE(WriteAndSeeIfItWaits(), Outcome::kDone);
  EXPECT_EQ(place_->RowsOn(place_->SourceAdmin()), 1);
}

TEST_P(PoolerContract, APauseThatATransactionIsInTheWayOfLeavesNobodyWaiting) {
  place_->HoldTransaction();
  const Result<pg::PauseReport> paused = Pause();
  ASSERT_FALSE(paused);
  EXPECT_EQ(paused.error().reason, "TransactionsOpen");
  EXPECT_EQ(paused.error().disposition, Disposition::kRetry);
  EXPECT_FALSE(Entry().paused);
  EXPECT_EQ(Write(), Outcome::kDone);
}

TEST_P(PoolerContract, ATransactionThatIsEndedIsNotInTheWay) {
  place_->HoldTransaction();
  pg::Connection source = Connect(place_->SourceAdmin());
  int ended = 0;
  const Result<pg::PauseReport> paused = Pause([&]() -> Status {
    TRY_ASSIGN(ended, pg::EndOpenTransactions({}, Soon(), source, place_->database(), {}));
    return Ok();
  });
  EXPECT_TRUE(paused) << paused.error().message;
  EXPECT_EQ(ended, 1);
  EXPECT_TRUE(Entry().paused);
  EXPECT_EQ(SessionsThatStayOn(place_->SourceAdmin()), 0);
}

TEST_P(PoolerContract, WhileItIsAwayEveryCallSaysSoAndNobodyIsServed) {
  ASSERT_EQ(Write(), Outcome::kDone);
  place_->Kill();
  const auto observed = poolers_.Observe({}, Shortly());
  const auto paused = Pause();
  const auto resumed = poolers_.Resume({}, Shortly(), entries_);
  ASSERT_FALSE(observed);
  ASSERT_FALSE(paused);
  ASSERT_FALSE(resumed);
  for (const Error* error : {&observed.error(), &paused.error(), &resumed.error()}) {
    EXPECT_EQ(error->reason, "PoolerUnreachable");
    EXPECT_EQ(error->disposition, Disposition::kRetry);
  }
  EXPECT_EQ(Write(), Outcome::kError);
  EXPECT_EQ(place_->RowsOn(place_->SourceAdmin()), 1);
}

TEST_P(PoolerContract, WhoWaitsWhenItDiesSeesAnError) {
  ASSERT_EQ(Write(), Outcome::kDone);
  ASSERT_TRUE(Pause());
  ASSERT_EQ(WriteAndSeeIfItWaits(), Outcome::kWaits);
  place_->Kill();
  EXPECT_EQ(Write(), Outcome::kError);
  EXPECT_EQ(place_->RowsOn(place_->SourceAdmin()), 1);
}

TEST_P(PoolerContract, ARestartForgetsThePause) {
  ASSERT_TRUE(Pause());
  place_->Kill();
  place_->Restart();
  EXPECT_FALSE(Entry().paused);
  EXPECT_EQ(Write(), Outcome::kDone);
}

TEST_P(PoolerContract, BeforeItIsResumedItIsSeenWhichServerItLeadsTo) {
  ASSERT_TRUE(Pause());
  const pg::PoolerProof source = ProofOf(place_->SourceAdmin());
  const pg::PoolerProof target = ProofOf(place_->TargetAdmin());
  ASSERT_NE(source.system_identifier, target.system_identifier);
  const Result<bool> at_source = poolers_.ProveBefore({}, Soon(), entries_, source);
  ASSERT_TRUE(at_source) << at_source.error().message;
  EXPECT_TRUE(*at_source);
  const Result<bool> too_early = poolers_.ProveBefore({}, Shortly(), entries_, target);
  ASSERT_FALSE(too_early);
  EXPECT_EQ(too_early.error().reason, "PoolerLeadsElsewhere");
  EXPECT_EQ(too_early.error().disposition, Disposition::kRetry);
  place_->LeadToTarget();
  const Result<bool> at_target = poolers_.ProveBefore({}, Soon(), entries_, target);
  ASSERT_TRUE(at_target) << at_target.error().message;
  EXPECT_TRUE(*at_target);
  EXPECT_TRUE(Entry().paused);
  EXPECT_EQ(SessionsThatStayOn(place_->TargetAdmin()), 0);
}

TEST_P(PoolerContract, ResumedOntoAServerThatItDoesNotLeadToItIsResumedAndThatIsSaid) {
  ASSERT_TRUE(Pause());
  pg::Connection target = Connect(place_->TargetAdmin());
  int resumed = 0;
  const Status onto = poolers_.ResumeOnto({}, Shortly(), entries_, ProofOf(place_->TargetAdmin()),
                                          target, [&resumed] { ++resumed; });
  ASSERT_FALSE(onto);
  EXPECT_EQ(onto.error().reason, "PoolerLeadsElsewhere");
  EXPECT_EQ(resumed, 1);
  EXPECT_FALSE(Entry().paused);
}

}  // namespace cutover::sim
