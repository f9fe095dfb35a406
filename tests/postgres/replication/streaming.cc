// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/replication/streaming.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

namespace cutover::pg::testing {

using namespace std::chrono_literals;

namespace {

constexpr const char* kPassword = "a 'quoted' \\ password";

}  // namespace

void Must(const Status& status, const char* what) {
  if (status) return;
  std::cerr << what << ": " << status.error().reason << ": " << status.error().message << '\n';
  std::abort();
}

void WaitUntil(const std::function<bool()>& is_so, const char* what) {
  const Deadline deadline = Deadline::After(60s);
  while (!is_so()) {
    if (deadline.Expired()) {
      std::cerr << "not within a minute: " << what << '\n';
      std::abort();
    }
    std::this_thread::sleep_for(10ms);
  }
}

void AwaitCountsOf(Connection& session) {
  if (session.major_version() >= 15)
    return MustExec(session, {"SELECT pg_stat_force_next_flush()"});
  // A session's counts are told in order, so that the last one stands for all.
  const std::string table = UniqueName("counted");
  MustExec(session, {"CREATE TEMPORARY TABLE " + table + " (a int)",
                     "INSERT INTO " + table + " VALUES (1)"});
  WaitUntil(
      [&] {
        return MustRead(session, "SELECT pg_stat_get_tuples_inserted('" + table + "'::regclass)")
                   .front() == "1";
      },
      "what was written is counted");
  MustExec(session, {"DROP TABLE " + table});
}

Streaming::Streaming(const Servers& servers)
    : source_owner(servers.source),
      target_owner(servers.target),
      source_database(servers.source, source_owner.name(), "odd \"source\""),
      target_database(servers.target, target_owner.name(), "odd \"target\""),
      source(MustConnect(source_database.Options())),
      target(MustConnect(target_database.Options())) {
  EXPECT_TRUE(ClaimEpoch({}, Soon(), source, source_claim));
  EXPECT_TRUE(ClaimEpoch({}, Soon(), target, target_claim));
}

Streaming::~Streaming() {
  // As whoever has come last: a test may have deposed us.
  Claim at_source = source_claim;
  Claim at_target = target_claim;
  at_source.epoch = at_target.epoch = 1000;
  for (Direction direction : {Direction::kForward, Direction::kReverse}) {
    const bool forward = direction == Direction::kForward;
    Connection publisher = MustConnect((forward ? source_database : target_database).Options());
    Connection subscriber = MustConnect((forward ? target_database : source_database).Options());
    const Claim& publishes = forward ? at_source : at_target;
    const Claim& subscribes = forward ? at_target : at_source;
    EXPECT_TRUE(DropSubscription({}, Soon(), subscriber, subscribes, direction));
    EXPECT_TRUE(DropSlot({}, Soon(), publisher, publishes, direction));
    EXPECT_TRUE(DropPublication({}, Soon(), publisher, publishes, direction));
    EXPECT_TRUE(DropReplicationRole({}, Soon(), publisher, publishes, direction));
  }
}

void Streaming::OnBoth(const std::vector<std::string>& statements) {
  MustExec(source, statements);
  MustExec(target, statements);
}

PublisherAddress Streaming::Address(Direction direction) {
  const ConnectOptions& options = Publisher(direction).options();
  return {options.host, options.port, options.database, "require"};
}

void Streaming::PreparePublisher(Direction direction,
                                 const std::vector<std::string>& exclude_tables) {
  Connection& publisher = Publisher(direction);
  const Claim& claim = PublisherClaim(direction);
  Must(SetReplicaIdentities({}, Soon(), publisher, claim), "replica identities");
  Must(EnsureReplicationRole({}, Soon(), publisher, claim, direction, kPassword), "role");
  Must(EnsurePublication({}, Soon(), publisher, claim, direction, exclude_tables), "publication");
  Must(EnsureSlot({}, Soon(), publisher, claim, direction), "slot");
}

void Streaming::Prepare(Direction direction, const std::vector<std::string>& exclude_tables) {
  PreparePublisher(direction, exclude_tables);
  Must(EnsureSubscription({}, Soon(), Subscriber(direction), SubscriberClaim(direction), direction,
                          Address(direction), kPassword),
       "subscription");
}

void Streaming::Enable(Direction direction) {
  Must(EnableSubscription({}, Soon(), Subscriber(direction), SubscriberClaim(direction), direction),
       "enable");
}

void Streaming::Follow(Direction direction) {
  Prepare(direction);
  Enable(direction);
}

void Streaming::Settle(Direction direction) {
  Must(WriteMarker({}, Soon(), Publisher(direction), PublisherClaim(direction), ++marker_),
       "marker");
  WaitUntil([&] { return Subscribed(direction).marker >= marker_; }, "the marker arrives");
}

RogueWrites Streaming::FindRogue() {
  auto found = FindRogueWrites({}, Soon(), target, target_claim);
  if (!found) Must(tl::unexpected(found.error()), "find rogue writes");
  return *found;
}

SubscriberFacts Streaming::Subscribed(Direction direction) {
  auto facts = ObserveSubscriber({}, Soon(), Subscriber(direction), uid, direction);
  if (!facts) Must(tl::unexpected(facts.error()), "observe the subscriber");
  return *facts;
}

PublisherFacts Streaming::Published(Direction direction) {
  auto facts = ObservePublisher({}, Soon(), Publisher(direction), uid, direction);
  if (!facts) Must(tl::unexpected(facts.error()), "observe the publisher");
  return *facts;
}

}  // namespace cutover::pg::testing
