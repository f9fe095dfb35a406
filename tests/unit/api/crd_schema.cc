// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/api/crd_schema.h"

#include <yaml-cpp/yaml.h>

#include <stdexcept>

#include "operator/base/clock.h"

namespace cutover::api::testing {
namespace {

// Plain scalars as YAML 1.2's core schema resolves them; quoted and block ones ("!") are strings.
Json ScalarToJson(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;
  if (text == "true" || text == "false") return text == "true";
  if (text.empty() || text == "null" || text == "~") return Json();
  if (text.find_first_not_of("-0123456789") == std::string::npos) return std::stoll(text);
  return text;
}

Json ToJson(const YAML::Node& node) {
  if (node.IsScalar()) return ScalarToJson(node);
  if (node.IsSequence()) {
    Json items = Json::Array();
    for (const auto& item : node) items.Append(ToJson(item));
    return items;
  }
  Json object = Json::Object();
  if (!node.IsMap()) return Json();
  for (const auto& member : node) object.Set(member.first.Scalar(), ToJson(member.second));
  return object;
}

std::string Join(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

void Collect(const Json& schema, const Json& value, const Leaf& here, std::vector<Leaf>& found) {
  if (schema["properties"].IsObject() || schema.Contains("additionalProperties")) {
    for (const auto& [key, member] : value.Members()) {
      const Json* known = schema["properties"].Find(key);
      if (!known) known = schema.Find("additionalProperties");
      if (!known) throw std::runtime_error("no schema for " + Join(here.schema_path, key));
      Leaf below = here;
      below.path.emplace_back(key);
      bool is_map = schema.Contains("additionalProperties");
      below.schema_path = Join(here.schema_path, is_map ? "*" : key);
      Collect(*known, member, below, found);
    }
  } else if (schema["type"].AsString() == "array") {
    for (size_t i = 0; i < value.Size(); ++i) {
      Leaf below = here;
      below.path.emplace_back(i);
      below.schema_path += "[]";
      Collect(schema["items"], value[i], below, found);
    }
  } else {
    found.push_back(here);
    found.back().schema = &schema;
  }
}

void CollectSchema(const Json& schema, const std::string& path, std::set<std::string>& found) {
  if (schema.Contains("additionalProperties")) {
    CollectSchema(schema["additionalProperties"], Join(path, "*"), found);
  } else if (schema["type"].AsString() == "array") {
    CollectSchema(schema["items"], path + "[]", found);
  } else if (schema["type"].AsString() == "object") {
    for (const auto& [key, property] : schema["properties"].Members())
      CollectSchema(property, Join(path, key), found);
  } else {
    found.insert(path);
  }
}

std::string ScalarViolations(const Json& schema, const Json& value, const std::string& path) {
  const std::string& type = schema["type"].StringRef();
  std::string found;
  bool type_fits = type == "string"    ? value.IsString()
                   : type == "integer" ? value.IsInt()
                                       : type == "boolean" && value.IsBool();
  if (!type_fits) return path + ": is no " + type + "\n";
  if (schema.Contains("enum")) {
    bool listed = false;
    for (const Json& choice : schema["enum"].Items()) listed |= choice == value;
    if (!listed) found += path + ": not in the enum: " + value.Dump() + "\n";
  }
  if (schema["format"].AsString() == "date-time" && !ParseTime(value.StringRef()))
    found += path + ": is no time\n";
  if (static_cast<int64_t>(value.StringRef().size()) > schema["maxLength"].AsInt(INT64_MAX))
    found += path + ": too long\n";
  if (static_cast<int64_t>(value.StringRef().size()) < schema["minLength"].AsInt(0))
    found += path + ": too short\n";
  if (value.IsInt() && value.AsInt() < schema["minimum"].AsInt(INT64_MIN))
    found += path + ": too small\n";
  if (value.IsInt() && value.AsInt() > schema["maximum"].AsInt(INT64_MAX))
    found += path + ": too big\n";
  return found;
}

std::string ObjectViolations(const Json& schema, const Json& value, const std::string& path) {
  std::string found;
  for (const Json& key : schema["required"].Items())
    if (!value.Contains(key.StringRef())) found += Join(path, key.StringRef()) + ": missing\n";
  for (const auto& [key, member] : value.Members()) {
    const Json* property = schema["properties"].Find(key);
    found +=
        property ? Violations(*property, member, Join(path, key)) : Join(path, key) + ": unknown\n";
  }
  return found;
}

}  // namespace

std::vector<Json> LoadYaml(const std::string& path) {
  std::vector<Json> documents;
  for (const YAML::Node& node : YAML::LoadAllFromFile(path)) documents.push_back(ToJson(node));
  return documents;
}

Json LoadCrd(const std::string& plural) {
  return LoadYaml("crds/" + plural + ".cutover.dev.yaml").at(0);
}

Json LoadSchema(const std::string& plural) {
  return LoadCrd(plural)["spec"]["versions"].Items()[0]["schema"]["openAPIV3Schema"];
}

std::vector<Leaf> Leaves(const Json& schema, const Json& value, const std::string& schema_path) {
  std::vector<Leaf> found;
  Collect(schema, value, Leaf{{}, schema_path, &schema}, found);
  return found;
}

std::set<std::string> SchemaLeaves(const Json& schema, const std::string& schema_path) {
  std::set<std::string> found;
  CollectSchema(schema, schema_path, found);
  return found;
}

Json& At(Json& root, const Leaf& leaf) {
  Json* place = &root;
  for (const auto& step : leaf.path)
    place = std::holds_alternative<size_t>(step) ? &place->MutableAt(std::get<size_t>(step))
                                                 : &place->MutableAt(std::get<std::string>(step));
  return *place;
}

void RemoveAt(Json& root, const Leaf& leaf) {
  Leaf parent = leaf;
  parent.path.pop_back();
  At(root, parent).Remove(std::get<std::string>(leaf.path.back()));
}

std::string Violations(const Json& schema, const Json& value, const std::string& path) {
  const std::string& type = schema["type"].StringRef();
  if (type == "object") return ObjectViolations(schema, value, path);
  if (type != "array") return ScalarViolations(schema, value, path);
  std::string found;
  if (static_cast<int64_t>(value.Size()) > schema["maxItems"].AsInt(INT64_MAX))
    found += path + ": too many items\n";
  for (const Json& item : value.Items()) found += Violations(schema["items"], item, path + "[]");
  return found;
}

}  // namespace cutover::api::testing
