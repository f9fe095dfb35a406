// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/mover/slow_move.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "operator/base/check.h"
#include "postgres/control.h"
#include "postgres/database.h"
#include "postgres/roles.h"
#include "tests/postgres/mover/tenant.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using pg::testing::Soon;

constexpr auto kLook = std::chrono::milliseconds(50);
constexpr auto kStartPatience = std::chrono::seconds(60);
/// A backend notices a client that died when it next reads from it or writes to it.
constexpr auto kEndPatience = std::chrono::seconds(60);

bool Eventually(std::chrono::seconds patience, const std::function<bool()>& holds) {
  const Deadline deadline = Deadline::After(patience);
  while (!holds()) {
    if (deadline.Expired()) return false;
    std::this_thread::sleep_for(kLook);
  }
  return true;
}

std::string Conninfo(const pg::ConnectOptions& options) {
  return "host=" + options.host + " port=" + std::to_string(options.port) +
         " user=" + options.user + " dbname=" + options.database;
}

std::string MakeDirectory() {
  std::string name = std::filesystem::temp_directory_path() / "cutover-move-XXXXXX";
  CHECK(mkdtemp(name.data()) != nullptr);
  return name;
}

}  // namespace

SlowMove::SlowMove(const pg::ConnectOptions& source, const pg::ConnectOptions& target,
                   int rows_per_table)
    : source_(source),
      target_(target),
      rows_per_table_(rows_per_table),
      tenant_(std::make_unique<pg::testing::TestRole>(source)),
      database_(std::make_unique<pg::testing::TestDatabase>(source, tenant_->name(), "slow")),
      copy_(pg::testing::UniqueName("copy")),
      directory_(MakeDirectory()) {
  pg::Connection admin = MustConnect(Source());
  for (int i = 1; i <= kTables; ++i) {
    const std::string table = "public.part_" + std::to_string(i);
    // Below the size from which values are compressed: a table is as big as what is read from it.
    // Nothing but us shall write into the source's statistics, which a case counts.
    MustExec(admin, {"CREATE TABLE " + table +
                         " (id int PRIMARY KEY, body text) WITH (autovacuum_enabled = off)",
                     "ALTER TABLE " + table + " OWNER TO " + tenant_->quoted(),
                     "INSERT INTO " + table +
                         " SELECT i, repeat(md5(i::text), 32) FROM generate_series(1, " +
                         std::to_string(rows_per_table) + ") i"});
  }
}

SlowMove::~SlowMove() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
  pg::Connection admin = MustConnect(target_);
  MustExec(admin, {"DROP DATABASE IF EXISTS " + pg::QuoteIdentifier(copy_) + " WITH (FORCE)",
                   "DROP ROLE IF EXISTS " + tenant_->quoted()});
}

std::vector<std::string> SlowMove::CloneArguments(const std::vector<std::string>& more) const {
  std::vector<std::string> arguments = {
      "--pg-bindir", Servers().bin_directory, "clone",      "--source", Conninfo(Source()),
      "--target",    Conninfo(target_),       "--database", copy_};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::string SlowMove::SourceConninfo() const { return Conninfo(Source()); }

std::vector<std::pair<std::string, std::string>> SlowMove::Environment() const {
  return {{kSourcePasswordVariable, source_.password},
          {kTargetPasswordVariable, target_.password},
          {"CUTOVER_PG_BINDIR", Servers().bin_directory},
          {kTerminationLogVariable, directory_ + "/termination-log"}};
}

CloneOptions SlowMove::Options() const { return CloneTo(Source(), target_, copy_); }

JobSpec SlowMove::PrepareJob() const {
  JobSpec spec;
  spec.kind = JobKind::kClone;
  spec.migration_uid = "job-" + copy_;
  spec.epoch = 1;
  spec.source = EndpointOf(Source());
  spec.target = EndpointOf(Copy());
  pg::Connection source = MustConnect(Source());
  auto properties = pg::FindDatabase({}, Soon(), source, Source().database);
  CHECK(properties && *properties);
  (*properties)->name = copy_;
  Status created = pg::CreateTargetDatabase({}, Soon(), target_, **properties,
                                            {spec.migration_uid, 1, pg::Side::kTarget});
  if (!created) ADD_FAILURE() << created.error().message;
  return spec;
}

std::string SlowMove::WriteSpec(const JobSpec& spec) const {
  const std::string path = directory_ + "/spec.json";
  std::ofstream(path + ".new") << EncodeJobSpec(spec).Dump();
  std::filesystem::rename(path + ".new", path);
  return path;
}

std::map<std::string, std::string> SlowMove::Committed() const {
  std::map<std::string, std::string> committed;
  auto copy = pg::Connection::Open({}, Soon(), Copy());
  if (!copy) return committed;
  auto rows = copy->Query({}, Soon(),
                          "SELECT table_name, committed_at FROM cutover.chunk"
                          " WHERE committed_at IS NOT NULL");
  if (!rows) return committed;
  for (const pg::Row row : *rows) committed.emplace(row.Text(0), row.Text(1));
  return committed;
}

void SlowMove::AwaitCommitted(size_t chunks) const {
  ASSERT_TRUE(Eventually(kStartPatience, [&] { return Committed().size() >= chunks; }))
      << Committed().size() << " chunks were committed";
}

void SlowMove::AwaitPlan() const {
  ASSERT_TRUE(Eventually(kStartPatience, [&] {
    return ReadCopy("SELECT count(*) FROM cutover.chunk").value_or("0") != "0";
  })) << "no plan was written";
}

std::optional<std::string> SlowMove::ReadCopy(const std::string& sql) const {
  auto copy = pg::Connection::Open({}, Soon(), Copy());
  if (!copy) return std::nullopt;
  auto rows = copy->Query({}, Soon(), sql);
  if (!rows || rows->empty()) return std::nullopt;
  return (*rows)[0].Text(0);
}

void SlowMove::ExpectNobodyIn(const pg::ConnectOptions& server, const std::string& database) {
  pg::Connection admin = MustConnect(server);
  std::vector<std::string> sessions;
  const bool gone = Eventually(kEndPatience, [&] {
    sessions = MustRead(admin,
                        "SELECT application_name || ' ' || state || ' ' || left(query, 60)"
                        " FROM pg_stat_activity"
                        " WHERE datname = $1 AND backend_type = 'client backend'",
                        {database});
    return sessions.empty();
  });
  EXPECT_TRUE(gone) << sessions.size() << " sessions in " << database << ": " << sessions.front();
  EXPECT_EQ(MustRead(admin,
                     "SELECT (SELECT count(*) FROM pg_replication_slots WHERE database = $1)"
                     " + (SELECT count(*) FROM pg_prepared_xacts WHERE database = $1)",
                     {database})[0],
            "0");
}

void SlowMove::ExpectNothingLeft() const {
  ExpectNobodyIn(source_, Source().database);
  ExpectNobodyIn(target_, copy_);
  pg::Connection source = MustConnect(Source());
  EXPECT_EQ(MustRead(source, "SELECT count(*) FROM pg_namespace WHERE nspname = 'cutover'")[0],
            "0");
  pg::Connection admin = MustConnect(target_);
  auto roles = pg::ReadRoles({}, Soon(), admin, {tenant()});
  ASSERT_TRUE(roles) << roles.error().message;
  const std::optional<std::string> uid =
      ReadCopy("SELECT migration_uid FROM cutover.progress LIMIT 1");
  if (roles->roles.empty() || !uid) return;  // Nothing came, or the copy is proven and open.
  EXPECT_TRUE(pg::IsCreatedBy(roles->roles[0], *uid)) << roles->roles[0].comment;
}

Result<pg::Connection> SlowMove::ConnectTenant() const {
  pg::ConnectOptions options = Copy();
  options.user = tenant();
  options.password = tenant_->password();
  return pg::Connection::Open({}, Soon(), options);
}

void SlowMove::ExpectClosed() const {
  Result<pg::Connection> connected = ConnectTenant();
  ASSERT_FALSE(connected) << "the tenant is in a copy that nobody has proven";
  // Not for another reason: the copy is there, and role and password have come along.
  EXPECT_TRUE(connected.error().reason == "TooManyConnections" ||
              connected.error().reason == "InsufficientPrivilege")
      << connected.error().reason << ": " << connected.error().message;
}

void SlowMove::ExpectOpenAndWhole() const {
  Result<pg::Connection> connected = ConnectTenant();
  ASSERT_TRUE(connected) << connected.error().message;
  for (int i = 1; i <= kTables; ++i)
    EXPECT_EQ(MustRead(*connected, "SELECT count(*) FROM public.part_" + std::to_string(i))[0],
              std::to_string(rows_per_table_));
}

}  // namespace cutover::mover::testing
