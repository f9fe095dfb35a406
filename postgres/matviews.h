// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/control.h"

namespace cutover::pg {

/// Materialized views of the tenant: no stream carries what is in them.
struct Matview {
  std::string name;  ///< "schema"."name", quoted.
  bool filled = false;
  /// Another text after each REFRESH. One that is CONCURRENTLY leaves the view in its file, so the
  /// server's counts of rows written are part of it; they arrive up to ten seconds late, and a
  /// server that crashes forgets them. What makes another one, too: VACUUM FULL, CLUSTER, and the
  /// counts of a plain REFRESH, a moment after its file. Once too often is not too seldom.
  std::string mark;
};
/// In an order in which each finds filled what it reads. Without those of extensions.
Result<std::vector<Matview>> ReadMatviews(std::stop_token stop, Deadline deadline,
                                          Connection& connection);

/// Fills a view again from the rows that are there. PostgreSQL runs its query as the view's owner.
/// Whoever reads it meanwhile goes on reading where it has an index that allows for it
/// (CONCURRENTLY), and waits otherwise. Does not wait for others' locks for longer than seconds.
/// "Cancelled" after `bound`; the view is as it was then.
Status RefreshMatview(std::stop_token stop, Deadline deadline, Connection& connection,
                      const std::string& name, std::chrono::milliseconds bound);

// --- the ledger of the source --------------------------------------------------------------------

/// What the source's views are before the copy begins: the target's are filled from rows that are
/// not older. The first record of each wins.
Status RecordMatviews(std::stop_token stop, Deadline deadline, Transaction& transaction,
                      const std::vector<Matview>& views);

/// How the target's views stand beside the source's.
struct MatviewsSince {
  /// Filled on the source since they were on the target, in an order to be refreshed in.
  std::vector<Matview> stale;
  int64_t refreshed = 0;                 ///< On the target, since the copy.
  std::optional<WallTime> refreshed_at;  ///< The last time that it was tried.
  std::string trouble;  ///< "name: words" of those that could not be, at their last mark.
};
/// Those of a source that nothing is recorded of are left alone.
Result<MatviewsSince> CompareMatviews(std::stop_token stop, Deadline deadline, Connection& source);

/// The target's view is as new as the source's at `view.mark`; or, with `trouble`, that is not to
/// be tried again before there is another mark.
Status NoteMatview(std::stop_token stop, Deadline deadline, Connection& source, const Claim& claim,
                   const Matview& view, WallTime now, const std::string& trouble);

}  // namespace cutover::pg
