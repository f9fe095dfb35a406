// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/env_items.h"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reconcilers/wiring/place.h"
#include "reconcilers/wiring/pod_template.h"

namespace cutover::wiring {
namespace {

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

}  // namespace

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

Result<Json> RecordEnv(const api::WiringEnv& env, const Json& object) {
  const Json* container = FindContainer(object, env.container);
  if (container == nullptr) return NotFound(Title(env));
  Json variables = Json::Object();
  for (const std::string& name : VariablesOf(env)) {
    const Json* entry = FindVariable(*container, name);
    variables.Set(name, entry == nullptr ? Json() : *entry);
  }
  return Json::Object({{"kind", env.workload.kind},
                       {"name", env.workload.name},
                       {"container", env.container},
                       {"variables", variables}});
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

}  // namespace cutover::wiring
