// SPDX-License-Identifier: Apache-2.0
//
// An edit says what it was told to, says it again when repeated, leaves every line that is not
// about the connection as it was, and is taken back byte for byte.
#include "reconcilers/wiring/odoo_conf.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"

namespace cutover::wiring {
namespace {

bool MayBeAboutTheConnection(std::string line) {
  std::transform(line.begin(), line.end(), line.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return line.find("db_") != std::string::npos || line.find("[options]") != std::string::npos;
}

// Lines with a word that the edit has nothing to do with, in their order. An indented line may
// belong to the key before it, and a value that is replaced takes such lines with it.
std::vector<std::string> OtherLines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find_first_of("\r\n");
    std::string line(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const bool indented =
        !line.empty() && std::string_view(" \t\f\v").find(line[0]) != std::string_view::npos;
    if (!line.empty() && !indented && !MayBeAboutTheConnection(line))
      lines.push_back(std::move(line));
  }
  return lines;
}

// A refusal does not tell the password. A short one is in any message by chance, so it is made
// unmistakable first; whoever writes it into another field has told it already.
void CheckRefusal(std::string_view original, OdooConfEdit edit) {
  constexpr std::string_view kSecret = "kR7vQ2xW9mZ4";
  for (const std::string_view told :
       {original, std::string_view(edit.host), std::string_view(edit.user)})
    if (told.find(kSecret) != std::string_view::npos) return;
  edit.password = edit.password.value_or("") + std::string(kSecret);
  const Result<std::string> edited = EditOdooConf(original, edit);
  HOLDS(edited || edited.error().message.find(kSecret) == std::string::npos);
}

void CheckEdit(std::string_view original, const OdooConfEdit& edit) {
  Result<std::string> edited = EditOdooConf(original, edit);
  if (!edited) {
    HOLDS(edited.error().reason == "InvalidValue" || edited.error().reason == "UnreadableOdooConf");
    CheckRefusal(original, edit);
    return;
  }
  const OdooConnection read = ReadOdooConf(*edited);
  // A host called "none" is none to Odoo, too.
  if (read.host) HOLDS(*read.host == edit.host);
  HOLDS(read.port == std::to_string(edit.port));
  if (edit.password && read.password) HOLDS(*read.password == *edit.password);
  if (read.replica_host) HOLDS(*read.replica_host == edit.host);
  Result<std::string> again = EditOdooConf(*edited, edit);
  HOLDS(again.has_value());
  HOLDS(*again == *edited);
  HOLDS(OtherLines(*edited) == OtherLines(original));
  HOLDS(RestoreOdooConf(*edited, original) == original);
}

}  // namespace
}  // namespace cutover::wiring

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cutover::fuzz::Parts parts(data, size);
  cutover::wiring::OdooConfEdit edit;
  edit.host = parts.Next();
  edit.user = parts.Next();
  const std::string_view password = parts.Next();
  if (!password.empty()) edit.password = password;
  edit.port = size % 2 == 0 ? 5432 : 6432;
  cutover::wiring::CheckEdit(parts.Rest(), edit);
  return 0;
}
