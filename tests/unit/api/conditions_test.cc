// SPDX-License-Identifier: Apache-2.0
#include "operator/api/conditions.h"

#include <gtest/gtest.h>

namespace cutover::api {
namespace {

using std::chrono::seconds;

const WallTime kMorning = *ParseTime("2026-11-21T06:00:00Z");

Condition Ready(ConditionStatus status, std::string reason) {
  return {"Ready", status, std::move(reason), "", 1, std::nullopt};
}

TEST(Conditions, TransitionTimeMovesOnlyWithTheStatus) {
  Conditions conditions;
  conditions.Set(Ready(ConditionStatus::kFalse, "Copying"), kMorning);
  conditions.Set(Ready(ConditionStatus::kFalse, "Verifying"), kMorning + seconds(10));
  EXPECT_EQ(conditions.Find("Ready")->reason, "Verifying");
  EXPECT_EQ(conditions.Find("Ready")->last_transition_time, kMorning);

  conditions.Set(Ready(ConditionStatus::kTrue, "Completed"), kMorning + seconds(20));
  EXPECT_EQ(conditions.Find("Ready")->last_transition_time, kMorning + seconds(20));
}

TEST(Conditions, TransitionTimeOfTheCallerIsIgnored) {
  Conditions conditions;
  Condition condition = Ready(ConditionStatus::kTrue, "Completed");
  condition.last_transition_time = kMorning + seconds(99);
  conditions.Set(condition, kMorning);
  EXPECT_EQ(conditions.Find("Ready")->last_transition_time, kMorning);
}

TEST(Conditions, SettingTheSameAgainChangesNothing) {
  Conditions conditions;
  conditions.Set(Ready(ConditionStatus::kTrue, "Completed"), kMorning);
  Conditions before = conditions;
  conditions.Set(Ready(ConditionStatus::kTrue, "Completed"), kMorning + seconds(60));
  EXPECT_EQ(conditions, before);
}

TEST(Conditions, OneConditionForEachTypeInTheOrderOfTheirComing) {
  Conditions conditions;
  conditions.Set(Ready(ConditionStatus::kFalse, "Copying"), kMorning);
  conditions.Set({"Fenced", ConditionStatus::kTrue, "Fenced", "", 1, {}}, kMorning);
  conditions.Set(Ready(ConditionStatus::kTrue, "Completed"), kMorning);
  ASSERT_EQ(conditions.items().size(), 2u);
  EXPECT_EQ(conditions.items()[0].type, "Ready");
  EXPECT_EQ(conditions.items()[1].type, "Fenced");
}

TEST(Conditions, AbsentAndUnknownAreNotTrue) {
  Conditions conditions;
  EXPECT_FALSE(conditions.IsTrue("Ready"));
  EXPECT_EQ(conditions.Find("Ready"), nullptr);
  conditions.Set(Ready(ConditionStatus::kUnknown, "NotProbed"), kMorning);
  EXPECT_FALSE(conditions.IsTrue("Ready"));
  conditions.Set(Ready(ConditionStatus::kTrue, "Probed"), kMorning);
  EXPECT_TRUE(conditions.IsTrue("Ready"));
  conditions.Remove("Ready");
  EXPECT_EQ(conditions.Find("Ready"), nullptr);
}

}  // namespace
}  // namespace cutover::api
