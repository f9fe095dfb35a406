// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string_view>
#include <utility>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// For Transaction::Options. The server ends the session when its client says nothing for so long
/// in the middle of a transaction: as long as the operator's lease lasts, so that a leader that was
/// frozen until another had taken over finds its transaction gone, and can neither commit it into
/// what its successor does, nor keep locks from him.
inline constexpr std::string_view kEndIfSilent = "idle_in_transaction_session_timeout = '15s'";

/// A transaction with that. Every one of the operator's that changes something has it; those of
/// WithEpoch() do.
inline Result<Transaction> BeginEndedIfSilent(std::stop_token stop, Deadline deadline,
                                              Connection& connection) {
  Transaction::Options options;
  options.settings = {kEndIfSilent};
  return Transaction::Begin(std::move(stop), deadline, connection, std::move(options));
}

}  // namespace cutover::pg
