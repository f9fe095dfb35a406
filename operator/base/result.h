// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <source_location>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace cutover {

/// What the caller may do about an error. The difference decides over data, so it is in the type.
enum class Disposition {
  kRetry,     ///< Nothing happened; the same call may succeed later.
  kTerminal,  ///< Nothing happened, and the same call will fail again until somebody changes
              ///< something.
  kInDoubt,   ///< It may have happened (connection lost in COMMIT, PATCH timed out): look, never
              ///< repeat blindly.
};

/// An error that a person can act on. `reason` is a Kubernetes Condition reason (CamelCase);
/// `message` says what to do next and is the same at every retry, so that a status does not flap.
struct Error {
  Disposition disposition = Disposition::kRetry;
  std::string reason;
  std::string message;
  std::source_location where = std::source_location::current();
};

/// A value or an Error. Ignoring one is a compile error.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

using Status = Result<void>;

tl::unexpected<Error> RetryError(std::string reason, std::string message,
                                 std::source_location where = std::source_location::current());
tl::unexpected<Error> TerminalError(std::string reason, std::string message,
                                    std::source_location where = std::source_location::current());
tl::unexpected<Error> InDoubtError(std::string reason, std::string message,
                                   std::source_location where = std::source_location::current());

/// The same error with "`prefix`: " before its message. Disposition and reason stay.
Error WithContext(Error error, std::string_view prefix);

std::string_view Name(Disposition disposition);

/// Success, where a function returns Status.
inline Status Ok() { return {}; }

}  // namespace cutover

#define CUTOVER_CONCAT_INNER(a, b) a##b
#define CUTOVER_CONCAT(a, b) CUTOVER_CONCAT_INNER(a, b)

/// Returns the error of `expr` to the caller, or goes on.
#define TRY(expr)                                                                                 \
  do {                                                                                            \
    auto&& cutover_try_result = (expr);                                                           \
    if (!cutover_try_result) return ::tl::make_unexpected(std::move(cutover_try_result).error()); \
  } while (false)

/// `TRY_ASSIGN(auto rows, Query(...))`: declares and assigns, or returns the error to the caller.
#define TRY_ASSIGN(decl, expr) \
  TRY_ASSIGN_INNER(CUTOVER_CONCAT(cutover_result_, __LINE__), decl, expr)
#define TRY_ASSIGN_INNER(name, decl, expr)                          \
  auto name = (expr);                                               \
  if (!name) return ::tl::make_unexpected(std::move(name).error()); \
  decl = std::move(*name)
