// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "cli/view/assessment.h"
#include "cli/view/snapshot.h"
#include "operator/base/json.h"

namespace cutover::cli {

/// "Good", "NotMoved", "AsksYou", "Trouble": what programs read.
std::string_view Name(Health health);

/// What the page of a status says, for programs: `kubectl cutover status NAME -o json`. Pure.
Json StatusDocument(const Snapshot& seen);

}  // namespace cutover::cli
