// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/server/progress.h"

#include <cstdlib>

namespace cutover::server {

void SetProgress(Progress progress, const std::string& reason, const std::string& message,
                 int64_t generation, WallTime now, api::Conditions& conditions) {
  constexpr char kReconciling[] = "Reconciling";
  constexpr char kStalled[] = "Stalled";
  if (progress != Progress::kReconciling) conditions.Remove(kReconciling);
  if (progress != Progress::kStalled) conditions.Remove(kStalled);
  if (progress == Progress::kSettled) return;
  conditions.Set({progress == Progress::kStalled ? kStalled : kReconciling,
                  api::ConditionStatus::kTrue, reason, message, generation, std::nullopt},
                 now);
}

int64_t SettledFigure(int64_t shown, int64_t seen) {
  if (shown == 0 || seen == 0) return seen;
  return std::abs(seen - shown) <= shown / 20 ? shown : seen;
}

}  // namespace cutover::server
