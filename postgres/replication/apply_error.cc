// SPDX-License-Identifier: Apache-2.0
#include "postgres/replication/apply_error.h"

#include <algorithm>
#include <vector>

namespace cutover::pg {
namespace {

constexpr int kLogBytesMax = 128 * 1024;
/// Between an error and the line that says whose it was stand at most DETAIL, HINT and the like.
constexpr size_t kLinesOfOneErrorMax = 8;
constexpr size_t kErrorBytesMax = 500;

constexpr std::string_view kError = "ERROR:  ";

// A question of its own: a statement with a function in it that we may not call fails even where it
// would not call it.
constexpr const char* kMayReadLog = R"(
  SELECT has_function_privilege('pg_current_logfile()', 'EXECUTE')
         AND has_function_privilege('pg_read_binary_file(text,bigint,bigint)', 'EXECUTE')
         AND has_function_privilege('pg_stat_file(text)', 'EXECUTE'))";

// The collector's file; NULL without one.
constexpr const char* kLogFile = "SELECT pg_current_logfile()";

constexpr const char* kReadEnd = R"(
  SELECT encode(pg_read_binary_file($1, greatest(size - $2, 0), $2::bigint), 'escape')
    FROM pg_stat_file($1))";

std::vector<std::string_view> LinesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// What follows "ERROR:  " on the line.
std::string Words(std::string_view line) {
  std::string_view words = line.substr(line.find(kError) + kError.size());
  return std::string(words.substr(0, kErrorBytesMax));
}

bool IsError(std::string_view line) { return line.find(kError) != std::string_view::npos; }

}  // namespace

std::string FindApplyError(std::string_view log, std::string_view name, std::string_view origin) {
  const std::vector<std::string_view> lines = LinesOf(log);
  // The context of an error names the origin, in quotes, some lines below the error.
  const std::string context = "replication origin \"" + std::string(origin) + "\"";
  for (size_t at = lines.size(); at-- > 0;) {
    if (IsError(lines[at]) && lines[at].find(name) != std::string_view::npos)
      return Words(lines[at]);
    if (lines[at].find(context) == std::string_view::npos) continue;
    for (size_t back = 0; back <= std::min(kLinesOfOneErrorMax, at); ++back) {
      if (IsError(lines[at - back])) return Words(lines[at - back]);
    }
  }
  return {};
}

Result<std::string> ReadApplyError(const std::stop_token& stop, Deadline deadline,
                                   Connection& connection, const std::string& name,
                                   const std::string& subscription_oid) {
  const std::string elsewhere = "the server's log says why subscription " + name +
                                " does not get on: look for that name or for \"pg_" +
                                subscription_oid + "\"";
  TRY_ASSIGN(Rows may_read, connection.QueryOne(stop, deadline, kMayReadLog));
  if (!may_read[0].Bool(0)) return elsewhere;
  TRY_ASSIGN(Rows file, connection.QueryOne(stop, deadline, kLogFile));
  if (file[0].IsNull(0)) return elsewhere;
  auto end = connection.QueryOne(stop, deadline, kReadEnd, {file[0].Text(0), kLogBytesMax});
  if (!end) {
    // Rotated away meanwhile, or not ours to read after all: no reason to fail the observation.
    if (!connection.usable()) return tl::unexpected(std::move(end).error());
    return elsewhere;
  }
  return FindApplyError((*end)[0].Text(0), name, "pg_" + subscription_oid);
}

}  // namespace cutover::pg
