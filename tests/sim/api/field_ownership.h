// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>

#include "operator/base/json.h"

namespace cutover::sim {

/// Who owns which fields of one object, as server-side apply keeps it in metadata.managedFields.
/// A path is its keys joined by a separator; an item of an associative list is one of its keys
/// ("name=page"), any other list is a single field.
class FieldOwnership {
 public:
  /// Applies `applied` over `live` by force and returns the result: its fields are so and are
  /// owned by `manager`; what `manager` applied before, leaves out now and nobody else owns goes.
  Json Apply(const std::string& manager, const Json& live, const Json& applied);

  /// Somebody wrote `after` over `before` by other means: what changed is now `manager`'s alone.
  void Update(const std::string& manager, const Json& before, const Json& after);

  /// Whether anybody has applied; as long as nobody has, nobody needs Update().
  bool empty() const { return fields_.empty(); }

 private:
  using Paths = std::set<std::string>;

  bool OwnedByOthers(const std::string& manager, const std::string& path) const;

  std::map<std::string, Paths> fields_;
};

}  // namespace cutover::sim
