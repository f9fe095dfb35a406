// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/pod_template.h"

namespace cutover::wiring {
namespace {

constexpr std::string_view kContainerLists[] = {"initContainers", "containers"};

}  // namespace

const Json& PodSpecOf(const Json& workload) {
  if (workload["kind"].StringRef() == "CronJob")
    return workload.At({"spec", "jobTemplate", "spec", "template", "spec"});
  return workload.At({"spec", "template", "spec"});
}

Json& MutablePodSpecOf(Json& workload) {
  Json* spec = &workload.MutableAt("spec");
  if (workload["kind"].StringRef() == "CronJob")
    spec = &spec->MutableAt("jobTemplate").MutableAt("spec");
  return spec->MutableAt("template").MutableAt("spec");
}

std::vector<const Json*> ContainersOf(const Json& workload) {
  std::vector<const Json*> containers;
  for (std::string_view list : kContainerLists)
    for (const Json& container : PodSpecOf(workload)[list].Items())
      containers.push_back(&container);
  return containers;
}

const Json* FindContainer(const Json& workload, std::string_view name) {
  for (const Json* container : ContainersOf(workload))
    if ((*container)["name"].StringRef() == name) return container;
  return nullptr;
}

Json* FindMutableContainer(Json& workload, std::string_view name) {
  Json& pod = MutablePodSpecOf(workload);
  for (std::string_view list : kContainerLists) {
    const size_t size = pod[list].Size();
    for (size_t i = 0; i < size; ++i) {
      Json& container = pod.MutableAt(list).MutableAt(i);
      if (container["name"].StringRef() == name) return &container;
    }
  }
  return nullptr;
}

const Json* FindVariable(const Json& container, std::string_view name) {
  const Json* found = nullptr;
  for (const Json& entry : container["env"].Items())
    if (entry["name"].StringRef() == name) found = &entry;
  return found;
}

}  // namespace cutover::wiring
