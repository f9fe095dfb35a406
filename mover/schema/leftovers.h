// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// What a database holds beyond an empty one and schema cutover: "table public.orders", or empty.
/// One name is enough to say that it is not empty.
Result<std::string> FindForeignObject(std::stop_token stop, Deadline deadline,
                                      pg::Connection& connection);

/// Drops everything but schema cutover, so that a clone that was interrupted can start again. Only
/// for a database whose control row or ledger says that it is ours. Drops in portions, since one
/// transaction that drops thousands of tables needs more locks than servers have. Safe to repeat.
/// Terminal "TargetNotEmpty" names what could not be dropped.
Status DropLeftovers(std::stop_token stop, pg::Connection& target);

/// Drops what a worker that died may have built on rows that stay: indexes, keys, foreign keys; and
/// large objects. The ledger speaks of rows only, so the worker that goes on makes all this again.
Status DropBuilt(std::stop_token stop, pg::Connection& target);

}  // namespace cutover::mover
