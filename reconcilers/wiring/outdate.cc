// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/outdate.h"

#include <set>
#include <string>

#include "operator/base/check.h"
#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/place.h"
#include "reconcilers/wiring/service.h"
#include "reconcilers/wiring/wiring.h"

namespace cutover::wiring {
namespace {

constexpr char kAnnotation[] = "cutover.dev/outdates-requests";

Status GiveNewVersion(const std::stop_token& stop, Deadline deadline, kube::Client& client,
                      const kube::Resource& resource, const kube::Key& key) {
  for (const Json& value : {Json("true"), Json()}) {
    const auto edit = [&value](Json& object) -> Status {
      Json& annotations = object.MutableAt("metadata").MutableAt("annotations");
      if (value.IsNull())
        annotations.Remove(kAnnotation);
      else
        annotations.Set(kAnnotation, value);
      return Ok();
    };
    TRY(EditObject(stop, deadline, client, resource, key, edit, kPuttingBack));
  }
  return Ok();
}

}  // namespace

Status OutdateRequests(std::stop_token stop, Deadline deadline, const Access& access,
                       const api::DatabasePlacement& placement, Outdated what) {
  const std::string& ns = placement.meta.namespace_name;
  const api::Connection& connection = placement.spec.connection;
  std::set<ObjectName> names;  // A workload may be wired, too.
  if (what.wiring)
    for (ObjectName& name : WiredObjects(connection)) names.insert(std::move(name));
  if (what.doors)
    for (const auto* refs : {&placement.spec.workloads, &placement.spec.routes})
      for (const api::ObjectRef& ref : *refs) names.insert(NameOf(ref));
  for (const ObjectName& name : names) {
    const std::optional<kube::Resource> resource = ResourceOfKind(name.kind);
    CHECK(resource.has_value());  // The CRD admits no other kinds.
    TRY(GiveNewVersion(stop, deadline, access.client, *resource, {ns, name.name}));
  }
  if (!what.wiring || connection.service_name.empty()) return Ok();
  for (const kube::Key& slice : SliceKeys(placement))
    TRY(GiveNewVersion(stop, deadline, access.client, kube::kEndpointSlice, slice));
  return Ok();
}

}  // namespace cutover::wiring
