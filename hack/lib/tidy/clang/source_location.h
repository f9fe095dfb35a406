// SPDX-License-Identifier: Apache-2.0
#pragma once

// For clang-tidy only, see hack/tidy. Clang before 16 lacks the builtin that libstdc++'s header
// wants, and libstdc++ then declares nothing.
#include <cstdint>

#if !__has_builtin(__builtin_source_location)
namespace std {
struct source_location {
  static constexpr source_location current(const char* file = __builtin_FILE(),
                                           const char* function = __builtin_FUNCTION(),
                                           uint_least32_t line = __builtin_LINE()) noexcept {
    return {file, function, line};
  }
  constexpr const char* file_name() const noexcept { return file; }
  constexpr const char* function_name() const noexcept { return function; }
  constexpr uint_least32_t line() const noexcept { return line_number; }

  const char* file = "";
  const char* function = "";
  uint_least32_t line_number = 0;
};
}  // namespace std
#endif
