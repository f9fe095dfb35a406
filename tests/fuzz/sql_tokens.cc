// SPDX-License-Identifier: Apache-2.0
//
// Tokens stand one behind the other within the text, and statements are made of all of them.
// Whoever reads the text as it comes knows as well where quotes end.
#include "mover/plan/sql_tokens.h"

#include <string>

#include "mover/plan/role_names.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace cutover::mover;

/// Read character by character, the text is closed where a token ends and open within one that has
/// quotes around it.
void NestingIsThatOfTokens(const std::string& sql, const std::vector<SqlToken>& tokens) {
  SqlNesting nesting;
  size_t at = 0;
  for (const SqlToken& token : tokens) {
    nesting.Take(std::string_view(sql).substr(at, token.begin - at));
    HOLDS(nesting.closed());
    nesting.Take(std::string_view(sql).substr(token.begin, token.end - token.begin - 1));
    at = token.end - 1;
    if (token.end == sql.size()) return;  // What is left open ends there, too.
    const bool quotes =
        token.kind == SqlToken::Kind::kString || token.kind == SqlToken::Kind::kQuoted;
    HOLDS(nesting.closed() != quotes);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string sql(reinterpret_cast<const char*>(data), size);
  const std::vector<SqlToken> tokens = TokenizeSql(sql);
  size_t at = 0;
  for (const SqlToken& token : tokens) {
    HOLDS(token.begin >= at);
    HOLDS(token.end > token.begin);
    HOLDS(token.end <= sql.size());
    HOLDS(token.depth >= 0);
    at = token.end;
    if (token.kind == SqlToken::Kind::kWord || token.kind == SqlToken::Kind::kQuoted)
      HOLDS(NameOf(sql, token).size() <= token.end - token.begin);
  }
  NestingIsThatOfTokens(sql, tokens);
  size_t next = 0;
  for (const SqlStatement& statement : SplitStatements(sql, tokens)) {
    HOLDS(statement.begin == next);
    HOLDS(statement.end > statement.begin);
    next = statement.end;
  }
  HOLDS(next == tokens.size());
  // What is no SQL has no meaning that could stay the same; but it must not take the mover down.
  RenameRoles({{"a", "b"}}, sql);
  return 0;
}
