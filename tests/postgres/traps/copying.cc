// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/traps/copying.h"

#include <chrono>

#include "mover/contract/progress.h"
#include "mover/fill.h"
#include "tests/postgres/mover/tenant.h"

namespace cutover::mover::testing {
namespace {

using pg::QuoteIdentifier;
using pg::QuoteLiteral;
using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::Soon;

constexpr int64_t kSlowBytesPerSecond = 2 << 20;

}  // namespace

void Must(const Status& status) {
  EXPECT_TRUE(status) << status.error().reason << ": " << status.error().message;
  CHECK(status);
}

void PlantStamped(Move& move) {
  for (int i = 1; i <= kStampedTables; ++i) {
    const std::string table = "t_" + std::to_string(i);
    move.Plant({"CREATE TABLE " + table + " (id int PRIMARY KEY, filler text, stamp text)",
                "INSERT INTO " + table +
                    " SELECT i, md5(i::text), 'before' FROM generate_series(1, 20000) i"});
  }
}

void Stamp(Move& move, const std::string& word) {
  std::string sql;
  for (int i = 1; i <= kStampedTables; ++i)
    sql += "UPDATE public.t_" + std::to_string(i) + " SET stamp = " + QuoteLiteral(word) + ";";
  move.Plant({sql});
}

std::string StampsOf() {
  std::string sql;
  for (int i = 1; i <= kStampedTables; ++i)
    sql += (i == 1 ? "" : " UNION ALL ") + ("SELECT stamp FROM public.t_" + std::to_string(i));
  return "SELECT stamp || ' ' || count(*) FROM (" + sql + ") AS t GROUP BY stamp ORDER BY 1";
}

const char kCommitted[] =
    "SELECT concat_ws(' ', table_name, chunk, committed_at,"
    " pg_relation_filenode(table_name::regclass)) FROM cutover.chunk"
    " WHERE committed_at IS NOT NULL ORDER BY 1";

Running::Running(Move& move) : move_(move) {
  throttle_.SetRate(kSlowBytesPerSecond);
  move_.options.throttle = &throttle_;
  thread_ = std::jthread([this] {
    Reporter silent(Reporter::Output::kSilent);
    result_.emplace(CloneDatabase(stop_.get_token(), Programs(), move_.options, silent));
    ended_ = true;
  });
}

Running::~Running() {
  stop_.request_stop();
  if (thread_.joinable()) thread_.join();
  move_.options.throttle = nullptr;
}

void Running::UntilSomeRowsArrived() {
  const Deadline deadline = Deadline::After(std::chrono::seconds(60));
  while (!ended_ && !deadline.Expired()) {
    auto copy = pg::Connection::Open({}, deadline, move_.Copy());
    auto rows =
        copy ? copy->Query({}, deadline, "SELECT FROM cutover.chunk WHERE committed_at IS NOT NULL")
             : Result<pg::Rows>(RetryError("", ""));
    if (rows && !rows->empty()) return throttle_.Hold("the test looks");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ADD_FAILURE() << "no row has arrived";
}

void Running::GoOn() {
  throttle_.SetRate(0);
  throttle_.Resume();
}

Result<Report> Running::End() {
  GoOn();
  thread_.join();
  return std::move(*result_);
}

Result<Report> Running::Stop() {
  stop_.request_stop();
  return End();
}

ChunkedCopy::ChunkedCopy(Move& move, const std::string& ddl, int64_t chunk_bytes) : move_(move) {
  pg::Connection source = MustConnect(move.Source());
  tables_ = Must(ReadTables({}, Soon(), source));
  groups_ = PlanChunks(tables_, source.major_version(), chunk_bytes);
  move.PlantOnTarget(
      {"CREATE DATABASE " + QuoteIdentifier(move.copy_name()) + " TEMPLATE template0"});
  pg::Connection copy = MustConnect(move.Copy());
  MustExec(copy, {"SET search_path TO public", ddl});
  Must(CreateLedger({}, Soon(), copy));
  StageProgress claim;
  claim.stage = "schema";
  Must(WriteStage({}, Soon(), copy, move.options.migration_uid, 1, claim));
  Must(WritePlan({}, Soon(), copy, move.options.migration_uid, 1, "a snapshot",
                 PlanForLedger(tables_, groups_)));
}

RowsSeen ChunkedCopy::Copy(Side& source) {
  CopyTerms terms = Terms(source);
  pg::Connection lane = Must(source.OpenLane({}));
  pg::Connection copy = MustConnect(move_.Copy());
  RowsSeen seen;
  for (size_t i = groups_.size(); i-- > 0;)
    for (const RowsSeen& chunk : Must(CopyGroup({}, lane, copy, tables_, groups_[i], terms)))
      seen.Add(chunk);
  return seen;
}

RowsSeen ChunkedCopy::HashWhole(Side& source) {
  return Must(HashRows({}, source.connection(), tables_.at(0), "", Terms(source)));
}

CopyTerms ChunkedCopy::Terms(const Side& source) const {
  CopyTerms terms;
  terms.encoding = source.encoding();
  terms.migration_uid = move_.options.migration_uid;
  return terms;
}

}  // namespace cutover::mover::testing
