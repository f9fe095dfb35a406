// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/report.h"

#include <utility>

namespace cutover::mover {

void Report::Add(Mismatch mismatch) {
  ++mismatch_count;
  if (mismatches.size() < kMismatchesMax) mismatches.push_back(std::move(mismatch));
}

Json EncodeReport(const Report& report) {
  Json mismatches = Json::Array();
  for (const Mismatch& mismatch : report.mismatches)
    mismatches.Append(Json::Object({{"table", mismatch.table},
                                    {"kind", mismatch.kind},
                                    {"source", mismatch.source},
                                    {"target", mismatch.target}}));
  Json seconds = Json::Object();
  for (const auto& [stage, value] : report.seconds_by_stage) seconds.Set(stage, value);
  return Json::Object({{"verdict", report.equal() ? "Equal" : "Different"},
                       {"level", Name(report.level)},
                       {"tables", report.tables},
                       {"rows", report.rows},
                       {"bytes", report.bytes},
                       {"mismatchCount", report.mismatch_count},
                       {"mismatches", std::move(mismatches)},
                       {"warnings", Json::ArrayOf(report.warnings)},
                       {"secondsByStage", std::move(seconds)},
                       {"versions", Json::Object({{"source", report.source_version},
                                                  {"target", report.target_version}})}});
}

}  // namespace cutover::mover
