// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>
#include <vector>

#include "mover/copy/table_copy.h"
#include "mover/process/side.h"
#include "mover/schema/restore.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// Copies groups, one at a time, over a pair of connections that it opens when the first group
/// comes and again when they are lost. One thread.
class CopyLane {
 public:
  /// All of them must outlive the lane.
  CopyLane(const Side& source, const Connector& connect_target,
           const std::vector<TablePlan>& tables, const CopyTerms& terms)
      : source_side_(source), connect_target_(connect_target), tables_(tables), terms_(terms) {}

  /// As CopyGroup(), and patient: a connection that is lost costs this group, which is copied again
  /// a few times with growing pauses. Whether a commit whose answer was lost has happened is read
  /// from the ledger. A target server that was started anew in between is an error
  /// ("TargetRestarted"): its last commits need not have survived.
  Result<std::vector<RowsSeen>> Copy(std::stop_token stop, const ChunkGroup& group);

  /// Ends its transaction on the source, so that the snapshot can be given up.
  void Close();

 private:
  Result<std::vector<RowsSeen>> TryCopy(std::stop_token stop, const ChunkGroup& group);
  Status Connect(std::stop_token stop);
  Status RequireSameServer(std::stop_token stop);
  /// With names found the usual way, table by table.
  Result<std::vector<RowsSeen>> CopyUnderUsualPath(std::stop_token stop, const ChunkGroup& group);
  Result<std::optional<std::vector<RowsSeen>>> FindCommitted(std::stop_token stop,
                                                             const ChunkGroup& group);

  const Side& source_side_;
  const Connector& connect_target_;
  const std::vector<TablePlan>& tables_;
  const CopyTerms& terms_;
  std::optional<pg::Connection> source_;
  std::optional<pg::Connection> target_;
  std::string target_started_at_;
};

}  // namespace cutover::mover
