// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "operator/kube/events.h"
#include "operator/kube/metadata.h"
#include "tests/kube/api_server.h"

namespace cutover::kube {
namespace {

Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }

TEST(EventsOnApiServer, AreAcceptedVisibleAndBecomeASeries) {
  std::unique_ptr<ApiClient> client = cutover::testing::MakeClient();
  std::string ns = cutover::testing::MakeNamespace(*client);
  EventRecorder recorder(*client, {.controller = "cutover.dev/operator", .instance = "pod-1"});
  EventSpec event{{kConfigMap, {ns, "tenant"}, "uid-1"}, true, "SmokeFailed", "RollBack", "why"};
  for (int i = 0; i < 3; ++i) recorder.Record(event);
  while (recorder.SendNext({}, Soon())) {
  }
  Result<ObjectList> events = client->List({}, Soon(), kEvent, {.ns = ns});
  ASSERT_TRUE(events) << events.error().message;
  ASSERT_EQ(events->items.size(), 1u);
  const Json& stored = events->items[0];
  EXPECT_EQ(stored["reason"].StringRef(), "SmokeFailed");
  EXPECT_EQ(stored["type"].StringRef(), "Warning");
  EXPECT_EQ(stored["note"].StringRef(), "why");
  EXPECT_EQ(stored.At({"regarding", "name"}).StringRef(), "tenant");
  EXPECT_EQ(stored.At({"series", "count"}).AsInt(), 3);
}

TEST(EventsOnApiServer, AboutClusterScopedObjectsAreAccepted) {
  std::unique_ptr<ApiClient> client = cutover::testing::MakeClient();
  std::string name = cutover::testing::MakeNamespace(*client);
  EventRecorder recorder(*client, {.controller = "cutover.dev/operator", .instance = "pod-1"});
  recorder.Record({{kNamespace, {"", name}, "uid-2"}, false, "Probed", "Probe", "ready"});
  ASSERT_TRUE(recorder.SendNext({}, Soon()));
  ListOptions options{.ns = "default", .field_selector = "regarding.name=" + name};
  Result<ObjectList> events = client->List({}, Soon(), kEvent, options);
  ASSERT_TRUE(events) << events.error().message;
  EXPECT_EQ(events->items.size(), 1u);
}

}  // namespace
}  // namespace cutover::kube
