// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "cli/view/chart.h"
#include "cli/view/report.h"
#include "cli/view/words.h"

namespace cutover::cli {
namespace {

struct Sample {
  WallTime time;
  std::optional<int64_t> copied, lag;
  std::optional<double> rate;  ///< Bytes a second since the sample before.
};

std::optional<int64_t> Number(const Json& sample, std::string_view key) {
  return sample.Contains(key) ? std::optional(sample[key].AsInt()) : std::nullopt;
}

// What is less than before was copied anew, and is no rate.
std::optional<double> RateBetween(const Sample& before, const Sample& after) {
  const double seconds = std::chrono::duration<double>(after.time - before.time).count();
  if (!before.copied || !after.copied || *after.copied < *before.copied || seconds <= 0)
    return std::nullopt;
  return static_cast<double>(*after.copied - *before.copied) / seconds;
}

std::vector<Sample> SamplesOf(const Json& report) {
  std::vector<Sample> samples;
  for (const Json& item : report["samples"].Items()) {
    const auto time = ParseTime(item["time"].AsString());
    if (!time) continue;
    Sample sample{*time, Number(item, "copiedBytes"), Number(item, "lagBytes"), {}};
    if (!samples.empty()) sample.rate = RateBetween(samples.back(), sample);
    samples.push_back(sample);
  }
  return samples;
}

// Between two samples the rate is the mean, and one does not know more.
std::vector<ChartPoint> StepsOf(const std::vector<Sample>& samples) {
  std::vector<ChartPoint> points;
  for (size_t i = 1; i < samples.size(); ++i) {
    if (!samples[i].rate) continue;
    points.push_back({samples[i - 1].time, *samples[i].rate, samples[i - 1].rate.has_value()});
    points.push_back({samples[i].time, *samples[i].rate, true});
  }
  return points;
}

bool CutoverBetween(const Json& report, WallTime before, WallTime after) {
  const auto journaled = ParseTime(report["moments"]["journaledAt"].AsString());
  return journaled && before <= *journaled && *journaled < after;
}

std::vector<ChartPoint> LagsOf(const Json& report, const std::vector<Sample>& samples) {
  std::vector<ChartPoint> points;
  const Sample* before = nullptr;
  for (const Sample& sample : samples) {
    const bool joined = before && before->lag && !CutoverBetween(report, before->time, sample.time);
    if (sample.lag) points.push_back({sample.time, static_cast<double>(*sample.lag), joined});
    before = &sample;
  }
  return points;
}

double Highest(const std::vector<ChartPoint>& points) {
  double highest = 0;
  for (const ChartPoint& point : points) highest = std::max(highest, point.value);
  return highest;
}

std::string Bytes(double value) { return FormatBytes(static_cast<int64_t>(value)); }

std::string Dim(const std::string& text) { return "<p class=\"dim\">" + text + "</p>\n"; }

/// A figure, or why there is none.
struct Drawn {
  std::string text;
  bool has_shade = false;
};

Drawn Draw(const Chart& chart) { return {RenderChart(chart), HasShade(chart)}; }

Drawn ThroughputChart(const Json& report, const std::vector<Sample>& samples) {
  Chart chart{"throughput", "Throughput of the copy", "",
              "/s",         StepsOf(samples),         TimesShutOut(report)};
  if (chart.points.empty())
    return {
        Dim("No curve of the throughput: the status holds no two samples of one copy that "
            "follow each other.")};
  chart.description = "Bytes copied a second, from " + FormatTime(chart.points.front().time) +
                      " to " + FormatTime(chart.points.back().time) + ", at most " +
                      Bytes(Highest(chart.points)) + "/s.";
  return Draw(chart);
}

Drawn LagChart(const Json& report, const std::vector<Sample>& samples) {
  Chart chart{"lag", "Lag of the side that follows", "",
              "",    LagsOf(report, samples),        TimesShutOut(report)};
  if (chart.points.size() < 2)
    return {Dim(report["migration"]["strategy"].AsString() == "Online"
                    ? "No curve of the lag: the status holds fewer than two samples of it."
                    : "No curve of the lag: nothing is followed in strategy Offline.")};
  chart.description = "Bytes that the side that follows had not confirmed, from " +
                      FormatTime(chart.points.front().time) + " to " +
                      FormatTime(chart.points.back().time) + ", at most " +
                      Bytes(Highest(chart.points)) +
                      ". Until the cutover the target follows, after it the source.";
  return Draw(chart);
}

std::string NumbersOf(const std::vector<Sample>& samples) {
  if (samples.empty()) return "";
  std::string text =
      "<details><summary>The numbers</summary>\n<div class=\"scroll\"><table><tr><th>Time</th>"
      "<th>Copied</th><th>Rate since the one before</th><th>Lag</th></tr>\n";
  auto cell = [](const std::string& value) { return "<td>" + value + "</td>"; };
  for (const Sample& sample : samples)
    text += "<tr>" + cell(FormatTime(sample.time)) +
            cell(sample.copied ? FormatBytes(*sample.copied) : "") +
            cell(sample.rate ? Bytes(*sample.rate) + "/s" : "") +
            cell(sample.lag ? FormatBytes(*sample.lag) : "") + "</tr>\n";
  return text + "</table></div></details>\n";
}

}  // namespace

std::vector<std::pair<WallTime, WallTime>> TimesShutOut(const Json& report) {
  const Json& moments = report["moments"];
  const auto made = ParseTime(report["madeAt"].AsString());
  std::vector<std::pair<WallTime, WallTime>> times;
  for (const auto& [stopped, admitted] :
       {std::pair("usersStoppedAt", "usersAdmittedAt"),
        std::pair("rollbackStoppedUsersAt", "rollbackAdmittedUsersAt")}) {
    const auto from = ParseTime(moments[stopped].AsString());
    const auto to = ParseTime(moments[admitted].AsString());
    if (from && (to || made)) times.emplace_back(*from, to ? *to : *made);
  }
  return times;
}

std::string LegendOfShade(const Json& report) {
  // The status keeps the moments of the last one alone.
  const int64_t attempts = report["moments"]["cutoverAttempts"].AsInt();
  return Dim("Shaded: users could not work" +
             (attempts > 1 ? "; of " + std::to_string(attempts) +
                                 " attempts at the cutover that is known of the last alone"
                           : std::string()) +
             ".");
}

std::string ReportCharts(const Json& report) {
  const std::vector<Sample> samples = SamplesOf(report);
  const Drawn throughput = ThroughputChart(report, samples), lag = LagChart(report, samples);
  const bool shade = throughput.has_shade || lag.has_shade;
  return throughput.text + lag.text + (shade ? LegendOfShade(report) : "") + NumbersOf(samples);
}

}  // namespace cutover::cli
