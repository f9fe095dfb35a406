// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "operator/base/clock.h"
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

// A heartbeat older than this says that the stream stands still, however few bytes are missing.
constexpr double kHeartbeatSecondsMax = 10;
// Several times wal_retrieve_retry_interval, which is 5 s.
constexpr double kSilentSecondsMax = 30;
// From one sample of rows to the next: often enough for a person who thinks of going back, seldom
// enough for a server that is busy with its users.
constexpr std::chrono::seconds kSampleInterval{60};

bool Follows(const PublisherFacts& publisher, const SubscriberFacts& subscriber) {
  const double age = subscriber.HeartbeatAgeSeconds(publisher);
  return subscriber.working && age >= 0 && age <= kHeartbeatSecondsMax;
}

// An apply worker that fails is started again every few seconds, so what counts is that it fails.
// A server before version 15 does not count that: there nothing has arrived for `silent_seconds`,
// in which several workers were started.
bool CannotApply(const SubscriberFacts& subscriber, double silent_seconds) {
  if (!subscriber.exists || !subscriber.enabled || subscriber.working) return false;
  if (subscriber.apply_errors >= 0) return subscriber.apply_errors > 0;
  return silent_seconds > kSilentSecondsMax;
}

// Since the phase began when no heartbeat has arrived at all: what fails may stand before the
// first.
double SilentSeconds(const api::TenantMigration& migration, const Observation& seen) {
  const double age = seen.forward_subscriber->HeartbeatAgeSeconds(*seen.forward_publisher);
  if (age >= 0) return age;
  return std::chrono::duration<double>(seen.now - EnteredAt(migration, seen)).count();
}

// The stream goes on meanwhile, and is watched.
Plan Hold(std::string reason, std::string message) {
  Plan plan = Plan::Wait(std::chrono::seconds(5), std::move(message), std::move(reason));
  plan.effect = Intent::kWatchStream;
  plan.trouble = true;
  return plan;
}

// The source's DatabaseServer leads elsewhere by now, a new name of the same server for one. The
// stream goes on where it was.
std::optional<Plan> FollowSourcesAddress(const Observation& seen) {
  ASK(seen.forward_subscriber);
  if (!seen.forward_subscriber.known()) return std::nullopt;
  const SubscriberFacts& target = *seen.forward_subscriber;
  if (!target.exists || !target.enabled || target.address_current) return std::nullopt;
  return Plan::Do(Intent::kStartForwardStream,
                  "following the source at the address that its DatabaseServer has by now");
}

std::string WhatFailoverMeans(const PublisherFacts& publisher, const SubscriberFacts& subscriber) {
  return " (its timeline was " + std::to_string(publisher.subscriber_timeline) + ", and is " +
         std::to_string(subscriber.timeline) +
         "): what had arrived there before may be missing, and is not sent again";
}

bool RowsDiffer(const Observation& seen) {
  return seen.reverse_sample.known() && seen.reverse_sample->differences > 0;
}

// Rows that are known to be wrong would be the users' again, and what no stream carries would be
// lost. What somebody mends is seen.
Plan Refused(const Observation& seen, const std::string& consent) {
  constexpr std::chrono::seconds kPace{2};
  if (StructureDiffers(seen))
    return Plan::Wait(kPace,
                      "rollback refused: the structure of the target is not what it was when users "
                      "came: " +
                          seen.structure->changes +
                          "; take that back on the target, or, to go back without what the stream "
                          "could not carry, " +
                          consent,
                      "RollbackNeedsConsent");
  if (SourceFailedOver(seen))
    return Plan::Wait(kPace,
                      "rollback refused: " + WhyWayBackIsShut(seen) +
                          "; to go back without what may be missing there, " + consent,
                      "RollbackNeedsConsent");
  if (StreamBackIsBroken(seen))
    return Plan::Wait(kPace,
                      "rollback refused: " + WhyWayBackIsShut(seen) +
                          "; mend that, or, to go back without what has not arrived, " + consent,
                      "RollbackNeedsConsent");
  return Plan::Wait(kPace,
                    "rollback refused: rows of the source are not what the target has: " +
                        seen.reverse_sample->words +
                        "; mend them on the source as its admin, or, to go back to them as they "
                        "are, " +
                        consent,
                    "RollbackNeedsConsent");
}

// It comes by itself, or by what nobody's consent takes the place of; until then users work.
Plan Later(const api::TenantMigration& migration, const Observation& seen,
           const std::string& consent) {
  if (auto fence = HoldForFence(migration, seen)) return *fence;
  return Plan::Wait(
      std::chrono::seconds(2),
      "going back waits, and users work on meanwhile: " + WhyNotBackNow(migration, seen) +
          "; to go back without what has not arrived, " + consent,
      "AwaitingWayBack");
}

}  // namespace

std::string Megabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

int64_t MarkerOf(const api::TenantMigration& migration) {
  constexpr int64_t kCutoversPerAttemptMax = 1'000'000;
  return migration.status.attempt * kCutoversPerAttemptMax + migration.status.cutover.attempts;
}

std::string DescribeLag(const SubscriberFacts& subscriber, const PublisherFacts& publisher) {
  std::string text = Megabytes(publisher.lag_bytes) + " behind";
  const double age = subscriber.HeartbeatAgeSeconds(publisher);
  if (age < 0) return text + ", no heartbeat has arrived yet";
  char words[48];
  std::snprintf(words, sizeof words, ", last heartbeat %.0f s ago", age);
  return text + words;
}

std::string WhyTargetIsNotFollowed(const api::TenantMigration& migration,
                                   const PublisherFacts& publisher,
                                   const SubscriberFacts& subscriber) {
  return "server " + migration.spec.target_server_name +
         " has failed over to a standby, or was restored, since the stream to it was laid" +
         WhatFailoverMeans(publisher, subscriber);
}

std::optional<Plan> TroubleOfStream(const api::TenantMigration& migration,
                                    const Observation& seen) {
  NEED(seen.forward_publisher);
  if (!seen.forward_publisher->slot) return SlotLost(migration.status.source_server_name);
  ASK(seen.forward_subscriber);
  // Before anything else of it: what is laid there anew would hide what is missing.
  if (seen.forward_subscriber.known() &&
      seen.forward_subscriber->FailedOver(*seen.forward_publisher))
    return Plan::Undo("TargetFailedOver", WhyTargetIsNotFollowed(migration, *seen.forward_publisher,
                                                                 *seen.forward_subscriber));
  if (auto plan = FollowSourcesAddress(seen)) return plan;
  NEED(seen.reverse_publisher);
  NEED(seen.schema_change);
  const std::string& change = *seen.schema_change;
  if (!change.empty()) {
    if (migration.spec.on_schema_change == api::OnSchemaChange::kCopyAgain)
      return Plan::Undo("SchemaChanged",
                        "the source is not as it was copied (" + change + "): copying again");
    return Hold("SchemaChanged", "holding: the source is not as it was copied (" + change +
                                     "), and the stream carries rows only; take that back, or set "
                                     "cutover.dev/abort and then cutover.dev/retry to copy again");
  }
  NEED(seen.forward_subscriber);
  const SubscriberFacts& target = *seen.forward_subscriber;
  if (CannotApply(target, SilentSeconds(migration, seen)))
    return Hold("ApplyFails",
                "holding: the target cannot apply what comes from the source: " +
                    (target.last_error.empty() ? "see the server's log for the subscription's error"
                                               : target.last_error));
  return std::nullopt;
}

bool FollowsClosely(const api::TenantMigration& migration, const Observation& seen) {
  return Follows(*seen.forward_publisher, *seen.forward_subscriber) &&
         seen.forward_publisher->lag_bytes <= migration.spec.replication_lag_bytes_max;
}

bool FollowsBack(const Observation& seen) {
  if (!seen.reverse_publisher.known() || !seen.reverse_subscriber.known()) return false;
  const PublisherFacts& target = *seen.reverse_publisher;
  return target.Streams() && Follows(target, *seen.reverse_subscriber);
}

bool UsersWriteOnTarget(const api::TenantMigrationStatus& status) {
  using api::Phase;
  const bool nearly = status.phase == Phase::kOpening || status.phase == Phase::kSmoke ||
                      status.phase == Phase::kAdmitting;
  return status.phase == Phase::kHypercare || (nearly && status.cutover.opened_at);
}

bool UsersMayHaveBeenIn(const api::TenantMigration& migration) {
  return migration.status.cutover.opened_at.has_value() || migration.spec.by_pooler();
}

bool StructureDiffers(const Observation& seen) {
  return seen.structure.known() && !seen.structure->changes.empty();
}

bool WayBackIsOpen(const Observation& seen) {
  return FollowsBack(seen) && !SourceFailedOver(seen) && seen.structure.known() &&
         !StructureDiffers(seen) && seen.reverse_sample.known() &&
         seen.reverse_sample->differences == 0;
}

std::string WhyWayBackIsShut(const Observation& seen) {
  if (StructureDiffers(seen))
    return "the structure of the target is not what it was when users came, and the stream back "
           "carries rows of that only: " +
           seen.structure->changes + "; take that back there, where it can be";
  if (seen.reverse_publisher.known() && !seen.reverse_publisher->slot)
    return "its slot on the target is gone";
  if (!seen.reverse_subscriber.known())
    return "the source cannot be asked: " + seen.reverse_subscriber.error().message;
  if (!seen.reverse_publisher.known())
    return "the target cannot be asked: " + seen.reverse_publisher.error().message;
  if (SourceFailedOver(seen))
    return "the source's server has failed over to a standby, or was restored, since the way back "
           "was laid" +
           WhatFailoverMeans(*seen.reverse_publisher, *seen.reverse_subscriber);
  if (seen.reverse_publisher->slot_lost)
    return "the target has thrown away WAL that the way back needs";
  if (!seen.reverse_publisher->published)
    return "the publication of the way back is gone from the target";
  if (!seen.reverse_subscriber->exists)
    return "the subscription of the way back is gone from the source";
  if (StreamBackIsBroken(seen))
    return "the source cannot apply what comes from the target: " +
           (seen.reverse_subscriber->last_error.empty()
                ? "see the server's log for the subscription's error"
                : seen.reverse_subscriber->last_error);
  if (seen.reverse_subscriber->exists && !seen.reverse_subscriber->address_current)
    return "the source is still to be told the address that the target's DatabaseServer has by now";
  if (!FollowsBack(seen)) return "the stream back to the source does not follow yet";
  if (!seen.structure.known())
    return "the target cannot be asked: " + seen.structure.error().message;
  if (!seen.reverse_sample.known())
    return "the target cannot be asked: " + seen.reverse_sample.error().message;
  return "rows of the source are not what the target has, though the stream has carried them: " +
         seen.reverse_sample->words +
         "; find out who writes to the source, and mend them there as its admin";
}

bool SourceFailedOver(const Observation& seen) {
  return seen.reverse_publisher.known() && seen.reverse_subscriber.known() &&
         seen.reverse_subscriber->FailedOver(*seen.reverse_publisher);
}

bool StreamBackIsGone(const Observation& seen) {
  if (seen.reverse_publisher.known() && !seen.reverse_publisher->Streams()) return true;
  if (SourceFailedOver(seen)) return true;
  return seen.reverse_subscriber.known() && !seen.reverse_subscriber->exists;
}

bool StreamBackIsBroken(const Observation& seen) {
  if (StreamBackIsGone(seen)) return true;
  if (!seen.reverse_subscriber.known()) return false;
  const SubscriberFacts& source = *seen.reverse_subscriber;
  const bool both = seen.reverse_publisher.known();
  return CannotApply(source, both ? source.HeartbeatAgeSeconds(*seen.reverse_publisher) : 0);
}

bool WayBackNeedsPerson(const Observation& seen) {
  return StructureDiffers(seen) || RowsDiffer(seen) || StreamBackIsBroken(seen);
}

bool MayGoBack(const api::TenantMigration& migration, const Observation& seen) {
  const auto& retry_at = migration.status.cutover.retry_at;
  return WayBackIsOpen(seen) && (!retry_at || seen.now >= *retry_at) &&
         !WhyNoFence(seen.target, migration.spec.target_server_name) &&
         seen.reverse_publisher->lag_bytes <= migration.spec.replication_lag_bytes_max;
}

std::string WhyNotBackNow(const api::TenantMigration& migration, const Observation& seen) {
  if (!WayBackIsOpen(seen)) return WhyWayBackIsShut(seen);
  if (auto why = WhyNoFence(seen.target, migration.spec.target_server_name)) return why->message;
  const auto& retry_at = migration.status.cutover.retry_at;
  if (retry_at && seen.now < *retry_at)
    return "the last try was given up, and the next begins at " + FormatTime(*retry_at);
  return "the source is " + DescribeLag(*seen.reverse_subscriber, *seen.reverse_publisher) +
         ", and users are stopped only below spec.cutover.maxReplicationLagBytes";
}

std::string ConsentByNewToken() {
  return "set cutover.dev/rollback and cutover.dev/accept-data-loss to one new token";
}

std::optional<Plan> HoldForWayBack(const api::TenantMigration& migration, const Observation& seen,
                                   const std::string& consent) {
  ASK(seen.target);
  ASK(seen.structure);
  ASK(seen.reverse_sample);
  ASK(seen.reverse_publisher);
  ASK(seen.reverse_subscriber);
  if (MayGoBack(migration, seen)) return std::nullopt;
  Plan hold = WayBackNeedsPerson(seen) ? Refused(seen, consent) : Later(migration, seen, consent);
  hold.trouble = true;
  hold.awaits_consent = true;
  // What is tried in a database that is gone fails, and only that would be said.
  if (seen.target.known() && !seen.target->exists) return hold;
  hold.effect = KeepWayBackOpen(seen);
  if (RowsDiffer(seen) && FollowsBack(seen)) hold.effect = Intent::kSettleSample;
  // What has not begun does not come by waiting.
  if (auto turn = TurnStream(seen)) hold = *turn;
  hold.awaits_consent = true;
  return hold;
}

std::optional<Plan> FollowTargetsAddress(const Observation& seen) {
  ASK(seen.reverse_subscriber);
  if (!seen.reverse_subscriber.known() || !seen.reverse_subscriber->exists ||
      seen.reverse_subscriber->address_current)
    return std::nullopt;
  return Plan::Do(Intent::kReaddressWayBack,
                  "telling the source the address that the target's DatabaseServer has by now");
}

Intent KeepWayBackOpen(const Observation& seen) {
  if (auto plan = FollowTargetsAddress(seen); plan && plan->effect) return *plan->effect;
  if (!FollowsBack(seen) || !seen.reverse_sample.known()) return Intent::kWatchReverseStream;
  const SampleFacts& sample = *seen.reverse_sample;
  // A look in the future is that of a leader whose clock is ahead.
  const bool due = !sample.taken_at || seen.now < *sample.taken_at ||
                   seen.now - *sample.taken_at >= kSampleInterval;
  if (due) return Intent::kTakeSample;
  return sample.undecided > 0 ? Intent::kSettleSample : Intent::kWatchReverseStream;
}

bool LossAccepted(const api::TenantMigration& migration) {
  const std::string& token = migration.status.rollback.token;
  return !token.empty() && migration.meta.Annotation(api::kAcceptDataLossAnnotation) == token;
}

std::optional<Plan> RefreshViews(const Observation& seen, std::chrono::seconds pause) {
  ASK(seen.views);
  if (!seen.views.known() || seen.views->stale.empty()) return std::nullopt;
  const auto& last = seen.views->refreshed_at;
  if (last && *last <= seen.now && seen.now - *last < pause) return std::nullopt;
  return Plan::Do(Intent::kRefreshViews,
                  "refreshing materialized views on the target, as they were on the source");
}

std::string DescribeViews(const Observation& seen) {
  if (!seen.views.known()) return "";
  std::string text;
  if (seen.views->refreshed > 0)
    text =
        "; materialized views that were refreshed on the source during the move are so on the "
        "target (" +
        std::to_string(seen.views->refreshed) + ")";
  if (!seen.views->trouble.empty())
    text += "; materialized views of the target that are older than the source's were: " +
            seen.views->trouble + "; refresh them there";
  return text;
}

std::optional<Plan> TurnStream(const Observation& seen) {
  NEED(seen.forward_subscriber);
  if (seen.forward_subscriber->exists && seen.forward_subscriber->enabled)
    return Plan::Do(Intent::kStopForwardStream, "ending the stream to the target");
  ASK(seen.reverse_subscriber);
  // A subscription without a slot would fail every few seconds.
  const bool in_vain = seen.reverse_publisher.known() && !seen.reverse_publisher->slot;
  if (!in_vain && seen.reverse_subscriber.known() && seen.reverse_subscriber->exists &&
      !seen.reverse_subscriber->enabled)
    return Plan::Do(Intent::kStartReverseStream, "beginning the stream back to the source");
  return std::nullopt;
}

std::optional<Plan> RemoveForwardStream(const Observation& seen) {
  ASK(seen.forward_subscriber);
  if (seen.forward_subscriber.known() && seen.forward_subscriber->exists)
    return Plan::Do(Intent::kDropForwardSubscriber, "removing the target's subscription");
  NEED(seen.forward_publisher);
  if (seen.forward_publisher->traces)
    return Plan::Do(Intent::kDropForwardPublisher,
                    "removing slot, publication and role on the source");
  NEED(seen.forward_subscriber);
  return std::nullopt;
}

namespace {

std::optional<Plan> RemoveReverseStream(const Observation& seen) {
  ASK(seen.reverse_subscriber);
  if (seen.reverse_subscriber.known() && seen.reverse_subscriber->exists)
    return Plan::Do(Intent::kDropReverseSubscriber, "removing the source's subscription");
  NEED(seen.reverse_publisher);
  if (seen.reverse_publisher->traces)
    return Plan::Do(Intent::kDropReversePublisher,
                    "removing slot, publication and role on the target");
  NEED(seen.reverse_subscriber);
  return std::nullopt;
}

}  // namespace

std::optional<Plan> RemoveStreams(const Observation& seen) {
  std::optional<Plan> forward = RemoveForwardStream(seen);
  if (forward && (forward->effect || forward->look_at)) return forward;
  std::optional<Plan> reverse = RemoveReverseStream(seen);
  return reverse ? reverse : forward;
}

}  // namespace cutover::migration
