// SPDX-License-Identifier: Apache-2.0
#include "cli/view/migration_view.h"

#include "operator/api/migration_status_reader.h"
#include "operator/api/write_pause.h"

namespace cutover::cli {
namespace {

using api::FieldReader;

void ReadSpec(FieldReader spec, MigrationView& view) {
  view.placement_name = spec.Object("placementRef").String("name");
  view.target_server_name = spec.Object("target").String("serverName");
  view.strategy = spec.String("strategy", "Offline");
  view.rehearsal = spec.Bool("rehearsal");
  FieldReader copy = spec.Object("copy");
  view.copy_rate_mebibytes_per_second_max = copy.Int("maxRateMebibytesPerSecond");
  view.copy_held_back =
      view.copy_rate_mebibytes_per_second_max > 0 || !copy.String("throttleQuery").empty();
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
  view.max_write_pause_seconds =
      api::WritePauseSecondsMax(static_cast<int>(cutover.Int("maxWritePauseSeconds")),
                                view.strategy == "Online")
          .value_or(0);
  FieldReader hypercare = spec.Object("hypercare");
  view.hypercare_seconds = hypercare.Int("durationSeconds");
  view.on_failed_checks = hypercare.String("onFailedChecks", "Hold");
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

void ReadStatus(FieldReader status, MigrationView& view) {
  view.phase = status.String("phase");
  view.message = status.String("message");
  view.reason_since = status.Time("reasonSince");
  view.observed_generation = status.Int("observedGeneration");
  view.source_server_name = status.String("sourceServerName");
  view.attempt = status.Int("attempt");
  view.failure_reason = status.String("failureReason");
  view.failure_message = status.String("failureMessage");
  view.conditions = api::ReadConditions(status);
  view.preflight = api::ReadPreflight(status.Object("preflight"));
  ReadStages(status, view);
  view.progress = api::ReadProgress(status.Object("progress"));
  view.cutover = api::ReadCutoverStatus(status.Object("cutover"));
  view.rollback = api::ReadRollback(status.Object("rollback"));
  view.verification = api::ReadVerification(status.Object("verification"));
  view.samples = api::ReadSamples(status);
  view.checks = api::ReadCheckStatuses(status);
  view.handled = api::ReadHandled(status.Object("handled"));
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
