// SPDX-License-Identifier: Apache-2.0
//
// record-metrics: prints what /metrics would have shown for an hour of a small fleet, scraped twice
// a minute from a leader and from a standby. The text is made by the operator's own metrics
// code from objects whose story is told here; only the clock is not real. tests/observability loads
// it into a real Prometheus and runs every dashboard and alert over it.
//
// Prints "# scrape SECONDS POD" before each exposition.
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "operator/telemetry/object_metrics.h"
#include "operator/telemetry/process_metrics.h"
#include "operator/telemetry/runtime_metrics.h"

namespace cutover::telemetry {
namespace {

using api::Phase;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class TestClock final : public Clock {
 public:
  WallTime WallNow() const override { return now; }
  SteadyTime SteadyNow() const override { return {}; }
  WallTime now = *ParseTime("2026-11-21T12:00:00Z");
};

constexpr const char* kControllers[] = {"databaseserver", "databaseplacement", "tenantmigration"};

/// A migration that is in `phase` from `start` on, until its next step.
struct Step {
  minutes start;
  Phase phase;
};

struct Story {
  const char* tenant;
  const char* target;
  std::vector<Step> steps;
  const char* reason = "";  ///< Of condition Ready in the last step, and of a failure.
  minutes reason_from{};    ///< Until then the last step has none.
  bool online = false;
};

// One of each: it went well, it is copied now, it waits for a person, it came back,
// it was followed and is followed back.
const Story kStories[] = {
    {"acme",
     "pg-acme",
     {{minutes(1), Phase::kPreflight},
      {minutes(2), Phase::kFencing},
      {minutes(3), Phase::kCopying},
      {minutes(10), Phase::kVerifying},
      {minutes(11), Phase::kAdmitting},
      {minutes(12), Phase::kHypercare},
      {minutes(30), Phase::kCompleted}}},
    {"globex",
     "pg-shared-2",
     {{minutes(20), Phase::kPreflight},
      {minutes(22), Phase::kFencing},
      {minutes(25), Phase::kCopying}}},
    {"initech",
     "pg-shared-2",
     {{minutes(5), Phase::kPreflight}, {minutes(8), Phase::kAwaitingCutover}},
     "AwaitingApproval",
     minutes(30)},
    {"umbrella",
     "pg-shared-2",
     {{minutes(2), Phase::kCopying},
      {minutes(9), Phase::kSmoke},
      {minutes(11), Phase::kRollingBack},
      {minutes(12), Phase::kRolledBack}},
     "SmokeFailed"},
    {"hooli",
     "pg-acme",
     {{minutes(4), Phase::kCatchingUp}, {minutes(15), Phase::kHypercare}},
     "",
     {},
     true},
};

class World {
 public:
  World() {
    leader_runtime_.OnLeader("cutover-operator", true);
    standby_runtime_.OnLeader("cutover-operator", false);
    for (Metrics* metrics : {&leader_, &standby_}) {
      metrics->AddCollector([](const Metrics::Sink& sink) { CollectProcess(sink); });
      metrics->Set(Metric::kBuildInfo, {"0.0.0"}, 1);
    }
    for (const char* controller : kControllers) {
      leader_.Set(Metric::kMaxConcurrentReconciles, {controller}, 4);
      leader_.Increment(Metric::kTerminalReconcileErrorsTotal, {controller}, 0);
      leader_.Increment(Metric::kReconcilePanicsTotal, {controller}, 0);
    }
    leader_.AddCollector([](const Metrics::Sink& sink) {
      for (const char* queue : kControllers) {
        sink({Metric::kQueueUnfinishedWorkSeconds, {queue, queue}, 0});
        sink({Metric::kQueueLongestRunningSeconds, {queue, queue}, 0});
      }
    });
    objects_.StartLeading();
  }

  void Run() {
    const WallTime start = clock_.now;
    for (seconds at{0}; at <= minutes(60); at += seconds(30)) {
      clock_.now = start + at;
      Work();
      ObserveServers(at);
      for (const Story& story : kStories) ObserveMigration(story, at, start);
      Scrape("cutover-0", leader_);
      Scrape("cutover-1", standby_);
    }
  }

 private:
  // What the controller runtime counts in half a minute.
  void Work() {
    for (const char* queue : kControllers) {
      leader_runtime_.OnQueueAdd(queue);
      leader_runtime_.OnQueueDepth(queue, 0);
      leader_runtime_.OnQueueLatency(queue, milliseconds(2));
      leader_runtime_.OnActiveWorkers(queue, 0);
      leader_runtime_.OnReconcile(queue, "success", milliseconds(30));
      leader_runtime_.OnReconcile(queue, "error", milliseconds(80));
      leader_runtime_.OnQueueRetry(queue);
      leader_runtime_.OnWorkDuration(queue, milliseconds(30));
      leader_runtime_.OnRelist(queue);
      leader_runtime_.OnWatchRestart(queue);
    }
    for (RuntimeMetrics* runtime : {&leader_runtime_, &standby_runtime_}) {
      runtime->OnRequest(200, "GET", "10.96.0.1:443", milliseconds(4));
      runtime->OnRequest(200, "PATCH", "10.96.0.1:443", milliseconds(9));
      runtime->OnRequest(409, "PATCH", "10.96.0.1:443", milliseconds(5));
    }
    leader_runtime_.OnEventDropped();
  }

  void ObserveServers(seconds at) {
    for (const char* name : {"pg-shared-1", "pg-shared-2", "pg-acme"}) {
      api::DatabaseServer server;
      server.meta.name = name;
      server.status.tenants = 3;
      // One is away for ten minutes.
      bool away = server.meta.name == "pg-shared-2" && at > minutes(40) && at < minutes(50);
      api::Condition ready;
      ready.type = "Ready";
      ready.status = away ? api::ConditionStatus::kFalse : api::ConditionStatus::kTrue;
      ready.reason = away ? "Unreachable" : "Ready";
      server.status.conditions.Set(ready, clock_.now);
      objects_.ObserveServer(std::make_shared<const api::DatabaseServer>(server));
    }
  }

  void ObserveMigration(const Story& story, seconds at, WallTime start) {
    ObservePlacement(story, at >= story.steps.back().start);
    if (at < story.steps.front().start) return;
    api::TenantMigration migration;
    migration.meta.namespace_name = story.tenant;
    migration.meta.name = "move";
    migration.spec.placement_name = story.tenant;
    migration.spec.target_server_name = story.target;
    migration.spec.max_write_pause_seconds = 3600;
    if (story.online) migration.spec.strategy = api::Strategy::kOnline;
    migration.status.source_server_name = "pg-shared-1";
    for (const Step& step : story.steps)
      if (step.start <= at) Enter(migration.status, step.phase, start + step.start);
    Describe(story, migration.status, at, start);
    objects_.ObserveMigration(std::make_shared<const api::TenantMigration>(migration));
    objects_.ObserveWritableSides({story.tenant, "move"}, 1);
    if (story.online) ObserveStreams(story, migration.status.phase);
  }

  void ObserveStreams(const Story& story, Phase phase) {
    const char* direction = phase == Phase::kCatchingUp ? "forward" : "reverse";
    objects_.ObserveStreams({story.tenant, "move"}, {{direction, 4096, 16 << 20, 0.8}});
  }

  static void Enter(api::TenantMigrationStatus& status, Phase phase, WallTime since) {
    if (!status.stages.empty()) status.stages.back().completed_at = since;
    api::Stage stage;
    stage.name = api::Name(phase);
    stage.started_at = since;
    status.stages.push_back(stage);
    status.phase = phase;
    if (phase == Phase::kFencing) status.cutover.fenced_at = since;
    if (phase == Phase::kHypercare || phase == Phase::kRolledBack) {
      if (!status.cutover.fenced_at) status.cutover.fenced_at = since - minutes(8);
      status.cutover.opened_at = since;
      status.cutover.write_pause_milliseconds =
          std::chrono::duration_cast<milliseconds>(since - *status.cutover.fenced_at).count();
    }
  }

  void Describe(const Story& story, api::TenantMigrationStatus& status, seconds at,
                WallTime start) const {
    auto& progress = status.progress;
    progress.bytes_total = int64_t{8} << 30;
    progress.tables_total = 600;
    bool copying = status.phase == Phase::kCopying;
    double share =
        copying ? std::min(1.0, 0.02 * static_cast<double>((at - minutes(1)).count()) / 60) : 1;
    progress.bytes_copied = static_cast<int64_t>(share * static_cast<double>(progress.bytes_total));
    progress.tables_copied = static_cast<int64_t>(share * 600);
    progress.rows_copied = static_cast<int64_t>(share * 4'000'000);
    progress.eta_seconds = static_cast<int64_t>((1 - share) * 3000);
    if (!copying) {
      status.verification.rows = 4'000'000;
      status.verification.finished_at = clock_.now;
    }
    bool last = status.phase == story.steps.back().phase;
    const bool of_story = last && *story.reason != '\0' && at >= story.reason_from;
    SetCondition(status, "Ready", api::ConditionStatus::kFalse,
                 of_story ? story.reason : std::string(api::Name(status.phase)));
    status.reason_since = *status.stages.back().started_at;
    if (of_story) status.reason_since = std::max(*status.reason_since, start + story.reason_from);
    if (status.phase == Phase::kRollingBack) status.failure_reason = story.reason;
    if (status.phase == Phase::kRolledBack) status.rollback.reason = story.reason;
    if (status.phase == Phase::kHypercare && story.online) {
      status.rollback.sampled_at = clock_.now;
      status.rollback.sampled_rows = 5000;
      SetCondition(status, "RollbackReady", api::ConditionStatus::kTrue, "Following");
      status.rollback.available_until = start + minutes(90);
    }
  }

  void SetCondition(api::TenantMigrationStatus& status, const char* type,
                    api::ConditionStatus value, std::string reason) const {
    api::Condition condition;
    condition.type = type;
    condition.status = value;
    condition.reason = std::move(reason);
    status.conditions.Set(condition, clock_.now);
  }

  void ObservePlacement(const Story& story, bool moved) {
    api::DatabasePlacement placement;
    placement.meta.namespace_name = story.tenant;
    placement.meta.name = story.tenant;
    placement.spec.database_name = story.tenant;
    placement.status.server_name = moved ? story.target : "pg-shared-1";
    objects_.ObservePlacement(std::make_shared<const api::DatabasePlacement>(placement));
  }

  void Scrape(const char* pod, const Metrics& metrics) const {
    long long at = std::chrono::duration_cast<seconds>(clock_.now.time_since_epoch()).count();
    std::cout << "# scrape " << at << " " << pod << "\n" << metrics.Expose();
  }

  TestClock clock_;
  Metrics leader_, standby_;
  RuntimeMetrics leader_runtime_{leader_}, standby_runtime_{standby_};
  ObjectMetrics objects_{leader_, clock_};
};

}  // namespace
}  // namespace cutover::telemetry

int main() { cutover::telemetry::World().Run(); }
