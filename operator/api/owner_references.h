// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "operator/api/meta.h"
#include "operator/base/json.h"

namespace cutover::api {

/// metadata.ownerReferences of what goes with one of our own objects. Without blockOwnerDeletion,
/// which would take a right on the owner's finalizers (OwnerReferencesPermissionEnforcement).
inline Json OwnerReferences(std::string_view kind, const ObjectMeta& owner) {
  return Json::Array({Json::Object({{"apiVersion", kApiVersion},
                                    {"kind", kind},
                                    {"name", owner.name},
                                    {"uid", owner.uid},
                                    {"controller", true}})});
}

}  // namespace cutover::api
