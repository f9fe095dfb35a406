// SPDX-License-Identifier: Apache-2.0
#include "operator/self_test.h"

#include "operator/kube/http_transport.h"
#include "operator/kube/metadata.h"

namespace cutover {
namespace {

constexpr std::chrono::seconds kCallTimeout{10};
constexpr std::chrono::milliseconds kLook{250};

Deadline Soon() { return Deadline::After(kCallTimeout); }

Status CanBeRead(const std::stop_token& stop, kube::Client& client, const kube::Resource& resource,
                 const std::vector<std::string>& namespaces) {
  std::vector<std::string> places = namespaces;
  if (!resource.namespaced || places.empty()) places = {""};
  for (const std::string& ns : places) {
    auto page = client.GetPage(stop, Soon(), resource, {.ns = ns, .page_size = 1}, {});
    if (!page)
      return tl::make_unexpected(WithContext(
          std::move(page).error(), "is the CRD installed, and may this account list it?"));
  }
  return Ok();
}

Result<std::string> LastRenewal(const std::stop_token& stop, kube::Client& client,
                                const kube::Key& key) {
  TRY_ASSIGN(const auto lease, client.Get(stop, Soon(), kube::kLease, key));
  if (!lease || (*lease)["spec"]["holderIdentity"].StringRef().empty())
    return RetryError("NoLeader", "nobody holds it: does the operator's Deployment have a pod?");
  return (*lease)["spec"]["renewTime"].AsString();
}

Status IsRenewed(const std::stop_token& stop, kube::Client& client, const SelfTest& asked) {
  const kube::Key key{asked.namespace_name, asked.lease_name};
  TRY_ASSIGN(const std::string first, LastRenewal(stop, client, key));
  for (const Deadline deadline = Deadline::After(asked.patience); !deadline.Expired();) {
    SleepUntil(stop, Deadline::After(kLook));
    TRY_ASSIGN(const std::string renewal, LastRenewal(stop, client, key));
    if (renewal != first) return Ok();
  }
  return RetryError("NoLeader", "its holder no longer renews it: look at the operator's pods");
}

Status Answers(const std::stop_token& stop, const std::string& host, uint16_t port,
               const char* path, const char* text) {
  const std::string url = "http://" + host + ":" + std::to_string(port);
  TRY_ASSIGN(const auto transport, kube::MakeHttpTransport({.url = url}));
  kube::Request request;
  request.target = path;
  TRY_ASSIGN(const kube::Response response, transport->Call(stop, Soon(), request));
  if (response.status == 200 && response.body.find(text) != std::string::npos) return Ok();
  return RetryError("NotReady", url + path + " answers " + std::to_string(response.status) + ": " +
                                    response.body.substr(0, 500));
}

}  // namespace

Status RunSelfTest(std::stop_token stop, kube::Client& client, const SelfTest& asked,
                   std::ostream& out) {
  int failed = 0;
  const auto report = [&](const std::string& what, const Status& outcome) {
    failed += outcome ? 0 : 1;
    out << (outcome ? "ok      " : "FAILED  ") << what
        << (outcome ? "" : ": " + outcome.error().message) << std::endl;
  };
  for (const kube::Resource& resource :
       {kube::kDatabaseServer, kube::kDatabasePlacement, kube::kTenantMigration})
    report(std::string(resource.plural) + "." + std::string(resource.group) + " can be read",
           CanBeRead(stop, client, resource, asked.watch_namespaces));
  report("lease " + asked.namespace_name + "/" + asked.lease_name + " is renewed by its holder",
         IsRenewed(stop, client, asked));
  if (!asked.host.empty()) {
    report("the operator is ready", Answers(stop, asked.host, asked.health_port, "/readyz", ""));
    report("the operator serves metrics", Answers(stop, asked.host, asked.metrics_port, "/metrics",
                                                  "leader_election_master_status"));
  }
  if (failed == 0) return Ok();
  return TerminalError("SelfTestFailed", std::to_string(failed) + " of the above failed");
}

}  // namespace cutover
