// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/endpoints.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <thread>

#include "operator/base/json.h"
#include "operator/base/mutex.h"
#include "operator/kube/error.h"

namespace cutover::wiring {
namespace {

bool IsIpLiteral(const std::string& host) {
  unsigned char buffer[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), buffer) == 1 ||
         inet_pton(AF_INET6, host.c_str(), buffer) == 1;
}

std::string Canonical(std::string_view host) {
  std::string lower(host);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (!lower.empty() && lower.back() == '.') lower.pop_back();
  return lower;
}

std::vector<std::string> Labels(const std::string& host) {
  std::vector<std::string> labels;
  size_t begin = 0;
  while (begin <= host.size()) {
    const size_t end = std::min(host.find('.', begin), host.size());
    labels.push_back(host.substr(begin, end - begin));
    begin = end + 1;
  }
  return labels;
}

// The Service that a host may name, seen from namespace `ns`. "name.ns" may be a name of the
// internet just as well: only the API server knows.
std::optional<kube::Key> ServiceNamedBy(std::string_view host, std::string_view ns) {
  const std::string canonical = Canonical(host);
  if (IsIpLiteral(canonical)) return std::nullopt;
  const std::vector<std::string> labels = Labels(canonical);
  if (labels.size() == 1) return kube::Key{std::string(ns), labels[0]};
  if (labels.size() == 2 || labels[2] == "svc") return kube::Key{labels[1], labels[0]};
  return std::nullopt;
}

void SortUnique(std::vector<std::string>& addresses) {
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
}

tl::unexpected<Error> NotResolved(const std::string& host, const std::string& why) {
  return RetryError("HostNotResolved", "the server's host " + host + " has no address: " + why);
}

// The name that the Service gives to `port`; nothing when it does not serve it.
std::optional<std::string> PortName(const Json& service, int port) {
  for (const Json& entry : service["spec"]["ports"].Items())
    if (entry["port"].AsInt() == port) return entry["name"].AsString();
  return std::nullopt;
}

Result<AllBackends> BackendsOfService(std::stop_token stop, Deadline deadline, kube::Client& client,
                                      const Json& service, const kube::Key& key,
                                      const HostPort& server) {
  const std::optional<std::string> port_name = PortName(service, server.port);
  if (!port_name)
    return NotResolved(server.host,
                       "Service " + key.ToString() + " has no port " + std::to_string(server.port));
  kube::ListOptions options;
  options.ns = key.ns;
  options.label_selector = "kubernetes.io/service-name=" + key.name;
  TRY_ASSIGN(const kube::ObjectList slices,
             client.List(stop, deadline, kube::kEndpointSlice, options));
  AllBackends backends;
  bool port_known = false;
  // Those that are ready first, whose port counts.
  for (auto* found : {&backends.ready, &backends.unready})
    for (const Json& slice : slices.items) {
      for (const Json& port : slice["ports"].Items()) {
        if (port["name"].AsString() != *port_name) continue;
        // Slices of one Service may differ in port while pods are replaced; one of them is enough.
        const int number = static_cast<int>(port["port"].AsInt());
        if (port_known && number != backends.port) continue;
        for (const Json& endpoint : slice["endpoints"].Items()) {
          const bool is_ready = endpoint["conditions"]["ready"].AsBool(true);
          if (is_ready != (found == &backends.ready)) continue;
          for (const Json& address : endpoint["addresses"].Items()) {
            found->push_back(address.AsString());
            backends.port = number;
            port_known = true;
          }
        }
      }
    }
  if (backends.ready.empty() && backends.unready.empty())
    return NotResolved(server.host, "no pod is behind Service " + key.ToString());
  SortUnique(backends.ready);
  SortUnique(backends.unready);
  return backends;
}

// What the resolving thread and its caller share. The thread may outlive the caller.
struct Lookup {
  Mutex mutex;
  CondVar done_or_stopped;
  bool done GUARDED_BY(mutex) = false;
  int code GUARDED_BY(mutex) = 0;
  std::vector<std::string> addresses GUARDED_BY(mutex);
};

std::vector<std::string> AddressesOf(const addrinfo* list) {
  std::vector<std::string> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof(text), nullptr, 0,
                    NI_NUMERICHOST) == 0)
      addresses.emplace_back(text);
  }
  SortUnique(addresses);
  return addresses;
}

void LookUp(const std::shared_ptr<Lookup>& lookup, const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  std::vector<std::string> addresses = code == 0 ? AddressesOf(list) : std::vector<std::string>();
  if (code == 0) freeaddrinfo(list);
  MutexLock lock(lookup->mutex);
  lookup->code = code;
  lookup->addresses = std::move(addresses);
  lookup->done = true;
  lookup->done_or_stopped.NotifyAll();
}

}  // namespace

std::string HostPort::ToString() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HostPort> ParseHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  HostPort parsed;
  if (colon != std::string_view::npos) {
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    parsed.host = host;
    const char* end = text.data() + text.size();
    auto [stopped, error] = std::from_chars(text.data() + colon + 1, end, parsed.port);
    if (!parsed.host.empty() && error == std::errc() && stopped == end) return parsed;
  }
  return TerminalError("InvalidEndpoint", "\"" + std::string(text) + "\" is not host:port");
}

bool SameHost(std::string_view a, std::string_view b, std::string_view ns) {
  const std::string canonical_a = Canonical(a), canonical_b = Canonical(b);
  if (canonical_a.empty() || canonical_b.empty()) return false;
  if (canonical_a == canonical_b) return true;
  const std::optional<kube::Key> service_a = ServiceNamedBy(a, ns);
  const std::optional<kube::Key> service_b = ServiceNamedBy(b, ns);
  return service_a && service_b && *service_a == *service_b;
}

Result<std::vector<std::string>> SystemResolver::Resolve(std::stop_token stop, Deadline deadline,
                                                         const std::string& host) {
  auto lookup = std::make_shared<Lookup>();
  std::thread([lookup, host] { LookUp(lookup, host); }).detach();
  MutexLock lock(lookup->mutex);
  if (!lookup->done_or_stopped.Wait(lookup->mutex, stop, deadline, [&] { return lookup->done; }))
    return NotResolved(host, "the resolver did not answer in time");
  if (lookup->code != 0) return NotResolved(host, gai_strerror(lookup->code));
  if (lookup->addresses.empty()) return NotResolved(host, "the resolver knows no address");
  return std::move(lookup->addresses);
}

Result<Backends> FindBackends(std::stop_token stop, Deadline deadline, const Access& access,
                              const HostPort& server) {
  TRY_ASSIGN(AllBackends all, FindAllBackends(stop, deadline, access, server));
  if (all.ready.empty()) return NotResolved(server.host, "no pod behind its Service is ready");
  return Backends{std::move(all.ready), all.port};
}

Result<AllBackends> FindAllBackends(std::stop_token stop, Deadline deadline, const Access& access,
                                    const HostPort& server) {
  if (IsIpLiteral(server.host)) return AllBackends{{server.host}, {}, server.port};
  std::string name = server.host;
  if (const auto key = ServiceNamedBy(server.host, access.operator_namespace)) {
    auto asked = access.client.Get(stop, deadline, kube::kService, *key);
    if (!asked && kube::IsForbidden(asked.error()))
      return NotResolved(server.host, "the operator may not read Service " + key->ToString() +
                                          "; add " + key->ns +
                                          " to serverNamespaces of its chart, or give the host "
                                          "with its whole domain if it is none");
    TRY_ASSIGN(const std::optional<Json> service, std::move(asked));
    if (service) {
      const Json& spec = (*service)["spec"];
      const std::string cluster_ip = spec["clusterIP"].AsString();
      if (spec["type"].StringRef() == "ExternalName") {
        name = spec["externalName"].AsString();
      } else if (!cluster_ip.empty() && cluster_ip != "None") {
        return BackendsOfService(stop, deadline, access.client, *service, *key, server);
      }
    }
  }
  TRY_ASSIGN(std::vector<std::string> addresses, access.resolver.Resolve(stop, deadline, name));
  return AllBackends{std::move(addresses), {}, server.port};
}

}  // namespace cutover::wiring
