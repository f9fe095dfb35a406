// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/object_metrics.h"

#include <algorithm>
#include <chrono>

#include "operator/api/write_pause.h"

namespace cutover::telemetry {
namespace {

using api::Phase;

constexpr Phase kEnds[] = {Phase::kCompleted, Phase::kAborted, Phase::kFailed, Phase::kRolledBack};

bool HasEnded(Phase phase) { return std::ranges::find(kEnds, phase) != std::end(kEnds); }
bool GoesBack(Phase phase) { return phase == Phase::kRollingBack || phase == Phase::kRolledBack; }

double Seconds(WallTime::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

kube::Key KeyOf(const api::ObjectMeta& meta) { return {meta.namespace_name, meta.name}; }

// Collects the samples of one object, whose labels all begin with its namespace and name.
class SampleList {
 public:
  explicit SampleList(const kube::Key& key) : key_(key) {}

  void Add(Metric metric, double value, std::vector<std::string> more_labels = {}) {
    std::vector<std::string> labels = {key_.ns, key_.name};
    std::ranges::move(more_labels, std::back_inserter(labels));
    samples_.push_back({metric, std::move(labels), value});
  }
  void Add(Metric metric, int64_t value) { Add(metric, static_cast<double>(value)); }
  std::vector<Sample> Take() { return std::move(samples_); }

 private:
  const kube::Key key_;
  std::vector<Sample> samples_;
};

// A rollback from hypercare stops users a second time, so its pause comes after the cutover's.
std::optional<WallTime> PausedSince(const api::TenantMigrationStatus& status) {
  if (HasEnded(status.phase)) return std::nullopt;
  if (status.rollback.fenced_at && !status.rollback.opened_at) return status.rollback.fenced_at;
  return status.cutover.opened_at ? std::nullopt : status.cutover.fenced_at;
}

double LastPauseSeconds(const api::TenantMigrationStatus& status) {
  const int64_t milliseconds = status.rollback.opened_at ? status.rollback.write_pause_milliseconds
                                                         : status.cutover.write_pause_milliseconds;
  return static_cast<double>(milliseconds) / 1000;
}

double SecondsSince1970(WallTime time) { return Seconds(time.time_since_epoch()); }

std::optional<WallTime> EnteredPhaseAt(const api::TenantMigrationStatus& status) {
  for (auto stage = status.stages.rbegin(); stage != status.stages.rend(); ++stage)
    if (stage->name == api::Name(status.phase)) return stage->started_at;
  return std::nullopt;
}

// What alerts and people ask first: since when, why, and until when.
void AddSituation(const api::TenantMigration& migration, SampleList& samples) {
  const api::TenantMigrationStatus& status = migration.status;
  if (std::optional<WallTime> entered = EnteredPhaseAt(status))
    samples.Add(Metric::kMigrationPhaseStartTime, SecondsSince1970(*entered));
  if (const api::Condition* ready = status.conditions.Find("Ready"))
    samples.Add(Metric::kMigrationReason, 1.0, {ready->reason});
  if (const std::optional<int> bound = api::WritePauseSecondsMax(migration.spec))
    samples.Add(Metric::kMigrationWritePauseMaxSeconds, int64_t{*bound});
  if (status.rollback.sampled_at)
    samples.Add(Metric::kRollbackSampledRows, status.rollback.sampled_rows);
  if (status.rollback.available_until)
    samples.Add(Metric::kRollbackAvailableUntil,
                SecondsSince1970(*status.rollback.available_until));
}

std::vector<Sample> SamplesOf(const api::TenantMigration& migration) {
  const auto& [meta, spec, status] = migration;
  SampleList samples(KeyOf(meta));
  samples.Add(Metric::kMigrationInfo, 1.0,
              {spec.placement_name, status.source_server_name, spec.target_server_name,
               std::string(api::Name(spec.strategy))});
  for (int i = 0; i <= static_cast<int>(Phase::kRolledBack); ++i) {
    const auto phase = static_cast<Phase>(i);
    samples.Add(Metric::kMigrationPhase, status.phase == phase ? 1.0 : 0.0,
                {std::string(api::Name(phase))});
  }
  AddSituation(migration, samples);
  samples.Add(Metric::kMigrationBytesCopied, status.progress.bytes_copied);
  samples.Add(Metric::kMigrationBytesExpected, status.progress.bytes_total);
  samples.Add(Metric::kMigrationTablesCopied, status.progress.tables_copied);
  samples.Add(Metric::kMigrationTablesExpected, status.progress.tables_total);
  // Before and after the copy an estimate of 0 would read as "done any moment".
  if (status.phase == Phase::kCopying)
    samples.Add(Metric::kMigrationEtaSeconds, status.progress.eta_seconds);
  if (status.cutover.fenced_at && !PausedSince(status))
    samples.Add(Metric::kMigrationWritePauseSeconds, LastPauseSeconds(status));
  // Without a verification that ended there is no proof, and 0 mismatches would look like one.
  if (status.verification.finished_at) {
    samples.Add(Metric::kVerificationRows, status.verification.rows);
    samples.Add(Metric::kVerificationMismatches, status.verification.mismatches);
  }
  samples.Add(Metric::kRollbackReady, status.conditions.IsTrue("RollbackReady") ? 1.0 : 0.0);
  return samples.Take();
}

std::vector<const api::Stage*> NewlyCompleted(const api::TenantMigrationStatus& before,
                                              const api::TenantMigrationStatus& after) {
  std::vector<const api::Stage*> completed;
  for (const api::Stage& stage : after.stages) {
    if (!stage.started_at || !stage.completed_at) continue;
    const bool known = std::ranges::any_of(before.stages, [&stage](const api::Stage& earlier) {
      return earlier.name == stage.name && earlier.completed_at == stage.completed_at;
    });
    if (!known) completed.push_back(&stage);
  }
  return completed;
}

}  // namespace

ObjectMetrics::ObjectMetrics(Metrics& metrics, const Clock& clock)
    : metrics_(metrics), clock_(clock) {
  metrics_.AddCollector([this](const Metrics::Sink& sink) { Collect(sink); });
}

void ObjectMetrics::StartLeading() {
  MutexLock lock(mutex_);
  leading_ = true;
  for (Phase end : kEnds) metrics_.Increment(Metric::kMigrationsTotal, {api::Name(end)}, 0);
}

void ObjectMetrics::ObserveMigration(const api::TenantMigration& migration) {
  Migration observed{
      SamplesOf(migration), PausedSince(migration.status), std::nullopt, {}, migration.status};
  MutexLock lock(mutex_);
  auto [place, first_sight] = migrations_.try_emplace(KeyOf(migration.meta));
  if (!first_sight) {
    observed.writable_sides = place->second.writable_sides;
    observed.streams = place->second.streams;
    if (leading_) CountChanges(place->second.status, migration.status);
  }
  place->second = std::move(observed);
}

void ObjectMetrics::ForgetMigration(const kube::Key& key) {
  MutexLock lock(mutex_);
  migrations_.erase(key);
}

void ObjectMetrics::ObserveWritableSides(const kube::Key& key, std::optional<int> sides) {
  MutexLock lock(mutex_);
  auto found = migrations_.find(key);
  if (found != migrations_.end()) found->second.writable_sides = sides;
}

void ObjectMetrics::ObserveStreams(const kube::Key& key, std::vector<Stream> streams) {
  MutexLock lock(mutex_);
  auto found = migrations_.find(key);
  if (found != migrations_.end()) found->second.streams = std::move(streams);
}

void ObjectMetrics::ObserveServer(const api::DatabaseServer& server) {
  const std::string& name = server.meta.name;
  std::vector<Sample> samples;
  samples.push_back(
      {Metric::kServerUp, {name}, server.status.conditions.IsTrue("Ready") ? 1.0 : 0.0});
  samples.push_back({Metric::kServerTenants, {name}, static_cast<double>(server.status.tenants)});
  MutexLock lock(mutex_);
  servers_[name] = std::move(samples);
}

void ObjectMetrics::ForgetServer(const std::string& name) {
  MutexLock lock(mutex_);
  servers_.erase(name);
}

void ObjectMetrics::ObservePlacement(const api::DatabasePlacement& placement) {
  const auto& [meta, spec, status] = placement;
  SampleList samples(KeyOf(meta));
  samples.Add(Metric::kPlacementInfo, 1.0,
              {spec.database_name, status.server_name, std::string(api::Name(spec.server_class)),
               std::string(api::Name(spec.profile))});
  MutexLock lock(mutex_);
  placements_[KeyOf(meta)] = samples.Take();
}

void ObjectMetrics::ForgetPlacement(const kube::Key& key) {
  MutexLock lock(mutex_);
  placements_.erase(key);
}

void ObjectMetrics::CountChanges(const api::TenantMigrationStatus& before,
                                 const api::TenantMigrationStatus& after) {
  // Times in a status have whole seconds, and so do these durations.
  for (const api::Stage* stage : NewlyCompleted(before, after))
    metrics_.Observe(Metric::kStageDurationSeconds, {stage->name},
                     Seconds(*stage->completed_at - *stage->started_at));
  const bool opened =
      after.cutover.opened_at && after.cutover.opened_at != before.cutover.opened_at;
  const bool opened_again =
      after.rollback.opened_at && after.rollback.opened_at != before.rollback.opened_at;
  if (opened || opened_again)
    metrics_.Observe(Metric::kWritePauseSeconds, {}, LastPauseSeconds(after));
  if (HasEnded(after.phase) && after.phase != before.phase)
    metrics_.Increment(Metric::kMigrationsTotal, {api::Name(after.phase)});
  if (GoesBack(after.phase) && !GoesBack(before.phase))
    metrics_.Increment(
        Metric::kRollbacksTotal,
        {after.rollback.reason.empty() ? after.failure_reason : after.rollback.reason});
}

void ObjectMetrics::Collect(const Metrics::Sink& sink) const {
  const WallTime now = clock_.WallNow();
  MutexLock lock(mutex_);
  if (!leading_) return;
  for (const auto& [key, migration] : migrations_) {
    for (const Sample& sample : migration.samples) sink(sample);
    if (migration.paused_since)
      sink({Metric::kMigrationWritePauseSeconds,
            {key.ns, key.name},
            std::max(0.0, Seconds(now - *migration.paused_since))});
    if (migration.writable_sides)
      sink({Metric::kWritableSides,
            {key.ns, key.name},
            static_cast<double>(*migration.writable_sides)});
    for (const Stream& stream : migration.streams) {
      const std::vector<std::string> labels = {key.ns, key.name, stream.direction};
      if (stream.lag_bytes)
        sink({Metric::kReplicationLagBytes, labels, static_cast<double>(*stream.lag_bytes)});
      sink({Metric::kSlotRetainedBytes, labels, static_cast<double>(stream.retained_bytes)});
      if (stream.lag_seconds) sink({Metric::kReplicationLagSeconds, labels, *stream.lag_seconds});
    }
  }
  for (const auto& [name, samples] : servers_)
    for (const Sample& sample : samples) sink(sample);
  for (const auto& [key, samples] : placements_)
    for (const Sample& sample : samples) sink(sample);
}

}  // namespace cutover::telemetry
