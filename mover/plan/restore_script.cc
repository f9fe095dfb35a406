// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/restore_script.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "mover/plan/not_null_clauses.h"
#include "mover/plan/sql_tokens.h"

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

/// As the table of contents writes it behind the id. Where there is no owner the script has a "-".
bool IsAsListed(const RestoreItem& item, std::string_view listed) {
  const std::string start = std::to_string(item.class_oid) + " " + std::to_string(item.object_oid) +
                            " " + item.type + " " + item.schema + " " + item.name + " ";
  if (!Eat(listed, start)) return false;
  return listed == item.owner || (listed.empty() && item.owner == "-");
}

/// Where `label` stands, from the right, each of them with `from` the one before; npos at the end.
size_t LabelBefore(std::string_view line, std::string_view label, size_t from) {
  return from == 0 ? std::string_view::npos : line.rfind(label, from - 1);
}

/// "-- Name: a; Type: TABLE; Schema: public; Owner: b". A name or an owner may hold such labels
/// itself: of all readings the one that is `listed` counts, or else the first from the right.
bool ParseNameLine(std::string_view line, std::string_view listed, RestoreItem& item) {
  constexpr std::string_view kType = "; Type: ", kSchema = "; Schema: ", kOwner = "; Owner: ";
  constexpr size_t kNone = std::string_view::npos;
  if (!Eat(line, "-- Name: ")) return false;
  std::optional<RestoreItem> first;
  for (size_t owner = line.rfind(kOwner); owner != kNone; owner = LabelBefore(line, kOwner, owner))
    for (size_t schema = LabelBefore(line, kSchema, owner); schema != kNone;
         schema = LabelBefore(line, kSchema, schema))
      for (size_t type = LabelBefore(line, kType, schema); type != kNone;
           type = LabelBefore(line, kType, type)) {
        item.name = line.substr(0, type);
        item.type = line.substr(type + kType.size(), schema - type - kType.size());
        item.schema = line.substr(schema + kSchema.size(), owner - schema - kSchema.size());
        item.owner = line.substr(owner + kOwner.size());
        if (IsAsListed(item, listed)) return true;
        if (!first) first = item;
      }
  if (first) item = std::move(*first);
  return first.has_value();
}

/// The announcement of an entry, from its line "-- TOC entry …" to the closing "--"; moves `text`
/// behind it. Nothing, and `text` unmoved, when this is no announcement.
std::optional<RestoreItem> ParseAnnouncement(std::string_view& text,
                                             const TableOfContents& contents) {
  std::string_view rest = text;
  std::string_view line = NextLine(rest);
  RestoreItem item;
  if (!Eat(line, kMarker) || !EatNumber(line, item.dump_id) || !contents.contains(item.dump_id) ||
      !Eat(line, " (class ") || !EatNumber(line, item.class_oid) || !Eat(line, " OID ") ||
      !EatNumber(line, item.object_oid))
    return std::nullopt;
  line = NextLine(rest);
  if (Eat(line, "-- Dependencies:")) {
    int id = 0;
    while (Eat(line, " ") && EatNumber(line, id)) item.depends_on.push_back(id);
    line = NextLine(rest);
  }
  if (!ParseNameLine(line, contents.at(item.dump_id), item)) return std::nullopt;
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

/// NOT NULL clauses are of a table's columns; anywhere else the words are a tenant's.
std::string ForEveryMajor(const RestoreItem& item, std::string_view body) {
  std::string sql = WithoutAttributeVersions(std::string(body));
  const bool table = item.type == "TABLE" || item.type == "FOREIGN TABLE";
  return table ? WithoutNotNullClauses(std::move(sql)) : sql;
}

struct Cut {
  size_t begin;
  size_t end;
};

/// Whether token `at` stands in the parentheses of SET (…).
bool IsInSet(std::string_view sql, const std::vector<SqlToken>& tokens,
             const SqlStatement& statement, size_t at) {
  size_t open = at;
  while (open > statement.begin && tokens[open].depth >= tokens[at].depth) --open;
  return open > statement.begin && tokens[open].Text(sql) == "(" && tokens[open - 1].Is(sql, "SET");
}

/// What to cut out of a statement for its option at token `at`: with the comma on one of its sides,
/// or else the whole statement and its line's end. Nothing, where it is no such option.
std::optional<Cut> CutOption(std::string_view sql, const std::vector<SqlToken>& tokens,
                             const SqlStatement& statement, size_t at) {
  constexpr std::string_view kName = "pg_attver";
  if (tokens[at].kind != SqlToken::Kind::kWord || tokens[at].Text(sql) != kName)
    return std::nullopt;
  if (at + 1 >= statement.end || tokens[at + 1].Text(sql) != "=" ||
      !tokens[statement.begin].Is(sql, "ALTER") || !IsInSet(sql, tokens, statement, at))
    return std::nullopt;
  size_t next = at + 2;
  while (next < statement.end && tokens[next].Text(sql) != "," && tokens[next].Text(sql) != ")")
    ++next;
  if (next == statement.end) return std::nullopt;
  if (tokens[at - 1].Text(sql) == ",") return Cut{tokens[at - 1].begin, tokens[next - 1].end};
  if (tokens[at - 1].Text(sql) != "(") return std::nullopt;
  if (tokens[next].Text(sql) == ",") return Cut{tokens[at].begin, tokens[next + 1].begin};
  const size_t end = tokens[statement.end - 1].end;
  return Cut{tokens[statement.begin].begin, end + (sql.substr(end, 1) == "\n" ? 1 : 0)};
}

constexpr std::string_view kOpening = "\n--\n-- TOC entry ";
constexpr std::string_view kClosing = "\n--\n";

}  // namespace

std::string RestoreItem::Describe() const {
  return type + " " + (schema == "-" || schema.empty() ? name : schema + "." + name);
}

Result<TableOfContents> ParseTableOfContents(std::string_view listing) {
  TableOfContents contents;
  if (listing.find("; Archive created at ") == std::string_view::npos)
    return TerminalError("ArchiveUnreadable",
                         "pg_restore printed no table of contents; the archive is damaged");
  while (!listing.empty()) {
    std::string_view line = NextLine(listing);
    if (line.empty() || line.front() == ';') continue;
    int id = 0;
    if (!EatNumber(line, id) || !Eat(line, "; ") || !contents.emplace(id, line).second)
      return TerminalError("ArchiveUnreadable",
                           "pg_restore's table of contents has a line of unknown form; use the "
                           "client programs of a supported PostgreSQL major");
  }
  return contents;
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
    if (!ClosedBefore(at + 1)) {
      searched_ = announcement;
      continue;
    }
    if (text_.find(kClosing, announcement) == std::string::npos) break;  // It is not whole yet.
    std::string_view rest = std::string_view(text_).substr(announcement);
    std::optional<RestoreItem> item = ParseAnnouncement(rest, contents_);
    searched_ = announcement;
    if (!item) continue;
    Admit(*item);
    // What stands before an announcement belongs to the entry before it, or to the preamble.
    Close(std::string_view(text_).substr(body_, at + 1 - body_));
    item_ = std::move(item);
    body_ = text_.size() - rest.size();
    // The newline that ends one announcement may begin the next.
    done = searched_ = body_ - 1;
    nested_ = body_;
    nesting_ = SqlNesting();
  }
  text_.erase(0, done);
  body_ -= done;
  searched_ -= done;
  nested_ -= done;
}

/// Whether an announcement may stand there: the statements before it are in the middle of nothing.
bool ScriptSplitter::ClosedBefore(size_t announcement) {
  if (announcement > nested_) {
    nesting_.Take(std::string_view(text_).substr(nested_, announcement - nested_));
    nested_ = announcement;
  }
  return nesting_.closed();
}

void ScriptSplitter::Admit(const RestoreItem& item) {
  const bool first = seen_.insert(item.dump_id).second;
  if (refused_.empty() && !(first && IsAsListed(item, contents_.at(item.dump_id))))
    refused_ = std::to_string(item.dump_id) + ", " + item.Describe() +
               (first ? ", is another in its table of contents" : ", comes twice");
}

void ScriptSplitter::Close(std::string_view body) {
  if (!item_) {
    split_.preamble = body;
    return;
  }
  item_->sql = ForEveryMajor(*item_, body);
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
  if (refused_.empty() && seen_.size() != contents_.size()) {
    const auto missing =
        std::find_if(contents_.begin(), contents_.end(),
                     [this](const auto& entry) { return !seen_.contains(entry.first); });
    refused_ = std::to_string(missing->first) + ", " + missing->second + ", is not in its script";
  }
  if (!refused_.empty())
    return TerminalError("ArchiveUnreadable",
                         "pg_restore's script cannot be told apart: entry " + refused_ +
                             "; look for text in the source database that imitates a dump");
  return std::move(split_);
}

Result<RestoreScript> SplitScript(std::string_view script, const TableOfContents& contents) {
  ScriptSplitter splitter(contents);
  splitter.Take(script);
  return splitter.Finish();
}

std::string WithoutAttributeVersions(std::string sql) {
  if (sql.find("pg_attver") == std::string::npos) return sql;
  const std::vector<SqlToken> tokens = TokenizeSql(sql);
  std::vector<Cut> cuts;
  for (const SqlStatement& statement : SplitStatements(sql, tokens))
    for (size_t at = statement.begin; at < statement.end; ++at)
      if (const auto cut = CutOption(sql, tokens, statement, at);
          cut && (cuts.empty() || cut->begin >= cuts.back().end))
        cuts.push_back(*cut);
  for (auto cut = cuts.rbegin(); cut != cuts.rend(); ++cut)
    sql.erase(cut->begin, cut->end - cut->begin);
  return sql;
}

}  // namespace cutover::mover
