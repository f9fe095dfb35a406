// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/mover/followed_move.h"

#include <gtest/gtest.h>

#include <chrono>

#include "operator/base/check.h"
#include "postgres/snapshot.h"
#include "tests/postgres/mover/tenant.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using pg::testing::Soon;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Neither the one that most tests write to, since a slot waits for all of them, nor one that takes
/// the newest way to create a slot.
constexpr int kSourceMajor = 14;
constexpr milliseconds kLook{20};
constexpr seconds kPatience{60};

// % is a number that grows.
constexpr const char* kWrites[] = {
    "INSERT INTO public.part_1 VALUES (1000000 + %, 'new')",
    "UPDATE public.part_2 SET body = 'changed %' WHERE id = mod(%, 1600) + 1",
    "DELETE FROM public.part_3 WHERE id = mod(%, 1600) + 1",
    "UPDATE public.part_4 SET id = id + 1000000 WHERE id = mod(%, 1600) + 1",
    "INSERT INTO public.keyless VALUES (mod(%, 7), 'twin', 0.1::float8 * %)",
    "UPDATE public.keyless SET f = f / 3 WHERE a = mod(%, 7) AND f < mod(%, 50)",
    "DELETE FROM public.keyless WHERE ctid = (SELECT min(ctid) FROM public.keyless)",
    "INSERT INTO \"Odd schema\".\"Odd \"\"table\" VALUES ('key, %', 1.0 + %, '{\"a\":  1}',"
    " decode(md5('%'), 'hex'), clock_timestamp(), 'NaN', '{a,NULL,\"b c\"}', '2 mons 00:00:04')",
    "UPDATE \"Odd schema\".\"Odd \"\"table\" SET n = n * 1.10, j = '{\"b\":  [1, 2.50]}'"
    " WHERE \"the Key\" = 'key, ' || (% / 2)",
    "UPDATE public.small SET body = repeat(md5('%'), 500) WHERE id = mod(%, 10)",
};

std::string FilledIn(std::string sql, int number) {
  for (size_t at = 0; (at = sql.find('%', at)) != std::string::npos;)
    sql.replace(at, 1, std::to_string(number));
  return sql;
}

}  // namespace

Writer::Writer(const pg::ConnectOptions& source)
    : thread_([this, source](std::stop_token stop) { Write(stop, source); }) {}

Writer::~Writer() = default;

void Writer::Write(std::stop_token stop, const pg::ConnectOptions& source) {
  pg::Connection connection = MustConnect(source);
  for (int number = 1; !stop.stop_requested(); ++number) {
    auto transaction = pg::Transaction::Begin({}, Soon(), connection);
    CHECK(transaction.has_value());
    for (int i = 0; i < 3; ++i) {
      auto done = transaction->Exec(
          {}, Soon(), FilledIn(kWrites[(number * 3 + i) % std::size(kWrites)], number));
      if (!done) ADD_FAILURE() << done.error().message;
      CHECK(done.has_value());
    }
    const bool keep = number % 10 != 0;
    CHECK((keep ? transaction->Commit({}, Soon()) : transaction->Rollback({}, Soon())).has_value());
    if (keep) ++committed_;
    std::this_thread::sleep_for(milliseconds(2));
  }
}

void Writer::AwaitMore(int64_t transactions) const {
  const int64_t enough = committed_ + transactions;
  for (const Deadline deadline = Deadline::After(kPatience); committed_ < enough;) {
    ASSERT_FALSE(deadline.Expired()) << "the writer stands still";
    std::this_thread::sleep_for(kLook);
  }
}

FollowedMove::FollowedMove()
    : move_(std::make_unique<SlowMove>(Servers().OfMajor(kSourceMajor), Servers().target)),
      stream_(pg::testing::UniqueName("cutover_forward_t")) {
  pg::Connection source = MustConnect(Source());
  MustExec(
      source,
      {"CREATE TABLE public.keyless (a int, b text, f float8)",
       "ALTER TABLE public.keyless REPLICA IDENTITY FULL",
       "INSERT INTO public.keyless SELECT i % 7, 'twin', i FROM generate_series(1, 300) i",
       "CREATE SCHEMA \"Odd schema\"",
       "CREATE TABLE \"Odd schema\".\"Odd \"\"table\" (\"the Key\" text PRIMARY KEY, \"n\" numeric,"
       " j json, bytes bytea, at timestamptz, f float4, list text[], span interval)",
       "CREATE TABLE public.small (id int PRIMARY KEY, body text)",
       "INSERT INTO public.small SELECT i, 'small' FROM generate_series(0, 9) i",
       "CREATE SEQUENCE public.numbers",
       "CREATE MATERIALIZED VIEW public.totals AS SELECT count(*) FROM public.small",
       "CREATE PUBLICATION " + stream_ + " FOR ALL TABLES"});
}

FollowedMove::~FollowedMove() {
  DropSubscription();
  pg::Connection source = MustConnect(Source());
  for (const std::string& slot : {stream_ + "_watch", stream_}) {
    Status dropped = pg::DropIdleSlot({}, Soon(), source, slot);
    if (!dropped) ADD_FAILURE() << dropped.error().message;
  }
}

void FollowedMove::DropSubscription() {
  auto copy = pg::Connection::Open({}, Soon(), Copy());
  if (!copy) return;
  const auto there = MustRead(*copy,
                              "SELECT s.subname FROM pg_subscription s JOIN pg_database d"
                              " ON d.oid = s.subdbid WHERE d.datname = current_database()");
  for (const std::string& name : there)
    MustExec(*copy, {"ALTER SUBSCRIPTION " + name + " DISABLE",
                     "ALTER SUBSCRIPTION " + name + " SET (slot_name = NONE)",
                     "DROP SUBSCRIPTION " + name});
}

JobSpec FollowedMove::Spec(int mebibytes_per_second) {
  if (spec_.migration_uid.empty()) spec_ = move_->PrepareJob();
  spec_.slot = stream_;
  spec_.max_rate_mebibytes_per_second = mebibytes_per_second;
  return spec_;
}

std::vector<std::string> FollowedMove::JobArguments(const JobSpec& spec) const {
  return {"--pg-bindir", Servers().bin_directory, "job", "--spec", move_->WriteSpec(spec)};
}

void FollowedMove::Subscribe() {
  const pg::ConnectOptions source = Source();
  pg::Connection copy = MustConnect(Copy());
  MustExec(copy, {"CREATE SUBSCRIPTION " + stream_ + " CONNECTION " +
                  pg::QuoteLiteral("host=" + source.host + " port=" + std::to_string(source.port) +
                                   " dbname=" + source.database + " user=" + source.user +
                                   " password=" + source.password) +
                  " PUBLICATION " + stream_ +
                  " WITH (create_slot = false, copy_data = false, enabled = true)"});
}

void FollowedMove::AwaitCaughtUp() {
  pg::Connection source = MustConnect(Source());
  pg::Connection copy = MustConnect(Copy());
  const std::string id = std::to_string(--markers_);
  MustExec(source, {"INSERT INTO public.part_8 VALUES (" + id + ", 'marker')"});
  for (const Deadline deadline = Deadline::After(kPatience);;) {
    if (!MustRead(copy, "SELECT id FROM public.part_8 WHERE id = " + id).empty()) return;
    ASSERT_FALSE(deadline.Expired()) << "the stream does not catch up";
    std::this_thread::sleep_for(kLook);
  }
}

void FollowedMove::ExpectSameRows() {
  pg::Connection source = MustConnect(Source());
  pg::Connection copy = MustConnect(Copy());
  const auto tables =
      MustRead(source,
               "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c"
               " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'"
               " AND n.nspname IN ('public', 'Odd schema') ORDER BY 1");
  EXPECT_EQ(tables.size(), size_t{SlowMove::kTables} + 3);
  for (const std::string& table : tables) {
    const std::string sql =
        "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text"
        " COLLATE \"C\")), '') FROM " +
        table + " t";
    EXPECT_EQ(MustRead(source, sql)[0], MustRead(copy, sql)[0]) << table;
  }
}

std::vector<std::string> FollowedMove::Slots() const {
  pg::Connection source = MustConnect(Source());
  return MustRead(source,
                  "SELECT slot_name || ' ' || confirmed_flush_lsn FROM pg_replication_slots"
                  " WHERE database = current_database() ORDER BY slot_name");
}

}  // namespace cutover::mover::testing
