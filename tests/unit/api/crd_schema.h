// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "operator/base/json.h"

namespace cutover::api::testing {

/// The documents of a YAML file, its path relative to the repository. Throws when there is none.
std::vector<Json> LoadYaml(const std::string& path);

/// The CustomResourceDefinition of a plural name such as "tenantmigrations", from crds/.
Json LoadCrd(const std::string& plural);
/// Its openAPIV3Schema.
Json LoadSchema(const std::string& plural);

/// One scalar of an object: where it is, and the schema that speaks of it.
struct Leaf {
  std::vector<std::variant<std::string, size_t>> path;
  std::string schema_path;  ///< "spec.checks[].http.url"
  const Json* schema;
};

/// The scalars that `value` holds. Throws at one that the schema does not know.
std::vector<Leaf> Leaves(const Json& schema, const Json& value, const std::string& schema_path);
/// The paths of all scalars that the schema admits.
std::set<std::string> SchemaLeaves(const Json& schema, const std::string& schema_path);

/// The place of a leaf, for change.
Json& At(Json& root, const Leaf& leaf);
/// Removes the leaf's last member or item.
void RemoveAt(Json& root, const Leaf& leaf);

/// What is wrong with `value`, one line for each finding; empty when the schema admits it. Knows
/// what our schemas use: type, properties, required, enum, bounds, date-time. Not patterns, not
/// CEL: those are the API server's, and tests/kube asks it.
std::string Violations(const Json& schema, const Json& value, const std::string& path);

}  // namespace cutover::api::testing
