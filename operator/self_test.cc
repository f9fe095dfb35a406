// SPDX-License-Identifier: Apache-2.0
#include "operator/self_test.h"

#include "operator/kube/http_transport.h"
#include "operator/kube/metadata.h"
#include "operator/telemetry/scrape_access.h"

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

// Empty when nobody holds the lease.
Result<std::string> LastRenewal(const std::stop_token& stop, kube::Client& client,
                                const kube::Key& key) {
  TRY_ASSIGN(const auto lease, client.Get(stop, Soon(), kube::kLease, key));
  if (!lease || (*lease)["spec"]["holderIdentity"].StringRef().empty()) return std::string();
  return (*lease)["spec"]["renewTime"].AsString();
}

Status IsRenewed(const std::stop_token& stop, kube::Client& client, const SelfTest& asked) {
  const kube::Key key{asked.namespace_name, asked.lease_name};
  TRY_ASSIGN(const std::string first, LastRenewal(stop, client, key));
  std::string last = first;
  for (const Deadline deadline = Deadline::After(asked.patience); !deadline.Expired();) {
    SleepUntil(stop, Deadline::After(kLook));
    TRY_ASSIGN(last, LastRenewal(stop, client, key));
    if (!last.empty() && last != first) return Ok();
  }
  if (last.empty())
    return RetryError("NoLeader", "nobody holds it: does the operator's Deployment have a pod?");
  return RetryError("NoLeader", "its holder no longer renews it: look at the operator's pods");
}

// What is to be had where, and how it is to look.
struct Page {
  std::string url;
  const char* path;
  int status;
  const char* text;
};

Status Answers(const std::stop_token& stop, const Page& page) {
  // Nothing secret is shown or learnt here, so it does not matter who signed the certificate.
  TRY_ASSIGN(const auto transport,
             kube::MakeHttpTransport({.url = page.url, .insecure_skip_tls_verify = true}));
  kube::Request request;
  request.target = page.path;
  TRY_ASSIGN(const kube::Response response, transport->Call(stop, Soon(), request));
  if (response.status == page.status && response.body.find(page.text) != std::string::npos)
    return Ok();
  return RetryError("NotReady", page.url + page.path + " answers " +
                                    std::to_string(response.status) + ": " +
                                    response.body.substr(0, 500));
}

// By reviews of a token that nobody has, and of somebody who is nobody.
Status CanBeReviewed(const std::stop_token& stop, kube::Client& client) {
  TRY(telemetry::AskApiServer(stop, Soon(), client, "no-token"));
  TRY(telemetry::MayReadMetrics(stop, Soon(), client, Json::Object({{"username", "nobody"}})));
  return Ok();
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
  if (asked.metrics_authorization)
    report("who may read metrics can be asked", CanBeReviewed(stop, client));
  if (!asked.host.empty()) {
    const auto at = [&asked](const char* scheme, uint16_t port) {
      return scheme + asked.host + ":" + std::to_string(port);
    };
    report("the operator is ready",
           Answers(stop, {at("http://", asked.health_port), "/readyz", 200, ""}));
    if (asked.metrics_authorization)
      report("the operator refuses metrics to who shows no token",
             Answers(stop, {at("https://", asked.metrics_port), "/metrics", 401, ""}));
    else
      report("the operator serves metrics",
             Answers(stop, {at("http://", asked.metrics_port), "/metrics", 200,
                            "leader_election_master_status"}));
  }
  if (failed == 0) return Ok();
  return TerminalError("SelfTestFailed", std::to_string(failed) + " of the above failed");
}

}  // namespace cutover
