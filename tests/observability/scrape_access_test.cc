// SPDX-License-Identifier: Apache-2.0
//
// A real Prometheus, told what docs/metrics.md tells people to tell it, before metrics that are for
// bearers of tokens alone. Who the API server lets in is tests/kube/operator's concern.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "operator/base/random.h"
#include "operator/kube/http_transport.h"
#include "operator/telemetry/health.h"
#include "operator/telemetry/scrape_gate.h"
#include "operator/telemetry/serving_certificate.h"
#include "tests/free_port.h"
#include "tests/kube/api_server.h"

namespace cutover::telemetry {
namespace {

using std::chrono::seconds;

constexpr char kToken[] = "token-of-prometheus";

class RealScraper : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(directory_);
    auto certificate = ServingCertificate("");
    ASSERT_TRUE(certificate);
    Write("ca.crt", (*certificate)->Current()->certificate_pem);
    Write("token", kToken);
    Write("other-token", "token-of-somebody");
    metrics_.Set(Metric::kLeader, {"cutover"}, 1);
    HttpServerOptions options;
    options.host = "127.0.0.1";
    options.routes = MetricsRoutes(metrics_);
    options.tls = *certificate;
    options.gate =
        std::make_unique<ScrapeGate>([](auto, auto, const std::string& token) -> Result<Access> {
          return token == kToken ? Access::kAllowed : Access::kUnknownToken;
        });
    auto server = HttpServer::Start(std::move(options));
    ASSERT_TRUE(server);
    server_ = std::move(*server);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
  }
  std::string Job(const std::string& name, const std::string& settings) const {
    return "- job_name: " + name + "\n" + settings +
           "  static_configs: [{targets: ['127.0.0.1:" + std::to_string(server_->port()) + "']}]\n";
  }
  // What each job found: 1 or 0; waits until all have found what they should, as a scrape also
  // fails when it takes too long.
  std::map<std::string, std::string> Up(const std::string& prometheus,
                                        const std::map<std::string, std::string>& expected) const {
    auto transport = kube::MakeHttpTransport({.url = prometheus});
    kube::Request request;
    request.target = "/api/v1/query?query=up";
    std::map<std::string, std::string> found;
    for (const Deadline deadline = Deadline::After(seconds(60));
         found != expected && !deadline.Expired();
         std::this_thread::sleep_for(std::chrono::milliseconds(100))) {
      auto response = (*transport)->Call({}, deadline, request);
      auto answer = Json::Parse(response ? response->body : "{}");
      if (!answer) continue;
      for (const Json& series : answer->At({"data", "result"}).Items())
        found[series.At({"metric", "job"}).AsString()] = series["value"][1].AsString();
    }
    return found;
  }

  const std::string directory_ =
      std::filesystem::temp_directory_path() / ("cutover-scraper-" + RandomHex(6));
  Metrics metrics_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(RealScraper, GetsInWithItsTokenAndNotWithoutItNorByPlainHttp) {
  const auto token = [this](const char* file) {
    return "  authorization: {credentials_file: " + directory_ + "/" + file + "}\n";
  };
  const std::string https = "  scheme: https\n";
  const std::string trusting = "  tls_config: {insecure_skip_verify: true}\n";
  const std::string verifying =
      "  tls_config: {ca_file: " + directory_ + "/ca.crt, server_name: cutover-operator}\n";
  Write("prometheus.yml", "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n" +
                              Job("trusts", https + token("token") + trusting) +
                              Job("verifies", https + token("token") + verifying) +
                              Job("other-token", https + token("other-token") + trusting) +
                              Job("no-token", https + trusting) + Job("plain", token("token")) +
                              Job("distrusts", https + token("token")));
  const std::string address = "127.0.0.1:" + std::to_string(testing::FreePort());
  auto prometheus = testing::Process::Start(
      {"/usr/bin/prometheus", "--config.file=" + directory_ + "/prometheus.yml",
       "--storage.tsdb.path=" + directory_ + "/data", "--web.listen-address=" + address},
      directory_ + "/log");
  ASSERT_TRUE(prometheus) << prometheus.error().message;
  const std::map<std::string, std::string> expected = {{"trusts", "1"},      {"verifies", "1"},
                                                       {"other-token", "0"}, {"no-token", "0"},
                                                       {"plain", "0"},       {"distrusts", "0"}};
  EXPECT_EQ(Up("http://" + address, expected), expected);
}

}  // namespace
}  // namespace cutover::telemetry
