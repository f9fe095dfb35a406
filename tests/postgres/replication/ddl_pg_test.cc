// SPDX-License-Identifier: Apache-2.0
// What is written down of DDL on a source, for whoever asks at three in the morning who it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/postgres/replication/streaming.h"

namespace cutover::pg {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Must;
using testing::MustConnect;
using testing::MustExec;
using testing::MustRead;
using testing::Servers;
using testing::Soon;
using testing::TestDatabase;
using testing::TestRole;
using testing::WaitUntil;

constexpr const char* kTriggers = "SELECT evtname FROM pg_event_trigger ORDER BY 1";

/// A source that is watched, and a session of its tenant.
class DdlNotes : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    MustExec(admin_, {"CREATE SCHEMA shop AUTHORIZATION " + owner_.quoted()});
    ASSERT_TRUE(ClaimEpoch({}, Soon(), admin_, claim_));
    for (int round = 0; round < 2; ++round) Must(WatchDdl({}, Soon(), admin_, claim_), "watch");
  }
  std::string Notes() {
    auto notes = DescribeDdl({}, Soon(), admin_);
    EXPECT_TRUE(notes) << notes.error().message;
    return notes ? *notes : "";
  }

  const ConnectOptions& server_ = Servers().OfMajor(GetParam());
  TestRole owner_{server_};
  TestDatabase database_{server_, owner_.name()};
  Connection admin_ = MustConnect(database_.Options());
  Connection tenant_ = MustConnect(owner_.Options(database_.name()));
  const Claim claim_{"0123456789abcdef0123456789abcdef", 1, Side::kSource};
};

INSTANTIATE_TEST_SUITE_P(OnMajor, DdlNotes, ::testing::Values(13, 15, 18),
                         [](const auto& major) { return std::to_string(major.param); });

TEST_P(DdlNotes, SayWhatWasDoneByWhomAndWhenTheLastOfItFirst) {
  EXPECT_EQ(Notes(), "");
  MustExec(tenant_, {"CREATE TABLE shop.orders (id serial PRIMARY KEY)"});
  EXPECT_THAT(Notes(), HasSubstr(" by role " + owner_.name() + " at 20"));
  MustExec(tenant_, {"ALTER TABLE shop.orders ADD COLUMN word text"});
  EXPECT_THAT(Notes(), ::testing::StartsWith("ALTER TABLE shop.orders by role " + owner_.name()));
  MustExec(tenant_, {"CREATE VIEW shop.v AS SELECT 1", "DROP TABLE shop.orders"});
  MustExec(tenant_,
           {"CREATE MATERIALIZED VIEW shop.m AS SELECT 1", "GRANT SELECT ON shop.v TO PUBLIC",
            "REFRESH MATERIALIZED VIEW shop.m", "COMMENT ON VIEW shop.v IS 'no structure'"});
  EXPECT_THAT(Notes(), ::testing::StartsWith("GRANT TABLE by role "));
  MustExec(tenant_,
           {"ALTER VIEW shop.v RENAME TO w", "DROP MATERIALIZED VIEW shop.m", "DROP VIEW shop.w"});
  EXPECT_THAT(Notes(), AllOf(::testing::StartsWith("DROP VIEW shop.w by role "),
                             HasSubstr(", DROP MATERIALIZED VIEW shop.m"),
                             HasSubstr(", ALTER VIEW shop.w"), HasSubstr(", and 6 before")));
}

TEST_P(DdlNotes, LeaveOutWhatIsTakenBackTemporaryOrTheMovesOwn) {
  MustExec(tenant_, {"BEGIN", "CREATE TABLE shop.orders (id int)", "ROLLBACK",
                     "CREATE TEMP TABLE passing (id serial PRIMARY KEY)", "DROP TABLE passing"});
  Must(EnsurePublication({}, Soon(), admin_, claim_, Direction::kForward), "publication");
  EXPECT_EQ(Notes(), "");
}

TEST_P(DdlNotes, ThatCannotBeWrittenKeepNobodyFromHisDdl) {
  MustExec(admin_, {"DROP TABLE cutover.ddl"});
  MustExec(tenant_, {"CREATE TABLE shop.orders (id int)", "DROP TABLE shop.orders"});
  EXPECT_EQ(Notes(), "");
}

// Whoever drops the schema waits for transactions that have written a note; nobody waits for him.
TEST_P(DdlNotes, KeepNobodyWaitingForWhoeverRemovesThem) {
  auto slow = Transaction::Begin({}, Soon(), tenant_);
  ASSERT_TRUE(slow && slow->Exec({}, Soon(), "CREATE TABLE shop.slow (id int)"));
  Connection remover = MustConnect(database_.Options());
  Status refused = Ok();
  std::thread removing([&] { refused = DropControl({}, Soon(), remover, claim_); });
  WaitUntil(
      [&] {
        return MustRead(admin_,
                        "SELECT count(*) FROM pg_locks WHERE NOT granted AND"
                        " relation = 'cutover.ddl'::regclass")[0] == "1";
      },
      "it waits for the table");
  Connection other = MustConnect(owner_.Options(database_.name()));
  MustExec(other, {"SET statement_timeout = '2s'", "CREATE TABLE shop.quick (id int)",
                   "CREATE TEMP TABLE passing (id int)", "DROP TABLE shop.quick"});
  removing.join();
  ASSERT_FALSE(refused) << "it gives up by itself, and is tried again";
  ASSERT_TRUE(slow->Commit({}, Soon()));
  Must(DropControl({}, Soon(), admin_, claim_), "drop");
}

// A transaction has few subtransactions before all others have to look elsewhere for them.
TEST_P(DdlNotes, NameEachCommandOnceInATransaction) {
  MustExec(tenant_, {"BEGIN", "CREATE TABLE shop.a (id int)", "CREATE TABLE shop.b (id int)",
                     "CREATE INDEX ON shop.a (id)", "CREATE TABLE shop.c (id int)", "COMMIT"});
  EXPECT_EQ(MustRead(admin_, "SELECT count(*) FROM cutover.ddl")[0], "2");
  MustExec(tenant_, {"CREATE TABLE shop.d (id int)"});
  EXPECT_THAT(Notes(), ::testing::StartsWith("CREATE TABLE shop.d by role"));
}

TEST_P(DdlNotes, EndBeforeTheirTableDoes) {
  Must(StopWatchingDdl({}, Soon(), admin_, claim_), "stop");
  Must(StopWatchingDdl({}, Soon(), admin_, claim_), "stop again");
  EXPECT_THAT(MustRead(admin_, kTriggers), IsEmpty());
  MustExec(tenant_, {"CREATE TABLE shop.orders (id int)"});
  EXPECT_EQ(Notes(), "");
}

TEST_P(DdlNotes, AreNothingThatATenantMayReadChangeOrCall) {
  for (const char* statement :
       {"SELECT FROM cutover.ddl", "DELETE FROM cutover.ddl", "SELECT cutover.note_ddl()"}) {
    auto done = tenant_.Query({}, Soon(), statement);
    ASSERT_FALSE(done) << statement;
    EXPECT_THAT(done.error().message, HasSubstr("permission denied")) << statement;
  }
}

TEST_P(DdlNotes, GoWithTheMove) {
  EXPECT_EQ(MustRead(admin_, kTriggers).size(), 2u);
  Must(DropControl({}, Soon(), admin_, claim_), "drop");
  EXPECT_THAT(MustRead(admin_, kTriggers), IsEmpty());
  MustExec(tenant_, {"CREATE TABLE shop.orders (id int)"});
  EXPECT_EQ(Notes(), "");
}

TEST_P(DdlNotes, DoNotChangeTheFingerprintThatIsTakenBehindThem) {
  auto before = SchemaFingerprint({}, Soon(), admin_);
  ASSERT_TRUE(before);
  MustExec(tenant_, {"CREATE TABLE shop.orders (id int)", "DROP TABLE shop.orders"});
  Must(WatchDdl({}, Soon(), admin_, claim_), "watch again");
  auto after = SchemaFingerprint({}, Soon(), admin_);
  ASSERT_TRUE(after);
  EXPECT_EQ(*after, *before);
}

// An admin who is no superuser makes none, and the move goes on without.
TEST(DdlNotesWithoutASuperuser, AreNotMade) {
  const ConnectOptions& server = Servers().source;
  TestRole admin(server, "CREATEROLE CREATEDB");
  TestDatabase database(server, admin.name());
  Connection connection = MustConnect(admin.Options(database.name()));
  const Claim claim{"0123456789abcdef0123456789abcdef", 1, Side::kSource};
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection, claim));
  Must(WatchDdl({}, Soon(), connection, claim), "watch");
  EXPECT_THAT(MustRead(connection, kTriggers), IsEmpty());
  auto notes = DescribeDdl({}, Soon(), connection);
  ASSERT_TRUE(notes) << notes.error().message;
  EXPECT_EQ(*notes, "");
}

}  // namespace
}  // namespace cutover::pg
