// SPDX-License-Identifier: Apache-2.0
#include "cli/view/stages.h"

#include <algorithm>

#include "cli/view/phases.h"
#include "cli/view/words.h"

namespace cutover::cli {
namespace {

StageState StateOf(const api::Stage& stage) {
  if (stage.state == "Failed") return StageState::kFailed;
  return stage.state == "Running" ? StageState::kRunning : StageState::kDone;
}

void Join(std::string& text, const std::string& part) {
  if (part.empty()) return;
  text += (text.empty() ? "" : ", ") + part;
}

std::string DescribeEta(const api::MigrationProgress& progress) {
  if (progress.eta_seconds <= 0) return "";
  return "about " + FormatSpan(std::chrono::seconds(progress.eta_seconds)) + " left";
}

std::string MeasuresOfCopy(const MigrationView& migration, bool running) {
  const api::MigrationProgress& progress = migration.progress;
  std::string text = api::Summary(progress);
  if (auto rate = CopyRate(migration); rate && running)
    Join(text, FormatBytes(*rate) + "/s on average");
  if (running) Join(text, DescribeEta(progress));
  if (progress.tables_total > 0)
    Join(text,
         std::to_string(progress.tables_copied) + "/" + Counted(progress.tables_total, "table"));
  if (progress.rows_copied > 0) Join(text, Counted(progress.rows_copied, "row"));
  return text;
}

StageLine LineOf(const MigrationView& migration, const api::Stage& stage) {
  StageLine line;
  line.name = stage.name;
  line.state = StateOf(stage);
  line.started_at = stage.started_at;
  line.completed_at = stage.completed_at;
  line.message = stage.message;
  const bool running = line.state == StageState::kRunning;
  if (stage.total > 0 && (running || line.state == StageState::kFailed))
    line.percent = Percent(stage.done, stage.total);
  if (stage.name == "Copying") line.measures = MeasuresOfCopy(migration, running);
  if (running &&
      (stage.name == "CatchingUp" || stage.name == "AwaitingCutover" || stage.name == "Hypercare"))
    Join(line.measures, DescribeLag(migration));
  if (running && stage.name == "CatchingUp") Join(line.measures, DescribeEta(migration.progress));
  return line;
}

bool GoesForward(const MigrationView& migration) {
  const PhaseFacts* phase = FindPhase(migration.phase);
  return !phase || phase->stretch == Stretch::kBeforeJournal ||
         phase->stretch == Stretch::kAfterJournal;
}

}  // namespace

std::optional<std::chrono::system_clock::duration> StageLine::Lasted(WallTime now) const {
  if (!started_at) return std::nullopt;
  return (completed_at ? *completed_at : now) - *started_at;
}

std::vector<StageLine> PipelineOf(const MigrationView& migration) {
  const auto pipeline = Pipeline(migration.strategy);
  auto in_pipeline = [&](const std::string& name) {
    return std::find(pipeline.begin(), pipeline.end(), name) != pipeline.end();
  };
  size_t entered = 0;  // Phases of the pipeline up to the last that was entered.
  for (size_t i = 0; i < pipeline.size(); ++i)
    if (migration.FindStage(pipeline[i])) entered = i + 1;
  std::vector<StageLine> lines;
  for (size_t i = 0; i < pipeline.size(); ++i) {
    if (const api::Stage* stage = migration.FindStage(pipeline[i])) {
      lines.push_back(LineOf(migration, *stage));
    } else if (i < entered || GoesForward(migration)) {
      StageLine line;
      line.name = pipeline[i];
      line.state = i < entered ? StageState::kSkipped : StageState::kToCome;
      lines.push_back(std::move(line));
    }
  }
  for (const api::Stage& stage : migration.stages)
    if (!in_pipeline(stage.name) && !IsEnd(stage.name) && stage.name != "Pending")
      lines.push_back(LineOf(migration, stage));
  return lines;
}

std::optional<int64_t> CopyRate(const MigrationView& migration) {
  const api::Stage* copying = migration.FindStage("Copying");
  if (!copying || !copying->started_at || migration.progress.bytes_copied <= 0) return std::nullopt;
  const auto end = copying->completed_at ? copying->completed_at : migration.progress.updated_at;
  if (!end) return std::nullopt;
  const double elapsed = std::chrono::duration<double>(*end - *copying->started_at).count();
  if (elapsed < 1) return std::nullopt;
  return static_cast<int64_t>(static_cast<double>(migration.progress.bytes_copied) / elapsed);
}

std::string DescribeLag(const MigrationView& migration) {
  std::string text;
  if (migration.progress.replication_lag_bytes)
    text = FormatBytes(*migration.progress.replication_lag_bytes);
  if (migration.progress.replication_lag_seconds)
    Join(text, FormatSpan(std::chrono::seconds(*migration.progress.replication_lag_seconds)));
  return text.empty() ? "" : text + " behind";
}

}  // namespace cutover::cli
