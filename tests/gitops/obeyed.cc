// SPDX-License-Identifier: Apache-2.0
#include "tests/gitops/obeyed.h"

#include "reconcilers/migration/decide.h"

namespace cutover {
namespace {

using migration::Guard;
using migration::Plan;

struct Command {
  const char* name;
  const char* annotation;
  Guard effect;
};
constexpr Command kCommands[] = {
    {"abort", api::kAbortAnnotation, Guard::kUndo},
    {"approve", api::kApproveAnnotation, Guard::kDoorsMayClose},
    {"retry", api::kRetryAnnotation, Guard::kRetryRequested},
    {"rollback", api::kRollbackAnnotation, Guard::kRollBack},
};

bool Obeys(const Command& command, api::TenantMigration migration,
           const migration::Observation& seen) {
  migration.meta.annotations[command.annotation] = "another";
  // There a rollback is kept until all users are in.
  if (command.effect == Guard::kRollBack && migration.status.phase == api::Phase::kAdmitting)
    migration.status.phase = api::Phase::kHypercare;
  const Plan plan = Decide(migration, seen).plan;
  return plan.guard == command.effect || plan.reason == "AwaitingWayBack";
}

}  // namespace

std::vector<std::string> ObeyedCommands(const api::TenantMigration& migration,
                                        const migration::Observation& seen) {
  std::vector<std::string> obeyed;
  for (const Command& command : kCommands)
    if (Obeys(command, migration, seen)) obeyed.push_back(command.name);
  return obeyed;
}

}  // namespace cutover
