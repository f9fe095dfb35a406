// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace cutover::pg {

/// What every object of a stream is called by, on either server: role, publication, slot,
/// subscription (StreamName() in postgres/replication.h). None of them is the tenant's, so none
/// comes along when his database is copied or compared.
inline constexpr std::string_view kStreamNamePrefixes[] = {"cutover_forward_", "cutover_reverse_"};
/// The same as a regular expression of PostgreSQL's.
inline constexpr char kStreamNamePattern[] = "^cutover_(forward|reverse)_";

constexpr bool IsOfStream(std::string_view name) {
  for (const std::string_view prefix : kStreamNamePrefixes)
    if (name.substr(0, prefix.size()) == prefix) return true;
  return false;
}

}  // namespace cutover::pg
