// SPDX-License-Identifier: Apache-2.0
//
// The HTTP server under TLS, seen through the client that the operator itself uses.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "operator/base/random.h"
#include "operator/kube/http_transport.h"
#include "operator/telemetry/http_server.h"
#include "operator/telemetry/serving_certificate.h"
#include "tests/unit/kube/fake_clock.h"
#include "tests/unit/telemetry/raw_http_client.h"

namespace cutover::telemetry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::unique_ptr<HttpServer> StartServer(std::shared_ptr<kube::TlsSource> tls,
                                        milliseconds request_timeout = seconds(60)) {
  HttpServerOptions options;
  options.host = "127.0.0.1";
  options.routes["/ok"] = [](const HttpRequest&) {
    return HttpResponse{200, "text/plain", {}, std::string(100'000, 'x')};
  };
  options.tls = std::move(tls);
  options.request_timeout = request_timeout;
  auto server = HttpServer::Start(std::move(options));
  EXPECT_TRUE(server) << server.error().message;
  return std::move(*server);
}

// GET /ok by somebody who trusts `ca_pem` alone.
Result<kube::Response> GetTrusting(const HttpServer& server, const std::string& ca_pem) {
  kube::HttpTransportOptions options;
  options.url = "https://127.0.0.1:" + std::to_string(server.port());
  options.ca_pem = ca_pem;
  TRY_ASSIGN(const auto transport, kube::MakeHttpTransport(options));
  kube::Request request;
  request.target = "/ok";
  return transport->Call({}, Deadline::After(seconds(30)), request);
}

kube::TlsIdentity SelfSigned() {
  auto source = ServingCertificate("");
  EXPECT_TRUE(source) << source.error().message;
  return *(*source)->Current();
}

// A Secret of type kubernetes.io/tls, as it is mounted.
class MountedSecret {
 public:
  MountedSecret() { std::filesystem::create_directory(path_); }
  ~MountedSecret() { std::filesystem::remove_all(path_); }
  void Write(const std::string& certificate, const std::string& key) const {
    std::ofstream(path_ + "/tls.crt") << certificate;
    std::ofstream(path_ + "/tls.key") << key;
  }
  const std::string& path() const { return path_; }

 private:
  const std::string path_ =
      std::filesystem::temp_directory_path() / ("cutover-tls-" + RandomHex(6));
};

TEST(HttpsServer, ShowsACertificateOfItsOwnMakingToWhoTrustsIt) {
  auto source = ServingCertificate("");
  ASSERT_TRUE(source);
  auto server = StartServer(*source);
  auto answer = GetTrusting(*server, (*source)->Current()->certificate_pem);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body.size(), 100'000u);
  // Another one of the same names is another.
  EXPECT_FALSE(GetTrusting(*server, SelfSigned().certificate_pem));
}

TEST(HttpsServer, SaysNothingInPlainText) {
  auto server = StartServer(*ServingCertificate(""));
  EXPECT_EQ(StatusOf(Get(server->port(), "/ok")), 0);
}

TEST(HttpsServer, ClosesAConnectionThatDoesNotShakeHands) {
  auto server = StartServer(*ServingCertificate(""), milliseconds(500));
  RawHttpClient silent(server->port());
  EXPECT_TRUE(silent.ReadUntilClosed(seconds(30)));
}

TEST(HttpsServer, ShowsANewCertificateWithoutARestart) {
  kube::FakeClock clock;
  const MountedSecret secret;
  const kube::TlsIdentity first = SelfSigned(), second = SelfSigned();
  secret.Write(first.certificate_pem, first.key_pem);
  auto source = ServingCertificate(secret.path(), clock);
  ASSERT_TRUE(source) << source.error().message;
  auto server = StartServer(*source);
  EXPECT_TRUE(GetTrusting(*server, first.certificate_pem));

  secret.Write(second.certificate_pem, second.key_pem);
  EXPECT_TRUE(GetTrusting(*server, first.certificate_pem));
  clock.Advance(seconds(61));
  EXPECT_TRUE(GetTrusting(*server, second.certificate_pem));
  EXPECT_FALSE(GetTrusting(*server, first.certificate_pem));
}

TEST(HttpsServer, KeepsItsCertificateWhileTheNewOneCannotBeUsed) {
  kube::FakeClock clock;
  const MountedSecret secret;
  const kube::TlsIdentity first = SelfSigned(), second = SelfSigned();
  secret.Write(first.certificate_pem, first.key_pem);
  auto server = StartServer(*ServingCertificate(secret.path(), clock));
  for (const auto& [certificate, key] : {std::pair{second.certificate_pem, first.key_pem},
                                         {std::string("no certificate"), second.key_pem}}) {
    secret.Write(certificate, key);
    clock.Advance(seconds(61));
    EXPECT_TRUE(GetTrusting(*server, first.certificate_pem));
  }
  secret.Write(second.certificate_pem, second.key_pem);
  clock.Advance(seconds(61));
  EXPECT_TRUE(GetTrusting(*server, second.certificate_pem));
}

TEST(HttpsServer, DoesNotStartWithACertificateThatCannotBeUsed) {
  EXPECT_FALSE(ServingCertificate("/nowhere"));
  const MountedSecret secret;
  secret.Write(SelfSigned().certificate_pem, SelfSigned().key_pem);
  HttpServerOptions options;
  options.host = "127.0.0.1";
  options.tls = *ServingCertificate(secret.path());
  auto server = HttpServer::Start(std::move(options));
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().reason, "InvalidCertificate");
}

}  // namespace
}  // namespace cutover::telemetry
