// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "operator/api/write_pause.h"
#include "operator/base/json.h"

namespace cutover::cli {

/// What people are shown of a TenantMigration.
///
/// Unlike api::TenantMigration it is read leniently: a plugin is older or newer than the operator
/// whose objects it shows, and a phase, strategy or field that it does not know must not keep it
/// from showing the rest. So the names of enumerations are texts here, as the object has them.
struct MigrationView {
  api::ObjectMeta meta;

  std::string placement_name;
  std::string target_server_name;
  std::string strategy;
  bool rehearsal = false;
  int64_t copy_rate_mebibytes_per_second_max = 0;  ///< 0: no limit.
  bool copy_held_back = false;                     ///< By that limit or a query of its own.
  std::string backup_mode, backup_claim_name;
  std::string verification_level;
  std::string approval;
  std::string switch_mode;
  std::optional<WallTime> window_start, window_end;
  int64_t max_write_pause_seconds = 0;  ///< As the operator takes it; 0: no bound.
  int64_t hypercare_seconds = 0;
  std::string on_failed_checks;
  int64_t retention_seconds = 0;
  std::string reclaim_policy;
  bool suspend = false;

  std::string phase;  ///< Empty until an operator has looked at it.
  std::string message;
  /// Since when the phase and the reason are what they are; nothing from an older operator.
  std::optional<WallTime> reason_since;
  int64_t observed_generation = 0;
  std::string source_server_name;  ///< Empty until the move has begun.
  int64_t attempt = 0;
  std::string failure_reason, failure_message;
  api::Conditions conditions;
  api::PreflightStatus preflight;
  std::vector<api::Stage> stages;  ///< In the order in which they were entered.
  api::MigrationProgress progress;
  api::CutoverStatus cutover;
  api::RollbackStatus rollback;
  api::VerificationStatus verification;
  std::vector<api::Sample> samples;
  std::vector<api::CheckStatus> checks;  ///< Of Hypercare.
  api::HandledTokens handled;

  /// Empty, or the first thing in the object that this plugin could not read.
  std::string unread;

  const api::Stage* FindStage(std::string_view name) const;
  /// When the present phase was entered, if the status says so.
  std::optional<WallTime> PhaseSince() const;
  /// The condition's reason when it has this status, else an empty string.
  std::string ReasonOf(std::string_view type, api::ConditionStatus status) const;
  /// Why it is not ready, in the operator's word; empty where it is.
  std::string ReadyReason() const { return ReasonOf("Ready", api::ConditionStatus::kFalse); }
  bool Journaled() const { return cutover.journaled_at.has_value(); }
  /// Since when users have been kept out, of a migration that is under way, as far as the moments
  /// of the status tell; nothing while they can work.
  std::optional<WallTime> ShutOutSince() const { return api::ShutOutSince(cutover, rollback); }
  /// Users are being kept out by the cutover, likewise.
  bool DoorsClosed() const { return cutover.fenced_at && !cutover.opened_at; }
  /// "namespace/name".
  std::string FullName() const { return meta.namespace_name + "/" + meta.name; }
};

/// Never fails: what cannot be read has its default, and `unread` says so.
MigrationView ViewOf(const Json& object);

}  // namespace cutover::cli
