// SPDX-License-Identifier: Apache-2.0
#include "cli/view/migration_view.h"

#include "operator/api/field_reader.h"

namespace cutover::cli {
namespace {

using api::FieldReader;

void ReadSpec(FieldReader spec, MigrationView& view) {
  view.placement_name = spec.Object("placementRef").String("name");
  view.target_server_name = spec.Object("target").String("serverName");
  view.strategy = spec.String("strategy", "Offline");
  view.rehearsal = spec.Bool("rehearsal");
  FieldReader backup = spec.Object("backup");
  view.backup_mode = backup.String("mode", "Required");
  view.backup_claim_name = backup.String("claimName");
  view.verification_level = spec.Object("verification").String("level", "Rows");
  FieldReader cutover = spec.Object("cutover");
  view.approval = cutover.String("approval", "Automatic");
  view.switch_mode = cutover.String("switch", "Restart");
  FieldReader window = cutover.Object("window");
  view.window_start = window.Time("start");
  view.window_end = window.Time("end");
  view.max_write_pause_seconds = cutover.Int("maxWritePauseSeconds");
  view.hypercare_seconds = spec.Object("hypercare").Int("durationSeconds");
  FieldReader source = spec.Object("source");
  view.retention_seconds = source.Int("retentionSeconds");
  view.reclaim_policy = source.String("reclaimPolicy", "Retain");
  view.suspend = spec.Bool("suspend");
}

void ReadStages(FieldReader& status, MigrationView& view) {
  status.ForEach("stages", [&view](FieldReader& item) {
    api::Stage stage;
    stage.name = item.String("name");
    stage.state = item.String("state");
    stage.started_at = item.Time("startedAt");
    stage.completed_at = item.Time("completedAt");
    stage.message = item.String("message");
    FieldReader progress = item.Object("progress");
    stage.done = progress.Int("done");
    stage.total = progress.Int("total");
    stage.unit = progress.String("unit");
    view.stages.push_back(std::move(stage));
  });
}

void ReadProgress(FieldReader progress, MigrationView& view) {
  view.progress.bytes_copied = progress.Int("bytesCopied");
  view.progress.bytes_total = progress.Int("bytesTotal");
  view.progress.tables_copied = progress.Int("tablesCopied");
  view.progress.tables_total = progress.Int("tablesTotal");
  view.progress.eta_seconds = progress.Int("etaSeconds");
  view.progress.updated_at = progress.Time("updatedAt");
  if (progress.Has("replicationLagBytes")) view.lag_bytes = progress.Int("replicationLagBytes");
  if (progress.Has("replicationLagSeconds"))
    view.lag_seconds = progress.Int("replicationLagSeconds");
}

void ReadOutcome(FieldReader& status, MigrationView& view) {
  FieldReader cutover = status.Object("cutover");
  view.cutover.fenced_at = cutover.Time("fencedAt");
  view.cutover.journaled_at = cutover.Time("journaledAt");
  view.cutover.opened_at = cutover.Time("openedAt");
  view.cutover.write_pause_milliseconds = cutover.Int("writePauseMilliseconds");
  view.cutover.retry_at = cutover.Time("retryAt");
  view.cutover.attempts = cutover.Int("attempts");
  FieldReader rollback = status.Object("rollback");
  view.rollback.available_until = rollback.Time("availableUntil");
  view.rollback.reason = rollback.String("reason");
  view.rollback.completed_at = rollback.Time("completedAt");
  FieldReader verification = status.Object("verification");
  view.verification.level = verification.String("level");
  view.verification.tables = verification.Int("tables");
  view.verification.rows = verification.Int("rows");
  view.verification.mismatches = verification.Int("mismatches");
  view.verification.finished_at = verification.Time("finishedAt");
  view.verification.report = verification.String("report");
  FieldReader handled = status.Object("handled");
  view.handled.approve = handled.String("approve");
  view.handled.abort = handled.String("abort");
  view.handled.rollback = handled.String("rollback");
  view.handled.retry = handled.String("retry");
}

void ReadStatus(FieldReader status, MigrationView& view) {
  view.phase = status.String("phase");
  view.message = status.String("message");
  view.observed_generation = status.Int("observedGeneration");
  view.source_server_name = status.String("sourceServerName");
  view.attempt = status.Int("attempt");
  view.failure_reason = status.String("failureReason");
  view.failure_message = status.String("failureMessage");
  view.conditions = api::ReadConditions(status);
  ReadStages(status, view);
  ReadProgress(status.Object("progress"), view);
  ReadOutcome(status, view);
}

}  // namespace

const api::Stage* MigrationView::FindStage(std::string_view name) const {
  for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage)
    if (stage->name == name) return &*stage;
  return nullptr;
}

std::optional<WallTime> MigrationView::PhaseSince() const {
  const api::Stage* stage = FindStage(phase);
  return stage ? stage->started_at : std::nullopt;
}

std::string MigrationView::ReasonOf(std::string_view type, api::ConditionStatus status) const {
  const api::Condition* condition = conditions.Find(type);
  return condition && condition->status == status ? condition->reason : "";
}

MigrationView ViewOf(const Json& object) {
  MigrationView view;
  FieldReader reader(object);
  view.meta = api::ReadMeta(reader.Object("metadata"));
  ReadSpec(reader.Object("spec"), view);
  ReadStatus(reader.Object("status"), view);
  if (Status failure = reader.Failure(); !failure) view.unread = failure.error().message;
  return view;
}

}  // namespace cutover::cli
