// SPDX-License-Identifier: Apache-2.0
#include "cli/view/log_lines.h"

#include <algorithm>
#include <sstream>

#include "cli/view/page.h"
#include "cli/view/words.h"

namespace cutover::cli {
namespace {

struct LogLine {
  std::string time, source, text;
};

bool Concerns(const Json& line, const MigrationView& migration) {
  if (!migration.meta.uid.empty() && line["migrationUID"].AsString() == migration.meta.uid)
    return true;
  return line["namespace"].AsString() == migration.meta.namespace_name &&
         line["name"].AsString() == migration.meta.name;
}

// "info: phase changed (from=Copying to=Finalizing)", without what every line of it would repeat.
std::string Readable(const Json& line) {
  std::string level, text, fields;
  for (const auto& [key, value] : line.Members()) {
    const std::string shown = value.IsString() ? value.StringRef() : value.Dump();
    if (key == "level")
      level = shown + ": ";
    else if (key == "message" || key == "msg")
      text += (text.empty() || shown.empty() ? "" : ": ") + shown;
    else if (key != "time" && key != "ts" && key != "namespace" && key != "name" &&
             key != "migrationUID" && key != "reconcileID" && key != "controller")
      fields += (fields.empty() ? "" : " ") + key + "=" + shown;
  }
  return level + text + (fields.empty() ? "" : " (" + fields + ")");
}

void AddLines(const LogSource& source, const MigrationView& migration,
              std::vector<LogLine>& lines) {
  std::stringstream stream(source.text);
  for (std::string raw; std::getline(stream, raw);) {
    const size_t space = raw.find(' ');
    if (space == std::string::npos) continue;
    LogLine line{raw.substr(0, space), source.name, raw.substr(space + 1)};
    const Result<Json> fields = Json::Parse(line.text);
    const bool structured = fields && fields->IsObject();
    if (source.shared && (!structured || !Concerns(*fields, migration))) continue;
    if (structured) line.text = Readable(*fields);
    lines.push_back(std::move(line));
  }
}

// Fractions of a second have any number of digits, so that texts do not compare as times do.
bool Earlier(const LogLine& a, const LogLine& b) {
  const auto time_a = ParseTime(a.time), time_b = ParseTime(b.time);
  return time_a && time_b ? *time_a < *time_b : a.time < b.time;
}

}  // namespace

std::string MergeLogs(const std::vector<LogSource>& sources, const MigrationView& migration) {
  std::vector<LogLine> lines;
  size_t width = 0;
  for (const LogSource& source : sources) {
    AddLines(source, migration, lines);
    width = std::max(width, Columns(source.name));
  }
  std::stable_sort(lines.begin(), lines.end(), Earlier);
  std::string text;
  for (const LogLine& line : lines) {
    const auto time = ParseTime(line.time);
    text += (time ? FormatMicroTime(*time) : line.time) + "  " + Pad(line.source, width) + "  " +
            Printable(line.text) + "\n";
  }
  return text;
}

}  // namespace cutover::cli
