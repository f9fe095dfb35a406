// SPDX-License-Identifier: Apache-2.0
#include "operator/api/database_server.h"

#include "operator/api/field_reader.h"
#include "operator/api/field_writer.h"
#include "operator/api/server_class.h"

namespace cutover::api {
namespace {

Endpoint ReadEndpoint(FieldReader fields) {
  Endpoint endpoint;
  endpoint.host = fields.RequiredString("host");
  endpoint.port = fields.Count("port", endpoint.port);
  endpoint.ssl_mode = fields.String("sslMode", endpoint.ssl_mode);
  if (fields.Has("caSecretRef"))
    endpoint.ca_secret_name = fields.Object("caSecretRef").RequiredString("name");
  return endpoint;
}

NamespaceSelector ReadNamespaceSelector(FieldReader fields) {
  NamespaceSelector selector;
  selector.names = fields.Strings("names");
  selector.match_labels = fields.Object("selector").StringMap("matchLabels");
  // Two empty members mean "every namespace", so a selector lost on the way would open the server.
  if (selector.names.empty() == selector.match_labels.empty())
    fields.Fail("names", "exactly one of names and selector.matchLabels must be set");
  return selector;
}

Pooler ReadPooler(FieldReader fields) {
  Pooler pooler;
  FieldReader endpoint = fields.RequiredObject("adminEndpoint");
  pooler.admin_host = endpoint.RequiredString("host");
  pooler.admin_port = endpoint.Count("port", pooler.admin_port);
  pooler.admin_secret_name = fields.RequiredObject("adminSecretRef").RequiredString("name");
  return pooler;
}

DatabaseServerSpec ReadSpec(FieldReader fields) {
  DatabaseServerSpec spec;
  spec.server_class = fields.Enum("class", kServerClassNames, spec.server_class);
  spec.endpoint = ReadEndpoint(fields.RequiredObject("endpoint"));
  spec.admin_secret_name = fields.RequiredObject("adminSecretRef").RequiredString("name");
  if (fields.Has("replicationEndpoint")) {
    FieldReader replication = fields.Object("replicationEndpoint");
    spec.replication_host = replication.RequiredString("host");
    spec.replication_port = replication.Count("port", spec.replication_port);
  }
  if (fields.Has("pooler")) spec.pooler = ReadPooler(fields.Object("pooler"));
  if (fields.Has("capacity")) spec.capacity_tenants = fields.Object("capacity").Count("tenants", 0);
  if (fields.Has("allowedNamespaces"))
    spec.allowed_namespaces = ReadNamespaceSelector(fields.Object("allowedNamespaces"));
  spec.unschedulable = fields.Bool("unschedulable", spec.unschedulable);
  return spec;
}

DatabaseServerStatus ReadStatus(FieldReader fields) {
  DatabaseServerStatus status;
  status.observed_generation = fields.Int("observedGeneration");
  status.version = fields.String("version");
  status.system_identifier = fields.String("systemIdentifier");
  status.timeline = fields.Int("timeline");
  status.wal_level = fields.String("walLevel");
  status.tenants = fields.Int("tenants");
  status.size_bytes = fields.Int("sizeBytes");
  status.connections = fields.Int("connections");
  status.connections_max = fields.Int("connectionsMax");
  status.conditions = ReadConditions(fields);
  return status;
}

// Before the first answer of the server its numbers are unknown, and 0 tenants would be a claim.
bool WasProbed(const DatabaseServerStatus& status) {
  DatabaseServerStatus unprobed;
  unprobed.observed_generation = status.observed_generation;
  unprobed.conditions = status.conditions;
  return status != unprobed;
}

}  // namespace

std::string_view Name(ServerClass server_class) { return NameIn(kServerClassNames, server_class); }

Result<DatabaseServer> DecodeDatabaseServer(const Json& object) {
  FieldReader fields(object);
  ExpectKind(fields, "DatabaseServer");
  DatabaseServer server;
  server.meta = ReadMeta(fields.RequiredObject("metadata"));
  server.spec = ReadSpec(fields.RequiredObject("spec"));
  server.status = ReadStatus(fields.Object("status"));
  TRY(fields.Failure());
  return server;
}

Json EncodeStatus(const DatabaseServerStatus& status) {
  FieldWriter fields;
  fields.Count("observedGeneration", status.observed_generation);
  if (WasProbed(status)) {
    fields.Text("version", status.version, 64)
        .Text("systemIdentifier", status.system_identifier)
        .Count("timeline", status.timeline)
        .Text("walLevel", status.wal_level)
        .Count("tenants", status.tenants)
        .Count("connections", status.connections)
        .Count("connectionsMax", status.connections_max);
    // Read apart from the rest, and no server is empty: 0 would be said of what is not known.
    if (status.size_bytes > 0) fields.Count("sizeBytes", status.size_bytes);
  }
  fields.Value("conditions", EncodeConditions(status.conditions));
  return fields.Take();
}

}  // namespace cutover::api
