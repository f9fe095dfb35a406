// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/http_transport.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "operator/telemetry/http_server.h"

namespace cutover::kube {
namespace {

// A web server on the loopback that says which Host it was asked for.
class Http : public ::testing::Test {
 protected:
  void Serve(const std::string& address) {
    telemetry::HttpServerOptions options;
    options.host = address;
    options.fallback = [](const telemetry::HttpRequest& request) {
      telemetry::HttpResponse response;
      response.body = request.Header("Host");
      return response;
    };
    auto server = telemetry::HttpServer::Start(std::move(options));
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  std::string Port() const { return std::to_string(server_->port()); }
  static Result<Response> Ask(Transport& transport) {
    Request request;
    request.target = "/";
    return transport.Call({}, Deadline::After(std::chrono::seconds(60)), request);
  }

  std::unique_ptr<telemetry::HttpServer> server_;
};

TEST_F(Http, AnIpv6LiteralIsReachedAndKeepsItsBracketsWhereTheyBelong) {
  Serve("::1");
  auto transport = MakeHttpTransport({.url = "http://[::1]:" + Port()});
  ASSERT_TRUE(transport) << transport.error().message;
  EXPECT_EQ((*transport)->host(), "[::1]:" + Port());
  Result<Response> answer = Ask(**transport);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body, "[::1]:" + Port());
}

TEST_F(Http, AnIpv4LiteralIsReached) {
  Serve("127.0.0.1");
  auto transport = MakeHttpTransport({.url = "http://127.0.0.1:" + Port()});
  ASSERT_TRUE(transport) << transport.error().message;
  Result<Response> answer = Ask(**transport);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body, "127.0.0.1:" + Port());
}

TEST_F(Http, AnIpv6LiteralWithoutAPortHasItsSchemesOwn) {
  auto secure = MakeHttpTransport({.url = "https://[fd00:10:96::1]"});
  ASSERT_TRUE(secure) << secure.error().message;
  EXPECT_EQ((*secure)->host(), "[fd00:10:96::1]:443");
}

// The program's own function is what the HTTP library finds under this name: OpenSSL's would read
// the machine's authorities for every connection.
TEST(HttpLibrary, ReadsNobodysAuthoritiesButTheGivenOnes) {
  Dl_info found{}, program{};
  void* function = dlsym(RTLD_DEFAULT, "SSL_CTX_set_default_verify_paths");
  ASSERT_NE(dladdr(function, &found), 0);
  ASSERT_NE(dladdr(reinterpret_cast<void*>(&MakeHttpTransport), &program), 0);
  EXPECT_EQ(found.dli_fbase, program.dli_fbase) << found.dli_fname;
}

}  // namespace
}  // namespace cutover::kube
