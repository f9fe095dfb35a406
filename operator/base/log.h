// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "operator/base/result.h"

namespace cutover {

/// One key and its value, already rendered as JSON text.
struct LogField {
  template <class T>
  LogField(std::string_view field_key, const T& value) : key(field_key) {
    if constexpr (std::is_same_v<T, bool>)
      json = value ? "true" : "false";
    else if constexpr (std::is_arithmetic_v<T>)
      json = std::to_string(value);
    else
      json = Quote(std::string_view(value));
  }
  static std::string Quote(std::string_view text);

  std::string key;
  std::string json;
};
using LogFields = std::initializer_list<LogField>;

/// One JSON line each on standard error: {"ts","level","msg", context…, fields…}. The message is a
/// constant; what varies goes into fields. Never pass a secret: there is no redaction to save you.
/// Thread-safe; lines never interleave.
void LogDebug(std::string_view message, LogFields fields = {});
void LogInfo(std::string_view message, LogFields fields = {});
void LogWarn(std::string_view message, LogFields fields = {});
void LogError(std::string_view message, LogFields fields = {});

/// Logs an error once, where it is handled: reason, message, disposition and where it came from.
void LogError(std::string_view message, const Error& error);

/// "debug", "info", "warn", "error" or "off"; anything else leaves the level and returns false.
bool SetLogLevel(std::string_view level);

/// Adds fields to every line of the current thread until the end of the scope. Scopes nest.
class LogContext {
 public:
  explicit LogContext(LogFields fields);
  ~LogContext();
  LogContext(const LogContext&) = delete;
  LogContext& operator=(const LogContext&) = delete;

 private:
  size_t previous_size_;
};

}  // namespace cutover
