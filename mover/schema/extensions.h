// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// A function of an extension and how it is marked. Odoo tells people to mark unaccent(text) as
/// IMMUTABLE for an index; no dump carries that, since the function is the extension's.
struct ExtensionFunction {
  std::string signature;   ///< Qualified and quoted, with argument types.
  std::string volatility;  ///< "i", "s" or "v"

  auto operator<=>(const ExtensionFunction&) const = default;
};

struct Extension {
  std::string name;
  std::string schema;
  std::string version;
  std::string comment;
  std::vector<ExtensionFunction> functions;
};

/// In the order of their creation, which is an order of dependence.
Result<std::vector<Extension>> ReadExtensions(std::stop_token stop, Deadline deadline,
                                              pg::Connection& connection);

/// Makes the target's extensions those of `wanted`, as the role of `target` (the admin's): an
/// extension that only a superuser may create would fail in a restore as the tenant. Versions are
/// kept where the target has them; another version is a warning. Their schemas must exist.
/// Terminal "ExtensionMissing" names one that the target's server does not have.
Result<std::vector<std::string>> PrepareExtensions(std::stop_token stop, Deadline deadline,
                                                   pg::Connection& target,
                                                   const std::vector<Extension>& wanted);

}  // namespace cutover::mover
