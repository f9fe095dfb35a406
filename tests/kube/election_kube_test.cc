// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "operator/kube/leader_election.h"
#include "tests/kube/api_server.h"
#include "tests/kube/election_options.h"
#include "tests/least_time.h"

namespace cutover::kube {
namespace {

using cutover::testing::Process;
using cutover::testing::QuickElection;
using std::chrono::milliseconds;
using std::chrono::seconds;

template <class Condition>
bool Eventually(Condition condition) {
  Deadline deadline = Deadline::After(seconds(40));
  while (!condition() && !deadline.Expired()) std::this_thread::sleep_for(milliseconds(10));
  return condition();
}

TEST(ElectionOnApiServer, AKilledLeaderIsSucceededInTimeWithAHigherEpoch) {
  std::unique_ptr<ApiClient> client = cutover::testing::MakeClient();
  std::string ns = cutover::testing::MakeNamespace(*client);
  setenv("CUTOVER_TEST_KUBECONFIG", cutover::testing::SharedKubeconfig().c_str(), 1);
  Result<Process> victim = Process::Start({ELECTION_CANDIDATE, ns, "victim"}, "/dev/null");
  ASSERT_TRUE(victim);
  LeaderElector heir(*client, QuickElection(ns, "heir"));
  ASSERT_TRUE(Eventually([&] {
    Result<std::optional<Json>> lease =
        client->Get({}, Deadline::After(seconds(5)), kLease, {ns, "operator"});
    return lease && *lease && (**lease)["spec"]["holderIdentity"].StringRef() == "victim";
  }));
  std::jthread runner([&](std::stop_token stop) { heir.Run(stop, [](int64_t) {}); });
  std::this_thread::sleep_for(QuickElection(ns, "").lease_duration + seconds(1));
  EXPECT_FALSE(heir.IsLeader()) << "the leader is alive";
  EXPECT_EQ(heir.Holder(), "victim");
  int64_t victims_epoch = heir.epoch();
  victim->Kill();
  auto written = [&](const char* field) {
    auto lease = client->Get({}, Deadline::After(seconds(30)), kLease, {ns, "operator"});
    return *ParseTime((**lease)["spec"][field].AsString());
  };
  const WallTime renewed = written("renewTime");
  EXPECT_TRUE(Eventually([&] { return heir.IsLeader(); }));
  // One lease from when the heir saw the last renewal, and one jittered retry.
  const auto passed = written("acquireTime") - renewed;
  EXPECT_GE(passed, QuickElection(ns, "").lease_duration);
  EXPECT_LT(passed, 3 * QuickElection(ns, "").lease_duration) << "with room for a busy machine";
  EXPECT_EQ(heir.epoch(), victims_epoch + 1);
}

TEST(ElectionOnApiServer, OfManyStandbysExactlyOneSucceeds) {
  std::unique_ptr<ApiClient> client = cutover::testing::MakeClient();
  std::string ns = cutover::testing::MakeNamespace(*client);
  std::vector<std::unique_ptr<LeaderElector>> electors;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 5; ++i) {
    electors.push_back(
        std::make_unique<LeaderElector>(*client, QuickElection(ns, "e" + std::to_string(i))));
    threads.emplace_back([elector = electors.back().get()](std::stop_token stop) {
      elector->Run(stop, [](int64_t) {});
    });
  }
  auto leaders = [&] {
    int count = 0;
    for (const auto& elector : electors) count += elector->IsLeader();
    return count;
  };
  ASSERT_TRUE(Eventually([&] { return leaders() > 0; }));
  for (int i = 0; i < 100; ++i) {
    int count = 0;
    const milliseconds took = TimeOf([&] { count = leaders(); });
    // One who was asked before a pause, and his successor after it, were never leaders at once.
    if (took < seconds(1)) {
      ASSERT_LE(count, 1);
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
}

}  // namespace
}  // namespace cutover::kube
