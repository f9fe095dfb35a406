// SPDX-License-Identifier: Apache-2.0
#include "cli/view/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cli/view/words.h"
#include "operator/base/html.h"

namespace cutover::cli {
namespace {

// The picture's own units; the page stretches it to the width there is.
constexpr double kWidth = 1000, kHeight = 200;

struct Frame {
  WallTime begin, end;
  double top;

  double X(WallTime time) const {
    const double whole = std::chrono::duration<double>(end - begin).count();
    const double part = std::chrono::duration<double>(time - begin).count();
    return whole <= 0 ? 0 : std::clamp(part / whole, 0.0, 1.0) * kWidth;
  }
  double Y(double value) const { return kHeight * (1 - std::clamp(value / top, 0.0, 1.0)); }
};

Frame FrameOf(const Chart& chart) {
  Frame frame{chart.points.front().time, chart.points.back().time, 0};
  for (const ChartPoint& point : chart.points) frame.top = std::max(frame.top, point.value);
  frame.top = RoundUp(frame.top);
  return frame;
}

std::string Point(const char* command, double x, double y) {
  char text[64];
  std::snprintf(text, sizeof text, "%s%.1f %.1f", command, x, y);
  return text;
}

// A point by itself is a dot: a line of no length with round ends.
std::string PathOf(const Chart& chart, const Frame& frame) {
  std::string path;
  for (size_t i = 0; i < chart.points.size(); ++i) {
    const ChartPoint& point = chart.points[i];
    path += Point(point.joined ? "L" : "M", frame.X(point.time), frame.Y(point.value));
    const bool goes_on = i + 1 < chart.points.size() && chart.points[i + 1].joined;
    if (!point.joined && !goes_on) path += "h.01";
  }
  return path;
}

bool IsWithin(const Frame& frame, WallTime from, WallTime to) {
  return to >= frame.begin && from <= frame.end;
}

std::string Shade(const Frame& frame, WallTime from, WallTime to) {
  if (!IsWithin(frame, from, to)) return "";
  char text[128];
  std::snprintf(text, sizeof text,
                "<rect x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"200\" fill=\"var(--shut)\"/>",
                frame.X(from), std::max(frame.X(to) - frame.X(from), 2.0));
  return text;
}

std::string Svg(const Chart& chart, const Frame& frame) {
  std::string svg =
      "<svg viewBox=\"0 0 1000 200\" preserveAspectRatio=\"none\" role=\"img\" "
      "aria-labelledby=\"" +
      chart.id + "-title " + chart.id + "-desc\"><title id=\"" + chart.id + "-title\">" +
      EscapeHtml(chart.title) + "</title><desc id=\"" + chart.id + "-desc\">" +
      EscapeHtml(chart.description) + "</desc>";
  for (const auto& [from, to] : chart.shaded) svg += Shade(frame, from, to);
  svg += "<path class=\"grid\" d=\"M0 .5H1000M0 100H1000M0 199.5H1000\"/>";
  return svg + "<path class=\"curve\" d=\"" + PathOf(chart, frame) + "\"/></svg>";
}

std::string Span(const std::string& text) { return "<span>" + EscapeHtml(text) + "</span>"; }

// "2026-11-21 03:04:05"
std::string Moment(WallTime time) {
  std::string text = FormatTime(time);
  text[text.find('T')] = ' ';
  text.pop_back();
  return text;
}

std::string MomentAfter(const std::string& first, const std::string& moment) {
  const size_t date = first.find(' ') + 1;
  return moment.compare(0, date, first, 0, date) == 0 ? moment.substr(date) : moment;
}

}  // namespace

const char kChartStyle[] = R"css(
figure.chart{margin:.8rem 0 1.4rem}figcaption{font-weight:500;margin-bottom:.3rem}
.plot{display:grid;grid-template-columns:auto minmax(0,1fr);gap:.2rem .6rem;font-size:.8rem;line-height:1.2;
color:var(--dim)}
.plot .y{display:flex;flex-direction:column;justify-content:space-between;text-align:right;white-space:nowrap}
.plot .x{grid-column:2;display:flex;justify-content:space-between;gap:.5rem;white-space:nowrap}
.plot svg{width:100%;height:11rem;display:block;background:var(--soft);border-radius:3px}
.plot path{fill:none;vector-effect:non-scaling-stroke}.plot .grid{stroke:var(--line);stroke-width:1px}
.plot .curve{stroke:var(--mark);stroke-width:2px;stroke-linecap:round;stroke-linejoin:round}
summary{cursor:pointer;color:var(--dim)}
)css";

bool HasShade(const Chart& chart) {
  const Frame frame = FrameOf(chart);
  return std::any_of(chart.shaded.begin(), chart.shaded.end(),
                     [&](const auto& time) { return IsWithin(frame, time.first, time.second); });
}

double RoundUp(double value) {
  if (!std::isfinite(value)) return 1;
  double decade = 1;
  while (decade * 10 <= value) decade *= 10;
  for (const double step : {1.0, 2.0, 5.0})
    if (value <= step * decade) return step * decade;
  return 10 * decade;
}

std::string RenderChart(const Chart& chart) {
  const Frame frame = FrameOf(chart);
  auto label = [&](double value) {
    return Span(FormatBytes(static_cast<int64_t>(value)) + chart.per);
  };
  const std::string begin = Moment(frame.begin);
  return "<figure class=\"chart\"><figcaption>" + EscapeHtml(chart.title) +
         "</figcaption>\n<div class=\"plot\"><div class=\"y\">" + label(frame.top) +
         label(frame.top / 2) + label(0) + "</div>\n" + Svg(chart, frame) + "\n<div class=\"x\">" +
         Span(begin) + Span("time, UTC") + Span(MomentAfter(begin, Moment(frame.end))) +
         "</div></div></figure>\n";
}

}  // namespace cutover::cli
