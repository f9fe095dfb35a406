// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/report.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace cutover::mover {
namespace {

Json Encode(const RowDifference& row) {
  return Json::Object(
      {{"key", row.key}, {"problem", row.problem}, {"columns", Json::ArrayOf(row.columns)}});
}

Json Encode(const Place& place) {
  Json rows = Json::Array();
  for (const RowDifference& row : place.rows) rows.Append(Encode(row));
  return Json::Object({{"chunk", place.chunk},
                       {"keyRange", place.key_range},
                       {"sourceRows", place.source_rows},
                       {"targetRows", place.target_rows},
                       {"rows", std::move(rows)}});
}

Json Encode(const Mismatch& mismatch) {
  Json json = Json::Object({{"table", mismatch.table},
                            {"kind", mismatch.kind},
                            {"source", mismatch.source},
                            {"target", mismatch.target}});
  if (!mismatch.places.empty()) {
    Json places = Json::Array();
    for (const Place& place : mismatch.places) places.Append(Encode(place));
    json.Set("places", std::move(places));
  }
  if (!mismatch.note.empty()) json.Set("note", mismatch.note);
  return json;
}

Json Encode(const ComparedSide& side) {
  return Json::Object({{"host", side.host},
                       {"port", side.port},
                       {"database", side.database},
                       {"serverVersion", side.server_version}});
}

Json Encode(const Method& method, VerificationLevel level) {
  return Json::Object({{"rows", HowRowsAreCompared(level)},
                       {"moverVersion", method.mover_version},
                       {"dumpVersion", method.dump_version},
                       {"jobs", method.jobs},
                       {"chunks", method.chunks},
                       {"binaryTables", method.binary_tables},
                       {"sourceFromStream", method.source_from_stream}});
}

}  // namespace

void Report::Add(Mismatch mismatch) {
  ++mismatch_count;
  if (mismatches.size() < kMismatchesMax) mismatches.push_back(std::move(mismatch));
}

void Report::Merge(Report other) {
  const int64_t unlisted = other.mismatch_count - static_cast<int64_t>(other.mismatches.size());
  for (Mismatch& mismatch : other.mismatches) Add(std::move(mismatch));
  mismatch_count += unlisted;
  std::move(other.warnings.begin(), other.warnings.end(), std::back_inserter(warnings));
}

std::vector<std::string> WhatIsCompared(VerificationLevel level) {
  std::vector<std::string> parts = {
      "the set of tables, and each table's set of columns",
      "the number of rows of each table",
      "each sequence's position: last value, and whether it was called",
  };
  if (level == VerificationLevel::kCounts) return parts;
  parts.insert(
      parts.end(),
      {"every byte of every row", "large objects: number, owner, grants, comment and every byte",
       "structure as pg_dump writes it: columns, defaults, indexes, constraints, triggers, views, "
       "functions, policies, comments, owners, grants, default privileges, sequences' definitions",
       "extensions, their schemas, and how their functions are marked",
       "roles that the database needs: that they are there, with their memberships and settings",
       "the database's encoding, locale, comment and settings, and its owner, grants and "
       "connection "
       "limit unless it is closed on purpose",
       "which materialized views are filled"});
  return parts;
}

std::string HowRowsAreCompared(VerificationLevel level) {
  if (level == VerificationLevel::kCounts) return "rows are counted, not read";
  return "each row as COPY sends it is hashed with SHA-256; a table's digest is the sum of its "
         "rows' hashes modulo 2^256, beside their number and bytes";
}

Json EncodeReport(const Report& report) {
  Json mismatches = Json::Array();
  for (const Mismatch& mismatch : report.mismatches) mismatches.Append(Encode(mismatch));
  Json seconds = Json::Object();
  for (const auto& [stage, value] : report.seconds_by_stage) seconds.Set(stage, value);
  Json json = Json::Object({{"verdict", report.equal() ? "Equal" : "Different"},
                            {"level", Name(report.level)},
                            {"tables", report.tables},
                            {"rows", report.rows},
                            {"bytes", report.bytes},
                            {"tablesProvenBefore", report.tables_proven_before},
                            {"partsReadBefore", report.parts_read_before},
                            {"mismatchCount", report.mismatch_count},
                            {"mismatches", std::move(mismatches)},
                            {"warnings", Json::ArrayOf(report.warnings)},
                            {"secondsByStage", std::move(seconds)},
                            {"versions", Json::Object({{"source", report.source.server_version},
                                                       {"target", report.target.server_version}})},
                            {"startedAt", FormatTime(report.started_at)},
                            {"finishedAt", FormatTime(report.finished_at)},
                            {"source", Encode(report.source)},
                            {"target", Encode(report.target)},
                            {"compared", Json::ArrayOf(WhatIsCompared(report.level))},
                            {"method", Encode(report.method, report.level)}});
  if (report.target_wal_bytes) json.Set("targetWalBytes", *report.target_wal_bytes);
  return json;
}

}  // namespace cutover::mover
