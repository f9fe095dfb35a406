// SPDX-License-Identifier: Apache-2.0
#include "cli/view/estimate.h"

#include <algorithm>
#include <chrono>

#include "cli/view/stages.h"
#include "cli/view/words.h"

namespace cutover::cli {
namespace {

using std::chrono::milliseconds;

// Copies of less than this take what beginning and ending take, which tells nothing of bytes.
constexpr int64_t kTellingBytesMin = 10'000'000;
// More would speak of servers as they were long ago.
constexpr size_t kLastMax = 5;

const api::Stage* DoneCopy(const MigrationView& migration) {
  const api::Stage* copying = migration.FindStage("Copying");
  // One that was held back shows what was ordered, and not what the servers can do.
  const bool done = copying && copying->state == "Succeeded" && copying->completed_at &&
                    !migration.copy_held_back;
  return done && migration.progress.bytes_copied >= kTellingBytesMin ? copying : nullptr;
}

// The last of those that `is_one` holds for, the latest first.
template <class IsOne, class TimeOf>
std::vector<const MigrationView*> LastOf(const std::vector<MigrationView>& all, IsOne is_one,
                                         TimeOf time_of) {
  std::vector<const MigrationView*> last;
  for (const MigrationView& migration : all)
    if (is_one(migration)) last.push_back(&migration);
  std::stable_sort(last.begin(), last.end(), [&](const MigrationView* a, const MigrationView* b) {
    return time_of(*a) > time_of(*b);
  });
  last.resize(std::min(last.size(), kLastMax));
  return last;
}

std::vector<const MigrationView*> LastCopies(const EstimateFacts& facts, bool to_target) {
  return LastOf(
      facts.migrations,
      [&](const MigrationView& migration) {
        return DoneCopy(migration) && CopyRate(migration) &&
               (!to_target || migration.target_server_name == facts.target_server_name);
      },
      [](const MigrationView& migration) { return *DoneCopy(migration)->completed_at; });
}

milliseconds TimeFor(int64_t bytes, int64_t bytes_per_second) {
  return milliseconds(
      static_cast<int64_t>(static_cast<double>(bytes) * 1000 /
                           static_cast<double>(std::max<int64_t>(bytes_per_second, 1))));
}

// "12 MB/s", or "11 MB/s to 14 MB/s" where that is not the same.
std::string Span(const std::string& least, const std::string& most) {
  return least == most ? least : least + " to " + most;
}

std::string Rate(int64_t bytes_per_second) { return FormatBytes(bytes_per_second) + "/s"; }

// In the unit in which it is ordered.
std::string Ordered(const EstimateFacts& facts) {
  return std::to_string(facts.rate_mebibytes_per_second_max) + " MiB/s";
}

/// Bytes a second of some copies: of the slowest and of the fastest.
struct Rates {
  int64_t slowest = INT64_MAX, fastest = 0;

  std::string Text() const { return Span(Rate(slowest), Rate(fastest)); }
};

// "the last 2 copies to pg-dedicated"
std::string WhichCopies(const EstimateFacts& facts, size_t count, bool to_target) {
  return "the last " + (count == 1 ? "copy" : std::to_string(count) + " copies") +
         (to_target ? " to " + facts.target_server_name
                    : " " + facts.where + ", none of them to " + facts.target_server_name + ",");
}

// At what rate it goes, where copies went at `seen`; `limit` is 0, or what is ordered.
std::string WhichRate(const EstimateFacts& facts, const Rates& seen, int64_t limit, size_t count,
                      bool to_target) {
  const std::string copies = WhichCopies(facts, count, to_target);
  if (limit == 0 || limit >= seen.fastest)
    return "at " + seen.Text() + " as " + copies + (count == 1 ? " was" : " were");
  const std::string least = limit > seen.slowest ? Rate(seen.slowest) + " to " : "";
  return "at " + least + "the " + Ordered(facts) + " that are ordered (" + copies + " ran at " +
         seen.Text() + ")";
}

std::string FromLimitAlone(const EstimateFacts& facts, int64_t limit) {
  return "at least " + FormatSpan(TimeFor(facts.database_bytes, limit)) + ", since no more than " +
         Ordered(facts) + " are ordered; no earlier copy " + facts.where + " tells more";
}

}  // namespace

std::string EstimateCopy(const EstimateFacts& facts) {
  constexpr int64_t kMebibyte = 1 << 20;
  if (facts.database_bytes <= 0)
    return "unknown: the placement's status does not say how big the database is";
  bool to_target = true;
  std::vector<const MigrationView*> copies = LastCopies(facts, to_target);
  if (copies.empty()) copies = LastCopies(facts, to_target = false);
  const int64_t limit = facts.rate_mebibytes_per_second_max * kMebibyte;
  if (copies.empty() && limit > 0) return FromLimitAlone(facts, limit);
  if (copies.empty()) return "unknown: no earlier copy " + facts.where + " tells how fast one is";
  Rates seen;
  for (const MigrationView* copy : copies) {
    seen.slowest = std::min(seen.slowest, *CopyRate(*copy));
    seen.fastest = std::max(seen.fastest, *CopyRate(*copy));
  }
  auto bounded = [limit](int64_t rate) { return limit > 0 ? std::min(rate, limit) : rate; };
  return "about " +
         Span(FormatSpan(TimeFor(facts.database_bytes, bounded(seen.fastest))),
              FormatSpan(TimeFor(facts.database_bytes, bounded(seen.slowest)))) +
         ", " + WhichRate(facts, seen, limit, copies.size(), to_target) +
         "; the size counts indexes, which are built and not copied";
}

std::string EstimatePause(const EstimateFacts& facts) {
  if (facts.strategy != "Online")
    return "as long as the copy takes, and what comes before and after it";
  const auto moves = LastOf(
      facts.migrations,
      [&](const MigrationView& migration) {
        return migration.strategy == "Online" && migration.switch_mode == facts.switch_by &&
               migration.cutover.opened_at && migration.cutover.write_pause_milliseconds > 0 &&
               migration.Journaled();
      },
      [](const MigrationView& migration) { return *migration.cutover.opened_at; });
  if (moves.empty())
    return "unknown: no earlier move of this kind " + facts.where + " has measured it";
  int64_t least = INT64_MAX, most = 0;
  for (const MigrationView* move : moves) {
    least = std::min(least, move->cutover.write_pause_milliseconds);
    most = std::max(most, move->cutover.write_pause_milliseconds);
  }
  return "about " +
         Span(api::FormatPause(milliseconds(least)), api::FormatPause(milliseconds(most))) +
         ", as in the last " +
         (moves.size() == 1 ? "move" : Counted(static_cast<int64_t>(moves.size()), "move")) +
         " of this kind " + facts.where;
}

}  // namespace cutover::cli
