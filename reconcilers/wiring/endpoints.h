// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/database_server.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"

namespace cutover::wiring {

/// A place where PostgreSQL answers, as a DatabaseServer names it.
struct HostPort {
  std::string host;
  int port = 5432;

  /// "host:port", an IPv6 address in brackets.
  std::string ToString() const;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

inline HostPort HostPortOf(const api::DatabaseServer& server) {
  return {server.spec.endpoint.host, server.spec.endpoint.port};
}

/// The same for a text that ToString made. Terminal "InvalidEndpoint" otherwise.
Result<HostPort> ParseHostPort(std::string_view text);

/// Whether two hosts are the same name: letter case, a trailing dot and the cluster's own suffixes
/// (name.ns, name.ns.svc, name.ns.svc.cluster.local) do not matter, and a name without a dot is a
/// Service in `ns`. It does not resolve: two names of one machine are two hosts.
bool SameHost(std::string_view a, std::string_view b, std::string_view ns);

/// Names to addresses. Thread-safe.
class Resolver {
 public:
  virtual ~Resolver() = default;
  /// IP literals, sorted, without repeats, at least one. Retry error "HostNotResolved" otherwise.
  virtual Result<std::vector<std::string>> Resolve(std::stop_token stop, Deadline deadline,
                                                   const std::string& host) = 0;
};

/// getaddrinfo, which cannot be interrupted: it runs on a thread of its own, left behind when the
/// deadline passes first.
class SystemResolver final : public Resolver {
 public:
  Result<std::vector<std::string>> Resolve(std::stop_token stop, Deadline deadline,
                                           const std::string& host) override;
};

/// What wiring needs of the world. The references outlive every call made with them.
struct Access {
  kube::Client& client;
  Resolver& resolver;
  std::string operator_namespace;  ///< Where a server's host without a dot is a Service.
};

/// Addresses that an EndpointSlice may carry for a server.
struct Backends {
  std::vector<std::string> addresses;  ///< IP literals, sorted, without repeats, at least one.
  int port = 5432;

  friend bool operator==(const Backends&, const Backends&) = default;
};

/// The same of all that may be there; either may be empty.
struct AllBackends {
  std::vector<std::string> ready;
  std::vector<std::string> unready;  ///< Behind a Service; those that are going included.
  int port = 5432;
};

/// An IP literal is itself. A host that names a Service with a cluster IP becomes the ready
/// addresses behind that Service, since kube-proxy does not forward from one Service to another.
/// Anything else, headless Services included, is resolved by name.
///
/// Retry error "HostNotResolved" when that yields no address.
Result<Backends> FindBackends(std::stop_token stop, Deadline deadline, const Access& access,
                              const HostPort& server);
/// The same error when there is neither.
Result<AllBackends> FindAllBackends(std::stop_token stop, Deadline deadline, const Access& access,
                                    const HostPort& server);

}  // namespace cutover::wiring
