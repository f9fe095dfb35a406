// SPDX-License-Identifier: Apache-2.0
//
// Clients that prepare statements by the protocol, as most drivers do, behind a PgBouncer that
// keeps them (max_prepared_statements, from 1.21 on): the one of the newer Debian.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/postgres/pooler/pooled_tenant.h"
#include "tests/postgres/pooler/prepared_session.h"
#include "tests/postgres/servers.h"

namespace cutover::pg::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PreparedStatements : public ::testing::Test {
 protected:
  OwnPoolerOptions Keeping(int statements) const {
    OwnPoolerOptions options = tenant_.Options();
    options.program = Servers().newer_pooler;
    options.settings = {"max_prepared_statements = " + std::to_string(statements)};
    return options;
  }
  void SetUp() override { tenant_.Fence(tenant_.target()); }  // Closed from creation.
  void Switch(Poolers& poolers, const ConnectOptions& from, const ConnectOptions& to) {
    tenant_.MoveBehindAPause(poolers, from, to);
    const PoolerProof proof = tenant_.Proof(to);
    const Result<bool> proven = poolers.ProveBefore({}, Soon(), {tenant_.name()}, proof);
    ASSERT_TRUE(proven) << proven.error().message;
    Connection admin = MustConnect(to);
    const Status resumed = poolers.ResumeOnto({}, Soon(), {tenant_.name()}, proof, admin);
    ASSERT_TRUE(resumed) << resumed.error().message;
  }
  PreparedSession Client(const OwnPooler& pooler) const {
    return *PreparedSession::Open(pooler.As(tenant_.name(), tenant_.password()), tenant_.name());
  }

  PooledTenant tenant_;
};

TEST_F(PreparedStatements, WhatWasPreparedBeforeTheSwitchIsExecutedThereAndBackWithoutAnError) {
  const OwnPooler first(Keeping(10)), second(Keeping(10));
  Poolers poolers({first.Admin(), second.Admin()});
  Writer one(tenant_, first, 1, Speech::kPrepared), two(tenant_, second, 2, Speech::kPrepared),
      texts(tenant_, first, 3);
  Switch(poolers, tenant_.source(), tenant_.target());
  AwaitProgress({&one, &two, &texts});
  Switch(poolers, tenant_.target(), tenant_.source());
  AwaitProgress({&one, &two, &texts});
  for (Writer* writer : {&one, &two, &texts}) {
    writer->Stop();
    // Without an error each has kept its session, and in it what it prepared at the beginning.
    EXPECT_THAT(writer->errors(), IsEmpty()) << writer->number();
    ExpectAllWritten(tenant_.source(), *writer);
  }
}

// It is so with any other connection, too, and so whoever uses such clients has it kept, or lets
// them prepare nothing.
TEST_F(PreparedStatements, WithoutAPoolerThatKeepsThemTheyAreGoneWithTheConnection) {
  const OwnPooler pooler(Keeping(0));
  Poolers poolers({pooler.Admin()});
  PreparedSession client = Client(pooler);
  ASSERT_TRUE(client.Prepare("write", "INSERT INTO public.written VALUES ($1, $2)"));
  ASSERT_TRUE(client.Execute({{"write", {"1", "1"}}}));
  ASSERT_TRUE(poolers.Pause({}, Soon(), {tenant_.name()}, {}));
  ASSERT_TRUE(poolers.Resume({}, Soon(), {tenant_.name()}));
  const Status unmoved = client.Execute({{"write", {"1", "2"}}});
  ASSERT_FALSE(unmoved);
  EXPECT_THAT(unmoved.error().message, HasSubstr("does not exist"));
}

// Types that come with the server have the same number everywhere; those that the tenant or an
// extension has made are numbered by each server.
TEST_F(PreparedStatements, AStatementThatNamesATypeOfTheTenantsByItsNumberIsRefusedOnTheTarget) {
  Connection source = MustConnect(tenant_.source()), target = MustConnect(tenant_.target());
  const char* make = "CREATE TYPE public.mood AS ENUM ('good', 'bad')";
  const char* numbered = "SELECT 'public.mood'::regtype::oid::text";
  for (Connection* side : {&source, &target}) MustExec(*side, {make});
  const std::string number = MustRead(source, numbered).front();
  // Two servers may have come equally far by chance.
  if (MustRead(target, numbered).front() == number)
    MustExec(target, {"ALTER TYPE public.mood RENAME TO made_before", make});
  for (Connection* side : {&source, &target})
    MustExec(*side, {"ALTER TABLE public.written ADD mood public.mood"});
  const OwnPooler pooler(Keeping(10));
  Poolers poolers({pooler.Admin()});
  PreparedSession client = Client(pooler);
  const char* write = "INSERT INTO public.written VALUES (1, 1, $1)";
  ASSERT_TRUE(client.Prepare("by number", write, {static_cast<Oid>(std::stoul(number))}));
  ASSERT_TRUE(client.Prepare("by name", write));
  ASSERT_TRUE(client.Execute({{"by number", {"good"}}}));
  ASSERT_TRUE(client.Execute({{"by name", {"good"}}}));
  Switch(poolers, tenant_.source(), tenant_.target());
  const Status by_name = client.Execute({{"by name", {"bad"}}});
  EXPECT_TRUE(by_name) << by_name.error().message;
  const Status by_number = client.Execute({{"by number", {"bad"}}});
  ASSERT_FALSE(by_number);
  EXPECT_EQ(MustRead(target, "SELECT count(*) FROM public.written WHERE mood = 'bad'").front(),
            "1");
}

}  // namespace
}  // namespace cutover::pg::testing
