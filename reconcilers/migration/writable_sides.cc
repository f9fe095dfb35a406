// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/writable_sides.h"

namespace cutover::migration {

std::optional<int> WritableSides(const Observation& seen) {
  if (!seen.source.known() || !seen.target.known()) return std::nullopt;
  const bool source = seen.source->exists && !seen.source->ProvenFenced();
  const bool target = seen.target->exists && !seen.target->closed;
  return (source ? 1 : 0) + (target ? 1 : 0);
}

}  // namespace cutover::migration
