// SPDX-License-Identifier: Apache-2.0
// Copies of a database that is written to all the time, and the stream that follows them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "postgres/changes.h"
#include "postgres/control.h"
#include "postgres/replication.h"
#include "tests/postgres/mover/followed_move.h"
#include "tests/postgres/mover/program.h"
#include "tests/postgres/mover/tenant.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using pg::testing::Soon;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr seconds kMove{60};
constexpr int kSlowly = 2;  ///< MiB a second: some six seconds for the rows.

Program Start(FollowedMove& followed, int mebibytes_per_second = 0) {
  return Program(CUTOVER_MOVER_BINARY, followed.JobArguments(followed.Spec(mebibytes_per_second)),
                 followed.move().Environment());
}

void ExpectProven(const Program::Ended& ended) {
  EXPECT_EQ(ended.exit_code, kExitProven) << ended.errors << ended.summary.DumpPretty();
  EXPECT_EQ(ended.summary["verdict"].AsString(), "Equal");
}

/// The stream takes over: nothing is missing and nothing is there twice.
void ExpectFollows(FollowedMove& followed, std::optional<Writer>& writer) {
  EXPECT_THAT(followed.Slots(), ElementsAre(StartsWith(followed.stream() + " "),
                                            StartsWith(followed.stream() + "_watch ")));
  followed.Subscribe();
  writer->AwaitMore(50);
  writer.reset();
  followed.AwaitCaughtUp();
  followed.ExpectSameRows();
}

/// The changed rows are equal, and one that is changed behind the stream's back is not.
void ExpectTheWatchSeesWhatChanged(FollowedMove& followed) {
  pg::Connection source = MustConnect(followed.Source());
  pg::Connection copy = MustConnect(followed.Copy());
  const pg::Claim claim{followed.Spec(0).migration_uid, 1, pg::Side::kTarget};
  const pg::ChangeWatch watch{pg::WatchSlotName(followed.stream()), followed.stream()};
  auto compare = [&] { return pg::CompareChanged({}, Soon(), source, copy, claim, watch); };
  auto compared = compare();
  ASSERT_TRUE(compared) << compared.error().message;
  EXPECT_TRUE(compared->equal()) << compared->DescribeDifferences();
  EXPECT_TRUE(compared->complete()) << compared->DescribeNotCompared();
  EXPECT_GE(compared->tables, 7);
  EXPECT_GT(compared->rows_compared, 100);
  const std::string id =
      MustRead(copy, "SELECT max(id) FROM public.part_2 WHERE body LIKE 'changed%'")[0];
  MustExec(copy, {"UPDATE public.part_2 SET body = body || '!' WHERE id = " + id});
  compared = compare();
  ASSERT_TRUE(compared) << compared.error().message;
  EXPECT_EQ(compared->DescribeDifferences(), "public.part_2 (id)=(" + id + ") differs");
}

TEST(Following, ACopyUnderWritesAndItsStreamHoldEveryRowOnce) {
  FollowedMove followed;
  std::optional<Writer> writer(followed.Source());
  writer->AwaitMore(20);
  Program job = Start(followed, kSlowly);
  followed.move().AwaitCommitted(2);
  pg::Connection source = MustConnect(followed.Source());
  // What users may do beside writing rows.
  MustExec(source, {"REFRESH MATERIALIZED VIEW public.totals", "SELECT nextval('public.numbers')",
                    "ANALYZE public.part_5"});
  ExpectProven(job.Wait(kMove));
  EXPECT_GT(writer->committed(), 100);
  pg::Connection copy = MustConnect(followed.Copy());
  MustExec(source, {"TRUNCATE public.small", "INSERT INTO public.small VALUES (5, 'after')"});
  ExpectFollows(followed, writer);
  EXPECT_EQ(MustRead(copy, "SELECT count(*) FROM public.small")[0], "1");
  ExpectTheWatchSeesWhatChanged(followed);

  // Another Job that came late must not take the slot away from the subscription.
  const Program::Ended late = Start(followed).Wait(kMove);
  EXPECT_EQ(late.exit_code, kExitUnproven);
  EXPECT_EQ(late.reason(), "SlotInUse") << late.message();
  EXPECT_EQ(followed.Slots().size(), 2u);
}

TEST(Following, WhatBelongsToAStreamIsNoPartOfTheTenantsDatabase) {
  FollowedMove followed;
  const std::string reverse = "cutover_reverse" + followed.stream().substr(15);
  pg::Connection source = MustConnect(followed.Source());
  // As the way back stands on the source when the structure changed and all is copied again.
  MustExec(source, {"CREATE SUBSCRIPTION " + reverse +
                    " CONNECTION 'host=127.0.0.1' PUBLICATION p WITH (connect = false)"});
  const pg::Claim claim{followed.stream().substr(16), 1, pg::Side::kSource};
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), source, claim));
  ASSERT_TRUE(pg::WatchDdl({}, Soon(), source, claim));
  const Program::Ended ended = Start(followed).Wait(kMove);
  MustExec(source, {"ALTER SUBSCRIPTION " + reverse + " SET (slot_name = NONE)",
                    "DROP SUBSCRIPTION " + reverse});
  ExpectProven(ended);
  pg::Connection copy = MustConnect(followed.Copy());
  EXPECT_THAT(MustRead(copy, "SELECT pubname FROM pg_publication"), IsEmpty());
  EXPECT_THAT(MustRead(copy, "SELECT evtname FROM pg_event_trigger"), IsEmpty());
  EXPECT_THAT(MustRead(copy,
                       "SELECT subname FROM pg_subscription s JOIN pg_database d"
                       " ON d.oid = s.subdbid WHERE d.datname = current_database()"),
              IsEmpty());
}

TEST(Following, AWorkerThatIsKilledCostsNeitherSlotNorSnapshot) {
  FollowedMove followed;
  std::optional<Writer> writer(followed.Source());
  Program job = Start(followed, kSlowly);
  followed.move().AwaitCommitted(2);
  const auto slots = followed.Slots();
  const auto workers = job.Children();
  ASSERT_EQ(workers.size(), 1u);
  ASSERT_EQ(kill(workers[0], SIGKILL), 0);
  ExpectProven(job.Wait(kMove));
  EXPECT_EQ(followed.Slots(), slots);
  ExpectFollows(followed, writer);
}

TEST(Following, ASupervisorThatIsKilledLeavesItsSlotsToTheNextOneWhichMakesThemAnew) {
  FollowedMove followed;
  std::optional<Writer> writer(followed.Source());
  Program job = Start(followed, kSlowly);
  followed.move().AwaitCommitted(2);
  const auto slots = followed.Slots();
  ASSERT_EQ(slots.size(), 2u);
  job.Send(SIGKILL);
  EXPECT_EQ(job.Wait(kMove).signal, SIGKILL);
  writer->AwaitMore(10);
  ExpectProven(Start(followed).Wait(kMove));
  EXPECT_NE(followed.Slots()[0], slots[0]);
  EXPECT_NE(followed.Slots()[1], slots[1]);
  ExpectFollows(followed, writer);
}

TEST(Following, ALostSnapshotAndAnInterruptionLeaveNoSlotAndTheSameJobStartsOver) {
  FollowedMove followed;
  std::optional<Writer> writer(followed.Source());
  Program job = Start(followed, kSlowly);
  followed.move().AwaitCommitted(2);
  pg::Connection admin = MustConnect(followed.Source());
  // Both the walsender that holds it, and the worker's session that adopted it.
  MustRead(admin,
           "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
           " AND application_name = 'cutover-mover' AND pid <> pg_backend_pid()",
           {followed.Source().database});
  const Program::Ended lost = job.Wait(kMove);
  EXPECT_EQ(lost.exit_code, kExitUnproven) << lost.errors;
  EXPECT_EQ(lost.reason(), "SnapshotLost") << lost.message();
  EXPECT_THAT(followed.Slots(), IsEmpty());

  Program interrupted = Start(followed, kSlowly);
  // The ledger of the run before is still there; this one's begins with its slot.
  while (followed.Slots().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  followed.move().AwaitCommitted(2);
  interrupted.Send(SIGTERM);
  EXPECT_EQ(interrupted.Wait(kMove).exit_code, kExitInterrupted);
  EXPECT_THAT(followed.Slots(), IsEmpty());

  ExpectProven(Start(followed).Wait(kMove));
  ExpectFollows(followed, writer);
}

TEST(Following, ASlotThatSomebodyElseReadIsNoGroundToStandOn) {
  FollowedMove followed;
  Program job = Start(followed, kSlowly);
  followed.move().AwaitCommitted(2);
  pg::Connection source = MustConnect(followed.Source());
  MustExec(source, {"INSERT INTO public.part_8 VALUES (-7, 'lost')",
                    "SELECT pg_replication_slot_advance(" + pg::QuoteLiteral(followed.stream()) +
                        ", pg_current_wal_lsn())"});
  const Program::Ended ended = job.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitUnproven);
  EXPECT_EQ(ended.reason(), "SlotLost") << ended.message();
  EXPECT_THAT(ended.message(), HasSubstr("copy again"));
  EXPECT_THAT(followed.Slots(), IsEmpty());
}

TEST(Following, StructureThatUsersChangeAfterTheCopyIsNoDamageOfTheCopy) {
  FollowedMove followed;
  Program job = Start(followed, kSlowly);
  followed.move().AwaitCommitted(2);
  // Of a table that nobody will read again: it waits for the copy's locks, and is done when they
  // are let go, before the comparison begins.
  const std::string table = followed.move().Committed().begin()->first;
  pg::Connection source = MustConnect(followed.Source());
  MustExec(source, {"ALTER TABLE " + table + " ADD COLUMN late int"});
  const Program::Ended ended = job.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitUnproven) << ended.summary.DumpPretty();
  EXPECT_EQ(ended.reason(), "SourceChanged") << ended.message();
  EXPECT_THAT(ended.message(), HasSubstr("changed or went away"));
}

TEST(Following, TheCommandLineLeavesASlotToASubscriptionOfOnesOwn) {
  FollowedMove followed;
  std::optional<Writer> writer(followed.Source());
  pg::Connection admin = MustConnect(Servers().target);
  MustExec(admin, {"CREATE DATABASE " + pg::QuoteIdentifier(followed.Copy().database)});
  Program clone(CUTOVER_MOVER_BINARY,
                followed.move().CloneArguments({"--existing", "--slot", followed.stream()}),
                followed.move().Environment());
  ExpectProven(clone.Wait(kMove));
  EXPECT_THAT(followed.Slots(), ElementsAre(StartsWith(followed.stream() + " ")));
  followed.Subscribe();
  writer->AwaitMore(50);
  writer.reset();
  followed.AwaitCaughtUp();
  followed.ExpectSameRows();
}

}  // namespace
}  // namespace cutover::mover::testing
