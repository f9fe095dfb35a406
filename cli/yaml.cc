// SPDX-License-Identifier: Apache-2.0
#include "cli/yaml.h"

#include <strings.h>
#include <yaml-cpp/yaml.h>

namespace cutover::cli {
namespace {

// What another reader, YAML 1.1 ones included, would not take for a text.
bool ReadsAsSomethingElse(const std::string& text) {
  if (text.empty() || text == "~" || text == "=" || text == "<<") return true;
  for (const char* word : {"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
    if (text.size() <= 5 && strcasecmp(text.c_str(), word) == 0) return true;
  // Numbers of all bases and exponents, times, infinities.
  return std::string("0123456789+-.").find(text.front()) != std::string::npos;
}

void Emit(YAML::Emitter& out, const Json& value) {
  if (value.IsObject()) {
    if (value.Empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, member] : value.Members()) {
      out << YAML::Key;
      Emit(out, Json(key));
      out << YAML::Value;
      Emit(out, member);
    }
    out << YAML::EndMap;
  } else if (value.IsArray()) {
    if (value.Empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const Json& item : value.Items()) Emit(out, item);
    out << YAML::EndSeq;
  } else if (value.IsString()) {
    const std::string& text = value.StringRef();
    if (text.find('\n') != std::string::npos)
      out << YAML::DoubleQuoted;
    else if (ReadsAsSomethingElse(text))
      out << YAML::DoubleQuoted;
    out << text;
  } else if (value.IsNull()) {
    out << YAML::Null;
  } else {
    out << value.Dump();  // true, 12, 0.5: YAML reads JSON's scalars.
  }
}

}  // namespace

std::string ToYaml(const Json& document) {
  YAML::Emitter out;
  out.SetIndent(2);
  out.SetNullFormat(YAML::LowerNull);
  Emit(out, document);
  return std::string(out.c_str()) + "\n";
}

}  // namespace cutover::cli
