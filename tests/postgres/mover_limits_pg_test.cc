// SPDX-License-Identifier: Apache-2.0
//
// What a move may take from others, and what it must not do: rate and pauses, memory, a dry run
// that writes nothing, rows that go into an archive instead of nowhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "mover/process/child.h"
#include "tests/postgres/mover/program.h"
#include "tests/postgres/mover/slow_move.h"
#include "tests/postgres/mover/tenant.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr seconds kMove{60};
/// Long enough for the whole copy, were it not held.
constexpr seconds kWhile{2};
/// Each halves or doubles: 64 MiB a second and 64 KiB are ten steps apart.
constexpr int kSteps = 11;

/// A lock by which a case tells the throttle query to hold the copy.
constexpr char kTakeBrake[] = "SELECT pg_advisory_lock(4711)";
constexpr char kReleaseBrake[] = "SELECT pg_advisory_unlock(4711)";
std::string BrakeIsOn() {
  return "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND granted"
         " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
}

void SendSeveral(const Program& program, int signal) {
  for (int i = 0; i < kSteps; ++i) program.SendAndAwait(signal);
}

TEST(Throttle, AQueryThatSaysSoHoldsTheCopyFromItsBeginningAndLetsGo) {
  const SlowMove move;
  pg::Connection brake = MustConnect(move.Source());
  MustExec(brake, {kTakeBrake});
  Program clone(CUTOVER_MOVER_BINARY, move.CloneArguments({"--throttle-query", BrakeIsOn()}),
                move.Environment());
  move.AwaitPlan();
  std::this_thread::sleep_for(kWhile);
  EXPECT_TRUE(move.Committed().empty());
  MustExec(brake, {kReleaseBrake});
  const Program::Ended ended = clone.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitProven) << ended.errors;
  move.ExpectOpenAndWhole();
}

TEST(Throttle, ACloneThatIsHeldCanBeInterrupted) {
  const SlowMove move;
  Program clone(CUTOVER_MOVER_BINARY, move.CloneArguments({"--throttle-query", "SELECT true"}),
                move.Environment());
  move.AwaitPlan();
  clone.Send(SIGTERM);
  const Program::Ended ended = clone.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitInterrupted) << ended.errors;
  EXPECT_LT(ended.seconds, 25) << "Kubernetes waits 30 s before it kills";
  move.ExpectNothingLeft();
  move.ExpectClosed();
}

TEST(Throttle, SignalsSlowTheCloneDownAndSpeedItUp) {
  const SlowMove move;
  pg::Connection brake = MustConnect(move.Source());
  MustExec(brake, {kTakeBrake});
  Program clone(CUTOVER_MOVER_BINARY, move.CloneArguments({"--throttle-query", BrakeIsOn()}),
                move.Environment());
  move.AwaitPlan();
  SendSeveral(clone, SIGUSR1);  // From no limit at all to 64 KiB a second.
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));  // It looks once a second.
  MustExec(brake, {kReleaseBrake});
  std::this_thread::sleep_for(kWhile);
  EXPECT_TRUE(move.Committed().empty()) << "the least table takes 25 s at this rate";
  SendSeveral(clone, SIGUSR2);
  const Program::Ended ended = clone.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitProven) << ended.errors;
}

TEST(Throttle, ARunningJobFollowsTheRateOfItsSpec) {
  const SlowMove move;
  JobSpec spec = move.PrepareJob();
  spec.max_rate_mebibytes_per_second = 1;
  const auto began = std::chrono::steady_clock::now();
  Program job(CUTOVER_MOVER_BINARY, {"job", "--spec", move.WriteSpec(spec)}, move.Environment());
  move.AwaitCommitted(1);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  const size_t committed = move.Committed().size();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  // Of each table 1.6 MiB are read, and what a second brings may have been saved up.
  EXPECT_LT(static_cast<double>(committed), (took.count() + 1) / 1.5 + 1);
  spec.max_rate_mebibytes_per_second = 0;
  move.WriteSpec(spec);
  const Program::Ended ended = job.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitProven) << ended.errors;
  EXPECT_THAT(ended.errors, HasSubstr("the throttle was changed"));
}

TEST(Throttle, ARunningJobFollowsTheQueryOfItsSpec) {
  const SlowMove move;
  JobSpec spec = move.PrepareJob();
  spec.throttle_query = "SELECT 1";
  Program job(CUTOVER_MOVER_BINARY, {"job", "--spec", move.WriteSpec(spec)}, move.Environment());
  move.AwaitPlan();
  std::this_thread::sleep_for(kWhile);
  EXPECT_TRUE(move.Committed().empty());
  spec.throttle_query = "SELECT 0";
  move.WriteSpec(spec);
  const Program::Ended ended = job.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitProven) << ended.errors;
}

/// Clones the move with one job.
Program::Ended CloneByOneJob(const SlowMove& move, seconds patience) {
  Program::Ended ended =
      Program(CUTOVER_MOVER_BINARY, move.CloneArguments({"--jobs", "1"}), move.Environment())
          .Wait(patience);
  EXPECT_EQ(ended.exit_code, kExitProven) << ended.errors;
  return ended;
}

/// How much memory that took.
int64_t MebibytesToClone(const SlowMove& move) {
  const Program::Ended ended = CloneByOneJob(move, kMove);
  const int64_t mebibytes = ended.resident_kibibytes_max >> 10;
  std::printf("resident set: %lld MiB at most, in %.1f s\n", static_cast<long long>(mebibytes),
              ended.seconds);
  return mebibytes;
}

TEST(Memory, ABigTableTakesNoMoreThanIsAllowedForAJob) {
  const SlowMove move;
  pg::Connection source = MustConnect(move.Source());
  // Unlogged: its WAL would take longer than the copy.
  ASSERT_TRUE(source.Exec({}, Deadline::After(kMove),
                          "CREATE UNLOGGED TABLE public.big AS SELECT i AS id,"
                          " repeat(md5(i::text), 32) AS body FROM generate_series(1, 300000) i"));
  EXPECT_LE(MebibytesToClone(move), 64 + 32);
}

/// 20,000 tables may take 64 MiB more than a few. So many would take minutes; a tenth of them is
/// held to a tenth of it.
TEST(Memory, ManyTablesTakeLittleMoreThanFew) {
  constexpr int kMany = 2000, kInATransaction = 200;
  const int64_t few = CloneByOneJob(SlowMove(), kMove).own_kibibytes_max;
  const SlowMove move;
  pg::Connection source = MustConnect(move.Source());
  for (int made = 0; made < kMany; made += kInATransaction)
    MustExec(source, {"DO $$ BEGIN FOR i IN " + std::to_string(made) + "+1.." +
                      std::to_string(made + kInATransaction) +
                      " LOOP EXECUTE format('CREATE TABLE public.many_%s (id int PRIMARY KEY, note"
                      " text)', i); EXECUTE format('INSERT INTO public.many_%s VALUES (1, ''x'')',"
                      " i); END LOOP; END $$"});
  const int64_t many = CloneByOneJob(move, 4 * kMove).own_kibibytes_max;
  std::printf("resident set: %lld KiB for few tables, %lld KiB for %d more\n",
              static_cast<long long>(few), static_cast<long long>(many), kMany);
  EXPECT_LE(many - few, int64_t{64} * 1024 * kMany / 20000);
}

/// Values of 300 MB each: stored as they are, compressed to a hundredth, and of a type that says
/// only when it is sent how large it is.
TEST(Memory, RowsOf300MegabytesTakeNoMoreThanIsAllowedForAJob) {
  const SlowMove move;
  pg::Connection source = MustConnect(move.Source());
  const Deadline soon = Deadline::After(kMove);
  for (const char* sql :
       {"CREATE UNLOGGED TABLE public.wide (id int, plain bytea, body text, tags text[], note "
        "text)",
        "ALTER TABLE public.wide ALTER plain SET STORAGE EXTERNAL",
        "INSERT INTO public.wide SELECT i, NULL, 'small', NULL, '' FROM generate_series(1, 1000) i",
        "INSERT INTO public.wide (id, plain) SELECT 2001, convert_to(repeat('0123456789', "
        "30000000), "
        "'UTF8')",
        "INSERT INTO public.wide (id, body) SELECT 2002, repeat('x', 300000000)",
        "INSERT INTO public.wide (id, tags) SELECT 2003, array_fill(repeat('y', 1000), "
        "ARRAY[60000])"}) {
    const Status done = source.Exec({}, soon, sql);
    ASSERT_TRUE(done) << done.error().message;
  }
  EXPECT_LE(MebibytesToClone(move), 64 + 32);
  pg::Connection copy = MustConnect(move.Copy());
  EXPECT_EQ(MustRead(copy,
                     "SELECT string_agg(concat_ws(' ', id, octet_length(plain), octet_length(body),"
                     " cardinality(tags)), ', ' ORDER BY id) FROM public.wide WHERE id > 2000")[0],
            "2001 300000000, 2002 300000000, 2003 60000");
}

/// Rows that were written into a database so far, catalogs included, once nobody is in it.
std::string RowsWritten(const SlowMove& move) {
  move.ExpectNothingLeft();  // A session counts at its end.
  pg::Connection admin = MustConnect(Servers().source);
  return MustRead(admin,
                  "SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database"
                  " WHERE datname = $1",
                  {move.Source().database})[0];
}

TEST(DryRun, WritesNothingOnEitherSide) {
  const SlowMove move;
  const std::string written = RowsWritten(move);
  ASSERT_NE(written, "0");
  const Program::Ended ended =
      Program(CUTOVER_MOVER_BINARY, move.CloneArguments({"--dry-run"}), move.Environment())
          .Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitProven) << ended.errors;
  EXPECT_EQ(ended.summary["tableCount"].AsInt(), SlowMove::kTables);
  EXPECT_EQ(ended.summary["chunkCount"].AsInt(), SlowMove::kTables);
  EXPECT_EQ(RowsWritten(move), written);
  pg::Connection target = MustConnect(Servers().target);
  EXPECT_EQ(MustRead(target,
                     "SELECT (SELECT count(*) FROM pg_database WHERE datname = $1)"
                     " + (SELECT count(*) FROM pg_roles WHERE rolname = $2)",
                     {move.Copy().database, move.tenant()})[0],
            "0");
}

/// The rows of a table in an archive, as pg_restore reads them.
int ArchivedRows(const std::string& directory, const std::string& table) {
  std::string archive;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (entry.path().filename() == "toc.dat") archive = entry.path().parent_path();
  auto script = ReadChild({}, Deadline::After(kMove),
                          Programs().Command("pg_restore", {"--data-only", "-f", "-", archive}));
  if (!script) ADD_FAILURE() << script.error().message;
  std::istringstream lines(script ? *script : "");
  int rows = -1;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("COPY " + table + " "))
      rows = 0;
    else if (line == "\\.")
      break;
    else if (rows >= 0)
      ++rows;
  }
  return rows;
}

TEST(Archive, TakesTheExcludedRowsAndTheReportSaysHowMany) {
  const SlowMove move;
  const Program::Ended ended =
      Program(
          CUTOVER_MOVER_BINARY,
          move.CloneArguments({"--exclude-table", "public.part_2", "--archive", move.directory()}),
          move.Environment())
          .Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitProven) << ended.errors;
  EXPECT_THAT(ended.summary["warnings"].Dump(), HasSubstr("1600 rows"));
  EXPECT_THAT(ended.summary["warnings"].Dump(), HasSubstr("part_2"));
  EXPECT_EQ(ArchivedRows(move.directory(), "public.part_2"), SlowMove::kRowsPerTable);
  pg::Connection copy = MustConnect(move.Copy());
  EXPECT_EQ(MustRead(copy, "SELECT count(*) FROM public.part_1")[0],
            std::to_string(SlowMove::kRowsPerTable));
  EXPECT_EQ(MustRead(copy, "SELECT count(*) FROM public.part_2")[0], "0");
}

TEST(Archive, WithoutOneExcludedRowsAreRefusedByName) {
  const SlowMove move;
  const Program::Ended ended =
      Program(CUTOVER_MOVER_BINARY, move.CloneArguments({"--exclude-table", "public.part_2"}),
              move.Environment())
          .Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitUnproven) << ended.errors;
  EXPECT_THAT(ended.message(), HasSubstr("rows of public.part_2"));
  EXPECT_THAT(ended.message(), HasSubstr("--archive"));
  EXPECT_FALSE(pg::Connection::Open({}, pg::testing::Soon(), move.Copy()));
}

TEST(VerifyProgram, ProvesACopyWhoseRolesAndLossesItWasToldOf) {
  const SlowMove move;
  pg::Connection source = MustConnect(move.Source());
  MustExec(source,
           {"CREATE TABLE public.twins (a int)", "INSERT INTO public.twins VALUES (1), (1)"});
  EXPECT_FALSE(source.Exec({}, pg::testing::Soon(),
                           "CREATE UNIQUE INDEX CONCURRENTLY broken ON public.twins (a)"));
  const std::string renamed = pg::testing::UniqueName("renamed");
  const std::vector<std::string> told = {"--map-role", move.tenant() + "=" + renamed, "--accept",
                                         "INDEX public.broken"};
  auto run = [&](std::vector<std::string> arguments) {
    return Program(CUTOVER_MOVER_BINARY, std::move(arguments), move.Environment()).Wait(kMove);
  };
  const Program::Ended cloned = run(move.CloneArguments(told));
  EXPECT_EQ(cloned.exit_code, kExitProven) << cloned.errors;
  std::vector<std::string> verify = {"verify", "--source", move.SourceConninfo(), "--target",
                                     "postgresql://" + move.Copy().user + "@" + move.Copy().host +
                                         ":" + std::to_string(move.Copy().port) + "/" +
                                         move.Copy().database};
  EXPECT_EQ(run(verify).exit_code, kExitDifferent);
  verify.insert(verify.end(), told.begin(), told.end());
  const Program::Ended proven = run(verify);
  EXPECT_EQ(proven.exit_code, kExitProven) << proven.errors << proven.summary.Dump();
  pg::Connection target = MustConnect(Servers().target);
  MustExec(target, {"DROP DATABASE " + pg::QuoteIdentifier(move.Copy().database) + " WITH (FORCE)",
                    "DROP ROLE " + pg::QuoteIdentifier(renamed)});
}

}  // namespace
}  // namespace cutover::mover::testing
