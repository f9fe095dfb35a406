// SPDX-License-Identifier: Apache-2.0
#include "cli/view/estimate.h"

#include <algorithm>

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

Estimate FromLimitAlone(const EstimateFacts& facts) {
  Estimate estimate;
  estimate.least = TimeFor(facts.database_bytes, facts.rate_bytes_per_second_max);
  estimate.text = "at least " + FormatSpan(*estimate.least) + ", since no more than " +
                  Rate(facts.rate_bytes_per_second_max) + " are ordered; no earlier copy " +
                  facts.where + " tells more";
  return estimate;
}

}  // namespace

Estimate EstimateCopy(const EstimateFacts& facts) {
  if (facts.database_bytes <= 0)
    return {{}, {}, "unknown: the placement's status does not say how big the database is"};
  bool to_target = true;
  std::vector<const MigrationView*> copies = LastCopies(facts, to_target);
  if (copies.empty()) copies = LastCopies(facts, to_target = false);
  const int64_t limit = facts.rate_bytes_per_second_max;
  if (copies.empty() && limit > 0) return FromLimitAlone(facts);
  if (copies.empty())
    return {{}, {}, "unknown: no earlier copy " + facts.where + " tells how fast one is"};
  int64_t slowest = INT64_MAX, fastest = 0;
  for (const MigrationView* copy : copies) {
    const int64_t rate = limit > 0 ? std::min(*CopyRate(*copy), limit) : *CopyRate(*copy);
    slowest = std::min(slowest, rate);
    fastest = std::max(fastest, rate);
  }
  Estimate estimate;
  estimate.least = TimeFor(facts.database_bytes, fastest);
  estimate.most = TimeFor(facts.database_bytes, slowest);
  estimate.text =
      "about " + Span(FormatSpan(*estimate.least), FormatSpan(*estimate.most)) + ", at " +
      Span(Rate(slowest), Rate(fastest)) + " as the last " +
      (copies.size() == 1 ? "copy" : std::to_string(copies.size()) + " copies") +
      (to_target ? " to " + facts.target_server_name
                 : " " + facts.where + ", none of them to " + facts.target_server_name + ",") +
      (copies.size() == 1 ? " was" : " were") +
      (limit > 0 ? ", within the " + Rate(limit) + " that are ordered" : "") +
      "; the size counts indexes, which are built and not copied";
  return estimate;
}

Estimate EstimatePause(const EstimateFacts& facts) {
  if (facts.strategy != "Online") {
    Estimate estimate = EstimateCopy(facts);
    estimate.most.reset();
    estimate.text = "as long as the copy takes, and what comes before and after it";
    return estimate;
  }
  const auto moves = LastOf(
      facts.migrations,
      [&](const MigrationView& migration) {
        return migration.strategy == "Online" && migration.switch_mode == facts.switch_by &&
               migration.cutover.opened_at && migration.cutover.write_pause_milliseconds > 0 &&
               migration.Journaled();
      },
      [](const MigrationView& migration) { return *migration.cutover.opened_at; });
  if (moves.empty())
    return {{}, {}, "unknown: no earlier move of this kind " + facts.where + " has measured it"};
  Estimate estimate;
  for (const MigrationView* move : moves) {
    const milliseconds pause(move->cutover.write_pause_milliseconds);
    estimate.least = std::min(estimate.least.value_or(pause), pause);
    estimate.most = std::max(estimate.most.value_or(pause), pause);
  }
  estimate.text =
      "about " + Span(api::FormatPause(*estimate.least), api::FormatPause(*estimate.most)) +
      ", as in the last " +
      (moves.size() == 1 ? "move" : Counted(static_cast<int64_t>(moves.size()), "move")) +
      " of this kind " + facts.where;
  return estimate;
}

}  // namespace cutover::cli
