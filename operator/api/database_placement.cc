// SPDX-License-Identifier: Apache-2.0
#include "operator/api/database_placement.h"

#include "operator/api/field_reader.h"
#include "operator/api/field_writer.h"
#include "operator/api/server_class.h"

namespace cutover::api {
namespace {

constexpr EnumNames<ProfileType, 2> kProfileNames{
    {{ProfileType::kOdoo, "Odoo"}, {ProfileType::kGeneric, "Generic"}}};

ObjectRef ReadObjectRef(FieldReader& fields) {
  // Not as an aggregate of two calls with side effects on the failure: the first field of the
  // schema is the first to be complained about.
  ObjectRef ref;
  ref.kind = fields.RequiredString("kind");
  ref.name = fields.RequiredString("name");
  return ref;
}

std::vector<ObjectRef> ReadObjectRefs(FieldReader& fields, std::string_view key) {
  std::vector<ObjectRef> refs;
  fields.ForEach(key, [&](FieldReader& item) { refs.push_back(ReadObjectRef(item)); });
  return refs;
}

SecretKeyRef ReadSecretKeyRef(FieldReader fields) {
  SecretKeyRef ref;
  ref.name = fields.RequiredString("name");
  ref.key = fields.String("key", ref.key);
  return ref;
}

WiringSecret ReadWiringSecret(FieldReader fields) {
  WiringSecret secret;
  secret.name = fields.RequiredString("name");
  FieldReader keys = fields.RequiredObject("keys");
  secret.host_key = keys.String("host");
  secret.port_key = keys.String("port");
  secret.username_key = keys.String("username");
  secret.password_key = keys.String("password");
  secret.database_key = keys.String("database");
  secret.uri_key = keys.String("uri");
  return secret;
}

WiringFile ReadWiringFile(FieldReader& fields) {
  WiringFile file;
  bool in_secret = fields.Has("secret");
  if (in_secret == fields.Has("configMap"))
    fields.Fail("configMap", "exactly one of configMap and secret must be set");
  FieldReader object = fields.Object(in_secret ? "secret" : "configMap");
  file.object.kind = in_secret ? "Secret" : "ConfigMap";
  file.object.name = object.RequiredString("name");
  file.key = object.RequiredString("key");
  fields.Expect("format", file.format, "OdooConf is the only format of this version");
  return file;
}

WiringEnv ReadWiringEnv(FieldReader& fields) {
  WiringEnv env;
  FieldReader workload = fields.RequiredObject("workload");
  env.workload = ReadObjectRef(workload);
  env.container = fields.RequiredString("container");
  env.host = fields.RequiredString("host");
  env.port = fields.String("port");
  env.user = fields.String("user");
  env.password = fields.String("password");
  return env;
}

Connection ReadConnection(FieldReader fields) {
  Connection connection;
  if (fields.Has("service"))
    connection.service_name = fields.Object("service").RequiredString("name");
  if (fields.Has("secret")) connection.secret = ReadWiringSecret(fields.Object("secret"));
  fields.ForEach("configFiles", [&](FieldReader& item) {
    connection.config_files.push_back(ReadWiringFile(item));
  });
  fields.ForEach("env", [&](FieldReader& item) { connection.env.push_back(ReadWiringEnv(item)); });
  return connection;
}

DatabasePlacementSpec ReadSpec(FieldReader fields) {
  DatabasePlacementSpec spec;
  FieldReader database = fields.RequiredObject("database");
  spec.database_name = database.RequiredString("name");
  spec.owner = database.RequiredString("owner");
  spec.password_secret_ref = ReadSecretKeyRef(database.RequiredObject("passwordSecretRef"));
  spec.server_class = fields.Enum("class", kServerClassNames, spec.server_class);
  spec.server_name = fields.RequiredString("serverName");
  spec.profile = fields.Object("profile").Enum("type", kProfileNames, spec.profile);
  spec.connection = ReadConnection(fields.RequiredObject("connection"));
  spec.workloads = ReadObjectRefs(fields, "workloads");
  spec.routes = ReadObjectRefs(fields, "routes");
  return spec;
}

DatabasePlacementStatus ReadStatus(FieldReader fields) {
  DatabasePlacementStatus status;
  status.observed_generation = fields.Int("observedGeneration");
  status.server_name = fields.String("serverName");
  status.endpoint = fields.String("endpoint");
  status.database_size_bytes = fields.Int("databaseSizeBytes");
  status.migration_name = fields.String("migrationName");
  status.conditions = ReadConditions(fields);
  return status;
}

}  // namespace

std::string_view Name(ProfileType type) { return NameIn(kProfileNames, type); }

Result<DatabasePlacement> DecodeDatabasePlacement(const Json& object) {
  FieldReader fields(object);
  ExpectKind(fields, "DatabasePlacement");
  DatabasePlacement placement;
  placement.meta = ReadMeta(fields.RequiredObject("metadata"));
  placement.spec = ReadSpec(fields.RequiredObject("spec"));
  placement.status = ReadStatus(fields.Object("status"));
  TRY(fields.Failure());
  return placement;
}

Json EncodeStatus(const DatabasePlacementStatus& status) {
  FieldWriter fields;
  fields.Count("observedGeneration", status.observed_generation)
      .Text("serverName", status.server_name)
      .Text("endpoint", status.endpoint);
  // 0 means that nobody has measured yet: no database is that small.
  if (status.database_size_bytes > 0) fields.Count("databaseSizeBytes", status.database_size_bytes);
  fields.Text("migrationName", status.migration_name)
      .Value("conditions", EncodeConditions(status.conditions));
  return fields.Take();
}

}  // namespace cutover::api
