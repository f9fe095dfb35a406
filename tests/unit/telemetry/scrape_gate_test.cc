// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/scrape_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "operator/telemetry/health.h"
#include "tests/least_time.h"
#include "tests/unit/kube/fake_clock.h"
#include "tests/unit/telemetry/raw_http_client.h"

namespace cutover::telemetry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

// Of gates that are not to lose theirs: a machine may stand still for seconds.
constexpr milliseconds kPatience{60'000};

HttpRequest WithToken(const std::string& token) {
  return {"GET", "/metrics", {{"authorization", "Bearer " + token}}};
}

// What the gate decides: the status of its answer, 200 when it lets the request through.
std::future<int> Admitted(ScrapeGate& gate, const HttpRequest& request) {
  auto decided = std::make_shared<std::promise<int>>();
  gate.Admit(request, [decided](HttpGate::Verdict verdict) {
    decided->set_value(verdict ? verdict->status : 200);
  });
  return decided->get_future();
}
int StatusFor(ScrapeGate& gate, const std::string& token) {
  return Admitted(gate, WithToken(token)).get();
}

// Whoever it is asked about has the right that their token names.
Result<Access> ByName(const std::string& token) {
  if (token == "good") return Access::kAllowed;
  if (token == "poor") return Access::kForbidden;
  if (token == "away") return RetryError("Unreachable", "nobody is there");
  return Access::kUnknownToken;
}

// An API server that answers when it is told to, unless the asking is cancelled.
class SlowServer {
 public:
  ScrapeGate::Ask Asker() {
    return [this](std::stop_token stop, Deadline deadline, const std::string& token) {
      ++asked_;
      while (!answers_ && !stop.stop_requested() && !deadline.Expired())
        std::this_thread::sleep_for(milliseconds(1));
      return answers_ ? ByName(token) : RetryError("Timeout", "it took too long");
    };
  }
  void Answer() { answers_ = true; }
  int asked() const { return asked_; }
  void WaitUntilAsked(int times) const {
    const Deadline deadline = Deadline::After(seconds(30));
    while (asked_ < times && !deadline.Expired()) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_GE(asked_, times);
  }

 private:
  std::atomic<bool> answers_ = false;
  std::atomic<int> asked_ = 0;
};

TEST(ScrapeGate, LetsThroughWhoMayAndTellsTheOthersWhatIsWrong) {
  ScrapeGate gate([](auto, auto, const std::string& token) { return ByName(token); },
                  {.patience = kPatience});
  EXPECT_EQ(StatusFor(gate, "good"), 200);
  EXPECT_EQ(StatusFor(gate, "poor"), 403);
  EXPECT_EQ(StatusFor(gate, "bad"), 401);
  EXPECT_EQ(StatusFor(gate, "away"), 503);
}

TEST(ScrapeGate, AsksNobodyAboutARequestWithoutAToken) {
  std::atomic<int> asked = 0;
  ScrapeGate gate([&asked](auto, auto, const std::string&) -> Result<Access> {
    ++asked;
    return Access::kAllowed;
  });
  EXPECT_EQ(Admitted(gate, {"GET", "/metrics", {}}).get(), 401);
  EXPECT_EQ(Admitted(gate, {"GET", "/metrics", {{"Authorization", "Basic eDp5"}}}).get(), 401);
  EXPECT_EQ(Admitted(gate, {"GET", "/metrics", {{"Authorization", "Bearer "}}}).get(), 401);
  EXPECT_EQ(asked, 0);
}

TEST(ScrapeGate, AsksAgainOnlyWhenWhatItWasToldIsOld) {
  kube::FakeClock clock;
  std::atomic<int> asked = 0;
  ScrapeGate gate(
      [&asked](auto, auto, const std::string& token) {
        ++asked;
        return ByName(token);
      },
      {}, clock);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(StatusFor(gate, "good"), 200);
  EXPECT_EQ(asked, 1);
  clock.Advance(AccessCache::kAllowedFor);
  EXPECT_EQ(StatusFor(gate, "good"), 200);
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(StatusFor(gate, "poor"), 403);
  EXPECT_EQ(StatusFor(gate, "poor"), 403);
  EXPECT_EQ(asked, 3);
}

TEST(ScrapeGate, RemembersNoFailure) {
  std::atomic<bool> away = true;
  ScrapeGate gate(
      [&away](auto, auto, const std::string&) { return away ? ByName("away") : ByName("good"); });
  EXPECT_EQ(StatusFor(gate, "token"), 503);
  away = false;
  EXPECT_EQ(StatusFor(gate, "token"), 200);
}

TEST(ScrapeGate, AnswersWhomItKnowsWhileTheApiServerIsSlowAboutOthers) {
  SlowServer server;
  ScrapeGate gate(
      [asker = server.Asker()](std::stop_token stop, Deadline deadline, const std::string& token) {
        return token == "good" ? ByName(token) : asker(stop, deadline, token);
      },
      {.patience = kPatience});
  ASSERT_EQ(StatusFor(gate, "good"), 200);
  std::vector<std::future<int>> others;
  for (int i = 0; i < 10; ++i)
    others.push_back(Admitted(gate, WithToken("bad-" + std::to_string(i))));
  server.WaitUntilAsked(2);  // Both workers are busy, and the rest waits.
  auto known = Admitted(gate, WithToken("good"));
  EXPECT_EQ(known.wait_for(seconds(0)), std::future_status::ready);
  EXPECT_EQ(others.back().wait_for(seconds(0)), std::future_status::timeout);
  server.Answer();
  for (auto& other : others) EXPECT_EQ(other.get(), 401);
}

TEST(ScrapeGate, AsksOnceForAllWhoBringTheSameTokenMeanwhile) {
  SlowServer server;
  ScrapeGate gate(server.Asker(), {.workers = 1, .patience = kPatience});
  std::vector<std::future<int>> all;
  for (int i = 0; i < 5; ++i) all.push_back(Admitted(gate, WithToken("good")));
  server.Answer();
  for (auto& one : all) EXPECT_EQ(one.get(), 200);
  EXPECT_EQ(server.asked(), 1);
}

TEST(ScrapeGate, TurnsAwayAtOnceWhomItHasNoRoomFor) {
  SlowServer server;
  ScrapeGate gate(server.Asker(), {.workers = 1, .waiting_max = 2, .patience = kPatience});
  auto asked = Admitted(gate, WithToken("good"));
  server.WaitUntilAsked(1);
  auto first = Admitted(gate, WithToken("good")), second = Admitted(gate, WithToken("good"));
  auto third = Admitted(gate, WithToken("good"));
  ASSERT_EQ(third.wait_for(seconds(0)), std::future_status::ready);
  EXPECT_EQ(third.get(), 503);
  server.Answer();
  EXPECT_EQ(asked.get(), 200);
  EXPECT_EQ(first.get(), 200);
  EXPECT_EQ(second.get(), 200);
}

TEST(ScrapeGate, GivesUpInTimeAlsoOnThoseThatOnlyWaited) {
  SlowServer server;
  ScrapeGate gate(server.Asker(), {.workers = 1, .patience = milliseconds(600)});
  const milliseconds took = TimeOf([&gate] {
    std::vector<std::future<int>> all;
    for (int i = 0; i < 60; ++i)
      all.push_back(Admitted(gate, WithToken("good-" + std::to_string(i))));
    for (auto& one : all) EXPECT_EQ(one.get(), 503);
  });
  EXPECT_LT(took, seconds(30)) << "one after the other, with 600 ms each, takes 36 seconds";
}

// The whole server, with the gate before it.
std::unique_ptr<HttpServer> Serve(Metrics& metrics, ScrapeGate::Ask ask) {
  HttpServerOptions options;
  options.host = "127.0.0.1";
  options.request_timeout = 2 * kPatience;
  options.routes = MetricsRoutes(metrics);
  options.gate =
      std::make_unique<ScrapeGate>(std::move(ask), ScrapeGateOptions{.patience = kPatience});
  auto server = HttpServer::Start(std::move(options));
  EXPECT_TRUE(server);
  return std::move(*server);
}

TEST(ScrapeGate, KeepsMetricsFromWhoMayNotReadThem) {
  Metrics metrics;
  metrics.Set(Metric::kLeader, {"cutover"}, 1);
  auto server = Serve(metrics, [](auto, auto, const std::string& token) { return ByName(token); });
  for (const auto& [header, status] :
       std::vector<std::pair<std::string, int>>{{"Authorization: Bearer good\r\n", 200},
                                                {"Authorization: Bearer poor\r\n", 403},
                                                {"Authorization: Bearer bad\r\n", 401},
                                                {"Authorization: Bearer away\r\n", 503},
                                                {"", 401}}) {
    const std::string answer = Get(server->port(), "/metrics", header);
    EXPECT_EQ(StatusOf(answer), status) << header;
    if (status == 200)
      EXPECT_THAT(answer, HasSubstr("leader_election_master_status"));
    else
      EXPECT_THAT(answer, Not(HasSubstr("leader_election_master_status")));
  }
  EXPECT_THAT(Get(server->port(), "/metrics"), HasSubstr("WWW-Authenticate: Bearer"));
  // Who may not be let in is not told either what there is.
  EXPECT_EQ(StatusOf(Get(server->port(), "/nothing")), 401);
}

TEST(ScrapeGate, LetsAServerStopAtOnceWhileItWaitsForADecision) {
  const auto stop = [] {
    SlowServer slow;
    Metrics metrics;
    auto server = Serve(metrics, slow.Asker());
    std::vector<RawHttpClient> clients;
    for (int i = 0; i < 10; ++i) {
      clients.emplace_back(server->port());
      clients.back().Send("GET /metrics HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer t" +
                          std::to_string(i) + "\r\n\r\n");
    }
    slow.WaitUntilAsked(2);
    return TimeOf([&server] { server.reset(); });
  };
  EXPECT_LT(LeastTime(seconds(1), stop), seconds(1));
}

}  // namespace
}  // namespace cutover::telemetry
