// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "mover/verify/report.h"

namespace cutover::mover {
namespace {

constexpr size_t kColumns = 100;

/// `text` broken between words, each line after `indent` spaces.
std::string Wrap(const std::string& text, size_t indent) {
  std::string page, line;
  auto end_line = [&] {
    page += std::string(indent, ' ') + line + "\n";
    line.clear();
  };
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!line.empty() && indent + line.size() + 1 + word.size() > kColumns) end_line();
    line += (line.empty() ? "" : " ") + word;
    at = end + 1;
  }
  if (!line.empty()) end_line();
  return page;
}

std::string Item(const std::string& text) {
  std::string lines = Wrap(text, 4);
  if (lines.size() > 2) lines[2] = '-';
  return lines;
}

std::string Field(const std::string& name, const std::string& value) {
  std::string lines = Wrap(value, 14);
  lines.replace(0, std::min(name.size(), lines.size()), name);
  return lines;
}

std::string Heading(const std::string& text) {
  return "\n" + text + "\n" + std::string(text.size(), '-') + "\n";
}

/// 1234567 → "1,234,567".
std::string Grouped(int64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string Describe(const ComparedSide& side) {
  return "database " + side.database + " at " + side.host + ":" + std::to_string(side.port) +
         ", PostgreSQL " + side.server_version;
}

std::string Result(const Report& report) {
  if (report.equal()) return "EQUAL. No difference was found in anything that was compared.";
  return "DIFFERENT. " + Grouped(report.mismatch_count) +
         (report.mismatch_count == 1 ? " difference" : " differences") + ", listed below.";
}

std::string Describe(const RowDifference& row) {
  std::string text = row.key + " " + row.problem;
  for (size_t i = 0; i < row.columns.size(); ++i) text += (i == 0 ? " in " : ", ") + row.columns[i];
  return text;
}

std::string Describe(const Place& place) {
  std::string text = place.chunk;
  if (!place.key_range.empty()) text += (text.empty() ? "" : ": ") + place.key_range;
  if (text.empty()) text = "the whole table";
  std::string page = Wrap(text + ": " + Grouped(place.source_rows) + " rows on the source, " +
                              Grouped(place.target_rows) + " on the target",
                          6);
  for (const RowDifference& row : place.rows) page += Wrap("row " + Describe(row), 8);
  return page;
}

std::string Differences(const Report& report) {
  if (report.equal()) return "";
  std::string page = Heading("Differences");
  for (const Mismatch& mismatch : report.mismatches) {
    page += Item(mismatch.table + " (" + mismatch.kind + ")");
    page += Wrap("source: " + mismatch.source, 6) + Wrap("target: " + mismatch.target, 6);
    for (const Place& place : mismatch.places) page += Describe(place);
    if (!mismatch.note.empty()) page += Wrap(mismatch.note, 6);
  }
  const int64_t unlisted = report.mismatch_count - static_cast<int64_t>(report.mismatches.size());
  if (unlisted > 0) page += Item("and " + Grouped(unlisted) + " more");
  return page;
}

std::string How(const Report& report) {
  std::string page = Heading("How");
  page += Item(HowRowsAreCompared(report.level) + ".");
  if (report.method.source_from_stream)
    page += Item(
        "The source's rows were hashed while they were copied; the target's were read "
        "back from the target afterwards.");
  page += Item("Each side was read under one snapshot, by " + std::to_string(report.method.jobs) +
               " jobs, in " + Grouped(report.method.chunks) + " parts; " +
               Grouped(report.method.binary_tables) + " tables in COPY's binary format, " +
               Grouped(report.tables - report.method.binary_tables) + " in its text format.");
  if (report.tables_proven_before > 0)
    page += Item(Grouped(report.tables_proven_before) +
                 " tables were compared by an earlier run with the same state file, and have not "
                 "been written to since.");
  if (report.parts_read_before > 0)
    page += Item(Grouped(report.parts_read_before) +
                 " parts of other tables were read by earlier runs with the same state file; the "
                 "side that holds such a part has not been written to since, in that table.");
  return page;
}

}  // namespace

std::string ReportPage(const Report& report) {
  const std::string title = "Comparison of two PostgreSQL databases";
  std::string page = title + "\n" + std::string(title.size(), '=') + "\n\n";
  page += Field("Result", Result(report));
  page += Field("Source", Describe(report.source)) + Field("Target", Describe(report.target));
  page += Field("When", FormatTime(report.started_at) + " to " + FormatTime(report.finished_at));
  page += Field("By", "cutover-mover " + report.method.mover_version +
                          (report.method.dump_version.empty() ? "" : ", ") +
                          report.method.dump_version);
  page += Field("Size", Grouped(report.tables) + " tables, " + Grouped(report.rows) + " rows" +
                            (report.bytes > 0 ? ", " + Grouped(report.bytes) + " bytes" : ""));
  if (report.target_wal_bytes)
    page += Field("WAL", Grouped(*report.target_wal_bytes) +
                             " bytes, written by the target's server while the copy was made and "
                             "proven, by the copy and whoever else worked there");
  page += Differences(report);
  page += Heading("What was compared");
  for (const std::string& part : WhatIsCompared(report.level)) page += Item(part);
  page += How(report);
  if (!report.warnings.empty()) page += Heading("Remarks");
  for (const std::string& warning : report.warnings) page += Item(warning);
  return page;
}

Status WriteReportPage(const Report& report, const std::string& path) {
  const std::string unfinished = path + ".new";
  {
    std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
    file << ReportPage(report);
    file.close();
    if (file && std::rename(unfinished.c_str(), path.c_str()) == 0) return Ok();
  }
  const std::string why = std::strerror(errno);
  std::remove(unfinished.c_str());
  return TerminalError("ReportNotWritten", "the report cannot be written to " + path + ": " + why +
                                               "; name a file in a directory that can be written");
}

}  // namespace cutover::mover
