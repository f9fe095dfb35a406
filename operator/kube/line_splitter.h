// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace cutover::kube {

/// Cuts a stream of bytes into lines, however the network has split it (inside a UTF-8 sequence, a
/// number, the newline's neighbourhood). Looks at each byte once. Empty lines are skipped. Not
/// thread-safe.
class LineSplitter {
 public:
  LineSplitter(size_t line_bytes_max, std::function<void(std::string_view)> on_line)
      : line_bytes_max_(line_bytes_max), on_line_(std::move(on_line)) {}

  /// False, now and from then on, once a line is longer than the bound: the stream is useless.
  bool Feed(std::string_view bytes);

  /// The bytes after the last newline: a stream that was cut in the middle of a line.
  std::string_view tail() const { return tail_; }

 private:
  void Emit(std::string_view piece);

  const size_t line_bytes_max_;
  const std::function<void(std::string_view)> on_line_;
  std::string tail_;
  bool overflown_ = false;
};

}  // namespace cutover::kube
