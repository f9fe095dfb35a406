// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "postgres/snapshot.h"
#include "tests/postgres/own_server.h"
#include "tests/postgres/servers.h"

namespace cutover::pg::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// On a server that few others write to: a slot waits for all of them.
class SlotSnapshotTest : public ::testing::Test {
 protected:
  SlotSnapshotTest()
      : server_(Servers().OfMajor(16)),
        database_(server_, server_.user, "slots"),
        first_(UniqueName("first")),
        watch_(first_ + "_watch") {
    Connection admin = MustConnect(database_.Options());
    MustExec(admin, {"CREATE TABLE public.t (id int PRIMARY KEY)",
                     "INSERT INTO public.t VALUES (1)", "CREATE PUBLICATION p FOR ALL TABLES"});
  }

  ~SlotSnapshotTest() override {
    Connection admin = MustConnect(database_.Options());
    for (const std::string& slot : {watch_, first_})
      EXPECT_TRUE(DropIdleSlot({}, Soon(), admin, slot));
  }

  Result<SlotSnapshot> Create(Deadline deadline = Soon(), bool replace = true) {
    return SlotSnapshot::Create({}, deadline, database_.Options(), {first_, watch_, replace});
  }
  std::vector<std::string> Slots() {
    Connection admin = MustConnect(database_.Options());
    return MustRead(admin,
                    "SELECT slot_name FROM pg_replication_slots"
                    " WHERE database = current_database() ORDER BY 1");
  }
  /// Rows that come out of a slot: one an insert.
  std::string Inserts(const std::string& slot) {
    Connection admin = MustConnect(database_.Options());
    return MustRead(admin,
                    "SELECT count(*) FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL,"
                    " 'proto_version', '1', 'publication_names', 'p')"
                    " WHERE get_byte(data, 0) = ascii('I')",
                    {slot})[0];
  }

  const ConnectOptions& server_;
  TestDatabase database_;
  const std::string first_;
  const std::string watch_;
};

TEST_F(SlotSnapshotTest, WhatIsNotInTheSnapshotComesOutOfBothSlots) {
  auto snapshot = Create();
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  Connection writer = MustConnect(database_.Options());
  MustExec(writer, {"INSERT INTO public.t VALUES (2)", "INSERT INTO public.t VALUES (3)"});
  Connection reader = MustConnect(database_.Options());
  {
    auto transaction = BeginWithSnapshot({}, Soon(), reader, snapshot->id());
    ASSERT_TRUE(transaction) << transaction.error().message;
    auto rows = transaction->QueryOne({}, Soon(), "SELECT count(*) FROM public.t");
    ASSERT_TRUE(rows) << rows.error().message;
    EXPECT_EQ((*rows)[0].Int(0), 1);
  }
  EXPECT_EQ(Inserts(first_), "2");
  EXPECT_EQ(Inserts(watch_), "2");
  EXPECT_TRUE(CheckSlotUnread({}, Soon(), reader, first_, snapshot->begins_at()));
  EXPECT_TRUE(CheckSlotUnread({}, Soon(), reader, watch_, snapshot->begins_at()));
  MustExec(reader, {"SELECT pg_replication_slot_advance('" + first_ + "', pg_current_wal_lsn())"});
  Status read = CheckSlotUnread({}, Soon(), reader, first_, snapshot->begins_at());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().reason, "SlotLost");
}

TEST_F(SlotSnapshotTest, AnIdleSlotIsReplacedOnlyWhereThatIsOrdered) {
  const std::string before = Create()->begins_at();
  Connection writer = MustConnect(database_.Options());
  MustExec(writer, {"INSERT INTO public.t VALUES (2)"});
  auto refused = Create(Soon(), /*replace=*/false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "SlotInUse");
  EXPECT_THAT(refused.error().message, HasSubstr("pg_drop_replication_slot('" + first_ + "')"));
  EXPECT_TRUE(CheckSlotUnread({}, Soon(), writer, first_, before));
  auto replaced = Create();
  ASSERT_TRUE(replaced) << replaced.error().message;
  EXPECT_NE(replaced->begins_at(), before);
  EXPECT_EQ(Inserts(first_), "0");
}

TEST_F(SlotSnapshotTest, WhatIsKeptForASlotIsToldUntilItIsGone) {
  Connection admin = MustConnect(database_.Options());
  EXPECT_EQ(RetainedBytes({}, Soon(), admin, watch_).value(), std::nullopt);
  ASSERT_TRUE(Create());
  MustExec(admin, {"INSERT INTO public.t SELECT generate_series(100, 20000)"});
  auto kept = RetainedBytes({}, Soon(), admin, watch_);
  ASSERT_TRUE(kept && *kept);
  EXPECT_GT(**kept, 1 << 20);
  EXPECT_LT(**kept, 1 << 28);
  ASSERT_TRUE(DropIdleSlot({}, Soon(), admin, watch_));
  EXPECT_EQ(RetainedBytes({}, Soon(), admin, watch_).value(), std::nullopt);
}

TEST_F(SlotSnapshotTest, AForeignTransactionIsNamedWhenTheTimeIsUpAndNothingIsLeft) {
  ConnectOptions as_reporter = server_;
  as_reporter.application_name = "nightly-report";
  Connection foreign = MustConnect(as_reporter);
  MustExec(foreign, {"BEGIN", "CREATE TEMPORARY TABLE held (i int)"});
  auto late = Create(Deadline::After(seconds(3)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, "SlotWaits") << late.error().message;
  EXPECT_EQ(late.error().disposition, Disposition::kRetry);
  EXPECT_THAT(late.error().message, HasSubstr("process " + std::to_string(foreign.backend_pid())));
  EXPECT_THAT(late.error().message, HasSubstr("nightly-report"));
  EXPECT_THAT(Slots(), IsEmpty());
}

TEST_F(SlotSnapshotTest, ASlotThatWaitsIsMadeOnceTheForeignTransactionEnds) {
  Connection foreign = MustConnect(server_);
  MustExec(foreign, {"BEGIN", "CREATE TEMPORARY TABLE held (i int)"});
  auto waiting = std::async(std::launch::async, [this] { return Create(); });
  EXPECT_EQ(waiting.wait_for(milliseconds(500)), std::future_status::timeout);
  MustExec(foreign, {"COMMIT"});
  auto made = waiting.get();
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_THAT(Slots(), ElementsAre(first_, watch_));
}

TEST_F(SlotSnapshotTest, StoppingLeavesNoSlot) {
  Connection foreign = MustConnect(server_);
  MustExec(foreign, {"BEGIN", "CREATE TEMPORARY TABLE held (i int)"});
  std::stop_source stop;
  auto waiting = std::async(std::launch::async, [&] {
    return SlotSnapshot::Create(stop.get_token(), Soon(), database_.Options(), {first_, "", true});
  });
  std::this_thread::sleep_for(milliseconds(300));
  stop.request_stop();
  EXPECT_FALSE(waiting.get());
  EXPECT_THAT(Slots(), IsEmpty());
}

TEST_F(SlotSnapshotTest, ASlotWhoseMakerIsStuckBehindATransactionIsTakenFromIt) {
  Connection foreign = MustConnect(server_);
  MustExec(foreign, {"BEGIN", "CREATE TEMPORARY TABLE held (i int)"});
  auto waiting = std::async(std::launch::async, [this] { return Create(); });
  while (Slots().empty()) std::this_thread::sleep_for(milliseconds(20));
  Connection admin = MustConnect(database_.Options());
  Status dropped = DropIdleSlot({}, Soon(), admin, first_);
  EXPECT_TRUE(dropped) << dropped.error().message;
  EXPECT_FALSE(waiting.get());
  EXPECT_THAT(Slots(), IsEmpty());
}

TEST(SlotSnapshotRoom, AWatchThatFindsNoneLeavesNoSlotEither) {
  const OwnServer server({15, 0, 0, {{"max_replication_slots", "1"}}});
  auto made = SlotSnapshot::Create({}, Soon(), server.Options(), {"first", "first_watch", true});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("max_replication_slots"));
  Connection admin = MustConnect(server.Options());
  EXPECT_THAT(MustRead(admin, "SELECT slot_name FROM pg_replication_slots"), IsEmpty());
}

}  // namespace
}  // namespace cutover::pg::testing
