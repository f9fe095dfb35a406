// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "operator/api/tenant_migration.h"

namespace cutover::migration {

/// What a person is told of a command that was answered, in an event.
struct Answer {
  std::string action;  ///< "Abort"
  std::string note;    ///< What the command led to, or that there was nothing for it to do.
};

/// The commands that were answered between the two, of which `after` follows `before`. Pure.
std::vector<Answer> AnswersOf(const api::TenantMigration& before,
                              const api::TenantMigration& after);

}  // namespace cutover::migration
