// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <chrono>
#include <thread>

#include <cstdlib>
#include <string>
#include <vector>

#include "mover/contract/job_spec.h"
#include "mover/process/wal_volume.h"
#include "mover/target_database.h"
#include "tests/postgres/mover/tenant.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Clone : public ::testing::TestWithParam<bool> {
 protected:
  const pg::ConnectOptions& target() const {
    return GetParam() ? Servers().target : Servers().source;
  }
};

INSTANTIATE_TEST_SUITE_P(Majors, Clone, ::testing::Values(true, false), [](const auto& major) {
  return major.param ? "From15To17" : "From15To15";
});

TEST_P(Clone, ADatabaseFullOfTrapsArrivesAndIsProvenEqual) {
  TrapTenant tenant(target());
  Report report = MustClone(tenant.CloneAll());
  EXPECT_TRUE(report.equal()) << Describe(report);
  EXPECT_EQ(report.tables, 23);
  // Once more from outside, with both sides read, and with the database's own access compared.
  Report again = MustVerify(tenant.VerifyAll());
  EXPECT_TRUE(again.equal()) << Describe(again);
  EXPECT_EQ(again.rows, report.rows);
}

int64_t WalWritten(const pg::ConnectOptions& server) {
  pg::Connection admin = MustConnect(server);
  return std::stoll(
      MustRead(admin, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").front());
}

TEST_P(Clone, SaysHowMuchWalItMadeOnTheTarget) {
  TrapTenant tenant(target());
  constexpr int64_t kBytes = 8 << 20;
  {
    pg::Connection source = MustConnect(tenant.Source());
    MustExec(source, {"CREATE TABLE public.logged AS SELECT repeat(md5(i::text), 32) AS body"
                      " FROM generate_series(1, 8192) i"});
  }
  const int64_t before = WalWritten(target());
  const Report report = MustClone(tenant.CloneAll());
  ASSERT_TRUE(report.target_wal_bytes);
  EXPECT_GE(*report.target_wal_bytes, kBytes);
  EXPECT_LE(*report.target_wal_bytes, WalWritten(target()) - before);
  EXPECT_FALSE(MustVerify(tenant.VerifyAll()).target_wal_bytes);
}

TEST(WalVolume, IsUnknownToWhoMayNotAskAndNoErrorEither) {
  const pg::testing::TestRole role(Servers().target);
  const pg::testing::TestDatabase database(Servers().target, Servers().target.user);
  pg::Connection session = MustConnect(database.Options());
  const WalPosition begin =
      ReadWalPosition({}, pg::testing::Soon(), session).value_or(std::nullopt);
  EXPECT_TRUE(begin);
  const auto of_another = WalBytesSince({}, pg::testing::Soon(), session, WalPosition("FFFFFFF/0"));
  ASSERT_TRUE(of_another) << of_another.error().message;
  EXPECT_FALSE(*of_another) << "a standby in its place has less";
  MustExec(session, {"REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM PUBLIC",
                     "SET ROLE " + pg::QuoteIdentifier(role.name())});
  const auto bytes = WalBytesSince({}, pg::testing::Soon(), session, begin);
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_FALSE(*bytes);
}

TEST_P(Clone, WhatNoDigestShowsIsThereToo) {
  TrapTenant tenant(target());
  ASSERT_TRUE(MustClone(tenant.CloneAll()).equal());
  pg::Connection copy = MustConnect(tenant.Copy());
  EXPECT_THAT(MustRead(copy, "SELECT name FROM ONLY public.parent"), ElementsAre("one"));
  EXPECT_THAT(MustRead(copy, "SELECT extra || id || name || kind FROM public.child"),
              ElementsAre("e2name-of-childkind-of-child"));
  EXPECT_THAT(MustRead(copy, "SELECT twice FROM public.generated WHERE a = 4"), ElementsAre("8"));
  EXPECT_THAT(MustRead(copy, "SELECT nextval('public.unowned')"), ElementsAre("4711"));
  EXPECT_THAT(MustRead(copy,
                       "SELECT provolatile FROM pg_proc WHERE proname = 'unaccent'"
                       " AND pronargs = 1"),
              ElementsAre("i"));
  EXPECT_THAT(MustRead(copy,
                       "SELECT convalidated FROM pg_constraint WHERE conname IN"
                       " ('orphans_person', 'people_boss_fkey') ORDER BY conname"),
              ElementsAre("f", "t"));
  EXPECT_THAT(MustRead(copy, "SELECT n FROM public.a_mat_top"), ElementsAre("300"))
      << "materialized views that read each other are filled in order";
  EXPECT_THAT(MustRead(copy,
                       "SELECT count(*) FROM pg_stats WHERE tablename = 'people'"
                       " AND schemaname = 'public' AND attname = 'name'"),
              ElementsAre("1"));
  EXPECT_THAT(MustRead(copy, "SELECT nspname FROM pg_namespace WHERE nspname = 'cutover'"),
              IsEmpty());
}

TEST_P(Clone, TheTenantLogsInWithTheSamePasswordAndOwnsTheDatabase) {
  TrapTenant tenant(target());
  ASSERT_TRUE(MustClone(tenant.CloneAll()).equal());
  pg::Connection admin = MustConnect(target());
  EXPECT_THAT(MustRead(admin,
                       "SELECT pg_get_userbyid(datdba), datconnlimit FROM pg_database"
                       " WHERE datname = $1",
                       {pg::Param(tenant.copy_name())}),
              ElementsAre(tenant.tenant()));
  pg::Connection source = MustConnect(Servers().source);
  const std::string verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
  EXPECT_EQ(MustRead(admin, verifier, {pg::Param(tenant.tenant())}),
            MustRead(source, verifier, {pg::Param(tenant.tenant())}));
}

// Progress is written all the time, and it is by our own progress that a database is known as ours.
TEST_P(Clone, ProgressThatIsWrittenMeanwhileDoesNotMakeAForeignDatabaseOurs) {
  TrapTenant tenant(target());
  pg::Connection admin = MustConnect(target());
  MustExec(admin, {"CREATE DATABASE " + pg::QuoteIdentifier(tenant.copy_name())});
  pg::Connection copy = MustConnect(tenant.Copy());
  MustExec(copy, {"CREATE TABLE public.precious (a int)"});
  CloneOptions options = tenant.CloneAll();
  options.admin.reset();
  Reporter silent(Reporter::Output::kSilent);
  silent.BeginStage("schema");
  TargetDatabase database(options, silent);
  ASSERT_TRUE(database.Prepare({}, {}));
  std::this_thread::sleep_for(std::chrono::milliseconds(2'500));
  auto emptied = database.Empty({});
  ASSERT_FALSE(emptied);
  EXPECT_EQ(emptied.error().reason, "TargetNotEmpty");
  EXPECT_THAT(MustRead(copy, "SELECT to_regclass('public.precious')"),
              ElementsAre("public.precious"));
}

TEST_P(Clone, ADatabaseThatHoldsSomethingElseIsRefusedAndUntouched) {
  TrapTenant tenant(target());
  pg::Connection admin = MustConnect(target());
  MustExec(admin, {"CREATE DATABASE " + pg::QuoteIdentifier(tenant.copy_name())});
  pg::Connection copy = MustConnect(tenant.Copy());
  MustExec(copy, {"CREATE TABLE public.precious (a int)"});
  for (bool create : {true, false}) {
    CloneOptions options = tenant.CloneAll();
    if (!create) options.admin.reset();
    Reporter silent(Reporter::Output::kSilent);
    auto report = CloneDatabase({}, Programs(), options, silent);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().disposition, Disposition::kTerminal) << report.error().message;
    EXPECT_EQ(report.error().reason, create ? "DatabaseExists" : "TargetNotEmpty");
  }
  EXPECT_THAT(MustRead(copy, "SELECT to_regclass('public.precious')"),
              ElementsAre("public.precious"));
}

TEST_P(Clone, ExcludedTablesComeEmptyAndAreNamed) {
  TrapTenant tenant(target());
  CloneOptions options = tenant.CloneAll();
  options.exclude_tables = {"public.twins"};
  options.accept = {"rows of public.twins"};
  Report report = MustClone(options);
  EXPECT_TRUE(report.equal()) << Describe(report);
  EXPECT_THAT(report.warnings, ::testing::Contains(::testing::HasSubstr("public.twins")));
  pg::Connection copy = MustConnect(tenant.Copy());
  EXPECT_THAT(MustRead(copy, "SELECT count(*) FROM public.twins"), ElementsAre("0"));
}

/// Runs the binary's `clone`, and kills it as soon as `ready` holds on the target. -1: it was
/// never.
int CloneAndKill(const TrapTenant& tenant, const pg::ConnectOptions& target, int signal_number,
                 const std::string& ready) {
  const pid_t pid = fork();
  if (pid == 0) {
    setenv(kSourcePasswordVariable, tenant.Source().password.c_str(), 1);
    setenv(kTargetPasswordVariable, target.password.c_str(), 1);
    auto uri = [](const pg::ConnectOptions& options) {
      return "host=" + options.host + " port=" + std::to_string(options.port) +
             " user=" + options.user + " dbname=" + options.database;
    };
    const std::string source = uri(tenant.Source()), admin = uri(target);
    if (freopen("/dev/null", "w", stdout) == nullptr ||
        freopen("/dev/null", "w", stderr) == nullptr)
      _exit(99);
    execl(CUTOVER_MOVER_BINARY, "cutover-mover", "--pg-bindir", Servers().bin_directory.c_str(),
          "clone", "--source", source.c_str(), "--target", admin.c_str(), "--database",
          tenant.copy_name().c_str(), static_cast<char*>(nullptr));
    _exit(98);
  }
  const Deadline deadline = Deadline::After(std::chrono::seconds(60));
  int status = 0;
  while (!deadline.Expired()) {
    auto copy = pg::Connection::Open({}, deadline, tenant.Copy());
    auto rows = copy ? copy->Query({}, deadline, ready) : Result<pg::Rows>(RetryError("", ""));
    if (rows && !rows->empty()) break;
    if (waitpid(pid, &status, WNOHANG) == pid) return -1;
  }
  kill(pid, signal_number);
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

constexpr char kRowsArrived[] = "SELECT FROM cutover.chunk LIMIT 1";
constexpr char kIndexesBegan[] = "SELECT FROM cutover.progress WHERE stage = 'indexes'";

TEST_P(Clone, KilledAnywhereItStartsAgainAndProvesTheCopy) {
  TrapTenant tenant(target());
  for (const char* when : {kRowsArrived, kIndexesBegan}) {
    EXPECT_EQ(CloneAndKill(tenant, target(), SIGKILL, when), 1000 + SIGKILL) << when;
    // Closed to the tenant as long as it is not proven.
    pg::Connection admin = MustConnect(target());
    EXPECT_THAT(MustRead(admin, "SELECT datconnlimit FROM pg_database WHERE datname = $1",
                         {pg::Param(tenant.copy_name())}),
                ElementsAre("0"));
  }
  // The binary names the move after its ends; so does this.
  EXPECT_EQ(CloneAndKill(tenant, target(), SIGKILL, "SELECT FROM cutover.no_such_table"), -1);
  Report report = MustVerify(tenant.VerifyAll());
  EXPECT_TRUE(report.equal()) << Describe(report);
}

TEST_P(Clone, AskedToStopItLeavesNoSessionBehindAndSaysSo) {
  TrapTenant tenant(target());
  EXPECT_EQ(CloneAndKill(tenant, target(), SIGTERM, kRowsArrived), kExitInterrupted);
  pg::Connection admin = MustConnect(target());
  const Deadline deadline = Deadline::After(std::chrono::seconds(60));
  std::vector<std::string> sessions;
  do {
    sessions = MustRead(admin, "SELECT state FROM pg_stat_activity WHERE datname = $1",
                        {pg::Param(tenant.copy_name())});
  } while (!sessions.empty() && !deadline.Expired());
  EXPECT_THAT(sessions, IsEmpty());
}

}  // namespace
}  // namespace cutover::mover::testing
