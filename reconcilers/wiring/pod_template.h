// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "operator/base/json.h"

namespace cutover::wiring {

/// The pod spec within a Deployment, StatefulSet or CronJob; null when there is none.
const Json& PodSpecOf(const Json& workload);
Json& MutablePodSpecOf(Json& workload);

/// All containers, those of initialisation first, in their order.
std::vector<const Json*> ContainersOf(const Json& workload);

/// The container of that name, or nullptr.
const Json* FindContainer(const Json& workload, std::string_view name);
Json* FindMutableContainer(Json& workload, std::string_view name);

/// The last entry of that name in a container's `env`, which is the one that counts, or nullptr.
const Json* FindVariable(const Json& container, std::string_view name);

}  // namespace cutover::wiring
