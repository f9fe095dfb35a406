// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "reconcilers/wiring/pod_settings.h"

namespace cutover::migration {

/// What the operator was started with, as far as migrations care.
struct OperatorConfig {
  std::string namespace_name =
      "cutover-system";  ///< Where servers' Secrets, ledgers, copy Jobs live.
  /// Whose migrations are ours; empty: all. In others nothing may even be read.
  std::vector<std::string> watch_namespaces;
  std::string operator_image;
  std::string mover_image;
  std::string image_pull_policy = "IfNotPresent";
  /// Secrets of the operator's namespace that Jobs there pull with.
  std::vector<std::string> image_pull_secrets{};
  wiring::PodSettings pods{};  ///< Of Jobs, and of maintenance pages.
  /// What checks may ask as a Prometheus beside those in the tenant's own namespace.
  std::vector<std::string> prometheus_urls{};
  /// SQL by name that spec.copy.throttleQuery chooses from. It is asked with the admin's rights, so
  /// that no tenant may write it.
  std::map<std::string, std::string> throttle_queries{};
  /// The lease's epoch, which fences the databases; 0 while not leading.
  std::function<int64_t()> epoch = [] { return int64_t{1}; };
};

}  // namespace cutover::migration
