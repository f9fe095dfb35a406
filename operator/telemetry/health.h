// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "operator/telemetry/http_server.h"
#include "operator/telemetry/metrics.h"

namespace cutover::telemetry {

/// What the probes ask. Both functions are called on the server's thread and must not block.
struct HealthSource {
  std::function<bool()> healthy;  ///< False: this process is better restarted.
  /// One fact a line, its name and whether it holds; ready when all of them hold.
  std::function<std::vector<std::pair<std::string, bool>>()> readiness;
};

/// /healthz and /readyz: 200 or 503, with the facts as text as the API server shows its own.
Routes HealthRoutes(HealthSource source);

/// /metrics. `metrics` outlives the server.
Routes MetricsRoutes(const Metrics& metrics);

}  // namespace cutover::telemetry
