// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/copy/digest.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/access.h"
#include "postgres/connection.h"
#include "postgres/database.h"

namespace cutover::mover {

/// One large object apart from its content.
struct LargeObject {
  std::string owner;
  std::string comment;
  bool default_acl = true;          ///< `grants` is what goes without saying, and not listed.
  std::vector<pg::AclItem> grants;  ///< Sorted; the grantor is always the owner, and left empty.
  std::vector<pg::SecurityLabel> labels;
  std::string content_sha256;  ///< Only where contents were read.

  bool operator==(const LargeObject&) const = default;
};
using LargeObjects = std::map<uint32_t, LargeObject>;

/// All large objects with the hash of their contents, read in pieces of 1 MiB.
Result<LargeObjects> ReadLargeObjects(std::stop_token stop, pg::Connection& connection,
                                      const std::function<void(int64_t bytes)>& on_bytes);

/// "SELECT to bob with grant option", one after the other, for people.
std::string DescribeGrants(const LargeObject& object);

/// Copies them with OID, owner, grants, comment and security labels, some hundred to a transaction,
/// and returns what the source had, with roles named as on the target (`role_names`: source →
/// target). `target` has none. `source` is in a transaction under the run's snapshot.
Result<LargeObjects> CopyLargeObjects(std::stop_token stop, pg::Connection& source,
                                      pg::Connection& target,
                                      const std::function<void(int64_t bytes)>& on_bytes,
                                      const std::map<std::string, std::string>& role_names = {});

}  // namespace cutover::mover
