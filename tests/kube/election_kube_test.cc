// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "operator/kube/leader_election.h"
#include "tests/kube/api_server.h"

namespace cutover::kube {
namespace {

using cutover::testing::Process;
using std::chrono::milliseconds;
using std::chrono::seconds;

ElectionOptions Options(const std::string& ns, const std::string& identity) {
  ElectionOptions options;
  options.lease = {ns, "operator"};
  options.identity = identity;
  options.lease_duration = milliseconds(3000);
  options.renew_deadline = milliseconds(2000);
  options.retry_period = milliseconds(400);
  return options;
}

template <class Condition>
bool Eventually(Condition condition) {
  Deadline deadline = Deadline::After(seconds(40));
  while (!condition() && !deadline.Expired()) std::this_thread::sleep_for(milliseconds(10));
  return condition();
}

// Not a test by itself: the process that the next test starts and kills.
TEST(Elected, DISABLED_UntilKilled) {
  std::unique_ptr<ApiClient> client = cutover::testing::MakeClient();
  LeaderElector elector(*client, Options(std::getenv("ELECTION_NAMESPACE"), "victim"));
  elector.Run({}, [](int64_t) {});
}

TEST(ElectionOnApiServer, AKilledLeaderIsSucceededInTimeWithAHigherEpoch) {
  std::unique_ptr<ApiClient> client = cutover::testing::MakeClient();
  std::string ns = cutover::testing::MakeNamespace(*client);
  setenv("ELECTION_NAMESPACE", ns.c_str(), 1);
  setenv("CUTOVER_TEST_KUBECONFIG", cutover::testing::SharedKubeconfig().c_str(), 1);
  std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  Result<Process> victim = Process::Start(
      {self, "--gtest_also_run_disabled_tests", "--gtest_filter=Elected.DISABLED_UntilKilled"},
      "/dev/null");
  ASSERT_TRUE(victim);
  LeaderElector heir(*client, Options(ns, "heir"));
  ASSERT_TRUE(Eventually([&] {
    Result<std::optional<Json>> lease =
        client->Get({}, Deadline::After(seconds(5)), kLease, {ns, "operator"});
    return lease && *lease && (**lease)["spec"]["holderIdentity"].StringRef() == "victim";
  }));
  std::jthread runner([&](std::stop_token stop) { heir.Run(stop, [](int64_t) {}); });
  std::this_thread::sleep_for(seconds(5));
  EXPECT_FALSE(heir.IsLeader()) << "the leader is alive";
  EXPECT_EQ(heir.Holder(), "victim");
  int64_t victims_epoch = heir.epoch();
  SteadyTime killed = RealClock().SteadyNow();
  victim->Kill();
  EXPECT_TRUE(Eventually([&] { return heir.IsLeader(); }));
  auto took = RealClock().SteadyNow() - killed;
  // A renewal may be 0.4 s old when the leader dies; the rest is one lease and one jittered retry.
  EXPECT_GT(took, milliseconds(2500));
  EXPECT_LT(took, seconds(5));
  EXPECT_EQ(heir.epoch(), victims_epoch + 1);
}

TEST(ElectionOnApiServer, OfManyStandbysExactlyOneSucceeds) {
  std::unique_ptr<ApiClient> client = cutover::testing::MakeClient();
  std::string ns = cutover::testing::MakeNamespace(*client);
  std::vector<std::unique_ptr<LeaderElector>> electors;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 5; ++i) {
    electors.push_back(
        std::make_unique<LeaderElector>(*client, Options(ns, "e" + std::to_string(i))));
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
    ASSERT_EQ(leaders(), 1);
    std::this_thread::sleep_for(milliseconds(20));
  }
}

}  // namespace
}  // namespace cutover::kube
