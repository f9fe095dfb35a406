// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/sql_tokens.h"

#include <algorithm>
#include <cctype>

namespace cutover::mover {
namespace {

bool StartsWord(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalpha(byte) != 0 || c == '_' || byte >= 0x80;
}

bool ContinuesWord(char c) {
  return StartsWord(c) || std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '$';
}

/// One behind the closing `quote`, which is doubled where it means itself. `from` is behind the
/// opening one.
size_t EndOfQuoted(std::string_view sql, size_t from, char quote, bool backslashes) {
  for (size_t at = from; at < sql.size(); ++at) {
    if (backslashes && sql[at] == '\\') {
      ++at;
    } else if (sql[at] == quote) {
      if (at + 1 >= sql.size() || sql[at + 1] != quote) return at + 1;
      ++at;
    }
  }
  return sql.size();
}

/// Comments of this kind nest.
size_t EndOfComment(std::string_view sql, size_t from) {
  int depth = 1;
  size_t at = from;
  while (at < sql.size() && depth > 0) {
    if (sql.substr(at, 2) == "/*") {
      ++depth;
      at += 2;
    } else if (sql.substr(at, 2) == "*/") {
      --depth;
      at += 2;
    } else {
      ++at;
    }
  }
  return at;
}

/// One behind the closing tag, or `from` when no dollar quote opens there.
size_t EndOfDollarQuoted(std::string_view sql, size_t from) {
  size_t at = from + 1;
  while (at < sql.size() && sql[at] != '$' && ContinuesWord(sql[at])) ++at;
  if (at >= sql.size() || sql[at] != '$') return from;
  if (std::isdigit(static_cast<unsigned char>(sql[from + 1])) != 0) return from;
  const std::string_view tag = sql.substr(from, at + 1 - from);
  const size_t closing = sql.find(tag, at + 1);
  return closing == std::string_view::npos ? sql.size() : closing + tag.size();
}

/// Skips white space and comments.
size_t SkipBlank(std::string_view sql, size_t at) {
  while (at < sql.size()) {
    if (std::isspace(static_cast<unsigned char>(sql[at])) != 0) {
      ++at;
    } else if (sql.substr(at, 2) == "--") {
      at = std::min(sql.find_first_of("\r\n", at), sql.size());
    } else if (sql.substr(at, 2) == "/*") {
      at = EndOfComment(sql, at + 2);
    } else {
      break;
    }
  }
  return at;
}

/// The token that starts at `at`; its depth is the caller's to say.
SqlToken TokenAt(std::string_view sql, size_t at) {
  using Kind = SqlToken::Kind;
  const char c = sql[at];
  if (c == '"') return {Kind::kQuoted, at, EndOfQuoted(sql, at + 1, '"', false), 0};
  if (c == '\'') return {Kind::kString, at, EndOfQuoted(sql, at + 1, '\'', false), 0};
  if (c == '$') {
    const size_t end = EndOfDollarQuoted(sql, at);
    if (end > at) return {Kind::kString, at, end, 0};
  }
  if (!StartsWord(c)) return {Kind::kSymbol, at, at + 1, 0};
  // A literal's prefix stands right before its quote.
  const size_t prefix = sql.substr(at, 2) == "U&" || sql.substr(at, 2) == "u&" ? 2 : 1;
  const char letter = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const bool may_prefix =
      prefix == 2 || letter == 'E' || letter == 'B' || letter == 'X' || letter == 'N';
  if (may_prefix && at + prefix < sql.size() && sql[at + prefix] == '\'')
    return {Kind::kString, at, EndOfQuoted(sql, at + prefix + 1, '\'', letter == 'E'), 0};
  size_t end = at + 1;
  while (end < sql.size() && ContinuesWord(sql[end])) ++end;
  return {Kind::kWord, at, end, 0};
}

}  // namespace

bool SqlToken::Is(std::string_view sql, std::string_view keyword) const {
  const std::string_view text = Text(sql);
  return kind == Kind::kWord && text.size() == keyword.size() &&
         std::equal(text.begin(), text.end(), keyword.begin(), [](char a, char b) {
           return std::toupper(static_cast<unsigned char>(a)) == b;
         });
}

std::vector<SqlToken> TokenizeSql(std::string_view sql) {
  std::vector<SqlToken> tokens;
  int depth = 0;
  for (size_t at = SkipBlank(sql, 0); at < sql.size(); at = SkipBlank(sql, at)) {
    SqlToken token = TokenAt(sql, at);
    const char c = token.kind == SqlToken::Kind::kSymbol ? sql[at] : '\0';
    if ((c == ')' || c == ']') && depth > 0) --depth;
    token.depth = depth;
    if (c == '(' || c == '[') ++depth;
    tokens.push_back(token);
    at = token.end;
  }
  return tokens;
}

void SqlNesting::Take(std::string_view piece) {
  for (const char c : piece) Step(c);
}

bool SqlNesting::closed() const {
  switch (within_) {
    case Within::kNothing:
    case Within::kWord:
    case Within::kDash:
    case Within::kSlash:
    case Within::kDollar:
    case Within::kQuotedEnd:
      return true;
    case Within::kQuoted:
    case Within::kQuotedEscape:
    case Within::kDollarQuoted:
    case Within::kLineComment:
    case Within::kBlockComment:
    case Within::kBlockCommentStar:
    case Within::kBlockCommentSlash:
      return false;
  }
  return false;
}

void SqlNesting::Step(char c) {
  switch (within_) {
    case Within::kNothing:
    case Within::kWord:
    case Within::kDash:
    case Within::kSlash:
      return StepOutside(c);
    case Within::kDollar:
      return StepInTag(c);
    case Within::kQuoted:
      if (backslashes_ && c == '\\') within_ = Within::kQuotedEscape;
      if (c == quote_) within_ = Within::kQuotedEnd;
      return;
    case Within::kQuotedEscape:
      within_ = Within::kQuoted;
      return;
    case Within::kQuotedEnd:
      within_ = c == quote_ ? Within::kQuoted : Within::kNothing;
      if (c != quote_) StepOutside(c);
      return;
    case Within::kDollarQuoted:
      // A tag has dollars at its ends alone, so that no other part of it begins it anew.
      matched_ = c == tag_[matched_] ? matched_ + 1 : c == '$' ? 1 : 0;
      if (matched_ == tag_.size()) within_ = Within::kNothing;
      return;
    case Within::kLineComment:
      if (c == '\n' || c == '\r') within_ = Within::kNothing;
      return;
    case Within::kBlockComment:
    case Within::kBlockCommentStar:
    case Within::kBlockCommentSlash:
      return StepInBlockComment(c);
  }
}

void SqlNesting::StepOutside(char c) {
  const Within before = within_;
  const bool escapes = before == Within::kWord && word_escapes_;
  word_escapes_ = false;
  if (before == Within::kWord && ContinuesWord(c)) return;
  within_ = Within::kNothing;
  if (c == '\'' || c == '"') {
    quote_ = c;
    backslashes_ = escapes && c == '\'';
    within_ = Within::kQuoted;
  } else if (c == '$') {
    tag_ = c;
    within_ = Within::kDollar;
  } else if (c == '-') {
    within_ = before == Within::kDash ? Within::kLineComment : Within::kDash;
  } else if (c == '/') {
    within_ = Within::kSlash;
  } else if (c == '*' && before == Within::kSlash) {
    comments_ = 1;
    within_ = Within::kBlockComment;
  } else if (StartsWord(c)) {
    word_escapes_ = c == 'E' || c == 'e';
    within_ = Within::kWord;
  }
}

void SqlNesting::StepInTag(char c) {
  const bool parameter = tag_.size() > 1 && std::isdigit(static_cast<unsigned char>(tag_[1])) != 0;
  if (c == '$' && !parameter) {
    tag_ += c;
    matched_ = 0;
    within_ = Within::kDollarQuoted;
  } else if (c != '$' && ContinuesWord(c)) {
    tag_ += c;
  } else {
    // No tag: the dollar stands for itself, and there is none behind it so far.
    within_ = Within::kNothing;
    for (size_t i = 1; i < tag_.size(); ++i) StepOutside(tag_[i]);
    StepOutside(c);
  }
}

void SqlNesting::StepInBlockComment(char c) {
  const Within before = within_;
  within_ = Within::kBlockComment;
  if (before == Within::kBlockCommentStar && c == '/') {
    if (--comments_ == 0) within_ = Within::kNothing;
  } else if (before == Within::kBlockCommentSlash && c == '*') {
    ++comments_;
  } else if (c == '*') {
    within_ = Within::kBlockCommentStar;
  } else if (c == '/') {
    within_ = Within::kBlockCommentSlash;
  }
}

std::vector<SqlStatement> SplitStatements(std::string_view sql,
                                          const std::vector<SqlToken>& tokens) {
  std::vector<SqlStatement> statements;
  size_t begin = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].depth > 0 || tokens[i].Text(sql) != ";") continue;
    statements.push_back({begin, i + 1});
    begin = i + 1;
  }
  if (begin < tokens.size()) statements.push_back({begin, tokens.size()});
  return statements;
}

std::string NameOf(std::string_view sql, const SqlToken& token) {
  std::string_view text = token.Text(sql);
  if (token.kind != SqlToken::Kind::kQuoted) return std::string(text);
  text.remove_prefix(1);
  if (!text.empty()) text.remove_suffix(1);
  std::string name;
  for (size_t i = 0; i < text.size(); ++i) {
    name += text[i];
    if (text[i] == '"') ++i;
  }
  return name;
}

}  // namespace cutover::mover
