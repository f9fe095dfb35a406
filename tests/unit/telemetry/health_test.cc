// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cutover::telemetry {
namespace {

using testing::HasSubstr;

TEST(HealthRoutes, AreReadyOnlyWhenEveryFactHolds) {
  bool synced = false;
  Routes routes = HealthRoutes(
      {[] { return true; },
       [&synced] {
         return std::vector<std::pair<std::string, bool>>{{"election", true}, {"pods", synced}};
       }});
  HttpResponse answer = routes["/readyz"]({});
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("[+] election\n[-] pods\nnot ready\n"));
  synced = true;
  EXPECT_EQ(routes["/readyz"]({}).status, 200);
}

TEST(HealthRoutes, AskForARestartWhenUnhealthy) {
  bool healthy = true;
  Routes routes = HealthRoutes(
      {[&healthy] { return healthy; }, [] { return std::vector<std::pair<std::string, bool>>{}; }});
  EXPECT_EQ(routes["/healthz"]({}).status, 200);
  healthy = false;
  EXPECT_EQ(routes["/healthz"]({}).status, 503);
}

TEST(MetricsRoutes, ServeTheTextFormat) {
  Metrics metrics;
  metrics.Set(Metric::kLeader, {"cutover"}, 1);
  const HttpResponse answer = MetricsRoutes(metrics)["/metrics"]({});
  EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(answer.body, HasSubstr("leader_election_master_status"));
}

}  // namespace
}  // namespace cutover::telemetry
