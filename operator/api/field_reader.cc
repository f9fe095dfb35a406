// SPDX-License-Identifier: Apache-2.0
#include "operator/api/field_reader.h"

#include <limits>

namespace cutover::api {
namespace {

const Json& EmptyObject() {
  static const auto* empty = new Json(Json::Object());
  return *empty;
}

}  // namespace

std::string FieldReader::PathOf(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

void FieldReader::Fail(std::string_view key, std::string_view problem) {
  if (!*failure_) return;
  *failure_ = TerminalError("InvalidObject", PathOf(key) + ": " + std::string(problem));
}

std::string FieldReader::String(std::string_view key, std::string_view fallback) {
  const Json& field = value_[key];
  if (!field.IsNull() && !field.IsString()) Fail(key, "must be a string");
  return field.AsString(fallback);
}

std::string FieldReader::RequiredString(std::string_view key) {
  std::string text = String(key);
  if (text.empty()) Fail(key, "must be set");
  return text;
}

bool FieldReader::Bool(std::string_view key, bool fallback) {
  const Json& field = value_[key];
  if (!field.IsNull() && !field.IsBool()) Fail(key, "must be true or false");
  return field.AsBool(fallback);
}

int64_t FieldReader::Int(std::string_view key, int64_t fallback) {
  const Json& field = value_[key];
  if (!field.IsNull() && !field.IsInt()) Fail(key, "must be an integer");
  return field.IsInt() ? field.AsInt() : fallback;
}

int FieldReader::Count(std::string_view key, int fallback) {
  int64_t value = Int(key, fallback);
  if (value >= 0 && value <= std::numeric_limits<int>::max()) return static_cast<int>(value);
  Fail(key, "must be between 0 and 2147483647");
  return fallback;
}

std::optional<WallTime> FieldReader::Time(std::string_view key) {
  if (!Has(key)) return std::nullopt;
  std::optional<WallTime> time = ParseTime(String(key));
  if (!time) Fail(key, "must be a time in RFC 3339, such as 2026-11-21T22:00:00Z");
  return time;
}

std::vector<std::string> FieldReader::Strings(std::string_view key) {
  const Json& field = value_[key];
  if (!field.IsNull() && !field.IsArray()) Fail(key, "must be a list");
  std::vector<std::string> strings;
  for (const Json& item : field.Items()) {
    if (!item.IsString()) Fail(key, "must be a list of strings");
    strings.push_back(item.AsString());
  }
  return strings;
}

std::map<std::string, std::string> FieldReader::StringMap(std::string_view key) {
  std::map<std::string, std::string> map;
  for (const auto& [name, value] : ObjectValue(key).Members()) {
    if (!value.IsString()) Fail(key, "must be a map of strings");
    map.emplace(name, value.AsString());
  }
  return map;
}

void FieldReader::Expect(std::string_view key, std::string_view only, std::string_view remedy) {
  if (String(key, only) != only) Fail(key, remedy);
}

const Json& FieldReader::ObjectValue(std::string_view key) {
  const Json& field = value_[key];
  if (field.IsObject()) return field;
  if (!field.IsNull()) Fail(key, "must be an object");
  return EmptyObject();
}

FieldReader FieldReader::Object(std::string_view key) {
  return FieldReader(ObjectValue(key), PathOf(key), failure_);
}

FieldReader FieldReader::RequiredObject(std::string_view key) {
  if (!Has(key)) Fail(key, "must be set");
  return Object(key);
}

void FieldReader::ForEach(std::string_view key, const std::function<void(FieldReader&)>& read) {
  const Json& field = value_[key];
  if (!field.IsNull() && !field.IsArray()) Fail(key, "must be a list");
  for (size_t i = 0; i < field.Items().size(); ++i) {
    std::string item = std::string(key) + "[" + std::to_string(i) + "]";
    if (!field.Items()[i].IsObject()) Fail(item, "must be an object");
    FieldReader reader(field.Items()[i], PathOf(item), failure_);
    read(reader);
  }
}

ObjectMeta ReadMeta(FieldReader object) {
  ObjectMeta meta;
  meta.name = object.RequiredString("name");
  meta.namespace_name = object.String("namespace");
  meta.uid = object.String("uid");
  meta.resource_version = object.String("resourceVersion");
  meta.generation = object.Int("generation");
  meta.creation_timestamp = object.Time("creationTimestamp");
  meta.deletion_timestamp = object.Time("deletionTimestamp");
  meta.finalizers = object.Strings("finalizers");
  meta.labels = object.StringMap("labels");
  meta.annotations = object.StringMap("annotations");
  return meta;
}

void ExpectKind(FieldReader& object, std::string_view kind) {
  // An item of a list carries neither: the list's own say what its items are.
  object.Expect("apiVersion", kApiVersion, "must be cutover.dev/v1alpha1");
  object.Expect("kind", kind, "must be " + std::string(kind));
}

}  // namespace cutover::api
