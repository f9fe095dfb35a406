// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/api/field_ownership.h"

#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace cutover::sim {
namespace {

constexpr char kSeparator = '\x1f';

// Lists whose items have a name, by the list's own key; every other list is one value. Of the lists
// that the operator writes, these are the ones to which the API server gives list-type map.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kAssociative = {{
    {"conditions", "type"},
    {"containers", "name"},
    {"env", "name"},
    {"volumes", "name"},
    {"volumeMounts", "mountPath"},
    {"ownerReferences", "uid"},
    {"imagePullSecrets", "name"},
}};

std::optional<std::string_view> ItemKeyOf(std::string_view list) {
  for (const auto& [name, key] : kAssociative)
    if (name == list) return key;
  return std::nullopt;
}

std::string Below(const std::string& path, std::string_view key) {
  std::string below = path;
  if (!below.empty()) below += kSeparator;
  return below.append(key);
}

std::string ItemToken(std::string_view key, const Json& item) {
  return std::string(key) + "=" + item[key].AsString();
}

using Leaves = std::map<std::string, const Json*>;

// Every field below `value`: what is no object and no associative list, and items as such.
void Collect(const Json& value, const std::string& path, std::string_view name, Leaves& leaves) {
  if (value.IsObject() && !value.Empty()) {
    for (const auto& [key, member] : value.Members())
      Collect(member, Below(path, key), key, leaves);
    return;
  }
  std::optional<std::string_view> item_key = ItemKeyOf(name);
  if (!value.IsArray() || !item_key) {
    leaves.emplace(path, &value);
    return;
  }
  for (const Json& item : value.Items()) {
    std::string item_path = Below(path, ItemToken(*item_key, item));
    Collect(item, item_path, "", leaves);
  }
}

Leaves LeavesOf(const Json& object) {
  Leaves leaves;
  for (const auto& [key, member] : object.Members()) {
    if (key == "apiVersion" || key == "kind") continue;
    if (key != "metadata") {
      Collect(member, key, key, leaves);
      continue;
    }
    for (const auto& [name, value] : member.Members())
      if (name == "labels" || name == "annotations" || name == "ownerReferences" ||
          name == "finalizers")
        Collect(value, Below(key, name), name, leaves);
  }
  return leaves;
}

void Merge(Json& live, const Json& applied, std::string_view name) {
  if (applied.IsObject() && live.IsObject()) {
    for (const auto& [key, member] : applied.Members()) {
      if (const Json* there = live.Find(key); there != nullptr && !there->IsNull())
        Merge(live.MutableAt(key), member, key);
      else
        live.Set(key, member);
    }
    return;
  }
  std::optional<std::string_view> item_key = ItemKeyOf(name);
  if (!applied.IsArray() || !live.IsArray() || !item_key) {
    live = applied;
    return;
  }
  for (const Json& item : applied.Items()) {
    size_t at = 0;
    while (at < live.Size() && !(live[at][*item_key] == item[*item_key])) ++at;
    if (at < live.Size())
      Merge(live.MutableAt(at), item, "");
    else
      live.Append(item);
  }
}

// Removes the field at `path`; objects and items that this leaves without fields go with it.
void RemoveField(Json& value, std::string_view path) {
  std::string_view token = path.substr(0, path.find(kSeparator));
  std::string_view rest = token.size() == path.size() ? "" : path.substr(token.size() + 1);
  if (value.IsObject()) {
    if (!value.Contains(token)) return;
    if (!rest.empty()) RemoveField(value.MutableAt(token), rest);
    const Json& left = value[token];
    if (rest.empty() || ((left.IsObject() || left.IsArray()) && left.Empty())) value.Remove(token);
    return;
  }
  if (!value.IsArray()) return;
  size_t equals = token.find('=');
  std::string_view key = token.substr(0, equals), wanted = token.substr(equals + 1);
  Json::ArrayType items = value.Items();
  for (size_t at = 0; at < items.size(); ++at) {
    if (items[at][key].AsString() != wanted) continue;
    RemoveField(items[at], rest);
    if (items[at].Empty()) items.erase(items.begin() + static_cast<std::ptrdiff_t>(at));
    break;
  }
  value = Json::ArrayOf(std::move(items));
}

}  // namespace

bool FieldOwnership::OwnedByOthers(const std::string& manager, const std::string& path) const {
  for (const auto& [other, paths] : fields_)
    if (other != manager && paths.contains(path)) return true;
  return false;
}

Json FieldOwnership::Apply(const std::string& manager, const Json& live, const Json& applied) {
  const Leaves before = LeavesOf(live), wanted = LeavesOf(applied);
  Json merged = live;
  for (const auto& [key, member] : applied.Members()) {
    if (key == "metadata") {
      for (const char* name : {"labels", "annotations", "ownerReferences", "finalizers"}) {
        const Json* value = member.Find(name);
        if (value == nullptr) continue;
        Json& metadata = merged.MutableAt("metadata");
        if (metadata.Contains(name))
          Merge(metadata.MutableAt(name), *value, name);
        else
          metadata.Set(name, *value);
      }
    } else if (merged.Contains(key)) {
      Merge(merged.MutableAt(key), member, key);
    } else {
      merged.Set(key, member);
    }
  }
  for (const std::string& path : fields_[manager])
    if (!wanted.contains(path) && !OwnedByOthers(manager, path)) RemoveField(merged, path);
  Paths& own = fields_[manager];
  own.clear();
  for (const auto& [path, value] : wanted) {
    own.insert(path);
    auto had = before.find(path);
    if (had != before.end() && *had->second == *value) continue;
    for (auto& [other, paths] : fields_)
      if (other != manager) paths.erase(path);
  }
  return merged;
}

void FieldOwnership::Update(const std::string& manager, const Json& before, const Json& after) {
  const Leaves old_leaves = LeavesOf(before), new_leaves = LeavesOf(after);
  auto take = [&](const std::string& path) {
    for (auto& [other, paths] : fields_)
      if (other != manager) paths.erase(path);
  };
  for (const auto& [path, value] : new_leaves) {
    auto had = old_leaves.find(path);
    if (had != old_leaves.end() && *had->second == *value) continue;
    take(path);
    fields_[manager].insert(path);
  }
  for (const auto& [path, value] : old_leaves) {
    if (new_leaves.contains(path)) continue;
    take(path);
    fields_[manager].erase(path);
  }
}

}  // namespace cutover::sim
