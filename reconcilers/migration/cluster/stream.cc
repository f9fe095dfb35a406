// SPDX-License-Identifier: Apache-2.0
//
// The stream of strategy Online, as a migration sees and moves it: what postgres/replication.h and
// postgres/changes.h do on one server or the other.
#include "postgres/replication.h"

#include <thread>

#include "operator/base/beside.h"
#include "operator/base/log.h"
#include "operator/base/random.h"
#include "postgres/changes.h"
#include "postgres/fence.h"
#include "postgres/matviews.h"
#include "postgres/sample.h"
#include "postgres/sequences.h"
#include "postgres/snapshot.h"
#include "postgres/structure.h"
#include "reconcilers/migration/cluster/bounds.h"
#include "reconcilers/migration/cluster/cluster_world.h"
#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/server/stream_address.h"

namespace cutover::migration {
namespace {

using pg::Direction;

// What the source's ledger keeps of the structure that was copied.
constexpr char kFingerprintRecord[] = "schema-fingerprint";
constexpr char kTableFilesRecord[] = "table-files";
// And the last cutover's marker when the way back was tried for the next one.
constexpr char kRehearsalRecord[] = "way-back-rehearsed";
// A marker usually arrives within milliseconds; what is still missing after this is asked for again
// by the next round, which also looks whether the pause has taken too long.
constexpr std::chrono::seconds kDrainBound{5};
constexpr std::chrono::milliseconds kDrainPoll{2};
// Readings before the doors close, and the rows that a last one may have found: users who write
// more than that in a second wait for the comparison of as many anyway.
constexpr int kReadingsMax = 8;
constexpr int64_t kFewRows = 5'000;
// A tenant that makes temporary tables all day is compared this often.
constexpr std::chrono::seconds kStructurePause{10};
// For looking through the columns that sequences number, with users shut out.
constexpr std::chrono::seconds kNumbersBudget{20};

PublisherFacts FactsOf(const pg::PublisherFacts& side) {
  PublisherFacts facts;
  facts.traces =
      side.role_exists || side.publication_exists || side.slot_exists || side.identities_changed;
  facts.published = side.publication_exists;
  facts.slot = side.slot_exists;
  facts.slot_lost = side.wal_status == "lost";
  facts.lag_bytes = side.lag_bytes;
  facts.retained_bytes = side.retained_bytes;
  facts.safe_wal_bytes = side.safe_wal_bytes;
  facts.clock_seconds = side.clock_seconds;
  facts.subscriber_timeline = side.subscriber_timeline;
  return facts;
}

SubscriberFacts FactsOf(const pg::SubscriberFacts& side) {
  return {.exists = side.exists,
          .enabled = side.enabled,
          .working = side.working,
          .apply_errors = side.apply_errors,
          .last_error = side.last_error,
          .marker = side.marker,
          .timeline = side.timeline,
          .heartbeat_at_seconds = side.heartbeat_at_seconds};
}

pg::ChangeWatch WatchOf(const std::string& uid) {
  std::string stream = pg::StreamName(uid, Direction::kForward);
  return {pg::WatchSlotName(stream), stream};
}

// What has the same structure as before, and other rows that no stream has carried.
Result<std::string> FindRewrittenTables(const std::stop_token& stop, Deadline deadline,
                                        pg::Connection& source) {
  TRY_ASSIGN(auto copied, pg::ReadRecord(stop, deadline, source, kTableFilesRecord, ""));
  if (!copied) return std::string();  // Published by an operator that did not write it down.
  TRY_ASSIGN(pg::Structure now, pg::ReadTableFiles(stop, deadline, source));
  return pg::DescribeChanges(pg::CompareStructures(pg::StructureOf(*copied), now));
}

}  // namespace

pg::Claim ClusterWorld::ClaimOn(const Call& call, pg::Side side) const {
  return {call.migration.meta.uid, context_.config.epoch(), side};
}

Result<DatabaseSide*> ClusterWorld::SideOf(const Call& call, pg::Side side) {
  return side == pg::Side::kSource ? Source(call) : Target(call);
}

const std::string& ClusterWorld::ServerOf(const Call& call, pg::Side side) {
  return side == pg::Side::kSource ? call.migration.status.source_server_name
                                   : call.migration.spec.target_server_name;
}

Result<pg::Connection*> ClusterWorld::InsideOf(const Call& call, pg::Side side) {
  TRY_ASSIGN(DatabaseSide * database, SideOf(call, side));
  return database->InDatabase(call.stop, call.deadline);
}

Result<ClusterWorld::Inside> ClusterWorld::BothSides(const Call& call) {
  TRY_ASSIGN(pg::Connection * source, InsideOf(call, pg::Side::kSource));
  TRY_ASSIGN(pg::Connection * target, InsideOf(call, pg::Side::kTarget));
  return Inside{*source, *target};
}

Result<std::optional<pg::Control>> ClusterWorld::ReadControlOf(const Call& call, pg::Side side) {
  TRY_ASSIGN(DatabaseSide * database, SideOf(call, side));
  TRY_ASSIGN(const bool is_there, database->Exists(call.stop, call.deadline));
  if (!is_there) return std::optional<pg::Control>();
  TRY_ASSIGN(pg::Connection * inside, database->InDatabase(call.stop, call.deadline));
  return pg::ReadControl(call.stop, call.deadline, *inside);
}

// --- looking -------------------------------------------------------------------------------------

Result<PublisherFacts> ClusterWorld::ObservePublisher(const Call& call, pg::Direction direction) {
  TRY_ASSIGN(DatabaseSide * side, SideOf(call, pg::PublisherSide(direction)));
  TRY_ASSIGN(bool exists, side->Exists(call.stop, call.deadline));
  if (!exists) return PublisherFacts{};
  TRY_ASSIGN(pg::Connection * inside, side->InDatabase(call.stop, call.deadline));
  const std::string& uid = call.migration.meta.uid;
  TRY_ASSIGN(auto found, pg::ObservePublisher(call.stop, call.deadline, *inside, uid, direction));
  PublisherFacts facts = FactsOf(found);
  if (direction == Direction::kReverse) return facts;
  // The watch of changed rows has one of its own, which stands where the copy began until that is
  // over. What one of them keeps, the other one keeps, too.
  TRY_ASSIGN(auto watch, pg::RetainedBytes(call.stop, call.deadline, *inside, WatchOf(uid).slot));
  facts.traces = facts.traces || watch;
  facts.retained_bytes = std::max(facts.retained_bytes, watch.value_or(0));
  return facts;
}

Result<SubscriberFacts> ClusterWorld::ObserveSubscriber(const Call& call, pg::Direction direction) {
  TRY_ASSIGN(DatabaseSide * side, SideOf(call, pg::SubscriberSide(direction)));
  TRY_ASSIGN(bool exists, side->Exists(call.stop, call.deadline));
  if (!exists) return SubscriberFacts{};
  TRY_ASSIGN(pg::Connection * inside, side->InDatabase(call.stop, call.deadline));
  TRY_ASSIGN(auto found, pg::ObserveSubscriber(call.stop, call.deadline, *inside,
                                               call.migration.meta.uid, direction));
  SubscriberFacts facts = FactsOf(found);
  // A DatabaseServer that cannot be read is no reason to dial elsewhere.
  auto publisher = ReadServer(call, ServerOf(call, pg::PublisherSide(direction)));
  if (publisher && facts.exists)
    facts.address_current = found.address == server::StreamAddress(*publisher, "").Where();
  return facts;
}

Result<SampleFacts> ClusterWorld::ObserveSample(const Call& call) {
  TRY_ASSIGN(pg::Connection * target, InsideOf(call, pg::Side::kTarget));
  TRY_ASSIGN(pg::Sample sample, pg::ReadSample(call.stop, call.deadline, *target));
  return SampleFacts{.taken_at = sample.taken_at,
                     .rows = sample.rows,
                     .undecided = sample.undecided(),
                     .differences = sample.differences(),
                     .words = sample.DescribeDifferences(),
                     .not_compared = sample.DescribeNotCompared()};
}

Result<StructureFacts> ClusterWorld::ObserveStructure(const Call& call) {
  TRY_ASSIGN(pg::Connection * target, InsideOf(call, pg::Side::kTarget));
  TRY_ASSIGN(auto watch, pg::ReadStructureWatch(call.stop, call.deadline, *target));
  if (!watch) return StructureFacts{};
  return StructureFacts{.settled = watch->settled, .changes = watch->changes};
}

Result<std::string> ClusterWorld::FindSchemaChange(const Call& call) {
  TRY_ASSIGN(pg::Connection * inside, InsideOf(call, pg::Side::kSource));
  TRY_ASSIGN(auto copied,
             pg::ReadRecord(call.stop, call.deadline, *inside, kFingerprintRecord, ""));
  if (!copied) return RetryError("LedgerMissing", "no record of the structure that was copied");
  TRY_ASSIGN(std::string now, pg::SchemaFingerprint(call.stop, call.deadline, *inside));
  if (now == copied->AsString()) return FindRewrittenTables(call.stop, call.deadline, *inside);
  // Who has made a large object will not look for DDL. Preflight lets through no source with any.
  TRY_ASSIGN(pg::Rows large, inside->Query(call.stop, call.deadline,
                                           "SELECT FROM pg_largeobject_metadata LIMIT 1"));
  return std::string(large.empty() ? "its structure was changed" : "large objects were made");
}

// With who did it and when, where that is known.
Result<std::string> ClusterWorld::ObserveSchemaChange(const Call& call) {
  TRY_ASSIGN(std::string change, FindSchemaChange(call));
  if (change.empty()) return change;
  TRY_ASSIGN(pg::Connection * inside, InsideOf(call, pg::Side::kSource));
  const auto ddl = pg::DescribeDdl(call.stop, call.deadline, *inside);
  return ddl && !ddl->empty() ? change + " (" + *ddl + ")" : change;
}

Result<bool> ClusterWorld::ObserveRehearsal(const Call& call) {
  TRY_ASSIGN(pg::Connection * source, InsideOf(call, pg::Side::kSource));
  TRY_ASSIGN(auto record, pg::ReadRecord(call.stop, call.deadline, *source, kRehearsalRecord, ""));
  return record && record->AsInt() == MarkerOf(call.migration);
}

// Under the fence nothing of it can change any more, so a mark from before the doors closed tells
// as much as a new fingerprint, and sooner.
Result<std::string> ClusterWorld::SchemaChangeSinceMark(const Call& call) {
  if (as_copied_) {
    TRY_ASSIGN(pg::Connection * inside, InsideOf(call, pg::Side::kSource));
    TRY_ASSIGN(bool touched, pg::CatalogsTouched(call.stop, call.deadline, *inside, *as_copied_));
    if (!touched) return std::string();
  }
  return ObserveSchemaChange(call);
}

// --- doing ---------------------------------------------------------------------------------------

Status ClusterWorld::PerformOnStream(const Call& call, Intent intent) {
  switch (intent) {
    case Intent::kPublishSource:
      return PublishSource(call);
    case Intent::kStartForwardStream:
      return StartForwardStream(call);
    case Intent::kLayWayBack:
      return LayWayBack(call);
    case Intent::kRehearseWayBack:
      return RehearseWayBack(call);
    case Intent::kRefreshViews:
      return RefreshViews(call);
    case Intent::kWatchStream:
      return WatchStream(call);
    case Intent::kTakeSample:
    case Intent::kSettleSample:
      return LookAtRows(call, intent);
    case Intent::kDrainForward:
      TRY(WriteMarker(call, Direction::kForward));
      return AwaitMarker(call, Direction::kForward);
    case Intent::kDrainReverse:
      return DrainReverse(call);
    case Intent::kWatchReverseStream:
      return WatchReverseStream(call);
    case Intent::kReaddressWayBack:
      return ReaddressWayBack(call);
    case Intent::kDropForwardPublisher:
      return DropPublisher(call, Direction::kForward);
    case Intent::kDropReversePublisher:
      return DropPublisher(call, Direction::kReverse);
    default:
      return PerformOnOneSide(call, intent);
  }
}

Status ClusterWorld::PerformOnOneSide(const Call& call, Intent intent) {
  auto& [stop, deadline, migration] = call;
  bool on_source =
      intent == Intent::kStartReverseStream || intent == Intent::kDropReverseSubscriber;
  pg::Side where = on_source ? pg::Side::kSource : pg::Side::kTarget;
  pg::Claim claim = ClaimOn(call, where);
  TRY_ASSIGN(pg::Connection * inside, InsideOf(call, where));
  switch (intent) {
    case Intent::kStopForwardStream:
      return pg::DisableSubscription(stop, deadline, *inside, claim, Direction::kForward);
    case Intent::kStartReverseStream:
      return pg::EnableSubscription(stop, deadline, *inside, claim, Direction::kReverse);
    case Intent::kGiveUpWayBack:
      return pg::DropSlot(stop, deadline, *inside, claim, Direction::kReverse);
    case Intent::kDropForwardSubscriber:
      return pg::DropSubscription(stop, deadline, *inside, claim, Direction::kForward);
    case Intent::kDropReverseSubscriber:
      return pg::DropSubscription(stop, deadline, *inside, claim, Direction::kReverse);
    case Intent::kPrepareAgain:
      return PrepareAgain(call, claim, *inside);
    default:
      return TerminalError("UnknownIntent", "no effect for " + std::string(Name(intent)));
  }
}

// Fingerprint and files before the publication: what is copied later can only be as old as that,
// and a change in between is taken for one too many rather than missed.
// The source is dialled as the stream will dial it: preflight has tried maintenance databases only,
// and a rule of pg_hba.conf for the tenant's own would be met after hours of copying.
Status ClusterWorld::PublishSource(const Call& call) {
  auto& [stop, deadline, migration] = call;
  pg::Claim claim = ClaimOn(call, pg::Side::kSource);
  TRY_ASSIGN(const StreamLogin login, MakeStreamLogin(call, Direction::kForward));
  TRY_ASSIGN(const Inside inside, BothSides(call));
  TRY(pg::TrySubscription(stop, deadline, inside.target, migration.meta.uid, Direction::kForward,
                          login.publisher, login.password));
  if (migration.spec.replica_identity == api::ReplicaIdentity::kSetFull)
    TRY(pg::SetReplicaIdentities(stop, deadline, inside.source, claim));
  TRY(NoteDdl(call, claim, inside.source));
  TRY_ASSIGN(std::string fingerprint, pg::SchemaFingerprint(stop, deadline, inside.source));
  TRY_ASSIGN(pg::Structure files, pg::ReadTableFiles(stop, deadline, inside.source));
  TRY_ASSIGN(auto views, pg::ReadMatviews(stop, deadline, inside.source));
  Status recorded = pg::WithEpoch(
      stop, deadline, inside.source, claim,
      [&](pg::Transaction& transaction, const pg::Control&) -> Status {
        TRY(pg::RecordOnce(stop, deadline, transaction, kFingerprintRecord, "", Json(fingerprint)));
        TRY(pg::RecordOnce(stop, deadline, transaction, kTableFilesRecord, "", ToJson(files)));
        return pg::RecordMatviews(stop, deadline, transaction, views);
      });
  TRY(recorded);
  return pg::EnsurePublication(stop, deadline, inside.source, claim, Direction::kForward,
                               migration.spec.copy_exclude_tables);
}

// An operator that noted nothing may have taken the fingerprint, which must not change. What is not
// noted stops no move.
Status ClusterWorld::NoteDdl(const Call& call, const pg::Claim& claim, pg::Connection& source) {
  TRY_ASSIGN(auto known, pg::ReadRecord(call.stop, call.deadline, source, kFingerprintRecord, ""));
  if (known) return Ok();
  const Status watched = pg::WatchDdl(call.stop, call.deadline, source, claim);
  if (!watched)
    LogWarn("who changes the source's structure is not noted",
            {{"error", watched.error().message}});
  return Ok();
}

// Another password each time, which lives in the role and in the subscription and nowhere else.
Result<ClusterWorld::StreamLogin> ClusterWorld::MakeStreamLogin(const Call& call,
                                                                pg::Direction direction) {
  const pg::Side side = pg::PublisherSide(direction);
  TRY_ASSIGN(DatabaseSide * published, SideOf(call, side));
  TRY_ASSIGN(pg::Connection * publisher, InsideOf(call, side));
  std::string password = RandomHex(24);
  TRY(pg::EnsureReplicationRole(call.stop, call.deadline, *publisher, ClaimOn(call, side),
                                direction, password));
  TRY_ASSIGN(api::DatabaseServer server, ReadServer(call, published->server_name()));
  return StreamLogin{server::StreamAddress(server, published->database()), std::move(password)};
}

// Whoever comes again makes a new one. A subscription that is there does not know its password
// until the publisher has been dialled by it: until then what it dials is not what it should,
// whatever the address.
Status ClusterWorld::Subscribe(const Call& call, pg::Direction direction) {
  auto& [stop, deadline, migration] = call;
  const pg::Side from = pg::PublisherSide(direction), to = pg::SubscriberSide(direction);
  TRY_ASSIGN(pg::Connection * publisher, InsideOf(call, from));
  TRY_ASSIGN(pg::Connection * subscriber, InsideOf(call, to));
  TRY(pg::RecordSubscriber(stop, deadline, *publisher, ClaimOn(call, from), *subscriber,
                           direction));
  TRY(pg::ForgetAddress(stop, deadline, *subscriber, ClaimOn(call, to), direction));
  TRY_ASSIGN(const StreamLogin login, MakeStreamLogin(call, direction));
  return pg::EnsureSubscription(stop, deadline, *subscriber, ClaimOn(call, to), direction,
                                login.publisher, login.password);
}

Status ClusterWorld::StartForwardStream(const Call& call) {
  TRY(Subscribe(call, Direction::kForward));
  TRY_ASSIGN(Inside inside, BothSides(call));
  return pg::EnableSubscription(call.stop, call.deadline, inside.target,
                                ClaimOn(call, pg::Side::kTarget), Direction::kForward);
}

// The copy brought the source's changed replica identities along; what they were before is copied,
// too, so that the target gets back what the source gets back.
Status ClusterWorld::LayWayBack(const Call& call) {
  auto& [stop, deadline, migration] = call;
  pg::Claim claim = ClaimOn(call, pg::Side::kTarget);
  TRY_ASSIGN(Inside inside, BothSides(call));
  TRY(pg::AdoptReplicaIdentities(stop, deadline, inside.source, inside.target, claim));
  TRY(pg::EnsurePublication(stop, deadline, inside.target, claim, Direction::kReverse,
                            migration.spec.copy_exclude_tables));
  TRY(pg::EnsureSlot(stop, deadline, inside.target, claim, Direction::kReverse));
  TRY(LookAtStructure(call));
  return Subscribe(call, Direction::kReverse);
}

// By the very role, path and database that the stream back will take. The subscription gets a new
// password on both sides, so the record comes last: a leader that dies in between begins again.
// The heartbeat first: whatever becomes of the rest, the target follows.
Status ClusterWorld::RehearseWayBack(const Call& call) {
  auto& [stop, deadline, migration] = call;
  const pg::Claim claim = ClaimOn(call, pg::Side::kSource);
  TRY_ASSIGN(pg::Connection * source, InsideOf(call, pg::Side::kSource));
  TRY(pg::WriteHeartbeat(stop, deadline, *source, claim));
  TRY(Subscribe(call, Direction::kReverse));
  return pg::WithEpoch(stop, deadline, *source, claim,
                       [&](pg::Transaction& transaction, const pg::Control&) -> Status {
                         TRY(pg::ForgetRecord(stop, deadline, transaction, kRehearsalRecord, ""));
                         TRY(pg::RecordOnce(stop, deadline, transaction, kRehearsalRecord, "",
                                            Json(MarkerOf(migration))));
                         return Ok();
                       });
}

Status ClusterWorld::LookForRogueWrites(const Call& call, pg::Connection& target) {
  TRY_ASSIGN(pg::RogueWrites rogue, pg::FindRogueWrites(call.stop, call.deadline, target,
                                                        ClaimOn(call, pg::Side::kTarget)));
  if (rogue.transactions == 0) return Ok();
  return TerminalError("TargetDiverged",
                       std::to_string(rogue.transactions) +
                           " transactions wrote to the target that did not come from the source, " +
                           "one of them to " + rogue.first_table +
                           ": find out who can write there as a superuser");
}

Result<pg::CollectedChanges> ClusterWorld::ReadStream(const Call& call) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(Inside inside, BothSides(call));
  for (pg::Connection* side : {&inside.source, &inside.target})
    TRY(pg::NoteRunningTransactions(stop, deadline, *side));
  TRY(pg::WriteHeartbeat(stop, deadline, inside.source, ClaimOn(call, pg::Side::kSource)));
  TRY_ASSIGN(auto reverse, pg::ObservePublisher(stop, deadline, inside.target, migration.meta.uid,
                                                Direction::kReverse));
  if (reverse.slot_exists) TRY(LookForRogueWrites(call, inside.target));
  return pg::CollectChanges(stop, deadline, inside.source, inside.target,
                            ClaimOn(call, pg::Side::kTarget), WatchOf(migration.meta.uid));
}

Status ClusterWorld::WatchStream(const Call& call) {
  TRY(ReadStream(call));
  return Ok();
}

// A long copy leaves more changed rows than one reading compares; what is left of them when the
// doors close is compared while users wait, and a fingerprint of thousands of tables takes long.
Status ClusterWorld::ReadStreamToItsEnd(const Call& call) {
  TRY_ASSIGN(pg::Connection * source, InsideOf(call, pg::Side::kSource));
  TRY_ASSIGN(pg::CatalogMark mark, pg::MarkCatalogs(call.stop, call.deadline, *source));
  TRY_ASSIGN(std::string change, ObserveSchemaChange(call));
  as_copied_.reset();
  if (change.empty()) as_copied_ = std::move(mark);
  for (int round = 0; round < kReadingsMax; ++round) {
    TRY_ASSIGN(pg::CollectedChanges read, ReadStream(call));
    if (read.complete && read.settled < kFewRows) break;
  }
  return Ok();
}

// Written again by each round: the same number, and later than whatever it stands behind.
Status ClusterWorld::WriteMarker(const Call& call, pg::Direction direction) {
  const pg::Side from = pg::PublisherSide(direction);
  TRY_ASSIGN(pg::Connection * publisher, InsideOf(call, from));
  return pg::WriteMarker(call.stop, call.deadline, *publisher, ClaimOn(call, from),
                         MarkerOf(call.migration));
}

Status ClusterWorld::AwaitMarker(const Call& call, pg::Direction direction) {
  auto& [stop, deadline, migration] = call;
  const pg::Side to = pg::SubscriberSide(direction);
  TRY_ASSIGN(pg::Connection * subscriber, InsideOf(call, to));
  Deadline patience = deadline.OrAfter(kDrainBound);
  while (!patience.Expired() && !stop.stop_requested()) {
    TRY_ASSIGN(auto side,
               pg::ObserveSubscriber(stop, deadline, *subscriber, migration.meta.uid, direction));
    if (side.marker >= MarkerOf(migration)) return Ok();
    std::this_thread::sleep_for(kDrainPoll);
  }
  return RetryError("NotDrained",
                    "the last write has not arrived on the " + std::string(Name(to)) + " yet");
}

// Under the fence the structure can change no more: while the marker is on its way it is settled,
// and written down, whether that is still the one which the stream was made for. A stream that
// another one has stopped is not waited for.
Status ClusterWorld::DrainReverse(const Call& call) {
  TRY(WriteMarker(call, Direction::kReverse));
  TRY(LookAtStructure(call, MarkerOf(call.migration)));
  TRY_ASSIGN(StructureFacts structure, ObserveStructure(call));
  if (!structure.changes.empty() && !LossAccepted(call.migration)) return Ok();
  return AwaitMarker(call, Direction::kReverse);
}

// `settles`: the marker of the closed doors that the answer has to stand for; 0: users work.
Status ClusterWorld::LookAtStructure(const Call& call, int64_t settles) {
  TRY_ASSIGN(pg::Connection * target, InsideOf(call, pg::Side::kTarget));
  return pg::LookAtStructure(
      call.stop, call.deadline, *target, ClaimOn(call, pg::Side::kTarget),
      {.publication = pg::StreamName(call.migration.meta.uid, Direction::kReverse),
       .now = context_.clock.WallNow(),
       .pause = kStructurePause,
       .settles = settles});
}

// The heartbeat first: whatever becomes of the rest, the way back is known to be open.
Status ClusterWorld::WatchReverseStream(const Call& call) {
  TRY_ASSIGN(pg::Connection * target, InsideOf(call, pg::Side::kTarget));
  TRY(pg::WriteHeartbeat(call.stop, call.deadline, *target, ClaimOn(call, pg::Side::kTarget)));
  return LookAtStructure(call);
}

// The heartbeat first: a stream that still has its connection is not taken for one that stands.
Status ClusterWorld::ReaddressWayBack(const Call& call) {
  TRY_ASSIGN(pg::Connection * target, InsideOf(call, pg::Side::kTarget));
  TRY(pg::WriteHeartbeat(call.stop, call.deadline, *target, ClaimOn(call, pg::Side::kTarget)));
  return Subscribe(call, Direction::kReverse);
}

Status ClusterWorld::LookAtRows(const Call& call, Intent intent) {
  auto& [stop, deadline, migration] = call;
  pg::Claim claim = ClaimOn(call, pg::Side::kTarget);
  TRY(WatchReverseStream(call));
  TRY_ASSIGN(Inside inside, BothSides(call));
  const std::string name = pg::StreamName(migration.meta.uid, Direction::kReverse);
  const pg::SampledStream stream{name, name};
  if (intent == Intent::kSettleSample)
    return pg::SettleSample(stop, deadline, inside.source, inside.target, claim, stream);
  TRY_ASSIGN(pg::SampleRound round, pg::TakeSample(stop, deadline, inside.source, inside.target,
                                                   claim, stream, context_.clock.WallNow()));
  if (!round.passed_over.empty())
    LogWarn("tables that were not looked at", {{"what", round.passed_over}});
  return Ok();
}

// By a mover whose node was lost and is back, when the control row had gone with all the rest.
Status ClusterWorld::DropLateSlots(const Call& call, pg::Connection& inside, Error not_claimed) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(auto slots, pg::FindStreamSlots(stop, deadline, inside));
  std::erase_if(slots, [&](const pg::StreamSlot& slot) {
    return !slot.IsOf(migration.meta.uid) || slot.database != inside.options().database;
  });
  if (slots.empty()) return tl::make_unexpected(std::move(not_claimed));
  for (const pg::StreamSlot& slot : slots) TRY(pg::RemoveStreamSlot(stop, deadline, inside, slot));
  return Ok();
}

Status ClusterWorld::DropPublisher(const Call& call, pg::Direction direction) {
  auto& [stop, deadline, migration] = call;
  pg::Side where = pg::PublisherSide(direction);
  pg::Claim claim = ClaimOn(call, where);
  TRY_ASSIGN(pg::Connection * inside, InsideOf(call, where));
  Status dropped = pg::DropSlot(stop, deadline, *inside, claim, direction);
  if (!dropped && dropped.error().reason == "NotClaimed")
    return DropLateSlots(call, *inside, std::move(dropped).error());
  TRY(dropped);
  if (direction == Direction::kForward) {
    TRY(pg::StopWatchingDdl(stop, deadline, *inside, claim));
    TRY(pg::DropIdleSlot(stop, deadline, *inside, WatchOf(migration.meta.uid).slot, claim.epoch));
  }
  TRY(pg::DropPublication(stop, deadline, *inside, claim, direction));
  TRY(pg::DropReplicationRole(stop, deadline, *inside, claim, direction));
  return pg::RestoreReplicaIdentities(stop, deadline, *inside, claim);
}

// A standby in the target's place takes up where it was, and is not sent what had been confirmed
// before; a marker that is written anew arrives all the same.
// Both servers at once: users wait.
Status ClusterWorld::ProveNoFailover(const Call& call, const Inside& inside) {
  const std::string& uid = call.migration.meta.uid;
  PublisherFacts laid;
  auto asking = Beside([&]() -> Status {
    TRY_ASSIGN(auto found, pg::ObservePublisher(call.stop, call.deadline, inside.source, uid,
                                                Direction::kForward));
    laid = FactsOf(found);
    return Ok();
  });
  auto found =
      pg::ObserveSubscriber(call.stop, call.deadline, inside.target, uid, Direction::kForward);
  TRY(asking.get());
  TRY(found);
  const SubscriberFacts now = FactsOf(*found);
  if (!now.FailedOver(laid)) return Ok();
  return TerminalError("TargetFailedOver", WhyTargetIsNotFollowed(call.migration, laid, now));
}

// Under the fence, with the marker applied: the last word on whether both sides are the same, or
// what of it was left out. Who else writes on the target is asked last, and what is written there
// from then on is what the way back has to carry: nothing falls between the two.
Result<std::string> ClusterWorld::ProveStreamed(const Call& call) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(Inside inside, BothSides(call));
  TRY_ASSIGN(const std::string change, SchemaChangeSinceMark(call));
  if (!change.empty())
    return TerminalError("SchemaChanged", "the source is not as it was copied: " + change);
  pg::CompareTerms terms;
  terms.budget = CompareBudget(deadline.Remaining());
  auto compared =
      pg::CompareChanged(stop, deadline, inside.source, inside.target,
                         ClaimOn(call, pg::Side::kTarget), WatchOf(migration.meta.uid), terms);
  // By the session that has written there, and will write the state: it is no standby's. What else
  // is wrong after a failover is wrong because of it.
  if (inside.target.usable()) TRY(ProveNoFailover(call, inside));
  TRY(compared);
  TRY(LookForRogueWrites(call, inside.target));
  if (!compared->equal())
    return TerminalError("VerificationFailed",
                         "rows that were changed during the move differ on the target: " +
                             compared->DescribeDifferences());
  TRY(pg::StartSubscriptionAtSlot(stop, deadline, inside.target, inside.source,
                                  ClaimOn(call, pg::Side::kSource), Direction::kReverse));
  return compared->DescribeNotCompared();
}

Result<std::vector<pg::SequencePosition>> ClusterWorld::ReadTargetsSequences(const Call& call) {
  TRY_ASSIGN(pg::Connection * target, InsideOf(call, pg::Side::kTarget));
  return pg::ReadSequences(call.stop, call.deadline, *target);
}

// The source takes up where the target's sequences stand; whether it has all of them. One that only
// the target has is left there: it was made by DDL, for whose loss a person has been asked, or
// nobody need be.
Result<bool> ClusterWorld::TakeSequencesBack(const Call& call,
                                             const std::vector<pg::SequencePosition>& sequences) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(pg::Connection * source, InsideOf(call, pg::Side::kSource));
  std::vector<std::string> missing;
  TRY(pg::WithEpoch(stop, deadline, *source, ClaimOn(call, pg::Side::kSource),
                    [&](pg::Transaction& transaction, const pg::Control&) -> Status {
                      TRY_ASSIGN(missing,
                                 pg::SetSequencesThatExist(stop, deadline, transaction, sequences));
                      return Ok();
                    }));
  for (const std::string& name : missing)
    LogWarn("a sequence of the target is not on the source", {{"sequence", name}});
  return missing.empty();
}

// A leader that froze before it opened the target again must not do so once the source is open:
// the source's row is not what it would look at. Whether there is anything of the move's to hold.
Result<bool> ClusterWorld::HoldShut(const Call& call, pg::Side where, pg::ControlState state) {
  TRY_ASSIGN(DatabaseSide * side, SideOf(call, where));
  TRY_ASSIGN(bool exists, side->Exists(call.stop, call.deadline));
  if (!exists) return false;
  TRY_ASSIGN(pg::Connection * inside, side->InDatabase(call.stop, call.deadline));
  Status held = pg::HoldState(call.stop, call.deadline, *inside, ClaimOn(call, where), state);
  if (held) return true;
  // One that nobody of ours knows is opened by nobody of ours.
  if (held.error().reason == "NotClaimed" || held.error().reason == "ForeignMigration")
    return false;
  return tl::make_unexpected(std::move(held).error());
}

// The same the other way round: nobody older opens the source once users are on the target again.
// Also one that a failover has made forget the journal, or the fence, which is none of theirs.
Status ClusterWorld::ReopenTarget(const Call& call, const pg::Claim& claim,
                                  pg::Connection& target) {
  TRY_ASSIGN(const auto control, ReadControlOf(call, pg::Side::kSource));
  const bool has_forgotten = control && (control->state == pg::ControlState::kFenced ||
                                         control->state == pg::ControlState::kOpen);
  TRY(HoldShut(call, pg::Side::kSource,
               has_forgotten ? control->state : pg::ControlState::kJournaled));
  return pg::Unfence(call.stop, call.deadline, target, claim, pg::ControlState::kOpen);
}

// Nobody can say where the target's sequences stood, or they went by other names there, and rows
// with numbers that the source has not given out may have arrived. Those that no row shows stay
// where they were, and so do those of columns that cannot be looked through: a number that comes
// twice is refused where it would do harm, and users wait.
Status ClusterWorld::MoveSequencesPastRows(const Call& call) {
  TRY_ASSIGN(pg::Connection * source, InsideOf(call, pg::Side::kSource));
  TRY_ASSIGN(pg::RowsAhead ahead,
             pg::FindRowsAhead(call.stop, call.deadline, *source, kNumbersBudget));
  for (const std::string& column : ahead.unread)
    LogWarn("the sequence of a column stays where it was, which was not looked through",
            {{"column", column}});
  TRY(TakeSequencesBack(call, ahead.positions));
  return Ok();
}

// Of a target of ours that is older than its opening, as a standby may be: it is held as it is, and
// its sequences are the copy's. Any other one is to be fenced.
Result<pg::ControlState> ClusterWorld::StateToHold(const Call& call) {
  TRY_ASSIGN(const auto control, ReadControlOf(call, pg::Side::kTarget));
  const bool older = control && (control->state == pg::ControlState::kPreparing ||
                                 control->state == pg::ControlState::kCopied);
  return older ? control->state : pg::ControlState::kFenced;
}

// Before anybody but us can write to the source, nothing more is applied to it, and its sequences
// are past whatever has arrived. A target that does not answer is waited for even by whoever
// accepts a loss, since it might be open. What is there without being known as ours is asked, too,
// and not believed alone.
Status ClusterWorld::TakeBackFromTarget(const Call& call) {
  TRY_ASSIGN(const pg::ControlState state, StateToHold(call));
  TRY_ASSIGN(const bool is_ours, HoldShut(call, pg::Side::kTarget, state));
  const bool is_older = is_ours && state != pg::ControlState::kFenced;
  TRY_ASSIGN(pg::Connection * source, InsideOf(call, pg::Side::kSource));
  TRY(pg::DisableSubscription(call.stop, call.deadline, *source, ClaimOn(call, pg::Side::kSource),
                              Direction::kReverse));
  TRY_ASSIGN(DatabaseSide * target, Target(call));
  TRY_ASSIGN(const bool is_there, target->Exists(call.stop, call.deadline));
  bool by_name = is_ours && !is_older;
  if (is_there && !is_older) {
    TRY_ASSIGN(const auto sequences, ReadTargetsSequences(call));
    TRY_ASSIGN(const bool all, TakeSequencesBack(call, sequences));
    by_name = by_name && all;
  }
  // One that was renamed may have given its name to another.
  if (by_name) {
    TRY_ASSIGN(const StructureFacts structure, ObserveStructure(call));
    by_name = structure.changes.empty();
  }
  return by_name ? Ok() : MoveSequencesPastRows(call);
}

}  // namespace cutover::migration
