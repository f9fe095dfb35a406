// SPDX-License-Identifier: Apache-2.0
#include "postgres/connection.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <stop_token>
#include <thread>

#include "postgres/snapshot.h"
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

std::chrono::milliseconds Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               start);
}

TEST(Connection, RoundTripsParametersOfEveryKind) {
  Connection connection = MustConnect(Servers().source);
  auto rows = connection.QueryOne(
      {}, Soon(), "SELECT $1::text, $2::bigint, $3::boolean, $4::text, $5::text[], $6::float8",
      {"it's", 42, true, std::nullopt, std::vector<std::string>{"a,b", "", "NULL", "\"\\"}, "1.5"});
  ASSERT_TRUE(rows) << rows.error().message;
  Row row = (*rows)[0];
  EXPECT_EQ(row.Text(0), "it's");
  EXPECT_EQ(row.Int(1), 42);
  EXPECT_TRUE(row.Bool(2));
  EXPECT_TRUE(row.IsNull(3));
  EXPECT_EQ(row.TextArray(4), (std::vector<std::string>{"a,b", "", "NULL", "\"\\"}));
  EXPECT_EQ(row.Double(5), 1.5);
}

TEST(Connection, QuotesWhatTheServerReadsBackUnchanged) {
  Connection connection = MustConnect(Servers().target);
  const std::string odd = "it's \"odd\" \\ \n name";
  auto rows = connection.QueryOne({}, Soon(),
                                  "SELECT " + QuoteLiteral(odd) + " AS " + QuoteIdentifier(odd));
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ((*rows)[0].Text(0), odd);
}

/// "off" where the session's programs would run without event triggers, too.
std::string SettingOfPrograms(const ConnectOptions& options) {
  for (const auto& [name, value] : EnvironmentFor(options)) {
    const size_t at = value.find("event_triggers=");
    if (name == "PGOPTIONS" && at != std::string::npos) return value.substr(at + 15, 3);
  }
  return "";
}

// It would run before our first statement, as our admin.
TEST(Connection, RunsNoTriggerOnLoginWhereItMay) {
  for (const int major : {17, 18}) {
    const ConnectOptions& server = Servers().OfMajor(major);
    TestRole tenant(server);
    TestDatabase database(server, tenant.name());
    Connection before = MustConnect(database.Options());
    MustExec(before, {"CREATE FUNCTION public.fails() RETURNS event_trigger LANGUAGE plpgsql AS"
                      " 'BEGIN RAISE EXCEPTION $$nobody gets in$$; END'",
                      "CREATE EVENT TRIGGER fails ON login EXECUTE FUNCTION public.fails()"});
    auto admin = Connection::Open({}, Soon(), database.Options());
    ASSERT_TRUE(admin) << admin.error().message;
    EXPECT_EQ(SettingOfPrograms(admin->options()), "off");
    // Nor do those who get the options of a session that may.
    ConnectOptions options = admin->options();
    options.user = tenant.name();
    options.password = tenant.password();
    for (int time = 0; time < 2; ++time) {
      auto refused = Connection::Open({}, Soon(), options);
      ASSERT_FALSE(refused) << "the trigger is not armed";
      EXPECT_NE(refused.error().message.find("nobody gets in"), std::string::npos)
          << refused.error().message;
    }
    MustExec(*admin, {"DROP EVENT TRIGGER fails"});
    EXPECT_TRUE(Connection::Open({}, Soon(), options));
  }
}

// Each refusal is a line in the log of somebody's server.
TEST(Connection, IsRefusedOnceByAServerThatHasEventTriggersButNoSettingForThem) {
  TestRole admin(Servers().source, "SUPERUSER", "admin");
  auto refusals = [&] {
    std::ifstream log(Servers().directory + "/source.log");
    int count = 0;
    for (std::string line; std::getline(log, line);)
      count += line.find(admin.name() + "@") != line.npos &&
               line.find("\"event_triggers\"") != line.npos;
    return count;
  };
  Connection first = MustConnect(admin.Options("postgres"));
  const int asked = refusals();  // By libpq once more when the first time was with TLS.
  EXPECT_GE(asked, 1);
  EXPECT_EQ(SettingOfPrograms(first.options()), "");
  for (int time = 0; time < 3; ++time) MustConnect(admin.Options("postgres"));
  EXPECT_EQ(refusals(), asked);
}

// By default it is two hours until the locks of a client whose node has died are free.
TEST(Connection, HasTheServerLookWhetherTheClientIsStillThere) {
  Connection connection = MustConnect(Servers().source);
  EXPECT_EQ(MustRead(connection, "SHOW tcp_keepalives_idle"), std::vector<std::string>{"10"});
  EXPECT_EQ(MustRead(connection, "SHOW tcp_keepalives_interval"), std::vector<std::string>{"5"});
  EXPECT_EQ(MustRead(connection, "SHOW tcp_keepalives_count"), std::vector<std::string>{"3"});
}

TEST(Connection, WrongPasswordIsTerminalAndNeverShown) {
  ConnectOptions options = Servers().source;
  options.password = "not-the-password";
  auto connection = Connection::Open({}, Soon(), options);
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().disposition, Disposition::kTerminal);
  EXPECT_EQ(connection.error().reason, "AuthenticationFailed");
  EXPECT_EQ(connection.error().message.find("not-the-password"), std::string::npos);
}

TEST(Connection, AbsentDatabaseIsTerminalAndDeadServerIsRetried) {
  auto absent = Connection::Open({}, Soon(), Servers().source.WithDatabase("no such database"));
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().reason, "DatabaseNotFound");
  ConnectOptions dead = Servers().source;
  dead.port = 1;
  auto refused = Connection::Open({}, Soon(), dead);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ConnectionFailed");
  EXPECT_EQ(refused.error().disposition, Disposition::kRetry);
}

TEST(Connection, VerifiesTheServersCertificateAgainstThePemGiven) {
  ConnectOptions options = Servers().target;
  options.ssl_mode = "verify-full";
  std::ifstream file(Servers().ca_file);
  std::stringstream pem;
  pem << file.rdbuf();
  options.ca_pem = pem.str();
  Connection connection = MustConnect(options);
  EXPECT_EQ(MustRead(connection, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
            std::vector<std::string>{"true"});
  options.ca_pem.clear();
  options.ca_file = "/etc/ssl/certs/ca-certificates.crt";
  auto distrusted = Connection::Open({}, Soon(), options);
  ASSERT_FALSE(distrusted);
  EXPECT_EQ(distrusted.error().reason, "TlsFailed");
}

TEST(Connection, SettingsOfDatabaseAndRoleDoNotReachOurSessions) {
  TestRole owner(Servers().source);
  TestDatabase database(Servers().source, owner.name());
  {
    Connection admin = MustConnect(Servers().source);
    const std::string alter = "ALTER DATABASE " + database.quoted() + " SET ";
    MustExec(
        admin,
        {alter + "client_encoding = 'LATIN1'", alter + "default_transaction_read_only = on",
         alter + "DateStyle = 'German'", alter + "IntervalStyle = 'iso_8601'",
         alter + "TimeZone = 'Asia/Tokyo'", alter + "extra_float_digits = -5",
         alter + "bytea_output = 'escape'", alter + "array_nulls = off",
         alter + "statement_timeout = '1ms'", alter + "search_path = 'public'",
         alter + "role = " + QuoteLiteral(owner.name()),
         alter + "session_replication_role = 'replica'", alter + "idle_session_timeout = '1s'"});
  }
  Connection connection = MustConnect(database.Options());
  EXPECT_EQ(MustRead(connection, R"(
      SELECT concat_ws(' ', current_setting('client_encoding'),
                       current_setting('default_transaction_read_only'),
                       '2026-11-21 10:00+00'::timestamptz, '1 day 2 hours'::interval,
                       0.1::float8 + 0.2::float8, '\x00ff'::bytea, '{NULL}'::text[],
                       current_setting('statement_timeout'),
                       current_setting('search_path') = '',
                       current_user = session_user,
                       current_setting('session_replication_role'),
                       current_setting('idle_session_timeout')))"),
            std::vector<std::string>{
                "UTF8 off 2026-11-21 10:00:00+00 1 day 02:00:00 0.30000000000000004 \\x00ff "
                "{NULL} 0 t t origin 0"});
}

// Whether the session of the source ends what it does, which the server may take a moment for.
bool NoLongerActive(int pid) {
  Connection other = MustConnect(Servers().source);
  for (const Deadline deadline = Soon(); !deadline.Expired(); std::this_thread::sleep_for(20ms))
    if (MustRead(other, "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid = $1",
                 {pid})
            .empty())
      return true;
  return false;
}

TEST(Connection, DeadlineCancelsTheStatementAtTheServer) {
  Connection connection = MustConnect(Servers().source);
  const int pid = connection.backend_pid();
  const auto start = std::chrono::steady_clock::now();
  auto slept = connection.Query({}, Deadline::After(1s), "SELECT pg_sleep(600)");
  ASSERT_FALSE(slept);
  EXPECT_EQ(slept.error().reason, "DeadlineExceeded");
  EXPECT_LT(Since(start), 60s);
  EXPECT_FALSE(connection.usable());
  EXPECT_TRUE(NoLongerActive(pid));
}

TEST(Connection, StopRequestEndsAWaitAtOnce) {
  Connection connection = MustConnect(Servers().target);
  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(150ms);
    source.request_stop();
  });
  const auto start = std::chrono::steady_clock::now();
  auto slept = connection.Query(source.get_token(), Deadline::After(600s), "SELECT pg_sleep(600)");
  ASSERT_FALSE(slept);
  EXPECT_EQ(slept.error().reason, "Stopped");
  EXPECT_LT(Since(start), 60s);
}

std::vector<std::string> FirstColumns(const std::vector<Rows>& each) {
  std::vector<std::string> values;
  for (const Rows& rows : each) values.push_back(rows[0].Text(0));
  return values;
}

TEST(QueryEach, AnswersInOrderEachInATransactionOfItsOwn) {
  Connection connection = MustConnect(Servers().source);
  const Statement number = {"SELECT pg_current_xact_id()", {}};
  auto each = connection.QueryEach({}, Soon(), {{"SELECT $1::text", {"a"}}, number, number});
  ASSERT_TRUE(each) << each.error().message;
  const std::vector<std::string> values = FirstColumns(*each);
  EXPECT_EQ(values[0], "a");
  EXPECT_LT(std::stoll(values[1]), std::stoll(values[2]));
  EXPECT_FALSE(connection.in_transaction());
}

TEST(QueryEach, InATransactionAllBelongToIt) {
  Connection connection = MustConnect(Servers().source);
  auto transaction = Transaction::Begin({}, Soon(), connection);
  ASSERT_TRUE(transaction);
  const Statement number = {"SELECT pg_current_xact_id()", {}};
  auto each = transaction->QueryEach({}, Soon(), {number, number});
  ASSERT_TRUE(each) << each.error().message;
  EXPECT_EQ((*each)[0][0].Text(0), (*each)[1][0].Text(0));
  EXPECT_TRUE(transaction->Commit({}, Soon()));
}

TEST(QueryEach, SaysTheFirstErrorAndRunsWhatStandsBehindIt) {
  Connection connection = MustConnect(Servers().source);
  auto each = connection.QueryEach({}, Soon(),
                                   {{"CREATE TEMPORARY TABLE kept (n int)", {}},
                                    {"SELECT 1 / 0", {}},
                                    {"INSERT INTO pg_temp.kept VALUES (1)", {}},
                                    {"SELECT nothing", {}}});
  ASSERT_FALSE(each);
  EXPECT_EQ(connection.last_sqlstate(), "22012");
  EXPECT_NE(each.error().message.find("division by zero"), std::string::npos)
      << each.error().message;
  EXPECT_EQ(MustRead(connection, "SELECT count(*) FROM pg_temp.kept"),
            std::vector<std::string>{"1"});
}

TEST(QueryEach, MoreThanAnyBufferHoldsBlocksNeitherSide) {
  Connection connection = MustConnect(Servers().source);
  const std::string large(200'000, 'x');
  const std::vector<Statement> statements(200, {"SELECT $1::text", {large}});
  auto each = connection.QueryEach({}, Soon(), statements);
  ASSERT_TRUE(each) << each.error().message;
  ASSERT_EQ(each->size(), statements.size());
  for (const Rows& rows : *each) EXPECT_EQ(rows[0].Text(0).size(), large.size());
}

TEST(QueryEach, DeadlineCancelsTheStatementAtTheServer) {
  Connection connection = MustConnect(Servers().source);
  const int pid = connection.backend_pid();
  auto each = connection.QueryEach({}, Deadline::After(1s),
                                   {{"SELECT 1", {}}, {"SELECT pg_sleep(600)", {}}});
  ASSERT_FALSE(each);
  EXPECT_EQ(each.error().reason, "DeadlineExceeded");
  EXPECT_FALSE(connection.usable());
  EXPECT_TRUE(NoLongerActive(pid));
}

TEST(QueryEach, ASessionThatIsEndedBelowItIsRetried) {
  Connection connection = MustConnect(Servers().source);
  auto each = connection.QueryEach(
      {}, Soon(),
      {{"SELECT 1", {}}, {"SELECT pg_terminate_backend(pg_backend_pid())", {}}, {"SELECT 2", {}}});
  ASSERT_FALSE(each);
  EXPECT_EQ(each.error().disposition, Disposition::kRetry) << each.error().message;
  EXPECT_FALSE(connection.usable());
}

TEST(Connection, LostInExecOutsideATransactionIsInDoubt) {
  Connection connection = MustConnect(Servers().source);
  Status died = connection.Exec({}, Soon(), "SELECT pg_terminate_backend(pg_backend_pid())");
  ASSERT_FALSE(died);
  EXPECT_EQ(died.error().disposition, Disposition::kInDoubt);
  EXPECT_FALSE(connection.usable());
}

TEST(Transaction, RollsBackUnlessCommitted) {
  TestRole owner(Servers().source);
  TestDatabase database(Servers().source, owner.name());
  Connection connection = MustConnect(database.Options());
  MustExec(connection, {"CREATE TABLE public.t (a int)"});
  {
    auto transaction = Transaction::Begin({}, Soon(), connection);
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(transaction->Exec({}, Soon(), "INSERT INTO public.t VALUES (1)"));
  }
  auto transaction = Transaction::Begin({}, Soon(), connection);
  ASSERT_TRUE(transaction);
  ASSERT_TRUE(transaction->Exec({}, Soon(), "INSERT INTO public.t VALUES (2)"));
  ASSERT_TRUE(transaction->Commit({}, Soon()));
  EXPECT_EQ(MustRead(connection, "SELECT a FROM public.t"), std::vector<std::string>{"2"});
}

TEST(Transaction, CommitOfAFailedTransactionIsAnError) {
  Connection connection = MustConnect(Servers().source);
  auto transaction = Transaction::Begin({}, Soon(), connection);
  ASSERT_TRUE(transaction);
  ASSERT_FALSE(transaction->Exec({}, Soon(), "SELECT 1/0"));
  Status committed = transaction->Commit({}, Soon());
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().reason, "TransactionAborted");
}

TEST(Transaction, ConnectionLostBeforeCommitIsKnownNotToHaveHappened) {
  Connection connection = MustConnect(Servers().source);
  auto transaction = Transaction::Begin({}, Soon(), connection);
  ASSERT_TRUE(transaction);
  ASSERT_FALSE(transaction->Query({}, Soon(), "SELECT pg_terminate_backend(pg_backend_pid())"));
  Status committed = transaction->Commit({}, Soon());
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().disposition, Disposition::kRetry);
}

// The server dies between the COMMIT and its answer: a deferred trigger runs inside COMMIT, and
// ends its own session.
TEST(Transaction, ConnectionLostInCommitIsInDoubt) {
  TestRole owner(Servers().source);
  TestDatabase database(Servers().source, owner.name());
  Connection connection = MustConnect(database.Options());
  MustExec(connection,
           {"CREATE TABLE public.t (a int)",
            "CREATE FUNCTION public.die() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END$$",
            "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON public.t DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION public.die()"});
  auto transaction = Transaction::Begin({}, Soon(), connection);
  ASSERT_TRUE(transaction);
  ASSERT_TRUE(transaction->Exec({}, Soon(), "INSERT INTO public.t VALUES (1)"));
  Status committed = transaction->Commit({}, Soon());
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().disposition, Disposition::kInDoubt);
  EXPECT_EQ(committed.error().reason, "TransactionInDoubt");
}

TEST(Snapshot, ImportersSeeWhatTheExporterSawAndNothingLater) {
  TestRole owner(Servers().source);
  TestDatabase database(Servers().source, owner.name());
  Connection writer = MustConnect(database.Options());
  MustExec(writer, {"CREATE TABLE public.t (a int)", "INSERT INTO public.t VALUES (1)"});
  auto snapshot = ExportedSnapshot::Export({}, Soon(), database.Options());
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  MustExec(writer, {"INSERT INTO public.t VALUES (2)"});
  Connection reader = MustConnect(database.Options());
  auto transaction = BeginWithSnapshot({}, Soon(), reader, snapshot->id());
  ASSERT_TRUE(transaction) << transaction.error().message;
  EXPECT_EQ(MustRead(reader, "SELECT count(*) FROM public.t"), std::vector<std::string>{"1"});
  EXPECT_TRUE(snapshot->CheckHeld({}, Soon()));
}

TEST(Snapshot, OneThatIsGoneIsSaidToBeLost) {
  for (const ConnectOptions* server : {&Servers().source, &Servers().target}) {
    std::string id;
    {
      auto snapshot = ExportedSnapshot::Export({}, Soon(), *server);
      ASSERT_TRUE(snapshot);
      id = snapshot->id();
    }
    Connection reader = MustConnect(*server);
    auto transaction = BeginWithSnapshot({}, Soon(), reader, id);
    ASSERT_FALSE(transaction);
    EXPECT_EQ(transaction.error().reason, "SnapshotLost");
  }
}

}  // namespace
}  // namespace cutover::pg
