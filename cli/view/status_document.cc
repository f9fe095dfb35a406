// SPDX-License-Identifier: Apache-2.0
#include "cli/view/status_document.h"

#include "cli/view/checks.h"
#include "cli/view/stages.h"
#include "operator/api/field_writer.h"

namespace cutover::cli {
namespace {

std::string_view Name(StageState state) {
  switch (state) {
    case StageState::kDone:
      return "Succeeded";
    case StageState::kRunning:
      return "Running";
    case StageState::kFailed:
      return "Failed";
    case StageState::kSkipped:
      return "Skipped";
    case StageState::kToCome:
      return "ToCome";
  }
  return "";
}

Json Stages(const MigrationView& migration, WallTime now) {
  Json stages = Json::Array();
  for (const StageLine& line : PipelineOf(migration)) {
    api::FieldWriter fields;
    fields.Text("name", line.name)
        .Text("state", Name(line.state))
        .Time("startedAt", line.started_at);
    fields.Time("completedAt", line.completed_at);
    if (auto lasted = line.Lasted(now))
      fields.Count("seconds", std::chrono::duration_cast<std::chrono::seconds>(*lasted).count());
    if (line.percent >= 0) fields.Count("percent", line.percent);
    fields.Text("message", line.message);
    stages.Append(fields.Take());
  }
  return stages;
}

// With what the operator has counted, as its status has it.
Json Checks(const MigrationView& migration, WallTime now) {
  Json checks = Json::Array();
  if (ChecksOf(migration, now).empty()) return checks;
  for (const api::CheckStatus& check : migration.checks) {
    api::FieldWriter fields;
    fields.Text("name", check.name).Text("result", api::Name(check.result));
    fields.Text("message", check.message).Time("lastRunAt", check.last_run_at);
    fields.Count("consecutiveFailures", check.consecutive_failures)
        .Count("failureThreshold", check.failure_threshold)
        .Time("failingSince", check.failing_since);
    if (check.latency_milliseconds)
      fields.Count("latencyMilliseconds", *check.latency_milliseconds);
    if (check.baseline_milliseconds)
      fields.Count("baselineMilliseconds", *check.baseline_milliseconds);
    checks.Append(fields.Take());
  }
  return checks;
}

Json Progress(const MigrationView& migration) {
  const api::MigrationProgress& progress = migration.progress;
  api::FieldWriter fields;
  fields.Count("bytesCopied", progress.bytes_copied).Count("bytesTotal", progress.bytes_total);
  if (progress.rows_copied > 0) fields.Count("rowsCopied", progress.rows_copied);
  if (auto rate = CopyRate(migration)) fields.Count("bytesPerSecondOnAverage", *rate);
  if (progress.eta_seconds > 0) fields.Count("etaSeconds", progress.eta_seconds);
  if (migration.progress.replication_lag_bytes)
    fields.Count("replicationLagBytes", *migration.progress.replication_lag_bytes);
  if (migration.progress.replication_lag_seconds)
    fields.Count("replicationLagSeconds", *migration.progress.replication_lag_seconds);
  return fields.Take();
}

}  // namespace

std::string_view Name(Health health) {
  switch (health) {
    case Health::kGood:
      return "Good";
    case Health::kNotMoved:
      return "NotMoved";
    case Health::kAsksYou:
      return "AsksYou";
    case Health::kTrouble:
      return "Trouble";
  }
  return "";
}

Json StatusDocument(const Snapshot& seen) {
  const MigrationView& migration = seen.migration;
  const Assessment assessment = Assess(seen);
  Json advice = Json::Array();
  for (const Advice& one : assessment.advice)
    advice.Append(
        Json::Object({{"command", one.command}, {"effect", one.effect}, {"awaited", one.awaited}}));
  api::FieldWriter fields;
  fields.Text("namespace", migration.meta.namespace_name)
      .Text("name", migration.meta.name)
      .Text("uid", migration.meta.uid)
      .Text("phase", migration.phase)
      .Text("health", Name(assessment.health))
      .Text("now", assessment.now)
      .Text("operatorSays", assessment.words)
      .Text("cause", assessment.cause)
      .Text("next", assessment.next)
      .Text("stuck", assessment.stuck)
      .Time("reasonSince", migration.reason_since)
      .Text("users", assessment.users)
      .Text("wayBack", assessment.way_back)
      .Value("unanswered", Json::ArrayOf(assessment.asked))
      .Value("youMay", std::move(advice))
      .Text("placement", migration.placement_name)
      .Text("source", migration.source_server_name)
      .Text("target", migration.target_server_name)
      .Text("strategy", migration.strategy)
      .Value("progress", Progress(migration))
      .Value("stages", Stages(migration, seen.now))
      .Value("checks", Checks(migration, seen.now))
      .Time("asOf", seen.now);
  return fields.Take();
}

}  // namespace cutover::cli
