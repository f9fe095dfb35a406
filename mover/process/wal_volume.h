// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// How much write-ahead log a server has written: by us and by whoever else works there. Nothing
/// where it cannot be asked: by a role that may not, or of a standby.
using WalPosition = std::optional<std::string>;

Result<WalPosition> ReadWalPosition(std::stop_token stop, Deadline deadline,
                                    pg::Connection& connection);

/// Bytes that the server has written since `begin`, which it said before. Nothing where it has not
/// come so far: it is another one by now.
Result<std::optional<int64_t>> WalBytesSince(std::stop_token stop, Deadline deadline,
                                             pg::Connection& connection, const WalPosition& begin);

}  // namespace cutover::mover
