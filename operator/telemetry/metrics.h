// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cutover::telemetry {

/// Every metric of the operator. The table in metrics.cc has a row for each, in this order.
enum class Metric {
  kMigrationInfo,
  kMigrationPhase,
  kMigrationPhaseStartTime,
  kMigrationReason,
  kMigrationReasonSince,
  kMigrationRetrying,
  kMigrationBytesCopied,
  kMigrationBytesExpected,
  kMigrationTablesCopied,
  kMigrationTablesExpected,
  kMigrationRowsCopied,
  kMigrationEtaSeconds,
  kMigrationWritePauseSeconds,
  kMigrationWritePauseMaxSeconds,
  kMigrationUsersShutOut,
  kStageDurationSeconds,
  kWritePauseSeconds,
  kVerificationRows,
  kVerificationMismatches,
  kMigrationsTotal,
  kRollbacksTotal,
  kReplicationLagBytes,
  kReplicationLagSeconds,
  kSlotRetainedBytes,
  kRollbackReady,
  kRollbackSampledRows,
  kRollbackAvailableUntil,
  kWritableSides,
  kServerUp,
  kServerTenants,
  kPlacementInfo,
  kBuildInfo,

  kReconcileTotal,
  kReconcileErrorsTotal,
  kTerminalReconcileErrorsTotal,
  kReconcilePanicsTotal,
  kReconcileTimeSeconds,
  kMaxConcurrentReconciles,
  kActiveWorkers,

  kQueueDepth,
  kQueueAddsTotal,
  kQueueWaitSeconds,
  kQueueWorkSeconds,
  kQueueUnfinishedWorkSeconds,
  kQueueLongestRunningSeconds,
  kQueueRetriesTotal,

  kRestRequestsTotal,
  kRestRequestSeconds,
  kWatchRestartsTotal,
  kRelistsTotal,
  kEventsDroppedTotal,
  kLeader,

  kProcessCpuSecondsTotal,
  kProcessOpenFds,
  kProcessFdsMax,
  kProcessVirtualMemoryBytes,
  kProcessResidentMemoryBytes,
  kProcessStartTimeSeconds,
  kProcessThreads,
};

enum class MetricType { kCounter, kGauge, kHistogram };

/// One row of the table: all that is constant about a metric.
struct MetricDefinition {
  Metric metric;
  std::string_view name;
  MetricType type;
  std::string_view help;
  std::string_view labels;          ///< "namespace,name"; values are given in this order.
  std::span<const double> buckets;  ///< Upper bounds of a histogram, ascending.
};

/// The table, in the order of the enumeration.
std::span<const MetricDefinition> MetricTable();

/// Values of the metric's labels, as many and in the order as its row names them.
using LabelValues = std::initializer_list<std::string_view>;

/// A value that is computed at every scrape.
struct Sample {
  Metric metric;
  std::vector<std::string> labels;  ///< Values, as LabelValues.
  double value = 0;
};

/// What /metrics shows. Counters and histograms accumulate here; whatever describes an object or
/// the process comes from collectors, asked at every scrape, so that it disappears with what it
/// describes. Thread-safe. A wrong number of labels or the wrong type of metric aborts: the table
/// and its users are both ours.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// By 0, makes the series visible before its first event, as rate() needs it.
  /// Negative or not-a-number `by` is ignored.
  void Increment(Metric counter, LabelValues labels, double by = 1);
  void Set(Metric gauge, LabelValues labels, double value);
  void Observe(Metric histogram, LabelValues labels, double value);
  /// Makes the series of a histogram visible before its first observation: increase() does not
  /// count the one with which a series appears.
  void Show(Metric histogram, LabelValues labels);

  /// `collect` passes its samples to the sink it gets, in any order; it is called on the scraping
  /// thread and must outlive the last scrape. A metric has its values either from collectors or
  /// from Increment and Set, not from both.
  using Sink = std::function<void(const Sample&)>;
  void AddCollector(std::function<void(const Sink&)> collect);

  /// The Prometheus text format, version 0.0.4.
  std::string Expose() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

/// The table as Markdown, for docs/metrics.md.
std::string RenderMetricsReference();

}  // namespace cutover::telemetry
