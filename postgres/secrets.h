// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// For the rest of `transaction` its statements stay out of the server's log and out of
/// pg_stat_statements' texts, as far as our role may say so: for statements that hold a password or
/// its verifier.
Status KeepOutOfLogs(std::stop_token stop, Deadline deadline, Transaction& transaction);

/// "SCRAM-SHA-256$…": what PASSWORD takes in place of the password itself, with a new salt at each
/// call. Every supported server knows such a login, whatever its password_encryption says.
std::string ScramVerifier(const std::string& password);

}  // namespace cutover::pg
