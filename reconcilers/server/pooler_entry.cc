// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/server/pooler_entry.h"

#include <algorithm>

#include "operator/kube/resource.h"

namespace cutover::server {
namespace {

// A pooler that runs beside its server needs no host, or the machine's own.
bool IsOwnMachine(const std::string& host) {
  return host.empty() || host.front() == '/' || host == "localhost" || host.starts_with("127.") ||
         host == "::1";
}

Result<bool> IsAddressOfService(std::stop_token stop, Deadline deadline,
                                const wiring::Access& access, const kube::Key& service,
                                const std::string& host) {
  TRY_ASSIGN(const std::optional<Json> found,
             access.client.Get(stop, deadline, kube::kService, service));
  if (!found) return false;
  const auto& addresses = (*found)["spec"]["clusterIPs"].Items();
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const Json& address) { return address.StringRef() == host; });
}

}  // namespace

Result<EntryLead> LeadOf(std::stop_token stop, Deadline deadline, const wiring::Access& access,
                         const api::DatabasePlacement& placement,
                         const std::vector<api::DatabaseServer>& servers, const std::string& host) {
  const std::string& ns = placement.meta.namespace_name;
  const std::string& service = placement.spec.connection.service_name;
  if (!service.empty() && wiring::SameHost(host, service + "." + ns, ns))
    return EntryLead::kService;
  const bool is_server =
      IsOwnMachine(host) ||
      std::any_of(servers.begin(), servers.end(), [&](const api::DatabaseServer& server) {
        const std::string& home = access.operator_namespace;
        return wiring::SameHost(host, server.spec.endpoint.host, home) ||
               wiring::SameHost(host, server.spec.replication_host, home);
      });
  if (is_server) return EntryLead::kServer;
  if (service.empty()) return EntryLead::kElsewhere;
  TRY_ASSIGN(const bool is_service,
             IsAddressOfService(stop, deadline, access, {ns, service}, host));
  return is_service ? EntryLead::kService : EntryLead::kElsewhere;
}

}  // namespace cutover::server
