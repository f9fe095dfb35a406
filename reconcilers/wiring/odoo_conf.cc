// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/odoo_conf.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <vector>

namespace cutover::wiring {
namespace {

constexpr std::string_view kHost = "db_host", kPort = "db_port", kUser = "db_user",
                           kPassword = "db_password", kReplicaHost = "db_replica_host",
                           kReplicaPort = "db_replica_port";
constexpr std::array kConnectionKeys{kHost, kPort, kUser, kPassword, kReplicaHost, kReplicaPort};

constexpr std::string_view kSpaces = " \t\f\v";
constexpr size_t kNone = std::numeric_limits<size_t>::max();

// One physical line, as RawConfigParser understands it.
struct Line {
  enum class Kind { kOther, kSection, kKey, kContinuation };

  std::string_view text;  // Without its end.
  std::string_view end;   // "\n", "\r\n", "\r", or nothing at the end of the file.
  Kind kind = Kind::kOther;
  std::string section;     // The section this line is in, or begins.
  std::string key;         // In lower case; of the owner for a continuation.
  size_t owner = kNone;    // Index of the key's line, for key and continuation.
  size_t value_begin = 0;  // [begin, end) in `text`.
  size_t value_end = 0;
};

using Lines = std::vector<Line>;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

std::string_view Strip(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

std::string_view IndentationOf(std::string_view text) {
  return text.substr(0, std::min(text.find_first_not_of(kSpaces), text.size()));
}

Lines SplitLines(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const size_t length = std::min(text.find_first_of("\r\n"), text.size());
    size_t end_length = length < text.size() ? 1 : 0;
    if (text.substr(length, 2) == "\r\n") end_length = 2;
    Line line;
    line.text = text.substr(0, length);
    line.end = text.substr(length, end_length);
    lines.push_back(std::move(line));
    text.remove_prefix(length + end_length);
  }
  return lines;
}

bool IsConnectionKey(std::string_view key) {
  return std::find(kConnectionKeys.begin(), kConnectionKeys.end(), key) != kConnectionKeys.end();
}

// Finds `option = value` in a line that is neither blank nor comment nor section.
void ParseKey(size_t index, Line& line) {
  const size_t delimiter = line.text.find_first_of("=:");
  if (delimiter == std::string_view::npos) return;
  const std::string_view key = Strip(line.text.substr(0, delimiter));
  if (key.empty()) return;
  line.kind = Line::Kind::kKey;
  line.key = Lower(key);
  line.owner = index;
  line.value_begin =
      std::min(line.text.find_first_not_of(kSpaces, delimiter + 1), line.text.size());
  line.value_end = std::max(line.value_begin, line.text.find_last_not_of(kSpaces) + 1);
}

// The same decisions in the same order as RawConfigParser._read, whose rule for continuation lines
// (deeper than the line of the key) decides which lines belong together.
Lines ParseLines(std::string_view text) {
  Lines lines = SplitLines(text);
  std::string section;
  bool in_section = false;
  size_t owner = kNone;
  size_t key_indent = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    Line& line = lines[i];
    line.section = section;
    const std::string_view value = Strip(line.text);
    if (value.empty() || value.front() == '#' || value.front() == ';') continue;
    const size_t indent = IndentationOf(line.text).size();
    if (in_section && owner != kNone && indent > key_indent) {
      line.kind = Line::Kind::kContinuation;
      line.owner = owner;
      line.key = lines[owner].key;
      continue;
    }
    key_indent = indent;
    const size_t bracket = value.rfind(']');
    if (value.front() == '[' && bracket != std::string_view::npos && bracket > 1) {
      line.kind = Line::Kind::kSection;
      line.section = section = std::string(value.substr(1, bracket - 1));
      in_section = true;
      owner = kNone;
      continue;
    }
    ParseKey(i, line);
    if (line.kind == Line::Kind::kKey) owner = i;
  }
  return lines;
}

bool InOptions(const Line& line) { return line.section == "options"; }

// The value as it stands in the file, of the last occurrence in `section`.
std::optional<std::string> RawValue(const Lines& lines, std::string_view section,
                                    std::string_view key) {
  std::optional<std::string> value;
  for (const Line& line : lines) {
    if (line.section != section || line.key != key) continue;
    if (line.kind == Line::Kind::kKey)
      value = line.text.substr(line.value_begin, line.value_end - line.value_begin);
    else if (line.kind == Line::Kind::kContinuation)
      *value += "\n" + std::string(Strip(line.text));
  }
  return value;
}

// What the key means to Odoo.
std::optional<std::string> Meaning(const Lines& lines, std::string_view key) {
  std::optional<std::string> value = RawValue(lines, "options", key);
  if (!value) value = RawValue(lines, "DEFAULT", key);
  if (!value) return std::nullopt;
  const std::string lower = Lower(*value);
  if (lower.empty() || lower == "false" || lower == "none") return std::nullopt;
  return value;
}

// What is to happen to one key of [options].
struct Change {
  std::optional<std::string> value;  // Nothing: the key's lines are removed.
  bool add_when_absent = false;
};
using Changes = std::map<std::string_view, Change>;

bool CanBeWritten(const std::string& value) {
  return !value.empty() && value.find_first_of("\r\n") == std::string::npos &&
         Strip(value).size() == value.size();
}

std::string EditedLine(const Line& line, const std::string& value) {
  std::string edited(line.text.substr(0, line.value_begin));
  // "db_host =" gets the space that its author would have typed.
  const bool bare = line.value_begin == line.value_end && !edited.empty() &&
                    (edited.back() == '=' || edited.back() == ':');
  if (bare && edited.size() > 1 && kSpaces.find(edited[edited.size() - 2]) != kSpaces.npos)
    edited += ' ';
  edited += value;
  edited += line.text.substr(line.value_end);
  return edited;
}

// Where new keys go: after the last connection key of [options] with all that belongs to it, else
// after the section's header. kNone when there is no such section.
size_t FindAnchor(const Lines& lines) {
  size_t anchor = kNone;
  bool at_key = false;
  for (size_t i = 0; i < lines.size(); ++i) {
    const Line& line = lines[i];
    if (!InOptions(line)) continue;
    if (line.kind == Line::Kind::kSection && !at_key) anchor = i;
    if (line.owner != kNone && IsConnectionKey(line.key)) {
      anchor = i;
      at_key = true;
    }
  }
  return anchor;
}

// New keys stand as deep as their neighbours: a key that is less deep would make the indented keys
// after it part of its own value.
std::string_view IndentationAt(const Lines& lines, size_t anchor) {
  if (lines[anchor].owner != kNone) return IndentationOf(lines[lines[anchor].owner].text);
  for (size_t i = anchor + 1; i < lines.size() && InOptions(lines[i]); ++i)
    if (lines[i].kind == Line::Kind::kKey) return IndentationOf(lines[i].text);
  return {};
}

std::vector<std::string> AddedKeys(const Lines& lines, const Changes& changes) {
  std::vector<std::string> added;
  for (std::string_view key : kConnectionKeys) {
    auto change = changes.find(key);
    if (change == changes.end() || !change->second.value || !change->second.add_when_absent)
      continue;
    if (!RawValue(lines, "options", key))
      added.push_back(std::string(key) + " = " + *change->second.value);
  }
  return added;
}

std::string Rewrite(std::string_view text, const Changes& changes) {
  const Lines lines = ParseLines(text);
  const std::vector<std::string> added = AddedKeys(lines, changes);
  const size_t anchor = FindAnchor(lines);
  std::string end = "\n";
  if (!lines.empty() && !lines.front().end.empty()) end = lines.front().end;
  // Where ends are mixed, a neighbour's: "\r" in front of a line of just "\n" would make one of
  // two.
  if (anchor != kNone && !lines[anchor].end.empty()) end = lines[anchor].end;

  std::string result;
  result.reserve(text.size() + 128);
  for (size_t i = 0; i < lines.size(); ++i) {
    const Line& line = lines[i];
    auto change = changes.end();
    if (InOptions(line) && line.owner != kNone) change = changes.find(line.key);
    if (change == changes.end()) {
      result.append(line.text).append(line.end);
    } else if (change->second.value && line.kind == Line::Kind::kKey) {
      result.append(EditedLine(line, *change->second.value)).append(line.end);
    }
    if (i != anchor) continue;
    const std::string_view indentation = IndentationAt(lines, anchor);
    // A last line without an end stays the last line's manner. What was written counts: the file's
    // own last line may have gone with the value that it continued.
    const bool unended = !result.empty() && result.back() != '\n' && result.back() != '\r';
    for (const std::string& key : added) {
      if (unended)
        result.append(end).append(indentation).append(key);
      else
        result.append(indentation).append(key).append(end);
    }
  }
  if (anchor == kNone && !added.empty()) {
    if (!lines.empty() && lines.back().end.empty()) result += end;
    result += "[options]" + end;
    for (const std::string& key : added) result += key + end;
  }
  return result;
}

// In a file that Odoo itself cannot read, a line that is no `key = value` may swallow what stands
// after it. So an edit is read back rather than believed.
bool SaysSo(std::string_view edited, const Changes& changes, std::string_view before) {
  const Lines now = ParseLines(edited), then = ParseLines(before);
  return std::all_of(changes.begin(), changes.end(), [&](const auto& item) {
    const auto& [key, change] = item;
    bool expected = change.add_when_absent || RawValue(then, "options", key).has_value();
    return RawValue(now, "options", key) == (expected ? change.value : std::nullopt);
  });
}

bool IsConnectionLine(const Line& line) {
  return InOptions(line) && line.owner != kNone && IsConnectionKey(line.key);
}

// The text without the lines of connection keys, for comparison; also without the header of a
// section that holds nothing else, since an edit may have made it.
std::string WithoutConnection(const Lines& lines) {
  const bool holds_more = std::any_of(lines.begin(), lines.end(), [](const Line& line) {
    return InOptions(line) && line.kind != Line::Kind::kSection && !IsConnectionLine(line);
  });
  std::string rest;
  for (const Line& line : lines) {
    const bool bare_header = InOptions(line) && line.kind == Line::Kind::kSection && !holds_more;
    if (IsConnectionLine(line) || bare_header) continue;
    rest.append(line.text).append(line.end);
  }
  while (!rest.empty() && (rest.back() == '\n' || rest.back() == '\r')) rest.pop_back();
  return rest;
}

}  // namespace

OdooConnection ReadOdooConf(std::string_view text) {
  const Lines lines = ParseLines(text);
  return OdooConnection{Meaning(lines, kHost),        Meaning(lines, kPort),
                        Meaning(lines, kUser),        Meaning(lines, kPassword),
                        Meaning(lines, kReplicaHost), Meaning(lines, kReplicaPort)};
}

Result<std::string> EditOdooConf(std::string_view text, const OdooConfEdit& edit) {
  const std::string port = std::to_string(edit.port);
  Changes changes;
  changes[kHost] = {edit.host, true};
  changes[kPort] = {port, true};
  if (!edit.user.empty()) changes[kUser] = {edit.user, false};
  if (edit.password) changes[kPassword] = {*edit.password, true};

  const OdooConnection present = ReadOdooConf(text);
  if (present.replica_host) {
    changes[kReplicaHost] = {edit.host, true};
    changes[kReplicaPort] = {port, edit.port != 5432 || present.replica_port.has_value()};
  }
  for (const auto& [key, change] : changes)
    if (!CanBeWritten(*change.value))
      return TerminalError("InvalidValue", "the value for " + std::string(key) +
                                               " cannot be written into an odoo.conf: it is empty, "
                                               "has a line break, or a space at an end");
  std::string edited = Rewrite(text, changes);
  if (!SaysSo(edited, changes, text))
    return TerminalError(
        "UnreadableOdooConf",
        "the odoo.conf cannot be edited, since Odoo could not read it either: make "
        "each line of [options] a `key = value`, a comment, or an indented "
        "continuation");
  return edited;
}

std::string RestoreOdooConf(std::string_view current, std::string_view original) {
  const Lines was = ParseLines(original);
  if (WithoutConnection(ParseLines(current)) == WithoutConnection(was))
    return std::string(original);
  Changes changes;
  for (std::string_view key : kConnectionKeys) {
    std::optional<std::string> value = RawValue(was, "options", key);
    changes[key] = {value, value.has_value()};
  }
  return Rewrite(current, changes);
}

}  // namespace cutover::wiring
