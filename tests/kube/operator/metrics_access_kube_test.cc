// SPDX-License-Identifier: Apache-2.0
//
// Metrics for bearers of tokens alone: the operator's own program, as the chart's account, asked by
// service accounts of a real API server, which can be taken away.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "operator/base/check.h"
#include "operator/base/random.h"
#include "operator/kube/http_transport.h"
#include "operator/kube/metadata.h"
#include "tests/kube/api_server.h"
#include "tests/kube/chart/chart_account.h"
#include "tests/kube/crd/crd_server.h"

namespace cutover {
namespace {

using std::chrono::seconds;
using testing::ControlPlane;

Deadline Soon() { return Deadline::After(seconds(60)); }

bool WaitFor(const std::function<bool()>& holds) {
  for (const Deadline deadline = Soon(); !deadline.Expired();) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

// What a shell command prints, and "failed" after it when it did.
std::string Output(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  CHECK(pipe != nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  while (size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
    output.append(buffer.data(), count);
  return pclose(pipe) == 0 ? output : output + "failed";
}

class MetricsAccess : public ::testing::Test {
 protected:
  void SetUp() override {
    auto plane = ControlPlane::Start(directory_);
    ASSERT_TRUE(plane) << plane.error().message;
    plane_ = std::move(*plane);
    auto kubeconfig = plane_->Kubeconfig();
    ASSERT_TRUE(kubeconfig);
    kubeconfig_ = *kubeconfig;
    admin_ = testing::MakeClient(kubeconfig_);
    testing::InstallCrds(*admin_);
    home_ = testing::MakeNamespace(*admin_, "home");
    for (const char* name : {"prometheus", "stranger"}) {
      const Json account = kube::NewObject(kube::kServiceAccount, {home_, name});
      ASSERT_TRUE(admin_->Create({}, Soon(), kube::kServiceAccount, account));
    }
  }

  // A token of a service account, as a pod of it or `kubectl create token` would get one.
  std::string TokenOf(const std::string& account, const std::string& arguments = "") {
    const std::string token =
        Output("PATH=$(hack/cluster binaries kubectl):$PATH; printf %s \"$(kubectl --kubeconfig '" +
               kubeconfig_ + "' --namespace " + home_ + " create token " + account + " " +
               arguments + ")\"");
    EXPECT_TRUE(token.starts_with("ey")) << token;
    tokens_.push_back(token);
    return token;
  }
  // The same token, by the API server's own key, but of an hour ago and valid for a minute.
  std::string Expired(const std::string& token) {
    const std::string made = Output("python3 - '" + token + "' '" + directory_ + R"(/sa.key' <<'EOF'
import base64, json, subprocess, sys, time
def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
head, body, _ = sys.argv[1].split(".")
claims = json.loads(base64.urlsafe_b64decode(body + "=="))
claims["iat"] = claims["nbf"] = int(time.time()) - 3600
claims["exp"] = claims["iat"] + 60
text = head + "." + encoded(json.dumps(claims).encode())
signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", sys.argv[2]],
                           input=text.encode(), capture_output=True, check=True).stdout
print(text + "." + encoded(signature), end="")
EOF)");
    EXPECT_TRUE(made.starts_with("ey")) << made;
    return made;
  }

  testing::Process StartOperator(const testing::ChartAccount& account,
                                 const std::vector<std::string>& more = {}) {
    std::vector<std::string> command = {CUTOVER_OPERATOR, "--kubeconfig=" + account.kubeconfig(),
                                        "--namespace=" + home_, "--metrics-address=127.0.0.1:0",
                                        "--metrics-authorization", "--health-address=127.0.0.2:0",
                                        // So that it stays when the API server goes.
                                        "--leader-elect=" + leader_elect_};
    command.insert(command.end(), more.begin(), more.end());
    auto started = testing::Process::Start(command, directory_ + "/operator.log");
    EXPECT_TRUE(started);
    metrics_port_ = PortAt("127.0.0.1:0");
    health_port_ = PortAt("127.0.0.2:0");
    return std::move(*started);
  }
  std::string PortAt(const std::string& address) {
    std::string port;
    EXPECT_TRUE(WaitFor([&] {
      const std::string log = Log();
      const size_t line = log.find("\"address\":\"" + address), at = log.find("\"port\":", line);
      if (line == std::string::npos || at == std::string::npos) return false;
      port = std::to_string(std::atoi(log.c_str() + at + 7));
      return true;
    })) << Log();
    return port;
  }

  // GET /metrics with such a header, or without one.
  kube::Response Scrape(const std::optional<std::string>& authorization) {
    kube::HttpTransportOptions options;
    options.url = "https://127.0.0.1:" + metrics_port_;
    options.ca_pem = ca_pem_;
    options.insecure_skip_tls_verify = ca_pem_.empty();
    auto transport = kube::MakeHttpTransport(options);
    CHECK(transport.has_value());
    kube::Request request;
    request.target = "/metrics";
    if (authorization) request.headers.emplace_back("Authorization", *authorization);
    auto response = (*transport)->Call({}, Soon(), request);
    EXPECT_TRUE(response) << response.error().message;
    return response ? *response : kube::Response{};
  }
  int StatusFor(const std::string& token) { return Scrape("Bearer " + token).status; }
  int Health(const std::string& path) {
    auto transport = kube::MakeHttpTransport({.url = "http://127.0.0.2:" + health_port_});
    CHECK(transport.has_value());
    kube::Request request;
    request.target = path;
    auto response = (*transport)->Call({}, Soon(), request);
    return response ? response->status : 0;
  }
  std::string SelfTest(const testing::ChartAccount& account) {
    std::string command = CUTOVER_OPERATOR;
    for (const std::string& argument :
         {"--kubeconfig=" + account.kubeconfig(), "--namespace=" + home_,
          std::string("--metrics-authorization self-test --host=127.0.0.1"),
          "--metrics-port=" + metrics_port_, "--health-port=" + health_port_})
      command += " " + argument;
    return Output(command + " 2>&1");
  }
  std::string Log() const {
    std::ifstream file(directory_ + "/operator.log");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string Readers() const {
    return "--set metrics.authorization.enabled=true --set-json "
           "'metrics.authorization.readers=[{\"name\":\"prometheus\",\"namespace\":\"" +
           home_ + "\"}]'";
  }

  const std::string directory_ =
      std::filesystem::temp_directory_path() / ("cutover-access-" + RandomHex(6));
  std::unique_ptr<ControlPlane> plane_;
  std::string kubeconfig_, home_;
  std::unique_ptr<kube::ApiClient> admin_;
  std::vector<std::string> tokens_;  // All that were ever made.
  std::string leader_elect_ = "false", ca_pem_, metrics_port_, health_port_;
};

TEST_F(MetricsAccess, IsForBearersOfATokenWhoMayAndForNobodyElse) {
  const testing::ChartAccount account(*admin_, kubeconfig_, home_, Readers());
  // The certificate of the API server will do for 127.0.0.1, and its authority to verify it.
  std::filesystem::create_directory(directory_ + "/tls");
  for (const auto& [from, to] : {std::pair{"server.crt", "tls.crt"}, {"server.key", "tls.key"}})
    std::filesystem::copy_file(directory_ + "/" + from, directory_ + "/tls/" + to);
  std::ifstream authority(directory_ + "/ca.crt");
  ca_pem_.assign(std::istreambuf_iterator<char>(authority), {});
  const auto running = StartOperator(account, {"--metrics-certificates=" + directory_ + "/tls"});

  const std::string good = TokenOf("prometheus");
  // The authorizer follows the roles with a delay of its own.
  ASSERT_TRUE(WaitFor([&] { return StatusFor(good) == 200; })) << Log();
  EXPECT_NE(Scrape("Bearer " + good).body.find("process_start_time_seconds"), std::string::npos);
  EXPECT_EQ(StatusFor(TokenOf("prometheus")), 200) << "a new token of the same account";
  EXPECT_EQ(StatusFor(good), 200);

  EXPECT_EQ(StatusFor(TokenOf("stranger")), 403);
  EXPECT_EQ(StatusFor(account.token()), 403) << "the operator itself is no reader";
  EXPECT_EQ(StatusFor(TokenOf("prometheus", "--audience=elsewhere")), 401);
  EXPECT_EQ(StatusFor(Expired(good)), 401);
  EXPECT_EQ(StatusFor(good.substr(0, good.rfind('.') + 1) + "c2lnbmF0dXJl"), 401);
  EXPECT_EQ(StatusFor("nonsense"), 401);
  EXPECT_EQ(Scrape(std::nullopt).status, 401);
  EXPECT_EQ(Scrape("Basic YTpi").status, 401);
  EXPECT_EQ(Health("/healthz"), 200) << "probes show no token";

  EXPECT_NE(Log().find("system:serviceaccount:" + home_ + ":stranger"), std::string::npos);
  // Neither a token nor the part of it that is secret.
  for (const std::string& token : tokens_)
    EXPECT_EQ(Log().find(token.substr(token.rfind('.'), 40)), std::string::npos);
}

TEST_F(MetricsAccess, IsNotForATokenWhoseSecretIsGone) {
  const testing::ChartAccount account(*admin_, kubeconfig_, home_, Readers());
  const auto running = StartOperator(account);
  const std::string good = TokenOf("prometheus");
  ASSERT_TRUE(WaitFor([&] { return StatusFor(good) == 200; })) << Log();

  const kube::Key bound{home_, "bound"};
  ASSERT_TRUE(admin_->Create({}, Soon(), kube::kSecret, kube::NewObject(kube::kSecret, bound)));
  const std::string revoked =
      TokenOf("prometheus", "--bound-object-kind=Secret --bound-object-name=bound");
  ASSERT_TRUE(admin_->Delete({}, Soon(), kube::kSecret, bound));
  EXPECT_TRUE(WaitFor([&] { return StatusFor(revoked) == 401; })) << StatusFor(revoked);
}

TEST_F(MetricsAccess, IsForNobodyNewWhileTheApiServerIsAwayAndProbesAreAnsweredOn) {
  const testing::ChartAccount account(*admin_, kubeconfig_, home_, Readers());
  const auto running = StartOperator(account);
  const std::string known = TokenOf("prometheus"), later = TokenOf("prometheus");
  ASSERT_TRUE(WaitFor([&] { return StatusFor(known) == 200; })) << Log();

  plane_->KillServer(0);
  EXPECT_EQ(StatusFor(later), 503);
  EXPECT_EQ(StatusFor("nonsense"), 503);
  EXPECT_EQ(StatusFor(known), 200) << "it was allowed a moment ago";
  EXPECT_EQ(Health("/healthz"), 200);
  EXPECT_NE(Log().find("cannot ask who may read metrics"), std::string::npos);

  ASSERT_TRUE(plane_->RestartServer(0));
  EXPECT_TRUE(WaitFor([&] { return StatusFor(later) == 200; })) << Log();
}

// As `helm test` runs it.
TEST_F(MetricsAccess, IsFoundWellByTheSelfTestAndNotWithoutTheRightToAsk) {
  leader_elect_ = "true";
  const testing::ChartAccount account(*admin_, kubeconfig_, home_, Readers());
  const auto running = StartOperator(account);
  // It asks one host; here metrics and probes have one each.
  const auto said = [&] { return SelfTest(account); };
  EXPECT_TRUE(WaitFor([&] {
    const std::string text = said();
    return text.find("ok      the operator refuses metrics to who shows no token") != text.npos &&
           text.find("ok      who may read metrics can be asked") != text.npos;
  })) << said();

  const testing::ChartAccount without(*admin_, kubeconfig_, home_, "");
  const std::string text = SelfTest(without);
  EXPECT_NE(text.find("FAILED  who may read metrics can be asked"), text.npos) << text;
}

}  // namespace
}  // namespace cutover
