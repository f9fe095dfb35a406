// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "cli/view/page.h"
#include "operator/base/json.h"
#include "operator/base/result.h"

namespace cutover::cli {

/// How to print to standard output: colours only on a terminal that has them and where NO_COLOR is
/// not set; glyphs beyond ASCII where the locale is UTF-8; the terminal's width.
Style StyleOfOutput();
/// Whether standard output is a terminal that Repaint() works on.
bool OutputCanBeRepainted();

/// Prints what is ready, and flushes it.
void Print(std::string_view text);
/// Prints `text` where the last one was, on a terminal.
void Repaint(std::string_view text);

/// To standard error: "kubectl-cutover: " and the message, which says what to do.
void Complain(const Error& error);
void Note(std::string_view text);

/// Asks on the terminal and reads a line. Terminal error "NotConfirmed" when it is not `expected`
/// (letters count as either case for "y"), and when nobody can be asked, which says --yes.
Status Confirm(const std::string& consequences, const std::string& question,
               const std::string& expected);

/// The document in `format`, "json" or "yaml".
std::string Encode(const Json& document, std::string_view format);

}  // namespace cutover::cli
