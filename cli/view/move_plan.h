// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/view/page.h"
#include "cli/view/snapshot.h"
#include "operator/base/json.h"

namespace cutover::cli {

/// What somebody asks to be moved, and how.
struct MoveOrder {
  std::string placement_name;
  std::string target_server_name;
  std::string ns;
  std::string name;  ///< Of the TenantMigration.
  std::string strategy = "Offline";
  std::string approval = "Automatic";
  std::string backup_claim_name;  ///< Empty: the backup is skipped.
  std::string switch_by = "Restart";
  std::string replica_identity;  ///< Empty: the CRD's default.
  std::chrono::seconds hypercare{0};
  bool suspend = false;
};

/// "acme-to-pg-dedicated", within the 40 characters that such a name may have, and none of `taken`.
std::string NameForMove(const std::string& placement_name, const std::string& target_server_name,
                        const std::vector<std::string>& taken);

/// The TenantMigration, everything else as the CRD has it by default. Pure.
Json ManifestOf(const MoveOrder& order);

/// One value that the move would change, in an object that tells the workload where its database
/// is. `before` and `after` are empty for what must not be shown (Secrets).
struct WiringChange {
  std::string object;  ///< "ConfigMap odoo-conf"
  std::string place;   ///< ".data.odoo.conf, line 4"
  std::string before, after;
};

/// What would be different in `after`, without values that may hold a password: none of a Secret,
/// and of URIs without their password. Pure.
std::vector<WiringChange> ChangesBetween(const std::string& object, const Json& before,
                                         const Json& after);

/// All that the API server tells about a move that has not begun.
struct MoveFacts {
  MoveOrder order;
  api::DatabasePlacement placement;
  Lookup<api::DatabaseServer> source, target;
  Lookup<Json> backup_claim;  ///< Where a claim is named.
  Result<std::vector<WiringChange>> changes;
  std::string refusal;  ///< Why the API server would not take the manifest; empty: it would.
};

enum class Answer { kYes, kNo, kUnknown };

/// One condition of a move, as far as objects can answer it.
struct PlannedCheck {
  Answer answer = Answer::kUnknown;
  std::string what;
  std::string detail;
};

/// What the operator's preflight also asks and objects can answer; in its order. Pure.
std::vector<PlannedCheck> CheckObjects(const MoveFacts& facts);

/// The plan of a move as people read it; nothing of it has happened. Pure.
std::string RenderPlan(const MoveFacts& facts, const Style& style);

}  // namespace cutover::cli
