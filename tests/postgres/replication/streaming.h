// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "postgres/connection.h"
#include "postgres/control.h"
#include "postgres/fence.h"
#include "postgres/replication.h"
#include "tests/postgres/servers.h"

namespace cutover::pg::testing {

/// Two databases of a move with a name of their own, claimed for both sides, and nothing in them.
/// At the end all streams between them are dropped, then they. The steps abort the test when they
/// fail. `source` and `target` are the admin's connections.
class Streaming {
 public:
  struct Servers {
    ConnectOptions source;
    ConnectOptions target;
  };
  Streaming() : Streaming(Servers{testing::Servers().source, testing::Servers().target}) {}
  explicit Streaming(const Servers& servers);
  ~Streaming();
  Streaming(const Streaming&) = delete;
  Streaming& operator=(const Streaming&) = delete;

  /// The same statements on both sides: the structure, as a copy brings it.
  void OnBoth(const std::vector<std::string>& statements);
  /// Role, publication and slot on the publisher, subscription on the subscriber, disabled.
  void Prepare(Direction direction, const std::vector<std::string>& exclude_tables = {});
  void Enable(Direction direction);
  /// Prepare() and Enable().
  void Follow(Direction direction);
  /// Writes a marker on the publisher and waits until the subscriber has it.
  void Settle(Direction direction);
  /// What others have written on the target since the last time; the reverse slot begins here then.
  RogueWrites FindRogue();
  /// Role, publication and slot of a direction on its publisher.
  void PreparePublisher(Direction direction, const std::vector<std::string>& exclude_tables = {});

  Connection& Publisher(Direction direction) {
    return direction == Direction::kForward ? source : target;
  }
  Connection& Subscriber(Direction direction) {
    return direction == Direction::kForward ? target : source;
  }
  const Claim& PublisherClaim(Direction direction) const {
    return direction == Direction::kForward ? source_claim : target_claim;
  }
  const Claim& SubscriberClaim(Direction direction) const {
    return direction == Direction::kForward ? target_claim : source_claim;
  }
  PublisherAddress Address(Direction direction);
  SubscriberFacts Subscribed(Direction direction);
  PublisherFacts Published(Direction direction);
  FenceOptions Staying() const { return {StreamNames(uid)}; }

  const std::string uid = UniqueName("move");
  const Claim source_claim{uid, 1, Side::kSource};
  const Claim target_claim{uid, 1, Side::kTarget};
  TestRole source_owner;
  TestRole target_owner;
  TestDatabase source_database;
  TestDatabase target_database;
  Connection source;
  Connection target;

 private:
  int64_t marker_ = 0;
};

/// Aborts the test with the words of an error.
void Must(const Status& status, const char* what);
/// Until the server shows in its counts of rows what this session has written so far. It counts in
/// steps of half a second, and before 15 by way of another process.
void AwaitCountsOf(Connection& session);
/// Looks again until it is so; aborts the test after a minute.
void WaitUntil(const std::function<bool()>& is_so, const char* what);

}  // namespace cutover::pg::testing
