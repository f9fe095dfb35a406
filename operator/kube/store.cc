// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/store.h"

namespace cutover::kube {

void StripManagedFields(Json& object) {
  if (!object["metadata"].Contains("managedFields")) return;
  object.MutableAt("metadata").Remove("managedFields");
}

}  // namespace cutover::kube
