// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/events.h"

#include <gtest/gtest.h>

#include "tests/unit/kube/fake_client.h"
#include "tests/unit/kube/fake_clock.h"

namespace cutover::kube {
namespace {

class EventsTest : public ::testing::Test {
 protected:
  EventSpec Event(const std::string& note = "copying") {
    return {{kTenantMigration, {"shop", "move"}, "uid-1"}, false, "PhaseChanged", "Copy", note};
  }
  void SendAll() {
    while (recorder_.SendNext({}, Deadline::Never())) {
    }
  }
  std::vector<Json> Stored() {
    return server_.List({}, Deadline::Never(), kEvent, {.ns = "shop"})->items;
  }

  class Counter final : public Observer {
   public:
    void OnEventDropped() override { ++dropped; }
    int dropped = 0;
  };

  FakeClock clock_;
  FakeClient server_;
  Counter counter_;
  EventRecorder recorder_{
      server_,
      {.controller = "cutover.dev/operator", .instance = "pod-1", .queue_max = 3},
      clock_,
      counter_};
};

TEST_F(EventsTest, AnEventSaysWhatTheApiDemands) {
  recorder_.Record(Event());
  SendAll();
  ASSERT_EQ(Stored().size(), 1u);
  Json event = Stored()[0];
  EXPECT_EQ(event["reportingController"].StringRef(), "cutover.dev/operator");
  EXPECT_EQ(event["reportingInstance"].StringRef(), "pod-1");
  EXPECT_EQ(event["type"].StringRef(), "Normal");
  EXPECT_EQ(event.At({"regarding", "uid"}).StringRef(), "uid-1");
  EXPECT_TRUE(ParseTime(event["eventTime"].StringRef()));
}

TEST_F(EventsTest, TheSameAgainWithinSixMinutesIsASeries) {
  for (int i = 0; i < 3; ++i) {
    recorder_.Record(Event());
    SendAll();
    clock_.Advance(std::chrono::minutes(5));
  }
  ASSERT_EQ(Stored().size(), 1u);
  EXPECT_EQ(Stored()[0].At({"series", "count"}).AsInt(), 3);
  clock_.Advance(std::chrono::minutes(7));
  recorder_.Record(Event());
  SendAll();
  EXPECT_EQ(Stored().size(), 2u);
}

TEST_F(EventsTest, AnotherNoteIsAnotherEvent) {
  recorder_.Record(Event("one"));
  recorder_.Record(Event("two"));
  SendAll();
  EXPECT_EQ(Stored().size(), 2u);
}

TEST_F(EventsTest, ASeriesWhoseFirstEventTheServerHasForgottenBeginsAgain) {
  recorder_.Record(Event());
  SendAll();
  ASSERT_TRUE(server_.Delete({}, Deadline::Never(), kEvent, KeyOf(Stored()[0])));
  recorder_.Record(Event());
  SendAll();
  EXPECT_EQ(Stored().size(), 1u);
}

TEST_F(EventsTest, AFullQueueDropsAndCounts) {
  for (int i = 0; i < 5; ++i) recorder_.Record(Event(std::to_string(i)));
  EXPECT_EQ(counter_.dropped, 2);
  SendAll();
  EXPECT_EQ(Stored().size(), 3u);
}

TEST_F(EventsTest, ALongNoteIsCutBetweenCharacters) {
  std::string note(1023, 'x');
  recorder_.Record(Event(note + "€ and more"));
  SendAll();
  EXPECT_EQ(Stored()[0]["note"].StringRef(), note);
}

TEST_F(EventsTest, EventsAboutClusterScopedObjectsGoToTheDefaultNamespace) {
  EventSpec event = Event();
  event.regarding = {kDatabaseServer, {"", "pg-1"}, "uid-2"};
  recorder_.Record(event);
  SendAll();
  EXPECT_EQ(server_.List({}, Deadline::Never(), kEvent, {.ns = "default"})->items.size(), 1u);
}

}  // namespace
}  // namespace cutover::kube
