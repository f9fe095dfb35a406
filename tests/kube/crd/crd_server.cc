// SPDX-License-Identifier: Apache-2.0
#include "tests/kube/crd/crd_server.h"

#include <chrono>
#include <thread>

#include "operator/base/check.h"
#include "operator/kube/http_transport.h"
#include "operator/kube/kubeconfig.h"
#include "tests/kube/api_server.h"
#include "tests/unit/api/crd_schema.h"

namespace cutover::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPatience{60};

bool IsServed(kube::Client& client, const Json& crd) {
  const Json& names = crd["spec"]["names"];
  const std::string plural = names["plural"].AsString(), kind = names["kind"].AsString();
  kube::Resource resource{"cutover.dev", "v1alpha1", plural, kind, false};
  return client.List({}, Deadline::After(kPatience), resource).has_value();
}

}  // namespace

void InstallCrds(kube::Client& client) {
  Deadline deadline = Deadline::After(kPatience);
  for (const char* plural : {"databaseservers", "databaseplacements", "tenantmigrations"}) {
    Json crd = api::testing::LoadCrd(plural);
    auto applied = client.Apply({}, deadline, kube::kCustomResourceDefinition, crd);
    if (!applied) std::fprintf(stderr, "%s\n", applied.error().message.c_str());
    CHECK(applied.has_value());
    while (!IsServed(client, crd)) {
      CHECK(!deadline.Expired());
      std::this_thread::sleep_for(milliseconds(50));
    }
  }
}

CrdServer::CrdServer() : client_(MakeClient()) {
  Result<kube::Connection> connection = kube::LoadConnection(SharedKubeconfig());
  CHECK(connection.has_value());
  auto transport = kube::MakeHttpTransport(connection->transport);
  CHECK(transport.has_value());
  transport_ = std::move(*transport);
  InstallCrds(*client_);
  namespace_name_ = MakeNamespace(*client_, "crd");
}

kube::Key CrdServer::KeyOf(const kube::Resource& resource, const std::string& name) const {
  return {resource.namespaced ? namespace_name_ : "", name};
}

Answer CrdServer::Call(kube::Request request) {
  auto response = transport_->Call({}, Deadline::After(kPatience), request);
  if (!response) std::fprintf(stderr, "%s\n", response.error().message.c_str());
  CHECK(response.has_value());
  auto body = Json::Parse(response->body);
  CHECK(body.has_value());
  return {response->status, std::move(*body)};
}

Answer CrdServer::Get(const std::string& target, const std::string& accept) {
  kube::Request request;
  request.target = target;
  request.headers = {{"Accept", accept}};
  return Call(std::move(request));
}

Answer CrdServer::Create(const kube::Resource& resource, const Json& object, bool dry_run) {
  Json placed = object;
  if (resource.namespaced) placed.MutableAt("metadata").Set("namespace", namespace_name_);
  kube::Request request;
  request.method = kube::Method::kPost;
  request.target = resource.CollectionPath(resource.namespaced ? namespace_name_ : "") +
                   "?fieldValidation=Strict" + (dry_run ? "&dryRun=All" : "");
  request.body = placed.Dump();
  request.content_type = "application/json";
  return Call(std::move(request));
}

Answer CrdServer::MergePatch(const kube::Resource& resource, const std::string& name,
                             const Json& patch, const std::string& subresource) {
  kube::Request request;
  request.method = kube::Method::kPatch;
  request.target =
      resource.ObjectPath(KeyOf(resource, name), subresource) + "?fieldValidation=Strict";
  request.body = patch.Dump();
  request.content_type = "application/merge-patch+json";
  return Call(std::move(request));
}

Answer CrdServer::Put(const kube::Resource& resource, const Json& object) {
  kube::Request request;
  request.method = kube::Method::kPut;
  request.target = resource.ObjectPath(KeyOf(resource, object.At({"metadata", "name"}).AsString()));
  request.body = object.Dump();
  request.content_type = "application/json";
  return Call(std::move(request));
}

void Merge(Json& object, const Json& patch) {
  for (const auto& [key, value] : patch.Members()) {
    if (value.IsNull())
      object.Remove(key);
    else if (value.IsObject() && object[key].IsObject())
      Merge(object.MutableAt(key), value);
    else
      object.Set(key, value);
  }
}

}  // namespace cutover::testing
