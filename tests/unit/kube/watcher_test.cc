// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "operator/kube/store.h"
#include "tests/unit/kube/fake_clock.h"
#include "tests/unit/kube/fake_transport.h"

namespace cutover::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Object(const std::string& name, int version) {
  return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"ns","name":")" + name +
         R"(","uid":"u)" + name + R"(","resourceVersion":")" + std::to_string(version) + R"("}})";
}

std::string List(int version, const std::vector<std::string>& objects,
                 const std::string& next = "") {
  std::string items;
  for (const std::string& object : objects) items += (items.empty() ? "" : ",") + object;
  return R"({"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":")" +
         std::to_string(version) + R"(","continue":")" + next + R"("},"items":[)" + items + "]}";
}

std::string Event(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

std::string StatusObject(int code, const std::string& reason, const std::string& cause = "") {
  return R"({"kind":"Status","apiVersion":"v1","message":"m","reason":")" + reason +
         R"(","details":{"causes":[{"reason":")" + cause + R"("}]},"code":)" +
         std::to_string(code) + "}";
}

std::string Bookmark(int version) {
  return Event("BOOKMARK", R"({"kind":"ConfigMap","metadata":{"resourceVersion":")" +
                               std::to_string(version) + R"("}})");
}

// Runs a watcher through a script of answers until it asks for more than there is.
class WatcherTest : public ::testing::Test {
 protected:
  void RunScript(std::deque<FakeTransport::Answer> script) {
    auto transport = std::make_unique<FakeTransport>();
    transport_ = transport.get();
    transport_->script = std::move(script);
    transport_->on_exhausted = [this] { stop_.request_stop(); };
    client_ = std::make_unique<ApiClient>(std::move(transport));
    WatcherOptions options;
    options.resource = kConfigMap;
    options.ns = "ns";
    options.watch_list = watch_list_;
    options.sleep = [this](std::stop_token, std::chrono::milliseconds wait) {
      pauses_.push_back(wait);
      clock_.Advance(wait);
      return true;
    };
    Watcher(*client_, options, store_, clock_).Run(stop_.get_token());
  }

  // What was asked, for each request, and at which version.
  std::vector<std::string> Asked() const {
    std::vector<std::string> asked;
    for (const Request& request : transport_->requests) {
      const std::string& target = request.target;
      std::string line = "LIST";
      if (target.find("watch=1") != std::string::npos) line = "WATCH";
      if (target.find("limit=1") != std::string::npos) line = "COMPARE";
      if (target.find("sendInitialEvents=true") != std::string::npos) line = "STREAM";
      size_t version = target.find("resourceVersion=");
      if (version != std::string::npos) {
        std::string rest = target.substr(version + 16);
        line += "@" + rest.substr(0, rest.find('&'));
      }
      if (target.find("continue=") != std::string::npos) line += "+";
      asked.push_back(line);
    }
    return asked;
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const Key& key : store_.Keys()) names.push_back(key.name);
    return names;
  }

  bool watch_list_ = false;
  FakeClock clock_;
  std::stop_source stop_;
  Store<Json> store_{"configmaps", AsIs};
  std::unique_ptr<ApiClient> client_;
  FakeTransport* transport_ = nullptr;
  std::vector<std::chrono::milliseconds> pauses_;
};

TEST_F(WatcherTest, ListsAllPagesThenFollowsChanges) {
  RunScript({{.body = List(10, {Object("a", 1)}, "more")},
             {.body = List(10, {Object("b", 2)})},
             {.body = Event("ADDED", Object("c", 11)) + Event("DELETED", Object("a", 12))}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "LIST+", "WATCH@10", "WATCH@12"));
  EXPECT_THAT(Names(), ElementsAre("b", "c"));
  EXPECT_TRUE(store_.HasSynced());
}

TEST_F(WatcherTest, ResumesAnEndedWatchWhereItWasWithoutAList) {
  RunScript({{.body = List(10, {})},
             {.body = Event("ADDED", Object("a", 11))},
             {.body = Event("MODIFIED", Object("a", 12))}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "WATCH@10", "WATCH@11", "WATCH@12"));
}

TEST_F(WatcherTest, BookmarksAloneMoveTheResumePoint) {
  RunScript({{.body = List(10, {})}, {.body = Bookmark(500)}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "WATCH@10", "WATCH@500"));
}

TEST_F(WatcherTest, TheSameEventsArriveHoweverTheBytesAreCut) {
  for (size_t chunk : {1, 2, 7, 64}) {
    stop_ = std::stop_source();
    RunScript({{.body = List(10, {})},
               {.body = Event("ADDED", Object("ä", 11)) + Event("ADDED", Object("b", 12)),
                .chunk_bytes = chunk}});
    EXPECT_THAT(Names(), ElementsAre("b", "ä")) << chunk;
  }
}

TEST_F(WatcherTest, GoneAsHttpStatusListsAgain) {
  RunScript({{.body = List(10, {Object("a", 1)})},
             {.status = 410, .body = StatusObject(410, "Expired")},
             {.body = List(20, {Object("b", 15)})}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "WATCH@10", "LIST", "WATCH@20"));
  EXPECT_THAT(Names(), ElementsAre("b")) << "what vanished meanwhile must be deleted";
}

TEST_F(WatcherTest, GoneAsEventListsAgain) {
  RunScript(
      {{.body = List(10, {Object("a", 1)})},
       {.body = Event("MODIFIED", Object("a", 11)) + Event("ERROR", StatusObject(410, "Expired"))},
       {.body = List(20, {})}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "WATCH@10", "LIST", "WATCH@20"));
  EXPECT_THAT(Names(), ElementsAre());
}

TEST_F(WatcherTest, WhenTheListIsGoneTooListsAgain) {
  RunScript({{.body = List(10, {})},
             {.status = 410, .body = StatusObject(410, "Gone")},
             {.status = 410, .body = StatusObject(410, "Gone")},
             {.body = List(20, {})}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "WATCH@10", "LIST", "LIST", "WATCH@20"));
}

TEST_F(WatcherTest, GoneBetweenPagesStartsTheListAgainAndKeepsTheOldStateMeanwhile) {
  RunScript({{.body = List(10, {Object("a", 1)}, "more")},
             {.status = 410, .body = StatusObject(410, "Expired")},
             {.body = List(20, {Object("b", 2)})}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "LIST+", "LIST", "WATCH@20"));
  EXPECT_THAT(Names(), ElementsAre("b")) << "no half of the first attempt";
}

TEST_F(WatcherTest, AVersionTheServerHasNotReachedMeansAList) {
  RunScript({{.body = List(10, {})},
             {.status = 504, .body = StatusObject(504, "Timeout", "ResourceVersionTooLarge")},
             {.body = List(5, {})}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "WATCH@10", "LIST", "WATCH@5"));
}

TEST_F(WatcherTest, RefusedConnectionsAndThrottlingRetryTheSameWatchWithBackOff) {
  RunScript({{.body = List(10, {Object("a", 1)})},
             {.status = 0},
             {.body = List(10, {})},  // The comparison, after the loss of touch.
             {.status = 429, .body = StatusObject(429, "TooManyRequests")},
             {.status = 503, .body = StatusObject(503, "ServiceUnavailable")},
             {.body = Bookmark(11)}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "WATCH@10", "COMPARE", "WATCH@10", "WATCH@10",
                                   "WATCH@10", "WATCH@11"));
  ASSERT_EQ(pauses_.size(), 3u);
  for (size_t i = 0; i < pauses_.size(); ++i) {
    EXPECT_GE(pauses_[i].count(), 800 << i);
    EXPECT_LE(pauses_[i].count(), 1600 << i);
  }
  EXPECT_THAT(Names(), ElementsAre("a")) << "stale, never empty";
}

// What is decided by what it holds, such as whether users are let in again, waits for it.
TEST_F(WatcherTest, AnOutageOfAMinuteIsOverForItWithinThreeSeconds) {
  std::deque<FakeTransport::Answer> script = {{.body = List(10, {Object("a", 1)})}};
  for (int i = 0; i < 60; ++i) script.push_back({.status = 0});
  script.push_back({.body = List(11, {})});
  script.push_back({.body = Event("ADDED", Object("b", 11))});
  RunScript(std::move(script));
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  ASSERT_GE(pauses_.size(), 20u);
  EXPECT_LE(*std::max_element(pauses_.begin(), pauses_.end()), std::chrono::seconds(3));
}

TEST_F(WatcherTest, SoItIsBeforeTheFirstList) {
  std::deque<FakeTransport::Answer> script(60, {.status = 0});
  script.push_back({.body = List(10, {Object("a", 1)})});
  RunScript(std::move(script));
  EXPECT_THAT(Names(), ElementsAre("a"));
  ASSERT_GE(pauses_.size(), 20u);
  EXPECT_LE(*std::max_element(pauses_.begin(), pauses_.end()), std::chrono::seconds(3));
}

TEST_F(WatcherTest, AWatchThatBreaksInTheMiddleOfALineResumesAfterTheLastWholeOne) {
  std::string half = Event("ADDED", Object("b", 12));
  half.resize(half.size() / 2);
  RunScript({{.body = List(10, {})},
             {.body = Event("ADDED", Object("a", 11)) + half, .breaks = true},
             {.body = List(12, {})},
             {.body = Event("ADDED", Object("b", 12))}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "WATCH@10", "COMPARE", "WATCH@11", "WATCH@12"));
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
}

TEST_F(WatcherTest, AWatchThatEndsAtOnceWithoutEventsIsNotHammered) {
  RunScript({{.body = List(10, {})}, {.body = ""}, {.body = ""}});
  EXPECT_EQ(pauses_.size(), 2u);
}

TEST_F(WatcherTest, AnEventThatIsNoJsonEndsTheWatchAndListsAgain) {
  RunScript({{.body = List(10, {})}, {.body = "oops\n"}, {.body = List(20, {})}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "WATCH@10", "LIST", "WATCH@20"));
}

TEST_F(WatcherTest, AnEventOfAnUnknownTypeIsPassedOver) {
  RunScript({{.body = List(10, {})},
             {.body = Event("FUTURE", Object("x", 11)) + Event("ADDED", Object("a", 12))}});
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(WatcherTest, AFailingListIsRetriedAndLeavesTheSinkUnsynced) {
  RunScript({{.status = 403, .body = StatusObject(403, "Forbidden")},
             {.status = 403, .body = StatusObject(403, "Forbidden")},
             {.body = List(10, {Object("a", 1)})}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "LIST", "LIST", "WATCH@10"));
  EXPECT_EQ(pauses_.size(), 2u);
}

TEST_F(WatcherTest, AsksForBookmarksAndForAnEndWithinTenMinutes) {
  RunScript({{.body = List(10, {})}, {.body = Bookmark(11)}});
  const std::string& target = transport_->requests[1].target;
  EXPECT_THAT(target, HasSubstr("allowWatchBookmarks=true"));
  size_t at = target.find("timeoutSeconds=");
  ASSERT_NE(at, std::string::npos);
  int timeout_seconds = std::stoi(target.substr(at + 15));
  EXPECT_GE(timeout_seconds, 300);
  EXPECT_LE(timeout_seconds, 600);
  EXPECT_THAT(transport_->requests[0].target, Not(HasSubstr("resourceVersion=")))
      << "the first list is the most recent state";
}

TEST_F(WatcherTest, AServerThatHasGoneBackInTimeIsListedInsteadOfWatchedInSilence) {
  RunScript({{.body = List(10, {Object("a", 1), Object("b", 10)})},
             {.status = 0},
             {.body = List(7, {})},
             {.body = List(7, {Object("a", 1)})}});
  EXPECT_THAT(Asked(), ElementsAre("LIST", "WATCH@10", "COMPARE", "LIST", "WATCH@7"));
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(WatcherTest, ARepeatedOrLateEventIsPassedOver) {
  RunScript({{.body = List(10, {Object("a", 9)})},
             {.body = Event("DELETED", Object("a", 12)) + Event("MODIFIED", Object("a", 11)) +
                      Event("ADDED", Object("b", 9)) + Event("ADDED", Object("c", 13))}});
  EXPECT_THAT(Names(), ElementsAre("c"));
  EXPECT_THAT(Asked(), ElementsAre("LIST", "WATCH@10", "WATCH@13"));
}

class StreamedListTest : public WatcherTest {
 protected:
  StreamedListTest() { watch_list_ = true; }

  static std::string EndOfList(int version) {
    return Event("BOOKMARK", R"({"kind":"ConfigMap","metadata":{"resourceVersion":")" +
                                 std::to_string(version) +
                                 R"(","annotations":{"k8s.io/initial-events-end":"true"}}})");
  }
};

TEST_F(StreamedListTest, GoesOnAsTheWatchAndIsResumedAsOne) {
  RunScript({{.body = Event("ADDED", Object("a", 3)) + Event("ADDED", Object("b", 4)) +
                      EndOfList(10) + Event("DELETED", Object("a", 11))}});
  EXPECT_THAT(Asked(), ElementsAre("STREAM", "WATCH@11"));
  EXPECT_THAT(Names(), ElementsAre("b"));
  EXPECT_TRUE(store_.HasSynced());
}

TEST_F(StreamedListTest, DeletesWhatVanishedOnARelistAndNothingBeforeItsEnd) {
  RunScript({{.body = Event("ADDED", Object("a", 3)) + EndOfList(10)},
             {.status = 410, .body = StatusObject(410, "Expired")},
             {.body = Event("ADDED", Object("b", 12)), .breaks = true},
             {.body = List(20, {Object("b", 12)})}});
  EXPECT_THAT(Asked(), ElementsAre("STREAM", "WATCH@10", "STREAM", "LIST", "WATCH@20"));
  EXPECT_THAT(Names(), ElementsAre("b"));
}

TEST_F(StreamedListTest, IsNotAskedForAgainWhenTheServerRefusesIt) {
  RunScript({{.status = 422, .body = StatusObject(422, "Invalid")},
             {.body = List(10, {})},
             {.status = 410, .body = StatusObject(410, "Expired")},
             {.body = List(20, {})}});
  EXPECT_THAT(Asked(), ElementsAre("STREAM", "LIST", "WATCH@10", "LIST", "WATCH@20"));
}

TEST(Backoff, StartsAgainAfterTwoHealthyMinutesAndNeverExceedsItsCapBeforeJitter) {
  FakeClock clock;
  Backoff::Options options;
  options.random = [] { return 0.0; };
  Backoff backoff(clock, options);
  std::vector<int64_t> waits;
  for (int i = 0; i < 8; ++i) waits.push_back(backoff.Next().count());
  EXPECT_THAT(waits, ElementsAre(800, 1600, 3200, 6400, 12800, 25600, 30000, 30000));
  clock.Advance(std::chrono::seconds(121));
  EXPECT_EQ(backoff.Next().count(), 800);
}

}  // namespace
}  // namespace cutover::kube
