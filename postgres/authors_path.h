// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <stop_token>
#include <string>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// What `ask` answers, a Result or a Status; where a name was not found, what it answers with the
/// path that its author most likely had, since our own is empty (PinnedSettings()): a function that
/// is called within an index, a domain or a view may rest on it. The session has its own path again
/// afterwards. Errors are those of `ask`. For outside of transactions.
template <class Ask>
auto WithAuthorsPath(std::stop_token stop, Deadline deadline, Connection& connection,
                     const Ask& ask) -> decltype(ask()) {
  auto answer = ask();
  if (answer || !connection.usable()) return answer;
  const std::string& reason = answer.error().reason;
  if (reason != "UndefinedObject" && reason != "InvalidStatement") return answer;
  TRY(connection.Exec(stop, deadline, "SET search_path = \"$user\", public"));
  answer = ask();
  // Also when it is time to end: whoever uses the session next counts on it.
  if (connection.usable())
    TRY(connection.Exec({}, Deadline::After(std::chrono::seconds(5)), "RESET search_path"));
  return answer;
}

}  // namespace cutover::pg
