// SPDX-License-Identifier: Apache-2.0
#include "postgres/control.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/postgres/servers.h"

namespace cutover::pg {
namespace {

using testing::MustConnect;
using testing::MustExec;
using testing::MustRead;
using testing::Servers;
using testing::Soon;
using testing::TestDatabase;
using testing::TestRole;

class ControlRow : public ::testing::Test {
 protected:
  static Claim At(int64_t epoch, const char* uid = "uid-1") { return {uid, epoch, Side::kSource}; }
  ControlState State() { return (*ReadControl({}, Soon(), connection_))->state; }

  TestRole owner_{Servers().source};
  TestDatabase database_{Servers().source, owner_.name()};
  Connection connection_ = MustConnect(database_.Options());
};

TEST_F(ControlRow, IsAbsentUntilClaimedAndClaimedOnce) {
  auto before = ReadControl({}, Soon(), connection_);
  ASSERT_TRUE(before);
  EXPECT_FALSE(before->has_value());
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, At(1)));
  auto again = ClaimEpoch({}, Soon(), connection_, At(1));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->state, ControlState::kOpen);
  EXPECT_EQ(again->epoch, 1);
}

TEST_F(ControlRow, AnUnclaimedDatabaseTakesNoEffect) {
  Status done =
      WithEpoch({}, Soon(), connection_, At(1), [](Transaction&, const Control&) { return Ok(); });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().reason, "NotClaimed");
}

TEST_F(ControlRow, ADeposedLeaderCanDoNothing) {
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, At(1)));
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, At(2)));
  bool ran = false;
  Status done = WithEpoch({}, Soon(), connection_, At(1), [&](Transaction&, const Control&) {
    ran = true;
    return Ok();
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().reason, "Deposed");
  EXPECT_EQ(done.error().disposition, Disposition::kTerminal);
  EXPECT_FALSE(ran);
  auto claimed = ClaimEpoch({}, Soon(), connection_, At(1));
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().reason, "Deposed");
}

TEST_F(ControlRow, AnotherMigrationIsRefused) {
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, At(1)));
  auto other = ClaimEpoch({}, Soon(), connection_, At(9, "uid-2"));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().reason, "ForeignMigration");
  auto wrong_side = ClaimEpoch({}, Soon(), connection_, Claim{"uid-1", 1, Side::kTarget});
  ASSERT_FALSE(wrong_side);
  EXPECT_EQ(wrong_side.error().reason, "ForeignMigration");
}

TEST_F(ControlRow, ANewerLeaderWaitsForTheOldOnesTransactionAndThenDeposesIt) {
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, At(1)));
  Connection newer = MustConnect(database_.Options());
  std::jthread takeover;
  Result<Control> claimed = Control{};
  Status done = WithEpoch({}, Soon(), connection_, At(1), [&](Transaction&, const Control&) {
    takeover = std::jthread([&] { claimed = ClaimEpoch({}, Soon(), newer, At(2)); });
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    return Ok();
  });
  EXPECT_TRUE(done) << done.error().message;
  takeover.join();
  ASSERT_TRUE(claimed) << claimed.error().message;
  EXPECT_EQ(claimed->epoch, 2);
}

TEST_F(ControlRow, TheJournalIsACompareAndSet) {
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, At(1)));
  Status too_early = CompareAndSetState({}, Soon(), connection_, At(1), ControlState::kFenced,
                                        ControlState::kJournaled);
  ASSERT_FALSE(too_early);
  EXPECT_EQ(too_early.error().reason, "StateMismatch");
  ASSERT_TRUE(CompareAndSetState({}, Soon(), connection_, At(1), ControlState::kOpen,
                                 ControlState::kFenced));
  ASSERT_TRUE(CompareAndSetState({}, Soon(), connection_, At(1), ControlState::kFenced,
                                 ControlState::kJournaled));
  // A repeat, by a leader that did not see the answer.
  ASSERT_TRUE(CompareAndSetState({}, Soon(), connection_, At(1), ControlState::kFenced,
                                 ControlState::kJournaled));
  EXPECT_EQ(State(), ControlState::kJournaled);
  Status undo = CompareAndSetState({}, Soon(), connection_, At(1), ControlState::kFenced,
                                   ControlState::kOpen);
  ASSERT_FALSE(undo);
  EXPECT_EQ(State(), ControlState::kJournaled);
}

TEST_F(ControlRow, AFailedEffectLeavesNothingBehind) {
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, At(1)));
  Status done = WithEpoch(
      {}, Soon(), connection_, At(2), [&](Transaction& transaction, const Control& held) -> Status {
        TRY(MoveState({}, Soon(), transaction, held, ControlState::kOpen, ControlState::kFenced));
        return TerminalError("Broken", "on purpose");
      });
  EXPECT_FALSE(done);
  EXPECT_EQ(State(), ControlState::kOpen);
  EXPECT_EQ((*ReadControl({}, Soon(), connection_))->epoch, 1);
}

TEST_F(ControlRow, TheLedgersFirstRecordWins) {
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, At(1)));
  auto record = [&](const Json& value) {
    Json stored;
    Status done = WithEpoch(
        {}, Soon(), connection_, At(1), [&](Transaction& transaction, const Control&) -> Status {
          TRY_ASSIGN(stored, RecordOnce({}, Soon(), transaction, "kind", "na'me", value));
          return Ok();
        });
    EXPECT_TRUE(done) << done.error().message;
    return stored;
  };
  const Json first = Json::Object({{"a", 1}, {"b", Json::Array({"x", "y"})}});
  EXPECT_EQ(record(first), first);
  EXPECT_EQ(record(Json::Object({{"a", 2}})), first);
  auto read = ReadRecord({}, Soon(), connection_, "kind", "na'me");
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, std::optional(first));
  EXPECT_EQ(ReadRecord({}, Soon(), connection_, "kind", "other")->has_value(), false);
}

TEST_F(ControlRow, TheTenantCannotReadOrChangeIt) {
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, At(1)));
  Connection tenant = MustConnect(owner_.Options(database_.name()));
  for (const char* sql : {"SELECT * FROM cutover.control", "DELETE FROM cutover.control",
                          "SELECT * FROM cutover.ledger", "DROP SCHEMA cutover CASCADE",
                          "CREATE TABLE cutover.x (a int)"}) {
    Status done = tenant.Exec({}, Soon(), sql);
    ASSERT_FALSE(done) << sql;
    EXPECT_EQ(done.error().reason, "InsufficientPrivilege") << sql;
  }
}

TEST_F(ControlRow, ASchemaOfTheTenantsOwnIsNotMistakenForOurs) {
  Connection tenant = MustConnect(owner_.Options(database_.name()));
  MustExec(tenant, {"CREATE SCHEMA cutover", "CREATE TABLE cutover.control (migration_uid text)"});
  auto read = ReadControl({}, Soon(), connection_);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().reason, "ForeignSchema");
  auto claimed = ClaimEpoch({}, Soon(), connection_, At(1));
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().reason, "ForeignSchema");
}

TEST_F(ControlRow, TheTenantsEventTriggersDoNotFireAtOurTables) {
  for (const ConnectOptions* server : {&Servers().source, &Servers().target}) {
    TestRole owner(*server);
    TestDatabase database(*server, owner.name());
    Connection connection = MustConnect(database.Options());
    MustExec(connection,
             {"CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS "
              "$$BEGIN RAISE EXCEPTION 'not while I watch'; END$$",
              "CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION public.refuse()"});
    auto claimed = ClaimEpoch({}, Soon(), connection, At(1));
    ASSERT_TRUE(claimed) << claimed.error().message;
    Status dropped = DropControl({}, Soon(), connection, At(1));
    EXPECT_TRUE(dropped) << dropped.error().message;
    Connection tenant = MustConnect(owner.Options(database.name()));
    const Status refused = tenant.Exec({}, Soon(), "CREATE TABLE public.t (a int)");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("not while I watch"), std::string::npos);
  }
}

TEST_F(ControlRow, IsDroppedByItsOwnMigrationOnlyAndOnlyOnce) {
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, At(1)));
  EXPECT_FALSE(DropControl({}, Soon(), connection_, At(1, "uid-2")));
  ASSERT_TRUE(DropControl({}, Soon(), connection_, At(1)));
  ASSERT_TRUE(DropControl({}, Soon(), connection_, At(1)));
  EXPECT_TRUE(
      MustRead(connection_, "SELECT 1 FROM pg_namespace WHERE nspname = 'cutover'").empty());
}

TEST_F(ControlRow, IsNotDroppedWhileTheTenantIsShutOut) {
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, At(1)));
  // A deposed leader's fence, between its successor's last look and the cleaning up.
  ASSERT_TRUE(CompareAndSetState({}, Soon(), connection_, At(1), ControlState::kOpen,
                                 ControlState::kFenced));
  Status dropped = DropControl({}, Soon(), connection_, At(2));
  ASSERT_FALSE(dropped);
  EXPECT_EQ(dropped.error().reason, "StateMismatch");
  ASSERT_TRUE(CompareAndSetState({}, Soon(), connection_, At(2), ControlState::kFenced,
                                 ControlState::kOpen));
  EXPECT_TRUE(DropControl({}, Soon(), connection_, At(2)));
}

}  // namespace
}  // namespace cutover::pg
