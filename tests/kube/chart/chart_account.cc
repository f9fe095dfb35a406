// SPDX-License-Identifier: Apache-2.0
#include "tests/kube/chart/chart_account.h"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "operator/base/check.h"
#include "operator/base/random.h"
#include "operator/kube/kubeconfig.h"
#include "operator/kube/metadata.h"

namespace cutover::testing {
namespace {

constexpr kube::Resource kRole{"rbac.authorization.k8s.io", "v1", "roles", "Role"};
constexpr kube::Resource kClusterRole{"rbac.authorization.k8s.io", "v1", "clusterroles",
                                      "ClusterRole", false};
constexpr kube::Resource kClusterRoleBinding{"rbac.authorization.k8s.io", "v1",
                                             "clusterrolebindings", "ClusterRoleBinding", false};
constexpr kube::Resource kSubjectAccessReview{"authorization.k8s.io", "v1", "subjectaccessreviews",
                                              "SubjectAccessReview", false};

Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }

// The last line that a shell command prints.
std::string LastLineOf(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  CHECK(pipe != nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  while (size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
    output.append(buffer.data(), count);
  if (pclose(pipe) != 0) std::cerr << command << "\n" << output << "\n";
  if (output.ends_with('\n')) output.pop_back();
  return output.substr(output.rfind('\n') + 1);
}

// Applies the chart's RBAC and prints a token of its account.
std::string InstallCommand(const std::string& kubeconfig, const std::string& name,
                           const std::string& ns, const std::string& values) {
  return "set -e; PATH=$(hack/cluster binaries kubectl helm):$PATH; export KUBECONFIG='" +
         kubeconfig + "' HELM_CACHE_HOME=/tmp/cutover-helm-cache; helm template " + name +
         " charts/cutover --kube-version 1.34.4 --namespace " + ns + " " + values +
         " --show-only templates/rbac.yaml --show-only templates/serviceaccount.yaml |"
         " kubectl apply --filename - && kubectl create token " +
         name + " --namespace " + ns;
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

std::string VerbOf(kube::Method method, bool is_named, const std::string& query) {
  switch (method) {
    case kube::Method::kPost:
      return "create";
    case kube::Method::kPut:
      return "update";
    case kube::Method::kPatch:
      return "patch";
    case kube::Method::kDelete:
      return is_named ? "delete" : "deletecollection";
    case kube::Method::kGet:
      break;
  }
  if (query.find("watch=") != std::string::npos) return "watch";
  return is_named ? "get" : "list";
}

}  // namespace

std::string Right::ToString() const {
  return verb + " " + (group.empty() ? "" : group + "/") + resource;
}

AskedRight RightOf(kube::Method method, const std::string& target) {
  const size_t mark = std::min(target.find('?'), target.size());
  const std::vector<std::string> path = Split(target.substr(0, mark), '/');
  CHECK(path.size() >= 3 && (path[0] == "api" || path[0] == "apis"));
  size_t at = path[0] == "api" ? 2 : 3;  // After /api/v1 or /apis/GROUP/VERSION.
  AskedRight asked;
  asked.right.group = path[0] == "api" ? "" : path[1];
  if (path.size() > at + 2 && path[at] == "namespaces") {
    asked.ns = path[at + 1];
    at += 2;
  }
  asked.right.resource = path.at(at);
  const bool is_named = path.size() > at + 1;
  if (is_named) asked.name = path[at + 1];
  // A namespace counts as an object within itself.
  if (asked.right.resource == "namespaces") asked.ns = asked.name;
  if (path.size() > at + 2) asked.right.resource += "/" + path[at + 2];
  asked.right.verb = VerbOf(method, is_named, target.substr(mark));
  return asked;
}

std::vector<Right> ChartRole::Rights() const {
  std::vector<Right> rights;
  for (const Json& rule : object["rules"].Items())
    for (const Json& group : rule["apiGroups"].Items())
      for (const Json& what : rule["resources"].Items())
        for (const Json& verb : rule["verbs"].Items())
          rights.push_back({group.AsString(), what.AsString(), verb.AsString()});
  return rights;
}

Json ChartRole::With(const std::vector<Right>& rights) const {
  Json rules = Json::Array();
  for (const Right& right : rights) {
    Json rule = Json::Object();
    for (const auto& [field, value] : {std::pair{"apiGroups", right.group},
                                       {"resources", right.resource},
                                       {"verbs", right.verb}})
      rule.Set(field, Json::Array({Json(value)}));
    rules.Append(std::move(rule));
  }
  Json role = object;
  role.Set("rules", std::move(rules));
  role.MutableAt("metadata").Remove("resourceVersion");
  return role;
}

ChartAccount::ChartAccount(kube::Client& admin, const std::string& admin_kubeconfig,
                           const std::string& release_namespace, const std::string& values)
    : admin_(admin), namespace_(release_namespace), name_("account-" + RandomHex(4)) {
  token_ = LastLineOf(InstallCommand(admin_kubeconfig, name_, namespace_, values));
  CHECK(token_.starts_with("ey"));  // A JSON Web Token.
  auto connection = kube::LoadConnection(admin_kubeconfig);
  CHECK(connection.has_value());
  const auto directory = std::filesystem::temp_directory_path();
  const std::string authority = directory / (name_ + ".crt");
  kubeconfig_ = directory / (name_ + ".kubeconfig");
  std::ofstream(authority) << connection->transport.ca_pem;
  std::ofstream(kubeconfig_) << "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
                                "contexts:\n- name: test\n  context: {cluster: test, user: test}\n"
                                "clusters:\n- name: test\n  cluster: {server: '"
                             << connection->transport.url << "', certificate-authority: '"
                             << authority << "'}\nusers:\n- name: test\n  user: {token: " << token_
                             << "}\n";
}

ChartAccount::~ChartAccount() {
  kube::ListOptions mine;
  mine.label_selector = "app.kubernetes.io/instance=" + name_;
  for (const kube::Resource& resource : {kClusterRoleBinding, kClusterRole}) {
    auto list = admin_.List({}, Soon(), resource, mine);
    if (!list) continue;
    for (const Json& object : list->items)
      (void)admin_.Delete({}, Soon(), resource, kube::KeyOf(object));
  }
  std::error_code ignored;
  std::filesystem::remove(kubeconfig_, ignored);
  std::filesystem::remove(std::filesystem::path(kubeconfig_).replace_extension("crt"), ignored);
}

std::vector<ChartRole> ChartAccount::Roles() {
  std::vector<ChartRole> roles;
  kube::ListOptions mine;
  mine.label_selector = "app.kubernetes.io/instance=" + name_;
  for (const kube::Resource& resource : {kClusterRole, kRole}) {
    auto list = admin_.List({}, Soon(), resource, mine);
    CHECK(list.has_value());
    for (const Json& object : list->items) roles.push_back({resource, kube::KeyOf(object), object});
  }
  return roles;
}

bool ChartAccount::May(const AskedRight& asked) {
  const std::vector<std::string> parts = Split(asked.right.resource, '/');
  Json attributes = Json::Object({{"group", asked.right.group},
                                  {"resource", parts[0]},
                                  {"verb", asked.right.verb},
                                  {"namespace", asked.ns},
                                  {"name", asked.name}});
  if (parts.size() > 1) attributes.Set("subresource", parts[1]);
  const Json groups =
      Json::Array({"system:serviceaccounts", "system:serviceaccounts:" + namespace_});
  Json review = Json::Object(
      {{"apiVersion", kSubjectAccessReview.ApiVersion()}, {"kind", kSubjectAccessReview.kind}});
  review.Set("spec", Json::Object({{"user", "system:serviceaccount:" + namespace_ + ":" + name_},
                                   {"groups", groups},
                                   {"resourceAttributes", attributes}}));
  auto answer = admin_.Create({}, Soon(), kSubjectAccessReview, review);
  CHECK(answer.has_value());
  return (*answer)["status"]["allowed"].AsBool();
}

}  // namespace cutover::testing
