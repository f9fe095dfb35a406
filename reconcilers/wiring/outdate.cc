// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/outdate.h"

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "operator/base/check.h"
#include "operator/base/log.h"
#include "operator/kube/error.h"
#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/place.h"
#include "reconcilers/wiring/service.h"
#include "reconcilers/wiring/wiring.h"

namespace cutover::wiring {
namespace {

constexpr char kLabel[] = "cutover.dev/outdates-requests";

Json Labelled(const Json& object, const Json& value) {
  Json labelled = object;
  labelled.MutableAt("metadata").MutableAt("labels").Set(kLabel, value);
  return labelled;
}

// What was written, not what is read again, is what the label goes from: an API server that is
// behind would show the object without it.
Result<Json> GiveNewVersionTo(const std::stop_token& stop, Deadline deadline, kube::Client& client,
                              const kube::Resource& resource, const kube::Key& key, Json object) {
  const kube::PatchOptions options{.field_manager = kPuttingBack};
  for (const Json& value : {Json("true"), Json(nullptr)}) {  // Sets it, then takes it off.
    const auto patch = ConditionalPatch(object, Labelled(object, value));
    if (!patch) continue;  // Somebody has died in here.
    TRY_ASSIGN(object, client.Patch(stop, deadline, resource, key, *patch, options));
  }
  return object;
}

bool IsRefused(const Error& error) {
  return kube::IsForbidden(error) || error.disposition == Disposition::kTerminal;
}

Status GiveNewVersion(const std::stop_token& stop, Deadline deadline, kube::Client& client,
                      const kube::Resource& resource, const kube::Key& key) {
  Error last;
  for (int attempt = 0; attempt < kEditAttemptsMax; ++attempt) {
    TRY_ASSIGN(std::optional<Json> object, client.Get(stop, deadline, resource, key));
    if (!object) return Ok();
    Result<Json> given =
        GiveNewVersionTo(stop, deadline, client, resource, key, std::move(*object));
    if (given) return Ok();
    last = std::move(given).error();
    if (IsRefused(last)) {
      LogWarn("not given another version: a late request would be refused as well",
              {{"object", std::string(resource.kind) + " " + key.ToString()},
               {"message", last.message}});
      return Ok();
    }
    if (!kube::IsConflict(last) && last.disposition != Disposition::kInDoubt) break;
  }
  return tl::make_unexpected(WithContext(
      std::move(last),
      "giving another version to " + std::string(resource.kind) + " " + key.ToString()));
}

}  // namespace

Status OutdateRequests(std::stop_token stop, Deadline deadline, const Access& access,
                       const api::DatabasePlacement& placement, ObjectsOfAMove objects) {
  const std::string& ns = placement.meta.namespace_name;
  const api::Connection& connection = placement.spec.connection;
  std::set<ObjectName> names;  // A workload may be wired, too.
  if (objects.wiring)
    for (ObjectName& name : WiredObjects(connection)) names.insert(std::move(name));
  if (objects.doors)
    for (const auto* refs : {&placement.spec.workloads, &placement.spec.routes})
      for (const api::ObjectRef& ref : *refs) names.insert(NameOf(ref));
  for (const ObjectName& name : names) {
    const std::optional<kube::Resource> resource = ResourceOfKind(name.kind);
    CHECK(resource.has_value());  // The CRD admits no other kinds.
    TRY(GiveNewVersion(stop, deadline, access.client, *resource, {ns, name.name}));
  }
  if (!objects.wiring || connection.service_name.empty()) return Ok();
  for (const kube::Key& slice : SliceKeys(placement))
    TRY(GiveNewVersion(stop, deadline, access.client, kube::kEndpointSlice, slice));
  return Ok();
}

}  // namespace cutover::wiring
