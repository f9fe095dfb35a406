// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "reconcilers/wiring/wiring.h"

/// Items that are texts in a ConfigMap or Secret: single keys, and files. Pure.
namespace cutover::wiring {

/// The keys that a Secret item names.
std::vector<std::string> KeysOf(const api::WiringSecret& secret);
Status EditSecret(const api::DatabasePlacement& placement, const api::WiringSecret& secret,
                  const Wanted& wanted, Json& object);
ItemObservation ObserveSecret(const api::DatabasePlacement& placement,
                              const api::WiringSecret& secret, const Json& object,
                              const Sides& sides);

Status EditFile(const api::DatabasePlacement& placement, const api::WiringFile& file,
                const Wanted& wanted, Json& object);
ItemObservation ObserveFile(const api::DatabasePlacement& placement, const api::WiringFile& file,
                            const Json& object, const Sides& sides);

/// One key as it is: {kind, name, key, encoding, value}; a null value where there is none.
Result<Json> RecordText(const ObjectName& name, const std::string& key, const Json& object);
/// The key as it was; of a file only the connection when somebody edited the rest meanwhile.
Status RestoreKey(const Json& entry, const ObjectName& name, Json& object);
Status RestoreFile(const Json& entry, const ObjectName& name, Json& object);

}  // namespace cutover::wiring
