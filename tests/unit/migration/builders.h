// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration::testing {

inline constexpr api::Phase kAllPhases[] = {
    api::Phase::kPending,    api::Phase::kPreflight,  api::Phase::kBackingUp,
    api::Phase::kPreparing,  api::Phase::kCatchingUp, api::Phase::kAwaitingCutover,
    api::Phase::kFencing,    api::Phase::kCopying,    api::Phase::kFinalizing,
    api::Phase::kVerifying,  api::Phase::kSwitching,  api::Phase::kOpening,
    api::Phase::kSmoke,      api::Phase::kAdmitting,  api::Phase::kHypercare,
    api::Phase::kCompleting, api::Phase::kCompleted,  api::Phase::kUndoing,
    api::Phase::kAborted,    api::Phase::kFailed,     api::Phase::kRollingBack,
    api::Phase::kRolledBack};

inline WallTime Noon() { return std::chrono::system_clock::from_time_t(1'800'000'000); }

/// A migration that entered `phase` at noon, and has been through Preparing.
inline api::TenantMigration MigrationIn(api::Phase phase) {
  api::TenantMigration migration;
  migration.meta.name = "move";
  migration.meta.namespace_name = "acme";
  migration.meta.generation = 3;
  migration.meta.finalizers = {api::kFinalizer};
  migration.spec.placement_name = "acme";
  migration.spec.target_server_name = "pg-target";
  migration.status.phase = phase;
  migration.status.attempt = 1;
  migration.status.source_server_name = "pg-source";
  for (api::Phase entered : {api::Phase::kPreparing, phase}) {
    api::Stage stage;
    stage.name = Name(entered);
    stage.state = "Running";
    stage.started_at = Noon();
    migration.status.stages.push_back(stage);
  }
  return migration;
}

/// Nothing was looked at yet but the time: `seconds` after noon.
inline Observation At(int seconds) {
  Observation seen;
  seen.now = Noon() + std::chrono::seconds(seconds);
  seen.placement = PlacementFacts{};  // Looked at wherever there is time.
  return seen;
}

/// Everything was looked at in vain.
inline Observation NothingReadableAt(int seconds) {
  Observation seen = At(seconds);
  const Error away{Disposition::kRetry, "ConnectionFailed", "no route to host"};
  seen.placement = away;
  seen.ledger_recorded = away;
  seen.workloads = away;
  seen.routes = away;
  seen.wiring = away;
  seen.wiring_restored = away;
  seen.requests_outdated = away;
  seen.maintenance_page = away;
  seen.backup_job = seen.copy_job = seen.check_jobs = away;
  seen.copy_progress = away;
  seen.copy_result = away;
  seen.source = seen.target = away;
  seen.forward_publisher = seen.reverse_publisher = away;
  seen.forward_subscriber = seen.reverse_subscriber = away;
  seen.way_back_rehearsed = away;
  seen.tenant_known = seen.tenant_known_back = away;
  seen.reverse_sample = away;
  seen.structure = away;
  seen.views = away;
  seen.schema_change = away;
  seen.poolers = away;
  seen.preflight = away;
  seen.checks = seen.baselines = away;
  return seen;
}

inline DatabaseFacts Database(ControlState state, bool closed) {
  DatabaseFacts facts;
  facts.exists = true;
  facts.state = state;
  facts.closed = closed;
  return facts;
}

}  // namespace cutover::migration::testing
