// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "operator/base/result.h"

namespace cutover::pg {

/// What PostgreSQL said when it refused. Field names follow the protocol's.
struct ServerError {
  std::string sqlstate;  ///< Five characters; empty when the server did not speak at all.
  std::string message;   ///< The server's own words, one line.
  std::string hint;
  std::string schema;  ///< The object at fault, as far as the server names it.
  std::string table;
  std::string column;
  std::string constraint;
};

/// How one SQLSTATE, or a class of them, is to be treated.
struct SqlstateRule {
  std::string_view prefix;  ///< A whole SQLSTATE, or its two-character class. The longest wins.
  Disposition disposition;
  std::string_view reason;
};

/// The rule for `sqlstate`. Anything unknown is terminal with reason "ServerError": repeating a
/// statement for an unknown reason is how copies go wrong.
const SqlstateRule& RuleFor(std::string_view sqlstate);

/// An Error that carries the rule's disposition and reason, the object, the server's words and the
/// SQLSTATE. Neither the statement nor DETAIL is in it: the first may hold a secret, the second
/// holds a tenant's data and changes with every retry.
Error ErrorFrom(const ServerError& said, std::string_view doing = "");

}  // namespace cutover::pg
