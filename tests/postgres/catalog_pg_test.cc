// SPDX-License-Identifier: Apache-2.0
#include "postgres/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "postgres/server_probe.h"
#include "tests/postgres/own_server.h"
#include "tests/postgres/servers.h"

namespace cutover::pg {
namespace {

using ::testing::IsEmpty;
using testing::MustConnect;
using testing::MustExec;
using testing::MustRead;
using testing::OwnServer;
using testing::Servers;
using testing::Soon;
using testing::TestDatabase;
using testing::TestRole;
using testing::UniqueName;
using ::testing::UnorderedElementsAre;

class Catalog : public ::testing::Test {
 protected:
  TestRole owner_{Servers().source};
  TestDatabase database_{Servers().source, owner_.name()};
  Connection admin_ = MustConnect(database_.Options());
};

TEST_F(Catalog, ListsTablesThatHoldRowsBiggestFirst) {
  MustExec(admin_,
           {"CREATE TABLE public.small (a int)",
            "CREATE TABLE public.big AS SELECT repeat('x', 100) FROM generate_series(1, 10000)",
            "CREATE UNLOGGED TABLE public.unlogged (a int)",
            "CREATE TABLE public.root (a int) PARTITION BY RANGE (a)",
            "CREATE TABLE public.leaf PARTITION OF public.root FOR VALUES FROM (0) TO (9)",
            "CREATE VIEW public.view AS SELECT 1", "CREATE SCHEMA cutover",
            "CREATE TABLE cutover.control (a int)", "ANALYZE public.big"});
  auto facts = ObserveDatabase({}, Soon(), admin_);
  ASSERT_TRUE(facts) << facts.error().message;
  std::vector<std::string> names;
  for (const Table& table : facts->tables) names.push_back(table.name);
  ASSERT_EQ(names.size(), 4u);
  EXPECT_EQ(names.front(), "big");
  EXPECT_EQ(facts->tables.front().rows_estimated, 10000);
  EXPECT_GT(facts->tables.front().bytes, 1'000'000);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"big", "leaf", "small", "unlogged"}));
  for (const Table& table : facts->tables) {
    EXPECT_EQ(table.is_unlogged, table.name == "unlogged");
    EXPECT_EQ(table.is_partition, table.name == "leaf");
  }
}

TEST_F(Catalog, ReportsWhatDoesNotMoveByItself) {
  const std::string gid = UniqueName("gid");
  MustExec(
      admin_,
      {"CREATE EXTENSION pg_trgm SCHEMA public", "CREATE EXTENSION file_fdw SCHEMA public",
       "SELECT lo_create(0)",
       "CREATE FUNCTION public.f() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$",
       "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.f()",
       "CREATE PUBLICATION pub", "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
       "CREATE FOREIGN TABLE public.outside (a int) SERVER files OPTIONS (filename '/dev/null')",
       "CREATE SUBSCRIPTION " + QuoteIdentifier(gid) +
           " CONNECTION 'host=127.0.0.1' PUBLICATION pub WITH (connect = false)",
       "BEGIN", "CREATE TABLE public.t (a int)", "PREPARE TRANSACTION " + QuoteLiteral(gid)});
  auto facts = ObserveDatabase({}, Soon(), admin_);
  MustExec(admin_, {"ROLLBACK PREPARED " + QuoteLiteral(gid),
                    "ALTER SUBSCRIPTION " + QuoteIdentifier(gid) + " SET (slot_name = NONE)",
                    "DROP SUBSCRIPTION " + QuoteIdentifier(gid)});
  ASSERT_TRUE(facts) << facts.error().message;
  auto has_extension = [&](const char* name) {
    return std::any_of(facts->extensions.begin(), facts->extensions.end(),
                       [&](const Extension& extension) { return extension.name == name; });
  };
  EXPECT_TRUE(has_extension("pg_trgm"));
  EXPECT_EQ(facts->large_objects, 1);
  ASSERT_EQ(facts->event_triggers.size(), 1u);
  EXPECT_TRUE(facts->event_triggers[0].enabled);
  EXPECT_EQ(facts->publications, std::vector<std::string>{"pub"});
  EXPECT_EQ(facts->foreign_tables, std::vector<std::string>{"public.outside"});
  ASSERT_EQ(facts->subscriptions.size(), 1u);
  EXPECT_FALSE(facts->subscriptions[0].enabled);
  ASSERT_EQ(facts->prepared_transactions.size(), 1u);
  EXPECT_EQ(facts->prepared_transactions[0].gid, gid);
  EXPECT_TRUE(facts->tablespaces.empty());
  EXPECT_EQ(facts->properties.access.owner, owner_.name());
  EXPECT_FALSE(facts->owner_is_superuser);
  EXPECT_EQ(facts->referenced_roles, std::vector<std::string>{owner_.name()});
}

TEST_F(Catalog, NamesTablesThatARoleCannotReadInFull) {
  MustExec(
      admin_,
      {"CREATE TABLE public.mine (a int)", "ALTER TABLE public.mine OWNER TO " + owner_.quoted(),
       "CREATE TABLE public.theirs (a int)", "CREATE TABLE public.filtered (a int)",
       "GRANT SELECT ON public.filtered TO " + owner_.quoted(),
       "ALTER TABLE public.filtered ENABLE ROW LEVEL SECURITY", "CREATE SCHEMA closed",
       "CREATE TABLE closed.t (a int)", "GRANT SELECT ON closed.t TO " + owner_.quoted()});
  auto unreadable = ReadUnreadableTables({}, Soon(), admin_, owner_.name());
  ASSERT_TRUE(unreadable) << unreadable.error().message;
  EXPECT_EQ(*unreadable,
            (std::vector<std::string>{"closed.t", "public.filtered", "public.theirs"}));
}

TEST_F(Catalog, AvailableExtensionsComeWithTheirVersions) {
  Connection target = MustConnect(Servers().target);
  auto available = ReadAvailableExtensions({}, Soon(), target);
  ASSERT_TRUE(available) << available.error().message;
  ASSERT_TRUE(available->contains("pg_trgm"));
  const AvailableExtension& trgm = available->at("pg_trgm");
  EXPECT_NE(std::find(trgm.versions.begin(), trgm.versions.end(), trgm.default_version),
            trgm.versions.end());
  EXPECT_FALSE(available->contains("no_such_extension"));
}

TEST_F(Catalog, AnAbsentDatabaseIsAbsentAndNotAnError) {
  auto found = FindDatabase({}, Soon(), admin_, "no such database");
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->has_value());
}

TEST(ServerProbe, ReportsTheServerAsItIs) {
  for (const auto& [major, server] : Servers().by_major) {
    TestRole owner(server);
    TestDatabase database(server, owner.name());
    Connection connection = MustConnect(server);
    auto facts = ProbeServer({}, Soon(), connection);
    ASSERT_TRUE(facts) << facts.error().message;
    EXPECT_EQ(facts->version_number / 10000, major);
    EXPECT_EQ(facts->version.substr(0, 3), std::to_string(major) + ".");
    EXPECT_FALSE(facts->system_identifier.empty());
    EXPECT_EQ(facts->timeline, 1);
    EXPECT_EQ(facts->wal_level, "logical");
    EXPECT_GT(facts->replication_workers_max, facts->replication_workers_used);
    auto size = ReadServerSize({}, Soon(), connection);
    ASSERT_TRUE(size) << size.error().message;
    EXPECT_GT(*size, 7'000'000);
    EXPECT_GT(facts->connections_used, 0);
    EXPECT_EQ(facts->connections_max, 197);
    EXPECT_TRUE(facts->missing_privileges.empty());
    EXPECT_TRUE(facts->replication_obstacles.empty());
    EXPECT_EQ(facts->slot_wal_bytes_max, -1);
    EXPECT_NE(std::find(facts->tenants.begin(), facts->tenants.end(), database.name()),
              facts->tenants.end());
  }
}

ServerFacts Probed(const OwnServer& server) {
  Connection connection = MustConnect(server.Options());
  auto facts = ProbeServer({}, Soon(), connection);
  EXPECT_TRUE(facts) << facts.error().message;
  return facts ? *facts : ServerFacts();
}

TEST(ServerProbe, SaysWhatIsTakenUpOfWhatAStreamNeeds) {
  OwnServer server({17,
                    0,
                    0,
                    {{"wal_level", "logical"},
                     {"max_wal_senders", "1"},
                     {"max_replication_slots", "1"},
                     {"max_logical_replication_workers", "0"}}});
  constexpr char kNoWorkers[] = "max_logical_replication_workers is 0; raise it";
  constexpr char kNoSlot[] = "all 1 replication slots are taken; raise max_replication_slots";
  EXPECT_THAT(Probed(server).replication_obstacles, UnorderedElementsAre(kNoWorkers));
  Connection admin = MustConnect(server.Options());
  MustExec(admin, {"SELECT pg_create_physical_replication_slot('taken')"});
  EXPECT_THAT(Probed(server).replication_obstacles, UnorderedElementsAre(kNoWorkers, kNoSlot));
  ConnectOptions replicating = server.Options();
  replicating.keywords.emplace_back("replication", "database");
  {
    Connection sender = MustConnect(replicating);
    EXPECT_THAT(Probed(server).replication_obstacles,
                UnorderedElementsAre(kNoWorkers, kNoSlot,
                                     "all 1 WAL senders are taken; raise max_wal_senders"));
  }
  MustExec(admin, {"SELECT pg_drop_replication_slot('taken')",
                   "ALTER SYSTEM SET max_logical_replication_workers = 1"});
  server.Restart();
  EXPECT_THAT(Probed(server).replication_obstacles, IsEmpty());
}

TEST(ServerProbe, ReadsHowMuchWalAServerKeepsForASlot) {
  OwnServer server({17, 0, 0, {{"max_slot_wal_keep_size", "100MB"}}});
  EXPECT_EQ(Probed(server).slot_wal_bytes_max, 100 << 20);
  Connection admin = MustConnect(server.Options());
  MustExec(admin, {"ALTER SYSTEM SET wal_keep_size = '1GB'", "SELECT pg_reload_conf()"});
  for (const Deadline deadline = Soon();
       Probed(server).slot_wal_bytes_max != 1 << 30 && !deadline.Expired();)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(Probed(server).slot_wal_bytes_max, 1 << 30) << "kept for others, and so for slots";
}

TEST(ServerProbe, NamesTheStatementForEachPrivilegeThatIsMissing) {
  for (const auto& [major, server] : Servers().by_major) {
    SCOPED_TRACE(major);
    TestRole weak(server, "CREATEDB");
    Connection connection = MustConnect(weak.Options("postgres"));
    auto facts = ProbeServer({}, Soon(), connection);
    ASSERT_TRUE(facts) << facts.error().message;
    EXPECT_FALSE(facts->admin_is_superuser);
    ASSERT_FALSE(facts->missing_privileges.empty());
    Connection admin = MustConnect(server);
    for (const MissingPrivilege& missing : facts->missing_privileges) {
      EXPECT_NE(missing.privilege, "CREATEDB");
      MustExec(admin, {missing.remedy});
    }
    // The remedies are not only words: with them nothing is missing.
    auto after = ProbeServer({}, Soon(), connection);
    ASSERT_TRUE(after);
    EXPECT_TRUE(after->missing_privileges.empty());
  }
}

}  // namespace
}  // namespace cutover::pg
