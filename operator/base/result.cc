// SPDX-License-Identifier: Apache-2.0
#include "operator/base/result.h"

namespace cutover {

tl::unexpected<Error> RetryError(std::string reason, std::string message,
                                 std::source_location where) {
  return tl::unexpected<Error>(
      Error{Disposition::kRetry, std::move(reason), std::move(message), where});
}

tl::unexpected<Error> TerminalError(std::string reason, std::string message,
                                    std::source_location where) {
  return tl::unexpected<Error>(
      Error{Disposition::kTerminal, std::move(reason), std::move(message), where});
}

tl::unexpected<Error> InDoubtError(std::string reason, std::string message,
                                   std::source_location where) {
  return tl::unexpected<Error>(
      Error{Disposition::kInDoubt, std::move(reason), std::move(message), where});
}

Error WithContext(Error error, std::string_view prefix) {
  error.message = std::string(prefix) + ": " + error.message;
  return error;
}

std::string_view Name(Disposition disposition) {
  switch (disposition) {
    case Disposition::kRetry:
      return "retry";
    case Disposition::kTerminal:
      return "terminal";
    case Disposition::kInDoubt:
      return "in doubt";
  }
  return "unknown";
}

}  // namespace cutover
