// SPDX-License-Identifier: Apache-2.0
//
// The answers are those that Prometheus 2.42 (Debian 12) gave to the queries beside them.
#include "reconcilers/migration/checks/prometheus_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/migration/fake_web.h"

namespace cutover::migration {
namespace {

using ::testing::HasSubstr;

Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }

api::PrometheusCheck Between(std::optional<double> min, std::optional<double> max) {
  return {"http://prometheus.monitoring.svc:9090", "up", min, max};
}

kube::Response Answer(const char* body, int status = 200) { return {status, {}, body}; }

// vector(0.5)
constexpr char kHalf[] =
    R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},)"
    R"("value":[1795317544.149,"0.5"]}]}})";

TEST(PrometheusCheck, AValueOnABoundIsWithinItAndOneBeyondIsNot) {
  struct Row {
    std::optional<double> min, max;
    Verdict verdict;
  };
  for (const Row& row : {Row{{}, 0.5, Verdict::kPassed}, Row{{}, 0.49, Verdict::kFailed},
                         Row{0.5, {}, Verdict::kPassed}, Row{0.51, {}, Verdict::kFailed},
                         Row{0.5, 0.5, Verdict::kPassed}, Row{0.51, 1, Verdict::kFailed}})
    EXPECT_EQ(Judge(Between(row.min, row.max), Answer(kHalf)).verdict, row.verdict)
        << row.min.value_or(-1) << " to " << row.max.value_or(-1);
  EXPECT_EQ(Judge(Between({}, 0.25), Answer(kHalf)).message,
            "the query gave 0.5 instead of at most 0.25");
}

TEST(PrometheusCheck, EveryValueCounts) {
  // vector(1) or label_replace(vector(2),"a","b","","")
  const auto two = Answer(
      R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},)"
      R"("value":[1795317544.520,"1"]},{"metric":{"a":"b"},"value":[1795317544.520,"2"]}]}})");
  EXPECT_EQ(Judge(Between({}, 2), two).verdict, Verdict::kPassed);
  EXPECT_EQ(Judge(Between({}, 1), two).verdict, Verdict::kFailed);
}

TEST(PrometheusCheck, AScalarIsAValueAndInfinityIsOne) {
  EXPECT_EQ(Judge(Between(0.25, {}), Answer(R"({"status":"success","data":{"resultType":"scalar",)"
                                            R"("result":[1795317544.23,"0.25"]}})"))
                .verdict,
            Verdict::kPassed);
  EXPECT_EQ(
      Judge(Between({}, 9), Answer(R"({"status":"success","data":{"resultType":"vector","result":[)"
                                   R"({"metric":{},"value":[1795317544.690,"+Inf"]}]}})"))
          .verdict,
      Verdict::kFailed);
}

TEST(PrometheusCheck, AnAnswerWithoutAValueIsNotKnown) {
  struct Row {
    const char* body;
    int status;
    const char *says, *reason;
  };
  for (const Row& row : {
           Row{R"({"status":"success","data":{"resultType":"vector","result":[]}})", 200,
               "no value", "up, of a target that is not there"},
           Row{R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},)"
               R"("value":[1795317544.408,"NaN"]}]}})",
               200, "no number", "vector(0)/vector(0)"},
           Row{R"({"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": )"
               R"(1:5: parse error: unclosed left parenthesis"})",
               400, "unclosed left parenthesis", "sum("},
           Row{R"({"status":"success","data":{"resultType":"matrix","result":[]}})", 200,
               "ask for a scalar or an instant vector", "up[5m]"},
           Row{R"({"status":"success","data":{"resultType":"string",)"
               R"("result":[1795317544.599,"text"]}})",
               200, "gives a string", "\"text\""},
           Row{"<html>Bad Gateway</html>", 502, "answered 502", "a proxy in between"},
           Row{"", 200, "with nothing", "somebody else's server"},
       }) {
    PrometheusVerdict said = Judge(Between(0, 1), Answer(row.body, row.status));
    EXPECT_EQ(said.verdict, Verdict::kUnknown) << row.reason;
    EXPECT_THAT(said.message, HasSubstr(row.says)) << row.reason;
  }
}

TEST(PrometheusCheck, AsksAnInstantQueryWithEveryCharacterKept) {
  api::PrometheusCheck check = Between({}, 1);
  check.url = "http://prometheus.monitoring.svc:9090/prefix/";
  check.query = "sum(rate(x{code=~\"5..\"}[5m])) + 1";
  EXPECT_EQ(InstantQueryUrl(check),
            "http://prometheus.monitoring.svc:9090/prefix/api/v1/query?query="
            "sum%28rate%28x%7Bcode%3D~%225..%22%7D%5B5m%5D%29%29%20%2B%201");
}

TEST(PrometheusCheck, AServerThatIsAwayLeavesItUnknown) {
  testing::FakeWeb web;
  web.down = true;
  CheckContext context;
  context.namespace_name = "monitoring";
  context.http = web.Connect();
  auto said = RunPrometheusCheck({}, Soon(), context, Between({}, 1));
  ASSERT_TRUE(said);
  EXPECT_EQ(said->verdict, Verdict::kUnknown);
  EXPECT_THAT(said->message, HasSubstr("connection refused"));
}

TEST(PrometheusCheck, NoServerIsAskedThatTheOperatorWasNotStartedWith) {
  testing::FakeWeb web;
  CheckContext context;
  context.namespace_name = "acme";
  context.http = web.Connect();
  auto refused = RunPrometheusCheck({}, Soon(), context, Between({}, 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "PrometheusNotAllowed");
  context.prometheus_urls = {"http://prometheus.monitoring.svc:9090.evil.example"};
  EXPECT_FALSE(RunPrometheusCheck({}, Soon(), context, Between({}, 1)));
  EXPECT_TRUE(web.requests.empty());
  context.prometheus_urls = {"http://prometheus.monitoring.svc:9090/"};
  EXPECT_TRUE(RunPrometheusCheck({}, Soon(), context, Between({}, 1)));
  EXPECT_EQ(web.requests.size(), 1u);
}

}  // namespace
}  // namespace cutover::migration
