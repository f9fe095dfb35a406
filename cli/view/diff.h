// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/view/page.h"
#include "operator/base/json.h"

namespace cutover::cli {

/// One stretch of lines of one value that would be others.
struct Hunk {
  std::string place;  ///< ".data[\"odoo.conf\"]": the value, as jq would find it.
  size_t before_line = 0, after_line = 0;  ///< Of the first in each; counted from 1.
  std::vector<std::string> before, after;  ///< Empty: what is added, what is taken away.
  size_t uncompared = 0;  ///< So many lines from there on were too many; none of them is here.

  friend bool operator==(const Hunk&, const Hunk&) = default;
};

/// What would be different in one object, or why nobody knows.
struct ObjectDiff {
  std::string object;   ///< "ConfigMap odoo-conf"
  std::string when;     ///< "while users are stopped"
  std::string unknown;  ///< Why not, or empty.
  std::vector<Hunk> hunks;
};

/// What is different in `after`, value by value and line by line, in the order of the objects. A
/// Secret's values are never shown, and those of others neither whose name or whose setting's name
/// says that they are secret. resourceVersions do not count. Pure.
std::vector<Hunk> HunksBetween(const Json& before, const Json& after, bool is_secret);

/// As a unified diff without lines around what changes: a file that is edited has more in it than
/// everybody should see. Lines are not broken, so that programs can read it. Pure.
void RenderDiff(const ObjectDiff& diff, size_t indent, Page& page);

}  // namespace cutover::cli
