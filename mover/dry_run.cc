// SPDX-License-Identifier: Apache-2.0
#include "mover/dry_run.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "mover/copy/table_copy.h"
#include "mover/plan/chunks.h"
#include "mover/survey.h"
#include "operator/base/clock.h"

namespace cutover::mover {
namespace {

constexpr int64_t kSampleBytes = 64 << 20;

struct Sample {
  int64_t bytes = 0;
  double seconds = 0;
};

CopyTerms TermsOf(const Survey& survey) {
  CopyTerms terms;
  terms.encoding = survey.properties.encoding;
  return terms;
}

/// Reads the first blocks of the biggest table as a copy would.
Result<Sample> TakeSample(std::stop_token stop, Side& source, const Survey& survey,
                          const std::vector<ChunkGroup>& groups) {
  Sample sample;
  if (groups.empty()) return sample;
  const TablePlan& table = survey.tables[groups.front().chunks.front().table];
  if (table.blocks == 0) return sample;
  BlockRange range;
  const int64_t blocks = std::max<int64_t>(kSampleBytes * table.blocks / table.bytes, 1);
  if (blocks < table.blocks && table.condition.empty()) range.to = blocks;
  const CopyTerms terms = TermsOf(survey);
  TRY_ASSIGN(pg::Connection lane, source.OpenLane(stop));
  const SteadyTime began = RealClock().SteadyNow();
  TRY(HashRows(stop, lane, table, ConditionOf(table, range), terms));
  sample.bytes = range.to ? table.bytes * *range.to / table.blocks : table.bytes;
  sample.seconds = std::chrono::duration<double>(RealClock().SteadyNow() - began).count();
  return sample;
}

Json DescribeTables(const Survey& survey, const std::vector<ChunkGroup>& groups) {
  const CopyTerms terms = TermsOf(survey);
  std::map<size_t, int> chunks;
  for (const ChunkGroup& group : groups)
    for (const TableChunk& chunk : group.chunks) ++chunks[chunk.table];
  Json tables = Json::Array({});
  for (size_t i = 0; i < survey.tables.size(); ++i) {
    const TablePlan& table = survey.tables[i];
    const bool binary = terms.FormatOf(table) == RowFormat::kBinary;
    tables.Append(Json::Object({{"table", table.Display()},
                                {"bytes", table.bytes},
                                {"rowsEstimated", table.rows_estimate},
                                {"chunks", chunks[i]},
                                {"format", binary ? "binary" : "text"},
                                {"excluded", table.excluded}}));
  }
  return tables;
}

int64_t CountIndexes(const RestoreSchedule& schedule) {
  size_t count = schedule.partitioned.size() + schedule.indexes.size();
  for (const RestoreUnit& unit : schedule.unique_first) count += unit.items.size();
  return static_cast<int64_t>(count);
}

}  // namespace

Result<Json> PlanClone(std::stop_token stop, const PgPrograms& programs,
                       const CloneOptions& options) {
  TRY_ASSIGN(Side source, OpenSource(stop, options));
  TRY_ASSIGN(Survey survey, SurveySource(stop, programs, options, source));
  const std::vector<ChunkGroup> groups =
      PlanChunks(survey.tables, source.connection().major_version());
  TRY_ASSIGN(Sample sample, TakeSample(stop, source, survey, groups));
  int64_t bytes = 0, chunks = 0;
  for (const TablePlan& table : survey.tables) bytes += table.excluded ? 0 : table.bytes;
  for (const ChunkGroup& group : groups) chunks += static_cast<int64_t>(group.chunks.size());
  Json plan = Json::Object({{"kind", "Plan"}, {"database", survey.properties.name}});
  plan.Set("sourceVersion", source.version());
  plan.Set("tableCount", survey.tables.size());
  plan.Set("bytes", bytes);
  plan.Set("chunkCount", chunks);
  plan.Set("transactions", groups.size());
  plan.Set("indexes", CountIndexes(survey.schedule));
  plan.Set("foreignKeys", survey.schedule.foreign_keys.size());
  plan.Set("otherObjects", survey.schedule.before_data.size() + survey.schedule.rest.size());
  plan.Set("materializedViews", survey.matviews.size());
  plan.Set("sample", Json::Object({{"bytes", sample.bytes}, {"seconds", sample.seconds}}));
  if (sample.bytes > 0)
    plan.Set("readSecondsMin", static_cast<double>(bytes) * sample.seconds /
                                   static_cast<double>(sample.bytes) / options.jobs);
  Json notes = Json::Array({});
  for (const std::string& note : survey.notes) notes.Append(note);
  plan.Set("notes", notes);
  plan.Set("tables", DescribeTables(survey, groups));
  return plan;
}

}  // namespace cutover::mover
