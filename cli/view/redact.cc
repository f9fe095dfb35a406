// SPDX-License-Identifier: Apache-2.0
#include "cli/view/redact.h"

#include <algorithm>
#include <cctype>

namespace cutover::cli {
namespace {

constexpr char kRemoved[] = "(removed)";

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

bool NamesASecret(const std::string& name) {
  const std::string lower = Lower(name);
  for (const char* word : {"password", "passwd", "token", "secretkey", "privatekey"})
    if (lower.find(word) != std::string::npos) return true;
  return false;
}

// {name: PGPASSWORD, value: …}, as containers have their environment.
bool IsSecretVariable(const Json& object) {
  return object["value"].IsString() && NamesASecret(object["name"].AsString());
}

// Where the secret begins whose name has just ended at `at`: after "=" or ":", whatever quotes the
// name stands in ("password":"x"), or at the literal of SQL's PASSWORD 'x'. npos: the word is
// prose.
size_t ValueAfter(const std::string& text, size_t at) {
  const size_t sign = text.find_first_not_of(" \"'\\", at);
  if (sign != std::string::npos && (text[sign] == '=' || text[sign] == ':'))
    return text.find_first_not_of(' ', sign + 1);
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

}  // namespace

std::string WithoutPasswords(const std::string& original) {
  std::string text = WithoutUriPasswords(original);
  for (size_t at = 0; (at = Lower(text).find("password", at)) != std::string::npos;) {
    at += 8;
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
