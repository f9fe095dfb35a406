// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string_view>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "operator/base/clock.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

// How the runs of checks add up in status. All pure: what was found is in the observation, what was
// counted before in status, and nothing else is known.

/// A run's latency is the median of so many samples, before the move and afterwards alike.
inline constexpr int kLatencySamples = 5;

/// Latencies that differ by no more than this are equal: it is what a fast query's vary by between
/// two servers that are equally good, while nobody who waits for a page would notice it.
inline constexpr std::chrono::milliseconds kLatencyNoise{5};

/// Null when nothing is known of it yet.
const api::CheckStatus* FindCheck(const std::vector<api::CheckStatus>& checks,
                                  std::string_view name);

/// Whether a check of Hypercare is to run again: an interval after its last run, by whomever.
bool IsDue(const std::vector<api::CheckStatus>& checks, std::string_view name, int interval_seconds,
           WallTime now);

/// Whether a check's latency before the move is wanted, and not known yet.
bool LacksBaseline(const std::vector<api::CheckStatus>& checks, const api::Check& check);

/// status.checks with the latencies that were measured before the move.
std::vector<api::CheckStatus> NoteBaselines(const api::TenantMigration& migration,
                                            const Observation& seen);

/// status.checks with the runs that were seen in Hypercare. One run is counted once, however often
/// this is asked, since it is known by the time of its observation. A run that found nothing out
/// changes no count: it neither fails a check nor clears it.
std::vector<api::CheckStatus> CountRuns(const api::TenantMigration& migration,
                                        const Observation& seen);

/// Whether so many runs in a row have failed that the check has.
inline bool HasFailed(const api::CheckStatus& check) {
  return check.consecutive_failures > 0 && check.consecutive_failures >= check.failure_threshold;
}

/// "check login-page: answered 502 (failed 3 times in a row since …, of 16)"
std::string Describe(const api::CheckStatus& check);

}  // namespace cutover::migration
