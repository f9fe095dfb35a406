// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/object_metrics.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "operator/api/write_pause.h"

namespace cutover::telemetry {
namespace {

using api::Phase;

constexpr Phase kEnds[] = {Phase::kCompleted, Phase::kAborted, Phase::kFailed, Phase::kRolledBack};

// Why a migration goes back after the point of no return: every reason that a phase gives to
// Plan::RollBack. Others are counted as well, but their first one is not seen by increase().
constexpr std::string_view kRollbackReasons[] = {
    "Deleted",     "HypercareCheckFailed", "PoolersNotProven", "RollbackRequested",
    "SmokeFailed", "TargetChanged",        "WiringFailed",     "WorkloadsNotReady"};

bool HasEnded(Phase phase) { return std::ranges::find(kEnds, phase) != std::end(kEnds); }
bool GoesBack(Phase phase) { return phase == Phase::kRollingBack || phase == Phase::kRolledBack; }

double Seconds(WallTime::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

kube::Key KeyOf(const api::ObjectMeta& meta) { return {meta.namespace_name, meta.name}; }

// Hands on the samples of one object, whose labels all begin with its namespace and name.
class Series {
 public:
  Series(const api::ObjectMeta& meta, const Metrics::Sink& sink)
      : ns_(meta.namespace_name), name_(meta.name), sink_(sink) {}

  void Add(Metric metric, double value, std::initializer_list<std::string_view> more = {}) const {
    std::vector<std::string> labels = {ns_, name_};
    labels.insert(labels.end(), more.begin(), more.end());
    sink_({metric, std::move(labels), value});
  }
  void Add(Metric metric, int64_t value) const { Add(metric, static_cast<double>(value)); }

 private:
  const std::string& ns_;
  const std::string& name_;
  const Metrics::Sink& sink_;
};

std::optional<WallTime> PausedSince(const api::TenantMigrationStatus& status) {
  if (HasEnded(status.phase)) return std::nullopt;
  return api::ShutOutSince(status.cutover, status.rollback);
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

// All phases while it is under way, so that each is seen to begin; of one that is over only its
// end.
void AddPhases(Phase now, const Series& series) {
  for (int i = 0; i <= static_cast<int>(Phase::kRolledBack); ++i) {
    const auto phase = static_cast<Phase>(i);
    if (phase == now || !HasEnded(now))
      series.Add(Metric::kMigrationPhase, phase == now ? 1.0 : 0.0, {api::Name(phase)});
  }
}

// What alerts and people ask first: since when, why, and until when.
void AddSituation(const api::TenantMigration& migration, const Series& series) {
  const api::TenantMigrationStatus& status = migration.status;
  if (std::optional<WallTime> entered = EnteredPhaseAt(status))
    series.Add(Metric::kMigrationPhaseStartTime, SecondsSince1970(*entered));
  if (const api::Condition* ready = status.conditions.Find("Ready"))
    series.Add(Metric::kMigrationReason, 1.0, {ready->reason});
  // Of an end it would be the time of its phase.
  if (status.reason_since && !HasEnded(status.phase))
    series.Add(Metric::kMigrationReasonSince, SecondsSince1970(*status.reason_since));
  const api::Condition* reconciling = status.conditions.Find("Reconciling");
  if (!HasEnded(status.phase))
    series.Add(Metric::kMigrationRetrying,
               reconciling && reconciling->reason == "ProgressingWithRetry" ? 1.0 : 0.0);
  if (const std::optional<int> bound = api::WritePauseSecondsMax(migration.spec))
    series.Add(Metric::kMigrationWritePauseMaxSeconds, int64_t{*bound});
  if (status.rollback.sampled_at)
    series.Add(Metric::kRollbackSampledRows, status.rollback.sampled_rows);
  if (status.rollback.available_until)
    series.Add(Metric::kRollbackAvailableUntil, SecondsSince1970(*status.rollback.available_until));
}

void AddWritePause(const api::TenantMigrationStatus& status, WallTime now, const Series& series) {
  const std::optional<WallTime> since = PausedSince(status);
  if (!HasEnded(status.phase)) series.Add(Metric::kMigrationUsersShutOut, since ? 1.0 : 0.0);
  if (since)
    series.Add(Metric::kMigrationWritePauseSeconds, std::max(0.0, Seconds(now - *since)));
  else if (status.cutover.fenced_at)
    series.Add(Metric::kMigrationWritePauseSeconds, LastPauseSeconds(status));
}

void AddMigration(const api::TenantMigration& migration, WallTime now, const Series& series) {
  const auto& [meta, spec, status] = migration;
  series.Add(Metric::kMigrationInfo, 1.0,
             {spec.placement_name, status.source_server_name, spec.target_server_name,
              api::Name(spec.strategy)});
  AddPhases(status.phase, series);
  AddSituation(migration, series);
  series.Add(Metric::kMigrationBytesCopied, status.progress.bytes_copied);
  series.Add(Metric::kMigrationBytesExpected, status.progress.bytes_total);
  series.Add(Metric::kMigrationTablesCopied, status.progress.tables_copied);
  series.Add(Metric::kMigrationTablesExpected, status.progress.tables_total);
  series.Add(Metric::kMigrationRowsCopied, status.progress.rows_copied);
  // Before the first byte and after the copy an estimate of 0 would read as "done any moment".
  if (status.phase == Phase::kCopying && status.progress.bytes_copied > 0)
    series.Add(Metric::kMigrationEtaSeconds, status.progress.eta_seconds);
  if (status.phase == Phase::kCatchingUp && status.progress.eta_seconds > 0)
    series.Add(Metric::kMigrationEtaSeconds, status.progress.eta_seconds);
  AddWritePause(status, now, series);
  // Without a verification that ended there is no proof, and 0 mismatches would look like one.
  if (status.verification.finished_at) {
    series.Add(Metric::kVerificationRows, status.verification.rows);
    series.Add(Metric::kVerificationMismatches, status.verification.mismatches);
  }
  series.Add(Metric::kRollbackReady, status.conditions.IsTrue("RollbackReady") ? 1.0 : 0.0);
}

void AddStream(const ObjectMetrics::Stream& stream, const Series& series) {
  if (stream.lag_bytes)
    series.Add(Metric::kReplicationLagBytes, static_cast<double>(*stream.lag_bytes),
               {stream.direction});
  series.Add(Metric::kSlotRetainedBytes, static_cast<double>(stream.retained_bytes),
             {stream.direction});
  if (stream.lag_seconds)
    series.Add(Metric::kReplicationLagSeconds, *stream.lag_seconds, {stream.direction});
}

void AddServer(const api::DatabaseServer& server, const Metrics::Sink& sink) {
  const std::string& name = server.meta.name;
  sink({Metric::kServerUp, {name}, server.status.conditions.IsTrue("Ready") ? 1.0 : 0.0});
  sink({Metric::kServerTenants, {name}, static_cast<double>(server.status.tenants)});
}

void AddPlacement(const api::DatabasePlacement& placement, const Series& series) {
  const auto& [meta, spec, status] = placement;
  series.Add(Metric::kPlacementInfo, 1.0,
             {spec.database_name, status.server_name, api::Name(spec.server_class),
              api::Name(spec.profile)});
}

template <class Map>
auto ValuesOf(const Map& map) {
  std::vector<typename Map::mapped_type> values;
  values.reserve(map.size());
  for (const auto& [key, value] : map) values.push_back(value);
  return values;
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
  // What may happen, as 0: increase() does not count the event with which a series appears, and
  // after each change of leaders the first one of everything would be such an event.
  for (Phase end : kEnds) metrics_.Increment(Metric::kMigrationsTotal, {api::Name(end)}, 0);
  for (std::string_view reason : kRollbackReasons)
    metrics_.Increment(Metric::kRollbacksTotal, {reason}, 0);
  metrics_.Show(Metric::kWritePauseSeconds, {});
  for (int i = 0; i <= static_cast<int>(Phase::kRolledBack); ++i) {
    const auto stage = static_cast<Phase>(i);
    if (!HasEnded(stage)) metrics_.Show(Metric::kStageDurationSeconds, {api::Name(stage)});
  }
}

void ObjectMetrics::ObserveMigration(std::shared_ptr<const api::TenantMigration> migration) {
  MutexLock lock(mutex_);
  auto& known = migrations_[KeyOf(migration->meta)].object;
  if (known && leading_) CountChanges(known->status, migration->status);
  known = std::move(migration);
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

void ObjectMetrics::ObserveServer(std::shared_ptr<const api::DatabaseServer> server) {
  MutexLock lock(mutex_);
  servers_[server->meta.name] = std::move(server);
}

void ObjectMetrics::ForgetServer(const std::string& name) {
  MutexLock lock(mutex_);
  servers_.erase(name);
}

void ObjectMetrics::ObservePlacement(std::shared_ptr<const api::DatabasePlacement> placement) {
  MutexLock lock(mutex_);
  placements_[KeyOf(placement->meta)] = std::move(placement);
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
  std::vector<Migration> migrations;
  std::vector<std::shared_ptr<const api::DatabaseServer>> servers;
  std::vector<std::shared_ptr<const api::DatabasePlacement>> placements;
  {
    MutexLock lock(mutex_);
    if (!leading_) return;
    migrations = ValuesOf(migrations_);
    servers = ValuesOf(servers_);
    placements = ValuesOf(placements_);
  }
  for (const Migration& migration : migrations) {
    const Series series(migration.object->meta, sink);
    AddMigration(*migration.object, now, series);
    if (migration.writable_sides)
      series.Add(Metric::kWritableSides, int64_t{*migration.writable_sides});
    for (const Stream& stream : migration.streams) AddStream(stream, series);
  }
  for (const auto& server : servers) AddServer(*server, sink);
  for (const auto& placement : placements) AddPlacement(*placement, Series(placement->meta, sink));
}

}  // namespace cutover::telemetry
