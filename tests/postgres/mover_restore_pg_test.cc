// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "mover/schema/restore.h"
#include "tests/postgres/servers.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using pg::testing::Soon;
using ::testing::ElementsAre;

void WaitUntilBlocked(pg::Connection& admin, int backend_pid) {
  const std::string sql =
      "SELECT cardinality(pg_blocking_pids(" + std::to_string(backend_pid) + ")) > 0";
  while (MustRead(admin, sql) != std::vector<std::string>{"t"})
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

// Somebody else (a monitoring query, autovacuum's worker, a person) may come in between the two
// locks of one ALTER TABLE.
TEST(Restore, AForeignKeyThatIsCaughtInADeadlockIsAddedAgain) {
  pg::testing::TestDatabase database(Servers().target, Servers().target.user);
  pg::Connection target = MustConnect(database.Options());
  pg::Connection other = MustConnect(database.Options());
  pg::Connection watcher = MustConnect(database.Options());
  MustExec(target, {"CREATE TABLE public.a (id int PRIMARY KEY, b int)",
                    "CREATE TABLE public.b (id int PRIMARY KEY)",
                    "SET deadlock_timeout TO '50ms'"});  // So that it is the one to give way.
  const int pid = std::stoi(MustRead(target, "SELECT pg_backend_pid()").front());
  MustExec(other, {"SET deadlock_timeout TO '1h'"});
  MustExec(other, {"BEGIN", "LOCK TABLE public.b IN SHARE MODE"});

  RestoreItem item;
  item.type = "FK CONSTRAINT";
  item.name = "a a_b_fkey";
  ForeignKeyPlan key;
  key.item = &item;
  key.sql =
      "ALTER TABLE public.a ADD CONSTRAINT a_b_fkey FOREIGN KEY (b) REFERENCES public.b (id);\n";
  Status added;
  std::thread adding([&] { added = AddForeignKey({}, target, key); });
  WaitUntilBlocked(watcher, pid);
  Status locked = other.Exec({}, Soon(), "LOCK TABLE public.a IN ACCESS EXCLUSIVE MODE");
  MustExec(other, {"COMMIT"});
  adding.join();

  EXPECT_TRUE(locked) << "nobody gave way: " << locked.error().message;
  EXPECT_TRUE(added) << added.error().message;
  EXPECT_THAT(MustRead(watcher, "SELECT count(*) FROM pg_constraint WHERE conname = 'a_b_fkey'"),
              ElementsAre("1"));
}

}  // namespace
}  // namespace cutover::mover::testing
