// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/plan/restore_schedule.h"
#include "mover/plan/restore_waves.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// Restores items one after the other, some dozens to a transaction: few commits, and no more locks
/// than a server's default lock table holds. Nothing of a failed transaction stays; the error names
/// the entry at fault. When functions of an index or check fail under the empty search path, the
/// entry is tried once more under the usual one ("$user", public).
///
/// Here and below: what is caught in a deadlock is begun again, a few times. Somebody else may look
/// at the new tables, and ALTER TABLE takes its locks one after the other.
Status RestoreItems(std::stop_token stop, pg::Connection& target,
                    const std::vector<const RestoreItem*>& items);

/// Opens another connection of the run.
using Connector = std::function<Result<pg::Connection>(std::stop_token)>;

/// Restores what stands before the data, each wave on up to `lanes_max` connections. An entry that
/// fails for want of a name is tried again at the end: a dump need not name every dependency.
Status RestoreWaves(std::stop_token stop, const Connector& connect, int lanes_max,
                    const std::vector<RestoreWave>& waves);

/// Adds a foreign key, in a transaction of its own.
Status AddForeignKey(std::stop_token stop, pg::Connection& target, const ForeignKeyPlan& key);

/// The second step of a foreign key that was added without looking at rows.
Status ProveForeignKey(std::stop_token stop, pg::Connection& target, const ForeignKeyPlan& key);

/// Fills the materialized views that are filled on the source (qualified names in `populated`),
/// those first that others read.
Status RefreshMatviews(std::stop_token stop, pg::Connection& target,
                       const std::vector<std::string>& populated);

/// Names of the populated ones, in an order in which they can be refreshed.
Result<std::vector<std::string>> ReadPopulatedMatviews(std::stop_token stop, Deadline deadline,
                                                       pg::Connection& source);

/// What can be analyzed when all else is there: partition roots and materialized views, which need
/// other relations' rows, and tables with statistics objects, which come late.
Result<std::vector<std::string>> ReadToAnalyzeLast(std::stop_token stop, pg::Connection& target);

/// Statistics for each relation by its own statement: one unreachable foreign partition must not
/// cost the others theirs. Returns what failed as warnings.
Result<std::vector<std::string>> Analyze(std::stop_token stop, pg::Connection& target,
                                         const std::vector<std::string>& names);

/// True when a statement failed because a name was not found, which may be the empty search path's
/// doing.
bool FailedByName(const Error& error);

/// The path that most tenants' functions were written under.
inline constexpr char kUsualSearchPath[] = "SET search_path TO \"$user\", public";
inline constexpr char kEmptySearchPath[] = "SET search_path TO ''";

}  // namespace cutover::mover
