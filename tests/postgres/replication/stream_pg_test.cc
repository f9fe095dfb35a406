// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "postgres/database.h"
#include "postgres/replication/stream.h"
#include "postgres/snapshot.h"
#include "tests/least_time.h"
#include "tests/postgres/own_server.h"
#include "tests/postgres/replication/streaming.h"

namespace cutover::pg {
namespace {

using namespace std::chrono_literals;
using testing::Must;
using testing::MustConnect;
using testing::MustExec;
using testing::MustRead;
using testing::OwnServer;
using testing::Servers;
using testing::Soon;
using testing::Streaming;
using testing::TestDatabase;
using testing::TestRole;
using testing::WaitUntil;
using enum Direction;

constexpr const char* kTable = "CREATE TABLE public.t (id bigint PRIMARY KEY, word text)";
constexpr const char* kAllRows = "SELECT string_agg(t::text, ' ' ORDER BY id) FROM public.t t";

/// Writes numbered rows as the tenant until a write fails; reconnects for as long as it is let in.
class Writer {
 public:
  explicit Writer(const ConnectOptions& options)
      : thread_([this, options](const std::stop_token& stop) {
          auto tenant = Connection::Open({}, Soon(), options);
          int64_t next = 1;
          while (tenant && !stop.stop_requested()) {
            if (!tenant->Exec({}, Soon(),
                              "INSERT INTO public.t VALUES (" + std::to_string(next) + ", 'w')"))
              return;
            acknowledged = next++;
          }
        }) {}
  void Join() { thread_.join(); }
  std::atomic<int64_t> acknowledged = 0;

 private:
  std::jthread thread_;
};

TEST(StreamTraps, Trap75_AMarkerWrittenAfterTheFenceProvesThatAllOfAWritersRowsAreThere) {
  TestRole tenant(Servers().source);
  Streaming move;
  move.OnBoth({kTable});
  MustExec(move.source, {"GRANT INSERT ON public.t TO " + tenant.quoted()});
  move.Follow(kForward);
  Writer writer(tenant.Options(move.source_database.name()));
  WaitUntil([&] { return writer.acknowledged > 200; }, "rows are written");
  Status fenced = Fence({}, Soon(), move.source, move.source_claim, move.Staying());
  ASSERT_TRUE(fenced) << fenced.error().message;
  writer.Join();
  EXPECT_TRUE(move.Published(kForward).slot_active);
  move.Settle(kForward);
  EXPECT_EQ(MustRead(move.source, kAllRows), MustRead(move.target, kAllRows));
  EXPECT_GE(std::stoll(MustRead(move.target, "SELECT count(*) FROM public.t").front()),
            writer.acknowledged.load());
}

// The server has confirmed all that it was sent, and a row of the tenant is still to come.
TEST(StreamTraps, Trap76_NothingLeftToSendIsNotDrainedAndAMarkerThatArrivedIs) {
  OwnServer publisher(15);
  Streaming move({publisher.Options(), Servers().target});
  move.OnBoth({kTable});
  move.Follow(kForward);
  move.Settle(kForward);
  Connection user = MustConnect(move.source_database.Options());
  MustExec(user, {"BEGIN", "INSERT INTO public.t VALUES (1, 'under way')"});
  MustExec(move.source, {"INSERT INTO public.t VALUES (2, 'later, and sooner over')"});
  auto rows = [&] { return MustRead(move.target, "SELECT id FROM public.t ORDER BY id"); };
  WaitUntil([&] { return rows() == std::vector<std::string>{"2"}; }, "the other row is there");
  WaitUntil([&] { return move.Published(kForward).lag_bytes == 0; }, "nothing is left to send");
  EXPECT_EQ(rows(), std::vector<std::string>{"2"});
  const int64_t before = move.Subscribed(kForward).marker;
  MustExec(user, {"COMMIT"});
  Must(WriteMarker({}, Soon(), move.source, move.source_claim, before + 1), "marker");
  WaitUntil([&] { return move.Subscribed(kForward).marker > before; }, "the marker has arrived");
  EXPECT_EQ(rows(), (std::vector<std::string>{"1", "2"}));
}

// CREATE SUBSCRIPTION that makes its slot itself would wait for its own transaction.
TEST(StreamTraps, Trap73_ASubscriptionToADatabaseOfTheSameServerWaitsForNobody) {
  const ConnectOptions& server = Servers().OfMajor(15);
  Streaming move({server, server});
  move.OnBoth({kTable});
  const auto start = std::chrono::steady_clock::now();
  for (Direction direction : {kForward, kReverse}) move.Prepare(direction);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 45s) << "and others may write meanwhile";
  move.Enable(kForward);
  MustExec(move.source, {"INSERT INTO public.t VALUES (1, 'here')"});
  move.Settle(kForward);
  EXPECT_EQ(MustRead(move.target, kAllRows), MustRead(move.source, kAllRows));
}

/// Publishers of each major, since both sides of a move are fenced in time.
class FencedPublisherTraps : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(OnMajor, FencedPublisherTraps, ::testing::Values(13, 15, 17, 18),
                         [](const auto& major) { return std::to_string(major.param); });

TEST_P(FencedPublisherTraps, Trap74_LetsItsWalSenderComeBackAndNobodyElse) {
  const ConnectOptions& server = Servers().OfMajor(GetParam());
  Streaming move({server, server});
  move.OnBoth({kTable});
  MustExec(move.source, {"INSERT INTO public.t VALUES (1, 'before')"});
  move.Follow(kForward);
  Must(Fence({}, Soon(), move.source, move.source_claim, move.Staying()), "fence");
  const std::string role = StreamName(move.uid, kForward);
  MustRead(move.source, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1",
           {role});
  MustExec(move.source, {"INSERT INTO public.t VALUES (2, 'after')"});
  move.Settle(kForward);
  EXPECT_EQ(MustRead(move.target, "SELECT id FROM public.t"), std::vector<std::string>{"2"});
  // A session that is no WAL sender is refused, though the role may connect.
  ConnectOptions as_role = move.source_database.Options();
  as_role.user = role;
  as_role.password = "a 'quoted' \\ password";
  auto session = Connection::Open({}, Soon(), as_role);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().reason, "TooManyConnections") << session.error().message;
  Status proof = ProveFenced({}, Soon(), move.source, move.Staying());
  EXPECT_TRUE(proof) << proof.error().message;
  // Without being told of the stream, the fence takes it for a stranger.
  EXPECT_FALSE(ProveFenced({}, Soon(), move.source));
}

TEST(Stream, AFencedSubscriberAppliesAndAWorkerOfAnotherSubscriptionIsAStranger) {
  Streaming move;
  move.OnBoth({kTable});
  move.Follow(kReverse);
  Must(Fence({}, Soon(), move.source, move.source_claim, move.Staying()), "fence");
  MustExec(move.target, {"INSERT INTO public.t VALUES (1, 'on the target')"});
  move.Settle(kReverse);
  EXPECT_EQ(MustRead(move.source, kAllRows), MustRead(move.target, kAllRows));
  EXPECT_TRUE(ProveFenced({}, Soon(), move.source, move.Staying()));
  Status proof = ProveFenced({}, Soon(), move.source);
  ASSERT_FALSE(proof);
  EXPECT_NE(proof.error().message.find("logical replication"), std::string::npos);
}

TEST(StreamTraps, Trap81_TheReverseOneBeginsExactlyWhereTheSlotWasAdvancedTo) {
  Streaming move;
  move.OnBoth({kTable});
  move.Follow(kForward);
  move.Prepare(kReverse);
  MustExec(move.source, {"INSERT INTO public.t SELECT n, 'forth' FROM generate_series(1, 500) n"});
  move.Settle(kForward);
  EXPECT_EQ(move.FindRogue().transactions, 0);
  Must(StartSubscriptionAtSlot({}, Soon(), move.target, move.source, move.source_claim, kReverse),
       "start");
  Must(DisableSubscription({}, Soon(), move.target, move.target_claim, kForward), "disable");
  // What was sent back would meet its own rows here, and be an error.
  MustExec(move.target, {"INSERT INTO public.t VALUES (501, 'back')",
                         "UPDATE public.t SET word = 'changed' WHERE id = 7"});
  move.Enable(kReverse);
  move.Settle(kReverse);
  EXPECT_EQ(MustRead(move.source, kAllRows), MustRead(move.target, kAllRows));
  EXPECT_EQ(move.Subscribed(kReverse).apply_errors, 0);
}

TEST(Stream, ADisabledSubscriptionAppliesNothingMore) {
  Streaming move;
  move.OnBoth({kTable});
  move.Follow(kForward);
  move.Settle(kForward);
  const auto disable = [&move] {
    move.Enable(kForward);
    move.Settle(kForward);
    return TimeOf([&move] {
      Must(DisableSubscription({}, Soon(), move.target, move.target_claim, kForward), "disable");
    });
  };
  EXPECT_LT(LeastTime(900ms, disable), 900ms);
  EXPECT_FALSE(move.Subscribed(kForward).working);
  MustExec(move.source, {"INSERT INTO public.t VALUES (1, 'late')"});
  std::this_thread::sleep_for(500ms);
  EXPECT_EQ(MustRead(move.target, "SELECT count(*) FROM public.t").front(), "0");
  move.Enable(kForward);
  move.Settle(kForward);
  EXPECT_EQ(MustRead(move.target, "SELECT count(*) FROM public.t").front(), "1");
}

// A way back that is given up: the source comes and goes, and asks for its slot every few seconds.
TEST(Stream, ASlotIsDroppedFromUnderASubscriptionThatReadsIt) {
  Streaming move;
  move.OnBoth({kTable});
  move.Follow(kReverse);
  move.Settle(kReverse);
  ASSERT_TRUE(move.Published(kReverse).slot_active);
  Must(DropSlot({}, Soon(), move.target, move.target_claim, kReverse), "drop the slot");
  PublisherFacts after = move.Published(kReverse);
  EXPECT_FALSE(after.slot_exists);
  EXPECT_EQ(after.retained_bytes, 0);
  EXPECT_TRUE(after.publication_exists) << "the rest goes when the move is completed";
  Must(DropSlot({}, Soon(), move.target, move.target_claim, kReverse), "drop it again");
  WaitUntil([&] { return !move.Subscribed(kReverse).working; }, "the worker finds nothing");
  EXPECT_FALSE(move.Published(kReverse).slot_exists) << "nobody makes it anew";
  Must(DropSubscription({}, Soon(), move.source, move.source_claim, kReverse), "drop the rest");
}

TEST(Stream, EveryStepMayBeRepeatedAndSaysWhatIsThere) {
  Streaming move;
  move.OnBoth({kTable});
  EXPECT_FALSE(move.Published(kForward).slot_exists);
  EXPECT_FALSE(move.Subscribed(kForward).exists);
  for (int time = 0; time < 2; ++time) move.Follow(kForward);
  move.Settle(kForward);
  Must(WriteHeartbeat({}, Soon(), move.source, move.source_claim), "heartbeat");
  // Enabled already, and given its address and password again.
  move.Prepare(kForward);
  MustExec(move.source, {"INSERT INTO public.t VALUES (1, 'x')"});
  move.Settle(kForward);
  const PublisherFacts published = move.Published(kForward);
  EXPECT_TRUE(published.role_exists && published.publication_exists && published.slot_exists);
  EXPECT_EQ(published.wal_status, "reserved");
  EXPECT_EQ(published.safe_wal_bytes, -1);
  const SubscriberFacts subscribed = move.Subscribed(kForward);
  EXPECT_TRUE(subscribed.exists && subscribed.enabled && subscribed.working);
  ASSERT_TRUE(subscribed.heartbeat_at_seconds);
  EXPECT_LE(*subscribed.heartbeat_at_seconds, published.clock_seconds);
  EXPECT_GT(*subscribed.heartbeat_at_seconds, published.clock_seconds - 60);
  EXPECT_EQ(subscribed.last_error, "");
}

// What the neighbours write on a shared server counts as lag until the stream has gone past it.
TEST(Stream, AnIdleTenantAdvancesPastWhatItsNeighboursWriteAndSaysHowFarItIs) {
  constexpr int64_t kNeighboursBytes = 16 << 20;
  Streaming move;
  move.Follow(kForward);
  move.Settle(kForward);
  const TestRole somebody(Servers().source);
  const TestDatabase elsewhere(Servers().source, somebody.name());
  Connection neighbour = MustConnect(elsewhere.Options());
  auto written = [&] {
    return std::stoll(MustRead(move.source, "SELECT pg_current_wal_insert_lsn() - '0/0'")[0]);
  };
  const int64_t before = written();
  while (written() - before < kNeighboursBytes)
    MustExec(neighbour,
             {"SELECT pg_logical_emit_message(false, 'neighbour', repeat('x', 1000000))"});
  const double silent_since = move.Published(kForward).clock_seconds;
  WaitUntil(
      [&] {
        Must(WriteHeartbeat({}, Soon(), move.source, move.source_claim), "heartbeat");
        return move.Published(kForward).lag_bytes < kNeighboursBytes / 16 &&
               move.Subscribed(kForward).heartbeat_at_seconds > silent_since;
      },
      "the stream has gone past it");
}

TEST(Stream, MarkersOnlyGrow) {
  Streaming move;
  move.Follow(kForward);
  for (int64_t number : {5, 3, 5})
    Must(WriteMarker({}, Soon(), move.source, move.source_claim, number), "marker");
  EXPECT_EQ(MustRead(move.source, "SELECT number FROM cutover.marker"),
            std::vector<std::string>{"5"});
  WaitUntil([&] { return move.Subscribed(kForward).marker == 5; }, "5 arrives");
}

TEST(Stream, ADeposedLeaderChangesNothing) {
  Streaming move;
  move.OnBoth({kTable, "CREATE TABLE public.keyless (a int)"});
  move.Follow(kForward);
  Claim newer_source = move.source_claim;
  Claim newer_target = move.target_claim;
  newer_source.epoch = newer_target.epoch = 2;
  ASSERT_TRUE(ClaimEpoch({}, Soon(), move.source, newer_source));
  ASSERT_TRUE(ClaimEpoch({}, Soon(), move.target, newer_target));
  const std::vector<Status> refused = {
      EnsureReplicationRole({}, Soon(), move.source, move.source_claim, kForward, "other"),
      DropReplicationRole({}, Soon(), move.source, move.source_claim, kForward),
      SetReplicaIdentities({}, Soon(), move.source, move.source_claim),
      RestoreReplicaIdentities({}, Soon(), move.source, move.source_claim),
      EnsurePublication({}, Soon(), move.source, move.source_claim, kReverse),
      DropPublication({}, Soon(), move.source, move.source_claim, kForward),
      EnsureSlot({}, Soon(), move.source, move.source_claim, kReverse),
      DropSlot({}, Soon(), move.source, move.source_claim, kForward),
      WriteHeartbeat({}, Soon(), move.source, move.source_claim),
      WriteMarker({}, Soon(), move.source, move.source_claim, 7),
      EnsureSubscription({}, Soon(), move.target, move.target_claim, kForward,
                         move.Address(kForward), "other"),
      EnableSubscription({}, Soon(), move.target, move.target_claim, kForward),
      DisableSubscription({}, Soon(), move.target, move.target_claim, kForward),
      DropSubscription({}, Soon(), move.target, move.target_claim, kForward),
  };
  for (size_t at = 0; at < refused.size(); ++at) {
    // What was done already needs no effect, so nothing refuses it: identities are set.
    if (refused[at] && at == 2) continue;
    ASSERT_FALSE(refused[at]) << at;
    EXPECT_EQ(refused[at].error().reason, "Deposed") << at;
  }
  const auto rogue = FindRogueWrites({}, Soon(), move.target, move.target_claim);
  ASSERT_FALSE(rogue);
  EXPECT_EQ(rogue.error().reason, "Deposed") << "who would move the slot on";
  const PublisherFacts published = move.Published(kForward);
  EXPECT_TRUE(published.role_exists && published.publication_exists && published.slot_exists);
  EXPECT_TRUE(move.Subscribed(kForward).enabled);
  EXPECT_EQ(move.Subscribed(kForward).marker, 0);
  // A newer one is let through the quick way at once, and the older not even by that.
  Must(WriteMarker({}, Soon(), move.source, newer_source, 8), "marker");
}

// What the epoch's transaction cannot hold goes by the epoch itself: statements that a leader froze
// in reach the server when another leads.
TEST(Stream, ASlotIsLeftAloneByAStatementOfAnEarlierEpoch) {
  Streaming move;
  move.PreparePublisher(kForward);
  const std::string slot = StreamName(move.uid, kForward);
  ASSERT_TRUE(ClaimEpoch({}, Soon(), move.source, Claim{move.uid, 2, Side::kSource}));
  Must(RemoveSlot({}, Soon(), move.source, slot, 1), "a late removal");
  Must(DropIdleSlot({}, Soon(), move.source, slot, 1), "a late removal of another kind");
  EXPECT_TRUE(move.Published(kForward).slot_exists);
  Must(DropIdleSlot({}, Soon(), move.source, slot, 2), "the new leader's removal");
  EXPECT_FALSE(move.Published(kForward).slot_exists);
}

// The successor comes between the leader's last look at its epoch and the slot, and has removed
// everything when the leader wakes.
TEST(Stream, ASlotIsNotMadeByALeaderThatWasDeposedOnItsWayToIt) {
  Streaming move;
  MustExec(move.target, {"CREATE FUNCTION public.take_over() RETURNS trigger LANGUAGE plpgsql AS"
                         " 'BEGIN UPDATE cutover.control SET epoch = 2; RETURN NULL; END'",
                         "CREATE TRIGGER successor BEFORE DELETE ON cutover.ledger"
                         " FOR EACH STATEMENT EXECUTE FUNCTION public.take_over()"});
  const Status made = EnsureSlot({}, Soon(), move.target, move.target_claim, kReverse);
  EXPECT_FALSE(move.Published(kReverse).slot_exists);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().reason, "Deposed");
}

TEST(Stream, LeavesTheAccessOfTheDatabaseAsItWasBeforeTheMove) {
  TestRole tenant(Servers().source);
  Streaming move;
  const std::string on = " ON DATABASE " + move.source_database.quoted();
  MustExec(move.source,
           {"REVOKE ALL" + on + " FROM PUBLIC", "GRANT CONNECT" + on + " TO " + tenant.quoted(),
            "ALTER DATABASE " + move.source_database.quoted() + " OWNER TO " + tenant.quoted()});
  auto access = [&] { return *ReadAccess({}, Soon(), move.source, move.source_database.name()); };
  const DatabaseAccess before = access();
  move.Follow(kForward);
  EXPECT_NE(access(), before);
  Must(Fence({}, Soon(), move.source, move.source_claim, move.Staying()), "fence");
  EXPECT_EQ(*ReadAccessBeforeFence({}, Soon(), move.source), before);
  Must(Unfence({}, Soon(), move.source, move.source_claim, ControlState::kOpen), "unfence");
  // The stream goes on, and its sender may come back although PUBLIC may not connect.
  MustRead(move.source, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1",
           {StreamName(move.uid, kForward)});
  move.Settle(kForward);
  Must(DropSubscription({}, Soon(), move.target, move.target_claim, kForward), "drop");
  Must(DropSlot({}, Soon(), move.source, move.source_claim, kForward), "drop");
  Must(DropReplicationRole({}, Soon(), move.source, move.source_claim, kForward), "drop");
  EXPECT_EQ(access(), before);
}

TEST(Stream, AnOpenedTargetStillLetsTheReverseStreamRead) {
  Streaming move;
  move.OnBoth({kTable});
  DatabaseAccess access = *ReadAccess({}, Soon(), move.target, move.target_database.name());
  move.Prepare(kReverse);
  std::erase_if(access.acl, [](const AclItem& item) { return item.grantee.empty(); });
  for (auto [from, to] : {std::pair(ControlState::kPreparing, ControlState::kCopied),
                          std::pair(ControlState::kCopied, ControlState::kVerified)})
    Must(CompareAndSetState({}, Soon(), move.target, move.target_claim, from, to), "state");
  Must(OpenDatabase({}, Soon(), move.target, move.target_claim, access), "open");
  move.Enable(kReverse);
  move.Settle(kReverse);
  Must(Fence({}, Soon(), move.target, move.target_claim, move.Staying()), "fence");
  auto recorded = ReadAccessBeforeFence({}, Soon(), move.target);
  ASSERT_TRUE(recorded);
  EXPECT_EQ(recorded->acl, access.acl);
  move.Settle(kReverse);
}

TEST(Stream, APublisherThatCannotBeReachedIsNamedInItsServersWords) {
  Streaming move;
  move.PreparePublisher(kForward);
  Status wrong_password = EnsureSubscription({}, Soon(), move.target, move.target_claim, kForward,
                                             move.Address(kForward), "wrong");
  ASSERT_FALSE(wrong_password);
  EXPECT_EQ(wrong_password.error().reason, "PublisherUnreachable");
  EXPECT_NE(wrong_password.error().message.find("password authentication failed"),
            std::string::npos)
      << wrong_password.error().message;
  PublisherAddress dead = move.Address(kForward);
  dead.host = "127.0.0.1";
  dead.port = 1;
  Status refused =
      EnsureSubscription({}, Soon(), move.target, move.target_claim, kForward, dead, "wrong");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().disposition, Disposition::kRetry);
  EXPECT_EQ(refused.error().message.find("wrong"), std::string::npos);
  EXPECT_FALSE(move.Subscribed(kForward).exists);
  EXPECT_TRUE(move.target.usable());
}

TEST(Stream, ItsPathRoleAndDatabaseAreTriedBeforeAnythingIsPublishedAndLeaveNothing) {
  Streaming move;
  const std::string uid = move.target_claim.migration_uid;
  const auto try_with = [&](const std::string& password) {
    return TrySubscription({}, Soon(), move.target, uid, kForward, move.Address(kForward),
                           password);
  };
  ASSERT_TRUE(EnsureReplicationRole({}, Soon(), move.source, move.source_claim, kForward, "right"));
  Status tried = try_with("right");
  ASSERT_TRUE(tried) << tried.error().message;
  Status refused = try_with("wrong");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "PublisherUnreachable");

  // The maintenance database, which preflight tries, lets it in still.
  MustExec(move.source,
           {"REVOKE CONNECT ON DATABASE " + QuoteIdentifier(move.Address(kForward).database) +
            " FROM " + StreamName(uid, kForward) + ", PUBLIC"});
  Status shut = try_with("right");
  ASSERT_FALSE(shut);
  EXPECT_NE(shut.error().message.find("permission denied for database"), std::string::npos)
      << shut.error().message;
  EXPECT_FALSE(move.Subscribed(kForward).exists);
  EXPECT_FALSE(move.Published(kForward).slot_exists);
}

}  // namespace
}  // namespace cutover::pg
