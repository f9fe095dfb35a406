// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/view/diff.h"
#include "cli/view/migration_view.h"
#include "cli/view/page.h"
#include "cli/view/snapshot.h"
#include "operator/base/json.h"

namespace cutover::cli {

/// What somebody asks to be moved, and how.
struct MoveOrder {
  std::string placement_name;
  std::string target_server_name;
  std::string source_server_name;  ///< Where it has to be when the move begins; empty: anywhere.
  std::string ns;
  std::string name;  ///< Of the TenantMigration.
  std::string strategy = "Offline";
  std::string approval = "Automatic";
  std::string backup_claim_name;  ///< Empty: none is taken, or nothing is said of it yet.
  bool skip_backup = false;       ///< Said so; else, without a claim, nothing is said of it yet.
  std::string switch_by = "Restart";
  std::string replica_identity;                    ///< Empty: the CRD's default.
  int64_t copy_rate_mebibytes_per_second_max = 0;  ///< 0: no limit.
  std::chrono::seconds hypercare{0};
  bool suspend = false;

  bool HasChosenBackup() const { return skip_backup || !backup_claim_name.empty(); }
};

/// "acme-to-pg-dedicated", within the 40 characters that such a name may have, and none of `taken`.
std::string NameForMove(const std::string& placement_name, const std::string& target_server_name,
                        const std::vector<std::string>& taken);

/// The TenantMigration, everything else as the CRD has it by default. Where the backup is not
/// chosen it has none: to be tried, and not to be given to anybody. Pure.
Json ManifestOf(const MoveOrder& order);

/// The migration that such an order has made and that spec.suspend holds before it begins, or null:
/// of that name if the order has one, else of that placement, to that server, with that strategy,
/// switch and backup mode, and from where the placement is now. Pure.
const MigrationView* FindHeld(const MoveOrder& order, const api::DatabasePlacement& placement,
                              const std::vector<MigrationView>& migrations);

/// What would have to be ordered for such a migration. Pure.
MoveOrder OrderOf(const MigrationView& migration);

/// "in namespace acme (…)", for messages: why no more than that could be read. Pure.
std::string WhereOnly(const std::string& ns, const Error& why);

/// All that the API server tells about a move that has not begun.
struct MoveFacts {
  MoveOrder order;                    ///< Of `held`, where there is one.
  std::optional<MigrationView> held;  ///< What is planned, if it is there already.
  api::DatabasePlacement placement;
  Lookup<api::DatabaseServer> source, target;
  Lookup<Json> backup_claim;        ///< Where a claim is named.
  std::vector<ObjectDiff> changes;  ///< Of wiring and routes, as the operator would write them.
  std::string refusal;  ///< Why the API server would not take the manifest; empty: it would.
  std::vector<MigrationView> migrations;  ///< All that may be read.
  std::string where = "in this cluster";  ///< Where those are.
  WallTime now;
};

enum class Answer { kYes, kNo, kUnknown };

/// One condition of a move, as far as objects can answer it.
struct PlannedCheck {
  Answer answer = Answer::kUnknown;
  std::string what;
  std::string detail;
};

/// Whether anything that is known stands in the way of the move. Pure.
bool StandsInTheWay(const MoveFacts& facts);

/// What the operator's preflight also asks and objects can answer; in its order. Pure.
std::vector<PlannedCheck> CheckObjects(const MoveFacts& facts);

/// The plan of a move as people read it; nothing of it has happened. Pure.
std::string RenderPlan(const MoveFacts& facts, const Style& style);

}  // namespace cutover::cli
