// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/contract/progress.h"
#include "mover/copy/table_copy.h"
#include "mover/plan/chunks.h"
#include "mover/plan/restore_schedule.h"
#include "mover/plan/role_names.h"
#include "mover/process/reporter.h"
#include "mover/process/side.h"
#include "mover/schema/large_objects.h"
#include "mover/schema/restore.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// What is to be put into the empty tables, and onto them. All of it must outlive the call.
struct FillOrder {
  /// Closed as soon as its last row is read: its snapshot holds back vacuum on a server that others
  /// use, too.
  std::optional<Side>& source;
  const Connector& connect_target;
  const std::vector<TablePlan>& tables;
  /// The plan as the ledger has it; what is committed there is not copied again.
  const std::vector<Chunk>& plan;
  const RestoreSchedule& schedule;
  const std::vector<std::string>& matviews;  ///< To be filled, in this order.
  const CopyTerms& terms;
  const RoleNames& role_names;  ///< For the large objects' owners and grants.
  int jobs = 1;
  /// Called once, when the last row has arrived and before the source is closed.
  std::function<Status(std::stop_token)> on_copied;
};

struct Filled {
  std::map<std::string, RowsSeen> rows;  ///< By TablePlan::Qualified().
  LargeObjects large_objects;
  std::vector<std::string> warnings;
};

/// The chunks of a plan, for the ledger: numbered, and with the group that each belongs to.
std::vector<Chunk> PlanForLedger(const std::vector<TablePlan>& tables,
                                 const std::vector<ChunkGroup>& groups);

/// Copies the rows and builds all that stands on them: indexes, keys, foreign keys, triggers and
/// views, materialized views' contents, statistics. Nothing waits for more than it needs: a table's
/// indexes are built while others are still copied.
///
/// What is cheap but slow (small DDL, which waits for the disk) runs on more connections than
/// `jobs`; copying and sorting do not. Reports the stages "copy", "indexes", "constraints" and
/// "analyze", each from the end of the one before.
Result<Filled> FillTarget(std::stop_token stop, const FillOrder& order, Reporter& reporter);

}  // namespace cutover::mover
