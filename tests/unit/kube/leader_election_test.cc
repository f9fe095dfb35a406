// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/leader_election.h"

#include <gtest/gtest.h>

#include "tests/unit/kube/fake_client.h"
#include "tests/unit/kube/fake_clock.h"

namespace cutover::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Key kLeaseKey{"cutover-system", "cutover-operator"};

ElectionOptions Options(const std::string& identity) {
  ElectionOptions options;
  options.lease = kLeaseKey;
  options.identity = identity;
  return options;
}

class LeaderElectionTest : public ::testing::Test {
 protected:
  Json Lease() { return **server_.Get({}, Deadline::Never(), kLease, kLeaseKey); }

  FakeClock clock_;
  FakeClient server_;
  LeaderElector a_{server_, Options("a"), clock_};
  LeaderElector b_{server_, Options("b"), clock_};
};

TEST_F(LeaderElectionTest, TheFirstLeadsAndTheSecondWaits) {
  a_.Tick({});
  b_.Tick({});
  EXPECT_TRUE(a_.IsLeader());
  EXPECT_FALSE(b_.IsLeader());
  EXPECT_EQ(b_.Holder(), "a");
  EXPECT_EQ(a_.epoch(), 1);
}

TEST_F(LeaderElectionTest, ALeaderThatRenewsIsNeverDisplaced) {
  a_.Tick({});
  for (int i = 0; i < 30; ++i) {
    clock_.Advance(seconds(2));
    a_.Tick({});
    b_.Tick({});
    ASSERT_TRUE(a_.IsLeader());
    ASSERT_FALSE(b_.IsLeader());
  }
}

TEST_F(LeaderElectionTest, ASilentLeaderIsSucceededAfterALeaseDurationWithTheNextEpoch) {
  a_.Tick({});
  b_.Tick({});
  clock_.Advance(seconds(15) - milliseconds(1));
  b_.Tick({});
  EXPECT_FALSE(b_.IsLeader());
  clock_.Advance(milliseconds(1));
  b_.Tick({});
  EXPECT_TRUE(b_.IsLeader());
  EXPECT_EQ(b_.epoch(), 2);
  EXPECT_FALSE(a_.IsLeader());
  EXPECT_TRUE(a_.IsLost());
}

TEST_F(LeaderElectionTest, AStandbyTakesTheLeaseTheMomentItRunsOut) {
  a_.Tick({});
  milliseconds waited{0};
  for (milliseconds wait = b_.Tick({}); !b_.IsLeader() && waited < seconds(60);
       wait = b_.Tick({})) {
    clock_.Advance(wait);
    waited += wait;
  }
  EXPECT_EQ(waited, seconds(15));
}

// So that a leader that stops in order is succeeded within 3 s.
TEST_F(LeaderElectionTest, AStandbyAsksEvery2400MillisecondsAtLeast) {
  for (int i = 0; i < 100; ++i) {
    a_.Tick({});
    const milliseconds wait = b_.Tick({});
    ASSERT_GE(wait, milliseconds(2000));
    ASSERT_LE(wait, milliseconds(2400));
    clock_.Advance(wait);
  }
}

TEST_F(LeaderElectionTest, TheRemoteRenewTimeIsNotBelieved) {
  a_.Tick({});
  Json lease = Lease();
  // A clock that is a day behind wrote this, just now.
  lease.MutableAt("spec").Set("renewTime", "2000-01-01T00:00:00.000000Z");
  ASSERT_TRUE(server_.Update({}, Deadline::Never(), kLease, lease));
  b_.Tick({});
  EXPECT_FALSE(b_.IsLeader()) << "it has not been seen unchanged for a lease's duration";
}

TEST_F(LeaderElectionTest, NobodyBelievesToLeadPastItsRenewDeadlineWhenTheServerIsSilent) {
  a_.Tick({});
  server_.fault = [](auto, auto) {
    return Error{Disposition::kRetry, reason::kUnreachable, "cut off"};
  };
  clock_.Advance(seconds(9));
  milliseconds wait = a_.Tick({});
  EXPECT_TRUE(a_.IsLeader());
  EXPECT_LE(wait, seconds(1)) << "it must look again when its belief ends";
  clock_.Advance(seconds(1));
  EXPECT_FALSE(a_.IsLeader());
  EXPECT_TRUE(a_.IsLost());
}

TEST_F(LeaderElectionTest, TwoLeadersAtOnceAreImpossibleWhicheverTicksAreMissed) {
  // Every pattern of ten moments of two seconds in which a reaches the server or does not.
  for (unsigned pattern = 0; pattern < 1024; ++pattern) {
    FakeClock clock;
    FakeClient server;
    LeaderElector a(server, Options("a"), clock), b(server, Options("b"), clock);
    a.Tick({});
    for (int moment = 0; moment < 10; ++moment) {
      clock.Advance(seconds(2));
      if (pattern & (1u << moment) && !a.IsLost()) a.Tick({});
      b.Tick({});
      ASSERT_FALSE(a.IsLeader() && b.IsLeader()) << "pattern " << pattern;
    }
  }
}

TEST_F(LeaderElectionTest, ALeaderThatFindsAnotherInItsPlaceIsLost) {
  a_.Tick({});
  Json lease = Lease();
  lease.MutableAt("spec").Set("holderIdentity", "c");
  ASSERT_TRUE(server_.Update({}, Deadline::Never(), kLease, lease));
  a_.Tick({});
  EXPECT_FALSE(a_.IsLeader());
  EXPECT_TRUE(a_.IsLost());
}

TEST_F(LeaderElectionTest, SomebodysHarmlessWriteToTheLeaseDoesNotEndALeadership) {
  a_.Tick({});
  Json lease = Lease();
  lease.MutableAt("metadata").MutableAt("labels").Set("seen", "yes");
  ASSERT_TRUE(server_.Update({}, Deadline::Never(), kLease, lease));
  clock_.Advance(seconds(9));
  a_.Tick({});
  clock_.Advance(seconds(9));
  EXPECT_TRUE(a_.IsLeader());
}

TEST_F(LeaderElectionTest, AnAcquisitionWhoseAnswerWasLostIsTheSameLeadership) {
  server_.fault = [](FakeClient::When when, const std::string& verb) -> std::optional<Error> {
    if (when == FakeClient::When::kAfter && verb == "create")
      return Error{Disposition::kInDoubt, reason::kUnreachable, "answer lost"};
    return std::nullopt;
  };
  a_.Tick({});
  EXPECT_FALSE(a_.IsLeader());
  server_.fault = nullptr;
  a_.Tick({});
  EXPECT_TRUE(a_.IsLeader());
  EXPECT_EQ(a_.epoch(), 1);
}

TEST_F(LeaderElectionTest, AReleasedLeaseIsTakenAtOnceWithTheNextEpoch) {
  a_.Tick({});
  b_.Tick({});
  ASSERT_TRUE(a_.Release({}, Deadline::After(seconds(5))));
  EXPECT_FALSE(a_.IsLeader());
  EXPECT_EQ(Lease()["spec"]["holderIdentity"].StringRef(), "");
  b_.Tick({});
  EXPECT_TRUE(b_.IsLeader());
  EXPECT_EQ(b_.epoch(), 2);
}

TEST_F(LeaderElectionTest, ADeletedLeaseDoesNotTurnTheEpochBack) {
  a_.Tick({});
  b_.Tick({});
  clock_.Advance(seconds(15));
  b_.Tick({});
  ASSERT_EQ(b_.epoch(), 2);
  ASSERT_TRUE(server_.Delete({}, Deadline::Never(), kLease, kLeaseKey));
  b_.Tick({});
  EXPECT_TRUE(b_.IsLeader());
  EXPECT_EQ(b_.epoch(), 2);
  EXPECT_EQ(Lease()["spec"]["leaseTransitions"].AsInt(), 2);
}

TEST_F(LeaderElectionTest, ALeaderThatHasNotRenewedForLongIsUnhealthyAStandbyNever) {
  a_.Tick({});
  clock_.Advance(seconds(30));
  EXPECT_TRUE(a_.IsHealthy());
  clock_.Advance(seconds(10));
  EXPECT_FALSE(a_.IsHealthy());
  EXPECT_TRUE(b_.IsHealthy());
}

}  // namespace
}  // namespace cutover::kube
