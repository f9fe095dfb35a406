// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/text_items.h"

#include <utility>

#include "reconcilers/wiring/base64.h"
#include "reconcilers/wiring/odoo_conf.h"
#include "reconcilers/wiring/place.h"
#include "reconcilers/wiring/uri.h"

namespace cutover::wiring {
namespace {

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
  const Side side = SideOf(placement, found, sides);
  // The key is whichever the placement names, and who may name it need not be allowed to read the
  // Secret: a status that quoted it would show them a password. What is expected there is known.
  Merge(item, side,
        side == Side::kNeither ? "key " + secret.host_key + " leads elsewhere" : found.ToString());
}

Json OrNull(const std::optional<std::string>& text) { return text ? Json(*text) : Json(); }

Result<std::optional<std::string>> RecordedText(const Json& entry) {
  if (entry["value"].IsNull()) return std::optional<std::string>();
  if (entry["encoding"].StringRef() != "base64") return std::optional(entry["value"].AsString());
  TRY_ASSIGN(std::string text, DecodeBase64(entry["value"].StringRef()));
  return std::optional(std::move(text));
}

}  // namespace

std::vector<std::string> KeysOf(const api::WiringSecret& secret) {
  std::vector<std::string> keys;
  for (const std::string* key : {&secret.host_key, &secret.port_key, &secret.username_key,
                                 &secret.password_key, &secret.database_key, &secret.uri_key})
    if (!key->empty()) keys.push_back(*key);
  return keys;
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

Status RestoreKey(const Json& entry, const ObjectName& name, Json& object) {
  TRY_ASSIGN(const std::optional<std::string> original, RecordedText(entry));
  return WriteData(name, entry["key"].AsString(), original, object);
}

Status RestoreFile(const Json& entry, const ObjectName& name, Json& object) {
  const std::string key = entry["key"].AsString();
  TRY_ASSIGN(const std::optional<std::string> original, RecordedText(entry));
  TRY_ASSIGN(const std::optional<std::string> current, ReadData(object, key));
  if (!original || !current) return WriteData(name, key, original, object);
  return WriteData(name, key, RestoreOdooConf(*current, *original), object);
}

}  // namespace cutover::wiring
