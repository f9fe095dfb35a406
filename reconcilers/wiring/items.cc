// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/items.h"

#include <algorithm>
#include <charconv>

#include "reconcilers/wiring/base64.h"
#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/odoo_conf.h"
#include "reconcilers/wiring/pod_template.h"
#include "reconcilers/wiring/uri.h"

namespace cutover::wiring {
namespace {

std::string Title(const ObjectName& name) { return name.kind + " " + name.name; }
std::string Title(const api::WiringFile& file) {
  return file.object.kind + " " + file.object.name + ", key " + file.key;
}
std::string Title(const api::WiringEnv& env) {
  return env.workload.kind + " " + env.workload.name + ", container " + env.container;
}

ObjectName NameOf(const api::ObjectRef& ref) { return {ref.kind, ref.name}; }
ObjectName NameOf(const api::WiringSecret& secret) { return {"Secret", secret.name}; }

tl::unexpected<Error> NotFound(const std::string& what) {
  return TerminalError("WiringNotFound", what +
                                             " does not exist: create it, or take it out of "
                                             "spec.connection of the DatabasePlacement");
}
tl::unexpected<Error> NotChangeable(const std::string& what, const std::string& why) {
  return TerminalError("WiringNotChangeable", what + " " + why);
}

bool IsOwnService(const api::DatabasePlacement& placement, std::string_view host) {
  const std::string& service = placement.spec.connection.service_name;
  return !service.empty() && SameHost(host, service, placement.meta.namespace_name);
}

// What an item has to say: the Service's name stays where the item follows the Service.
HostPort PlaceFor(const api::DatabasePlacement& placement, const std::string& current_host,
                  const Wanted& wanted) {
  if (IsOwnService(placement, current_host)) return {current_host, kServicePort};
  return wanted.server;
}

// A place as an item names it; an item may leave the port to others.
struct Found {
  std::string host;
  std::optional<int> port;

  std::string ToString() const { return port ? HostPort{host, *port}.ToString() : host; }
};

bool IsAt(const Found& found, const HostPort& side, const std::string& ns) {
  return SameHost(found.host, side.host, ns) && (!found.port || *found.port == side.port);
}

Side SideOf(const api::DatabasePlacement& placement, const Found& found, const Sides& sides) {
  if (IsOwnService(placement, found.host))
    return !found.port || *found.port == kServicePort ? Side::kEither : Side::kNeither;
  const std::string& ns = placement.meta.namespace_name;
  const bool source = IsAt(found, sides.source, ns);
  const bool target = sides.target && IsAt(found, *sides.target, ns);
  if (source && target) return Side::kEither;
  return source ? Side::kSource : target ? Side::kTarget : Side::kNeither;
}

std::optional<int> ParsePort(const std::string& text) {
  int port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535)
    return std::nullopt;
  return port;
}

// Several observations of one item: they must agree.
void Merge(ItemObservation& item, Side side, const std::string& detail) {
  if (item.detail.empty()) {
    item.side = side;
    item.detail = detail;
    return;
  }
  if (item.detail != detail) item.detail += ", " + detail;
  if (side == item.side || side == Side::kEither) return;
  item.side = item.side == Side::kEither ? side : Side::kNeither;
}

// The value of a key; nothing when there is no such key.
Result<std::optional<std::string>> ReadData(const Json& object, const std::string& key) {
  const Json* value = object["data"].Find(key);
  if (value == nullptr || value->IsNull()) return std::optional<std::string>();
  if (object["kind"].StringRef() != "Secret") return std::optional(value->AsString());
  TRY_ASSIGN(std::string decoded, DecodeBase64(value->StringRef()));
  return std::optional(std::move(decoded));
}

Status WriteData(const ObjectName& name, const std::string& key,
                 const std::optional<std::string>& value, Json& object) {
  TRY_ASSIGN(const std::optional<std::string> present, ReadData(object, key));
  if (present == value) return Ok();
  if (object["immutable"].AsBool())
    return NotChangeable(Title(name),
                         "is immutable: replace it by one that is not, or let the workloads reach "
                         "their database through a Service (spec.connection.service)");
  Json& data = object.MutableAt("data");
  if (!value)
    data.Remove(key);
  else
    data.Set(key, object["kind"].StringRef() == "Secret" ? EncodeBase64(*value) : *value);
  return Ok();
}

std::vector<std::string> KeysOf(const api::WiringSecret& secret) {
  std::vector<std::string> keys;
  for (const std::string* key : {&secret.host_key, &secret.port_key, &secret.username_key,
                                 &secret.password_key, &secret.database_key, &secret.uri_key})
    if (!key->empty()) keys.push_back(*key);
  return keys;
}

Status EditSecretUri(const api::DatabasePlacement& placement, const api::WiringSecret& secret,
                     const Wanted& wanted, Json& object) {
  TRY_ASSIGN(const std::optional<std::string> uri, ReadData(object, secret.uri_key));
  const std::string what = Title(NameOf(secret)) + ", key " + secret.uri_key + ",";
  if (!uri && !wanted.password)
    return NotChangeable(what,
                         "is missing, and its password is not known here: write the URI "
                         "there once, it will be kept current from then on");
  const std::optional<UriEndpoint> current = ReadUri(uri.value_or(""));
  const HostPort place = PlaceFor(placement, current ? current->host : "", wanted);
  const Result<std::string> edited = EditUri(uri ? *uri : MakeUri(wanted.user, wanted.database),
                                             {place.host, place.port}, wanted.password);
  if (!edited) return NotChangeable(what, "cannot be edited: " + edited.error().message);
  return WriteData(NameOf(secret), secret.uri_key, *edited, object);
}

Status EditSecret(const api::DatabasePlacement& placement, const api::WiringSecret& secret,
                  const Wanted& wanted, Json& object) {
  const ObjectName name = NameOf(secret);
  std::optional<std::string> current_host;
  if (!secret.host_key.empty()) {
    TRY_ASSIGN(current_host, ReadData(object, secret.host_key));
  }
  const HostPort place = PlaceFor(placement, current_host.value_or(""), wanted);
  const std::pair<const std::string&, std::string> values[] = {
      {secret.host_key, place.host},
      {secret.port_key, std::to_string(place.port)},
      {secret.username_key, wanted.user},
      {secret.database_key, wanted.database},
      {secret.password_key, wanted.password.value_or("")}};
  for (const auto& [key, value] : values)
    if (!key.empty() && !value.empty()) TRY(WriteData(name, key, value, object));
  if (!secret.uri_key.empty()) TRY(EditSecretUri(placement, secret, wanted, object));
  return Ok();
}

void ObserveSecretPlace(const api::DatabasePlacement& placement, const api::WiringSecret& secret,
                        const Json& object, const Sides& sides, ItemObservation& item) {
  const auto host = ReadData(object, secret.host_key);
  if (!host || !*host || (*host)->empty())
    return Merge(item, Side::kNeither, "key " + secret.host_key + " names no host");
  Found found{**host, std::nullopt};
  if (!secret.port_key.empty()) {
    const auto port = ReadData(object, secret.port_key);
    found.port = port && *port ? ParsePort(**port) : std::nullopt;
    if (!found.port)
      return Merge(item, Side::kNeither, "key " + secret.port_key + " names no port");
  }
  Merge(item, SideOf(placement, found, sides), found.ToString());
}

ItemObservation ObserveSecret(const api::DatabasePlacement& placement,
                              const api::WiringSecret& secret, const Json& object,
                              const Sides& sides) {
  ItemObservation item{Title(NameOf(secret)), Side::kEither, ""};
  if (!secret.host_key.empty()) ObserveSecretPlace(placement, secret, object, sides, item);
  if (!secret.uri_key.empty()) {
    const auto uri = ReadData(object, secret.uri_key);
    const auto place = ReadUri(uri && *uri ? **uri : "");
    if (!place)
      Merge(item, Side::kNeither, "key " + secret.uri_key + " holds no connection URI");
    else
      Merge(item, SideOf(placement, {place->host, place->port}, sides),
            HostPort{place->host, place->port}.ToString());
  }
  return item;
}

Status EditFile(const api::DatabasePlacement& placement, const api::WiringFile& file,
                const Wanted& wanted, Json& object) {
  if (file.format != "OdooConf")
    return NotChangeable(Title(file), "has the unknown format " + file.format);
  TRY_ASSIGN(const std::optional<std::string> text, ReadData(object, file.key));
  if (!text) return NotFound(Title(file));
  const HostPort place = PlaceFor(placement, ReadOdooConf(*text).host.value_or(""), wanted);
  const Result<std::string> edited =
      EditOdooConf(*text, {place.host, place.port, wanted.user, wanted.password});
  if (!edited) return NotChangeable(Title(file), "cannot be edited: " + edited.error().message);
  return WriteData(NameOf(file.object), file.key, *edited, object);
}

ItemObservation ObserveFile(const api::DatabasePlacement& placement, const api::WiringFile& file,
                            const Json& object, const Sides& sides) {
  ItemObservation item{Title(file), Side::kNeither, ""};
  const auto text = ReadData(object, file.key);
  if (!text || !*text) {
    item.detail = "does not exist";
    return item;
  }
  const OdooConnection connection = ReadOdooConf(**text);
  const std::pair<const char*,
                  std::pair<const std::optional<std::string>&, const std::optional<std::string>&>>
      places[] = {{"db_host", {connection.host, connection.port}},
                  {"db_replica_host", {connection.replica_host, connection.replica_port}}};
  for (const auto& [key, place] : places) {
    const auto& [host, port] = place;
    if (!host && std::string_view(key) == "db_replica_host") continue;
    const std::optional<int> number = ParsePort(port.value_or("5432"));
    if (!host)
      Merge(item, Side::kNeither, "names no db_host");
    else if (!number)
      Merge(item, Side::kNeither, std::string(key) + " " + *host + " has no valid port");
    else
      Merge(item, SideOf(placement, {*host, number}, sides), HostPort{*host, *number}.ToString());
  }
  return item;
}

std::vector<std::string> VariablesOf(const api::WiringEnv& env) {
  std::vector<std::string> names;
  for (const std::string* name : {&env.host, &env.port, &env.user, &env.password})
    if (!name->empty()) names.push_back(*name);
  return names;
}

// The literal value; nothing when the variable is absent. A variable that comes from elsewhere
// cannot be set here without cutting that tie, which nobody asked for.
Result<std::optional<std::string>> ReadVariable(const api::WiringEnv& env, const Json& container,
                                                const std::string& name) {
  const Json* entry = FindVariable(container, name);
  if (entry == nullptr) return std::optional<std::string>();
  if (!entry->Contains("valueFrom")) return std::optional((*entry)["value"].AsString());
  const Json& reference = (*entry)["valueFrom"];
  std::string where = "elsewhere";
  if (reference.Contains("secretKeyRef"))
    where = "Secret " + reference["secretKeyRef"]["name"].AsString();
  if (reference.Contains("configMapKeyRef"))
    where = "ConfigMap " + reference["configMapKeyRef"]["name"].AsString();
  return NotChangeable(Title(env), "takes " + name + " from " + where +
                                       ": take it out of spec.connection.env, and name that "
                                       "Secret in spec.connection.secret, or give the variable a "
                                       "literal value");
}

// Replaces the entry of that name, the last one if there are several, where it stands; appends it
// when absent; removes it when `entry` is null.
void PutVariable(const std::string& name, const Json& entry, Json& container) {
  Json entries = container["env"];
  const size_t size = entries.Size();
  for (size_t i = size; i-- > 0;) {
    if (entries[i]["name"].StringRef() != name) continue;
    if (!entry.IsNull()) {
      entries.MutableAt(i) = entry;
    } else {
      Json::ArrayType kept = entries.Items();
      kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(i));
      entries = Json::ArrayOf(std::move(kept));
    }
    container.Set("env", entries);
    return;
  }
  if (!entry.IsNull()) container.MutableAt("env").Append(entry);
}

Status SetVariable(const api::WiringEnv& env, const std::string& name, const std::string& value,
                   Json& container) {
  TRY_ASSIGN(const std::optional<std::string> present, ReadVariable(env, container, name));
  if (present == value) return Ok();
  PutVariable(name, Json::Object({{"name", name}, {"value", value}}), container);
  return Ok();
}

Status EditEnv(const api::DatabasePlacement& placement, const api::WiringEnv& env,
               const Wanted& wanted, Json& object) {
  Json* container = FindMutableContainer(object, env.container);
  if (container == nullptr) return NotFound(Title(env));
  std::optional<std::string> current_host;
  if (!env.host.empty()) {
    TRY_ASSIGN(current_host, ReadVariable(env, *container, env.host));
  }
  const HostPort place = PlaceFor(placement, current_host.value_or(""), wanted);
  if (!env.host.empty()) TRY(SetVariable(env, env.host, place.host, *container));
  if (!env.port.empty()) {
    // Left out, it means 5432 to every program there is: nothing to add then.
    TRY_ASSIGN(const std::optional<std::string> port, ReadVariable(env, *container, env.port));
    if (port || place.port != 5432)
      TRY(SetVariable(env, env.port, std::to_string(place.port), *container));
  }
  if (!env.user.empty() && !wanted.user.empty() && FindVariable(*container, env.user) != nullptr)
    TRY(SetVariable(env, env.user, wanted.user, *container));
  if (!env.password.empty() && wanted.password)
    TRY(SetVariable(env, env.password, *wanted.password, *container));
  return Ok();
}

ItemObservation ObserveEnv(const api::DatabasePlacement& placement, const api::WiringEnv& env,
                           const Json& object, const Sides& sides) {
  ItemObservation item{Title(env), Side::kNeither, ""};
  const Json* container = FindContainer(object, env.container);
  if (container == nullptr) {
    item.detail = "does not exist";
    return item;
  }
  if (env.host.empty()) return {Title(env), Side::kEither, "names no host"};
  const auto host = ReadVariable(env, *container, env.host);
  if (!host || !*host || (*host)->empty()) {
    item.detail = host ? env.host + " is not set" : host.error().message;
    return item;
  }
  Found found{**host, std::nullopt};
  if (!env.port.empty()) {
    const auto port = ReadVariable(env, *container, env.port);
    found.port = port ? ParsePort(port->value_or("5432")) : std::nullopt;
    if (!found.port) {
      item.detail = env.port + " names no port";
      return item;
    }
  }
  item.side = SideOf(placement, found, sides);
  item.detail = found.ToString();
  return item;
}

const Json* Lookup(const Objects& objects, const ObjectName& name) {
  auto found = objects.find(name);
  return found == objects.end() ? nullptr : &found->second;
}

Json OrNull(const std::optional<std::string>& text) { return text ? Json(*text) : Json(); }

Result<Json> RecordText(const ObjectName& name, const std::string& key, const Json& object) {
  TRY_ASSIGN(const std::optional<std::string> text, ReadData(object, key));
  // Bytes of a Secret need not be UTF-8, which JSON must be.
  const bool encoded = name.kind == "Secret" && text;
  return Json::Object({{"kind", name.kind},
                       {"name", name.name},
                       {"key", key},
                       {"encoding", encoded ? "base64" : "text"},
                       {"value", encoded ? Json(EncodeBase64(*text)) : OrNull(text)}});
}

Result<std::optional<std::string>> RecordedText(const Json& entry) {
  if (entry["value"].IsNull()) return std::optional<std::string>();
  if (entry["encoding"].StringRef() != "base64") return std::optional(entry["value"].AsString());
  TRY_ASSIGN(std::string text, DecodeBase64(entry["value"].StringRef()));
  return std::optional(std::move(text));
}

bool SpeaksOf(const Json& entry, const ObjectName& name) {
  return entry["kind"].StringRef() == name.kind && entry["name"].StringRef() == name.name;
}

Status RestoreFile(const Json& entry, const ObjectName& name, Json& object) {
  const std::string key = entry["key"].AsString();
  TRY_ASSIGN(const std::optional<std::string> original, RecordedText(entry));
  TRY_ASSIGN(const std::optional<std::string> current, ReadData(object, key));
  if (!original || !current) return WriteData(name, key, original, object);
  return WriteData(name, key, RestoreOdooConf(*current, *original), object);
}

Status RestoreEnv(const Json& entry, const ObjectName& name, Json& object) {
  const std::string container_name = entry["container"].AsString();
  Json* container = FindMutableContainer(object, container_name);
  if (container == nullptr) return NotFound(Title(name) + ", container " + container_name);
  for (const auto& [variable, original] : entry["variables"].Members()) {
    const Json* present = FindVariable(*container, variable);
    if (present == nullptr ? original.IsNull() : *present == original) continue;
    PutVariable(variable, original, *container);
  }
  return Ok();
}

Result<const Json*> Need(const Objects& objects, const ObjectName& name) {
  const Json* object = Lookup(objects, name);
  if (object == nullptr) return NotFound(Title(name));
  return object;
}

}  // namespace

Status EditItems(const api::DatabasePlacement& placement, const ObjectName& name,
                 const Wanted& wanted, Json& object) {
  const api::Connection& connection = placement.spec.connection;
  if (connection.secret && NameOf(*connection.secret) == name)
    TRY(EditSecret(placement, *connection.secret, wanted, object));
  for (const api::WiringFile& file : connection.config_files)
    if (NameOf(file.object) == name) TRY(EditFile(placement, file, wanted, object));
  for (const api::WiringEnv& env : connection.env)
    if (NameOf(env.workload) == name) TRY(EditEnv(placement, env, wanted, object));
  return Ok();
}

Status RestoreItems(const Json& record, const ObjectName& name, Json& object) {
  for (const Json& entry : record["secret"].Items()) {
    if (!SpeaksOf(entry, name)) continue;
    TRY_ASSIGN(const std::optional<std::string> original, RecordedText(entry));
    TRY(WriteData(name, entry["key"].AsString(), original, object));
  }
  for (const Json& entry : record["files"].Items())
    if (SpeaksOf(entry, name)) TRY(RestoreFile(entry, name, object));
  for (const Json& entry : record["env"].Items())
    if (SpeaksOf(entry, name)) TRY(RestoreEnv(entry, name, object));
  return Ok();
}

std::vector<ObjectName> RecordedObjects(const Json& record) {
  std::vector<ObjectName> names;
  for (const char* list : {"secret", "files", "env"})
    for (const Json& entry : record[list].Items())
      names.push_back({entry["kind"].AsString(), entry["name"].AsString()});
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<ObjectName> WiredObjects(const api::Connection& connection) {
  std::vector<ObjectName> names;
  if (connection.secret) names.push_back(NameOf(*connection.secret));
  for (const api::WiringFile& file : connection.config_files) names.push_back(NameOf(file.object));
  for (const api::WiringEnv& env : connection.env) names.push_back(NameOf(env.workload));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<Json> RecordObjects(const api::DatabasePlacement& placement, const Objects& current) {
  const api::Connection& connection = placement.spec.connection;
  Json secret = Json::Array(), files = Json::Array(), env = Json::Array();
  if (connection.secret) {
    const ObjectName name = NameOf(*connection.secret);
    TRY_ASSIGN(const Json* object, Need(current, name));
    for (const std::string& key : KeysOf(*connection.secret)) {
      TRY_ASSIGN(Json entry, RecordText(name, key, *object));
      secret.Append(std::move(entry));
    }
  }
  for (const api::WiringFile& file : connection.config_files) {
    TRY_ASSIGN(const Json* object, Need(current, NameOf(file.object)));
    TRY_ASSIGN(Json entry, RecordText(NameOf(file.object), file.key, *object));
    if (entry["value"].IsNull()) return NotFound(Title(file));
    files.Append(std::move(entry));
  }
  for (const api::WiringEnv& item : connection.env) {
    TRY_ASSIGN(const Json* object, Need(current, NameOf(item.workload)));
    const Json* container = FindContainer(*object, item.container);
    if (container == nullptr) return NotFound(Title(item));
    Json variables = Json::Object();
    for (const std::string& name : VariablesOf(item)) {
      const Json* entry = FindVariable(*container, name);
      variables.Set(name, entry == nullptr ? Json() : *entry);
    }
    env.Append(Json::Object({{"kind", item.workload.kind},
                             {"name", item.workload.name},
                             {"container", item.container},
                             {"variables", variables}}));
  }
  return Json::Object({{"secret", secret}, {"files", files}, {"env", env}});
}

Result<std::vector<ObjectPatch>> PlanWiring(const api::DatabasePlacement& placement,
                                            const Objects& current, const Wanted& wanted) {
  std::vector<ObjectPatch> patches;
  for (const ObjectName& name : WiredObjects(placement.spec.connection)) {
    TRY_ASSIGN(const Json* before, Need(current, name));
    Json after = *before;
    TRY(EditItems(placement, name, wanted, after));
    if (auto patch = ConditionalPatch(*before, after)) patches.push_back({name, *patch});
  }
  return patches;
}

Result<std::vector<ObjectPatch>> PlanRestore(const Objects& current, const Json& record) {
  std::vector<ObjectPatch> patches;
  for (const ObjectName& name : RecordedObjects(record)) {
    TRY_ASSIGN(const Json* before, Need(current, name));
    Json after = *before;
    TRY(RestoreItems(record, name, after));
    if (auto patch = ConditionalPatch(*before, after)) patches.push_back({name, *patch});
  }
  return patches;
}

std::vector<ItemObservation> ObserveObjects(const api::DatabasePlacement& placement,
                                            const Objects& current, const Sides& sides) {
  const api::Connection& connection = placement.spec.connection;
  std::vector<ItemObservation> items;
  const auto observe = [&](const std::string& title, const ObjectName& name, auto&& look) {
    const Json* object = Lookup(current, name);
    if (object == nullptr)
      items.push_back({title, Side::kNeither, "does not exist"});
    else
      items.push_back(look(*object));
  };
  if (connection.secret)
    observe(Title(NameOf(*connection.secret)), NameOf(*connection.secret), [&](const Json& object) {
      return ObserveSecret(placement, *connection.secret, object, sides);
    });
  for (const api::WiringFile& file : connection.config_files)
    observe(Title(file), NameOf(file.object),
            [&](const Json& object) { return ObserveFile(placement, file, object, sides); });
  for (const api::WiringEnv& env : connection.env)
    observe(Title(env), NameOf(env.workload),
            [&](const Json& object) { return ObserveEnv(placement, env, object, sides); });
  return items;
}

}  // namespace cutover::wiring
