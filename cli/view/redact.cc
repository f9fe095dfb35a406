// SPDX-License-Identifier: Apache-2.0
#include "cli/view/redact.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>

namespace cutover::cli {
namespace {

constexpr char kRemoved[] = "(removed)";

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// {name: PGPASSWORD, value: …}, as containers have their environment.
bool IsSecretVariable(const Json& object) {
  return object["value"].IsString() && NamesASecret(object["name"].AsString());
}

// Where the secret begins whose name has just ended at `at`: after "=" or ":", whatever quotes the
// name stands in ("password":"x"), or at the literal of SQL's PASSWORD 'x'. npos: the word is
// prose.
size_t ValueAfter(const std::string& text, size_t at) {
  const size_t sign = text.find_first_not_of(" \t\"'\\", at);
  if (sign != std::string::npos && (text[sign] == '=' || text[sign] == ':'))
    return text.find_first_not_of(" \t", sign + 1);
  const size_t literal = text.find_first_not_of(' ', at);
  if (literal != std::string::npos && literal > at && text[literal] == '\'') return literal;
  return std::string::npos;
}

// Where it ends: with the quote that it began with, which may be escaped in a text within a text,
// or before the next space or separator.
size_t EndOfValue(const std::string& text, size_t value) {
  const size_t quote = text.find_first_not_of('\\', value);
  if (quote == std::string::npos || (text[quote] != '"' && text[quote] != '\''))
    return std::min(text.find_first_of(" \n,;}", value), text.size());
  const std::string closing = text.substr(value, quote + 1 - value);
  const size_t end = text.find(closing, quote + 1);
  return end == std::string::npos ? text.size() : end + closing.size();
}

// user:secret@ of every "scheme://" in the text.
std::string WithoutUriPasswords(std::string text) {
  for (size_t at = 0; (at = text.find("://", at)) != std::string::npos;) {
    at += 3;
    const size_t end = std::min(text.find_first_of(" /\"'", at), text.size());
    const size_t host = text.rfind('@', end);
    const size_t colon = text.find(':', at);
    if (host == std::string::npos || host < at || colon == std::string::npos || colon > host)
      continue;
    text.replace(colon + 1, host - colon - 1, "...");
  }
  return text;
}

// Where the first of the words begins, from `at` on.
size_t FindAnyOf(const std::string& lower, size_t at, std::initializer_list<const char*> words) {
  size_t first = std::string::npos;
  for (const char* word : words) first = std::min(first, lower.find(word, at));
  return first;
}

bool IsOfName(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
}

}  // namespace

bool NamesASecret(const std::string& name) {
  return FindAnyOf(Lower(name), 0, {"password", "passwd", "token", "secretkey", "privatekey"}) !=
         std::string::npos;
}

std::string WithoutSecretSettings(const std::string& line) {
  std::string text = WithoutPasswords(line);
  const size_t begin = std::min(text.find_first_not_of(" \t\"'"), text.size());
  size_t at = begin;
  while ((at = FindAnyOf(Lower(text), at, {"password", "passwd", "secret", "token", "key"})) !=
         std::string::npos) {
    const std::string before = text.substr(begin, at - begin);
    const bool first = std::all_of(before.begin(), before.end(), IsOfName);
    while (at < text.size() && IsOfName(text[at])) ++at;
    const size_t value = ValueAfter(text, at);
    if (value == std::string::npos || value == text.size()) continue;
    const size_t end = first ? text.size() : EndOfValue(text, value);
    text.replace(value, end - value, kRemoved);
    at = value + sizeof kRemoved - 1;
  }
  return text;
}

std::string WithoutPasswords(const std::string& original) {
  std::string text = WithoutUriPasswords(original);
  size_t at = 0;
  while ((at = FindAnyOf(Lower(text), at, {"password", "passwd"})) != std::string::npos) {
    at = text.find_first_of("dD", at) + 1;
    const size_t value = ValueAfter(text, at);
    if (value == std::string::npos) continue;
    text.replace(value, EndOfValue(text, value) - value, kRemoved);
    at = value;
  }
  return text;
}

Json Redacted(const Json& document) {
  if (document.IsString()) return WithoutPasswords(document.StringRef());
  if (document.IsArray()) {
    Json redacted = Json::Array();
    for (const Json& item : document.Items()) redacted.Append(Redacted(item));
    return redacted;
  }
  if (!document.IsObject()) return document;
  const bool secret = document["kind"].AsString() == "Secret";
  Json redacted = Json::Object();
  for (const auto& [key, value] : document.Members()) {
    if (key == "managedFields" || key == "kubectl.kubernetes.io/last-applied-configuration")
      continue;
    // A reference to a Secret (passwordSecretRef: {name, key}) holds none.
    if ((value.IsString() && NamesASecret(key)) || (key == "value" && IsSecretVariable(document)) ||
        (secret && (key == "data" || key == "stringData")))
      redacted.Set(key, kRemoved);
    else
      redacted.Set(key, Redacted(value));
  }
  return redacted;
}

}  // namespace cutover::cli
