// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <optional>

#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/samples.h"
#include "reconcilers/migration/status/change.h"

namespace cutover::migration {
namespace {

using api::Phase;

// Where the copy stands, at most every two seconds: each write of it is an event for every watcher.
constexpr std::chrono::seconds kProgressInterval{2};

void NoteCopyUnderWay(const Change& change, const CopyProgress& copy) {
  auto& progress = change.status.progress;
  if (progress.updated_at && change.seen.now - *progress.updated_at < kProgressInterval) return;
  api::Stage& stage = StageOf(change.status, Phase::kCopying);
  stage.done = copy.bytes_done;
  stage.total = copy.bytes_total;
  stage.unit = "bytes";
  api::MigrationProgress now;
  now.bytes_copied = copy.bytes_done;
  now.bytes_total = copy.bytes_total;
  now.tables_copied = copy.tables_done;
  now.tables_total = copy.tables_total;
  now.rows_copied = copy.rows_done;
  if (stage.started_at && copy.bytes_done > 0) {
    double elapsed = std::chrono::duration<double>(change.seen.now - *stage.started_at).count();
    double left = static_cast<double>(copy.bytes_total - copy.bytes_done);
    now.eta_seconds = static_cast<int64_t>(left * elapsed / static_cast<double>(copy.bytes_done));
  }
  now.updated_at = change.seen.now;
  progress = now;
}

void NoteResult(const Change& change, const CopyResult& result) {
  auto& verification = change.status.verification;
  verification.level = result.level;
  verification.tables = result.tables;
  verification.rows = result.rows;
  verification.mismatches = result.mismatches;
  verification.report = result.Describe();
  if (!verification.finished_at) verification.finished_at = change.seen.now;
  auto& progress = change.status.progress;
  progress.bytes_copied = progress.bytes_total = result.bytes;
  progress.tables_copied = progress.tables_total = result.tables;
  progress.rows_copied = result.rows;
  progress.eta_seconds = 0;
  api::Stage& stage = StageOf(change.status, Phase::kCopying);
  stage.done = stage.total = result.bytes;
  stage.unit = "bytes";
}

void NoteCopy(const Change& change) {
  const auto& progress = change.seen.copy_progress;
  const auto& result = change.seen.copy_result;
  if (result.known() && *result && (*result)->attempt == change.status.attempt)
    NoteResult(change, **result);
  else if (progress.known() && *progress)
    NoteCopyUnderWay(change, **progress);
}

// Where what is left becomes less: seconds until nothing is. 0: it does not, or that is not worth
// saying.
int64_t SecondsUntilNothing(double left, double per_second) {
  constexpr double kWorthSayingMax = 30.0 * 24 * 3600;
  if (per_second <= 0) return 0;
  const double eta = std::ceil(left / per_second);
  return eta > kWorthSayingMax ? 0 : static_cast<int64_t>(eta);
}

// By how many bytes are missing. How fast they become fewer is a mean that forgets within a minute
// or so, since what has been applied is confirmed by leaps, up to 30 seconds apart (half of
// wal_sender_timeout) while the subscriber is busy. The mean needs no place of its own: the last
// lag and its estimate hold it.
int64_t EtaByBytes(double elapsed, double before_left, double left, int64_t before_eta_seconds) {
  constexpr double kMemorySeconds = 60;
  double per_second = (before_left - left) / elapsed;
  if (before_eta_seconds > 0 && before_left > 0) {
    const double kept = std::exp(-elapsed / kMemorySeconds);
    per_second =
        kept * before_left / static_cast<double>(before_eta_seconds) + (1 - kept) * per_second;
  }
  return SecondsUntilNothing(left, per_second);
}

// By how old is what was applied last. It comes with what is applied, so it tells that the target
// catches up also while nothing is confirmed, or while the source writes more and more.
int64_t EtaBySeconds(double elapsed, const std::optional<int64_t>& before,
                     const std::optional<int64_t>& age) {
  if (!before || !age) return 0;
  return SecondsUntilNothing(static_cast<double>(*age),
                             static_cast<double>(*before - *age) / elapsed);
}

// Seconds until the doors may close: until no more than spec.cutover.maxReplicationLagBytes are
// missing. 0: they may close already, or nothing tells that the target catches up.
int64_t EtaOfFollowing(const Change& change, const api::MigrationProgress& before,
                       const api::MigrationProgress& now) {
  const int64_t goal = change.migration.spec.replication_lag_bytes_max;
  const int64_t left = *now.replication_lag_bytes - goal;
  if (change.migration.status.phase != Phase::kCatchingUp || left <= 0) return 0;
  if (!before.replication_lag_bytes || !before.updated_at) return 0;
  const double elapsed =
      std::chrono::duration<double>(*now.updated_at - *before.updated_at).count();
  if (elapsed <= 0) return before.eta_seconds;  // The leader before had a clock that is ahead.
  const int64_t eta = EtaByBytes(elapsed, static_cast<double>(*before.replication_lag_bytes - goal),
                                 static_cast<double>(left), before.eta_seconds);
  if (eta > 0) return eta;
  return EtaBySeconds(elapsed, before.replication_lag_seconds, now.replication_lag_seconds);
}

// How far the following side is behind, at most every few seconds, as above.
void NoteLag(const Change& change, const Fact<PublisherFacts>& publisher,
             const Fact<SubscriberFacts>& subscriber) {
  constexpr std::chrono::seconds kLagInterval{5};
  if (!publisher.known() || !subscriber.known() || !publisher->slot) return;
  auto& progress = change.status.progress;
  bool fresh = progress.replication_lag_bytes && progress.updated_at &&
               change.seen.now - *progress.updated_at < kLagInterval;
  if (fresh) return;
  const api::MigrationProgress before = progress;
  progress.replication_lag_bytes = publisher->lag_bytes;
  double age = subscriber->HeartbeatAgeSeconds(*publisher);
  progress.replication_lag_seconds =
      age < 0 ? std::nullopt : std::optional<int64_t>(static_cast<int64_t>(age));
  progress.updated_at = change.seen.now;
  progress.eta_seconds = EtaOfFollowing(change, before, progress);
}

void NoteStream(const Change& change) {
  const Observation& seen = change.seen;
  switch (change.migration.status.phase) {
    case Phase::kCatchingUp:
    case Phase::kAwaitingCutover:
      return NoteLag(change, seen.forward_publisher, seen.forward_subscriber);
    case Phase::kHypercare:
      return NoteLag(change, seen.reverse_publisher, seen.reverse_subscriber);
    default:
      return;
  }
}

// It rides on the write that new progress is, and causes none of its own. Not in AwaitingCutover: a
// person may let it wait for days, in which nothing is to be learnt from the lag.
void NoteSample(const Change& change) {
  const api::MigrationProgress& progress = change.status.progress;
  if (!progress.updated_at) return;
  if (progress.updated_at == change.migration.status.progress.updated_at) return;
  api::Sample sample{*progress.updated_at, std::nullopt, std::nullopt};
  switch (change.migration.status.phase) {
    case Phase::kCopying:
      sample.copied_bytes = progress.bytes_copied;
      break;
    case Phase::kCatchingUp:
    case Phase::kHypercare:
      sample.lag_bytes = progress.replication_lag_bytes;
      break;
    default:
      return;
  }
  AddSample(sample, change.status.samples);
}

}  // namespace

void NoteProgress(const Change& change) {
  NoteCopy(change);
  NoteStream(change);
  NoteSample(change);
}

}  // namespace cutover::migration
