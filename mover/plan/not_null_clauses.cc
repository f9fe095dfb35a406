// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/not_null_clauses.h"

#include <string_view>
#include <vector>

namespace cutover::mover {
namespace {

constexpr std::string_view kClause = "\n    NOT NULL ";
constexpr std::string_view kNoInherit = " NO INHERIT";

/// The position of the first of `wanted` at or behind `from` that stands in no quotes. A quote
/// within quotes is doubled, so it closes and opens them again.
size_t FindUnquoted(std::string_view text, std::string_view wanted, size_t from) {
  char quote = 0;
  for (size_t at = from; at < text.size(); ++at) {
    const char c = text[at];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (wanted.find(c) != std::string_view::npos) {
      return at;
    } else if (c == '\'' || c == '"') {
      quote = c;
    }
  }
  return std::string_view::npos;
}

/// What stands between the parenthesis at `open` and its partner, split at the commas of that
/// level. `close` becomes the partner's position; npos when there is none.
std::vector<std::string_view> Elements(std::string_view sql, size_t open, size_t& close) {
  std::vector<std::string_view> elements;
  int depth = 0;
  size_t begin = open + 1;
  for (close = open; close != std::string_view::npos; close = FindUnquoted(sql, "(),", close + 1)) {
    if (sql[close] == '(') ++depth;
    if (sql[close] == ')') --depth;
    if (depth > 1 || (depth == 1 && sql[close] != ',')) continue;
    elements.push_back(sql.substr(begin, close - begin));
    begin = close + 1;
    if (depth == 0) break;
  }
  return elements;
}

bool IsPlainClause(std::string_view element) {
  while (!element.empty() && element.back() == '\n') element.remove_suffix(1);
  return element.starts_with(kClause) && !element.ends_with(kNoInherit);
}

}  // namespace

std::string WithoutNotNullClauses(std::string sql) {
  if (sql.find(kClause) == std::string::npos) return sql;
  const size_t create = sql.find("CREATE ");
  const size_t table = create == std::string::npos ? create : sql.find("TABLE ", create);
  const size_t open = table == std::string::npos ? table : FindUnquoted(sql, "(", table);
  if (open == std::string::npos) return sql;
  size_t close = 0;
  const std::vector<std::string_view> elements = Elements(sql, open, close);
  if (close == std::string::npos) return sql;
  // "TABLE name (", with one space on either side of the name.
  const std::string name = sql.substr(table + 6, open - table - 7);
  std::string kept, statements;
  for (std::string_view element : elements) {
    if (!IsPlainClause(element)) {
      kept += (kept.empty() ? "" : ",") + std::string(element);
      continue;
    }
    element.remove_prefix(kClause.size());
    if (element.back() == '\n') element.remove_suffix(1);
    statements +=
        "ALTER TABLE ONLY " + name + " ALTER COLUMN " + std::string(element) + " SET NOT NULL;\n";
  }
  if (statements.empty()) return sql;
  // The last element carries the newline before the closing parenthesis.
  if (kept.empty() || kept.back() != '\n') kept += '\n';
  std::string rest = sql.substr(close);
  while (!rest.empty() && rest.back() == '\n') rest.pop_back();
  return sql.substr(0, open + 1) + kept + rest + "\n\n" + statements + "\n";
}

}  // namespace cutover::mover
