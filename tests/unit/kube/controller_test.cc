// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "tests/unit/kube/fake_clock.h"

namespace cutover::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

const Key kA{"ns", "a"};

class Recorder final : public Observer {
 public:
  void OnReconcile(std::string_view, std::string_view result, Duration) override {
    results.emplace_back(result);
  }
  std::vector<std::string> results;
};

// Steps one controller by hand on a virtual clock.
class ControllerTest : public ::testing::Test {
 protected:
  Controller& Make(Reconcile reconcile) {
    controller_ = std::make_unique<Controller>(ControllerOptions{.name = "test"},
                                               std::move(reconcile), clock_, recorder_);
    return *controller_;
  }

  FakeClock clock_;
  Recorder recorder_;
  std::unique_ptr<Controller> controller_;
};

TEST_F(ControllerTest, ADoneKeyWaitsForTheNextChange) {
  int calls = 0;
  Controller& controller = Make([&](auto, auto, const Key&) -> Result<Step> {
    ++calls;
    return Step::Done();
  });
  controller.Enqueue(kA);
  EXPECT_TRUE(controller.ProcessNext({}));
  clock_.Advance(std::chrono::hours(10));
  EXPECT_FALSE(controller.ProcessNext({}));
  EXPECT_EQ(calls, 1);
  EXPECT_THAT(recorder_.results, ElementsAre("success"));
}

TEST_F(ControllerTest, AfterLooksAgainInTime) {
  Controller& controller =
      Make([](auto, auto, const Key&) -> Result<Step> { return Step::After(seconds(30)); });
  controller.Enqueue(kA);
  ASSERT_TRUE(controller.ProcessNext({}));
  clock_.Advance(seconds(29));
  EXPECT_FALSE(controller.ProcessNext({}));
  clock_.Advance(seconds(1));
  EXPECT_TRUE(controller.ProcessNext({}));
}

TEST_F(ControllerTest, FailuresAndDoubtsAreRetriedWithBackOffThatSuccessForgets) {
  int calls = 0;
  Controller& controller = Make([&](auto, auto, const Key&) -> Result<Step> {
    switch (++calls) {
      case 1:
        return RetryError("Down", "down");
      case 2:
        return InDoubtError("Lost", "lost");
      default:
        return Step::Done();
    }
  });
  controller.Enqueue(kA);
  ASSERT_TRUE(controller.ProcessNext({}));
  EXPECT_FALSE(controller.ProcessNext({}));
  clock_.Advance(milliseconds(5));
  ASSERT_TRUE(controller.ProcessNext({}));
  clock_.Advance(milliseconds(5));
  EXPECT_FALSE(controller.ProcessNext({})) << "the second failure waits twice as long";
  clock_.Advance(milliseconds(5));
  ASSERT_TRUE(controller.ProcessNext({}));
  EXPECT_THAT(recorder_.results, ElementsAre("error", "error", "success"));
}

TEST_F(ControllerTest, ATerminalErrorWaitsForAChange) {
  Controller& controller =
      Make([](auto, auto, const Key&) -> Result<Step> { return TerminalError("Bad", "bad"); });
  controller.Enqueue(kA);
  ASSERT_TRUE(controller.ProcessNext({}));
  clock_.Advance(std::chrono::hours(10));
  EXPECT_FALSE(controller.ProcessNext({}));
  controller.Enqueue(kA);
  EXPECT_TRUE(controller.ProcessNext({}));
  EXPECT_THAT(recorder_.results, ElementsAre("terminal", "terminal"));
}

TEST_F(ControllerTest, AnExceptionFailsItsKeyAndNothingElse) {
  Controller& controller =
      Make([](auto, auto, const Key&) -> Result<Step> { throw std::out_of_range("oops"); });
  controller.Enqueue(kA);
  EXPECT_TRUE(controller.ProcessNext({}));
  EXPECT_THAT(recorder_.results, ElementsAre("panic"));
  clock_.Advance(seconds(1));
  EXPECT_TRUE(controller.ProcessNext({})) << "it is tried again";
}

TEST_F(ControllerTest, AnErrorCausedByTheStopIsNotRetried) {
  std::stop_source stop;
  Controller& controller = Make([&](auto, auto, const Key&) -> Result<Step> {
    stop.request_stop();
    return RetryError("Cancelled", "stopped");
  });
  controller.Enqueue(kA);
  controller.ProcessNext(stop.get_token());
  EXPECT_EQ(controller.queue().NextDue(), std::nullopt);
}

TEST_F(ControllerTest, AChangeConcernsOwnersBeforeAndAfter) {
  std::vector<std::string> reconciled;
  Controller& controller = Make([&](auto, auto, const Key& key) -> Result<Step> {
    reconciled.push_back(key.name);
    return Step::Done();
  });
  Store<Json> children("children", AsIs);
  controller.Watches<Json>(children, [](const Key&, const Json& child) -> std::vector<Key> {
    return {{"ns", child["owner"].AsString()}};
  });
  auto child = [](int version, const char* owner) {
    return Json::Object({{"metadata", Json::Object({{"name", "c"},
                                                    {"uid", "u"},
                                                    {"resourceVersion", std::to_string(version)}})},
                         {"owner", owner}});
  };
  children.Upsert(child(1, "first"));
  children.Upsert(child(2, "second"));
  while (controller.ProcessNext({})) {
  }
  EXPECT_THAT(reconciled, ElementsAre("first", "second"));
}

TEST_F(ControllerTest, AKeyIsNeverReconciledTwiceAtOnceThoughManyWorkersRun) {
  std::atomic<int> running{0}, overlaps{0}, calls{0};
  std::map<std::string, std::atomic<int>> inside;
  for (const char* name : {"a", "b", "c"}) inside[name] = 0;
  Controller controller({.name = "busy", .workers = 4},
                        [&](auto, auto, const Key& key) -> Result<Step> {
                          if (++inside[key.name] > 1) ++overlaps;
                          std::this_thread::sleep_for(milliseconds(1));
                          --inside[key.name];
                          ++calls;
                          return Step::Done();
                        });
  std::stop_source stop;
  std::jthread runner([&] { controller.Run(stop.get_token()); });
  for (int i = 0; i < 300; ++i) {
    for (const char* name : {"a", "b", "c"}) controller.Enqueue({"ns", name});
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  while (controller.queue().Depth() > 0) std::this_thread::sleep_for(milliseconds(1));
  stop.request_stop();
  runner.join();
  EXPECT_EQ(overlaps, 0);
  EXPECT_GT(calls, 10);
}

Json Stored(const std::string& name, int version) {
  Json object = NewObject(kConfigMap, {"ns", name});
  object.MutableAt("metadata").Set("resourceVersion", std::to_string(version));
  object.MutableAt("metadata").Set("uid", "u" + name);
  return object;
}

// A watch that is behind catches up; a server that is behind would have its word taken for the
// last one, and the object would never be looked at again.
TEST_F(ControllerTest, AKeyThatIsGoneByTheServerAndListedByTheStoreIsLookedAtAgain) {
  bool server_has_it = false;
  int calls = 0;
  Controller& controller = Make([&](auto, auto, const Key&) -> Result<Step> {
    ++calls;
    return server_has_it ? Step::Done() : Step::Gone();
  });
  Store<Json> store("configmaps", AsIs);
  controller.For(store);
  store.Replace({Stored("a", 1)});
  ASSERT_TRUE(controller.ProcessNext({}));
  EXPECT_FALSE(controller.ProcessNext({})) << "not at once";
  clock_.Advance(seconds(1));
  ASSERT_TRUE(controller.ProcessNext({}));
  server_has_it = true;
  clock_.Advance(seconds(1));
  ASSERT_TRUE(controller.ProcessNext({}));
  clock_.Advance(std::chrono::hours(10));
  EXPECT_FALSE(controller.ProcessNext({}));
  EXPECT_EQ(calls, 3);
}

TEST_F(ControllerTest, AKeyThatIsGoneByServerAndStoreIsDone) {
  Controller& controller =
      Make([](auto, auto, const Key&) -> Result<Step> { return Step::Gone(); });
  Store<Json> store("configmaps", AsIs);
  controller.For(store);
  store.Replace({Stored("a", 1)});
  store.Remove(Stored("a", 2));
  ASSERT_TRUE(controller.ProcessNext({}));
  clock_.Advance(std::chrono::hours(10));
  EXPECT_FALSE(controller.ProcessNext({}));
}

TEST_F(ControllerTest, WhatChangesGoesBeforeTheFirstList) {
  std::vector<std::string> order;
  Controller& controller = Make([&](auto, auto, const Key& key) -> Result<Step> {
    order.push_back(key.name);
    return Step::Done();
  });
  Store<Json> store("configmaps", AsIs);
  controller.For(store);
  store.Replace({Stored("a", 1), Stored("b", 2), Stored("c", 3)});
  store.Upsert(Stored("c", 4));
  store.Upsert(Stored("d", 5));
  while (controller.ProcessNext({})) {
  }
  EXPECT_THAT(order, ElementsAre("c", "d", "a", "b"));
}

TEST_F(ControllerTest, AChangeThatConcernsNobodyIsPassedOver) {
  int calls = 0;
  Controller& controller = Make([&](auto, auto, const Key&) -> Result<Step> {
    ++calls;
    return Step::Done();
  });
  Store<Json> store("configmaps", AsIs);
  controller.For<Json>(store, [](const Json& before, const Json& after) {
    return !(before["data"] == after["data"]);
  });
  store.Upsert(Stored("a", 1));
  ASSERT_TRUE(controller.ProcessNext({}));
  store.Upsert(Stored("a", 2));
  EXPECT_FALSE(controller.ProcessNext({}));
  store.Remove(Stored("a", 3));
  EXPECT_TRUE(controller.ProcessNext({})) << "a deletion always does";
}

TEST_F(ControllerTest, AKeyIsNotReconciledByACacheOlderThanItsOwnLastWrite) {
  int calls = 0;
  Controller& controller = Make([&](auto, auto, const Key&) -> Result<Step> {
    ++calls;
    return Step::Done();
  });
  Store<Json> store("configmaps", AsIs);
  controller.For(store);
  store.BeginList();
  store.EndList("10");
  store.Expect(kA, "12");
  controller.Enqueue(kA);
  controller.Enqueue({"ns", "b"});
  for (int i = 0; i < 100; ++i) {
    clock_.Advance(milliseconds(20));
    controller.ProcessNext({});
  }
  EXPECT_EQ(calls, 1) << "nobody has written b";
  store.Reached("12");
  clock_.Advance(milliseconds(20));
  EXPECT_TRUE(controller.ProcessNext({}));
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace cutover::kube
