// SPDX-License-Identifier: Apache-2.0
//
// What goes into statements and comes out of them: all that needs no session.
#include <libpq-fe.h>

#include <charconv>

#include "operator/base/check.h"
#include "postgres/connection.h"

namespace cutover::pg {

ConnectOptions ConnectOptions::WithDatabase(std::string_view name) const {
  ConnectOptions copy = *this;
  copy.database = name;
  return copy;
}

std::string ConnectOptions::Describe() const {
  return user + "@" + host + ":" + std::to_string(port) + "/" + database;
}

// --- quoting ------------------------------------------------------------------------------------

std::string QuoteIdentifier(std::string_view name) {
  std::string quoted = "\"";
  for (char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string QuoteQualified(std::string_view schema, std::string_view name) {
  return QuoteIdentifier(schema) + "." + QuoteIdentifier(name);
}

std::string QuoteLiteral(std::string_view text) {
  std::string quoted = text.find('\\') == text.npos ? "'" : " E'";
  for (char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + '\'';
}

Param::Param(const std::vector<std::string>& items) {
  std::string array = "{";
  for (const std::string& item : items) {
    if (array.size() > 1) array += ',';
    array += '"';
    for (char c : item) {
      if (c == '"' || c == '\\') array += '\\';
      array += c;
    }
    array += '"';
  }
  text_ = array + "}";
}

// --- rows ---------------------------------------------------------------------------------------

bool Row::IsNull(int column) const { return PQgetisnull(result_, row_, column) != 0; }

std::optional<std::string_view> Row::Get(int column) const {
  CHECK(column < PQnfields(result_));
  if (IsNull(column)) return std::nullopt;
  return std::string_view(PQgetvalue(result_, row_, column),
                          static_cast<size_t>(PQgetlength(result_, row_, column)));
}

std::string Row::Text(int column) const { return std::string(Get(column).value_or("")); }

int64_t Row::Int(int column) const {
  int64_t value = 0;
  std::string_view text = Get(column).value_or("");
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

double Row::Double(int column) const {
  double value = 0;
  std::string_view text = Get(column).value_or("");
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool Row::Bool(int column) const { return Get(column).value_or("") == "t"; }

std::vector<std::string> Row::TextArray(int column) const {
  std::vector<std::string> items;
  std::string_view text = Get(column).value_or("{}");
  std::string item;
  bool quoted = false;
  bool was_quoted = false;
  for (size_t at = 1; at < text.size(); ++at) {
    char c = text[at];
    if (c == '\\' && at + 1 < text.size()) {
      item += text[++at];
    } else if (c == '"') {
      quoted = !quoted;
      was_quoted = true;
    } else if (!quoted && (c == ',' || c == '}')) {
      if (!was_quoted && item == "NULL") item.clear();
      bool is_empty_array = c == '}' && items.empty() && item.empty() && !was_quoted;
      if (!is_empty_array || text.size() > 2) items.push_back(std::move(item));
      item.clear();
      was_quoted = false;
    } else {
      item += c;
    }
  }
  return items;
}

int Rows::size() const { return PQntuples(result_.get()); }

int64_t Rows::affected() const {
  int64_t value = 0;
  std::string_view text(PQcmdTuples(result_.get()));
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string Rows::command_tag() const { return PQcmdStatus(result_.get()); }

void Rows::Clear::operator()(pg_result* result) const { PQclear(result); }

}  // namespace cutover::pg
