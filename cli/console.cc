// SPDX-License-Identifier: Apache-2.0
#include "cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "cli/yaml.h"

namespace cutover::cli {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// As setlocale would choose, without loading a locale.
bool LocaleIsUtf8() {
  std::string locale = Environment("LC_ALL");
  if (locale.empty()) locale = Environment("LC_CTYPE");
  if (locale.empty()) locale = Environment("LANG");
  std::transform(locale.begin(), locale.end(), locale.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
}

// A terminal without a name, or a dumb one, shows escape sequences instead of obeying them.
bool TerminalObeys() {
  const std::string terminal = Environment("TERM");
  return !terminal.empty() && terminal != "dumb";
}

}  // namespace

bool OutputCanBeRepainted() { return isatty(STDOUT_FILENO) == 1 && TerminalObeys(); }

Style StyleOfOutput() {
  Style style;
  style.unicode = LocaleIsUtf8();
  if (isatty(STDOUT_FILENO) != 1) return style;
  style.colour = Environment("NO_COLOR").empty() && TerminalObeys();
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) style.width = size.ws_col;
  return style;
}

void Print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void Repaint(std::string_view text) {
  constexpr std::string_view kHomeAndClear = "\033[H\033[2J";
  Print(std::string(kHomeAndClear) + std::string(text));
}

void Complain(const Error& error) { Note(error.message); }

void Note(std::string_view text) {
  std::fprintf(stderr, "kubectl-cutover: %.*s\n", static_cast<int>(text.size()), text.data());
}

Status Confirm(const std::string& consequences, const std::string& question,
               const std::string& expected) {
  if (isatty(STDIN_FILENO) != 1)
    return TerminalError("NotConfirmed",
                         consequences + " Nobody can be asked here: give --yes if that is meant");
  std::cerr << consequences << "\n" << question << " " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (expected == "y" && (answer == "Y" || answer == "yes")) return Ok();
  if (answer == expected) return Ok();
  return TerminalError("NotConfirmed", "not confirmed; nothing was done");
}

std::string Encode(const Json& document, std::string_view format) {
  return format == "yaml" ? ToYaml(document) : document.DumpPretty() + "\n";
}

}  // namespace cutover::cli
