// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/mover/tenant.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <utility>

#include "operator/base/check.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::Servers;
using pg::testing::Soon;

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

std::string TrapSql(const std::string& tenant, const std::string& reader, bool older) {
  std::ifstream file("tests/postgres/mover/traps.sql");
  std::string sql((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  CHECK(!sql.empty());
  ReplaceAll(sql, ":tenant", pg::QuoteIdentifier(tenant));
  ReplaceAll(sql, ":reader", pg::QuoteIdentifier(reader));
  if (older) ReplaceAll(sql, "--older ", "");
  return sql;
}

}  // namespace

TrapTenant::TrapTenant(const pg::ConnectOptions& target)
    : target_(target),
      tenant_(Servers().source, "", "ten ant"),
      reader_(Servers().source, "", "reader"),
      database_(Servers().source, tenant_.name(), "traps"),
      copy_(pg::testing::UniqueName("copy")) {
  pg::Connection admin = MustConnect(Source());
  const bool older = MustConnect(target).major_version() < 17;
  const std::string database = database_.quoted();
  Status made = admin.Exec(
      {}, Deadline::After(std::chrono::seconds(60)),
      "SET search_path TO \"$user\", public;\n" + TrapSql(tenant_.name(), reader_.name(), older));
  if (!made) ADD_FAILURE() << made.error().message;
  pg::testing::MustExec(
      admin,
      {"ALTER DATABASE " + database + " SET search_path TO \"$user\", public, \"Odd schema\"",
       "ALTER DATABASE " + database + " SET default_transaction_read_only TO on",
       "ALTER DATABASE " + database + " SET datestyle TO 'SQL, DMY'",
       "ALTER DATABASE " + database + " SET statement_timeout TO '20ms'",
       "ALTER ROLE " + tenant_.quoted() + " IN DATABASE " + database + " SET work_mem TO '7MB'",
       "COMMENT ON DATABASE " + database + " IS 'the tenant''s'",
       "REVOKE TEMPORARY ON DATABASE " + database + " FROM PUBLIC",
       "GRANT CONNECT ON DATABASE " + database + " TO " + reader_.quoted() + " WITH GRANT OPTION"});
}

TrapTenant::~TrapTenant() {
  pg::Connection admin = MustConnect(target_);
  // Interrupted clones leave the database under its first name, too.
  for (const std::string& name : pg::testing::MustRead(
           admin, "SELECT datname FROM pg_database WHERE datname = $1", {pg::Param(copy_)}))
    pg::testing::MustExec(admin, {"DROP DATABASE " + pg::QuoteIdentifier(name) + " WITH (FORCE)"});
  if (target_.port == Servers().source.port) return;
  pg::testing::MustExec(admin, {"DROP ROLE IF EXISTS " + tenant_.quoted(),
                                "DROP ROLE IF EXISTS " + reader_.quoted()});
}

CloneOptions TrapTenant::CloneAll() const { return CloneTo(Source(), target_, copy_); }

VerifyOptions TrapTenant::VerifyAll() const {
  VerifyOptions options;
  options.source = Source();
  options.target = Copy();
  return options;
}

CloneOptions CloneTo(const pg::ConnectOptions& source, const pg::ConnectOptions& admin,
                     const std::string& copy) {
  CloneOptions options;
  options.source = source;
  options.target = admin.WithDatabase(copy);
  options.admin = admin;
  options.migration_uid = "test-" + copy;
  return options;
}

PgPrograms Programs() { return PgPrograms::In(Servers().bin_directory); }

Endpoint EndpointOf(const pg::ConnectOptions& options) {
  Endpoint endpoint;
  endpoint.host = options.host;
  endpoint.port = options.port;
  endpoint.database = options.database;
  endpoint.user = options.user;
  return endpoint;
}

Report MustClone(const CloneOptions& options) {
  Reporter silent(Reporter::Output::kSilent);
  Result<Report> report = CloneDatabase({}, Programs(), options, silent);
  if (report) return std::move(*report);
  ADD_FAILURE() << report.error().reason << ": " << report.error().message;
  Report failed;
  failed.mismatch_count = -1;
  return failed;
}

Report MustVerify(const VerifyOptions& options) {
  Reporter silent(Reporter::Output::kSilent);
  Result<Report> report = VerifyDatabases({}, Programs(), options, std::nullopt, silent);
  if (report) return std::move(*report);
  ADD_FAILURE() << report.error().reason << ": " << report.error().message;
  Report failed;
  failed.mismatch_count = -1;
  return failed;
}

std::string Describe(const Report& report) {
  std::string text;
  for (const Mismatch& mismatch : report.mismatches)
    text += mismatch.table + " (" + mismatch.kind + "): " + mismatch.source + " | " +
            mismatch.target + "\n";
  return text;
}

}  // namespace cutover::mover::testing
