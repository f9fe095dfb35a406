// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/pod_settings.h"

namespace cutover::wiring {

Json PodMetadata(const Json& own_labels) {
  Json labels = Json::Object({{"sidecar.istio.io/inject", "false"}});
  for (const auto& [name, value] : own_labels.Members()) labels.Set(name, value);
  return Json::Object({{"labels", std::move(labels)},
                       {"annotations", Json::Object({{"linkerd.io/inject", "disabled"}})}});
}

}  // namespace cutover::wiring
