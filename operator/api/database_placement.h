// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/api/conditions.h"
#include "operator/api/database_server.h"
#include "operator/api/meta.h"
#include "operator/base/json.h"

namespace cutover::api {

enum class ProfileType { kGeneric, kOdoo };
std::string_view Name(ProfileType type);

struct SecretKeyRef {
  std::string name;
  std::string key = "password";

  friend bool operator==(const SecretKeyRef&, const SecretKeyRef&) = default;
};

struct ObjectRef {
  std::string kind;  ///< Deployment, StatefulSet, CronJob; Ingress, HTTPRoute; ConfigMap, Secret
  std::string name;

  friend bool operator==(const ObjectRef&, const ObjectRef&) = default;
};

/// spec.connection.secret: keys of a Secret that tell the workload where its database is.
/// An empty key name means: that key is not looked at. At least one of host and uri is named.
struct WiringSecret {
  std::string name;
  std::string host_key, port_key, username_key, password_key, database_key, uri_key;

  friend bool operator==(const WiringSecret&, const WiringSecret&) = default;
};

/// spec.connection.configFiles[]: a file in a ConfigMap or Secret, edited line by line.
struct WiringFile {
  ObjectRef object;  ///< kind ConfigMap or Secret
  std::string key;
  std::string format = "OdooConf";

  friend bool operator==(const WiringFile&, const WiringFile&) = default;
};

/// spec.connection.env[]: names of environment variables of a workload's container. An empty name
/// means none; host is never empty. The workload is one of spec.workloads.
struct WiringEnv {
  ObjectRef workload;
  std::string container;
  std::string host, port, user, password;

  friend bool operator==(const WiringEnv&, const WiringEnv&) = default;
};

struct Connection {
  std::string service_name;  ///< Selector-less Service owned by the operator, or empty.
  std::optional<WiringSecret> secret;
  std::vector<WiringFile> config_files;
  std::vector<WiringEnv> env;

  friend bool operator==(const Connection&, const Connection&) = default;
};

struct DatabasePlacementSpec {
  std::string database_name;
  std::string owner;
  SecretKeyRef password_secret_ref;
  ServerClass server_class = ServerClass::kShared;
  /// Where the tenant is adopted; afterwards status.serverName is the truth.
  std::string server_name;
  ProfileType profile = ProfileType::kGeneric;
  Connection connection;
  std::vector<ObjectRef> workloads;
  std::vector<ObjectRef> routes;

  friend bool operator==(const DatabasePlacementSpec&, const DatabasePlacementSpec&) = default;
};

struct DatabasePlacementStatus {
  int64_t observed_generation = 0;
  std::string server_name;
  std::string endpoint;  ///< "host:port" the tenant's database is served at.
  int64_t database_size_bytes = 0;
  std::string migration_name;  ///< The active migration, or empty.
  Conditions conditions;       ///< Ready, InSync, WiringDrifted

  friend bool operator==(const DatabasePlacementStatus&, const DatabasePlacementStatus&) = default;
};

struct DatabasePlacement {
  ObjectMeta meta;
  DatabasePlacementSpec spec;
  DatabasePlacementStatus status;
};

/// Terminal error "InvalidObject" naming the field when `object` cannot be what the CRD admits.
Result<DatabasePlacement> DecodeDatabasePlacement(const Json& object);
/// The value of `.status`, in the field order of the CRD; equal statuses encode equally. Texts
/// beyond the CRD's bounds are shortened.
Json EncodeStatus(const DatabasePlacementStatus& status);

}  // namespace cutover::api
