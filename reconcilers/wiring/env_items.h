// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "operator/api/database_placement.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "reconcilers/wiring/wiring.h"

/// Items that are literal environment variables of a container. Pure.
namespace cutover::wiring {

Status EditEnv(const api::DatabasePlacement& placement, const api::WiringEnv& env,
               const Wanted& wanted, Json& object);
ItemObservation ObserveEnv(const api::DatabasePlacement& placement, const api::WiringEnv& env,
                           const Json& object, const Sides& sides);

/// The variables as they are: {kind, name, container, variables: {NAME: entry or null}}.
Result<Json> RecordEnv(const api::WiringEnv& env, const Json& object);
Status RestoreEnv(const Json& entry, const ObjectName& name, Json& object);

}  // namespace cutover::wiring
