// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace cutover::mover {

/// Counts the rows in the script that pg_restore makes of an archive: between a line
/// "COPY table (…) FROM stdin;" and the line "\." each line is one. Takes the script in pieces,
/// cut anywhere, and keeps no more of a line than it needs.
class CopyRowCounter {
 public:
  void Take(std::string_view piece);

  /// By the table's name as the script spells it: quoted only where it must be. Tables without rows
  /// are there, too.
  const std::map<std::string, int64_t>& rows() const { return rows_; }

 private:
  void EndLine();

  static constexpr size_t kLineBytesKept = 4096;  ///< A name is at most two times 63 bytes, quoted.

  std::string line_;
  std::string table_;  ///< Of the COPY that we are in; empty outside.
  std::map<std::string, int64_t> rows_;
};

}  // namespace cutover::mover
