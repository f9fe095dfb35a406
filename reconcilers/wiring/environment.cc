// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/environment.h"

#include <algorithm>

#include "reconcilers/wiring/base64.h"

namespace cutover::wiring {
namespace {

void Put(std::vector<Variable>& variables, Variable variable) {
  std::erase_if(variables, [&](const Variable& v) { return v.name == variable.name; });
  variables.push_back(std::move(variable));
}

// The value of a key of a ConfigMap or Secret; nothing when it cannot be told.
std::optional<std::string> ValueIn(const Objects& objects, const ObjectName& name,
                                   const std::string& key) {
  auto found = objects.find(name);
  if (found == objects.end()) return std::nullopt;
  const Json& value = found->second["data"][key];
  if (!value.IsString()) return std::nullopt;
  if (name.kind != "Secret") return value.AsString();
  Result<std::string> decoded = DecodeBase64(value.StringRef());
  if (!decoded) return std::nullopt;
  return *decoded;
}

void AddAllOf(const Objects& objects, const ObjectName& name, const std::string& prefix,
              std::vector<Variable>& variables) {
  auto found = objects.find(name);
  if (found == objects.end()) return;
  for (const auto& [key, value] : found->second["data"].Members())
    Put(variables, {prefix + key, ValueIn(objects, name, key), false, name.kind, name.name, key});
}

Variable FromEntry(const Json& entry, const Objects& objects) {
  Variable variable{entry["name"].AsString(), std::nullopt, false, "", "", ""};
  if (!entry.Contains("valueFrom")) {
    variable.value = entry["value"].AsString();
    variable.literal = true;
    return variable;
  }
  for (const auto& [reference, kind] :
       {std::pair("secretKeyRef", "Secret"), std::pair("configMapKeyRef", "ConfigMap")}) {
    const Json& key_reference = entry["valueFrom"][reference];
    if (!key_reference.IsObject()) continue;
    variable.origin_kind = kind;
    variable.origin_name = key_reference["name"].AsString();
    variable.origin_key = key_reference["key"].AsString();
    variable.value = ValueIn(objects, {kind, variable.origin_name}, variable.origin_key);
  }
  return variable;
}

}  // namespace

std::vector<Variable> VariablesOf(const Json& container, const Objects& objects) {
  std::vector<Variable> variables;
  for (const Json& source : container["envFrom"].Items()) {
    const std::string prefix = source["prefix"].AsString();
    if (source.Contains("secretRef"))
      AddAllOf(objects, {"Secret", source["secretRef"]["name"].AsString()}, prefix, variables);
    if (source.Contains("configMapRef"))
      AddAllOf(objects, {"ConfigMap", source["configMapRef"]["name"].AsString()}, prefix,
               variables);
  }
  for (const Json& entry : container["env"].Items()) Put(variables, FromEntry(entry, objects));
  return variables;
}

}  // namespace cutover::wiring
