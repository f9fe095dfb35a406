// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/clock.h"

namespace cutover::api {

enum class ConditionStatus { kTrue, kFalse, kUnknown };
std::string_view Name(ConditionStatus status);

/// metav1.Condition.
struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::kUnknown;
  std::string reason;  ///< CamelCase, never empty; a documented API.
  std::string message;
  int64_t observed_generation = 0;
  std::optional<WallTime> last_transition_time;

  friend bool operator==(const Condition&, const Condition&) = default;
};

/// A list-map by type. Setting a condition moves lastTransitionTime only when its status changes,
/// so that a converged object causes no write.
class Conditions {
 public:
  const Condition* Find(std::string_view type) const;
  bool IsTrue(std::string_view type) const;

  /// Adds or replaces by type; `condition.last_transition_time` is ignored and derived from `now`.
  void Set(Condition condition, WallTime now);
  void Remove(std::string_view type);

  /// As read from the API server, in its order.
  std::vector<Condition>& items() { return items_; }
  const std::vector<Condition>& items() const { return items_; }

  friend bool operator==(const Conditions&, const Conditions&) = default;

 private:
  std::vector<Condition> items_;
};

}  // namespace cutover::api
