// SPDX-License-Identifier: Apache-2.0
//
// Checks of kind prometheus against a real Prometheus, over HTTP as the operator asks it.
#include "reconcilers/migration/checks/prometheus_check.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "tests/free_port.h"
#include "tests/kube/api_server.h"

namespace cutover::migration {
namespace {

/// A Prometheus that scrapes nothing, on the loopback.
class RealPrometheus : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "prometheus-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    std::ofstream(directory_ + "/prometheus.yml") << "global: {}\n";
    std::string address = "127.0.0.1:" + std::to_string(testing::FreePort());
    auto started = testing::Process::Start(
        {"/usr/bin/prometheus", "--config.file=" + directory_ + "/prometheus.yml",
         "--storage.tsdb.path=" + directory_ + "/data", "--web.listen-address=" + address},
        directory_ + "/log");
    ASSERT_TRUE(started) << started.error().message;
    process_.emplace(std::move(*started));
    url_ = "http://" + address;
    context_.namespace_name = "acme";
    context_.prometheus_urls = {url_};
    WaitUntilReady();
  }
  void TearDown() override {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }

  void WaitUntilReady() {
    for (int tries = 0; tries < 900; ++tries) {
      if (Ask("vector(1)", 1, 1).verdict == Verdict::kPassed) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    FAIL() << "no Prometheus answers: " << Ask("vector(1)", 1, 1).message;
  }

  PrometheusVerdict Ask(const std::string& query, std::optional<double> min,
                        std::optional<double> max) {
    auto said = RunPrometheusCheck({}, Deadline::After(std::chrono::seconds(60)), context_,
                                   {url_, query, min, max});
    EXPECT_TRUE(said) << said.error().message;
    return said ? *said : PrometheusVerdict();
  }

  std::string directory_, url_;
  std::optional<testing::Process> process_;
  CheckContext context_;
};

TEST_F(RealPrometheus, AnswersAreJudgedAsTheyCome) {
  EXPECT_EQ(Ask("vector(0.5)", {}, 0.5).verdict, Verdict::kPassed);
  EXPECT_EQ(Ask("vector(0.5)", {}, 0.4).verdict, Verdict::kFailed);
  EXPECT_EQ(Ask("scalar(vector(0.25)) + 1", 1.25, 1.25).verdict, Verdict::kPassed);
  EXPECT_EQ(Ask(R"(vector(1) or label_replace(vector(2),"a","b&c","",""))", {}, 1).verdict,
            Verdict::kFailed)
      << "every value counts";
  EXPECT_EQ(Ask("up", 1, {}).verdict, Verdict::kUnknown) << "nothing is scraped";
  EXPECT_EQ(Ask("vector(0)/vector(0)", 0, 1).verdict, Verdict::kUnknown) << "not a number";
  EXPECT_EQ(Ask("up[5m]", 0, 1).verdict, Verdict::kUnknown) << "a matrix";
  EXPECT_EQ(Ask("sum(", 0, 1).verdict, Verdict::kUnknown) << "no query at all";
  process_.reset();
  EXPECT_EQ(Ask("vector(0.5)", 0, 1).verdict, Verdict::kUnknown) << "it is away";
}

}  // namespace
}  // namespace cutover::migration
