// SPDX-License-Identifier: Apache-2.0
#include "postgres/copy_stream.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <stop_token>

#include "tests/postgres/servers.h"

namespace cutover::pg {
namespace {

using namespace std::chrono_literals;
using testing::MustConnect;
using testing::MustExec;
using testing::MustRead;
using testing::Servers;
using testing::Soon;
using testing::TestDatabase;
using testing::TestRole;

class CopyStream : public ::testing::Test {
 protected:
  TestRole owner_{Servers().source};
  TestDatabase source_{Servers().source, owner_.name()};
  TestDatabase target_{Servers().target, "cutover_admin"};
};

TEST_F(CopyStream, CarriesEveryRowFromOneMajorToTheOther) {
  Connection reader = MustConnect(source_.Options());
  Connection writer = MustConnect(target_.Options());
  const std::string table = "CREATE TABLE public.t (a int, b text)";
  MustExec(reader, {table,
                    "INSERT INTO public.t SELECT i, repeat(E'x\\n\\t\\\\', i % 500) || i "
                    "FROM generate_series(1, 20000) i"});
  MustExec(writer, {table});
  auto out = CopyOut::Start({}, Soon(), reader, "COPY public.t TO STDOUT");
  ASSERT_TRUE(out) << out.error().message;
  auto in = CopyIn::Start({}, Soon(), writer, "COPY public.t FROM STDIN");
  ASSERT_TRUE(in) << in.error().message;
  int64_t rows = 0;
  while (true) {
    std::string buffer;
    auto got = out->ReadRows({}, Soon(), 100'000, buffer);
    ASSERT_TRUE(got) << got.error().message;
    if (*got == 0) break;
    rows += *got;
    Status written = in->Write({}, Soon(), buffer);
    ASSERT_TRUE(written) << written.error().message;
  }
  auto taken = in->Finish({}, Soon());
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(rows, 20000);
  EXPECT_EQ(out->rows(), 20000);
  EXPECT_EQ(*taken, 20000);
  const std::string digest = "SELECT md5(string_agg(md5(a || b), '' ORDER BY a)) FROM public.t";
  EXPECT_EQ(MustRead(reader, digest), MustRead(writer, digest));
}

TEST_F(CopyStream, BadDataIsTheServersErrorAndLeavesTheConnectionUsable) {
  Connection writer = MustConnect(target_.Options());
  MustExec(writer, {"CREATE TABLE public.t (a int)"});
  auto in = CopyIn::Start({}, Soon(), writer, "COPY public.t FROM STDIN");
  ASSERT_TRUE(in);
  ASSERT_TRUE(in->Write({}, Soon(), "1\nnot a number\n"));
  auto taken = in->Finish({}, Soon());
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().reason, "DataException");
  EXPECT_EQ(taken.error().disposition, Disposition::kTerminal);
  EXPECT_EQ(MustRead(writer, "SELECT count(*) FROM public.t"), std::vector<std::string>{"0"});
}

TEST_F(CopyStream, AnAbandonedCopyInLeavesNothing) {
  {
    Connection writer = MustConnect(target_.Options());
    MustExec(writer, {"CREATE TABLE public.t (a int)"});
    auto in = CopyIn::Start({}, Soon(), writer, "COPY public.t FROM STDIN");
    ASSERT_TRUE(in);
    ASSERT_TRUE(in->Write({}, Soon(), std::string(3 * CopyIn::kMessageBytes, '\n')));
  }
  Connection reader = MustConnect(target_.Options());
  EXPECT_EQ(MustRead(reader, "SELECT count(*) FROM public.t"), std::vector<std::string>{"0"});
}

TEST_F(CopyStream, AStopEndsACopyOutInTheMiddle) {
  Connection reader = MustConnect(source_.Options());
  auto out = CopyOut::Start({}, Soon(), reader,
                            "COPY (SELECT repeat('x', 10000), pg_sleep(0.05) FROM "
                            "generate_series(1, 100000)) "
                            "TO STDOUT");
  ASSERT_TRUE(out);
  std::stop_source stop;
  ASSERT_TRUE(out->NextRow(stop.get_token(), Soon()));
  stop.request_stop();
  std::optional<Error> failure;
  for (int row = 0; row < 1000 && !failure; ++row) {
    auto next = out->NextRow(stop.get_token(), Soon());
    if (!next) failure = next.error();
  }
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->reason, "Stopped");
  EXPECT_FALSE(reader.usable());
}

TEST_F(CopyStream, ADeadlineEndsACopyInThatTheServerDoesNotTake) {
  Connection writer = MustConnect(target_.Options());
  Connection blocker = MustConnect(target_.Options());
  MustExec(writer, {"CREATE TABLE public.t (a text)"});
  MustExec(blocker, {"BEGIN", "LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE"});
  auto in = CopyIn::Start({}, Deadline::After(300ms), writer, "COPY public.t FROM STDIN");
  ASSERT_FALSE(in);
  EXPECT_EQ(in.error().reason, "DeadlineExceeded");
}

TEST_F(CopyStream, AReaderThatLosesItsServerDoesNotTakeTheEndForTheEnd) {
  Connection reader = MustConnect(source_.Options());
  Connection killer = MustConnect(source_.Options());
  auto out = CopyOut::Start({}, Soon(), reader,
                            "COPY (SELECT repeat('x', 10000) FROM generate_series(1, 1000000)) "
                            "TO STDOUT");
  ASSERT_TRUE(out);
  ASSERT_TRUE(out->NextRow({}, Soon()));
  MustRead(killer, "SELECT pg_terminate_backend($1)", {reader.backend_pid()});
  bool ended_well = false;
  for (bool going = true; going;) {
    auto row = out->NextRow({}, Soon());
    if (!row) {
      EXPECT_EQ(row.error().disposition, Disposition::kRetry);
      going = false;
    } else if (!row->has_value()) {
      ended_well = true;
      going = false;
    }
  }
  EXPECT_FALSE(ended_well);
}

}  // namespace
}  // namespace cutover::pg
