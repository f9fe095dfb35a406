// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/conditions.h"
#include "operator/api/enum_names.h"
#include "operator/api/meta.h"
#include "operator/base/json.h"

namespace cutover::api {

/// Reads the fields of one JSON object: strict about types, silent about fields it is not asked
/// for, so that an operator understands objects of a newer schema. null counts as absent.
///
/// The first field that is not what it must be is remembered as a terminal error "InvalidObject"
/// whose message begins with the field's path, and reading goes on with the field's fallback. So a
/// decoder reads straight through and looks at `Failure()` once, at its end. Readers of nested
/// objects share the failure of the reader they came from, which must outlive them. Not
/// thread-safe.
class FieldReader {
 public:
  explicit FieldReader(const Json& object) : FieldReader(object, "", nullptr) {}
  FieldReader(const FieldReader&) = delete;
  FieldReader& operator=(const FieldReader&) = delete;

  bool Has(std::string_view key) const { return !value_[key].IsNull(); }
  /// Where the field `key` of this object is, as `kubectl explain` names it: "spec.copy.jobs".
  std::string PathOf(std::string_view key) const;

  std::string String(std::string_view key, std::string_view fallback = "");
  /// A string that must be there and not be empty.
  std::string RequiredString(std::string_view key);
  bool Bool(std::string_view key, bool fallback = false);
  int64_t Int(std::string_view key, int64_t fallback = 0);
  /// A count or a duration of a spec: not negative, and within int.
  int Count(std::string_view key, int fallback);
  std::optional<WallTime> Time(std::string_view key);
  std::vector<std::string> Strings(std::string_view key);
  std::map<std::string, std::string> StringMap(std::string_view key);

  template <class E, size_t N>
  E Enum(std::string_view key, const EnumNames<E, N>& names, E fallback) {
    return Has(key) ? EnumValue(key, String(key), names, fallback) : fallback;
  }
  template <class E, size_t N>
  std::vector<E> Enums(std::string_view key, const EnumNames<E, N>& names) {
    std::vector<E> values;
    for (const std::string& name : Strings(key))
      values.push_back(EnumValue(key, name, names, names.front().first));
    return values;
  }

  /// A field with a single admissible value so far: anything else fails with `remedy`.
  void Expect(std::string_view key, std::string_view only, std::string_view remedy);

  /// The nested object; an empty one when it is absent.
  FieldReader Object(std::string_view key);
  /// The nested object, which must be there.
  FieldReader RequiredObject(std::string_view key);
  /// Calls `read` with a reader for each item of a list of objects, in order.
  void ForEach(std::string_view key, const std::function<void(FieldReader&)>& read);

  /// Remembers a failure about field `key`, unless there is one already.
  void Fail(std::string_view key, std::string_view problem);
  /// Ok, or the first failure of this reader's family.
  Status Failure() const { return *failure_; }

 private:
  FieldReader(const Json& value, std::string path, Status* shared_failure)
      : value_(value),
        path_(std::move(path)),
        failure_(shared_failure ? shared_failure : &own_failure_) {}

  const Json& ObjectValue(std::string_view key);

  template <class E, size_t N>
  E EnumValue(std::string_view key, const std::string& name, const EnumNames<E, N>& names,
              E fallback) {
    if (std::optional<E> value = ValueIn(names, name)) return *value;
    std::string problem = "\"" + name + "\" is not one of";
    for (const auto& [value, known] : names) (problem += ' ') += known;
    Fail(key, problem);
    return fallback;
  }

  const Json& value_;
  const std::string path_;
  Status own_failure_;
  Status* const failure_;
};

/// The decoders of what all kinds have in common.
ObjectMeta ReadMeta(FieldReader object);
Conditions ReadConditions(FieldReader& status);

/// Fails unless `object` is of the given kind of this API.
void ExpectKind(FieldReader& object, std::string_view kind);

}  // namespace cutover::api
