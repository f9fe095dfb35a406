// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/traps/move.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "operator/base/random.h"
#include "tests/postgres/mover/tenant.h"

namespace cutover::mover::testing {

using pg::QuoteIdentifier;
using pg::QuoteLiteral;
using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::UniqueName;

Move::Move(const pg::ConnectOptions& source, const pg::ConnectOptions& target,
           const std::string& properties)
    : source_(source), target_(target), name_(UniqueName("trap")), copy_(UniqueName("copy")) {
  pg::Connection server = MustConnect(source_);
  MustExec(server, {"CREATE DATABASE " + quoted() + " TEMPLATE template0 " + properties});
  options = CloneTo(Source(), target_, copy_);
}

Move::~Move() {
  options = CloneOptions();
  for (const pg::ConnectOptions& server : {source_, target_}) {
    pg::Connection admin = MustConnect(server);
    for (const std::string& database : MustRead(
             admin, "SELECT datname FROM pg_database WHERE datname IN ($1, $2)", {name_, copy_})) {
      // No database with a subscription can be dropped.
      pg::Connection inside = MustConnect(server.WithDatabase(database));
      for (const std::string& statement :
           MustRead(inside,
                    "SELECT format(s, subname) FROM pg_subscription JOIN pg_database d ON d.oid ="
                    " subdbid AND datname = current_database(), unnest(ARRAY["
                    " 'ALTER SUBSCRIPTION %I DISABLE',"
                    " 'ALTER SUBSCRIPTION %I SET (slot_name = NONE)', 'DROP SUBSCRIPTION %I']) s"))
        MustExec(inside, {statement});
      MustExec(admin, {"DROP DATABASE " + QuoteIdentifier(database) + " WITH (FORCE)"});
    }
    for (const std::string& role : roles_) {
      // What the server has granted; a role that is not there has nothing.
      Status disowned = admin.Exec({}, pg::testing::Soon(),
                                   "DROP OWNED BY " + QuoteIdentifier(role) + " CASCADE");
      MustExec(admin, {"DROP ROLE IF EXISTS " + QuoteIdentifier(role)});
    }
  }
}

std::string Move::Role(std::string_view attributes, std::string_view prefix) {
  pg::Connection server = MustConnect(source_);
  roles_.push_back(UniqueName(prefix));
  MustExec(server,
           {"CREATE ROLE " + QuoteIdentifier(roles_.back()) + " " + std::string(attributes)});
  return roles_.back();
}

void Move::Plant(const std::vector<std::string>& statements) {
  pg::Connection inside = MustConnect(Source());
  MustExec(inside, {"SET search_path TO public"});
  MustExec(inside, statements);
}

void Move::PlantOnTarget(const std::vector<std::string>& statements) {
  pg::Connection server = MustConnect(target_);
  MustExec(server, statements);
}

void Move::WriteAs(const PlainAdmin& admin) {
  options.admin = admin.As(*options.admin);
  options.target = admin.As(options.target);
}

Report Move::MustArrive() {
  Report report = MustClone(options);
  EXPECT_TRUE(report.equal()) << Describe(report);
  return report;
}

Error Move::MustFail() {
  Reporter silent(Reporter::Output::kSilent);
  Result<Report> report = CloneDatabase({}, Programs(), options, silent);
  if (!report) return std::move(report).error();
  ADD_FAILURE() << "it was cloned: " << Describe(*report);
  return Error{Disposition::kRetry, "Cloned", ""};
}

std::string Move::MustBeRefused(std::string_view reason) {
  Error error = MustFail();
  EXPECT_EQ(error.reason, reason) << error.message;
  EXPECT_EQ(error.disposition, Disposition::kTerminal);
  pg::Connection server = MustConnect(target_);
  EXPECT_THAT(MustRead(server, "SELECT datname FROM pg_database WHERE datname IN ($1, $2)",
                       {copy_, "cutover_new_test-" + copy_}),
              ::testing::IsEmpty())
      << "something was written before the refusal";
  return error.message;
}

std::vector<std::string> Move::OnSource(const std::string& sql) {
  pg::Connection inside = MustConnect(Source());
  return MustRead(inside, sql);
}

std::vector<std::string> Move::OnTarget(const std::string& sql) {
  pg::Connection inside = MustConnect(Copy());
  return MustRead(inside, sql);
}

void Move::ExpectSame(const std::string& sql) {
  const std::vector<std::string> source = OnSource(sql);
  EXPECT_FALSE(source.empty()) << sql;
  EXPECT_EQ(source, OnTarget(sql)) << sql;
}

PlainAdmin::PlainAdmin(const pg::ConnectOptions& server, std::string_view attributes,
                       const std::vector<std::string>& grants)
    : server_(server), name_(UniqueName("plain")), password_(RandomHex(8)) {
  pg::Connection admin = MustConnect(server_);
  MustExec(admin, {"CREATE ROLE " + quoted() + " LOGIN PASSWORD " + QuoteLiteral(password_) + " " +
                   std::string(attributes)});
  for (std::string grant : grants) {
    const size_t at = grant.find("%s");
    MustExec(admin, {grant.replace(at, 2, quoted())});
  }
}

PlainAdmin::~PlainAdmin() {
  pg::Connection admin = MustConnect(server_);
  // Roles that it has granted to itself or others depend on it.
  Status disowned = admin.Exec({}, pg::testing::Soon(), "DROP OWNED BY " + quoted() + " CASCADE");
  Status dropped = admin.Exec({}, pg::testing::Soon(), "DROP ROLE " + quoted());
  EXPECT_TRUE(dropped) << dropped.error().message;
}

pg::ConnectOptions PlainAdmin::As(pg::ConnectOptions options) const {
  options.user = name_;
  options.password = password_;
  return options;
}

}  // namespace cutover::mover::testing
