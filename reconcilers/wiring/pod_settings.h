// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "operator/base/json.h"

namespace cutover::wiring {

/// Metadata of a pod that we make, with these labels of ours. It asks service meshes to put no
/// sidecar into it: that of a Job would live on when the work is done.
Json PodMetadata(const Json& own_labels);

}  // namespace cutover::wiring
