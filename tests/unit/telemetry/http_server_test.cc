// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "tests/least_time.h"
#include "tests/unit/telemetry/raw_http_client.h"

namespace cutover::telemetry {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

// For what has to come, on a machine that may stand still for seconds meanwhile.
constexpr milliseconds kSoon{30'000};

HttpServerOptions TestOptions() {
  HttpServerOptions options;
  options.host = "127.0.0.1";
  options.routes["/ok"] = [](const HttpRequest&) {
    return HttpResponse{200, "text/plain", {{"X-Test", "yes"}}, "fine"};
  };
  options.routes["/throws"] = [](const HttpRequest&) -> HttpResponse {
    throw std::runtime_error("a secret detail");
  };
  return options;
}

std::unique_ptr<HttpServer> StartServer(HttpServerOptions options = TestOptions()) {
  auto server = HttpServer::Start(std::move(options));
  EXPECT_TRUE(server) << server.error().message;
  return std::move(*server);
}

TEST(HttpServer, AnswersARouteWithItsHeadersAndBody) {
  auto server = StartServer();
  const std::string answer = Get(server->port(), "/ok?verbose");
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_EQ(BodyOf(answer), "fine");
  EXPECT_THAT(answer, HasSubstr("X-Test: yes\r\n"));
}

TEST(HttpServer, GivesAHandlerMethodPathAndHeaders) {
  auto options = TestOptions();
  options.routes["/echo"] = [](const HttpRequest& request) {
    return HttpResponse{200,
                        "text/plain",
                        {},
                        request.method + request.path + std::string(request.Header("ACCEPT"))};
  };
  auto server = StartServer(std::move(options));
  EXPECT_EQ(BodyOf(Get(server->port(), "/echo?a=b", "accept: x/y\r\n")), "GET/echox/y");
}

TEST(HttpServer, RefusesUnknownPathsAndOtherMethods) {
  auto server = StartServer();
  EXPECT_EQ(StatusOf(Get(server->port(), "/nothing")), 404);
  RawHttpClient client(server->port());
  client.Send("DELETE /ok HTTP/1.1\r\nHost: test\r\n\r\n");
  const std::string answer = client.ReadAnswer();
  EXPECT_EQ(StatusOf(answer), 405);
  EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD"));
}

TEST(HttpServer, AnswersHeadWithTheLengthButWithoutTheBody) {
  auto server = StartServer();
  RawHttpClient client(server->port());
  client.Send("HEAD /ok HTTP/1.1\r\nHost: test\r\n\r\n");
  const std::string answer = client.ReadAnswer(false);
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_THAT(answer, HasSubstr("Content-Length: 4"));
  EXPECT_EQ(BodyOf(answer), "");
  // And the connection is in step afterwards.
  client.Send("GET /ok HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_EQ(BodyOf(client.ReadAnswer()), "fine");
}

TEST(HttpServer, KeepsAConnectionForFurtherRequests) {
  auto server = StartServer();
  RawHttpClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.Send("GET /ok HTTP/1.1\r\nHost: test\r\n\r\n"));
    EXPECT_EQ(BodyOf(client.ReadAnswer()), "fine");
  }
}

TEST(HttpServer, ClosesWhenTheClientAsksForIt) {
  auto server = StartServer();
  RawHttpClient client(server->port());
  client.Send("GET /ok HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(BodyOf(client.ReadAnswer()), "fine");
  EXPECT_TRUE(client.ReadUntilClosed(kSoon));
}

TEST(HttpServer, ClosesAConnectionWhoseHeaderDripsInTooSlowly) {
  auto options = TestOptions();
  options.request_timeout = milliseconds(300);
  auto server = StartServer(std::move(options));
  bool closed = false;
  const milliseconds open_for = TimeOf([&] {
    RawHttpClient client(server->port());
    client.Send("GET /ok HTTP/1.1\r\n");
    // Each byte comes well within the timeout; together they do not.
    for (int i = 0; i < 600 && !closed; ++i) {
      client.Send("a");
      closed = client.ReadUntilClosed(milliseconds(50));
    }
  });
  EXPECT_TRUE(closed);
  EXPECT_GE(open_for, milliseconds(300));
}

TEST(HttpServer, RefusesAHeaderOverTheLimit) {
  auto server = StartServer();
  RawHttpClient client(server->port());
  client.Send("GET /ok HTTP/1.1\r\nHost: test\r\nX-Long: " + std::string(9000, 'x') + "\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadAnswer()), 431);
}

TEST(HttpServer, AcceptsAHeaderJustUnderTheLimit) {
  auto server = StartServer();
  EXPECT_EQ(StatusOf(Get(server->port(), "/ok", "X-Long: " + std::string(7000, 'x') + "\r\n")),
            200);
}

TEST(HttpServer, RefusesABodyWhetherItsLengthIsKnownOrNot) {
  auto server = StartServer();
  for (const char* framing : {"Content-Length: 5\r\n\r\nhello",
                              "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                              "Transfer-Encoding: chunked\r\n\r\n-1\r\n"}) {
    RawHttpClient client(server->port());
    client.Send(std::string("GET /ok HTTP/1.1\r\nHost: test\r\n") + framing);
    EXPECT_EQ(StatusOf(client.ReadAnswer()), 413) << framing;
  }
  EXPECT_EQ(StatusOf(Get(server->port(), "/ok", "Content-Length: 0\r\n")), 200);
}

TEST(HttpServer, AnswersWhatIsNoHttpWithBadRequest) {
  auto server = StartServer();
  RawHttpClient client(server->port());
  client.Send("\x16\x03\x01 this is a TLS hello, or so\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadAnswer()), 400);
  EXPECT_EQ(StatusOf(Get(server->port(), "/ok")), 200);
}

TEST(HttpServer, TurnsAThrowingHandlerIntoA500ThatTellsNothing) {
  auto server = StartServer();
  const std::string answer = Get(server->port(), "/throws");
  EXPECT_EQ(StatusOf(answer), 500);
  EXPECT_THAT(answer, Not(HasSubstr("secret")));
  EXPECT_EQ(StatusOf(Get(server->port(), "/ok")), 200);
}

TEST(HttpServer, LetsAProbeThroughThreeHundredIdleConnections) {
  auto options = TestOptions();
  options.request_timeout = std::chrono::minutes(2);  // None goes because its time is over.
  auto server = StartServer(std::move(options));
  std::vector<RawHttpClient> idle;
  for (int i = 0; i < 300; ++i) {
    idle.emplace_back(server->port());
    ASSERT_TRUE(idle.back().connected());
  }
  EXPECT_EQ(StatusOf(Get(server->port(), "/ok")), 200);
  // Those that waited longest had to go; the youngest are still there.
  EXPECT_TRUE(idle.front().ReadUntilClosed(kSoon));
  idle.back().Send("GET /ok HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_EQ(StatusOf(idle.back().ReadAnswer()), 200);
}

TEST(HttpServer, SkipsABodyBeforeTheFallbackAnswers) {
  auto options = TestOptions();
  options.fallback = [](const HttpRequest& request) {
    return HttpResponse{503, "text/plain", {}, request.method};
  };
  auto server = StartServer(std::move(options));
  RawHttpClient client(server->port());
  const std::string body(1 << 20, 'b');
  client.Send("POST /web/session HTTP/1.1\r\nHost: test\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  std::string answer;
  EXPECT_TRUE(client.ReadUntilClosed(kSoon, &answer));
  EXPECT_EQ(StatusOf(answer), 503);
  EXPECT_EQ(BodyOf(answer), "POST");
}

TEST(HttpServer, StopsAtOnceDespiteOpenConnections) {
  constexpr milliseconds kAtOnce{1000};
  const auto stop = [] {
    auto server = StartServer();
    const uint16_t port = server->port();
    RawHttpClient idle(port), half(port);
    half.Send("GET /ok HT");
    EXPECT_EQ(StatusOf(Get(port, "/ok")), 200);
    const milliseconds took = TimeOf([&server] { server.reset(); });
    EXPECT_TRUE(idle.ReadUntilClosed(kSoon));
    EXPECT_FALSE(RawHttpClient(port).connected());
    return took;
  };
  EXPECT_LT(LeastTime(kAtOnce, stop), kAtOnce);
}

TEST(HttpServer, ReportsAnAddressThatIsTaken) {
  auto server = StartServer();
  auto options = TestOptions();
  options.port = server->port();
  auto second = HttpServer::Start(std::move(options));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "AddressUnavailable");
}

TEST(HttpServer, ListensOnEveryAddressWhenNoneIsGiven) {
  auto options = TestOptions();
  options.host = "";
  auto server = StartServer(std::move(options));
  EXPECT_EQ(StatusOf(Get(server->port(), "/ok")), 200);
}

TEST(ParseListenAddress, ReadsHostAndPort) {
  for (const auto& [text, host, port] : std::vector<std::tuple<std::string, std::string, uint16_t>>{
           {":8080", "", 8080}, {"127.0.0.1:0", "127.0.0.1", 0}, {"[::1]:65535", "::1", 65535}}) {
    auto address = ParseListenAddress(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->host, host);
    EXPECT_EQ(address->port, port);
  }
}

TEST(ParseListenAddress, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "8080", ":", ":http", ":65536", ":-1", "localhost:80", "1.2.3:80"})
    EXPECT_FALSE(ParseListenAddress(text)) << text;
}

}  // namespace
}  // namespace cutover::telemetry
