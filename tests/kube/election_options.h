// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "operator/kube/leader_election.h"

namespace cutover::testing {

/// A fifth of the usual times, so that a test sees a succession within seconds.
inline kube::ElectionOptions QuickElection(const std::string& ns, const std::string& identity) {
  kube::ElectionOptions options;
  options.lease = {ns, "operator"};
  options.identity = identity;
  options.lease_duration = std::chrono::milliseconds(3000);
  options.renew_deadline = std::chrono::milliseconds(2000);
  options.retry_period = std::chrono::milliseconds(400);
  return options;
}

}  // namespace cutover::testing
