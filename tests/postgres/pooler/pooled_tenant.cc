// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/pooler/pooled_tenant.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "operator/base/check.h"
#include "postgres/server_probe.h"
#include "postgres/simple_session.h"
#include "tests/postgres/pooler/prepared_session.h"
#include "tests/postgres/servers.h"

namespace cutover::pg::testing {
namespace {

constexpr char kTable[] = "public.written";

/// Writes the row of that number, its transaction as a client with several statements has it, or in
/// one.
using WriteRow = std::function<Status(int n)>;

Status WriteSimply(SimpleSession& session, int writer, int n) {
  const std::string insert = "INSERT INTO " + std::string(kTable) + " VALUES (" +
                             std::to_string(writer) + ", " + std::to_string(n) + ")";
  if (n % 2 == 0) {
    TRY(session.Query({}, Soon(), insert));
    return Ok();
  }
  TRY(session.Query({}, Soon(), "BEGIN"));
  TRY(session.Query({}, Soon(), insert));
  TRY(session.Query({}, Soon(), "COMMIT"));
  return Ok();
}

Status WritePrepared(PreparedSession& session, int writer, int n) {
  const PreparedSession::Call write = {"write", {std::to_string(writer), std::to_string(n)}};
  if (n % 2 == 0) return session.Execute({write});
  return session.Execute({{"begin", {}}, write, {"commit", {}}});
}

Result<WriteRow> Open(const PoolerLogin& login, const std::string& database, int writer,
                      Speech speech) {
  if (speech == Speech::kSimple) {
    TRY_ASSIGN(SimpleSession opened, SimpleSession::Open({}, Soon(), login, database));
    auto session = std::make_shared<SimpleSession>(std::move(opened));
    return [session, writer](int n) { return WriteSimply(*session, writer, n); };
  }
  TRY_ASSIGN(PreparedSession opened, PreparedSession::Open(login, database));
  auto session = std::make_shared<PreparedSession>(std::move(opened));
  TRY(session->Prepare("begin", "BEGIN"));
  TRY(session->Prepare("write", "INSERT INTO " + std::string(kTable) + " VALUES ($1, $2)"));
  TRY(session->Prepare("commit", "COMMIT"));
  return [session, writer](int n) { return WritePrepared(*session, writer, n); };
}

}  // namespace

PooledTenant::PooledTenant()
    : name_(UniqueName("pooled")),
      password_("secret of " + name_),
      source_(Servers().source.WithDatabase(name_)),
      target_(Servers().target.WithDatabase(name_)),
      relay_(source_.port) {
  for (const ConnectOptions& server : {source_, target_}) {
    Connection admin = MustConnect(server.WithDatabase("postgres"));
    MustExec(admin,
             {"CREATE ROLE " + name_ + " LOGIN PASSWORD " + QuoteLiteral(password_),
              "CREATE DATABASE " + name_, "REVOKE CONNECT ON DATABASE " + name_ + " FROM PUBLIC",
              "GRANT CONNECT ON DATABASE " + name_ + " TO " + name_});
    Connection inside = MustConnect(server);
    MustExec(inside, {"CREATE TABLE " + std::string(kTable) + " (writer int, n int)",
                      "GRANT ALL ON " + std::string(kTable) + " TO " + name_});
  }
}

PooledTenant::~PooledTenant() {
  for (const ConnectOptions& server : {source_, target_}) {
    Connection admin = MustConnect(server.WithDatabase("postgres"));
    MustExec(admin, {"DROP DATABASE " + name_ + " WITH (FORCE)", "DROP ROLE " + name_});
  }
}

std::string PooledTenant::Entry(const std::string& entry, const std::string& more) const {
  return entry + " = host=127.0.0.1 port=" + std::to_string(relay_.port()) + " " + more;
}

OwnPoolerOptions PooledTenant::Options(bool with_probe_entry) const {
  OwnPoolerOptions options;
  options.entries = {Entry(name_)};
  if (with_probe_entry) options.entries.push_back(Entry("postgres", "pool_mode=session"));
  options.users = {{name_, password_}};
  return options;
}

void PooledTenant::Fence(const ConnectOptions& server) const {
  Connection admin = MustConnect(server.WithDatabase("postgres"));
  MustExec(admin, {"REVOKE CONNECT ON DATABASE " + name_ + " FROM " + name_,
                   "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = " +
                       QuoteLiteral(name_) + " AND datname = " + QuoteLiteral(name_)});
}

void PooledTenant::Unfence(const ConnectOptions& server) const {
  Connection admin = MustConnect(server.WithDatabase("postgres"));
  MustExec(admin, {"GRANT CONNECT ON DATABASE " + name_ + " TO " + name_});
}

void PooledTenant::CarryRows(const ConnectOptions& from, const ConnectOptions& to) const {
  Connection reader = MustConnect(from);
  const std::vector<std::string> rows =
      MustRead(reader, "SELECT '(' || writer || ',' || n || ')' FROM " + std::string(kTable));
  std::string values;
  for (const std::string& row : rows) values += (values.empty() ? "" : ",") + row;
  Connection writer = MustConnect(to);
  MustExec(writer, {"TRUNCATE " + std::string(kTable)});
  if (!rows.empty()) MustExec(writer, {"INSERT INTO " + std::string(kTable) + " VALUES " + values});
}

void PooledTenant::MoveBehindAPause(Poolers& poolers, const ConnectOptions& from,
                                    const ConnectOptions& to) {
  const Result<PauseReport> paused = poolers.Pause({}, Soon(), {name_}, {});
  ASSERT_TRUE(paused) << paused.error().message;
  Fence(from);
  CarryRows(from, to);
  Unfence(to);
  if (to.port == target_.port)
    LeadToTarget();
  else
    LeadToSource();
}

PoolerProof PooledTenant::Proof(const ConnectOptions& server) const {
  Connection admin = MustConnect(server);
  const Result<std::string> identifier = ReadSystemIdentifier({}, Soon(), admin);
  CHECK(identifier.has_value());
  return {name_, password_, *identifier};
}

int PooledTenant::Sessions(const ConnectOptions& server) const {
  Connection admin = MustConnect(server.WithDatabase("postgres"));
  return std::stoi(MustRead(admin,
                            "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND datname "
                            "= $1",
                            {name_})
                       .front());
}

int PooledTenant::SessionsThatStay(const ConnectOptions& server) const {
  const Deadline deadline = Soon();
  int sessions = Sessions(server);
  while (sessions > 0 && !deadline.Expired()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    sessions = Sessions(server);
  }
  return sessions;
}

Writer::Writer(const PooledTenant& tenant, const OwnPooler& pooler, int number, Speech speech)
    : number_(number), speech_(speech) {
  const PoolerLogin login = pooler.As(tenant.name(), tenant.password());
  thread_ = std::jthread([this, login, database = tenant.name()](const std::stop_token& stop) {
    Write(stop, login, database);
  });
  AwaitProgress({this});
}

void Writer::Stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void Writer::Write(const std::stop_token& stop, const PoolerLogin& login,
                   const std::string& database) {
  std::optional<WriteRow> write;
  for (int n = 0; !stop.stop_requested(); ++n) {
    const auto start = std::chrono::steady_clock::now();
    if (!write) {
      Result<WriteRow> opened = Open(login, database, number_, speech_);
      if (!opened) {
        errors_.push_back(opened.error().message);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        continue;
      }
      write = std::move(*opened);
    }
    if (const Status written = (*write)(n); written) {
      rows_.insert(n);
      ++acknowledged_;
    } else {
      errors_.push_back(written.error().message);
      write.reset();
    }
    longest_ = std::max(longest_, std::chrono::duration_cast<std::chrono::milliseconds>(
                                      std::chrono::steady_clock::now() - start));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void ExpectAllWritten(const ConnectOptions& server, const Writer& writer) {
  Connection admin = MustConnect(server);
  std::set<int> found;
  for (const std::string& n : MustRead(
           admin, "SELECT n FROM " + std::string(kTable) + " WHERE writer = $1", {writer.number()}))
    EXPECT_TRUE(found.insert(std::stoi(n)).second) << "row " << n << " is there twice";
  for (int n : writer.rows()) EXPECT_TRUE(found.contains(n)) << "row " << n << " is lost";
}

void AwaitProgress(const std::vector<const Writer*>& writers) {
  const Deadline deadline = Soon();
  for (const Writer* writer : writers) {
    const int before = writer->acknowledged();
    while (writer->acknowledged() == before) {
      ASSERT_FALSE(deadline.Expired()) << "writer " << writer->number() << " makes no progress";
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

}  // namespace cutover::pg::testing
