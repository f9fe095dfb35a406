// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/process_metrics.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

namespace cutover::telemetry {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> ReadText(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) return std::nullopt;
  return text.str();
}

// The fields of proc(5) stat from the third on: [0] is the state. The second is the program's name
// in parentheses, which may itself contain spaces and parentheses.
std::vector<std::string> StatFields(const std::string& stat) {
  const size_t name_end = stat.rfind(')');
  if (name_end == stat.npos) return {};
  std::istringstream rest(stat.substr(name_end + 1));
  std::vector<std::string> fields;
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

std::optional<double> BootTimeSeconds(const fs::path& proc) {
  std::ifstream file(proc / "stat");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("btime ", 0) == 0) return std::stod(line.substr(6));
  return std::nullopt;
}

void CollectStat(const Metrics::Sink& sink, const fs::path& directory) {
  // proc(5) counts from 1, and two fields are before ours: utime is 14, hence [11].
  constexpr size_t kUserTicks = 11, kSystemTicks = 12, kThreads = 17, kStartTicks = 19,
                   kVirtualBytes = 20, kResidentPages = 21;
  const auto fields = StatFields(ReadText(directory / "stat").value_or(""));
  if (fields.size() <= kResidentPages) return;
  auto number = [&fields](size_t field) { return std::stod(fields[field]); };
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
  sink({Metric::kProcessCpuSecondsTotal,
        {},
        (number(kUserTicks) + number(kSystemTicks)) / ticks_per_second});
  sink({Metric::kProcessVirtualMemoryBytes, {}, number(kVirtualBytes)});
  sink({Metric::kProcessResidentMemoryBytes, {}, number(kResidentPages) * page_bytes});
  sink({Metric::kProcessThreads, {}, number(kThreads)});
  if (auto boot = BootTimeSeconds("/proc"))
    sink({Metric::kProcessStartTimeSeconds, {}, *boot + number(kStartTicks) / ticks_per_second});
}

void CollectFds(const Metrics::Sink& sink, const fs::path& directory) {
  std::error_code error;
  size_t count = 0;
  for (fs::directory_iterator entry(directory / "fd", error), end; !error && entry != end;
       entry.increment(error))
    ++count;
  if (!error) sink({Metric::kProcessOpenFds, {}, static_cast<double>(count)});
}

void CollectLimits(const Metrics::Sink& sink, const fs::path& directory) {
  constexpr std::string_view kOpenFiles = "Max open files";
  std::istringstream lines(ReadText(directory / "limits").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(kOpenFiles, 0) != 0) continue;
    std::istringstream values(line.substr(kOpenFiles.size()));
    double soft = 0;
    if (values >> soft) sink({Metric::kProcessFdsMax, {}, soft});
  }
}

}  // namespace

void CollectProcess(const Metrics::Sink& sink, const std::string& proc_directory) {
  CollectStat(sink, proc_directory);
  CollectFds(sink, proc_directory);
  CollectLimits(sink, proc_directory);
}

}  // namespace cutover::telemetry
