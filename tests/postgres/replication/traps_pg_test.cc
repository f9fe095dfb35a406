// SPDX-License-Identifier: Apache-2.0
//
// Traps 52 to 82 of docs/verification.md, as far as the stream itself has to do with them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "postgres/replication/apply_error.h"
#include "postgres/sequences.h"
#include "tests/least_time.h"
#include "tests/postgres/own_server.h"
#include "tests/postgres/replication/streaming.h"

namespace cutover::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Must;
using testing::MustConnect;
using testing::MustExec;
using testing::MustRead;
using testing::OwnServer;
using testing::OwnServerOptions;
using testing::Servers;
using testing::Soon;
using testing::Streaming;
using testing::UniqueName;
using testing::WaitUntil;
using enum Direction;

using Strings = std::vector<std::string>;

constexpr const char* kTable = "CREATE TABLE public.t (id bigint PRIMARY KEY, word text)";

/// Both sides hold the same rows of `table`, byte by byte as text.
void ExpectSame(Streaming& move, const std::string& table) {
  const std::string sql = "SELECT t::text FROM " + table + " t ORDER BY t::text COLLATE \"C\"";
  EXPECT_EQ(MustRead(move.source, sql), MustRead(move.target, sql)) << table;
}

TEST(StreamTraps, Trap53_IdentitiesAreSetToFullAndRestoredExactlyOnBothSides) {
  Streaming move;
  move.OnBoth(
      {"CREATE TABLE public.keyed (a int PRIMARY KEY)", "CREATE TABLE public.keyless (a int)",
       "CREATE TABLE public.nothing (a int PRIMARY KEY)",
       "ALTER TABLE public.nothing REPLICA IDENTITY NOTHING",
       "CREATE TABLE public.full_already (a int)",
       "ALTER TABLE public.full_already REPLICA IDENTITY FULL",
       "CREATE TABLE public.has_index (a int NOT NULL, CONSTRAINT \"odd \"\"i\" UNIQUE (a))",
       "ALTER TABLE public.has_index REPLICA IDENTITY USING INDEX \"odd \"\"i\""});
  const std::string identities =
      "SELECT relname || ' ' || relreplident::text FROM pg_class WHERE relkind = 'r'"
      " AND relnamespace = 'public'::regnamespace ORDER BY 1";
  const Strings before = MustRead(move.source, identities);
  Status refused = EnsurePublication({}, Soon(), move.source, move.source_claim, kForward);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ReplicaIdentityMissing");
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("keyless"), HasSubstr("nothing")));
  for (int time = 0; time < 2; ++time)
    Must(SetReplicaIdentities({}, Soon(), move.source, move.source_claim), "set");
  EXPECT_EQ(MustRead(move.source, identities),
            (Strings{"full_already f", "has_index i", "keyed d", "keyless f", "nothing f"}));
  EXPECT_TRUE(move.Published(kForward).identities_changed);
  // The copy brings them to the target as they are by then.
  MustExec(move.target, {"ALTER TABLE public.keyless REPLICA IDENTITY FULL",
                         "ALTER TABLE public.nothing REPLICA IDENTITY FULL"});
  Must(AdoptReplicaIdentities({}, Soon(), move.source, move.target, move.target_claim), "adopt");
  MustExec(move.source, {"ALTER TABLE public.keyless RENAME TO renamed"});
  for (int time = 0; time < 2; ++time) {
    Must(RestoreReplicaIdentities({}, Soon(), move.source, move.source_claim), "restore");
    Must(RestoreReplicaIdentities({}, Soon(), move.target, move.target_claim), "restore");
  }
  MustExec(move.source, {"ALTER TABLE public.renamed RENAME TO keyless"});
  EXPECT_EQ(MustRead(move.source, identities), before);
  EXPECT_EQ(MustRead(move.target, identities), before);
  EXPECT_FALSE(move.Published(kForward).identities_changed);
  EXPECT_FALSE(move.Published(kReverse).identities_changed);
}

// What is asked for is what the server itself does to users: it refuses what each would do.
TEST(StreamTraps, Trap53_WhatWouldShutUsersOutOf18IsNotPublishedThere) {
  Streaming move({Servers().OfMajor(17), Servers().OfMajor(18)});
  const std::string twice = ", twice int GENERATED ALWAYS AS (a * 2) ";
  MustExec(move.target, {"CREATE TABLE public.stored (a int" + twice + "STORED)",
                         "CREATE TABLE public.virtual (a int" + twice + "VIRTUAL)",
                         "CREATE TABLE public.by_key (a int" + twice + "STORED PRIMARY KEY)",
                         "CREATE TABLE public.fine (a int PRIMARY KEY" + twice + "STORED)"});
  Must(SetReplicaIdentities({}, Soon(), move.target, move.target_claim), "set");
  Status refused = EnsurePublication({}, Soon(), move.target, move.target_claim, kReverse);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().disposition, Disposition::kTerminal);
  EXPECT_THAT(refused.error().message,
              HasSubstr(R"("by_key", "public"."stored", "public"."virtual";)"));

  MustExec(move.target, {"CREATE PUBLICATION all_the_same FOR TABLE public.stored, public.virtual,"
                         " public.by_key, public.fine"});
  for (const std::string table : {"stored", "virtual", "by_key", "fine"}) {
    MustExec(move.target, {"INSERT INTO public." + table + " VALUES (1)"});
    auto updated = move.target.Query({}, Soon(), "UPDATE public." + table + " SET a = 2");
    EXPECT_EQ(updated.has_value(), table == "fine") << table;
  }
  MustExec(move.target, {"DROP PUBLICATION all_the_same",
                         "DROP TABLE public.stored, public.virtual, public.by_key"});
  Must(EnsurePublication({}, Soon(), move.target, move.target_claim, kReverse), "publication");
  MustExec(move.target, {"UPDATE public.fine SET a = 3"});
}

TEST(StreamTraps, Trap53_AGeneratedKeyIsNotPublishedSinceWhoAppliesFindsNoRowByIt) {
  Streaming move;
  move.OnBoth({"CREATE TABLE public.keyless (a int, b int GENERATED ALWAYS AS (a * 2) STORED)"});
  move.Follow(kForward);
  MustExec(move.source, {"INSERT INTO public.keyless VALUES (1), (1)",
                         "UPDATE public.keyless SET a = 2 WHERE ctid = '(0,1)'"});
  move.Settle(kForward);
  ExpectSame(move, "public.keyless");
  move.OnBoth(
      {"CREATE TABLE public.by_key (a int, b int GENERATED ALWAYS AS (a * 2) STORED "
       "PRIMARY KEY)"});
  Status refused = EnsurePublication({}, Soon(), move.source, move.source_claim, kForward);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr(R"("public"."by_key";)"));
  // All the same, and FULL on top.
  const std::string stream = StreamName(move.uid, kForward);
  MustExec(move.source, {"ALTER TABLE public.by_key REPLICA IDENTITY FULL",
                         "ALTER PUBLICATION " + stream + " ADD TABLE public.by_key"});
  MustExec(move.target,
           {"ALTER TABLE public.by_key REPLICA IDENTITY FULL",
            "ALTER SUBSCRIPTION " + stream + " REFRESH PUBLICATION WITH (copy_data = false)"});
  MustExec(move.source, {"INSERT INTO public.by_key VALUES (1)"});
  move.Settle(kForward);
  MustExec(move.source, {"UPDATE public.by_key SET a = 2"});
  WaitUntil([&] { return move.Subscribed(kForward).apply_errors > 0; }, "an error of the apply");
}

TEST(StreamTraps, Trap53_ATableThatSomebodyHoldsIsTriedAgainLaterAndNotWaitedFor) {
  Streaming move;
  MustExec(move.source, {"CREATE TABLE public.keyless (a int)"});
  Connection user = MustConnect(move.source_database.Options());
  MustExec(user, {"BEGIN", "INSERT INTO public.keyless VALUES (1)"});
  // Whoever comes while we wait for the table stands behind us.
  Connection reader = MustConnect(move.source_database.Options());
  Status set;
  const auto longest_wait = [&] {
    std::chrono::milliseconds longest{0};
    std::jthread readers([&](std::stop_token stop) {
      while (!stop.stop_requested()) {
        const auto read = [&] { MustRead(reader, "SELECT count(*) FROM public.keyless"); };
        longest = std::max(longest, TimeOf(read));
      }
    });
    set = SetReplicaIdentities({}, Soon(), move.source, move.source_claim);
    readers.request_stop();
    readers.join();
    return longest;
  };
  const std::chrono::milliseconds longest = LeastTime(1s, longest_wait);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().disposition, Disposition::kRetry);
  EXPECT_EQ(set.error().reason, "TableInUse");
  EXPECT_THAT(set.error().message, HasSubstr("keyless"));
  EXPECT_LT(longest, 1s);
  EXPECT_FALSE(move.Published(kForward).identities_changed);
  MustExec(user, {"COMMIT"});
  Must(SetReplicaIdentities({}, Soon(), move.source, move.source_claim), "set");

  MustExec(user, {"BEGIN", "INSERT INTO public.keyless VALUES (2)"});
  Status restored = RestoreReplicaIdentities({}, Soon(), move.source, move.source_claim);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().reason, "TableInUse");
  EXPECT_THAT(restored.error().message, HasSubstr("keyless"));
  MustExec(user, {"COMMIT"});
  Must(RestoreReplicaIdentities({}, Soon(), move.source, move.source_claim), "restore");
  EXPECT_FALSE(move.Published(kForward).identities_changed);
}

TEST(StreamTraps, Trap54_RowsWithoutAKeyAreChangedOneByOneAlsoWithNullsFloatsAndTwins) {
  Streaming move;
  move.OnBoth({"CREATE TABLE public.k (a int, f float8, n numeric, j jsonb, t text[])"});
  move.Follow(kForward);
  MustExec(move.source,
           {"INSERT INTO public.k VALUES (1, 'NaN', 1.0, '{\"a\": 1}', '{x,NULL}'),"
            " (1, 'NaN', 1.0, '{\"a\": 1}', '{x,NULL}'), (NULL, NULL, NULL, NULL, NULL),"
            " (NULL, NULL, NULL, NULL, NULL), (3, 0.1, 1e100, '[]', '{}')",
            // One of two twins, and one of two rows of nothing but NULLs.
            "UPDATE public.k SET a = 2 WHERE ctid = (SELECT min(ctid) FROM public.k WHERE a = 1)",
            "DELETE FROM public.k WHERE ctid = (SELECT min(ctid) FROM public.k WHERE a IS NULL)",
            "UPDATE public.k SET f = 1e-300, n = 1.00 WHERE a = 3"});
  move.Settle(kForward);
  ExpectSame(move, "public.k");
  EXPECT_EQ(move.Subscribed(kForward).apply_errors, 0);
}

TEST(StreamTraps, Trap55_AnUnchangedLongValueStaysWhatItIs) {
  Streaming move;
  move.OnBoth({"CREATE TABLE public.long (id int PRIMARY KEY, n int, big text)",
               "CREATE TABLE public.keyless (n int, big text)",
               "ALTER TABLE public.long ALTER big SET STORAGE EXTERNAL",
               "ALTER TABLE public.keyless ALTER big SET STORAGE EXTERNAL"});
  move.Follow(kForward);
  MustExec(move.source, {"INSERT INTO public.long VALUES (1, 1, repeat('abc', 10000))",
                         "INSERT INTO public.keyless VALUES (1, repeat('xyz', 10000))",
                         "UPDATE public.long SET n = 2", "UPDATE public.keyless SET n = 2",
                         "UPDATE public.long SET id = 7"});
  move.Settle(kForward);
  ExpectSame(move, "public.long");
  ExpectSame(move, "public.keyless");
  EXPECT_EQ(MustRead(move.target, "SELECT length(big) FROM public.long"), Strings{"30000"});
}

TEST(StreamTraps, Trap56_TruncateIsReplicatedWithTheTablesThatItReaches) {
  Streaming move;
  move.OnBoth({"CREATE TABLE public.parent (id serial PRIMARY KEY)",
               "CREATE TABLE public.child (id int PRIMARY KEY, p int REFERENCES public.parent)",
               kTable});
  move.Follow(kForward);
  MustExec(move.source,
           {"INSERT INTO public.parent DEFAULT VALUES", "INSERT INTO public.child VALUES (1, 1)",
            "INSERT INTO public.t VALUES (1, 'stays')",
            "TRUNCATE public.parent RESTART IDENTITY CASCADE",
            "INSERT INTO public.parent DEFAULT VALUES"});
  move.Settle(kForward);
  for (const char* table : {"public.parent", "public.child", "public.t"}) ExpectSame(move, table);
  EXPECT_EQ(MustRead(move.target, "SELECT count(*) FROM public.child"), Strings{"0"});
}

TEST(StreamTraps, Trap57_SequencesAreNoneOfTheStreamsAndAreSetOverEitherWay) {
  Streaming move;
  move.OnBoth({"CREATE TABLE public.s (id serial PRIMARY KEY)", "CREATE SEQUENCE public.unowned",
               "CREATE SEQUENCE public.fresh START 5", "CREATE SEQUENCE public.restarted",
               "CREATE TABLE public.i (id int GENERATED ALWAYS AS IDENTITY (INCREMENT 10) PRIMARY "
               "KEY, word text)"});
  move.Follow(kForward);
  MustExec(move.source, {"INSERT INTO public.s SELECT FROM generate_series(1, 9)",
                         "SELECT nextval('public.unowned') FROM generate_series(1, 3)",
                         "INSERT INTO public.i (word) VALUES ('a'), ('b')",
                         "SELECT nextval('public.restarted') FROM generate_series(1, 3)",
                         "ALTER SEQUENCE public.restarted RESTART WITH 50"});
  move.Settle(kForward);
  auto differences = [&] {
    return CompareSequences(*ReadSequences({}, Soon(), move.source),
                            *ReadSequences({}, Soon(), move.target));
  };
  EXPECT_EQ(differences().size(), 4u);
  for (bool forth : {true, false}) {
    Connection& from = forth ? move.source : move.target;
    Connection& to = forth ? move.target : move.source;
    auto transaction = Transaction::Begin({}, Soon(), to);
    ASSERT_TRUE(transaction);
    Must(SetSequences({}, Soon(), *transaction, *ReadSequences({}, Soon(), from)), "set");
    Must(transaction->Commit({}, Soon()), "commit");
    EXPECT_EQ(differences(), Strings{});
    if (!forth) break;
    MustExec(move.target, {"SELECT nextval('public.unowned')", "SELECT nextval('public.fresh')",
                           "INSERT INTO public.i (word) VALUES ('c')"});
    EXPECT_EQ(MustRead(move.target, "SELECT nextval('public.restarted')")[0], "50");
    EXPECT_EQ(MustRead(move.target, "SELECT max(id) FROM public.i")[0], "21");
  }
  auto next = [&](const std::string& sequence) {
    return MustRead(move.source, "SELECT nextval(" + sequence + ")")[0];
  };
  EXPECT_EQ(next("pg_get_serial_sequence('public.i', 'id')"), "31");
  EXPECT_EQ(next("'public.restarted'"), "51");
  EXPECT_EQ(next("'public.fresh'"), "6");
}

TEST(StreamTraps, Trap60_WholeRowsOfAllTablesArePublishedButOfThoseExcluded) {
  Streaming move;
  move.OnBoth({kTable, "CREATE TABLE public.left_out (id int PRIMARY KEY)",
               "CREATE UNLOGGED TABLE public.unlogged (id int PRIMARY KEY)"});
  move.Prepare(kForward, {"public.left_out"});
  EXPECT_EQ(MustRead(move.source,
                     "SELECT schemaname || '.' || tablename FROM pg_publication_tables"
                     " WHERE pubname = $1 ORDER BY 1",
                     {StreamName(move.uid, kForward)}),
            (Strings{"cutover.heartbeat", "cutover.marker", "public.t"}));
  EXPECT_EQ(MustRead(move.source,
                     "SELECT count(*) FROM pg_publication_rel WHERE prattrs IS NOT NULL"
                     " OR prqual IS NOT NULL"),
            Strings{"0"});
}

TEST(StreamTraps, Trap61_PartitionsAreFollowedAsLeaves) {
  Streaming move;
  move.OnBoth(
      {"CREATE TABLE public.r (id int, day int, PRIMARY KEY (id, day))"
       " PARTITION BY RANGE (day)",
       "CREATE TABLE public.r1 PARTITION OF public.r FOR VALUES FROM (0) TO (10)",
       "CREATE TABLE public.r2 PARTITION OF public.r FOR VALUES FROM (10) TO (20)"
       " PARTITION BY LIST (id)",
       "CREATE TABLE public.r2_rest PARTITION OF public.r2 DEFAULT"});
  move.Follow(kForward);
  MustExec(move.source, {"INSERT INTO public.r VALUES (1, 1), (2, 2), (3, 12)",
                         "UPDATE public.r SET day = 15 WHERE id = 1",
                         "DELETE FROM public.r WHERE "
                         "id = 2"});
  move.Settle(kForward);
  ExpectSame(move, "ONLY public.r1");
  ExpectSame(move, "ONLY public.r2_rest");
  EXPECT_EQ(MustRead(move.target, "SELECT count(*) FROM ONLY public.r2_rest"), Strings{"2"});
}

TEST(StreamTraps, Trap63_ASubscriberThatIsKilledHasEveryRowOnceAfterwards) {
  OwnServer subscriber(OwnServerOptions{17, 0, 0, {{"fsync", "on"}}});
  Streaming move({Servers().source, subscriber.Options()});
  move.OnBoth({kTable});
  move.Follow(kForward);
  for (int round = 0; round < 3; ++round) {
    MustExec(move.source, {"INSERT INTO public.t SELECT n, 'x' FROM generate_series((SELECT "
                           "count(*) FROM public.t) + 1, (SELECT count(*) FROM public.t) + 5000) n",
                           "UPDATE public.t SET word = word || 'y' WHERE id % 100 = 0"});
    if (round == 2) break;
    subscriber.Kill();
    subscriber.Start();
    move.target = MustConnect(move.target_database.Options());
  }
  move.Settle(kForward);
  ExpectSame(move, "public.t");
  EXPECT_EQ(move.Subscribed(kForward).apply_errors, 0);
}

TEST(StreamTraps, Trap64_ARowThatCannotBeAppliedStopsTheStreamAndIsReportedInWords) {
  OwnServer subscriber(OwnServerOptions{17,
                                        0,
                                        0,
                                        {{"logging_collector", "on"},
                                         {"log_directory", "log"},
                                         {"wal_retrieve_retry_interval", "200ms"}}});
  Streaming move({Servers().source, subscriber.Options()});
  move.OnBoth({kTable});
  move.Follow(kForward);
  MustExec(move.target, {"INSERT INTO public.t VALUES (5, 'planted')"});
  MustExec(move.source, {"INSERT INTO public.t VALUES (5, 'secret value')"});
  Must(WriteMarker({}, Soon(), move.source, move.source_claim, 1), "marker");
  SubscriberFacts facts;
  WaitUntil(
      [&] {
        facts = move.Subscribed(kForward);
        return facts.apply_errors > 0 && !facts.last_error.empty();
      },
      "the conflict is seen");
  EXPECT_THAT(facts.last_error, AllOf(HasSubstr("duplicate key"), HasSubstr("t_pkey")));
  EXPECT_THAT(facts.last_error, ::testing::Not(HasSubstr("secret")));
  EXPECT_EQ(facts.marker, 0);
  EXPECT_EQ(MustRead(move.target, "SELECT word FROM public.t"), Strings{"planted"});
  MustExec(move.target, {"DELETE FROM public.t"});
  WaitUntil([&] { return move.Subscribed(kForward).marker == 1; }, "the stream goes on by itself");
  ExpectSame(move, "public.t");
}

// As docs/getting-started.md says what it takes.
TEST(StreamTraps, Trap64_WhoMayNotReadTheLogIsToldWhatToLookForInIt) {
  OwnServer subscriber(OwnServerOptions{17,
                                        0,
                                        0,
                                        {{"logging_collector", "on"},
                                         {"log_directory", "log"},
                                         {"wal_retrieve_retry_interval", "200ms"}}});
  Streaming move({Servers().source, subscriber.Options()});
  move.OnBoth({kTable});
  move.Follow(kForward);
  MustExec(move.target, {"INSERT INTO public.t VALUES (5, 'planted')",
                         "CREATE ROLE reader LOGIN PASSWORD 'word'"});
  MustExec(move.source, {"INSERT INTO public.t VALUES (5, 'other')"});
  WaitUntil([&] { return !move.Subscribed(kForward).last_error.empty(); }, "the conflict is seen");
  const std::string oid = MustRead(move.target, "SELECT oid FROM pg_subscription").front();
  const std::string name = StreamName(move.target_claim.migration_uid, kForward);
  ConnectOptions options = move.target_database.Options();
  options.user = "reader";
  options.password = "word";
  Connection reader = MustConnect(options);
  auto read = [&] {
    auto words = ReadApplyError({}, Soon(), reader, name, oid);
    return words ? *words : words.error().message;
  };
  EXPECT_THAT(read(), AllOf(HasSubstr("the server's log says why"), HasSubstr(name),
                            HasSubstr("\"pg_" + oid + "\"")));
  MustExec(move.target, {"GRANT EXECUTE ON FUNCTION pg_current_logfile(), pg_stat_file(text),"
                         " pg_read_binary_file(text, bigint, bigint) TO reader"});
  EXPECT_THAT(read(), HasSubstr("duplicate key"));
  MustExec(move.target, {"DELETE FROM public.t"});
}

TEST(StreamTraps, Trap64_ASubscriberThatCountsNoErrorsStandsStillWithoutAWorker) {
  Streaming move({Servers().source, Servers().OfMajor(13)});
  move.OnBoth({kTable});
  move.Follow(kForward);
  auto beat = [&] {
    Must(WriteHeartbeat({}, Soon(), move.source, move.source_claim), "heartbeat");
  };
  beat();
  WaitUntil([&] { return move.Subscribed(kForward).heartbeat_at_seconds.has_value(); }, "it runs");
  EXPECT_EQ(move.Subscribed(kForward).apply_errors, -1);
  MustExec(move.target, {"INSERT INTO public.t VALUES (5, 'planted')"});
  MustExec(move.source, {"INSERT INTO public.t VALUES (5, 'other')"});
  WaitUntil(
      [&] {
        beat();
        const SubscriberFacts target = move.Subscribed(kForward);
        const double silent = move.Published(kForward).clock_seconds - *target.heartbeat_at_seconds;
        return target.enabled && !target.working && silent > 3;
      },
      "it stands still");
  MustExec(move.target, {"DELETE FROM public.t"});
  move.Settle(kForward);
  ExpectSame(move, "public.t");
}

TEST(StreamTraps, Trap65_TriggersAndKeysOfTheTargetDoNotActAgain) {
  Streaming move;
  move.OnBoth({"CREATE TABLE public.parent (id int PRIMARY KEY)",
               "CREATE TABLE public.child (id int PRIMARY KEY, p int REFERENCES public.parent ON "
               "DELETE CASCADE)",
               "CREATE TABLE public.log (id serial PRIMARY KEY, what text)",
               "CREATE FUNCTION public.log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT "
               "INTO public.log (what) VALUES (TG_OP); RETURN NULL; END'",
               "CREATE TRIGGER log AFTER INSERT OR DELETE ON public.child FOR EACH ROW EXECUTE "
               "FUNCTION public.log()"});
  move.Follow(kForward);
  MustExec(move.source, {"INSERT INTO public.parent VALUES (1), (2)",
                         "INSERT INTO public.child VALUES (1, 1), (2, 1), (3, 2)",
                         "DELETE FROM public.parent WHERE id = 1"});
  move.Settle(kForward);
  for (const char* table : {"public.parent", "public.child", "public.log"}) ExpectSame(move, table);
  EXPECT_EQ(MustRead(move.target, "SELECT count(*) FROM public.log"), Strings{"5"});
}

TEST(StreamTraps, Trap66_ASlotThatIsLostIsSeenAsSuchAndItsRoomBefore) {
  OwnServer publisher(OwnServerOptions{
      15,
      0,
      0,
      {{"max_slot_wal_keep_size", "1MB"}, {"max_wal_size", "32MB"}, {"min_wal_size", "32MB"}}});
  Streaming move({publisher.Options(), Servers().target});
  move.OnBoth({kTable});
  move.PreparePublisher(kForward);
  EXPECT_GT(move.Published(kForward).safe_wal_bytes, 0);
  WaitUntil(
      [&] {
        MustExec(move.source, {"SELECT pg_switch_wal() FROM pg_logical_emit_message(false, 'x', "
                               "repeat('x', 100000))",
                               "CHECKPOINT"});
        return move.Published(kForward).wal_status == "lost";
      },
      "the slot is lost");
  EXPECT_TRUE(move.Published(kForward).slot_exists);
  Status subscribed = EnsureSubscription({}, Soon(), move.target, move.target_claim, kForward,
                                         move.Address(kForward), "a 'quoted' \\ password");
  if (subscribed) {
    move.Enable(kForward);
    std::this_thread::sleep_for(500ms);
    EXPECT_FALSE(move.Published(kForward).slot_active);
  }
}

TEST(StreamTraps, Trap67_ASlotThatAFailoverHasLostIsSeenToBeGone) {
  Streaming move;
  move.OnBoth({kTable});
  move.Follow(kForward);
  move.Settle(kForward);
  // As on a standby that was promoted: everything is there but the slot.
  Must(DropSlot({}, Soon(), move.source, move.source_claim, kForward), "drop");
  EXPECT_FALSE(move.Published(kForward).slot_exists);
  EXPECT_TRUE(move.Published(kForward).publication_exists);
  WaitUntil([&] { return !move.Subscribed(kForward).working; }, "the worker notices");
}

TEST(StreamTraps, Trap68_ASenderWaitsForAWorkerThatIsBusyWhateverTheServerSays) {
  OwnServer publisher(OwnServerOptions{15, 0, 0, {{"wal_sender_timeout", "1s"}}});
  Streaming move({publisher.Options(), Servers().target});
  move.OnBoth({kTable});
  move.Follow(kForward);
  move.Settle(kForward);
  auto sender = [&] {
    return MustRead(move.source, "SELECT active_pid FROM pg_replication_slots");
  };
  const Strings before = sender();
  Connection blocker = MustConnect(move.target_database.Options());
  MustExec(blocker, {"BEGIN", "LOCK TABLE public.t"});
  MustExec(move.source, {"INSERT INTO public.t VALUES (1, 'x')"});
  std::this_thread::sleep_for(2500ms);
  EXPECT_EQ(sender(), before);
  MustExec(blocker, {"COMMIT"});
  move.Settle(kForward);
  EXPECT_EQ(sender(), before);
}

TEST(StreamTraps, Trap69_AHugeTransactionIsSentWhileItRuns) {
  OwnServer publisher(OwnServerOptions{15, 0, 0, {{"logical_decoding_work_mem", "64kB"}}});
  Streaming move({publisher.Options(), Servers().target});
  move.OnBoth({kTable});
  move.Follow(kForward);
  MustExec(move.source, {"BEGIN",
                         "INSERT INTO public.t SELECT n, repeat('x', 50) FROM generate_series(1, "
                         "20000) n",
                         "SAVEPOINT s", "DELETE FROM public.t WHERE id % 2 = 0", "ROLLBACK TO s",
                         "DELETE FROM public.t WHERE id % 3 = 0", "COMMIT"});
  move.Settle(kForward);
  const char* sum = "SELECT count(*) || ' ' || sum(id) FROM public.t";
  EXPECT_EQ(MustRead(move.source, sum), MustRead(move.target, sum));
  WaitUntil(
      [&] {
        return MustRead(move.source, "SELECT stream_txns > 0 FROM pg_stat_replication_slots") ==
               Strings{"t"};
      },
      "the server says that it was streamed");
}

TEST(StreamTraps, Trap70_APreparedTransactionArrivesOnceItIsCommitted) {
  Streaming move;
  move.OnBoth({kTable});
  move.Follow(kForward);
  const std::string gid = QuoteLiteral(UniqueName("gid"));
  MustExec(move.source,
           {"BEGIN", "INSERT INTO public.t VALUES (1, 'prepared')", "PREPARE TRANSACTION " + gid});
  move.Settle(kForward);
  EXPECT_EQ(MustRead(move.target, "SELECT count(*) FROM public.t"), Strings{"0"});
  MustExec(move.source, {"COMMIT PREPARED " + gid});
  move.Settle(kForward);
  ExpectSame(move, "public.t");
}

TEST(StreamTraps, Trap71_WhoKeepsASlotFromBeingMadeIsNamedAndNothingIsLeft) {
  OwnServer publisher(15);
  Streaming move({publisher.Options(), Servers().target});
  MustExec(move.source, {kTable});
  Connection user = MustConnect(publisher.Options());
  MustExec(user, {"CREATE TABLE public.elsewhere (a int)", "BEGIN",
                  "INSERT INTO public.elsewhere VALUES (1)"});
  Status slot = EnsureSlot({}, Deadline::After(4s), move.source, move.source_claim, kForward);
  ASSERT_FALSE(slot);
  EXPECT_EQ(slot.error().reason, "SlotWaits");
  EXPECT_EQ(slot.error().disposition, Disposition::kRetry);
  EXPECT_THAT(slot.error().message, AllOf(HasSubstr("cutover_admin"), HasSubstr("postgres")));
  EXPECT_FALSE(move.Published(kForward).slot_exists);
  MustExec(user, {"COMMIT"});
  Must(EnsureSlot({}, Soon(), move.source, move.source_claim, kForward), "slot");
}

TEST(StreamTraps, Trap72_ARowIsNotSentBackToWhereItComesFrom) {
  const ConnectOptions& server = Servers().OfMajor(17);
  Streaming move({server, server});
  move.OnBoth({kTable});
  // Both at the same time, which a move never does.
  move.Follow(kForward);
  move.Follow(kReverse);
  MustExec(move.source, {"INSERT INTO public.t VALUES (1, 'forth')"});
  move.Settle(kForward);
  MustExec(move.target, {"INSERT INTO public.t VALUES (2, 'back')"});
  move.Settle(kReverse);
  EXPECT_EQ(MustRead(move.source, "SELECT word FROM public.t ORDER BY id"),
            (Strings{"forth", "back"}));
  EXPECT_EQ(move.Subscribed(kReverse).apply_errors, 0);
}

TEST(StreamTraps, Trap80_ASubscriptionGoesAlsoWhenItsPublisherIsAwayAndTheRestLater) {
  OwnServer publisher(15);
  Streaming move({publisher.Options(), Servers().target});
  move.OnBoth({kTable});
  move.Follow(kForward);
  move.Settle(kForward);
  publisher.Stop();
  Must(DropSubscription({}, Soon(), move.target, move.target_claim, kForward), "drop");
  EXPECT_FALSE(move.Subscribed(kForward).exists);
  EXPECT_EQ(MustRead(move.target,
                     "SELECT count(*) FROM pg_replication_origin_status s"
                     " JOIN pg_replication_origin o ON o.roident = s.local_id"
                     " WHERE o.roname ~ '^pg_' AND substr(o.roname, 4)::oid NOT IN"
                     " (SELECT oid FROM pg_subscription)"),
            Strings{"0"});
  publisher.Start();
  move.source = MustConnect(move.source_database.Options());
  EXPECT_TRUE(move.Published(kForward).slot_exists);
  for (int time = 0; time < 2; ++time) {
    Must(DropSlot({}, Soon(), move.source, move.source_claim, kForward), "slot");
    Must(DropPublication({}, Soon(), move.source, move.source_claim, kForward), "publication");
    Must(DropReplicationRole({}, Soon(), move.source, move.source_claim, kForward), "role");
  }
  const PublisherFacts facts = move.Published(kForward);
  EXPECT_FALSE(facts.slot_exists || facts.publication_exists || facts.role_exists);
}

TEST(StreamTraps, Trap81_ATargetThatCrashesAfterTheSlotWasAdvancedSendsNothingTwice) {
  OwnServer subscriber(17);
  Streaming move({Servers().source, subscriber.Options()});
  move.OnBoth({kTable});
  move.Follow(kForward);
  move.Prepare(kReverse);
  MustExec(move.target, {"CHECKPOINT"});
  MustExec(move.source, {"INSERT INTO public.t SELECT n, 'forth' FROM generate_series(1, 100) n"});
  move.Settle(kForward);
  EXPECT_EQ(move.FindRogue().transactions, 0);
  Must(StartSubscriptionAtSlot({}, Soon(), move.target, move.source, move.source_claim, kReverse),
       "start");
  Must(DisableSubscription({}, Soon(), move.target, move.target_claim, kForward), "disable");
  subscriber.Kill();
  subscriber.Start();
  move.target = MustConnect(move.target_database.Options());
  MustExec(move.target, {"INSERT INTO public.t VALUES (101, 'back')"});
  move.Enable(kReverse);
  move.Settle(kReverse);
  ExpectSame(move, "public.t");
  EXPECT_EQ(move.Subscribed(kReverse).apply_errors, 0);
}

TEST(StreamTraps, Trap21_OddNamesAreFollowed) {
  Streaming move;
  const std::string name =
      QuoteIdentifier("sp ace \"q\" 'a'\nline \\ $1 " + std::string(63 - 25, 'x'));
  const std::string schema = QuoteIdentifier("S\n\"s\"");
  move.OnBoth({"CREATE SCHEMA " + schema, "CREATE TABLE " + schema + "." + name +
                                              " (\"id \"\"1\"\"\" int, \"we ird\n\" text)"});
  move.Follow(kForward);
  MustExec(move.source, {"INSERT INTO " + schema + "." + name + " VALUES (1, 'x'), (2, 'y')",
                         "UPDATE " + schema + "." + name + " SET \"we ird\n\" = 'z'"});
  move.Settle(kForward);
  ExpectSame(move, schema + "." + name);
}

TEST(StreamTraps, AThousandTablesAreFollowed) {
  Streaming move;
  move.OnBoth(
      {"DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE public.t%s (id int "
       "PRIMARY KEY)', i); END LOOP; END $$"});
  move.Follow(kForward);
  MustExec(move.source, {"DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('INSERT INTO "
                         "public.t%s VALUES (1)', i); END LOOP; END $$"});
  move.Settle(kForward);
  EXPECT_EQ(MustRead(move.target, "SELECT count(*) FROM public.t1000"), Strings{"1"});
}

TEST(StreamTraps, NoPasswordIsInAServersLog) {
  OwnServer publisher(OwnServerOptions{
      15, 0, 0, {{"log_statement", "all"}, {"logging_collector", "on"}, {"log_directory", "log"}}});
  OwnServer subscriber(OwnServerOptions{
      17, 0, 0, {{"log_statement", "all"}, {"logging_collector", "on"}, {"log_directory", "log"}}});
  Streaming move({publisher.Options(), subscriber.Options()});
  move.OnBoth({kTable});
  move.Follow(kForward);
  move.Settle(kForward);
  Status refused = EnsureSubscription({}, Soon(), move.target, move.target_claim, kForward,
                                      {"127.0.0.1", 1, "x", ""}, "a 'quoted' \\ password");
  EXPECT_FALSE(refused);
  for (Connection* side : {&move.source, &move.target}) {
    const std::string log = MustRead(*side, "SELECT pg_read_file(pg_current_logfile())").front();
    EXPECT_THAT(log, HasSubstr("SELECT"));
    EXPECT_THAT(log, ::testing::Not(HasSubstr("password=")));
    EXPECT_THAT(log, ::testing::Not(HasSubstr("quoted")));
    EXPECT_THAT(log, ::testing::Not(HasSubstr("SCRAM-SHA-256$")));
  }
}

}  // namespace
}  // namespace cutover::pg
