// SPDX-License-Identifier: Apache-2.0
//
// Bad input, as far as it takes a server to see what becomes of it; docs/failure-modes.md has the
// whole list.
#include <gtest/gtest.h>

#include "postgres/control.h"
#include "postgres/database.h"
#include "postgres/fence.h"
#include "postgres/roles.h"
#include "postgres/server_probe.h"
#include "reconcilers/migration/cluster/database_side.h"
#include "tests/postgres/servers.h"

namespace cutover::migration {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using pg::testing::Soon;
using pg::testing::TestDatabase;
using pg::testing::UniqueName;

std::string IdentifierOf(const pg::ConnectOptions& server) {
  pg::Connection connection = MustConnect(server);
  return *pg::ReadSystemIdentifier({}, Soon(), connection);
}

TEST(BadInput, AServerReplacedBehindTheSameNameIsUnknownAndNeverEmpty) {
  pg::testing::TestRole owner(Servers().source);
  TestDatabase database(Servers().source, owner.name());
  const std::string known = IdentifierOf(Servers().source);
  DatabaseSide right("pg-shared-1", known, Servers().source, database.name());
  auto facts = right.Observe({}, Soon(), "uid-1", /*epoch=*/1);
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_TRUE(facts->exists);

  // The same name leads to another cluster, which has no such database.
  DatabaseSide replaced("pg-shared-1", known, Servers().target, database.name());
  for (int look = 0; look < 2; ++look) {
    auto unknown = replaced.Observe({}, Soon(), "uid-1", /*epoch=*/1);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().reason, "IdentityChanged");
    EXPECT_EQ(unknown.error().disposition, Disposition::kRetry) << "must never undo anything";
    EXPECT_NE(unknown.error().message.find(known), std::string::npos);
  }
  EXPECT_FALSE(replaced.InDatabase({}, Soon()));
  EXPECT_FALSE(replaced.Beside({}, Soon()));
}

TEST(BadInput, ADatabaseWhoseDropWasCutShortIsUnknownAndSaidToBe) {
  pg::testing::TestRole owner(Servers().source);
  TestDatabase database(Servers().source, owner.name());
  pg::Connection server = pg::testing::MustConnect(Servers().source);
  pg::testing::MustExec(server, {"UPDATE pg_database SET datconnlimit = -2 WHERE datname = " +
                                 pg::QuoteLiteral(database.name())});
  DatabaseSide side("pg-shared-1", IdentifierOf(Servers().source), Servers().source,
                    database.name());
  auto facts = side.Observe({}, Soon(), "uid-1", /*epoch=*/1);
  ASSERT_FALSE(facts);
  EXPECT_EQ(facts.error().reason, "HalfDropped");
}

// A database and its owner, both of this name, from the source to an open target.
class Names : public ::testing::TestWithParam<std::string> {
 protected:
  Names() {
    // Unique, and exactly as long as is allowed where the case is about length.
    std::string unique = UniqueName("n") + GetParam();
    if (GetParam().size() >= 60) unique = unique.substr(0, 63);
    name_ = unique;
    pg::Connection source = MustConnect(Servers().source);
    const std::string quoted = pg::QuoteIdentifier(name_);
    MustExec(source, {"CREATE ROLE " + quoted + " LOGIN PASSWORD 'right'",
                      "CREATE DATABASE " + quoted + " OWNER " + quoted});
  }
  ~Names() override {
    for (const pg::ConnectOptions* server : {&Servers().source, &Servers().target}) {
      pg::Connection connection = MustConnect(*server);
      const std::string quoted = pg::QuoteIdentifier(name_);
      MustExec(connection, {"DROP DATABASE IF EXISTS " + quoted + " WITH (FORCE)"});
      EXPECT_TRUE(pg::DropCreatedRoles({}, Soon(), connection, uid_));
      MustExec(connection, {"DROP ROLE IF EXISTS " + quoted});
    }
  }
  Result<pg::Connection> LogIn(const pg::ConnectOptions& server) {
    pg::ConnectOptions options = server.WithDatabase(name_);
    options.user = name_;
    options.password = "right";
    return pg::Connection::Open({}, Soon(), options);
  }

  std::string name_;
  const std::string uid_ = UniqueName("uid");
};

INSTANTIATE_TEST_SUITE_P(Odd, Names,
                         ::testing::Values("\"'quotes'\"", "new\nline", std::string(63, 'x'),
                                           "\xC3\xBC\xE6\xBC\xA2\xF0\x9F\xA6\x80", "back\\slash",
                                           "per%cent $1 {}", " spaces "),
                         [](const auto& name) { return "Case" + std::to_string(name.index); });

TEST_P(Names, GoThroughAWholeCutover) {
  using pg::ControlState;
  pg::Claim at_source{uid_, 1, pg::Side::kSource};
  pg::Claim at_target{uid_, 1, pg::Side::kTarget};
  ASSERT_TRUE(LogIn(Servers().source));
  pg::Connection source = MustConnect(Servers().source.WithDatabase(name_));
  auto properties = pg::FindDatabase({}, Soon(), source, name_);
  ASSERT_TRUE(properties && *properties);
  // Before the fence, which takes the database away from its owner.
  auto roles = pg::ReadReferencedRoles({}, Soon(), source);
  ASSERT_TRUE(roles);
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), source, at_source));
  Status fenced = pg::Fence({}, Soon(), source, at_source);
  ASSERT_TRUE(fenced) << fenced.error().message;
  EXPECT_FALSE(LogIn(Servers().source));

  pg::Connection beside = MustConnect(Servers().target);
  auto transaction = pg::Transaction::Begin({}, Soon(), beside);
  ASSERT_TRUE(transaction);
  Status created = pg::CreateRoles({}, Soon(), *transaction, *roles, uid_);
  ASSERT_TRUE(created) << created.error().message;
  ASSERT_TRUE(transaction->Commit({}, Soon()));
  Status made = pg::CreateTargetDatabase({}, Soon(), Servers().target, **properties, at_target);
  ASSERT_TRUE(made) << made.error().message;
  pg::Connection target = MustConnect(Servers().target.WithDatabase(name_));
  for (auto [from, to] : {std::pair(ControlState::kPreparing, ControlState::kCopied),
                          std::pair(ControlState::kCopied, ControlState::kVerified)})
    ASSERT_TRUE(pg::CompareAndSetState({}, Soon(), target, at_target, from, to));
  auto access = pg::ReadAccessBeforeFence({}, Soon(), source);
  ASSERT_TRUE(access);
  Status opened = pg::OpenDatabase({}, Soon(), target, at_target, *access);
  ASSERT_TRUE(opened) << opened.error().message;
  auto tenant = LogIn(Servers().target);
  EXPECT_TRUE(tenant) << tenant.error().message;
}

}  // namespace
}  // namespace cutover::migration
