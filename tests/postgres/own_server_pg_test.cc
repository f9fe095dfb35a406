// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/own_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/postgres/servers.h"

namespace cutover::pg::testing {
namespace {

using ::testing::ElementsAre;

constexpr char kCount[] = "SELECT count(*) FROM public.kept";

TEST(OwnServer, KeepsWhatWasCommittedThroughRestartAndKill) {
  for (const int major : {15, 17}) {
    OwnServer server({major, 0, 0, {{"shared_buffers", "24MB"}}});
    {
      Connection admin = MustConnect(server.Options());
      EXPECT_EQ(admin.major_version(), major);
      EXPECT_THAT(MustRead(admin, "SHOW shared_buffers"), ElementsAre("24MB"));
      MustExec(admin, {"CREATE TABLE public.kept (a int)", "INSERT INTO public.kept VALUES (1)"});
      server.Restart();
      EXPECT_FALSE(admin.Exec({}, Soon(), "SELECT 1"));
    }
    Connection before = MustConnect(server.Options());
    MustExec(before, {"INSERT INTO public.kept VALUES (2)"});
    server.Kill();
    EXPECT_FALSE(before.Exec({}, Soon(), "SELECT 1"));
    EXPECT_FALSE(Connection::Open({}, Soon(), server.Options()));
    server.Start();
    Connection after = MustConnect(server.Options());
    EXPECT_THAT(MustRead(after, kCount), ElementsAre("2"));
  }
}

TEST(OwnServer, AFullDiskOfDataFailsTheStatementAndNotTheServer) {
  OwnServer server({17, 64, 0, {}});
  Connection admin = MustConnect(server.Options());
  MustExec(admin, {"CREATE TABLE public.kept (a text)"});
  Status filled = admin.Exec({}, Deadline::After(std::chrono::seconds(60)),
                             "INSERT INTO public.kept SELECT repeat('x', 1000) FROM"
                             " generate_series(1, 200000)");
  ASSERT_FALSE(filled);
  EXPECT_EQ(admin.last_sqlstate(), "53100") << filled.error().message;
  EXPECT_THAT(MustRead(admin, kCount), ElementsAre("0"));
  MustExec(admin,
           {"TRUNCATE public.kept", "INSERT INTO public.kept VALUES ('there is room again')"});
}

TEST(OwnServer, ADiskFilledByAFileHasRoomAgainOnceItIsGone) {
  OwnServer server({17, 64, 0, {}});
  Connection admin = MustConnect(server.Options());
  MustExec(admin, {"CREATE TABLE public.kept (a text)", "CHECKPOINT"});
  constexpr char kFiveMebibytes[] =
      "INSERT INTO public.kept SELECT repeat('x', 1000) FROM generate_series(1, 5000)";
  server.FillDisk(1);
  EXPECT_FALSE(admin.Exec({}, Soon(), kFiveMebibytes));
  EXPECT_EQ(admin.last_sqlstate(), "53100");
  server.FreeDisk();
  MustExec(admin, {kFiveMebibytes});
}

TEST(OwnServer, AFullDiskOfWalEndsTheServer) {
  OwnServer server({15, 0, 48, {{"max_wal_size", "1GB"}, {"checkpoint_timeout", "1h"}}});
  Connection admin = MustConnect(server.Options());
  Status filled = admin.Exec({}, Deadline::After(std::chrono::seconds(60)),
                             "CREATE TABLE public.kept AS SELECT repeat('x', 1000) AS a FROM"
                             " generate_series(1, 200000)");
  ASSERT_FALSE(filled);
  EXPECT_FALSE(admin.usable()) << filled.error().message;
}

}  // namespace
}  // namespace cutover::pg::testing
