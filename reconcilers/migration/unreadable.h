// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "operator/base/clock.h"
#include "operator/base/json.h"
#include "operator/base/result.h"

namespace cutover::migration {

/// The status that tells the author of a TenantMigration that this version cannot read it, and why:
/// conditions Ready and Stalled with the decoder's reason and message. That is most often one that
/// was written for a newer CRD than the operator's; acting on the part that is understood would be
/// another move than the one asked for.
///
/// All else in the object's status but reasonSince stays as it is. Nothing when it says so already.
std::optional<Json> UnreadableStatus(const Json& object, const Error& why, WallTime now);

}  // namespace cutover::migration
