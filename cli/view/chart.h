// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "operator/base/clock.h"

namespace cutover::cli {

/// One point of a curve.
struct ChartPoint {
  WallTime time;
  double value = 0;     ///< Not negative.
  bool joined = false;  ///< A line leads here from the point before.
};

/// A curve over time for a page of HTML that runs no script.
struct Chart {
  std::string id;                  ///< Unique in the page.
  std::string title;               ///< "Throughput of the copy"
  std::string description;         ///< What it shows, for those who do not see it.
  std::string per;                 ///< "/s" for bytes a second; empty for bytes.
  std::vector<ChartPoint> points;  ///< At least one, in the order of time.
  std::vector<std::pair<WallTime, WallTime>> shaded;  ///< Times that are marked in the background.
};

/// Whether a mark is to be seen in the background, so that the page has to say what it means. Pure.
bool HasShade(const Chart& chart);

/// A figure with inline SVG. Its words are HTML beside the picture, so that they are as big on a
/// telephone as on a desk; colours are the page's variables --mark, --soft, --line, --shut and
/// --dim. Pure.
std::string RenderChart(const Chart& chart);

/// The style that RenderChart needs.
extern const char kChartStyle[];

/// The next of 1, 2, 5, 10, 20, 50, … that is not less than `value`; 1 for less than that, and for
/// what is no finite number.
double RoundUp(double value);

}  // namespace cutover::cli
