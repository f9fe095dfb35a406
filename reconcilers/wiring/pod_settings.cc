// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/pod_settings.h"

#include <algorithm>

namespace cutover::wiring {
namespace {

bool AreStrings(const Json& value) {
  const auto& members = value.Members();
  return value.IsObject() && std::all_of(members.begin(), members.end(), [](const auto& member) {
           return member.second.IsString();
         });
}

bool AreObjects(const Json& value) {
  const auto& items = value.Items();
  return value.IsArray() &&
         std::all_of(items.begin(), items.end(), [](const Json& item) { return item.IsObject(); });
}

void Overlay(Json& object, const Json& over) {
  for (const auto& [name, value] : over.Members()) object.Set(name, value);
}

// False when there is no such setting, or when it is not of its kind.
bool Take(PodSettings& settings, const std::string& name, const Json& value) {
  auto take = [&value](Json& setting, bool is_right) {
    if (is_right) setting = value;
    return is_right;
  };
  if (name == "podLabels") return take(settings.labels, AreStrings(value));
  if (name == "podAnnotations") return take(settings.annotations, AreStrings(value));
  if (name == "resources") return take(settings.resources, value.IsObject());
  if (name == "pageResources") return take(settings.page_resources, value.IsObject());
  if (name == "tolerations") return take(settings.tolerations, AreObjects(value));
  if (name == "nodeSelector") return take(settings.node_selector, AreStrings(value));
  if (name != "priorityClassName" || !value.IsString()) return false;
  settings.priority_class_name = value.AsString();
  return true;
}

}  // namespace

Result<PodSettings> DecodePodSettings(std::string_view json) {
  TRY_ASSIGN(const Json object, Json::Parse(json));
  if (!object.IsObject())
    return TerminalError("InvalidPodSettings", "the chart's values jobs must be a JSON object");
  PodSettings settings;
  for (const auto& [name, value] : object.Members())
    if (!Take(settings, name, value))
      return TerminalError(
          "InvalidPodSettings",
          "\"" + name + "\" is none of the chart's values jobs, or has a value of another kind");
  return settings;
}

Json PodMetadata(const PodSettings& settings, const Json& own_labels,
                 const Json& default_annotations) {
  Json labels = Json::Object({{"sidecar.istio.io/inject", "false"}});
  Overlay(labels, settings.labels);
  Overlay(labels, own_labels);
  Json annotations = default_annotations;
  annotations.Set("linkerd.io/inject", "disabled");
  Overlay(annotations, settings.annotations);
  return Json::Object({{"labels", std::move(labels)}, {"annotations", std::move(annotations)}});
}

void Schedule(const PodSettings& settings, Json& pod_spec) {
  if (!settings.tolerations.Empty()) pod_spec.Set("tolerations", settings.tolerations);
  if (!settings.node_selector.Empty()) pod_spec.Set("nodeSelector", settings.node_selector);
  if (!settings.priority_class_name.empty())
    pod_spec.Set("priorityClassName", settings.priority_class_name);
}

}  // namespace cutover::wiring
