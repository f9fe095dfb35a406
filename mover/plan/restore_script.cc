// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/restore_script.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "mover/plan/not_null_clauses.h"

namespace cutover::mover {
namespace {

constexpr std::string_view kMarker = "-- TOC entry ";

/// Takes `prefix` off the front of `text`, if it is there.
bool Eat(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

template <class Number>
bool EatNumber(std::string_view& text, Number& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

std::string_view NextLine(std::string_view& text) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/// "-- Name: a; Type: TABLE; Schema: public; Owner: b". A name may hold "; Type: " itself, hence
/// the search from the right.
bool ParseNameLine(std::string_view line, RestoreItem& item) {
  if (!Eat(line, "-- Name: ")) return false;
  const size_t owner = line.rfind("; Owner: ");
  const size_t schema = line.rfind("; Schema: ", owner);
  const size_t type = line.rfind("; Type: ", schema);
  if (type == std::string_view::npos || schema == std::string_view::npos ||
      owner == std::string_view::npos)
    return false;
  item.name = line.substr(0, type);
  item.type = line.substr(type + 8, schema - type - 8);
  item.schema = line.substr(schema + 10, owner - schema - 10);
  item.owner = line.substr(owner + 9);
  return true;
}

/// The announcement of an entry, from its line "-- TOC entry …" to the closing "--"; moves `text`
/// behind it. Nothing, and `text` unmoved, when this is no announcement.
std::optional<RestoreItem> ParseAnnouncement(std::string_view& text, const std::set<int>& known) {
  std::string_view rest = text;
  std::string_view line = NextLine(rest);
  RestoreItem item;
  if (!Eat(line, kMarker) || !EatNumber(line, item.dump_id) || !known.contains(item.dump_id) ||
      !Eat(line, " (class ") || !EatNumber(line, item.class_oid) || !Eat(line, " OID ") ||
      !EatNumber(line, item.object_oid))
    return std::nullopt;
  line = NextLine(rest);
  if (Eat(line, "-- Dependencies:")) {
    int id = 0;
    while (Eat(line, " ") && EatNumber(line, id)) item.depends_on.push_back(id);
    line = NextLine(rest);
  }
  if (!ParseNameLine(line, item)) return std::nullopt;
  while (!rest.empty() && NextLine(rest) != "--") {
  }
  text = rest;
  return item;
}

/// pg_dump names a random token in "\restrict TOKEN"; the script ends with "\unrestrict TOKEN".
std::string_view WithoutUnrestrict(std::string_view script) {
  const size_t at = script.find("\n\\restrict ");
  if (at == std::string_view::npos) return script;
  std::string_view rest = script.substr(at + 11);
  const std::string closing = "\n\\unrestrict " + std::string(NextLine(rest));
  const size_t end = script.rfind(closing);
  return end == std::string_view::npos ? script : script.substr(0, end);
}

/// The script's closing comment belongs to no entry.
std::string_view WithoutClosing(std::string_view script) {
  const size_t closing = script.rfind("\n--\n-- PostgreSQL database dump complete\n");
  if (closing == std::string_view::npos) return script;
  script = script.substr(0, closing + 1);
  const size_t completed = script.rfind("\n-- Completed on ");
  if (completed == std::string_view::npos || script.find('\n', completed + 1) + 2 < script.size())
    return script;
  return script.substr(0, completed + 1);
}

/// Where the next announcement may start: the line after a "--" line. npos when there is none.
size_t FindMarker(std::string_view text, size_t from) {
  constexpr std::string_view kOpening = "\n--\n-- TOC entry ";
  const size_t at = text.find(kOpening, from);
  return at == std::string_view::npos ? at : at + 4;
}

}  // namespace

std::string RestoreItem::Describe() const {
  return type + " " + (schema == "-" || schema.empty() ? name : schema + "." + name);
}

Result<std::set<int>> ParseTocIds(std::string_view listing) {
  std::set<int> ids;
  if (listing.find("; Archive created at ") == std::string_view::npos)
    return TerminalError("ArchiveUnreadable",
                         "pg_restore printed no table of contents; the archive is damaged");
  while (!listing.empty()) {
    std::string_view line = NextLine(listing);
    if (line.empty() || line.front() == ';') continue;
    int id = 0;
    if (!EatNumber(line, id) || !Eat(line, "; "))
      return TerminalError("ArchiveUnreadable",
                           "pg_restore's table of contents has a line of unknown form; use the "
                           "client programs of a supported PostgreSQL major");
    ids.insert(id);
  }
  return ids;
}

Result<RestoreScript> SplitScript(std::string_view script, const std::set<int>& known) {
  script = WithoutClosing(WithoutUnrestrict(script));
  RestoreScript split;
  size_t from = 0, body_start = 0;
  // What stands before an announcement belongs to the entry before it, or to the preamble.
  auto close = [&](size_t end) {
    std::string_view text = script.substr(body_start, end - body_start);
    if (split.items.empty())
      split.preamble = text;
    else
      split.items.back().sql = WithoutNotNullClauses(WithoutAttributeVersions(std::string(text)));
  };
  for (size_t at = FindMarker(script, 0); at != std::string_view::npos;
       at = FindMarker(script, from)) {
    std::string_view rest = script.substr(at);
    std::optional<RestoreItem> item = ParseAnnouncement(rest, known);
    from = at;
    if (!item) continue;
    close(at - 3);
    split.items.push_back(std::move(*item));
    body_start = script.size() - rest.size();
    from = body_start == 0 ? 0 : body_start - 1;
  }
  close(script.size());
  if (split.preamble.find("PostgreSQL database dump") == std::string::npos)
    return TerminalError("ArchiveUnreadable",
                         "pg_restore printed no script; the archive is damaged");
  return split;
}

std::string WithoutAttributeVersions(std::string sql) {
  constexpr std::string_view kOption = "pg_attver=";
  for (size_t at = sql.find(kOption); at != std::string::npos; at = sql.find(kOption, at)) {
    size_t end = at + kOption.size();
    while (end < sql.size() &&
           (std::isdigit(static_cast<unsigned char>(sql[end])) || sql[end] == '\''))
      ++end;
    const bool first = sql.compare(at - std::min<size_t>(at, 5), 5, "SET (") == 0;
    if (first && sql.compare(end, 3, ");\n") == 0) {
      // The only option: the whole statement goes, from the end of the one before it.
      const size_t before = sql.rfind(";\nALTER ", at);
      const size_t start = before == std::string::npos ? sql.find("ALTER ") : before + 2;
      if (start == std::string::npos || start > at) {
        at = end;
        continue;
      }
      sql.erase(start, end + 3 - start);
      at = start;
    } else if (first && sql.compare(end, 2, ", ") == 0) {
      sql.erase(at, end + 2 - at);
    } else if (at >= 2 && sql.compare(at - 2, 2, ", ") == 0) {
      sql.erase(at - 2, end - (at - 2));
    } else {
      at = end;  // A tenant's own text.
    }
  }
  return sql;
}

}  // namespace cutover::mover
