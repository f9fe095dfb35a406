// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/conditions.h"
#include "operator/api/meta.h"
#include "operator/base/json.h"

namespace cutover::api {

enum class ServerClass { kShared, kDedicated };
std::string_view Name(ServerClass server_class);

struct Endpoint {
  std::string host;
  int port = 5432;
  std::string ssl_mode = "prefer";  ///< As libpq's sslmode.
  std::string ca_secret_name;  ///< Secret with key ca.crt in the operator's namespace, or empty.

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// spec.allowedNamespaces: exactly one of the two is not empty. Every namespace is allowed where
/// there is no selector at all.
struct NamespaceSelector {
  std::vector<std::string> names;
  std::map<std::string, std::string> match_labels;  ///< A namespace must have them all.

  friend bool operator==(const NamespaceSelector&, const NamespaceSelector&) = default;
};

/// spec.pooler: the PgBouncers in front of a server. The host may stand for several of them.
struct Pooler {
  std::string admin_host;
  int admin_port = 6432;
  std::string admin_secret_name;  ///< Keys username, password; in the operator's namespace.

  friend bool operator==(const Pooler&, const Pooler&) = default;
};

struct DatabaseServerSpec {
  ServerClass server_class = ServerClass::kShared;
  Endpoint endpoint;
  std::string admin_secret_name;  ///< Keys username, password; in the operator's namespace.
  /// What another server dials, where that is not the endpoint.
  std::string replication_host;
  int replication_port = 5432;
  std::optional<Pooler> pooler;
  std::optional<int64_t> capacity_tenants;
  std::optional<NamespaceSelector> allowed_namespaces;
  bool unschedulable = false;

  friend bool operator==(const DatabaseServerSpec&, const DatabaseServerSpec&) = default;
};

struct DatabaseServerStatus {
  int64_t observed_generation = 0;
  std::string version;            ///< "15.20"
  std::string system_identifier;  ///< pg_control_system(): tells one cluster from another.
  int64_t timeline = 0;
  std::string wal_level;
  int64_t tenants = 0;  ///< Databases that are neither templates nor "postgres".
  int64_t size_bytes = 0;
  int64_t connections = 0;
  int64_t connections_max = 0;
  Conditions conditions;  ///< Ready, LogicalReplicationReady

  friend bool operator==(const DatabaseServerStatus&, const DatabaseServerStatus&) = default;
};

struct DatabaseServer {
  ObjectMeta meta;
  DatabaseServerSpec spec;
  DatabaseServerStatus status;
};

/// Terminal error "InvalidObject" naming the field when `object` cannot be what the CRD admits.
Result<DatabaseServer> DecodeDatabaseServer(const Json& object);
/// The value of `.status`, in the field order of the CRD; equal statuses encode equally. Texts
/// beyond the CRD's bounds are shortened, and numbers are left out until a first probe set any.
Json EncodeStatus(const DatabaseServerStatus& status);

}  // namespace cutover::api
