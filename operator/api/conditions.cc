// SPDX-License-Identifier: Apache-2.0
#include "operator/api/conditions.h"

#include <algorithm>

#include "operator/api/field_reader.h"
#include "operator/api/field_writer.h"
#include "operator/base/check.h"

namespace cutover::api {
namespace {

constexpr EnumNames<ConditionStatus, 3> kStatusNames{{{ConditionStatus::kTrue, "True"},
                                                      {ConditionStatus::kFalse, "False"},
                                                      {ConditionStatus::kUnknown, "Unknown"}}};

}  // namespace

std::string_view Name(ConditionStatus status) { return NameIn(kStatusNames, status); }

const Condition* Conditions::Find(std::string_view type) const {
  auto found = std::find_if(items_.begin(), items_.end(),
                            [&](const Condition& held) { return held.type == type; });
  return found == items_.end() ? nullptr : &*found;
}

bool Conditions::IsTrue(std::string_view type) const {
  const Condition* held = Find(type);
  return held && held->status == ConditionStatus::kTrue;
}

void Conditions::Set(Condition condition, WallTime now) {
  CHECK(!condition.type.empty() && !condition.reason.empty());
  for (Condition& held : items_) {
    if (held.type != condition.type) continue;
    bool unchanged = held.status == condition.status && held.last_transition_time;
    condition.last_transition_time = unchanged ? *held.last_transition_time : now;
    held = std::move(condition);
    return;
  }
  condition.last_transition_time = now;
  items_.push_back(std::move(condition));
}

void Conditions::Remove(std::string_view type) {
  std::erase_if(items_, [&](const Condition& held) { return held.type == type; });
}

Conditions ReadConditions(FieldReader& status) {
  Conditions conditions;
  status.ForEach("conditions", [&](FieldReader& item) {
    Condition condition;
    condition.type = item.RequiredString("type");
    condition.status = item.Enum("status", kStatusNames, ConditionStatus::kUnknown);
    condition.reason = item.String("reason");
    condition.message = item.String("message");
    condition.observed_generation = item.Int("observedGeneration");
    condition.last_transition_time = item.Time("lastTransitionTime");
    conditions.items().push_back(std::move(condition));
  });
  return conditions;
}

Json EncodeConditions(const Conditions& conditions) {
  Json encoded = Json::Array();
  for (const Condition& condition : conditions.items()) {
    FieldWriter item;
    item.Text("type", condition.type)
        .Text("status", Name(condition.status))
        .Text("reason", std::string_view(condition.reason).substr(0, kReasonLengthMax))
        .Value("message", Shorten(condition.message, kMessageLengthMax))  // required, even empty
        .Count("observedGeneration", condition.observed_generation)
        .Time("lastTransitionTime", condition.last_transition_time);
    encoded.Append(item.Take());
  }
  return encoded;
}

}  // namespace cutover::api
