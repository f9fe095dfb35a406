// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/items.h"

#include <algorithm>
#include <utility>

#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/env_items.h"
#include "reconcilers/wiring/place.h"
#include "reconcilers/wiring/text_items.h"

namespace cutover::wiring {
namespace {

const Json* Lookup(const Objects& objects, const ObjectName& name) {
  auto found = objects.find(name);
  return found == objects.end() ? nullptr : &found->second;
}

bool SpeaksOf(const Json& entry, const ObjectName& name) {
  return entry["kind"].StringRef() == name.kind && entry["name"].StringRef() == name.name;
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
  for (const Json& entry : record["secret"].Items())
    if (SpeaksOf(entry, name)) TRY(RestoreKey(entry, name, object));
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
    TRY_ASSIGN(Json entry, RecordEnv(item, *object));
    env.Append(std::move(entry));
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
