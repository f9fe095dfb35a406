// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/view/snapshot.h"
#include "operator/base/json.h"

namespace cutover::cli {

/// What a report is made of: only what the API server has.
struct ReportFacts {
  Snapshot seen;
  Json object;          ///< The TenantMigration as stored, with its managedFields.
  Result<Json> events;  ///< Items about it, in any order.
  std::string made_by;  ///< Who made the report.
  std::string plugin_version;
};

/// The report for programs: {"report": …, "sha256": …}; the sum is that of CanonicalText(report).
/// Texts of Secrets are not in it, since none of its sources holds any. Pure.
Json ReportDocument(const ReportFacts& facts);

/// The bytes that are summed: JSON without spaces, "<" written as \u003c, so that they can stand in
/// a page as they are.
std::string CanonicalText(const Json& document);
std::string Sha256(std::string_view bytes);

/// The report as a page that needs nothing but itself: no script runs, nothing is loaded. Light and
/// dark as the reader's system is, from 320 pixels on. It carries the report's canonical text, so
/// that its sum can be checked. Pure.
std::string RenderReportPage(const Json& document);

/// From when to when users could not work, of a report (not its document): at the last attempt at
/// the cutover, and at a rollback; until the report was made where they still cannot. Pure.
std::vector<std::pair<WallTime, WallTime>> TimesShutOut(const Json& report);

/// What the shade behind those times means, as a paragraph. Pure.
std::string LegendOfShade(const Json& report);

/// Of a report: curves of throughput and lag over time, with their numbers, or
/// why there are none. Pure.
std::string ReportCharts(const Json& report);

}  // namespace cutover::cli
