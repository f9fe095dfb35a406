// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "operator/kube/leader_election.h"

namespace cutover::testing {

/// Times so short that a test sees a succession within seconds, and so long that a leader who is
/// not disturbed stays one on a machine that stands still for a moment.
inline kube::ElectionOptions QuickElection(const std::string& ns, const std::string& identity) {
  kube::ElectionOptions options;
  options.lease = {ns, "operator"};
  options.identity = identity;
  options.lease_duration = std::chrono::milliseconds(9000);
  options.renew_deadline = std::chrono::milliseconds(6000);
  options.retry_period = std::chrono::milliseconds(500);
  return options;
}

}  // namespace cutover::testing
