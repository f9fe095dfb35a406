// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cutover::mover {

/// One token of SQL as pg_dump writes it (standard_conforming_strings on). Comments and white space
/// are none.
struct SqlToken {
  enum class Kind {
    kWord,    ///< A keyword or a name without quotes.
    kQuoted,  ///< "a name in quotes"
    kString,  ///< 'literal', E'literal', B'01', $tag$ literal $tag$
    kSymbol,  ///< Anything else, one character.
  };
  Kind kind = Kind::kSymbol;
  size_t begin = 0;  ///< Where its first byte stands in the text.
  size_t end = 0;    ///< One behind its last byte.
  int depth = 0;     ///< How many parentheses and brackets are open around it.

  std::string_view Text(std::string_view sql) const { return sql.substr(begin, end - begin); }
  /// True for this keyword, which is given in capitals.
  bool Is(std::string_view sql, std::string_view keyword) const;
};

/// Whatever is left open at the end (a quote, a comment) ends there: nothing is refused.
std::vector<SqlToken> TokenizeSql(std::string_view sql);

/// Follows SQL while it comes, to say whether it stands in the middle of something. Knows what
/// TokenizeSql() knows.
class SqlNesting {
 public:
  /// The next piece, cut anywhere.
  void Take(std::string_view piece);
  /// Whether what has come so far ends outside of every string, quoted name, dollar quote and
  /// comment.
  bool closed() const;

 private:
  enum class Within : uint8_t {
    kNothing,
    kWord,
    kDash,          ///< The first of a comment, perhaps.
    kSlash,         ///< Likewise.
    kDollar,        ///< A dollar quote's opening tag, perhaps.
    kQuoted,        ///< What quote_ opened.
    kQuotedEscape,  ///< Behind a backslash there.
    kQuotedEnd,     ///< Behind its quote, which may mean itself.
    kDollarQuoted,  ///< What tag_ opened.
    kLineComment,
    kBlockComment,
    kBlockCommentStar,
    kBlockCommentSlash,
  };

  void Step(char c);
  void StepOutside(char c);
  void StepInTag(char c);
  void StepInBlockComment(char c);

  Within within_ = Within::kNothing;
  bool word_escapes_ = false;  ///< The word so far is the prefix E.
  char quote_ = '\'';
  bool backslashes_ = false;  ///< They escape in what quote_ opened.
  std::string tag_;           ///< As far as it has come, with its dollars.
  size_t matched_ = 0;        ///< How much of the tag has come again.
  int comments_ = 0;          ///< How deep block comments nest.
};

/// A statement: tokens [begin, end), the closing semicolon included where there is one.
struct SqlStatement {
  size_t begin = 0;
  size_t end = 0;
};

/// Splits at semicolons outside of parentheses. The body of a function in standard SQL (BEGIN
/// ATOMIC … END) falls into pieces, none of which starts with GRANT, REVOKE, ALTER, CREATE or SET.
std::vector<SqlStatement> SplitStatements(std::string_view sql,
                                          const std::vector<SqlToken>& tokens);

/// The name that a kWord or kQuoted token stands for.
std::string NameOf(std::string_view sql, const SqlToken& token);

}  // namespace cutover::mover
