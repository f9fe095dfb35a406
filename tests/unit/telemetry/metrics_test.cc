// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <regex>
#include <set>

namespace cutover::telemetry {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MetricTable, HoldsNothingThatWouldBreakTheExposition) {
  std::set<std::string_view> names;
  const std::regex name_format("[a-z][a-z0-9_]*");
  const std::regex labels_format("([a-z][a-z_]*(,[a-z][a-z_]*)*)?");
  for (const MetricDefinition& row : MetricTable()) {
    const std::string name(row.name), labels(row.labels);
    EXPECT_TRUE(names.insert(row.name).second) << name << " twice";
    EXPECT_TRUE(std::regex_match(name, name_format)) << name;
    EXPECT_TRUE(std::regex_match(labels, labels_format)) << name;
    EXPECT_EQ(row.help.find('\n'), row.help.npos) << name;
    EXPECT_TRUE(row.help.ends_with('.')) << name;
    EXPECT_EQ(labels.find("le,"), labels.npos) << name << ": le belongs to histograms";
    EXPECT_EQ(row.type == MetricType::kCounter, name.ends_with("_total")) << name;
    EXPECT_EQ(row.type == MetricType::kHistogram, !row.buckets.empty()) << name;
    EXPECT_TRUE(std::ranges::is_sorted(row.buckets, std::ranges::less_equal{})) << name;
  }
}

TEST(Metrics, ShowsCountersGaugesAndHistogramsWithTheirLabels) {
  Metrics metrics;
  metrics.Increment(Metric::kReconcileTotal, {"server", "success"}, 2);
  metrics.Set(Metric::kLeader, {"cutover"}, 1);
  metrics.Observe(Metric::kWritePauseSeconds, {}, 3);
  const std::string text = metrics.Expose();
  EXPECT_THAT(text, HasSubstr("# TYPE controller_runtime_reconcile_total counter\n"));
  EXPECT_THAT(
      text,
      HasSubstr(
          "controller_runtime_reconcile_total{controller=\"server\",result=\"success\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("leader_election_master_status{name=\"cutover\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cutover_write_pause_seconds_bucket{le=\"2\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("cutover_write_pause_seconds_bucket{le=\"5\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cutover_write_pause_seconds_sum 3\n"));
}

TEST(Metrics, ShowsNoFamilyThatHasNoSeries) { EXPECT_EQ(Metrics().Expose(), ""); }

TEST(Metrics, AsksCollectorsAtEveryScrape) {
  Metrics metrics;
  int threads = 3;
  metrics.AddCollector([&threads](const Metrics::Sink& sink) {
    if (threads > 0) sink({Metric::kProcessThreads, {}, static_cast<double>(threads)});
  });
  EXPECT_THAT(metrics.Expose(), HasSubstr("process_threads 3\n"));
  threads = 4;
  EXPECT_THAT(metrics.Expose(), HasSubstr("process_threads 4\n"));
  threads = 0;
  EXPECT_EQ(metrics.Expose(), "");
}

TEST(Metrics, MakesACounterVisibleBeforeItsFirstEvent) {
  Metrics metrics;
  metrics.Increment(Metric::kEventsDroppedTotal, {}, 0);
  EXPECT_THAT(metrics.Expose(), HasSubstr("cutover_kube_events_dropped_total 0\n"));
}

TEST(Metrics, MakesAHistogramVisibleBeforeItsFirstObservation) {
  Metrics metrics;
  metrics.Show(Metric::kWritePauseSeconds, {});
  EXPECT_THAT(metrics.Expose(), HasSubstr("cutover_write_pause_seconds_bucket{le=\"2\"} 0\n"));
  metrics.Observe(Metric::kWritePauseSeconds, {}, 1.5);
  metrics.Show(Metric::kWritePauseSeconds, {});
  EXPECT_THAT(metrics.Expose(), HasSubstr("cutover_write_pause_seconds_bucket{le=\"2\"} 1\n"));
}

TEST(Metrics, IgnoresWhatACounterCannotGrowBy) {
  Metrics metrics;
  metrics.Increment(Metric::kEventsDroppedTotal, {}, 5);
  metrics.Increment(Metric::kEventsDroppedTotal, {}, -1);
  metrics.Increment(Metric::kEventsDroppedTotal, {}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_THAT(metrics.Expose(), HasSubstr("cutover_kube_events_dropped_total 5\n"));
}

TEST(Metrics, KeepsHostileLabelValuesFromForgingLines) {
  Metrics metrics;
  metrics.Increment(Metric::kRelistsTotal, {"a\"b\\c\nforged 1\n\xff"});
  const std::string text = metrics.Expose();
  EXPECT_THAT(text, HasSubstr("{resource=\"a\\\"b\\\\c\\nforged 1\\n?\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("\nforged")));
}

TEST(MetricsDeathTest, AbortsOnAWrongNumberOfLabels) {
  Metrics metrics;
  EXPECT_DEATH(metrics.Increment(Metric::kRelistsTotal, {}), "CHECK failed");
}

TEST(MetricsDeathTest, AbortsOnTheWrongTypeOfMetric) {
  Metrics metrics;
  EXPECT_DEATH(metrics.Set(Metric::kRelistsTotal, {"pods"}, 1), "CHECK failed");
}

TEST(MetricsReference, HasALineForEveryMetric) {
  const std::string reference = RenderMetricsReference();
  for (const MetricDefinition& row : MetricTable())
    EXPECT_THAT(reference, HasSubstr("| `" + std::string(row.name) + "` | "));
}

}  // namespace
}  // namespace cutover::telemetry
