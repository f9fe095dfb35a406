// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/roles.h"

/// What the files of this folder have in common. Included by postgres/ only.
namespace cutover::pg {

/// From here on a membership has options of its own, and may be granted by several.
inline constexpr int kMajorOfMembershipOptions = 16;

/// The role of that name in `set`; null without one.
const Role* Named(const RoleSet& set, std::string_view name);

/// `source` without the powers that FindWithheld() finds in its roles.
RoleSet WithoutWithheld(RoleSet source, const RoleSet& target, std::string_view migration_uid);

/// ReadRoles(), within a transaction.
Result<RoleSet> ReadRolesWithin(const std::stop_token& stop, Deadline deadline,
                                Transaction& transaction, const std::vector<std::string>& names);

}  // namespace cutover::pg
