// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>

#include "cli/view/chart.h"
#include "cli/view/report.h"
#include "cli/view/words.h"
#include "operator/api/tenant_migration.h"
#include "operator/base/html.h"

namespace cutover::cli {
namespace {

constexpr char kStyle[] = R"css(
:root{color-scheme:light dark;--ink:#1c2430;--dim:#5b6675;--paper:#fff;--line:#d9dee5;--soft:#f3f5f8;
--good:#1a7f4b;--bad:#b42318;--mark:#2563ab;--shut:#f3c6a5}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--dim:#9aa7b8;--paper:#12161c;--line:#2c3440;
--soft:#1a2029;--good:#4cc38a;--bad:#ff8a7a;--mark:#6cb2ff;--shut:#6b4226}}
*{box-sizing:border-box}body{margin:0 auto;max-width:70rem;padding:1.5rem 1rem 3rem;background:var(--paper);
color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:2rem 0 .6rem}
p{margin:.3rem 0;overflow-wrap:anywhere}.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}
.verdict{display:inline-block;margin:.7rem 0;padding:.25rem .8rem;border:1px solid;border-radius:1rem;
font-weight:600}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));gap:.7rem 1.5rem;margin:0}
dt{color:var(--dim);font-size:.85rem}dd{margin:0;overflow-wrap:anywhere}
.row{display:grid;grid-template-columns:9rem 1fr 5rem;gap:.7rem;align-items:center;padding:.15rem 0}
.row svg{width:100%;height:1.1rem;display:block;background:var(--soft);border-radius:3px}
.row span:last-child{text-align:right;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line)}
td{overflow-wrap:break-word;max-width:36rem}th{color:var(--dim);font-weight:500}
code{font-size:.85em;overflow-wrap:anywhere}
@media(max-width:34rem){.row{grid-template-columns:1fr auto;gap:0 .7rem}.row svg{grid-column:1/3;grid-row:2}}
@media print{body{max-width:none}}
)css";

std::string Text(const Json& value) {
  return EscapeHtml(value.IsString() ? value.StringRef() : value.IsNull() ? "" : value.Dump());
}

std::string Item(const std::string& term, const std::string& ready) {
  return ready.empty() ? "" : "<div><dt>" + term + "</dt><dd>" + ready + "</dd></div>\n";
}

// The span of time that a bar stands in, and where a moment is in it, of 1000.
struct Axis {
  WallTime begin, end;

  double At(WallTime time) const {
    const double whole = std::chrono::duration<double>(end - begin).count();
    const double part = std::chrono::duration<double>(time - begin).count();
    return whole <= 0 ? 0 : std::clamp(part / whole, 0.0, 1.0) * 1000;
  }
};

std::optional<WallTime> TimeAt(const Json& object, std::string_view key) {
  return ParseTime(object[key].AsString());
}

std::optional<Axis> AxisOf(const Json& report) {
  std::optional<Axis> axis;
  const WallTime made = TimeAt(report, "madeAt").value_or(WallTime());
  for (const Json& stage : report.At({"migration", "stages"}).Items()) {
    const auto begin = TimeAt(stage, "startedAt");
    if (!begin) continue;
    const WallTime end = TimeAt(stage, "completedAt").value_or(made);
    if (!axis) axis = Axis{*begin, end};
    axis->begin = std::min(axis->begin, *begin);
    axis->end = std::max(axis->end, end);
  }
  return axis;
}

std::string Rect(double from, double to, const char* fill) {
  char text[160];
  std::snprintf(text, sizeof text,
                "<rect x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"10\" fill=\"var(--%s)\"/>", from,
                std::max(to - from, 3.0), fill);
  return text;
}

constexpr char kSvg[] =
    "<svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"";

std::string StageRow(const Json& report, const Axis& axis, const Json& stage) {
  const auto begin = TimeAt(stage, "startedAt");
  std::string row = "<div class=\"row\"><span>" + Text(stage["name"]) + "</span>";
  if (!begin)
    return row + "<span class=\"dim\">" +
           (stage["state"].AsString() == "Skipped" ? "skipped" : "not reached") +
           "</span><span></span></div>\n";
  const WallTime end = TimeAt(stage, "completedAt").value_or(axis.end);
  row += kSvg + Text(stage["state"]) + "\">";
  for (const auto& [from, to] : TimesShutOut(report))
    row += Rect(axis.At(from), axis.At(to), "shut");
  row +=
      Rect(axis.At(*begin), axis.At(end), stage["state"].AsString() == "Failed" ? "bad" : "mark");
  return row + "</svg><span>" + FormatSpan(end - *begin) + "</span></div>\n";
}

std::string Timeline(const Json& report) {
  const auto axis = AxisOf(report);
  if (!axis) return "";
  std::string text = "<h2>Timeline</h2>\n";
  for (const Json& stage : report.At({"migration", "stages"}).Items())
    text += StageRow(report, *axis, stage);
  text += "<p class=\"dim\">From " + FormatTime(axis->begin) + " to " + FormatTime(axis->end) +
          " (" + FormatSpan(axis->end - axis->begin) + ").</p>\n";
  return text + (TimesShutOut(report).empty() ? "" : LegendOfShade(report));
}

std::string Throughput(const Json& report) {
  const Json& progress = report.At({"migration", "progress"});
  const int64_t total = progress["bytesTotal"].AsInt(), copied = progress["bytesCopied"].AsInt();
  std::string text;
  if (total > 0) {
    const int percent = Percent(copied, total);
    text += "<div class=\"row\"><span>Copied</span>" + std::string(kSvg) + std::to_string(percent) +
            " percent\">" + Rect(0, percent * 10.0, "good") + "</svg><span>" +
            std::to_string(percent) + "%</span></div>\n<p class=\"dim\">" + FormatBytes(copied) +
            " of " + FormatBytes(total);
    if (int64_t rate = progress["bytesPerSecondOnAverage"].AsInt(); rate > 0)
      text += ", " + FormatBytes(rate) + "/s on average";
    text += "</p>\n";
  }
  if (progress.Contains("replicationLagBytes"))
    text +=
        "<p>Last reported lag: " + FormatBytes(progress["replicationLagBytes"].AsInt()) + "</p>\n";
  return "<h2>Throughput and lag</h2>\n" + text + ReportCharts(report);
}

std::string TableOf(const char* title, const Json& items,
                    std::initializer_list<std::pair<const char*, const char*>> columns) {
  if (items.Empty()) return "";
  std::string text = std::string("<h2>") + title + "</h2>\n<div class=\"scroll\"><table><tr>";
  for (const auto& [key, heading] : columns) text += std::string("<th>") + heading + "</th>";
  text += "</tr>\n";
  for (const Json& item : items.Items()) {
    text += "<tr>";
    for (const auto& [key, heading] : columns) text += "<td>" + Text(item[key]) + "</td>";
    text += "</tr>\n";
  }
  return text + "</table></div>\n";
}

std::string Head(const Json& report) {
  const Json& migration = report["migration"];
  const std::string health = migration["health"].AsString();
  const char* tone = health == "Good" ? "good" : health == "AsksYou" ? "dim" : "bad";
  std::string text = "<h1>Move of " + Text(migration["placement"]) + ": " +
                     Text(migration["namespace"]) + "/" + Text(migration["name"]) + "</h1>\n";
  text += "<p class=\"verdict " + std::string(tone) + "\">" + Text(migration["phase"]) + "</p>\n";
  text += "<p>" + Text(migration["now"]) + "</p>\n";
  if (migration.Contains("operatorSays"))
    text += "<p class=\"dim\">" + Text(migration["operatorSays"]) + "</p>\n";
  if (report.Contains("failureReason"))
    text += "<p class=\"bad\">" + Text(report["failureReason"]) + ": " +
            Text(report["failureMessage"]) + "</p>\n";
  return text;
}

std::string ServerText(const Json& report, const char* name_key, const char* version_key) {
  const std::string version = Text(report[version_key]);
  return Text(report["migration"][name_key]) +
         (version.empty() ? "" : " <span class=\"dim\">PostgreSQL " + version + "</span>");
}

std::string FactsOf(const Json& report) {
  const Json& migration = report["migration"];
  const Json& moments = report["moments"];
  api::CutoverStatus cutover;
  cutover.write_pause_milliseconds = moments["writePauseMilliseconds"].AsInt();
  cutover.earlier_pause_milliseconds = moments["earlierPauseMilliseconds"].AsInt();
  const std::string pause = api::DescribePause(cutover);
  std::string text = "<dl>\n" + Item("From", ServerText(report, "source", "sourceVersion")) +
                     Item("To", ServerText(report, "target", "targetVersion")) +
                     Item("Strategy", Text(migration["strategy"])) +
                     Item("Created", Text(moments["createdAt"])) +
                     Item("Users stopped", Text(moments["usersStoppedAt"])) +
                     Item("Point of no return", Text(moments["journaledAt"])) +
                     Item("Users admitted", Text(moments["usersAdmittedAt"]));
  if (!pause.empty()) text += Item("Users could not write for", pause);
  text += Item("Users", Text(migration["users"])) + Item("Way back", Text(migration["wayBack"]));
  return text + "</dl>\n";
}

std::string ProofOf(const Json& report) {
  const Json& proof = report["verification"];
  std::string text = "<h2>Verification</h2>\n";
  if (proof.IsNull()) return text + "<p>The status holds no result.</p>\n";
  const int64_t mismatches = proof["mismatches"].AsInt();
  text += mismatches == 0 ? "<p class=\"good\">Equal</p>\n"
                          : "<p class=\"bad\">" + std::to_string(mismatches) + " mismatches</p>\n";
  return text + "<dl>\n" + Item("Level", Text(proof["level"])) +
         Item("Tables", Text(proof["tables"])) + Item("Rows", Text(proof["rows"])) +
         Item("Finished", Text(proof["finishedAt"])) + Item("Report", Text(proof["report"])) +
         "</dl>\n";
}

std::string Foot(const Json& document) {
  const Json& report = document["report"];
  return "<h2>This report</h2>\n<p class=\"dim\">Made " + Text(report["madeAt"]) + " by " +
         Text(report["madeBy"]) + " with kubectl-cutover " + Text(report["pluginVersion"]) +
         ", from what the API server had then. SHA-256 of the data in this page, which are the "
         "bytes between the tags of the element #report:</p>\n<p><code>" +
         Text(document["sha256"]) +
         "</code></p>\n<script type=\"application/json\" id=\"report\">" + CanonicalText(report) +
         "</script>\n";
}

}  // namespace

std::string RenderReportPage(const Json& document) {
  const Json& report = document["report"];
  const Json& migration = report["migration"];
  std::string page =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src "
      "'unsafe-inline'\">\n<link rel=\"icon\" href=\"data:,\">\n<title>";
  page += Text(migration["namespace"]) + "/" + Text(migration["name"]) + ": " +
          Text(migration["phase"]) + "</title>\n<style>" + kStyle + kChartStyle +
          "</style></head><body>\n";
  page += Head(report) + FactsOf(report) + Timeline(report) + Throughput(report) + ProofOf(report);
  page += TableOf("Preflight", report["preflight"],
                  {{"name", "Check"}, {"result", "Result"}, {"message", "What it says"}});
  page += TableOf("What people asked for", report["commands"],
                  {{"command", "Command"}, {"token", "Token"}, {"answered", "Answered"}});
  page += TableOf("Events", report["events"],
                  {{"time", "Time"}, {"reason", "Reason"}, {"action", "Action"}, {"note", "Note"}});
  page += TableOf("Conditions", report["conditions"],
                  {{"type", "Condition"},
                   {"status", "Status"},
                   {"reason", "Reason"},
                   {"lastTransitionTime", "Since"},
                   {"message", "Message"}});
  page += TableOf("Who wrote to the object", report["writers"],
                  {{"manager", "Program"},
                   {"operation", "How"},
                   {"subresource", "Part"},
                   {"lastAt", "Last at"}});
  return page + Foot(document) + "</body></html>\n";
}

}  // namespace cutover::cli
