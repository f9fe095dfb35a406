// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration::testing {

inline constexpr api::Phase kAllPhases[] = {
    api::Phase::kPending,   api::Phase::kPreflight,       api::Phase::kBackingUp,
    api::Phase::kPreparing, api::Phase::kAwaitingCutover, api::Phase::kFencing,
    api::Phase::kCopying,   api::Phase::kFinalizing,      api::Phase::kVerifying,
    api::Phase::kSwitching, api::Phase::kOpening,         api::Phase::kSmoke,
    api::Phase::kAdmitting, api::Phase::kHypercare,       api::Phase::kCompleting,
    api::Phase::kCompleted, api::Phase::kUndoing,         api::Phase::kAborted,
    api::Phase::kFailed,    api::Phase::kRollingBack,     api::Phase::kRolledBack};

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

/// Nothing was observed but the time: `seconds` after noon.
inline Observation At(int seconds) {
  Observation seen;
  seen.now = Noon() + std::chrono::seconds(seconds);
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
