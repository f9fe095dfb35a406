// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "operator/base/check.h"

namespace cutover::api {

/// The names that an enumeration's values have in the API, in the order of the CRD.
template <class E, size_t N>
using EnumNames = std::array<std::pair<E, std::string_view>, N>;

/// `value`'s name. Every value of an enumeration must be in its table.
template <class E, size_t N>
std::string_view NameIn(const EnumNames<E, N>& names, E value) {
  for (const auto& [named, name] : names)
    if (named == value) return name;
  CHECK(!"an enumerator is missing from its table of names");
  return "";
}

template <class E, size_t N>
std::optional<E> ValueIn(const EnumNames<E, N>& names, std::string_view name) {
  for (const auto& [value, known] : names)
    if (known == name) return value;
  return std::nullopt;
}

}  // namespace cutover::api
