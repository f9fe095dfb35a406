// SPDX-License-Identifier: Apache-2.0
#include "cli/verbs/verb.h"

#include <cctype>

namespace cutover::cli {

Verb::Verb(CLI::App& app, const char* name, const char* purpose, const char* examples)
    : command_(app.add_subcommand(name, purpose)) {
  command_->footer(std::string("EXAMPLES\n") + examples);
  command_->fallthrough();  // --context and the like may come after the verb.
}

Result<std::chrono::seconds> ParseSpan(const std::string& text) {
  constexpr int64_t kSecondsMax = 366LL * 86400;
  int64_t total = 0, number = -1;
  for (const char c : text) {
    if (std::isdigit(static_cast<unsigned char>(c))) {
      number = std::min<int64_t>(std::max<int64_t>(number, 0) * 10 + (c - '0'), kSecondsMax);
      continue;
    }
    const int64_t unit = c == 's' ? 1 : c == 'm' ? 60 : c == 'h' ? 3600 : c == 'd' ? 86400 : 0;
    if (number < 0 || unit == 0) break;
    total = std::min(total + number * unit, kSecondsMax);
    number = -2;  // Another number, or the end.
  }
  if (number != -2)
    return TerminalError("InvalidArguments",
                         "\"" + text + "\" is no duration; write 90s, 10m, 2h or 1h30m");
  return std::chrono::seconds(total);
}

}  // namespace cutover::cli
