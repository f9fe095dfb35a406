// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "mover/contract/progress.h"
#include "tests/postgres/mover/program.h"
#include "tests/postgres/mover/slow_move.h"
#include "tests/postgres/mover/tenant.h"
#include "tests/postgres/own_server.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::OwnServer;
using pg::testing::Servers;
using pg::testing::Soon;
using std::chrono::seconds;
using ::testing::HasSubstr;

/// Enough for a whole move, or to give one up.
constexpr seconds kMove{60};
/// Kubernetes waits 30 s before it kills.
constexpr double kStopSecondsMax = 25;
/// A chunk a second: a case has some five seconds to disturb the copy.
const std::vector<std::string> kSlowly = {"--max-rate", "2"};

Program::Ended CloneWholly(const SlowMove& move) {
  return Program(CUTOVER_MOVER_BINARY, move.CloneArguments(), move.Environment()).Wait(kMove);
}

/// The last word is a sentence that says what to do, on both outputs.
void ExpectAdvice(const Program::Ended& ended, const std::string& advice) {
  EXPECT_THAT(ended.message(), HasSubstr(advice));
  EXPECT_THAT(ended.errors, HasSubstr("cutover-mover: " + ended.message()));
}

/// What is left of an interrupted copy is closed and clean, and the same command completes it.
void ExpectRepeatable(const SlowMove& move) {
  move.ExpectNothingLeft();
  move.ExpectClosed();
  const Program::Ended again = CloneWholly(move);
  EXPECT_EQ(again.exit_code, kExitProven) << again.errors;
  EXPECT_EQ(again.summary["verdict"].AsString(), "Equal");
  move.ExpectNothingLeft();
  move.ExpectOpenAndWhole();
}

/// Ends the first session of the mover in `database` that `which` describes, as soon as there is
/// one. `which` is the end of a query: a condition, and perhaps an order.
void TerminateSession(const pg::ConnectOptions& server, const std::string& database,
                      const std::string& which) {
  pg::Connection admin = MustConnect(server);
  for (const Deadline deadline = Soon(); !deadline.Expired();
       std::this_thread::sleep_for(std::chrono::milliseconds(5))) {
    const auto ended = MustRead(admin,
                                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM"
                                " pg_stat_activity WHERE datname = $1 AND"
                                " application_name = 'cutover-mover' AND " +
                                    which + " LIMIT 1) AS chosen",
                                {database});
    if (!ended.empty() && ended[0] == "t") return;
  }
  FAIL() << "no session of the mover in " << database << " where " << which;
}

constexpr char kCopies[] = "state = 'active' AND query LIKE 'COPY %'";
/// The one that exported the snapshot began first.
constexpr char kHoldsSnapshot[] = "xact_start IS NOT NULL ORDER BY xact_start";

class InterruptedBySignal : public ::testing::TestWithParam<int> {};

TEST_P(InterruptedBySignal, ACloneEndsInTimeAndTheSameCommandCompletesIt) {
  const SlowMove move;
  Program clone(CUTOVER_MOVER_BINARY, move.CloneArguments(kSlowly), move.Environment());
  move.AwaitCommitted(2);
  clone.Send(GetParam());
  const Program::Ended ended = clone.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitInterrupted) << ended.errors;
  EXPECT_LT(ended.seconds, kStopSecondsMax);
  ExpectAdvice(ended, "again");
  ExpectRepeatable(move);
}

INSTANTIATE_TEST_SUITE_P(Signals, InterruptedBySignal, ::testing::Values(SIGINT, SIGTERM),
                         [](const auto& signal) {
                           return signal.param == SIGINT ? "SIGINT" : "SIGTERM";
                         });

TEST(Interruption, ACloneThatIsKilledLeavesNothingOpenAndTheSameCommandCompletesIt) {
  const SlowMove move;
  Program clone(CUTOVER_MOVER_BINARY, move.CloneArguments(kSlowly), move.Environment());
  move.AwaitCommitted(2);
  clone.Send(SIGKILL);
  EXPECT_EQ(clone.Wait(kMove).signal, SIGKILL);
  ExpectRepeatable(move);
}

void ExpectProvenByAnotherTry(Program& clone, const SlowMove& move) {
  const Program::Ended ended = clone.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitProven) << ended.errors;
  EXPECT_THAT(ended.errors, HasSubstr("is tried again"));
  move.ExpectNothingLeft();
  move.ExpectOpenAndWhole();
}

TEST(Interruption, ALaneThatLosesTheSourceCopiesItsPartAgainUnderTheSameSnapshot) {
  // More than fits between two sockets, so that the server is still sending.
  const SlowMove move(Servers().source, Servers().target, 5 * SlowMove::kRowsPerTable);
  Program clone(CUTOVER_MOVER_BINARY, move.CloneArguments({"--max-rate", "10"}),
                move.Environment());
  move.AwaitCommitted(2);
  {
    // What comes after the snapshot stays out of the copy, however often its table is read.
    pg::Connection tenant = MustConnect(move.Source());
    for (int i = 1; i <= SlowMove::kTables; ++i)
      MustExec(tenant, {"INSERT INTO public.part_" + std::to_string(i) + " VALUES (-1, 'late')"});
  }
  TerminateSession(Servers().source, move.Source().database, kCopies);
  ExpectProvenByAnotherTry(clone, move);
}

TEST(Interruption, ALaneThatLosesTheTargetCopiesItsPartAgain) {
  const SlowMove move;
  Program clone(CUTOVER_MOVER_BINARY, move.CloneArguments(kSlowly), move.Environment());
  move.AwaitCommitted(2);
  TerminateSession(Servers().target, move.Copy().database, kCopies);
  ExpectProvenByAnotherTry(clone, move);
}

TEST(Interruption, ACloneWhoseSnapshotIsLostSaysSoAndTheSameCommandStartsOver) {
  const SlowMove move;
  Program clone(CUTOVER_MOVER_BINARY, move.CloneArguments(kSlowly), move.Environment());
  move.AwaitCommitted(2);
  TerminateSession(Servers().source, move.Source().database, kHoldsSnapshot);
  const Program::Ended ended = clone.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitUnproven) << ended.errors;
  EXPECT_EQ(ended.reason(), "SnapshotLost");
  ExpectAdvice(ended, "run it again");
  ExpectRepeatable(move);
}

TEST(Interruption, ATargetThatRestartsStopsTheCloneAndTheSameCommandCompletesIt) {
  const OwnServer target(17);
  const SlowMove move(Servers().source, target.Options());
  Program clone(CUTOVER_MOVER_BINARY, move.CloneArguments(kSlowly), move.Environment());
  move.AwaitCommitted(2);
  target.Restart();
  const Program::Ended ended = clone.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitUnproven) << ended.errors;
  EXPECT_EQ(ended.reason(), "TargetRestarted") << ended.message();
  ExpectAdvice(ended, "run it again");
  ExpectRepeatable(move);
}

TEST(Interruption, ASourceThatRestartsStopsTheCloneAndTheSameCommandCompletesIt) {
  const OwnServer source(15);
  const SlowMove move(source.Options(), Servers().target);
  Program clone(CUTOVER_MOVER_BINARY, move.CloneArguments(kSlowly), move.Environment());
  move.AwaitCommitted(2);
  source.Restart();
  const Program::Ended ended = clone.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitUnproven) << ended.errors;
  EXPECT_EQ(ended.reason(), "SnapshotLost") << ended.message();
  ExpectAdvice(ended, "run it again");
  ExpectRepeatable(move);
}

TEST(Interruption, AFullDiskOfTheTargetIsNamedAndTheSameCommandGoesThroughOnceThereIsRoom) {
  const OwnServer target({17, 160, 0, {}});
  const SlowMove move(Servers().source, target.Options(), 4 * SlowMove::kRowsPerTable);
  // For a database of its own, and for half of the rows.
  target.FillDisk(30);
  const Program::Ended ended = CloneWholly(move);
  EXPECT_EQ(ended.exit_code, kExitUnproven) << ended.errors;
  EXPECT_EQ(ended.reason(), "DiskFull") << ended.message();
  EXPECT_THAT(ended.message(), HasSubstr("53100"));
  ExpectAdvice(ended, "free disk space");
  // While it is full, whoever is new may be refused as well.
  target.FreeDisk();
  move.ExpectNothingLeft();
  move.ExpectClosed();
  ExpectRepeatable(move);
}

TEST(Interruption, ALockThatIsNeverGrantedEndsTheCloneByNameOfTableAndHolder) {
  const SlowMove move;
  pg::ConnectOptions as_locker = move.Source();
  as_locker.application_name = "nightly-job";
  pg::Connection locker = MustConnect(as_locker);
  MustExec(locker, {"BEGIN", "LOCK TABLE public.part_3 IN ACCESS EXCLUSIVE MODE"});
  CloneOptions options = move.Options();
  options.lock_seconds_max = 1;
  // Should it wait forever, the case shall fail and not hang.
  std::stop_source stop;
  const std::jthread watchdog([&stop](std::stop_token ended) {
    if (SleepUntil(ended, Deadline::After(kMove))) stop.request_stop();
  });
  Reporter silent(Reporter::Output::kSilent);
  auto report = CloneDatabase(stop.get_token(), Programs(), options, silent);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().reason, "SourceTableLocked") << report.error().message;
  EXPECT_THAT(report.error().message, HasSubstr("public.part_3"));
  EXPECT_THAT(report.error().message, HasSubstr(std::to_string(locker.backend_pid())));
  EXPECT_THAT(report.error().message, HasSubstr("nightly-job"));
  EXPECT_THAT(report.error().message, HasSubstr("try again"));
  MustExec(locker, {"ROLLBACK"});
  locker = MustConnect(Servers().source);
  move.ExpectNothingLeft();
}

TEST(Interruption, ALockThatIsNeverGrantedEndsABackupByNameOfTableAndHolder) {
  const SlowMove move;
  pg::ConnectOptions as_locker = move.Source();
  as_locker.application_name = "nightly-job";
  pg::Connection locker = MustConnect(as_locker);
  MustExec(locker, {"BEGIN", "LOCK TABLE public.part_3 IN ACCESS EXCLUSIVE MODE"});
  const Program::Ended ended =
      Program(CUTOVER_MOVER_BINARY,
              {"--pg-bindir", Servers().bin_directory, "backup", "--source", move.SourceConninfo(),
               "--directory", move.directory() + "/backup", "--max-lock-seconds", "1"},
              move.Environment())
          .Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitUnproven) << ended.errors;
  EXPECT_THAT(ended.message(), HasSubstr("public.part_3"));
  EXPECT_THAT(ended.message(), HasSubstr("nightly-job"));
}

TEST(Interruption, ACloneThatEndedLetsTheNextOneInAlthoughItsReporterLives) {
  const SlowMove move;
  CloneOptions options = move.Options();
  std::stop_source stop;
  options.on_copied = [&stop] { stop.request_stop(); };
  Reporter of_the_first(Reporter::Output::kSilent);
  ASSERT_FALSE(CloneDatabase(stop.get_token(), Programs(), options, of_the_first));
  options.on_copied = nullptr;
  Reporter of_the_next(Reporter::Output::kSilent);
  auto copied = CloneDatabase({}, Programs(), options, of_the_next);
  ASSERT_TRUE(copied)
      << copied.error().message;  // Otherwise "MoverBusy", after a minute and a half.
  EXPECT_TRUE(copied->equal());
}

/// The tables that the mover reads just now, as its statements name them. The server may be done
/// with sending one while its rows still wait to be taken.
std::string TablesInCopy(const SlowMove& move) {
  pg::Connection admin = MustConnect(Servers().source);
  return MustRead(admin,
                  "SELECT coalesce(string_agg(query, '; '), '') FROM pg_stat_activity"
                  " WHERE datname = $1 AND query LIKE 'COPY %'",
                  {move.Source().database})[0];
}

/// Until a query that is asked at the source says true.
void AwaitInSource(const std::string& sql) {
  pg::Connection admin = MustConnect(Servers().source);
  for (const Deadline deadline = Deadline::After(kMove); MustRead(admin, sql).at(0) != "t";
       std::this_thread::sleep_for(std::chrono::milliseconds(50)))
    ASSERT_FALSE(deadline.Expired()) << sql;
}

TEST(Interruption, AChangeThatWaitsForTheCopyAndKeepsTheCopyWaitingIsNamed) {
  const SlowMove move;
  Throttle throttle;
  throttle.Hold("two tables shall be in work, and the others not yet");
  CloneOptions options = move.Options();
  options.lock_seconds_max = 1;
  options.throttle = &throttle;
  std::stop_source stop;
  auto cloning = std::async(std::launch::async, [&] {
    Reporter silent(Reporter::Output::kSilent);
    return CloneDatabase(stop.get_token(), Programs(), options, silent);
  });
  move.AwaitPlan();
  AwaitInSource(
      "SELECT count(*) = 2 FROM pg_stat_activity WHERE query LIKE 'COPY %'"
      " AND datname = " +
      pg::QuoteLiteral(move.Source().database));
  const std::string in_work = TablesInCopy(move);
  std::string table;
  for (int i = 1; i <= SlowMove::kTables && table.empty(); ++i)
    if (const std::string name = "part_" + std::to_string(i);
        in_work.find(name) == std::string::npos)
      table = name;
  pg::ConnectOptions as_changer = move.Source();
  as_changer.application_name = "nightly-job";
  pg::Connection changer = MustConnect(as_changer);
  const int pid = changer.backend_pid();
  auto changing = std::async(std::launch::async, [&] {
    return changer.Exec({}, Deadline::After(kMove),
                        "ALTER TABLE public." + table + " ADD more int");
  });
  AwaitInSource("SELECT cardinality(pg_blocking_pids(" + std::to_string(pid) + ")) > 0");
  throttle.Resume();
  if (cloning.wait_for(kMove) != std::future_status::ready) stop.request_stop();
  auto report = cloning.get();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().reason, "SourceTableLocked") << report.error().message;
  EXPECT_THAT(report.error().message, HasSubstr("public." + table));
  EXPECT_THAT(report.error().message, HasSubstr(std::to_string(pid)));
  EXPECT_THAT(report.error().message, HasSubstr("nightly-job"));
  EXPECT_THAT(report.error().message, HasSubstr("waits"));
  const Status changed = changing.get();
  EXPECT_TRUE(changed) << changed.error().message;
  changer = MustConnect(Servers().source);
  move.ExpectNothingLeft();
  move.ExpectClosed();
}

/// A move by a supervisor and its workers, slow until the case says otherwise.
class InterruptedJob : public ::testing::Test {
 protected:
  InterruptedJob() : spec_(move_.PrepareJob()) { SetRate(2); }

  void SetRate(int mebibytes_per_second) {
    spec_.max_rate_mebibytes_per_second = mebibytes_per_second;
    spec_file_ = move_.WriteSpec(spec_);
  }
  Program Start() {
    return Program(CUTOVER_MOVER_BINARY, {"job", "--spec", spec_file_}, move_.Environment());
  }
  std::string Snapshot() {
    pg::Connection copy = MustConnect(move_.Copy());
    return MustRead(copy, "SELECT snapshot FROM cutover.run")[0];
  }
  Json Recorded() {
    pg::Connection copy = MustConnect(move_.Copy());
    auto result = ReadResult({}, Soon(), copy, spec_.migration_uid, 1, JobKind::kClone);
    return result && *result ? **result : Json();
  }
  void ExpectTheSameJobCompletes() {
    move_.ExpectNothingLeft();
    move_.ExpectClosed();
    SetRate(0);
    const Program::Ended again = Start().Wait(kMove);
    EXPECT_EQ(again.exit_code, kExitProven) << again.errors;
    EXPECT_EQ(Recorded()["verdict"].AsString(), "Equal");
  }

  SlowMove move_;
  JobSpec spec_;
  std::string spec_file_;
};

TEST_F(InterruptedJob, AWorkerThatIsKilledCostsItsChunksAndNotTheCopy) {
  Program job = Start();
  move_.AwaitCommitted(2);
  const std::vector<pid_t> workers = job.Children();
  ASSERT_EQ(workers.size(), 1u);
  const auto before = move_.Committed();
  ASSERT_LT(before.size(), static_cast<size_t>(SlowMove::kTables)) << "it was too fast for a test";
  const std::string snapshot = Snapshot();
  ASSERT_EQ(kill(workers[0], SIGKILL), 0);
  SetRate(0);
  const Program::Ended ended = job.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitProven) << ended.errors;
  EXPECT_EQ(ended.summary["verdict"].AsString(), "Equal");
  EXPECT_THAT(ended.errors, HasSubstr("a worker was killed"));
  EXPECT_EQ(Snapshot(), snapshot);
  const auto after = move_.Committed();
  EXPECT_EQ(after.size(), static_cast<size_t>(SlowMove::kTables));
  for (const auto& [table, when] : before) EXPECT_EQ(after.at(table), when) << table;
  move_.ExpectNothingLeft();
  move_.ExpectClosed();
}

TEST_F(InterruptedJob, ASupervisorThatIsAskedToEndEndsItsWorkerAndSaysSo) {
  Program job = Start();
  move_.AwaitCommitted(2);
  job.Send(SIGTERM);
  const Program::Ended ended = job.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitInterrupted) << ended.errors;
  EXPECT_LT(ended.seconds, kStopSecondsMax);
  ExpectAdvice(ended, "again");
  EXPECT_EQ(Recorded()["verdict"].AsString(), "Unproven");
  ExpectTheSameJobCompletes();
}

TEST_F(InterruptedJob, ASupervisorThatIsKilledTakesItsWorkerAlong) {
  Program job = Start();
  move_.AwaitCommitted(2);
  job.Send(SIGKILL);
  EXPECT_EQ(job.Wait(kMove).signal, SIGKILL);
  ExpectTheSameJobCompletes();
}

TEST_F(InterruptedJob, ASnapshotThatIsLostEndsTheJobWithAReasonAndTheNextStartsOver) {
  Program job = Start();
  move_.AwaitCommitted(2);
  TerminateSession(Servers().source, move_.Source().database, kHoldsSnapshot);
  const Program::Ended ended = job.Wait(kMove);
  EXPECT_EQ(ended.exit_code, kExitUnproven) << ended.errors;
  EXPECT_EQ(ended.reason(), "SnapshotLost");
  ExpectAdvice(ended, "run it again");
  EXPECT_EQ(Recorded()["error"]["reason"].AsString(), "SnapshotLost");
  ExpectTheSameJobCompletes();
}

}  // namespace
}  // namespace cutover::mover::testing
