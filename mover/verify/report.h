// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mover/contract/job_spec.h"
#include "operator/base/clock.h"
#include "operator/base/json.h"
#include "operator/base/result.h"

namespace cutover::mover {

/// One row that is not the same on both sides. Its values are the tenant's: only the key and the
/// names of columns are told.
struct RowDifference {
  std::string key;  ///< "(id)=(5)"; of a table without a key where the row stands: "ctid (0,5)".
  std::string problem;               ///< "differs", "only on the source", "only on the target"
  std::vector<std::string> columns;  ///< Those that differ, of a row that is on both sides.

  bool operator==(const RowDifference&) const = default;
};

/// A part of a table in which the sides differ.
struct Place {
  std::string chunk;      ///< "chunk 3 of 32", and so on inwards: "chunk 3 of 32, 1 of 8".
  std::string key_range;  ///< "(id) from (100) to before (200)"; empty: the whole table.
  int64_t source_rows = 0;
  int64_t target_rows = 0;
  std::vector<RowDifference> rows;  ///< Of a small range, and not more than a report can bear.

  bool operator==(const Place&) const = default;
};

/// One difference between the sides.
struct Mismatch {
  std::string table;   ///< The table, or whichever object it is: "sequence public.orders_id_seq".
  std::string kind;    ///< "rows", "rowCount", "missing", "unexpected", "columns", "sequence",
                       ///< "largeObject", "extension", "role", "structure", "grants", "owner",
                       ///< "database"
  std::string source;  ///< What the source has, in words.
  std::string target;
  std::vector<Place> places = {};  ///< Where in the table, as far as it was narrowed down.
  std::string note = {};           ///< What to know about `places`: why there are none, or no more.

  bool operator==(const Mismatch&) const = default;
};

/// One of the two databases that were compared.
struct ComparedSide {
  std::string host;
  int port = 0;
  std::string database;
  std::string server_version;
};

/// How it was compared.
struct Method {
  std::string mover_version;
  std::string dump_version;  ///< What pg_dump says of itself; empty at level Counts.
  int jobs = 0;
  int64_t chunks = 0;               ///< Parts of tables that were read, of both sides.
  int64_t binary_tables = 0;        ///< Read in COPY's binary format; all others as its text.
  bool source_from_stream = false;  ///< The source's rows were hashed while they were copied.
};

/// What was compared and how it came out. A report exists only when everything that its level
/// promises was really compared: an error on the way is an error, not a report.
struct Report {
  VerificationLevel level = VerificationLevel::kRows;
  int64_t tables = 0;
  int64_t rows = 0;   ///< Of the source.
  int64_t bytes = 0;  ///< Of the source, as COPY sends them; 0 at level Counts.
  /// Of `tables`, those that an earlier run with the same state file proved, and which nobody has
  /// written to since.
  int64_t tables_proven_before = 0;
  /// Of the other tables, parts that earlier runs have read, of which the same holds.
  int64_t parts_read_before = 0;
  /// WAL that the target's server wrote while this copy was made and proven. Unknown where it
  /// cannot be asked, and of a comparison alone.
  std::optional<int64_t> target_wal_bytes = std::nullopt;
  int64_t mismatch_count = 0;
  std::vector<Mismatch> mismatches;  ///< The first kMismatchesMax.
  std::vector<std::string> warnings;
  std::vector<std::pair<std::string, double>> seconds_by_stage;
  WallTime started_at;
  WallTime finished_at;
  ComparedSide source;
  ComparedSide target;
  Method method;

  static constexpr size_t kMismatchesMax = 200;

  bool equal() const { return mismatch_count == 0; }
  void Add(Mismatch mismatch);
  /// Adds the other's mismatches and warnings.
  void Merge(Report other);
};

/// A sentence for each thing that a comparison of `level` covers.
std::vector<std::string> WhatIsCompared(VerificationLevel level);
/// How rows are compared at `level`, in one sentence.
std::string HowRowsAreCompared(VerificationLevel level);

/// verdict, level, tables, rows, bytes, tablesProvenBefore, partsReadBefore, targetWalBytes where
/// it is known, mismatchCount, mismatches, warnings, secondsByStage, versions, startedAt,
/// finishedAt, source, target, compared, method.
Json EncodeReport(const Report& report);

/// The same as a page of plain text, 100 columns wide, that a person would file: the result, what
/// was compared, how, when and by which versions, and every difference.
std::string ReportPage(const Report& report);

/// Writes the page to `path`, by way of a file beside it: there is either the old page or the whole
/// new one. Terminal "ReportNotWritten".
Status WriteReportPage(const Report& report, const std::string& path);

}  // namespace cutover::mover
