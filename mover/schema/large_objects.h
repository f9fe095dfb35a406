// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>

#include "mover/copy/digest.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// One large object apart from its content.
struct LargeObject {
  std::string owner;
  std::string comment;
  /// "PUBLIC" or "=role", the privilege, "t" when grantable; separated by tabs, one a line.
  std::string grants;
  bool default_acl = true;
  std::string content_sha256;  ///< Only where contents were read.

  bool operator==(const LargeObject&) const = default;
};
using LargeObjects = std::map<uint32_t, LargeObject>;

/// All large objects with the hash of their contents, read in pieces of 1 MiB.
Result<LargeObjects> ReadLargeObjects(std::stop_token stop, pg::Connection& connection,
                                      const std::function<void(int64_t bytes)>& on_bytes);

/// Copies them with OID, owner, grants and comment, some hundred to a transaction, and returns what
/// the source had. `target` has none. `source` is in a transaction under the run's snapshot.
Result<LargeObjects> CopyLargeObjects(std::stop_token stop, pg::Connection& source,
                                      pg::Connection& target,
                                      const std::function<void(int64_t bytes)>& on_bytes);

}  // namespace cutover::mover
