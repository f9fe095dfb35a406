// SPDX-License-Identifier: Apache-2.0
#include "operator/base/log.h"

// Header-only on purpose, in this file only: see CMakeLists.txt.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <memory>

#include "operator/base/clock.h"

namespace cutover {
namespace {

thread_local std::vector<LogField> context;

spdlog::logger& Logger() {
  // Synchronous: measured no slower than spdlog's asynchronous mode, and it drops nothing.
  // Leaked, so that threads that outlive main may still log.
  static auto* logger = [] {
    auto* made = new spdlog::logger("cutover", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");  // The line is JSON that we escape ourselves; spdlog adds nothing.
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *logger;
}

void Append(std::string& line, const LogField& field) {
  line += ',';
  line += LogField::Quote(field.key);
  line += ':';
  line += field.json;
}

void Write(spdlog::level::level_enum level, std::string_view message, LogFields fields) {
  if (!Logger().should_log(level)) return;
  std::string line = "{\"ts\":\"" + FormatMicroTime(RealClock().WallNow()) + "\",\"level\":\"";
  auto name = spdlog::level::to_string_view(level);
  line.append(level == spdlog::level::warn ? "warn" : std::string(name.data(), name.size()));
  line += "\",\"msg\":" + LogField::Quote(message);
  for (const LogField& field : context) Append(line, field);
  for (const LogField& field : fields) Append(line, field);
  line += '}';
  Logger().log(level, "{}", line);
}

}  // namespace

std::string LogField::Quote(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

void LogDebug(std::string_view m, LogFields f) { Write(spdlog::level::debug, m, f); }
void LogInfo(std::string_view m, LogFields f) { Write(spdlog::level::info, m, f); }
void LogWarn(std::string_view m, LogFields f) { Write(spdlog::level::warn, m, f); }
void LogError(std::string_view m, LogFields f) { Write(spdlog::level::err, m, f); }

void LogError(std::string_view message, const Error& error) {
  std::string place = std::filesystem::path(error.where.file_name()).filename().string() + ":" +
                      std::to_string(error.where.line());
  LogError(message, {{"reason", error.reason},
                     {"error", error.message},
                     {"disposition", Name(error.disposition)},
                     {"where", place}});
}

bool SetLogLevel(std::string_view level) {
  if (level == "debug")
    Logger().set_level(spdlog::level::debug);
  else if (level == "info")
    Logger().set_level(spdlog::level::info);
  else if (level == "warn")
    Logger().set_level(spdlog::level::warn);
  else if (level == "error")
    Logger().set_level(spdlog::level::err);
  else if (level == "off")
    Logger().set_level(spdlog::level::off);
  else
    return false;
  return true;
}

LogContext::LogContext(LogFields fields) : previous_size_(context.size()) {
  context.insert(context.end(), fields.begin(), fields.end());
}

LogContext::~LogContext() {
  context.erase(context.begin() + static_cast<std::ptrdiff_t>(previous_size_), context.end());
}

}  // namespace cutover
