// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "operator/base/result.h"

namespace cutover {

/// An owning JSON value with value semantics, for building and reading Kubernetes objects.
/// Objects keep insertion order. Integers are exact within int64; larger ones become doubles.
/// Reading something absent yields a null value instead of failing, so that an optional field is
/// one expression: `object["spec"]["replicas"].AsInt(1)`. Parsing and writing are RapidJSON's.
/// Thread-safe as a std::string is.
class Json {
 public:
  using Member = std::pair<std::string, Json>;
  using ArrayType = std::vector<Json>;
  using ObjectType = std::vector<Member>;

  Json() = default;  ///< null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(int value) : value_(static_cast<int64_t>(value)) {}
  Json(unsigned value) : value_(static_cast<int64_t>(value)) {}
  Json(long value) : value_(static_cast<int64_t>(value)) {}
  Json(long long value) : value_(static_cast<int64_t>(value)) {}
  Json(unsigned long value) : value_(static_cast<int64_t>(value)) {}
  Json(double value) : value_(value) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}

  static Json Object(std::initializer_list<Member> members = {}) {
    Json made;
    made.value_ = ObjectType(members);
    return made;
  }
  static Json Array(std::initializer_list<Json> items = {}) { return ArrayOf(ArrayType(items)); }
  static Json ArrayOf(ArrayType items) {
    Json made;
    made.value_ = std::move(items);
    return made;
  }
  static Json ArrayOf(const std::vector<std::string>& items) {
    return ArrayOf(ArrayType(items.begin(), items.end()));
  }

  /// Parses one UTF-8 JSON text. Terminal error with reason "InvalidJson" and the offset.
  static Result<Json> Parse(std::string_view text);
  std::string Dump() const;
  std::string DumpPretty() const;

  bool IsNull() const { return std::holds_alternative<std::monostate>(value_); }
  bool IsBool() const { return std::holds_alternative<bool>(value_); }
  bool IsInt() const { return std::holds_alternative<int64_t>(value_); }
  bool IsNumber() const { return IsInt() || std::holds_alternative<double>(value_); }
  bool IsString() const { return std::holds_alternative<std::string>(value_); }
  bool IsArray() const { return std::holds_alternative<ArrayType>(value_); }
  bool IsObject() const { return std::holds_alternative<ObjectType>(value_); }

  bool AsBool(bool fallback = false) const;
  int64_t AsInt(int64_t fallback = 0) const;
  double AsDouble(double fallback = 0) const;
  std::string AsString(std::string_view fallback = "") const;
  /// The string itself, or an empty one; valid as long as this value is unchanged.
  const std::string& StringRef() const;

  /// The member's value, or nullptr when this is no object or has no such member.
  const Json* Find(std::string_view key) const;
  bool Contains(std::string_view key) const { return Find(key) != nullptr; }
  /// The member's value, or null.
  const Json& operator[](std::string_view key) const;
  const Json& operator[](const char* key) const { return (*this)[std::string_view(key)]; }
  /// The item's value, or null.
  const Json& operator[](size_t index) const;
  /// `At({"metadata", "name"})`: the value below a path of keys, or null.
  const Json& At(std::initializer_list<std::string_view> path) const;

  /// Items of an array, members of an object; empty for anything else.
  const ArrayType& Items() const;
  const ObjectType& Members() const;
  size_t Size() const { return IsArray() ? Items().size() : Members().size(); }
  bool Empty() const { return Size() == 0; }

  /// Sets a member, replacing one of the same key in place. A null value becomes an object first.
  Json& Set(std::string_view key, Json value);
  /// The member for change, created as null when absent. A null value becomes an object first.
  Json& MutableAt(std::string_view key);
  Json& MutableAt(size_t index);
  void Remove(std::string_view key);
  /// Appends to an array. A null value becomes an array first.
  Json& Append(Json value);

  /// Deep equality; the order of an object's members does not matter.
  friend bool operator==(const Json& a, const Json& b);

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, ArrayType, ObjectType> value_;
};

}  // namespace cutover
