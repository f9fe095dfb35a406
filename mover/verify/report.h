// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "mover/contract/job_spec.h"
#include "operator/base/json.h"

namespace cutover::mover {

/// One difference between the sides.
struct Mismatch {
  std::string table;   ///< The table, or whichever object it is: "sequence public.orders_id_seq".
  std::string kind;    ///< "rows", "rowCount", "missing", "unexpected", "columns", "sequence",
                       ///< "largeObject", "extension", "structure", "database"
  std::string source;  ///< What the source has, in words.
  std::string target;

  bool operator==(const Mismatch&) const = default;
};

/// What was compared and how it came out. A report exists only when everything that its level
/// promises was really compared: an error on the way is an error, not a report.
struct Report {
  VerificationLevel level = VerificationLevel::kRows;
  int64_t tables = 0;
  int64_t rows = 0;   ///< Of the source.
  int64_t bytes = 0;  ///< Of the source, as COPY text; 0 at level Counts.
  int64_t mismatch_count = 0;
  std::vector<Mismatch> mismatches;  ///< The first kMismatchesMax.
  std::vector<std::string> warnings;
  std::vector<std::pair<std::string, double>> seconds_by_stage;
  std::string source_version;
  std::string target_version;

  static constexpr size_t kMismatchesMax = 200;

  bool equal() const { return mismatch_count == 0; }
  void Add(Mismatch mismatch);
};

/// verdict, level, tables, rows, bytes, mismatchCount, mismatches, warnings, secondsByStage,
/// versions.
Json EncodeReport(const Report& report);

}  // namespace cutover::mover
