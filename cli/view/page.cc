// SPDX-License-Identifier: Apache-2.0
#include "cli/view/page.h"

#include <algorithm>

#include "cli/view/words.h"

namespace cutover::cli {
namespace {

// Narrower than this nothing is broken into lines that anybody could read.
constexpr size_t kTextWidthMin = 30;

const char* EscapeOf(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kBold:
      return "\033[1m";
    case Tone::kDim:
      return "\033[2m";
    case Tone::kGood:
      return "\033[32m";
    case Tone::kWarning:
      return "\033[33m";
    case Tone::kBad:
      return "\033[1;31m";
  }
  return "";
}

std::vector<std::string> Broken(const std::string& text, size_t width) {
  std::vector<std::string> lines;
  size_t at = 0;
  while (at <= text.size()) {
    const size_t space = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, space - at);
    if (!lines.empty() && Columns(lines.back()) + 1 + Columns(word) <= width)
      lines.back() += " " + word;
    else
      lines.push_back(word);
    at = space + 1;
  }
  return lines;
}

}  // namespace

std::string Page::Paint(Tone tone, std::string_view text) const {
  std::string printable = Printable(text);
  if (!style_.colour || tone == Tone::kPlain || printable.empty()) return printable;
  return EscapeOf(tone) + printable + "\033[0m";
}

void Page::Line(std::string_view ready) {
  const size_t end = ready.find_last_not_of(' ');
  if (end != std::string_view::npos) text_ += ready.substr(0, end + 1);
  text_ += '\n';
}

void Page::Field(size_t indent, std::string_view label, size_t label_width, std::string_view text,
                 Tone tone) {
  const size_t margin = indent + label_width;
  const size_t width = std::max(style_.width, margin + kTextWidthMin) - margin;
  std::string before = std::string(indent, ' ') + Pad(Printable(label), label_width);
  for (const std::string& line : Broken(Printable(text), width)) {
    Line(before + Paint(tone, line));
    before = std::string(margin, ' ');
  }
}

void Page::Marked(size_t indent, const std::string& mark, std::string_view text) {
  const size_t margin = indent + 2;
  const size_t width = std::max(style_.width, margin + kTextWidthMin) - margin;
  std::string before = std::string(indent, ' ') + mark + " ";
  for (const std::string& line : Broken(Printable(text), width)) {
    Line(before + line);
    before = std::string(margin, ' ');
  }
}

void Table::Row(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = Printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::Text(size_t indent) const {
  std::vector<size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i)
      widths[i] = std::max(widths[i], Columns(row[i]));
  std::string text;
  for (const auto& row : rows_) {
    std::string line(indent, ' ');
    for (size_t i = 0; i < row.size(); ++i)
      line += i + 1 < row.size() ? Pad(row[i], widths[i] + 3) : row[i];
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string Pad(std::string_view text, size_t columns) {
  const size_t taken = Columns(text);
  return std::string(text) + std::string(columns > taken ? columns - taken : 0, ' ');
}

}  // namespace cutover::cli
