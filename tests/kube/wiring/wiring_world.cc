// SPDX-License-Identifier: Apache-2.0
#include "tests/kube/wiring/wiring_world.h"

namespace cutover::wiring {

Result<std::vector<std::string>> TableResolver::Resolve(std::stop_token, Deadline,
                                                        const std::string& host) {
  auto found = names.find(host);
  if (found == names.end()) return RetryError("HostNotResolved", host);
  return found->second;
}

OnApiServer::OnApiServer() {
  placement_.meta.name = "tenant";
  placement_.meta.namespace_name = ns_;
  placement_.meta.uid = "00000000-0000-4000-8000-000000000001";
  placement_.spec.database_name = "tenant_db";
  placement_.spec.owner = "tenant";
}

Json OnApiServer::Create(const kube::Resource& resource, const std::string& json) {
  Result<Json> object = Json::Parse(json);
  EXPECT_TRUE(object) << object.error().message;
  object->Set("apiVersion", resource.ApiVersion());
  object->Set("kind", resource.kind);
  object->MutableAt("metadata").Set("namespace", ns_);
  Result<Json> created = client_->Create({}, Soon(), resource, *object);
  EXPECT_TRUE(created) << created.error().message;
  return *created;
}

Json OnApiServer::Stored(const kube::Resource& resource, const std::string& name) {
  auto object = client_->Get({}, Soon(), resource, {ns_, name});
  EXPECT_TRUE(object && *object) << resource.kind << " " << name;
  return **object;
}

bool OnApiServer::Exists(const kube::Resource& resource, const std::string& name) {
  auto object = client_->Get({}, Soon(), resource, {ns_, name});
  EXPECT_TRUE(object) << object.error().message;
  return object->has_value();
}

std::string OnApiServer::VersionOf(const kube::Resource& resource, const std::string& name) {
  return kube::ResourceVersionOf(Stored(resource, name));
}

void OnApiServer::Patch(const kube::Resource& resource, const std::string& name,
                        const std::string& json, const std::string& subresource) {
  kube::PatchOptions options;
  options.field_manager = "somebody-else";
  options.subresource = subresource;
  Result<Json> patch = Json::Parse(json);
  ASSERT_TRUE(patch) << patch.error().message;
  Result<Json> patched = client_->Patch({}, Soon(), resource, {ns_, name}, *patch, options);
  ASSERT_TRUE(patched) << patched.error().message;
}

std::string OnApiServer::Content(const kube::Resource& resource, const std::string& name) {
  const Json object = Stored(resource, name);
  return object["spec"].Dump() + object["data"].Dump() + object["endpoints"].Dump() +
         object["ports"].Dump();
}

}  // namespace cutover::wiring
