// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/process_metrics.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>

namespace cutover::telemetry {
namespace {

std::map<Metric, double> Collect(const std::string& directory) {
  std::map<Metric, double> values;
  CollectProcess([&values](const Sample& sample) { values[sample.metric] = sample.value; },
                 directory);
  return values;
}

TEST(ProcessMetrics, DescribeThisProcess) {
  auto values = Collect("/proc/self");
  ASSERT_EQ(values.size(), 7u);
  EXPECT_GE(values[Metric::kProcessThreads], 1);
  EXPECT_GE(values[Metric::kProcessOpenFds], 3);
  EXPECT_GT(values[Metric::kProcessFdsMax], values[Metric::kProcessOpenFds]);
  EXPECT_GT(values[Metric::kProcessResidentMemoryBytes], 1 << 20);
  EXPECT_GT(values[Metric::kProcessVirtualMemoryBytes],
            values[Metric::kProcessResidentMemoryBytes]);
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(values[Metric::kProcessStartTimeSeconds], now, 600);
}

TEST(ProcessMetrics, ReadPastAProgramNameWithSpacesAndParentheses) {
  const auto directory =
      std::filesystem::temp_directory_path() / ("cutover-proc-" + std::to_string(getpid()));
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "stat")
      << "7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 150 50 0 0 20 0 9 0 0 4096 2 0\n";
  auto values = Collect(directory);
  std::filesystem::remove_all(directory);
  EXPECT_DOUBLE_EQ(values[Metric::kProcessCpuSecondsTotal],
                   200.0 / static_cast<double>(sysconf(_SC_CLK_TCK)));
  EXPECT_DOUBLE_EQ(values[Metric::kProcessThreads], 9);
  EXPECT_DOUBLE_EQ(values[Metric::kProcessVirtualMemoryBytes], 4096);
  EXPECT_DOUBLE_EQ(values[Metric::kProcessResidentMemoryBytes],
                   2.0 * static_cast<double>(sysconf(_SC_PAGESIZE)));
}

TEST(ProcessMetrics, LeaveOutWhatCannotBeRead) { EXPECT_TRUE(Collect("/nowhere").empty()); }

}  // namespace
}  // namespace cutover::telemetry
