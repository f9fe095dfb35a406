// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "operator/api/database_placement.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "reconcilers/wiring/wiring.h"

/// Secret, file and env items: what each does to the object it lives in. Pure.
namespace cutover::wiring {

/// Makes the items that live in `object` say `wanted`.
Status EditItems(const api::DatabasePlacement& placement, const ObjectName& name,
                 const Wanted& wanted, Json& object);

/// Brings the items that live in `object` back to what `record` (of RecordObjects) says.
Status RestoreItems(const Json& record, const ObjectName& name, Json& object);

/// The objects that a record speaks of.
std::vector<ObjectName> RecordedObjects(const Json& record);

}  // namespace cutover::wiring
