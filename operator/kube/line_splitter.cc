// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/line_splitter.h"

namespace cutover::kube {

bool LineSplitter::Feed(std::string_view bytes) {
  while (!overflown_ && !bytes.empty()) {
    size_t newline = bytes.find('\n');
    std::string_view piece = bytes.substr(0, newline);
    if (tail_.size() + piece.size() > line_bytes_max_) {
      overflown_ = true;
      tail_.clear();
      break;
    }
    if (newline == std::string_view::npos) {
      tail_.append(piece);
      break;
    }
    Emit(piece);
    bytes.remove_prefix(newline + 1);
  }
  return !overflown_;
}

void LineSplitter::Emit(std::string_view piece) {
  if (tail_.empty()) {
    // The usual case, a whole line in one piece, needs no copy.
    if (!piece.empty()) on_line_(piece);
    return;
  }
  tail_.append(piece);
  // Emptied before the call, so that a splitter whose callback fails is still consistent.
  std::string line = std::move(tail_);
  tail_.clear();
  on_line_(line);
}

}  // namespace cutover::kube
