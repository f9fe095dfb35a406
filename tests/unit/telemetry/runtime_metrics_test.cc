// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/runtime_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace cutover::telemetry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

class RuntimeMetricsTest : public testing::Test {
 protected:
  Metrics metrics_;
  RuntimeMetrics runtime_{metrics_};
};

TEST_F(RuntimeMetricsTest, CountsTerminalErrorsAndPanicsAsErrorsToo) {
  for (const char* result : {"success", "requeue_after", "error", "terminal", "panic"})
    runtime_.OnReconcile("migration", result, milliseconds(20));
  const std::string text = metrics_.Expose();
  for (const char* line :
       {"controller_runtime_reconcile_total{controller=\"migration\",result=\"success\"} 1\n",
        "controller_runtime_reconcile_total{controller=\"migration\",result=\"requeue_after\"} 1\n",
        "controller_runtime_reconcile_total{controller=\"migration\",result=\"error\"} 3\n",
        "controller_runtime_reconcile_errors_total{controller=\"migration\"} 3\n",
        "controller_runtime_terminal_reconcile_errors_total{controller=\"migration\"} 1\n",
        "controller_runtime_reconcile_panics_total{controller=\"migration\"} 1\n",
        "controller_runtime_reconcile_time_seconds_count{controller=\"migration\"} 5\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(RuntimeMetricsTest, CountsRequestsByCodeAndKeepsWatchesOutOfDurations) {
  runtime_.OnRequest(200, "GET", "10.96.0.1:443", milliseconds(30));
  runtime_.OnRequest(0, "GET", "10.96.0.1:443", milliseconds(30));
  runtime_.OnRequest(200, "WATCH", "10.96.0.1:443", seconds(300));
  const std::string text = metrics_.Expose();
  EXPECT_THAT(text, HasSubstr("{code=\"200\",host=\"10.96.0.1:443\",method=\"GET\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("{code=\"<error>\",host=\"10.96.0.1:443\",method=\"GET\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("{code=\"200\",host=\"10.96.0.1:443\",method=\"WATCH\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("verb=\"WATCH\"")));
}

TEST_F(RuntimeMetricsTest, ReportsQueuesUnderBothNames) {
  runtime_.OnQueueAdd("server");
  runtime_.OnQueueDepth("server", 4);
  runtime_.OnQueueRetry("server");
  runtime_.OnQueueLatency("server", milliseconds(5));
  runtime_.OnWorkDuration("server", seconds(2));
  const std::string text = metrics_.Expose();
  for (const char* line :
       {"workqueue_depth{controller=\"server\",name=\"server\"} 4\n",
        "workqueue_adds_total{controller=\"server\",name=\"server\"} 1\n",
        "workqueue_retries_total{controller=\"server\",name=\"server\"} 1\n",
        "workqueue_queue_duration_seconds_sum{controller=\"server\",name=\"server\"} 0.005\n",
        "workqueue_work_duration_seconds_sum{controller=\"server\",name=\"server\"} 2\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(RuntimeMetricsTest, ShowsTheAgeOfWorkUnderWayAtTheScrape) {
  std::string during;
  kube::ControllerOptions options;
  options.name = "server";
  kube::Controller controller(
      options,
      [&](std::stop_token, Deadline, const kube::Key&) -> Result<kube::Step> {
        during = metrics_.Expose();
        return kube::Step::Done();
      },
      RealClock(), runtime_);
  runtime_.Add(controller);
  EXPECT_THAT(metrics_.Expose(), HasSubstr("unfinished_work_seconds{name=\"server\","
                                           "controller=\"server\"} 0\n"));
  controller.Enqueue({"", "pg-15"});
  ASSERT_TRUE(controller.ProcessNext({}));
  EXPECT_THAT(during, HasSubstr("workqueue_unfinished_work_seconds{name=\"server\""));
  EXPECT_THAT(during, Not(HasSubstr("unfinished_work_seconds{name=\"server\","
                                    "controller=\"server\"} 0\n")));
  EXPECT_THAT(during, HasSubstr("controller_runtime_active_workers{controller=\"server\"} 1\n"));
  EXPECT_THAT(during,
              HasSubstr("controller_runtime_max_concurrent_reconciles{controller=\"server\"} 4\n"));
}

TEST_F(RuntimeMetricsTest, TellsLeaderFromStandby) {
  runtime_.OnLeader("cutover-operator", false);
  EXPECT_THAT(metrics_.Expose(), HasSubstr("{name=\"cutover-operator\"} 0\n"));
  runtime_.OnLeader("cutover-operator", true);
  EXPECT_THAT(metrics_.Expose(), HasSubstr("{name=\"cutover-operator\"} 1\n"));
}

}  // namespace
}  // namespace cutover::telemetry
