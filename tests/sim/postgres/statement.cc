// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/postgres/statement.h"

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>

namespace cutover::sim {
namespace {

Handler FindHandler(const std::string& sql) {
  for (const auto* statements :
       {&StreamStatements(), &ControlStatements(), &DefinitionStatements(), &CatalogStatements()})
    for (const Known& known : *statements)
      if (sql.find(known.characteristic) != std::string::npos) return known.run;
  std::fprintf(stderr, "the model of PostgreSQL does not know this statement; teach it:\n%s\n",
               sql.c_str());
  std::abort();
}

}  // namespace

tl::unexpected<pg::ServerError> Fail(std::string sqlstate, std::string message) {
  pg::ServerError error;
  error.sqlstate = std::move(sqlstate);
  error.message = std::move(message);
  return tl::make_unexpected(std::move(error));
}

Table Column(const std::vector<std::string>& names) {
  Table table;
  for (const std::string& name : names) table.push_back({name});
  return table;
}

std::vector<std::string> Statement::List(size_t param) const {
  std::vector<std::string> items;
  const std::string text = Text(param);
  std::string item;
  bool quoted = false;
  for (size_t at = 1; at < text.size(); ++at) {
    char c = text[at];
    if (c == '\\') {
      item += text[++at];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == ',' || c == '}')) {
      if (text != "{}") items.push_back(item);
      item.clear();
    } else {
      item += c;
    }
  }
  return items;
}

std::vector<std::string> Tokens(std::string_view sql) {
  std::vector<std::string> tokens;
  for (size_t at = 0; at < sql.size();) {
    char c = sql[at];
    if (c == '"' || c == '\'') {
      std::string text;
      for (++at; at < sql.size(); ++at) {
        if (sql[at] == c && at + 1 < sql.size() && sql[at + 1] == c)
          ++at;
        else if (sql[at] == c)
          break;
        text += sql[at];
      }
      ++at;
      tokens.push_back(std::move(text));
    } else if (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-') {
      size_t end = at;
      while (end < sql.size() && (std::isalnum(static_cast<unsigned char>(sql[end])) ||
                                  sql[end] == '_' || sql[end] == '-'))
        ++end;
      tokens.emplace_back(sql.substr(at, end - at));
      at = end;
    } else {
      if (!std::isspace(static_cast<unsigned char>(c))) tokens.emplace_back(1, c);
      ++at;
    }
  }
  return tokens;
}

std::string LastIdentifier(std::string_view qualified) {
  std::vector<std::string> tokens = Tokens(qualified);
  return tokens.empty() ? "" : tokens.back();
}

Outcome RunStatement(ModelServer& server, Backend& backend, const std::string& sql,
                     const std::vector<Cell>& params) {
  if (auto answer = server.check_answers.find(sql); answer != server.check_answers.end())
    return Table{{answer->second}};
  thread_local std::unordered_map<std::string, Handler> handlers;
  auto [found, is_new] = handlers.try_emplace(sql, nullptr);
  if (is_new) found->second = FindHandler(sql);
  return found->second({server, backend, sql, params});
}

}  // namespace cutover::sim
