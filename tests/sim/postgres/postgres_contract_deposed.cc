// SPDX-License-Identifier: Apache-2.0
//
// What keeps a leader that froze, and wakes when another has taken over, from acting late: every
// run of the simulation with a second leader takes it from the model.
#include "postgres/idle_transaction.h"
#include "postgres/snapshot.h"
#include "tests/sim/postgres/postgres_contract.h"

namespace cutover::sim {
namespace {

using pg::ControlState;

// After so long without a word from its client the server ends the session's transaction.
std::string SilenceMax(pg::Connection& connection) {
  auto rows =
      connection.QueryOne({}, Deadline::Never(), "SHOW idle_in_transaction_session_timeout");
  return rows ? (*rows)[0].Text(0) : rows.error().message;
}

}  // namespace

TEST_P(PostgresContract, ALeadersTransactionIsEndedWithItsLocksOnceHeIsSilent) {
  pg::Connection frozen = Inside(), successor = Inside();
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), frozen, Source(1)));
  bool was_in_time = false;
  Status late = pg::WithEpoch({}, Soon(), frozen, Source(1),
                              [&](pg::Transaction& transaction, const pg::Control& held) -> Status {
                                EXPECT_EQ(SilenceMax(frozen), "15s");
                                TRY(pg::MoveState({}, Soon(), transaction, held,
                                                  ControlState::kOpen, ControlState::kFenced));
                                place_->FallSilent(transaction);
                                Status after = pg::HoldState({}, Soon(), successor, Source(2),
                                                             ControlState::kOpen);
                                EXPECT_TRUE(after) << after.error().message;
                                was_in_time = true;
                                return Ok();
                              });
  ASSERT_TRUE(was_in_time);
  ASSERT_FALSE(late);
  // He has sent COMMIT before he could know.
  EXPECT_EQ(late.error().disposition, Disposition::kInDoubt) << late.error().message;
  EXPECT_FALSE(frozen.usable());
  auto control = pg::ReadControl({}, Soon(), successor);
  ASSERT_TRUE(control && *control);
  EXPECT_EQ((*control)->state, ControlState::kOpen);
  EXPECT_EQ((*control)->epoch, 2);
}

TEST_P(PostgresContract, OnlyATransactionThatAsksForItIsEndedForSilence) {
  pg::Connection one = Inside(), other = Inside();
  auto bounded = pg::BeginEndedIfSilent({}, Soon(), one);
  ASSERT_TRUE(bounded);
  EXPECT_EQ(SilenceMax(one), "15s");
  ASSERT_TRUE(bounded->Commit({}, Soon()));
  EXPECT_EQ(SilenceMax(one), "0");
  auto unbounded = pg::Transaction::Begin({}, Soon(), other);
  ASSERT_TRUE(unbounded);
  EXPECT_EQ(SilenceMax(other), "0");
  place_->FallSilent(*unbounded);
  EXPECT_TRUE(unbounded->Commit({}, Soon()));
}

TEST_P(PostgresContract, WhatNoTransactionHoldsDoesNothingUnderAnOlderEpoch) {
  Status made = Stream(false);
  ASSERT_TRUE(made) << made.error().message;
  pg::Connection inside = Inside();
  const std::string slot = pg::StreamName(place_->uid(), pg::Direction::kForward);
  auto exists = [&] {
    auto facts = pg::ObservePublisher({}, Soon(), inside, place_->uid(), pg::Direction::kForward);
    return facts && facts->slot_exists;
  };
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside, Source(2)));
  ASSERT_TRUE(pg::DropIdleSlot({}, Soon(), inside, slot, 1));
  EXPECT_TRUE(exists());
  ASSERT_TRUE(pg::DropIdleSlot({}, Soon(), inside, slot, 2));
  EXPECT_FALSE(exists());
  pg::Connection target = Connect(place_->TargetAdmin().WithDatabase(place_->database()));
  EXPECT_TRUE(pg::DropSubscription({}, Soon(), target, Target(), pg::Direction::kForward));
  EXPECT_TRUE(pg::DropPublication({}, Soon(), inside, Source(2), pg::Direction::kForward));
  EXPECT_TRUE(pg::DropReplicationRole({}, Soon(), inside, Source(2), pg::Direction::kForward));
}

}  // namespace cutover::sim
