// SPDX-License-Identifier: Apache-2.0
#include "postgres/fence.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "tests/postgres/own_server.h"
#include "tests/postgres/servers.h"

namespace cutover::pg {
namespace {

using namespace std::chrono_literals;
using testing::MustConnect;
using testing::MustExec;
using testing::MustRead;
using testing::OwnServer;
using testing::Servers;
using testing::Soon;
using testing::TestDatabase;
using testing::TestRole;
using testing::UniqueName;

/// As an admin who is no superuser, and may close the owner's database.
Connection ConnectPlainly(Connection& superuser, const TestRole& plain, const TestRole& owner,
                          const TestDatabase& database) {
  MustExec(superuser, {"ALTER ROLE " + plain.quoted() + " CREATEDB CREATEROLE",
                       "GRANT " + owner.quoted() + " TO " + plain.quoted(),
                       "GRANT pg_signal_backend, pg_read_all_stats TO " + plain.quoted()});
  return MustConnect(plain.Options(database.name()));
}

/// The fence on a server of each major, since both sides of a move are fenced in time.
class Fencing : public ::testing::TestWithParam<int> {
 protected:
  static const ConnectOptions& Server() { return Servers().OfMajor(GetParam()); }
  void SetUp() override { ASSERT_TRUE(ClaimEpoch({}, Soon(), admin_, claim_)); }
  Result<Connection> ConnectAsTenant() {
    return Connection::Open({}, Soon(), owner_.Options(database_.name()));
  }
  DatabaseAccess Access() { return *ReadAccess({}, Soon(), admin_, database_.name()); }
  Status FenceNow() { return Fence({}, Soon(), admin_, claim_); }

  TestRole owner_{Server()};
  TestRole reader_{Server(), "", "odd \"reader\""};
  TestDatabase database_{Server(), owner_.name(), "odd \"db\""};
  Connection admin_ = MustConnect(database_.Options());
  Connection elsewhere_ = MustConnect(Server());
  Claim claim_{"uid-1", 1, Side::kSource};
};

INSTANTIATE_TEST_SUITE_P(OnMajor, Fencing, ::testing::Values(13, 15, 17, 18),
                         [](const auto& major) { return std::to_string(major.param); });

TEST_P(Fencing, RefusesTheTenantAndProvesIt) {
  ASSERT_TRUE(ConnectAsTenant());
  EXPECT_FALSE(ProveFenced({}, Soon(), admin_));
  Status fenced = FenceNow();
  ASSERT_TRUE(fenced) << fenced.error().message;
  EXPECT_FALSE(ConnectAsTenant());
  EXPECT_EQ((*ReadControl({}, Soon(), admin_))->state, ControlState::kFenced);
  auto state = ObserveFence({}, Soon(), admin_);
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->refuses_newcomers()) << "whoever was just refused may be on his way out still";
  EXPECT_TRUE(ProveFenced({}, Soon(), admin_));
}

TEST_P(Fencing, ATenantCannotTakeItDownFromAnotherDatabase) {
  ASSERT_TRUE(FenceNow());
  Connection tenant = MustConnect(owner_.Options("postgres"));
  for (const std::string& trick :
       {"ALTER DATABASE " + database_.quoted() + " CONNECTION LIMIT -1",
        "ALTER DATABASE " + database_.quoted() + " OWNER TO " + owner_.quoted(),
        "ALTER DATABASE " + database_.quoted() + " RENAME TO mine",
        "DROP DATABASE " + database_.quoted()}) {
    EXPECT_FALSE(tenant.Exec({}, Soon(), trick)) << trick;
  }
  // Refused or a mere warning, by version; it must grant nothing either way.
  [[maybe_unused]] Status granted =
      tenant.Exec({}, Soon(), "GRANT ALL ON DATABASE " + database_.quoted() + " TO PUBLIC");
  EXPECT_FALSE(ConnectAsTenant());
  Status proof = ProveFenced({}, Soon(), admin_);
  EXPECT_TRUE(proof) << proof.error().message;
}

TEST_P(Fencing, AnOpenTransactionEndsWithAnErrorAndItsWriteIsAbsent) {
  Connection tenant = MustConnect(owner_.Options(database_.name()));
  MustExec(tenant, {"CREATE SCHEMA s", "CREATE TABLE s.t (a int)", "INSERT INTO s.t VALUES (1)",
                    "BEGIN", "INSERT INTO s.t VALUES (2)"});
  Status fenced = FenceNow();
  ASSERT_TRUE(fenced) << fenced.error().message;
  EXPECT_FALSE(tenant.Exec({}, Soon(), "COMMIT"));
  EXPECT_EQ(MustRead(admin_, "SELECT a FROM s.t"), std::vector<std::string>{"1"});
}

TEST_P(Fencing, NoWriteIsAcknowledgedAfterTheProof) {
  MustExec(admin_, {"CREATE TABLE public.t (a int)", "GRANT INSERT ON public.t TO PUBLIC"});
  std::atomic<int> acknowledged = 0;
  std::vector<std::jthread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&](std::stop_token stop) {
      while (!stop.stop_requested()) {
        auto tenant = ConnectAsTenant();
        while (tenant && !stop.stop_requested()) {
          if (!tenant->Exec({}, Soon(), "INSERT INTO public.t VALUES (1)")) break;
          ++acknowledged;
        }
      }
    });
  }
  while (acknowledged < 50) std::this_thread::sleep_for(5ms);
  Status fenced = FenceNow();
  ASSERT_TRUE(fenced) << fenced.error().message;
  const std::string at_proof = MustRead(admin_, "SELECT count(*) FROM public.t").front();
  std::this_thread::sleep_for(300ms);
  writers.clear();
  EXPECT_EQ(MustRead(admin_, "SELECT count(*) FROM public.t").front(), at_proof);
  EXPECT_LE(acknowledged.load(), std::stoi(at_proof));
}

TEST_P(Fencing, APreparedTransactionBlocksItAndIsNamed) {
  Connection tenant = MustConnect(owner_.Options(database_.name()));
  const std::string gid = UniqueName("gid");
  MustExec(tenant, {"CREATE SCHEMA s", "CREATE TABLE s.t (a int)", "BEGIN",
                    "INSERT INTO s.t VALUES (1)", "PREPARE TRANSACTION " + QuoteLiteral(gid)});
  const DatabaseAccess before = Access();
  Status fenced = FenceNow();
  ASSERT_FALSE(fenced);
  EXPECT_EQ(fenced.error().reason, "PreparedTransactions");
  EXPECT_EQ(fenced.error().disposition, Disposition::kTerminal);
  EXPECT_NE(fenced.error().message.find(gid), std::string::npos);
  EXPECT_EQ(Access(), before);
  EXPECT_TRUE(ConnectAsTenant());
  MustExec(tenant, {"ROLLBACK PREPARED " + QuoteLiteral(gid)});
  EXPECT_TRUE(FenceNow());
}

TEST_P(Fencing, APreparedTransactionThatIsCommittedInAMomentOnlyDelaysIt) {
  Connection tenant = MustConnect(owner_.Options(database_.name()));
  const std::string gid = UniqueName("gid");
  MustExec(tenant, {"CREATE SCHEMA s", "CREATE TABLE s.t (a int)", "BEGIN",
                    "INSERT INTO s.t VALUES (1)", "PREPARE TRANSACTION " + QuoteLiteral(gid)});
  std::jthread coordinator([&] {
    std::this_thread::sleep_for(100ms);
    MustExec(tenant, {"COMMIT PREPARED " + QuoteLiteral(gid)});
  });
  Status fenced = FenceNow();
  ASSERT_TRUE(fenced) << fenced.error().message;
  EXPECT_EQ(MustRead(admin_, "SELECT count(*) FROM s.t").front(), "1");
}

TEST_P(Fencing, WhoeverAsksForThatEndsWhatIsPreparedOnceNobodyCanCommitIt) {
  Connection tenant = MustConnect(owner_.Options(database_.name()));
  MustExec(tenant,
           {"CREATE SCHEMA s", "CREATE TABLE s.t (a int)", "BEGIN", "INSERT INTO s.t VALUES (1)",
            "PREPARE TRANSACTION " + QuoteLiteral(UniqueName("it's \\ "))});
  const TestDatabase others(Server(), owner_.name());
  Connection neighbour = MustConnect(owner_.Options(others.name()));
  const std::string neighbours = UniqueName("gid");
  MustExec(neighbour, {"BEGIN", "SELECT pg_advisory_xact_lock(1)",
                       "PREPARE TRANSACTION " + QuoteLiteral(neighbours)});
  FenceOptions options;
  options.end_prepared = true;
  const Status fenced = Fence({}, Soon(), admin_, claim_, options);
  EXPECT_TRUE(fenced) << fenced.error().message;
  EXPECT_EQ(MustRead(admin_, "SELECT count(*) FROM s.t").front(), "0");
  EXPECT_EQ(MustRead(admin_, "SELECT count(*) FROM pg_prepared_xacts WHERE gid = $1", {neighbours})
                .front(),
            "1")
      << "of another database";
  MustExec(neighbour, {"ROLLBACK PREPARED " + QuoteLiteral(neighbours)});
}

TEST_P(Fencing, WhatIsPreparedAndNotOursToEndIsNamed) {
  const TestRole plain{Server()};
  const TestDatabase other{Server(), owner_.name()};
  Connection closing = ConnectPlainly(elsewhere_, plain, owner_, other);
  const Claim claim{"uid-2", 1, Side::kSource};
  ASSERT_TRUE(ClaimEpoch({}, Soon(), closing, claim));
  Connection tenant = MustConnect(owner_.Options(other.name()));
  const std::string gid = UniqueName("gid");
  MustExec(tenant, {"BEGIN", "SELECT pg_advisory_xact_lock(1)",
                    "PREPARE TRANSACTION " + QuoteLiteral(gid)});
  FenceOptions options;
  options.end_prepared = true;
  const Status fenced = Fence({}, Soon(), closing, claim, options);
  EXPECT_FALSE(fenced);
  if (!fenced) {
    EXPECT_EQ(fenced.error().reason, "PreparedTransactions");
    EXPECT_NE(fenced.error().message.find(gid), std::string::npos);
  }
  {
    Connection superuser = MustConnect(other.Options());
    MustExec(superuser, {"ROLLBACK PREPARED " + QuoteLiteral(gid)});
  }
  EXPECT_TRUE(Fence({}, Soon(), closing, claim, options));
}

TEST_P(Fencing, ATenantWhoIsASuperuserIsRefused) {
  MustExec(elsewhere_, {"ALTER ROLE " + owner_.quoted() + " SUPERUSER"});
  Status fenced = FenceNow();
  ASSERT_FALSE(fenced);
  EXPECT_EQ(fenced.error().reason, "SuperuserOwner");
}

TEST_P(Fencing, AMemberOfTheAdminRoleKeepsTheProofAway) {
  MustExec(elsewhere_, {"GRANT cutover_admin TO " + reader_.quoted()});
  Status fenced = FenceNow();
  ASSERT_FALSE(fenced);
  EXPECT_EQ(fenced.error().reason, "NotFenced");
  MustExec(elsewhere_, {"REVOKE cutover_admin FROM " + reader_.quoted()});
  EXPECT_TRUE(FenceNow());
}

TEST_P(Fencing, BySomebodyPlainEndsWhomItMayAndNamesWhomOnlyASuperuserCan) {
  const TestRole plain{Server()};
  const TestDatabase other{Server(), owner_.name()};
  Connection closing = ConnectPlainly(elsewhere_, plain, owner_, other);
  const Claim claim{"uid-2", 1, Side::kSource};
  ASSERT_TRUE(ClaimEpoch({}, Soon(), closing, claim));
  Connection tenant = MustConnect(owner_.Options(other.name()));
  {
    Connection superuser = MustConnect(other.Options());
    const Status fenced = Fence({}, Deadline::After(3s), closing, claim);
    ASSERT_FALSE(fenced);
    EXPECT_EQ(fenced.error().reason, "SessionsRemain") << fenced.error().message;
    EXPECT_NE(fenced.error().message.find("only a superuser can end them"), std::string::npos);
    EXPECT_FALSE(tenant.Exec({}, Soon(), "SELECT 1")) << "the tenant's has ended all the same";
    EXPECT_TRUE(superuser.Exec({}, Soon(), "SELECT 1"));
  }
  if (!closing.usable()) closing = MustConnect(plain.Options(other.name()));
  const Status fenced = Fence({}, Soon(), closing, claim);
  EXPECT_TRUE(fenced) << fenced.error().message;
}

// On a server of its own: nobody is let in while its pg_database is locked.
TEST(FencingInTime, TimeThatIsUpInTheMiddleOfALookStillNamesWhoIsThere) {
  const OwnServer server(17);
  const TestRole owner{server.Options()}, plain{server.Options()};
  const TestDatabase database{server.Options(), owner.name()};
  Connection admin = MustConnect(server.Options());
  Connection closing = ConnectPlainly(admin, plain, owner, database);
  const Claim claim{"uid-1", 1, Side::kSource};
  ASSERT_TRUE(ClaimEpoch({}, Soon(), closing, claim));
  Connection superuser = MustConnect(database.Options());
  Connection tenant = MustConnect(owner.Options(database.name()));
  std::jthread blocker([&, pid = tenant.backend_pid()] {
    // Once a look has been, and has had the tenant's session ended, none comes to an end.
    const std::string session =
        "SELECT pid FROM pg_stat_activity WHERE pid = " + std::to_string(pid);
    while (!MustRead(admin, session).empty()) std::this_thread::sleep_for(5ms);
    MustExec(superuser, {"BEGIN", "LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE"});
  });
  const Status fenced = Fence({}, Deadline::After(6s), closing, claim);
  blocker.join();
  MustExec(superuser, {"ROLLBACK"});
  ASSERT_FALSE(fenced);
  EXPECT_EQ(fenced.error().reason, "SessionsRemain") << fenced.error().message;
  EXPECT_NE(fenced.error().message.find("only a superuser can end them"), std::string::npos);
}

TEST_P(Fencing, RestoresEveryShapeOfAccessExactly) {
  const std::string on = " ON DATABASE " + database_.quoted();
  struct Shape {
    const char* reason;
    std::vector<std::string> statements;
  };
  const std::vector<Shape> shapes = {
      {"a NULL list", {}},
      {"PUBLIC revoked", {"REVOKE ALL" + on + " FROM PUBLIC"}},
      {"a quoted role with grant option",
       {"GRANT CONNECT" + on + " TO " + reader_.quoted() + " WITH GRANT OPTION"}},
      {"a grant by somebody else than the owner",
       {"SET ROLE " + reader_.quoted(), "GRANT CONNECT" + on + " TO " + owner_.quoted(),
        "GRANT CONNECT" + on + " TO PUBLIC", "RESET ROLE"}},
      {"a connection limit", {"ALTER DATABASE " + database_.quoted() + " CONNECTION LIMIT 7"}},
      {"an owner without privileges", {"REVOKE ALL" + on + " FROM " + owner_.quoted()}},
      {"an empty list",
       {"REVOKE ALL" + on + " FROM " + reader_.quoted() + " CASCADE",
        "REVOKE ALL" + on + " FROM PUBLIC"}},
  };
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(shape.reason);
    MustExec(elsewhere_, shape.statements);
    const DatabaseAccess before = Access();
    Status fenced = FenceNow();
    ASSERT_TRUE(fenced) << fenced.error().message;
    ASSERT_NE(Access(), before);
    Status unfenced = Unfence({}, Soon(), admin_, claim_, ControlState::kOpen);
    ASSERT_TRUE(unfenced) << unfenced.error().message;
    EXPECT_EQ(Access(), before);
    EXPECT_EQ((*ReadControl({}, Soon(), admin_))->state, ControlState::kOpen);
  }
}

TEST_P(Fencing, TheTenantWorksAgainAfterUndo) {
  ASSERT_TRUE(FenceNow());
  ASSERT_TRUE(Unfence({}, Soon(), admin_, claim_, ControlState::kOpen));
  auto tenant = ConnectAsTenant();
  ASSERT_TRUE(tenant) << tenant.error().message;
  EXPECT_TRUE(tenant->Exec({}, Soon(), "CREATE SCHEMA s"));
}

TEST_P(Fencing, IsIdempotentAndKeepsTheFirstRecord) {
  const DatabaseAccess before = Access();
  ASSERT_TRUE(FenceNow());
  ASSERT_TRUE(FenceNow());
  ASSERT_TRUE(Unfence({}, Soon(), admin_, claim_, ControlState::kOpen));
  ASSERT_TRUE(Unfence({}, Soon(), admin_, claim_, ControlState::kOpen));
  EXPECT_EQ(Access(), before);
}

TEST_P(Fencing, AFenceThatSomebodyOpenedIsClosedAgainWithoutANewRecord) {
  const DatabaseAccess before = Access();
  ASSERT_TRUE(FenceNow());
  MustExec(elsewhere_, {"GRANT CONNECT ON DATABASE " + database_.quoted() + " TO PUBLIC",
                        "ALTER DATABASE " + database_.quoted() + " CONNECTION LIMIT -1"});
  EXPECT_FALSE(ProveFenced({}, Soon(), admin_));
  ASSERT_TRUE(FenceNow());
  ASSERT_TRUE(Unfence({}, Soon(), admin_, claim_, ControlState::kOpen));
  EXPECT_EQ(Access(), before);
}

TEST_P(Fencing, ASecondFenceRecordsWhatTheTenantChangedInBetween) {
  ASSERT_TRUE(FenceNow());
  ASSERT_TRUE(Unfence({}, Soon(), admin_, claim_, ControlState::kOpen));
  MustExec(elsewhere_, {"ALTER DATABASE " + database_.quoted() + " CONNECTION LIMIT 5"});
  ASSERT_TRUE(FenceNow());
  ASSERT_TRUE(Unfence({}, Soon(), admin_, claim_, ControlState::kOpen));
  EXPECT_EQ(Access().connection_limit, 5);
}

// A crash between two steps is a connection that ends there; the next leader, of a higher epoch,
// repeats the whole.
TEST_P(Fencing, GoesOnAfterACrashBetweenAnyTwoSteps) {
  const DatabaseAccess before = Access();
  int64_t epoch = claim_.epoch;
  using Step = std::function<Status(Connection&, const Claim&)>;
  const std::vector<Step> steps = {
      [](Connection& connection, const Claim& claim) {
        return RecordAndClose({}, Soon(), connection, claim);
      },
      [](Connection& connection, const Claim&) {
        return TerminateSessions({}, Soon(), connection);
      },
      [](Connection& connection, const Claim&) { return ProveFenced({}, Soon(), connection); },
  };
  for (size_t crash_after = 0; crash_after <= steps.size(); ++crash_after) {
    SCOPED_TRACE(crash_after);
    Connection tenant = MustConnect(owner_.Options(database_.name()));
    {
      Connection dying = MustConnect(database_.Options());
      const Claim claim{claim_.migration_uid, ++epoch, Side::kSource};
      for (size_t step = 0; step < crash_after; ++step) ASSERT_TRUE(steps[step](dying, claim));
    }
    const Claim next{claim_.migration_uid, ++epoch, Side::kSource};
    Status fenced = Fence({}, Soon(), admin_, next);
    ASSERT_TRUE(fenced) << fenced.error().message;
    EXPECT_FALSE(tenant.Exec({}, Soon(), "SELECT 1"));
    ASSERT_TRUE(Unfence({}, Soon(), admin_, next, ControlState::kOpen));
    EXPECT_EQ(Access(), before);
  }
}

TEST_P(Fencing, ADeposedLeaderNeitherClosesNorOpens) {
  ASSERT_TRUE(ClaimEpoch({}, Soon(), admin_, Claim{"uid-1", 5, Side::kSource}));
  const DatabaseAccess before = Access();
  Status fenced = FenceNow();
  ASSERT_FALSE(fenced);
  EXPECT_EQ(fenced.error().reason, "Deposed");
  EXPECT_EQ(Access(), before);
}

TEST_P(Fencing, AfterTheJournalUndoDoesNotReopenButRollbackDoes) {
  const DatabaseAccess before = Access();
  ASSERT_TRUE(FenceNow());
  ASSERT_TRUE(CompareAndSetState({}, Soon(), admin_, claim_, ControlState::kFenced,
                                 ControlState::kJournaled));
  Status undone = Unfence({}, Soon(), admin_, claim_, ControlState::kOpen);
  ASSERT_FALSE(undone);
  EXPECT_EQ(undone.error().reason, "StateMismatch");
  EXPECT_FALSE(ConnectAsTenant());
  ASSERT_TRUE(Unfence({}, Soon(), admin_, claim_, ControlState::kReopened));
  EXPECT_EQ(Access(), before);
}

TEST_P(Fencing, AfterTheJournalWhatSomebodyOpenedIsClosedAgainWhereThatIsAskedFor) {
  const DatabaseAccess before = Access();
  ASSERT_TRUE(FenceNow());
  const DatabaseAccess fenced = Access();
  ASSERT_TRUE(CompareAndSetState({}, Soon(), admin_, claim_, ControlState::kFenced,
                                 ControlState::kJournaled));
  MustExec(elsewhere_, {"ALTER DATABASE " + database_.quoted() + " CONNECTION LIMIT -1",
                        "GRANT CONNECT ON DATABASE " + database_.quoted() + " TO PUBLIC"});
  Connection tenant = MustConnect(owner_.Options(database_.name()));
  Status refused = Fence({}, Soon(), admin_, claim_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "StateMismatch");

  FenceOptions options;
  options.keep_journal = true;
  ASSERT_TRUE(Fence({}, Soon(), admin_, claim_, options));
  EXPECT_EQ(Access(), fenced);
  EXPECT_FALSE(tenant.Exec({}, Soon(), "SELECT 1"));
  EXPECT_EQ(ReadControl({}, Soon(), admin_)->value().state, ControlState::kJournaled);
  ASSERT_TRUE(Unfence({}, Soon(), admin_, claim_, ControlState::kReopened));
  EXPECT_EQ(Access(), before) << "what was recorded first";
}

TEST_P(Fencing, ARollbackOpensASourceWhoseJournalAFailoverHasLost) {
  const DatabaseAccess before = Access();
  ASSERT_TRUE(FenceNow());
  ASSERT_TRUE(Unfence({}, Soon(), admin_, claim_, ControlState::kReopened));
  EXPECT_EQ(Access(), before);
  EXPECT_EQ(ReadControl({}, Soon(), admin_)->value().state, ControlState::kReopened);
}

TEST_P(Fencing, AnAllowedRoleStaysLetIn) {
  FenceOptions options;
  options.allowed_roles = {reader_.name()};
  ASSERT_TRUE(RecordAndClose({}, Soon(), admin_, claim_, options));
  auto state = ObserveFence({}, Soon(), admin_, options);
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->refuses_newcomers());
  EXPECT_EQ(MustRead(admin_, "SELECT has_database_privilege($1, current_database(), 'CONNECT')",
                     {reader_.name()}),
            std::vector<std::string>{"t"});
}

TEST_P(Fencing, ARoleDroppedMeanwhileDoesNotKeepTheTenantOut) {
  const std::string gone = QuoteIdentifier(UniqueName("gone"));
  MustExec(elsewhere_, {"CREATE ROLE " + gone,
                        "GRANT CONNECT ON DATABASE " + database_.quoted() + " TO " + gone});
  ASSERT_TRUE(FenceNow());
  MustExec(elsewhere_, {"DROP ROLE " + gone});
  Status unfenced = Unfence({}, Soon(), admin_, claim_, ControlState::kOpen);
  ASSERT_TRUE(unfenced) << unfenced.error().message;
  EXPECT_TRUE(ConnectAsTenant());
}

TEST_P(Fencing, SessionsAreCountedByRoleAndApplication) {
  Connection tenant = MustConnect(owner_.Options(database_.name()));
  auto groups = ReadSessions({}, Soon(), admin_, database_.name(), {"cutover_admin"});
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 1u);
  EXPECT_EQ(groups->front().role, owner_.name());
  EXPECT_EQ(groups->front().application, "tenant");
  EXPECT_EQ(CountClients(*groups), 1);
}

}  // namespace
}  // namespace cutover::pg
