// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace cutover::mover {

/// What COPY's binary format puts around the rows (PostgreSQL's documentation of COPY, "Binary
/// Format"): a signature before the first, a trailer after the last.
class BinaryFrame {
 public:
  /// Signature, flags, and the length of an extension that no version has used.
  static constexpr size_t kHeaderBytes = 11 + 4 + 4;
  /// A number of fields that no row can have.
  static constexpr std::string_view kTrailer{"\xff\xff", 2};

  /// The row in the server's next message, without frame; nothing when there is none in it. The
  /// server sends the header together with what follows it.
  std::optional<std::string_view> RowIn(std::string_view message) {
    if (!began_)
      message.remove_prefix(message.size() < kHeaderBytes ? message.size() : kHeaderBytes);
    began_ = true;
    if (message.empty() || message == kTrailer) return std::nullopt;
    return message;
  }

 private:
  bool began_ = false;
};

}  // namespace cutover::mover
