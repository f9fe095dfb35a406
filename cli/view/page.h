// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cutover::cli {

/// How text is to look where it goes to.
struct Style {
  bool colour = false;
  bool unicode = true;
  size_t width = 100;  ///< Columns after which sentences are broken; tables are not.
};

enum class Tone { kPlain, kBold, kDim, kGood, kWarning, kBad };

/// Text as people read it, line by line. Pure: what a Style says is all it knows of a terminal.
/// Texts are made Printable; a tone never changes what the text says.
class Page {
 public:
  explicit Page(const Style& style) : style_(style) {}

  const Style& style() const { return style_; }

  /// `text` in that tone, where there are colours.
  std::string Paint(Tone tone, std::string_view text) const;
  /// The first where the terminal can show it, else the second.
  std::string_view Glyph(std::string_view unicode, std::string_view ascii) const {
    return style_.unicode ? unicode : ascii;
  }

  /// A line that is ready as it is, without trailing spaces.
  void Line(std::string_view ready = "");
  /// `indent` spaces, `label` padded to `label_width` columns, then `text`, broken at the width and
  /// continued below its own beginning.
  void Field(size_t indent, std::string_view label, size_t label_width, std::string_view text,
             Tone tone = Tone::kPlain);

  /// `mark`, which is ready and one column wide, then `text`, broken and continued below itself.
  void Marked(size_t indent, const std::string& mark, std::string_view text);

  std::string Take() { return std::move(text_); }

 private:
  Style style_;
  std::string text_;
};

/// Rows of cells in columns, as wide as their widest cell, as kubectl prints them; the last column
/// is not padded. Cells are made Printable.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

  void Row(std::vector<std::string> cells);
  /// Each line behind `indent` spaces.
  std::string Text(size_t indent = 0) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// `text` padded with spaces to so many columns.
std::string Pad(std::string_view text, size_t columns);

}  // namespace cutover::cli
