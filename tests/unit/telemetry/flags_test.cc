// SPDX-License-Identifier: Apache-2.0
#include "operator/flags.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>
#include <string>
#include <vector>

namespace cutover {
namespace {

CommandLine Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "cutover-operator");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

TEST(CommandLine, RunsTheOperatorWithoutAnyArgument) {
  const CommandLine line = Parse({});
  EXPECT_FALSE(line.exit_code);
  EXPECT_EQ(line.command, Command::kRun);
  EXPECT_EQ(line.flags.namespace_name, "cutover-system");
  EXPECT_TRUE(line.flags.leader_elect);
}

TEST(CommandLine, TakesWhereItRunsFromTheEnvironment) {
  setenv("POD_NAMESPACE", "elsewhere", 1);
  EXPECT_EQ(Parse({}).flags.namespace_name, "elsewhere");
  EXPECT_EQ(Parse({"--namespace", "here"}).flags.namespace_name, "here");
  unsetenv("POD_NAMESPACE");
}

TEST(CommandLine, ReadsTheOperatorsFlags) {
  const CommandLine line = Parse({"--kubeconfig=/k", "--leader-elect=false", "--workers=2",
                                  "--mover-image=m:1", "--metrics-address=127.0.0.1:0"});
  ASSERT_FALSE(line.exit_code);
  EXPECT_EQ(line.flags.kubeconfig, "/k");
  EXPECT_FALSE(line.flags.leader_elect);
  EXPECT_EQ(line.flags.workers, 2);
  EXPECT_EQ(line.flags.mover_image, "m:1");
  EXPECT_EQ(line.flags.metrics_address, "127.0.0.1:0");
}

TEST(CommandLine, TakesNamespacesWithCommasBetween) {
  EXPECT_TRUE(Parse({}).flags.watch_namespaces.empty());
  EXPECT_EQ(Parse({"--watch-namespaces=acme,globex"}).flags.watch_namespaces,
            (std::vector<std::string>{"acme", "globex"}));
}

TEST(CommandLine, TakesPullSecretsWithCommasBetween) {
  EXPECT_TRUE(Parse({}).flags.image_pull_secrets.empty());
  EXPECT_EQ(Parse({"--image-pull-secrets=registry,mirror"}).flags.image_pull_secrets,
            (std::vector<std::string>{"registry", "mirror"}));
}

TEST(CommandLine, TakesHowPodsOfJobsAreMadeAsJson) {
  EXPECT_TRUE(Parse({}).flags.job_pods.resources.Empty());
  const CommandLine line =
      Parse({R"(--job-pods={"nodeSelector":{"disk":"fast"},"priorityClassName":"high"})"});
  ASSERT_FALSE(line.exit_code);
  EXPECT_EQ(line.flags.job_pods.node_selector.Dump(), R"({"disk":"fast"})");
  EXPECT_EQ(line.flags.job_pods.priority_class_name, "high");
  for (const char* wrong :
       {"--job-pods=high", "--job-pods=[]", R"(--job-pods={"nodeSelektor":{}})",
        R"(--job-pods={"podLabels":{"team":1}})", R"(--job-pods={"tolerations":["all"]})"})
    EXPECT_EQ(Parse({wrong}).exit_code, kExitUsage) << wrong;
}

TEST(CommandLine, TakesThrottleQueriesByName) {
  EXPECT_TRUE(Parse({}).flags.throttle_queries.empty());
  const CommandLine line = Parse({"--throttle-query", "busy=SELECT a = 1, 'x' FROM\nb",
                                  "--throttle-query=disk.io=SELECT 0", "self-test"});
  ASSERT_FALSE(line.exit_code);
  EXPECT_EQ(line.command, Command::kSelfTest);
  EXPECT_EQ(line.flags.throttle_queries,
            (std::map<std::string, std::string>{{"busy", "SELECT a = 1, 'x' FROM\nb"},
                                                {"disk.io", "SELECT 0"}}));
  for (const char* wrong : {"--throttle-query=SELECT 1", "--throttle-query=busy=",
                            "--throttle-query==SELECT 1", "--throttle-query=a b=SELECT 1"})
    EXPECT_EQ(Parse({wrong}).exit_code, kExitUsage) << wrong;
  EXPECT_EQ(Parse({"--throttle-query=a=SELECT 1", "--throttle-query=a=SELECT 2"}).exit_code,
            kExitUsage);
}

TEST(CommandLine, TestsTheOperatorThatTheSameFlagsStart) {
  const CommandLine line = Parse({"--namespace=home", "--watch-namespaces=acme", "self-test",
                                  "--host=cutover-metrics.home.svc", "--health-port=9"});
  ASSERT_FALSE(line.exit_code);
  EXPECT_EQ(line.command, Command::kSelfTest);
  EXPECT_EQ(line.self_test.namespace_name, "home");
  EXPECT_EQ(line.self_test.lease_name, "cutover-operator");
  EXPECT_EQ(line.self_test.watch_namespaces, std::vector<std::string>{"acme"});
  EXPECT_EQ(line.self_test.host, "cutover-metrics.home.svc");
  EXPECT_EQ(line.self_test.health_port, 9);
}

TEST(CommandLine, KeepsMetricsForBearersOfTokensWhenTold) {
  EXPECT_FALSE(Parse({}).flags.metrics_authorization);
  const CommandLine line =
      Parse({"--metrics-authorization", "--metrics-certificates=/certificates", "self-test"});
  ASSERT_FALSE(line.exit_code);
  EXPECT_TRUE(line.flags.metrics_authorization);
  EXPECT_EQ(line.flags.metrics_certificates, "/certificates");
  EXPECT_TRUE(line.self_test.metrics_authorization);
  // Metrics by HTTPS for everybody are not offered: one would think that they are kept.
  EXPECT_EQ(Parse({"--metrics-certificates=/certificates"}).exit_code, kExitUsage);
}

TEST(CommandLine, ReadsAMaintenancePageWhoseTextsBeginWithDashes) {
  const CommandLine line =
      Parse({"maintenance-page", "--port", "9000", "--title", "--- back soon", "--message",
             "-1 degree\n$(date) \"quoted\"", "--retry-after", "30"});
  ASSERT_FALSE(line.exit_code);
  EXPECT_EQ(line.command, Command::kMaintenancePage);
  EXPECT_EQ(line.page_port, 9000);
  EXPECT_EQ(line.page.title, "--- back soon");
  EXPECT_EQ(line.page.message, "-1 degree\n$(date) \"quoted\"");
  EXPECT_EQ(line.page.retry_after_seconds, 30);
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  for (const auto& arguments :
       std::vector<std::vector<const char*>>{{"--unknown"},
                                             {"--workers=0"},
                                             {"--log-level=loud"},
                                             {"no-such-command"},
                                             {"maintenance-page", "--retry-after=0"},
                                             {"maintenance-page", "--port=70000"}})
    EXPECT_EQ(Parse(arguments).exit_code, kExitUsage) << arguments.back();
}

TEST(CommandLine, SucceedsWithNothingToDoForHelpAndVersion) {
  EXPECT_EQ(Parse({"--help"}).exit_code, kExitStopped);
  EXPECT_EQ(Parse({"--version"}).exit_code, kExitStopped);
}

}  // namespace
}  // namespace cutover
