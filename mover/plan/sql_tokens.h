// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
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
