// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <thread>

#include "tests/postgres/own_server.h"
#include "tests/postgres/replication/streaming.h"

namespace cutover::pg {
namespace {

using namespace std::chrono_literals;
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
using testing::TestDatabase;
using testing::TestRole;
using testing::UniqueName;
using enum Direction;

constexpr const char* kTable = "CREATE TABLE public.t (id bigint PRIMARY KEY, word text)";

// --- rogue writes
// ---------------------------------------------------------------------------------

TEST(RogueWrites, AStreamsOwnWritesAreNoneHoweverMany) {
  Streaming move;
  move.OnBoth({kTable});
  move.Follow(kForward);
  move.PreparePublisher(kReverse);
  std::string written;
  for (int round = 0; round < 2; ++round) {
    MustExec(move.source, {"DO $$ BEGIN FOR i IN 1..3000 LOOP INSERT INTO public.t VALUES "
                           "((SELECT coalesce(max(id), 0) + 1 FROM public.t), 'x'); COMMIT; "
                           "END LOOP; END $$",
                           "TRUNCATE public.t"});
    Must(WriteHeartbeat({}, Soon(), move.source, move.source_claim), "heartbeat");
    move.Settle(kForward);
    written = MustRead(move.target, "SELECT pg_current_wal_flush_lsn()").front();
    EXPECT_EQ(move.FindRogue().transactions, 0);
  }
  // It is past what there was, so nothing of that is kept for it, whatever others write meanwhile.
  EXPECT_EQ(MustRead(move.target, "SELECT confirmed_flush_lsn >= '" + written +
                                      "'::pg_lsn FROM pg_replication_slots WHERE slot_name = '" +
                                      StreamName(move.uid, kReverse) + "'"),
            std::vector<std::string>{"t"});
}

TEST(RogueWrites, OneRowChangedBehindReplicationsBackIsFoundAndStaysFound) {
  Streaming move;
  const std::string odd = "\"odd \"\"name\"";
  move.OnBoth({kTable, "CREATE TABLE public." + odd + " (id int PRIMARY KEY)"});
  move.Follow(kForward);
  MustExec(move.source, {"INSERT INTO public.t SELECT n, 'x' FROM generate_series(1, 100) n"});
  move.Settle(kForward);
  move.PreparePublisher(kReverse);
  EXPECT_EQ(move.FindRogue().transactions, 0);
  MustExec(move.target, {"UPDATE public.t SET word = 'y' WHERE id = 50"});
  MustExec(move.source, {"UPDATE public.t SET word = 'z' WHERE id < 20"});
  move.Settle(kForward);
  RogueWrites found = move.FindRogue();
  EXPECT_EQ(found.transactions, 1);
  EXPECT_EQ(found.first_table, "public.t");
  // Whoever asks next, after a crash or as another leader, hears the same and what came since.
  MustExec(move.target, {"TRUNCATE public." + odd, "INSERT INTO public." + odd + " VALUES (1)",
                         "DELETE FROM public." + odd});
  found = move.FindRogue();
  EXPECT_EQ(found.transactions, 4);
  EXPECT_EQ(found.first_table, "public.t");
  Must(DropSlot({}, Soon(), move.target, move.target_claim, kReverse), "drop");
  Must(EnsureSlot({}, Soon(), move.target, move.target_claim, kReverse), "slot");
  EXPECT_EQ(move.FindRogue().transactions, 0);
}

TEST(RogueWrites, OneThatDidNotWaitForTheDiskIsFoundToo) {
  Streaming move;
  move.OnBoth({kTable});
  move.Follow(kForward);
  move.PreparePublisher(kReverse);
  Connection hasty = MustConnect(move.target_database.Options());
  MustExec(hasty, {"SET synchronous_commit = off", "INSERT INTO public.t VALUES (1, 'r')"});
  EXPECT_EQ(move.FindRogue().transactions, 1);
}

// --- fingerprint
// ----------------------------------------------------------------------------------

std::string Fingerprint(Connection& connection) {
  auto fingerprint = SchemaFingerprint({}, Soon(), connection);
  EXPECT_TRUE(fingerprint) << fingerprint.error().message;
  return fingerprint ? *fingerprint : "";
}

CatalogMark Mark(Connection& connection) {
  auto mark = MarkCatalogs({}, Soon(), connection);
  EXPECT_TRUE(mark) << mark.error().message;
  return mark.value_or(CatalogMark{});
}

bool Touched(Connection& connection, const CatalogMark& mark) {
  auto touched = CatalogsTouched({}, Soon(), connection, mark);
  EXPECT_TRUE(touched) << touched.error().message;
  return touched.value_or(false);
}

constexpr const char* kSchema[] = {
    "CREATE TABLE public.p (id serial PRIMARY KEY, name varchar(20) NOT NULL, big text)",
    "CREATE TABLE public.c (id int PRIMARY KEY, p int REFERENCES public.p, n int DEFAULT 1)",
    "CREATE TABLE public.keyless (a int, b int NOT NULL UNIQUE)",
    "CREATE INDEX c_n ON public.c (n)",
    "CREATE VIEW public.v AS SELECT id FROM public.p",
    "CREATE MATERIALIZED VIEW public.m AS SELECT id FROM public.p",
    "CREATE TYPE public.mood AS ENUM ('sad', 'happy')",
    "CREATE DOMAIN public.positive AS int CHECK (VALUE > 0)",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION public.tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER tr BEFORE INSERT ON public.c FOR EACH ROW EXECUTE FUNCTION public.tf()",
    "CREATE POLICY pol ON public.c USING (n > 0)",
    "CREATE SEQUENCE public.free START 5",
};

class FingerprintTraps : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    for (const char* statement : kSchema) MustExec(connection_, {statement});
  }
  const ConnectOptions& server_ = Servers().OfMajor(GetParam());
  TestDatabase database_{server_, server_.user};
  Connection connection_ = MustConnect(database_.Options());
};

INSTANTIATE_TEST_SUITE_P(OnMajor, FingerprintTraps, ::testing::Values(13, 15, 18),
                         [](const auto& major) { return std::to_string(major.param); });

TEST_P(FingerprintTraps, Trap59_EveryKindOfDdlChangesItAndTouchesTheCatalogs) {
  std::set<std::string> seen = {Fingerprint(connection_)};
  for (const std::string statement :
       {"ALTER TABLE public.p ADD COLUMN more int", "ALTER TABLE public.p DROP COLUMN more",
        "ALTER TABLE public.p ALTER COLUMN name TYPE varchar(30)",
        "ALTER TABLE public.p ALTER COLUMN name DROP NOT NULL",
        "ALTER TABLE public.c ALTER COLUMN n SET DEFAULT 2",
        "ALTER TABLE public.c RENAME COLUMN n TO m",
        "ALTER TABLE public.c ADD CONSTRAINT pos CHECK (m > 0) NOT VALID",
        "ALTER TABLE public.c VALIDATE CONSTRAINT pos", "ALTER TABLE public.c DROP CONSTRAINT pos",
        "CREATE INDEX c_p ON public.c (p)", "DROP INDEX public.c_n",
        "CREATE OR REPLACE VIEW public.v AS SELECT id, name FROM public.p",
        "ALTER TYPE public.mood ADD VALUE 'angry'",
        "ALTER DOMAIN public.positive ADD CONSTRAINT small CHECK (VALUE < 100)",
        "CREATE OR REPLACE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "ALTER TABLE public.c DISABLE TRIGGER tr", "DROP TRIGGER tr ON public.c",
        "ALTER POLICY pol ON public.c USING (m > 1)",
        "ALTER TABLE public.c ENABLE ROW LEVEL SECURITY", "ALTER SEQUENCE public.free INCREMENT 2",
        "CREATE TABLE public.new (a int)", "DROP TABLE public.new",
        "ALTER TABLE public.c RENAME TO d", "CREATE SCHEMA s",
        "CREATE STATISTICS public.st ON id, p FROM public.d",
        "ALTER TABLE public.keyless SET UNLOGGED", "GRANT SELECT ON public.d TO PUBLIC",
        // Looks the same afterwards, and is another table, which no publication has.
        "DROP TABLE public.keyless; CREATE TABLE public.keyless (a int, b int NOT NULL UNIQUE);"
        " ALTER TABLE public.keyless SET UNLOGGED"}) {
    const CatalogMark before = Mark(connection_);
    MustExec(connection_, {statement});
    EXPECT_TRUE(Touched(connection_, before)) << statement;
    // Dropping what was added gives back what was there before, but for the place of the column.
    const bool back = statement.starts_with("DROP TABLE public.new") ||
                      statement.find("DROP CONSTRAINT pos") != std::string::npos;
    EXPECT_NE(seen.insert(Fingerprint(connection_)).second, back) << statement;
  }
}

TEST_P(FingerprintTraps, WhatUsersWriteAndWhatTidiesUpAfterThemTouchesNoCatalog) {
  const CatalogMark before = Mark(connection_);
  MustExec(connection_, {"INSERT INTO public.p (name, big) SELECT n, repeat('x', 5000) FROM "
                         "generate_series(1, 500) n",
                         "UPDATE public.p SET name = 'x'", "DELETE FROM public.p WHERE id < 100",
                         "VACUUM FREEZE", "ANALYZE", "SELECT nextval('public.free')"});
  EXPECT_FALSE(Touched(connection_, before));
}

TEST_P(FingerprintTraps, Trap59_DdlThatWasUnderWayWhenTheCatalogsWereMarkedTouchesThem) {
  Connection other = MustConnect(database_.Options());
  for (const char* statement : {"CREATE TABLE public.slow (a int)", "DROP TABLE public.keyless"}) {
    auto transaction = Transaction::Begin({}, Soon(), other);
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(transaction->Exec({}, Soon(), statement));
    // Younger than that one, and over before it.
    MustExec(connection_, {"ALTER TABLE public.p ALTER COLUMN big SET NOT NULL",
                           "ALTER TABLE public.p ALTER COLUMN big DROP NOT NULL"});
    const CatalogMark before = Mark(connection_);
    EXPECT_FALSE(Touched(connection_, before)) << statement;
    ASSERT_TRUE(transaction->Commit({}, Soon()));
    EXPECT_TRUE(Touched(connection_, before)) << statement;
  }
}

TEST_P(FingerprintTraps, Trap58_ALargeObjectThatIsMadeLaterShowsUntilItIsGoneAgain) {
  for (const char* accepted : {"", "SELECT lo_create(20000), lo_create(20001), lo_create(20002)"}) {
    if (*accepted != '\0') MustExec(connection_, {accepted});
    const std::string before = Fingerprint(connection_);
    const CatalogMark mark = Mark(connection_);
    EXPECT_FALSE(Touched(connection_, mark));
    MustExec(connection_, {"SELECT lo_from_bytea(4000000000, 'a scan')"});
    EXPECT_TRUE(Touched(connection_, mark));
    EXPECT_NE(Fingerprint(connection_), before);
    MustExec(connection_, {"SELECT lo_unlink(4000000000)"});
    EXPECT_FALSE(Touched(connection_, mark));
    EXPECT_EQ(Fingerprint(connection_), before);
  }
}

TEST_P(FingerprintTraps, Trap59_WhatIsNoDdlDoesNotChangeIt) {
  const std::string before = Fingerprint(connection_);
  Claim claim{"fingerprint", 1, Side::kSource};
  MustExec(connection_,
           {"INSERT INTO public.p (name, big) SELECT n, repeat('x', 5000) FROM "
            "generate_series(1, 500) n",
            "DELETE FROM public.p WHERE id < 100", "VACUUM", "ANALYZE", "VACUUM FULL",
            "REINDEX TABLE public.c", "REINDEX TABLE CONCURRENTLY public.c",
            "TRUNCATE public.p CASCADE", "SELECT nextval('public.free')",
            "REFRESH MATERIALIZED VIEW public.m", "ALTER TABLE public.p REPLICA IDENTITY FULL",
            "ALTER TABLE public.keyless REPLICA IDENTITY USING INDEX keyless_b_key",
            "CREATE TEMP TABLE passing (a serial PRIMARY KEY, b int CHECK (b > 0))",
            "CREATE TYPE pg_temp.passing_type AS ENUM ('a')"});
  EXPECT_EQ(Fingerprint(connection_), before);
  ASSERT_TRUE(ClaimEpoch({}, Soon(), connection_, claim));
  Must(EnsurePublication({}, Soon(), connection_, claim, kForward), "publication");
  EXPECT_EQ(Fingerprint(connection_), before);
}

// --- obstacles
// ------------------------------------------------------------------------------------

class ObstacleTraps : public ::testing::Test {
 protected:
  OnlineObstacles Find(bool may_set_full_identity = true,
                       std::chrono::seconds long_transaction = 60s, int target_major = 17) {
    auto found = FindOnlineObstacles({}, Soon(), connection_,
                                     {may_set_full_identity, long_transaction, target_major});
    if (!found) Must(tl::unexpected(found.error()), "find obstacles");
    return *found;
  }
  TestRole owner_{Servers().source};
  TestDatabase database_{Servers().source, owner_.name()};
  Connection connection_ = MustConnect(database_.Options());
};

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(ObstacleTraps, AreNoneInAnOrdinaryDatabase) {
  for (const char* statement : kSchema) {
    if (std::string(statement).find("MATERIALIZED") == std::string::npos &&
        std::string(statement).find("keyless") == std::string::npos)
      MustExec(connection_, {statement});
  }
  const OnlineObstacles found = Find();
  EXPECT_THAT(found.blocking, IsEmpty());
  EXPECT_THAT(found.warnings, IsEmpty());
}

TEST_F(ObstacleTraps, Trap34_AnUnloggedTableBlocksByName) {
  MustExec(connection_, {"CREATE UNLOGGED TABLE public.\"odd one\" (a int PRIMARY KEY)"});
  EXPECT_THAT(Find().blocking, ElementsAre(AllOf(HasSubstr("public.\"odd one\""), HasSubstr("(1)"),
                                                 HasSubstr("SET LOGGED"))));
}

TEST_F(ObstacleTraps, Trap58_LargeObjectsBlockWithTheirNumber) {
  MustExec(connection_, {"SELECT lo_create(0)", "SELECT lo_create(0)"});
  EXPECT_THAT(Find().blocking,
              ElementsAre(AllOf(HasSubstr("large objects"), HasSubstr("there are 2"))));
}

TEST_F(ObstacleTraps, Trap53_TablesWithoutAKeyBlockUnlessTheirIdentityMayBeSet) {
  MustExec(connection_,
           {"CREATE TABLE public.keyless (a int)",
            "CREATE TABLE public.later (a int PRIMARY KEY DEFERRABLE)",
            "CREATE TABLE public.nothing (a int PRIMARY KEY)",
            "ALTER TABLE public.nothing REPLICA IDENTITY NOTHING",
            "CREATE TABLE public.has_index (a int NOT NULL UNIQUE)",
            "ALTER TABLE public.has_index REPLICA IDENTITY USING INDEX has_index_a_key"});
  EXPECT_THAT(Find(true).blocking, IsEmpty());
  EXPECT_THAT(Find(true).warnings, ElementsAre(HasSubstr("(3)")));
  EXPECT_THAT(Find(false).blocking, ElementsAre(AllOf(HasSubstr("keyless"), HasSubstr("later"),
                                                      HasSubstr("nothing"), HasSubstr("SetFull"))));
}

TEST_F(ObstacleTraps, Trap53_AGeneratedColumnInTheIdentityBlocks) {
  const std::string twice = ", twice int GENERATED ALWAYS AS (a * 2) STORED";
  MustExec(
      connection_,
      {"CREATE TABLE public.by_key (a int" + twice + " PRIMARY KEY)",
       "CREATE TABLE public.by_key_though_full (a int" + twice + " PRIMARY KEY)",
       "ALTER TABLE public.by_key_though_full REPLICA IDENTITY FULL",
       "CREATE TABLE public.by_index (a int PRIMARY KEY" + twice + " NOT NULL UNIQUE)",
       "ALTER TABLE public.by_index REPLICA IDENTITY USING INDEX by_index_twice_key",
       // Told apart by what is sent: none of these is in the way.
       "CREATE TABLE public.beside (a int PRIMARY KEY" + twice + ")",
       "CREATE TABLE public.included (a int NOT NULL" + twice + ", UNIQUE (a) INCLUDE (twice))",
       "ALTER TABLE public.included REPLICA IDENTITY USING INDEX included_a_twice_key",
       "CREATE TABLE public.other_index (a int NOT NULL UNIQUE" + twice + " PRIMARY KEY)",
       "ALTER TABLE public.other_index REPLICA IDENTITY USING INDEX other_index_a_key"});
  EXPECT_THAT(Find().blocking, ElementsAre(AllOf(HasSubstr("(3): public.by_index, public.by_key, "
                                                           "public.by_key_though_full; "),
                                                 HasSubstr("primary key of ordinary columns"))));
  MustExec(connection_, {"DROP TABLE public.by_key, public.by_key_though_full, public.by_index",
                         "CREATE TABLE public.keyless (a int" + twice + ")",
                         "CREATE TABLE public.full_already (a int" + twice + ")",
                         "ALTER TABLE public.full_already REPLICA IDENTITY FULL"});
  EXPECT_THAT(Find().blocking, IsEmpty()) << "before 18, FULL stands for what is sent";
  EXPECT_THAT(Find(true, 60s, 18).blocking,
              ElementsAre(HasSubstr("(2): public.full_already, public.keyless; ")));
}

TEST_F(ObstacleTraps, Trap54_ATypeWithoutEqualityInATableWithoutAKeyBlocks) {
  MustExec(connection_,
           {"CREATE DOMAIN public.doc AS json", "CREATE TYPE public.pair AS (a int, b point)",
            "CREATE TABLE public.j (a int, b json)", "CREATE TABLE public.x (a xml[])",
            "CREATE TABLE public.d (a public.doc)", "CREATE TABLE public.p (a public.pair)",
            "CREATE TABLE public.keyed (a int PRIMARY KEY, b json)",
            "CREATE TABLE public.fine (a jsonb, b text[], c varchar, d numeric, e timestamptz,"
            " f uuid, g bytea, h int4range, i inet, j float8, k \"char\", l name, m bit(3),"
            " n money, o tsvector)"});
  EXPECT_THAT(Find().blocking,
              ElementsAre(AllOf(HasSubstr("public.j (json)"), HasSubstr("public.x (xml)"),
                                HasSubstr("public.d (json)"), HasSubstr("public.p (point)"),
                                HasSubstr("(4)"))));
}

TEST_F(ObstacleTraps, Trap65_TriggersThatFireForReplicatedRowsBlock) {
  MustExec(connection_,
           {"CREATE TABLE public.t (a int PRIMARY KEY)",
            "CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; "
            "END'",
            "CREATE TRIGGER always BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION "
            "public.f()",
            "ALTER TABLE public.t ENABLE ALWAYS TRIGGER always"});
  EXPECT_THAT(Find().blocking, ElementsAre(HasSubstr("always on public.t")));
}

TEST_F(ObstacleTraps, RightsThatOwnersHaveGivenUpBlock) {
  MustExec(connection_,
           {"GRANT CREATE ON SCHEMA public TO " + owner_.quoted(), "SET ROLE " + owner_.quoted(),
            "CREATE TABLE public.secured (a int PRIMARY KEY)",
            "ALTER TABLE public.secured ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE public.secured FORCE ROW LEVEL SECURITY",
            "CREATE TABLE public.frozen (a int PRIMARY KEY)",
            "REVOKE UPDATE ON public.frozen FROM " + owner_.quoted(), "RESET ROLE"});
  EXPECT_THAT(Find().blocking,
              ElementsAre(AllOf(HasSubstr("public.secured"), HasSubstr("NO FORCE")),
                          AllOf(HasSubstr("public.frozen"), HasSubstr("GRANT ALL"))));
}

TEST_F(ObstacleTraps, FunctionsThatTheAdminMayNotExecuteBlockUntilTheyAreGranted) {
  const std::string of_origins = "FUNCTION pg_replication_origin_";
  MustExec(connection_, {"SET ROLE " + owner_.quoted()});
  EXPECT_THAT(Find().blocking, ElementsAre(AllOf(HasSubstr("pg_replication_origin_advance(text"),
                                                 HasSubstr("pg_replication_origin_progress(text"),
                                                 HasSubstr("GRANT EXECUTE ON FUNCTION"))));
  MustExec(connection_,
           {"RESET ROLE",
            "GRANT EXECUTE ON " + of_origins + "advance(text, pg_lsn) TO " + owner_.quoted(),
            "GRANT EXECUTE ON " + of_origins + "progress(text, boolean) TO " + owner_.quoted(),
            "SET ROLE " + owner_.quoted()});
  EXPECT_THAT(Find().blocking, IsEmpty());
  MustExec(connection_, {"RESET ROLE"});
}

// A subscription that is enabled is in the way of either strategy, and is asked for elsewhere.
TEST_F(ObstacleTraps, SubscriptionsAndTheirLikeWarn) {
  const std::string name = UniqueName("tenants_own");
  MustExec(connection_, {"CREATE SUBSCRIPTION " + name +
                             " CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p "
                             "WITH (connect = false)",
                         "CREATE PUBLICATION tenants_publication",
                         "CREATE MATERIALIZED VIEW public.mv AS "
                         "SELECT 1 AS a"});
  EXPECT_THAT(Find().warnings,
              ::testing::UnorderedElementsAre(HasSubstr("public.mv"),
                                              HasSubstr("tenants_publication"), HasSubstr(name)));
  MustExec(connection_,
           {"ALTER SUBSCRIPTION " + name + " SET (slot_name = NONE)", "DROP SUBSCRIPTION " + name});
}

// Others' transactions that write count as well: this looks for its own.
TEST_F(ObstacleTraps, TypesThatHaveAnotherNumberOnTheTargetWarnWhereClientsKeepTheirSessions) {
  MustExec(
      connection_,
      {"CREATE TYPE public.mood AS ENUM ('good')", "CREATE TYPE public.unused AS ENUM ('good')",
       "CREATE DOMAIN public.\"Odd name\" AS int",
       "CREATE TABLE public.ordinary (id int PRIMARY KEY, tags text[], at date)"});
  const OnlineTerms terms{.may_set_full_identity = true,
                          .long_transaction = 60s,
                          .other_major = 17,
                          .sessions_stay = true};
  const auto warnings = [&] {
    auto found = FindOnlineObstacles({}, Soon(), connection_, terms);
    if (!found) Must(tl::unexpected(found.error()), "find obstacles");
    return found->warnings;
  };
  EXPECT_THAT(warnings(), ::testing::IsEmpty());
  MustExec(connection_, {"CREATE TABLE public.t (id int PRIMARY KEY, moods public.mood[],"
                         " mood public.mood, n public.\"Odd name\")"});
  EXPECT_THAT(warnings(),
              ::testing::ElementsAre(HasSubstr("(2): public.\"Odd name\", public.mood;")));
  EXPECT_THAT(Find().warnings, ::testing::IsEmpty());
}

TEST_F(ObstacleTraps, Trap71_ATransactionThatHasBeenOpenForLongIsNamedWithWhoseAndWhere) {
  Connection idle = MustConnect(database_.Options());
  MustExec(idle, {"BEGIN", "SELECT 1", "SELECT pg_sleep(1.1)"});
  const std::string where = "in database " + database_.name();
  EXPECT_THAT(Find(true, 60s).warnings, Not(Contains(HasSubstr(where))));
  EXPECT_THAT(Find(true, 1s).warnings,
              ElementsAre(AllOf(HasSubstr("open for more than 1 seconds"),
                                HasSubstr("role cutover_admin " + where))));
  MustExec(idle, {"ROLLBACK"});
  EXPECT_THAT(Find(true, 1s).warnings, Not(Contains(HasSubstr(where))));
}

TEST_F(ObstacleTraps, Trap70_APreparedTransactionIsNamedWithWhose) {
  const std::string gid = UniqueName("gid");
  MustExec(connection_,
           {"CREATE TABLE public.t (a int PRIMARY KEY)", "BEGIN", "INSERT INTO public.t VALUES (1)",
            "PREPARE TRANSACTION " + QuoteLiteral(gid)});
  EXPECT_THAT(Find().warnings, ElementsAre(AllOf(HasSubstr(gid), HasSubstr("cutover_admin"))));
  MustExec(connection_, {"ROLLBACK PREPARED " + QuoteLiteral(gid)});
}

// --- probe
// ----------------------------------------------------------------------------------------

/// Everything that a probe could leave on a server.
std::vector<std::string> LeftOn(const ConnectOptions& server, const std::string& name) {
  Connection connection = MustConnect(server);
  return MustRead(connection, R"(
      SELECT 'role' FROM pg_roles WHERE rolname = $1
      UNION ALL SELECT 'schema' FROM pg_namespace WHERE nspname = $1
      UNION ALL SELECT 'publication' FROM pg_publication WHERE pubname = $1
      UNION ALL SELECT 'slot' FROM pg_replication_slots WHERE slot_name = $1
      UNION ALL SELECT 'subscription' FROM pg_subscription WHERE subname = $1)",
                  {name});
}

struct Probing {
  Status Run(Direction direction = kForward) {
    Connection from = MustConnect(publisher);
    Connection to = MustConnect(subscriber);
    return ProbeStream({}, Deadline::After(60s), from, to,
                       {publisher.host, publisher.port, "elsewhere", "prefer"}, uid, direction);
  }
  void ExpectNothingLeft() const {
    EXPECT_THAT(LeftOn(publisher, ProbeName(uid, kForward)), IsEmpty());
    EXPECT_THAT(LeftOn(subscriber, ProbeName(uid, kForward)), IsEmpty());
  }
  ConnectOptions publisher = Servers().source;
  ConnectOptions subscriber = Servers().target;
  std::string uid = UniqueName("probe");
};

TEST(Probe, SeesARowArriveAndLeavesNothing) {
  Probing probing;
  Status probed = probing.Run();
  EXPECT_TRUE(probed) << probed.error().message;
  probing.ExpectNothingLeft();
  std::swap(probing.publisher, probing.subscriber);
  probed = probing.Run();
  EXPECT_TRUE(probed) << probed.error().message;
  probing.ExpectNothingLeft();
  probing.subscriber = probing.publisher;
  probed = probing.Run();
  EXPECT_TRUE(probed) << probed.error().message;
  probing.ExpectNothingLeft();
}

// All that a server may judge a role by but its name, and that begins in the same way.
std::string RoleAs(Connection& connection, const std::string& name) {
  const std::vector<std::string> found = MustRead(connection, R"(
      SELECT (to_jsonb(r) - 'oid' - 'rolname')::text || ' ' || coalesce(
               (SELECT string_agg(a.privilege_type, ',' ORDER BY a.privilege_type)
                  FROM pg_database d, aclexplode(d.datacl) a
                 WHERE d.datname = current_database() AND a.grantee = r.oid), 'no privilege')
             || CASE WHEN shobj_description(r.oid, 'pg_authid') IS NULL THEN ''
                     ELSE ' with a comment' END
        FROM pg_roles r WHERE r.rolname = $1)",
                                                  {name});
  return found.empty() ? "" : found[0];
}

TEST(Probe, IsByARoleLikeTheStreamsOwn) {
  Streaming move;
  move.PreparePublisher(kForward);
  const std::string streams = RoleAs(move.source, StreamName(move.uid, kForward));
  EXPECT_THAT(streams, AllOf(HasSubstr("wal_sender_timeout"), HasSubstr("CONNECT")));

  Probing probing;
  const std::string name = ProbeName(probing.uid, kForward);
  Connection writer = MustConnect(move.source_database.Options());
  MustExec(writer, {"BEGIN", "SELECT pg_current_xact_id()"});  // No slot is made until it ends.
  Status probed = Ok();
  std::jthread probe([&] { probed = probing.Run(); });
  Connection looker = MustConnect(probing.publisher);
  std::string probes;
  testing::WaitUntil([&] { return !(probes = RoleAs(looker, name)).empty(); },
                     "the probe makes its role");
  MustExec(writer, {"COMMIT"});
  probe.join();
  EXPECT_TRUE(probed) << probed.error().message;
  EXPECT_EQ(probes, streams);
  probing.ExpectNothingLeft();
  // pg_hba.conf may have a line for whoever is called like this.
  for (Direction direction : {kForward, Direction::kReverse}) {
    EXPECT_EQ(ProbeName("uid", direction).substr(0, 8), "cutover_");
    EXPECT_EQ(StreamName("uid", direction).substr(0, 8), "cutover_");
  }
}

TEST(Probe, ThoseOfMovesThatBeginTogetherDoNotDisturbEachOther) {
  constexpr int kMoves = 4, kRounds = 3;
  std::mutex mutex;
  std::vector<std::string> failed;
  {
    std::vector<std::jthread> moves;
    for (int i = 0; i < kMoves; ++i)
      moves.emplace_back([&] {
        Probing probing;
        for (int round = 0; round < kRounds; ++round) {
          const Status probed = probing.Run();
          if (probed) continue;
          const std::scoped_lock lock(mutex);
          failed.push_back(probed.error().message);
        }
        probing.ExpectNothingLeft();
      });
  }
  EXPECT_THAT(failed, IsEmpty());
}

TEST(ProbeTraps, Trap80_RemovesFirstWhatACrashHasLeft) {
  Probing probing;
  const std::string name = ProbeName(probing.uid, kForward);
  Connection publisher = MustConnect(probing.publisher);
  Connection subscriber = MustConnect(probing.subscriber);
  MustExec(publisher, {"CREATE ROLE " + name, "CREATE SCHEMA " + name, "CREATE PUBLICATION " + name,
                       "SELECT pg_create_logical_replication_slot('" + name + "', 'pgoutput')"});
  MustExec(subscriber, {"CREATE SCHEMA " + name, "CREATE SUBSCRIPTION " + name +
                                                     " CONNECTION 'host=127.0.0.1 port=1' "
                                                     "PUBLICATION x WITH (connect = false)"});
  Status probed = probing.Run();
  EXPECT_TRUE(probed) << probed.error().message;
  probing.ExpectNothingLeft();
}

TEST(ProbeTraps, Trap52_AServerWithoutLogicalWalFailsInItsOwnWordsAndKeepsNothing) {
  OwnServer plain(OwnServerOptions{15, 0, 0, {{"wal_level", "replica"}}});
  Probing probing;
  probing.publisher = plain.Options();
  Status probed = probing.Run();
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().disposition, Disposition::kTerminal);
  EXPECT_THAT(probed.error().message, AllOf(HasSubstr("wal_level"), HasSubstr("forward")));
  probing.ExpectNothingLeft();
}

TEST(ProbeTraps, Trap52_AServerThatLetsNoReplicationInFailsInItsOwnWordsAndKeepsNothing) {
  OwnServer closed(15);
  Probing probing;
  probing.publisher = closed.Options();
  const std::string name = ProbeName(probing.uid, kForward);
  Connection admin = MustConnect(closed.Options());
  // As if pg_hba.conf had a line for the admin alone.
  MustExec(admin,
           {"CREATE TABLE public.hba (line text)",
            "INSERT INTO public.hba VALUES ('host all " + admin.options().user +
                " 127.0.0.1/32 scram-sha-256')",
            "DO $$ BEGIN EXECUTE format('COPY public.hba TO %L', current_setting('hba_file')); "
            "END $$",
            "SELECT pg_reload_conf()"});
  testing::WaitUntil(
      [&] { return MustRead(admin, "SELECT count(*) FROM pg_hba_file_rules").front() == "1"; },
      "the file is read");
  Status probed = probing.Run();
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().reason, "PublisherUnreachable");
  EXPECT_THAT(probed.error().message, AllOf(HasSubstr("no pg_hba.conf entry"), HasSubstr(name)));
  probing.ExpectNothingLeft();
}

}  // namespace
}  // namespace cutover::pg
