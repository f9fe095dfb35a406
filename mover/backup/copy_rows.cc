// SPDX-License-Identifier: Apache-2.0
#include "mover/backup/copy_rows.h"

#include <algorithm>

namespace cutover::mover {
namespace {

/// The name after "COPY ": up to the first blank that is in no quotes. Empty for another line.
std::string_view TableOfCopy(std::string_view line) {
  constexpr std::string_view kOpening = "COPY ";
  if (line.substr(0, kOpening.size()) != kOpening) return "";
  line.remove_prefix(kOpening.size());
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') quoted = !quoted;
    if (line[i] == ' ' && !quoted) return line.substr(0, i);
  }
  return "";
}

}  // namespace

void CopyRowCounter::Take(std::string_view piece) {
  while (!piece.empty()) {
    const size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    const size_t room = kLineBytesKept - std::min(line_.size(), kLineBytesKept);
    line_.append(part.substr(0, room));
    if (end == std::string_view::npos) return;
    EndLine();
    piece.remove_prefix(end + 1);
  }
}

void CopyRowCounter::EndLine() {
  if (table_.empty()) {
    table_ = TableOfCopy(line_);
    if (!table_.empty()) rows_[table_];
  } else if (line_ == "\\.") {
    table_.clear();
  } else {
    ++rows_[table_];
  }
  line_.clear();
}

}  // namespace cutover::mover
