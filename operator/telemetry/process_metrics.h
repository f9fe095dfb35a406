// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "operator/telemetry/metrics.h"

namespace cutover::telemetry {

/// The process_* metrics of the process that `proc_directory` describes; this one by default.
/// What cannot be read is left out, not shown as zero. For Metrics::AddCollector.
void CollectProcess(const Metrics::Sink& sink, const std::string& proc_directory = "/proc/self");

}  // namespace cutover::telemetry
