// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "operator/kube/error.h"

namespace cutover::cli {
namespace {

constexpr kube::Resource kSelfSubjectReview{"authentication.k8s.io", "v1", "selfsubjectreviews",
                                            "SelfSubjectReview", false};

size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

template <class T>
Lookup<T> Decoded(Result<std::optional<Json>> found, Result<T> (*decode)(const Json&)) {
  if (!found) return tl::make_unexpected(std::move(found).error());
  if (!*found) return std::optional<T>();
  TRY_ASSIGN(T decoded, decode(**found));
  return std::optional<T>(std::move(decoded));
}

Result<OperatorLease> DecodeLease(const Json& object) {
  const Json& spec = object["spec"];
  OperatorLease lease;
  lease.holder = spec["holderIdentity"].AsString();
  lease.renewed_at = ParseTime(spec["renewTime"].AsString());
  lease.duration = std::chrono::seconds(spec["leaseDurationSeconds"].AsInt(15));
  return lease;
}

}  // namespace

Cluster::Cluster(ClusterFlags flags, kube::Connection connection,
                 std::unique_ptr<kube::ApiClient> client)
    : flags_(std::move(flags)),
      ns_(flags_.ns.empty() ? connection.ns : flags_.ns),
      url_(connection.transport.url),
      origin_(connection.origin),
      client_(std::move(client)) {}

Result<Cluster> Cluster::Connect(const ClusterFlags& flags) {
  TRY_ASSIGN(kube::Connection connection, kube::LoadConnection(flags.choice));
  TRY_ASSIGN(auto client, kube::MakeApiClient(connection));
  return Cluster(flags, std::move(connection), std::move(client));
}

Error Cluster::Explain(Error error, std::string_view verb, const kube::Resource& resource,
                       const std::string& ns) const {
  const std::string what = std::string(resource.plural) +
                           (resource.group.empty() ? "" : "." + std::string(resource.group));
  if (kube::IsUnreachable(error) || kube::IsTimeout(error))
    error.message = "the API server " + url_ + " (from " + origin_ +
                    ") cannot be reached: " + error.message +
                    "; is it up, and is this the right --context?";
  else if (kube::IsUnauthorized(error))
    error.message = "the API server " + url_ + " does not accept the credentials from " + origin_ +
                    ": log in again";
  else if (kube::IsForbidden(error))
    error.message += "; ask for a Role" + std::string(ns.empty() ? " for the whole cluster" : "") +
                     " with: apiGroups [\"" + std::string(resource.group) + "\"], resources [" +
                     std::string(resource.plural) + "], verbs [" + std::string(verb) + "]";
  else if (kube::IsNotFound(error) && resource.group == "cutover.dev")
    error.message = "this cluster does not know " + what +
                    ": the CRDs of Cutover are not installed; install the chart (helm install "
                    "cutover charts/cutover -n cutover-system --create-namespace), or choose "
                    "another cluster with --context";
  return error;
}

Result<std::optional<Json>> Cluster::Find(const kube::Resource& resource,
                                          const kube::Key& key) const {
  auto found = client_->Get({}, Soon(), resource, key);
  if (!found)
    return tl::make_unexpected(Explain(std::move(found).error(), "get", resource, key.ns));
  return found;
}

Result<std::vector<Json>> Cluster::List(const kube::Resource& resource, const std::string& ns,
                                        const std::string& label_selector) const {
  kube::ListOptions options;
  options.ns = ns;
  options.label_selector = label_selector;
  auto list = client_->List({}, Soon(), resource, options);
  if (!list) return tl::make_unexpected(Explain(std::move(list).error(), "list", resource, ns));
  return std::move(list->items);
}

Result<Json> Cluster::Get(const kube::Resource& resource, const std::string& name) const {
  TRY_ASSIGN(auto found, Find(resource, {resource.namespaced ? ns_ : "", name}));
  if (!found) return tl::make_unexpected(NoSuch(resource, name));
  return std::move(*found);
}

Error Cluster::NoSuch(const kube::Resource& resource, const std::string& name) const {
  const std::string where = resource.namespaced ? " in namespace " + ns_ : "";
  std::string message = "there is no " + std::string(resource.kind) + " " + name + where;
  auto all = List(resource, resource.namespaced ? ns_ : "");
  if (!all)
    return kube::IsNotFound(all.error()) ? all.error()
                                         : Error{Disposition::kTerminal, "NotFound", message};
  std::vector<std::string> names;
  for (const Json& item : *all) names.push_back(item.At({"metadata", "name"}).AsString());
  const std::vector<std::string> near = NearNames(name, names);
  if (names.empty()) {
    message += ", which has none at all: name another with -n";
    if (resource == kube::kTenantMigration)
      message += ", or look at all with: kubectl cutover status -A";
  } else {
    message += near.empty() ? "; there are: " : "; did you mean: ";
    const auto& shown = near.empty() ? names : near;
    for (size_t i = 0; i < std::min<size_t>(shown.size(), 5); ++i)
      message += (i > 0 ? ", " : "") + shown[i];
    if (near.empty() && shown.size() > 5)
      message += " and " + std::to_string(shown.size() - 5) + " more";
  }
  return {Disposition::kTerminal, "NotFound", message};
}

Result<Json> Cluster::Patch(const kube::Resource& resource, const std::string& name,
                            const Json& merge_patch) const {
  kube::PatchOptions options;
  options.field_manager = "kubectl-cutover";
  auto patched = client_->Patch({}, Soon(), resource, {ns_, name}, merge_patch, options);
  if (patched || kube::IsConflict(patched.error())) return patched;
  return tl::make_unexpected(Explain(std::move(patched).error(), "patch", resource, ns_));
}

Result<Snapshot> Cluster::Look(const std::string& name) const {
  TRY_ASSIGN(const Json object, Get(kube::kTenantMigration, name));
  Snapshot seen;
  seen.migration = ViewOf(object);
  auto server = [&](const std::string& server_name) -> Lookup<api::DatabaseServer> {
    if (server_name.empty()) return std::optional<api::DatabaseServer>();
    return Decoded(client_->Get({}, Soon(), kube::kDatabaseServer, {"", server_name}),
                   api::DecodeDatabaseServer);
  };
  seen.placement = Decoded(
      client_->Get({}, Soon(), kube::kDatabasePlacement, {ns_, seen.migration.placement_name}),
      api::DecodeDatabasePlacement);
  seen.source = server(seen.migration.source_server_name);
  seen.target = server(seen.migration.target_server_name);
  seen.lease = Decoded(
      client_->Get({}, Soon(), kube::kLease, {flags_.operator_namespace, flags_.lease_name}),
      DecodeLease);
  // Last: whatever took long to read is then not older than it says.
  seen.now = RealClock().WallNow();
  return seen;
}

std::string Cluster::WhoAmI() const {
  const Json review = Json::Object(
      {{"apiVersion", kSelfSubjectReview.ApiVersion()}, {"kind", "SelfSubjectReview"}});
  auto answer = client_->Create({}, Soon(), kSelfSubjectReview, review);
  if (answer)
    if (std::string name = answer->At({"status", "userInfo", "username"}).AsString(); !name.empty())
      return name;
  const char* user = std::getenv("USER");
  return user && *user ? user : "somebody";
}

std::vector<std::string> NearNames(const std::string& name,
                                   const std::vector<std::string>& candidates) {
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(name, candidate);
    const bool part = !name.empty() && candidate.find(name) != std::string::npos;
    if (part || distance <= std::max<size_t>(2, name.size() / 3))
      near.emplace_back(distance, candidate);
  }
  std::sort(near.begin(), near.end());
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min<size_t>(near.size(), 3); ++i) names.push_back(near[i].second);
  return names;
}

}  // namespace cutover::cli
