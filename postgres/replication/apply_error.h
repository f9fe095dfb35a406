// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <string_view>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// Pure: the last thing that the log text says of the subscription called `name`, whose replication
/// origin is `origin` ("pg_16402"); empty when it says nothing. In the text format with any
/// log_line_prefix, and in English: elsewhere it finds nothing. DETAIL, which holds the tenant's
/// values, is never in it.
std::string FindApplyError(std::string_view log, std::string_view name, std::string_view origin);

/// The server's own words on why the subscription does not get on, from the end of its log, or
/// nothing; where to look, if our role may not read the log or the server keeps none in a file.
Result<std::string> ReadApplyError(const std::stop_token& stop, Deadline deadline,
                                   Connection& connection, const std::string& name,
                                   const std::string& subscription_oid);

}  // namespace cutover::pg
