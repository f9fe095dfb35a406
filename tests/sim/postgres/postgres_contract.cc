// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/postgres/postgres_contract.h"

#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>

#include "postgres/fence.h"
#include "postgres/roles.h"
#include "postgres/sequences.h"

namespace cutover::sim {
namespace {

using pg::ControlState;
using enum pg::Direction;

std::string ReasonOf(const Status& status) { return status ? "" : status.error().reason; }
template <class T>
std::string ReasonOf(const Result<T>& result) {
  return result ? "" : result.error().reason;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const PostgresSubject& subject) {
  return out << subject.name;
}

pg::Connection PostgresContract::Connect(const pg::ConnectOptions& options) {
  auto connection = pg::Connection::Open({}, Soon(), options);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

pg::ConnectOptions PostgresContract::Tenant(const pg::ConnectOptions& admin) const {
  pg::ConnectOptions options = admin.WithDatabase(place_->database());
  options.user = place_->owner();
  options.password = place_->password();
  options.application_name = "app";
  return options;
}

ControlState PostgresContract::StateOf(pg::Connection& connection) {
  auto control = pg::ReadControl({}, Soon(), connection);
  if (!control || !*control) throw std::runtime_error("no control row");
  return (*control)->state;
}

Status PostgresContract::Prepare() {
  pg::Connection inside = Inside(), target = Connect(place_->TargetAdmin());
  TRY_ASSIGN(pg::RoleSet roles, pg::ReadReferencedRoles({}, Soon(), inside));
  TRY_ASSIGN(auto properties, pg::FindDatabase({}, Soon(), inside, place_->database()));
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin({}, Soon(), target));
  TRY(pg::CreateRoles({}, Soon(), transaction, roles, place_->uid()));
  TRY(transaction.Commit({}, Soon()));
  return pg::CreateTargetDatabase({}, Soon(), place_->TargetAdmin(), *properties, Target());
}

Status PostgresContract::MoveTarget(ControlState from, ControlState to) {
  pg::Connection target = Connect(place_->TargetAdmin().WithDatabase(place_->database()));
  return pg::CompareAndSetState({}, Soon(), target, Target(), from, to);
}

pg::Connection PostgresContract::Publisher(pg::Direction direction) {
  return direction == kForward ? Inside()
                               : Connect(place_->TargetAdmin().WithDatabase(place_->database()));
}

pg::Connection PostgresContract::Subscriber(pg::Direction direction) {
  return Publisher(direction == kForward ? kReverse : kForward);
}

pg::Claim PostgresContract::PublisherClaim(pg::Direction direction) const {
  return direction == kForward ? Source() : Target();
}

pg::Claim PostgresContract::SubscriberClaim(pg::Direction direction) const {
  return direction == kForward ? Target() : Source();
}

pg::PublisherAddress PostgresContract::Address(pg::Direction direction) const {
  const pg::ConnectOptions publisher =
      direction == kForward ? place_->SourceAdmin() : place_->TargetAdmin();
  return {publisher.host, publisher.port, place_->database(), "require"};
}

Status PostgresContract::Lay(pg::Direction direction) {
  pg::Connection publisher = Publisher(direction), subscriber = Subscriber(direction);
  const pg::Claim claim = PublisherClaim(direction);
  TRY(pg::ClaimEpoch({}, Soon(), publisher, claim));
  TRY(pg::EnsurePublication({}, Soon(), publisher, claim, direction));
  TRY(pg::EnsureSlot({}, Soon(), publisher, claim, direction));
  TRY(pg::EnsureReplicationRole({}, Soon(), publisher, claim, direction, "right"));
  return pg::EnsureSubscription({}, Soon(), subscriber, SubscriberClaim(direction), direction,
                                Address(direction), "right");
}

Status PostgresContract::Stream(bool enabled) {
  TRY(Prepare());
  TRY(Lay(kForward));
  if (!enabled) return Ok();
  pg::Connection target = Subscriber(kForward);
  return pg::EnableSubscription({}, Soon(), target, Target(), kForward);
}

int64_t PostgresContract::MarkerOnTarget(int64_t awaited) {
  pg::Connection target = Connect(place_->TargetAdmin().WithDatabase(place_->database()));
  int64_t seen = -1;
  const Deadline patience = Soon();
  while (seen < awaited && !patience.Expired()) {
    auto facts = pg::ObserveSubscriber({}, Soon(), target, place_->uid(), kForward);
    if (!facts) throw std::runtime_error(facts.error().message);
    seen = facts->marker;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return seen;
}

Status PostgresContract::EndStream(pg::Direction direction) {
  pg::Connection publisher = Publisher(direction), subscriber = Subscriber(direction);
  const pg::Claim claim = PublisherClaim(direction);
  TRY(pg::DropSubscription({}, Soon(), subscriber, SubscriberClaim(direction), direction));
  TRY(pg::DropSlot({}, Soon(), publisher, claim, direction));
  TRY(pg::DropPublication({}, Soon(), publisher, claim, direction));
  return pg::DropReplicationRole({}, Soon(), publisher, claim, direction);
}

// --- sessions and transactions ------------------------------------------------------------------

TEST_P(PostgresContract, ASessionIsRefusedForWhatIsWrongWithIt) {
  EXPECT_TRUE(pg::Connection::Open({}, Soon(), Tenant(place_->SourceAdmin())));
  pg::ConnectOptions wrong = Tenant(place_->SourceAdmin());
  wrong.password = "wrong";
  EXPECT_EQ(ReasonOf(pg::Connection::Open({}, Soon(), wrong)), "AuthenticationFailed");
  EXPECT_EQ(
      ReasonOf(pg::Connection::Open({}, Soon(), place_->SourceAdmin().WithDatabase("no such one"))),
      "DatabaseNotFound");
}

TEST_P(PostgresContract, ATransactionSeesItsOwnChangesAndOthersDoNotUntilItCommits) {
  pg::Connection one = Inside(), other = Inside();
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), one, Source()));
  Status done = pg::WithEpoch(
      {}, Soon(), one, Source(), [&](pg::Transaction& transaction, const pg::Control&) -> Status {
        TRY(pg::RecordOnce({}, Soon(), transaction, "kind", "name", Json("value")));
        TRY_ASSIGN(auto within,
                   pg::ReadRecord({}, Soon(), transaction.connection(), "kind", "name"));
        EXPECT_TRUE(within);
        TRY_ASSIGN(auto outside, pg::ReadRecord({}, Soon(), other, "kind", "name"));
        EXPECT_FALSE(outside);
        return Ok();
      });
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(*pg::ReadRecord({}, Soon(), other, "kind", "name"));
}

TEST_P(PostgresContract, WhatIsNotCommittedDidNotHappen) {
  pg::Connection inside = Inside();
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside, Source()));
  Status undone =
      pg::WithEpoch({}, Soon(), inside, Source(3),
                    [&](pg::Transaction& transaction, const pg::Control&) -> Status {
                      TRY(pg::RecordOnce({}, Soon(), transaction, "kind", "name", Json("value")));
                      return TerminalError("Enough", "");
                    });
  EXPECT_EQ(ReasonOf(undone), "Enough");
  EXPECT_FALSE(*pg::ReadRecord({}, Soon(), inside, "kind", "name"));
  EXPECT_EQ((*pg::ReadControl({}, Soon(), inside))->epoch, 1);
}

TEST_P(PostgresContract, AfterAFailedStatementATransactionCannotCommit) {
  pg::Connection inside = Inside();
  auto transaction = pg::Transaction::Begin({}, Soon(), inside);
  ASSERT_TRUE(transaction);
  EXPECT_FALSE(
      transaction->Exec({}, Soon(), "DROP ROLE IF EXISTS " + pg::QuoteIdentifier(place_->owner())));
  EXPECT_EQ(inside.last_sqlstate(), "2BP01");
  EXPECT_FALSE(transaction->Query({}, Soon(), "SELECT current_database()"));
  EXPECT_EQ(inside.last_sqlstate(), "25P02");
  EXPECT_EQ(ReasonOf(transaction->Commit({}, Soon())), "TransactionAborted");
}

TEST_P(PostgresContract, TheFirstRecordWins) {
  pg::Connection inside = Inside();
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside, Source()));
  for (const char* value : {"first", "second"}) {
    Status done = pg::WithEpoch(
        {}, Soon(), inside, Source(),
        [&](pg::Transaction& transaction, const pg::Control&) -> Status {
          TRY_ASSIGN(Json held,
                     pg::RecordOnce({}, Soon(), transaction, "kind", "name", Json(value)));
          EXPECT_EQ(held, Json("first"));
          return Ok();
        });
    ASSERT_TRUE(done) << done.error().message;
  }
}

// --- the control row ----------------------------------------------------------------------------

TEST_P(PostgresContract, AClaimIsHeldByTheNewestLeaderOfOneMigration) {
  pg::Connection inside = Inside();
  EXPECT_FALSE(*pg::ReadControl({}, Soon(), inside));
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside, Source(2)));
  EXPECT_EQ(StateOf(inside), ControlState::kOpen);
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside, Source(2)));
  EXPECT_EQ(ReasonOf(pg::ClaimEpoch({}, Soon(), inside, Source(1))), "Deposed");
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside, Source(3)));
  pg::Claim another = Source(9);
  another.migration_uid = "another";
  EXPECT_EQ(ReasonOf(pg::ClaimEpoch({}, Soon(), inside, another)), "ForeignMigration");
  EXPECT_EQ((*pg::ReadControl({}, Soon(), inside))->epoch, 3);
  ASSERT_TRUE(pg::DropControl({}, Soon(), inside, Source(3)));
  EXPECT_FALSE(*pg::ReadControl({}, Soon(), inside));
  EXPECT_TRUE(pg::DropControl({}, Soon(), inside, Source(3)));
}

TEST_P(PostgresContract, TheRowIsLockedWhileALeaderActs) {
  pg::Connection one = Inside(), other = Inside();
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), one, Source()));
  auto move = [&](pg::Connection& connection, int64_t epoch) {
    return pg::CompareAndSetState({}, Soon(), connection, Source(epoch), ControlState::kOpen,
                                  ControlState::kFenced);
  };
  Status done =
      pg::WithEpoch({}, Soon(), one, Source(), [&](pg::Transaction&, const pg::Control&) -> Status {
        EXPECT_EQ(ReasonOf(move(other, 2)), "LockNotAvailable");
        return Ok();
      });
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(move(other, 2));
}

TEST_P(PostgresContract, TheJournalIsACompareAndSetThatUndoCannotPass) {
  pg::Connection inside = Inside();
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside, Source()));
  auto journal = [&] {
    return pg::CompareAndSetState({}, Soon(), inside, Source(), ControlState::kFenced,
                                  ControlState::kJournaled);
  };
  EXPECT_EQ(ReasonOf(journal()), "StateMismatch");
  ASSERT_TRUE(pg::Fence({}, Soon(), inside, Source()));
  EXPECT_TRUE(journal());
  EXPECT_TRUE(journal());
  EXPECT_EQ(ReasonOf(pg::Unfence({}, Soon(), inside, Source(), ControlState::kOpen)),
            "StateMismatch");
  EXPECT_TRUE(pg::Unfence({}, Soon(), inside, Source(), ControlState::kReopened));
}

// --- the fence ----------------------------------------------------------------------------------

TEST_P(PostgresContract, AFenceEndsSessionsRefusesNewOnesAndComesDownExactly) {
  pg::Connection inside = Inside();
  const std::string on = " ON DATABASE " + pg::QuoteIdentifier(place_->database());
  const std::string owner = pg::QuoteIdentifier(place_->owner());
  for (const std::string& statement :
       {"GRANT CONNECT" + on + " TO " + owner + " WITH GRANT OPTION",
        "REVOKE ALL" + on + " FROM PUBLIC CASCADE",
        "ALTER DATABASE " + pg::QuoteIdentifier(place_->database()) + " CONNECTION LIMIT 7"})
    ASSERT_TRUE(inside.Exec({}, Soon(), statement)) << statement;
  auto before = pg::ReadAccess({}, Soon(), inside, place_->database());
  pg::Connection tenant = Connect(Tenant(place_->SourceAdmin()));
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside, Source()));
  ASSERT_TRUE(pg::Fence({}, Soon(), inside, Source()));
  EXPECT_EQ(StateOf(inside), ControlState::kFenced);
  EXPECT_TRUE(pg::ProveFenced({}, Soon(), inside));
  auto lost = tenant.Query({}, Soon(), "SELECT current_database()");
  EXPECT_EQ(ReasonOf(lost), "ConnectionLost");
  EXPECT_FALSE(tenant.usable());
  EXPECT_FALSE(pg::Connection::Open({}, Soon(), Tenant(place_->SourceAdmin())));
  ASSERT_TRUE(pg::Unfence({}, Soon(), inside, Source(), ControlState::kOpen));
  EXPECT_EQ(*pg::ReadAccess({}, Soon(), inside, place_->database()), *before);
  EXPECT_TRUE(pg::Connection::Open({}, Soon(), Tenant(place_->SourceAdmin())));
}

TEST_P(PostgresContract, AnOpenedFenceIsSeenAndClosedAgain) {
  pg::Connection inside = Inside();
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside, Source()));
  ASSERT_TRUE(pg::Fence({}, Soon(), inside, Source()));
  const std::string name = pg::QuoteIdentifier(place_->database());
  ASSERT_TRUE(inside.Exec({}, Soon(), "GRANT CONNECT ON DATABASE " + name + " TO PUBLIC"));
  EXPECT_EQ(ReasonOf(pg::ProveFenced({}, Soon(), inside)), "NotFenced");
  ASSERT_TRUE(pg::Fence({}, Soon(), inside, Source()));
  EXPECT_TRUE(pg::ProveFenced({}, Soon(), inside));
  EXPECT_EQ(ReasonOf(pg::Fence({}, Soon(), inside, Source(0))), "Deposed");
}

// --- the other side -----------------------------------------------------------------------------

TEST_P(PostgresContract, ATargetIsClosedUntilItIsVerifiedAndOpened) {
  Status prepared = Prepare();
  ASSERT_TRUE(prepared) << prepared.error().message;
  EXPECT_TRUE(Prepare());
  EXPECT_FALSE(pg::Connection::Open({}, Soon(), Tenant(place_->TargetAdmin())));
  pg::Connection inside = Inside();
  auto access = pg::ReadAccess({}, Soon(), inside, place_->database());
  pg::Connection target = Connect(place_->TargetAdmin().WithDatabase(place_->database()));
  EXPECT_EQ(StateOf(target), ControlState::kPreparing);
  EXPECT_EQ(ReasonOf(pg::OpenDatabase({}, Soon(), target, Target(), *access)), "StateMismatch");
  ASSERT_TRUE(MoveTarget(ControlState::kPreparing, ControlState::kCopied));
  ASSERT_TRUE(MoveTarget(ControlState::kCopied, ControlState::kVerified));
  ASSERT_TRUE(pg::OpenDatabase({}, Soon(), target, Target(), *access));
  EXPECT_EQ(*pg::ReadAccess({}, Soon(), target, place_->database()), *access);
  EXPECT_TRUE(pg::Connection::Open({}, Soon(), Tenant(place_->TargetAdmin())));
  EXPECT_EQ(
      ReasonOf(pg::DropDatabase({}, Soon(), place_->TargetAdmin(), place_->database(), Target())),
      "StateMismatch");
}

TEST_P(PostgresContract, UndoTakesTheTargetAndItsRolesAwayAgain) {
  ASSERT_TRUE(Prepare());
  pg::Connection server = Connect(place_->TargetAdmin());
  EXPECT_TRUE(*pg::HasCreatedRoles({}, Soon(), server, place_->uid()));
  pg::Connection in_the_way = Connect(place_->TargetAdmin().WithDatabase(place_->database()));
  Status dropped =
      pg::DropDatabase({}, Soon(), place_->TargetAdmin(), place_->database(), Target());
  ASSERT_TRUE(dropped) << dropped.error().message;
  EXPECT_EQ(ReasonOf(in_the_way.Query({}, Soon(), "SELECT current_database()")), "ConnectionLost");
  EXPECT_TRUE(pg::DropDatabase({}, Soon(), place_->TargetAdmin(), place_->database(), Target()));
  auto left = pg::DropCreatedRoles({}, Soon(), server, place_->uid());
  ASSERT_TRUE(left);
  EXPECT_TRUE(left->empty());
  EXPECT_FALSE(*pg::HasCreatedRoles({}, Soon(), server, place_->uid()));
  EXPECT_FALSE(*pg::FindDatabase({}, Soon(), server, place_->database()));
}

TEST_P(PostgresContract, ARoleThatIsUsedStaysAndKeptRolesAreNoLongerOurs) {
  ASSERT_TRUE(Prepare());
  pg::Connection server = Connect(place_->TargetAdmin());
  ASSERT_TRUE(server.Exec({}, Soon(),
                          "GRANT CONNECT ON DATABASE " + pg::QuoteIdentifier(place_->database()) +
                              " TO " + pg::QuoteIdentifier(place_->owner())));
  auto left = pg::DropCreatedRoles({}, Soon(), server, place_->uid());
  ASSERT_TRUE(left);
  EXPECT_EQ(*left, std::vector<std::string>{place_->owner()});
  pg::Connection inside = Inside();
  auto roles = pg::ReadReferencedRoles({}, Soon(), inside);
  ASSERT_TRUE(roles);
  ASSERT_TRUE(pg::KeepCreatedRoles({}, Soon(), server, *roles, place_->uid()));
  EXPECT_FALSE(*pg::HasCreatedRoles({}, Soon(), server, place_->uid()));
}

// A login that owns nothing there depends on nothing that PostgreSQL knows of.
TEST_P(PostgresContract, ARoleThatASecondTenantNeedsIsNotTakenAwayByUndoingTheFirst) {
  ASSERT_TRUE(Prepare());
  pg::Connection server = Connect(place_->TargetAdmin());
  pg::Connection inside = Inside();
  auto roles = pg::ReadReferencedRoles({}, Soon(), inside);
  ASSERT_TRUE(roles);
  {
    auto transaction = pg::Transaction::Begin({}, Soon(), server);
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(pg::CreateRoles({}, Soon(), *transaction, *roles, "a second tenant's move"));
    ASSERT_TRUE(transaction->Commit({}, Soon()));
  }
  ASSERT_TRUE(pg::DropDatabase({}, Soon(), place_->TargetAdmin(), place_->database(), Target()));
  ASSERT_TRUE(pg::DropCreatedRoles({}, Soon(), server, place_->uid()));
  auto there = pg::ReadRoles({}, Soon(), server, {place_->owner()});
  ASSERT_TRUE(there);
  EXPECT_EQ(there->roles.size(), 1u);
}

TEST_P(PostgresContract, ADatabaseOfSomebodyElseIsNeitherTakenNorDropped) {
  pg::Connection server = Connect(place_->TargetAdmin());
  const std::string name = pg::QuoteIdentifier(place_->database());
  ASSERT_TRUE(server.Exec({}, Soon(), "CREATE DATABASE " + name));
  auto again = server.Exec({}, Soon(), "CREATE DATABASE " + name);
  EXPECT_EQ(ReasonOf(again), "DatabaseExists");
  EXPECT_EQ(ReasonOf(Prepare()), "DatabaseExists");
  EXPECT_EQ(
      ReasonOf(pg::DropDatabase({}, Soon(), place_->TargetAdmin(), place_->database(), Target())),
      "NotClaimed");
  pg::Connection inside = Connect(place_->TargetAdmin().WithDatabase(place_->database()));
  EXPECT_EQ(ReasonOf(server.Exec({}, Soon(), "ALTER DATABASE " + name + " RENAME TO \"x\"")),
            "ObjectInUse");
  ASSERT_TRUE(server.Exec({}, Soon(), "DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"));
}

TEST_P(PostgresContract, ASequenceIsSetWhetherTheTransactionCommitsOrNot) {
  pg::Connection inside = Inside();
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside, Source()));
  const std::vector<pg::SequencePosition> positions = {{"public", "orders", 42, true}};
  Status undone = pg::WithEpoch({}, Soon(), inside, Source(),
                                [&](pg::Transaction& transaction, const pg::Control&) -> Status {
                                  TRY(pg::SetSequences({}, Soon(), transaction, positions));
                                  return TerminalError("Enough", "");
                                });
  EXPECT_EQ(ReasonOf(undone), "Enough");
  EXPECT_EQ(*pg::ReadSequences({}, Soon(), inside), positions);
}

TEST_P(PostgresContract, OfSequencesThoseAreSetThatExist) {
  pg::Connection inside = Inside();
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside, Source()));
  const pg::SequencePosition orders{"public", "orders", 43, true};
  auto set = pg::WithEpoch({}, Soon(), inside, Source(),
                           [&](pg::Transaction& transaction, const pg::Control&) -> Status {
                             TRY_ASSIGN(auto missing, pg::SetSequencesThatExist(
                                                          {}, Soon(), transaction,
                                                          {orders, {"public", "later", 1, false}}));
                             EXPECT_EQ(missing, std::vector<std::string>{R"("public"."later")"});
                             return Ok();
                           });
  ASSERT_TRUE(set);
  EXPECT_EQ(*pg::ReadSequences({}, Soon(), inside), std::vector<pg::SequencePosition>{orders});
}

// --- streams ------------------------------------------------------------------------------------

TEST_P(PostgresContract, AMarkerArrivesWhereTheStreamIsEnabledAndOnlyThere) {
  Status made = Stream(false);
  ASSERT_TRUE(made) << made.error().message;
  pg::Connection inside = Inside();
  ASSERT_TRUE(pg::WriteMarker({}, Soon(), inside, Source(), 7));
  EXPECT_EQ(MarkerOnTarget(0), 0);
  pg::Connection target = Connect(place_->TargetAdmin().WithDatabase(place_->database()));
  ASSERT_TRUE(pg::EnableSubscription({}, Soon(), target, Target(), kForward));
  EXPECT_EQ(MarkerOnTarget(7), 7);
  EXPECT_EQ(ReasonOf(pg::WriteMarker({}, Soon(), inside, Source(0), 8)), "Deposed");
  ASSERT_TRUE(pg::DisableSubscription({}, Soon(), target, Target(), kForward));
  auto facts = pg::ObserveSubscriber({}, Soon(), target, place_->uid(), kForward);
  ASSERT_TRUE(facts);
  EXPECT_TRUE(facts->exists && !facts->enabled && !facts->working);
  EXPECT_TRUE(EndStream());
}

TEST_P(PostgresContract, ASlotThatWasReadForRogueWritesSendsNothingFromBefore) {
  ASSERT_TRUE(Stream(false));
  const Status made = Lay(kReverse);
  ASSERT_TRUE(made) << made.error().message;
  pg::Connection source = Inside(), target = Publisher(kReverse);
  ASSERT_TRUE(pg::WriteMarker({}, Soon(), target, Target(), 7));
  const auto rogue = pg::FindRogueWrites({}, Soon(), target, Target());
  ASSERT_TRUE(rogue) << rogue.error().message;
  EXPECT_EQ(rogue->transactions, 0);
  ASSERT_TRUE(pg::StartSubscriptionAtSlot({}, Soon(), target, source, Source(), kReverse));
  ASSERT_TRUE(pg::EnableSubscription({}, Soon(), source, Source(), kReverse));
  ASSERT_TRUE(pg::WriteHeartbeat({}, Soon(), target, Target()));
  auto applied = [&] {
    return *pg::ObserveSubscriber({}, Soon(), source, place_->uid(), kReverse);
  };
  std::optional<double> beaten;
  for (const Deadline patience = Soon(); !beaten && !patience.Expired();)
    beaten = applied().heartbeat_at_seconds;
  ASSERT_TRUE(beaten);
  auto publisher = pg::ObservePublisher({}, Soon(), target, place_->uid(), kReverse);
  ASSERT_TRUE(publisher);
  EXPECT_LE(*beaten, publisher->clock_seconds);
  EXPECT_GT(*beaten, publisher->clock_seconds - 60);
  EXPECT_EQ(applied().marker, 0);
  EXPECT_TRUE(EndStream(kReverse));
  EXPECT_TRUE(EndStream());
}

TEST_P(PostgresContract, ASubscriptionDialsAsItIsMadeAndIsRefusedAWrongPassword) {
  ASSERT_TRUE(Stream(false));
  pg::Connection target = Connect(place_->TargetAdmin().WithDatabase(place_->database()));
  Status again =
      pg::EnsureSubscription({}, Soon(), target, Target(), kForward, Address(kForward), "wrong");
  EXPECT_EQ(ReasonOf(again), "PublisherUnreachable");
  EXPECT_TRUE(
      pg::EnsureSubscription({}, Soon(), target, Target(), kForward, Address(kForward), "right"));
  EXPECT_TRUE(EndStream());
}

TEST_P(PostgresContract, ASubscriptionsAddressIsKnownOnceItWasDialledAndGoesOnWithANewPassword) {
  ASSERT_TRUE(Stream(true));
  pg::Connection inside = Inside();
  pg::Connection target = Connect(place_->TargetAdmin().WithDatabase(place_->database()));
  auto address = [&] {
    return pg::ObserveSubscriber({}, Soon(), target, place_->uid(), kForward)->address;
  };
  EXPECT_EQ(address(), Address(kForward).Where());
  ASSERT_TRUE(pg::ForgetAddress({}, Soon(), target, Target(), kForward));
  EXPECT_EQ(address(), "");
  ASSERT_TRUE(pg::EnsureReplicationRole({}, Soon(), inside, Source(), kForward, "another"));
  EXPECT_FALSE(
      pg::EnsureSubscription({}, Soon(), target, Target(), kForward, Address(kForward), "wrong"));
  EXPECT_EQ(address(), "") << "it was not told";
  ASSERT_TRUE(
      pg::EnsureSubscription({}, Soon(), target, Target(), kForward, Address(kForward), "another"));
  EXPECT_EQ(address(), Address(kForward).Where());
  ASSERT_TRUE(pg::WriteMarker({}, Soon(), inside, Source(), 3));
  EXPECT_EQ(MarkerOnTarget(3), 3);
  EXPECT_TRUE(EndStream());
}

TEST_P(PostgresContract, ADatabaseWithASubscriptionIsNotDroppedAndNothingIsLeftOfAnEndedStream) {
  Status made = Stream(true);
  ASSERT_TRUE(made) << made.error().message;
  pg::Connection server = Connect(place_->TargetAdmin());
  EXPECT_FALSE(server.Exec({}, Soon(),
                           "DROP DATABASE IF EXISTS " + pg::QuoteIdentifier(place_->database())));
  EXPECT_EQ(server.last_sqlstate(), "55006");
  ASSERT_TRUE(EndStream());
  ASSERT_TRUE(EndStream());
  pg::Connection inside = Inside();
  auto facts = pg::ObservePublisher({}, Soon(), inside, place_->uid(), kForward);
  ASSERT_TRUE(facts);
  EXPECT_FALSE(facts->role_exists || facts->publication_exists || facts->slot_exists);
  EXPECT_TRUE(pg::DropDatabase({}, Soon(), place_->TargetAdmin(), place_->database(), Target()));
}

TEST_P(PostgresContract, WhatAProbeHasLeftIsFoundUntilItIsRemoved) {
  pg::Connection server = Connect(place_->SourceAdmin());
  const std::string name = pg::ProbeName(place_->uid(), kForward);
  auto left = [&] {
    auto all = pg::FindProbes({}, Soon(), server);
    if (!all) throw std::runtime_error(all.error().message);
    std::string kinds;
    for (const pg::ProbeTrace& trace : *all)
      if (trace.name == name) kinds += trace.kind + " ";
    return kinds;
  };
  ASSERT_TRUE(server.Exec({}, Soon(), "CREATE SCHEMA " + pg::QuoteIdentifier(name)));
  ASSERT_TRUE(server.Query({}, Soon(), "SELECT pg_create_logical_replication_slot($1, 'pgoutput')",
                           {name}));
  EXPECT_EQ(left(), "schema slot ");
  ASSERT_TRUE(pg::RemoveProbe({}, Soon(), server, name));
  EXPECT_EQ(left(), "");
  ASSERT_TRUE(pg::RemoveProbe({}, Soon(), server, name));
  EXPECT_FALSE(
      server.Exec({}, Soon(), "INSERT INTO " + pg::QuoteIdentifier(name) + ".probe VALUES (1)"));
  EXPECT_EQ(server.last_sqlstate(), "42P01");
}

}  // namespace cutover::sim
