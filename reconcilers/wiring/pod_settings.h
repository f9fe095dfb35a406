// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "operator/base/json.h"
#include "operator/base/result.h"

namespace cutover::wiring {

/// What whoever runs the operator wants of the pods that it makes, which are those of Jobs and of
/// maintenance pages: the chart's values `jobs`.
struct PodSettings {
  Json labels = Json::Object();          ///< Over our defaults; never over what we find a pod by.
  Json annotations = Json::Object();     ///< Over our defaults.
  Json resources = Json::Object();       ///< Of the mover's container; empty: none.
  Json page_resources = Json::Object();  ///< Of the maintenance page's; empty: our own.
  Json tolerations = Json::Array();
  Json node_selector = Json::Object();
  std::string priority_class_name{};
};

/// From {"podLabels", "podAnnotations", "resources", "pageResources", "tolerations",
/// "nodeSelector", "priorityClassName"}, none of which need be there. Terminal error
/// "InvalidPodSettings" with what is wrong.
Result<PodSettings> DecodePodSettings(std::string_view json);

/// Metadata of a pod that we make. It asks service meshes to put no sidecar into it: that of a Job
/// would live on when the work is done.
Json PodMetadata(const PodSettings& settings, const Json& own_labels,
                 const Json& default_annotations = Json::Object());

/// Where the pod may run, and before whom.
void Schedule(const PodSettings& settings, Json& pod_spec);

}  // namespace cutover::wiring
