// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/base/json.h"
#include "reconcilers/wiring/wiring.h"

namespace cutover::wiring {

/// One environment variable as a container will see it.
struct Variable {
  std::string name;
  std::optional<std::string> value;  ///< Nothing: it comes from where we cannot look.
  bool literal = false;              ///< Written in the container itself, so env wiring can set it.
  std::string origin_kind;           ///< "Secret" or "ConfigMap" when it comes from one.
  std::string origin_name;
  std::string origin_key;
};

/// All variables of a container: `envFrom` in its order, then `env`, of which the last wins.
/// `objects` holds the ConfigMaps and Secrets they come from, as far as they exist.
std::vector<Variable> VariablesOf(const Json& container, const Objects& objects);

}  // namespace cutover::wiring
