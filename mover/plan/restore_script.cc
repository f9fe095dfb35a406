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

/// pg_dump names a random token in "\\restrict TOKEN"; the script ends with "\\unrestrict TOKEN".
std::string_view WithoutUnrestrict(std::string_view text, std::string_view preamble) {
  const size_t at = preamble.find("\n\\restrict ");
  if (at == std::string_view::npos) return text;
  std::string_view rest = preamble.substr(at + 11);
  const std::string closing = "\n\\unrestrict " + std::string(NextLine(rest));
  const size_t end = text.rfind(closing);
  return end == std::string_view::npos ? text : text.substr(0, end);
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

constexpr std::string_view kOpening = "\n--\n-- TOC entry ";
constexpr std::string_view kClosing = "\n--\n";

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

void ScriptSplitter::Take(std::string_view piece) {
  text_.append(piece);
  size_t done = 0;  // Of the text, what entries have got.
  while (true) {
    const size_t at = text_.find(kOpening, searched_);
    if (at == std::string::npos) {
      searched_ = std::max(searched_, text_.size() - std::min(text_.size(), kOpening.size()));
      break;
    }
    searched_ = at;
    const size_t announcement = at + kOpening.size() - kMarker.size();
    if (text_.find(kClosing, announcement) == std::string::npos) break;  // It is not whole yet.
    std::string_view rest = std::string_view(text_).substr(announcement);
    std::optional<RestoreItem> item = ParseAnnouncement(rest, known_);
    searched_ = announcement;
    if (!item) continue;
    // What stands before an announcement belongs to the entry before it, or to the preamble.
    Close(std::string_view(text_).substr(body_, at + 1 - body_));
    item_ = std::move(item);
    body_ = text_.size() - rest.size();
    // The newline that ends one announcement may begin the next.
    done = searched_ = body_ - 1;
  }
  text_.erase(0, done);
  body_ -= done;
  searched_ -= done;
}

void ScriptSplitter::Close(std::string_view body) {
  if (!item_) {
    split_.preamble = body;
    return;
  }
  item_->sql = WithoutNotNullClauses(WithoutAttributeVersions(std::string(body)));
  if (on_item_)
    on_item_(std::move(*item_));
  else
    split_.items.push_back(std::move(*item_));
}

Result<RestoreScript> ScriptSplitter::Finish() {
  // The closing lines may follow an announcement at once: from the newline before the body on.
  const size_t from = body_ == 0 ? 0 : body_ - 1;
  std::string_view last = std::string_view(text_).substr(from);
  last = WithoutClosing(WithoutUnrestrict(last, item_ ? split_.preamble : last));
  last.remove_prefix(std::min(last.size(), body_ - from));
  Close(last);
  text_.clear();
  if (split_.preamble.find("PostgreSQL database dump") == std::string::npos)
    return TerminalError("ArchiveUnreadable",
                         "pg_restore printed no script; the archive is damaged");
  return std::move(split_);
}

Result<RestoreScript> SplitScript(std::string_view script, const std::set<int>& known) {
  ScriptSplitter splitter(known);
  splitter.Take(script);
  return splitter.Finish();
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
