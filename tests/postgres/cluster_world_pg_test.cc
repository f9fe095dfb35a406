// SPDX-License-Identifier: Apache-2.0
// Effects of an Online move as the operator has them, on real servers, with an API server in
// memory: materialized views during the move, and the way back with what DDL has made.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "operator/kube/resource.h"
#include "postgres/changes.h"
#include "postgres/fence.h"
#include "postgres/replication.h"
#include "postgres/roles.h"
#include "reconcilers/migration/cluster/cluster_world.h"
#include "reconcilers/migration/cluster/jobs.h"
#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/wiring/base64.h"
#include "tests/postgres/own_server.h"
#include "tests/postgres/replication/streaming.h"
#include "tests/unit/kube/fake_client.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using pg::Direction;
using pg::testing::AwaitCountsOf;
using pg::testing::Must;
using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::OwnServer;
using pg::testing::Servers;
using pg::testing::Soon;
using pg::testing::TestRole;
using pg::testing::UniqueName;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class NobodyResolves final : public wiring::Resolver {
 public:
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline, const std::string&) override {
    return std::vector<std::string>();
  }
};

Json Named(const char* kind, const std::string& ns, const std::string& name) {
  Json metadata = Json::Object({{"name", name}});
  if (!ns.empty()) metadata.Set("namespace", ns);
  return Json::Object(
      {{"apiVersion", "cutover.dev/v1alpha1"}, {"kind", kind}, {"metadata", metadata}});
}

void AddServer(kube::Client& client, const std::string& name, const pg::ConnectOptions& where) {
  Json secret = Named("Secret", "cutover-system", name);
  secret.Set("data", Json::Object({{"username", wiring::EncodeBase64(where.user)},
                                   {"password", wiring::EncodeBase64(where.password)}}));
  ASSERT_TRUE(client.Create({}, Soon(), kube::kSecret, secret));
  Json server = Named("DatabaseServer", "", name);
  Json endpoint =
      Json::Object({{"host", where.host}, {"port", int64_t{where.port}}, {"sslMode", "require"}});
  server.Set("spec", Json::Object({{"class", "Shared"},
                                   {"endpoint", endpoint},
                                   {"adminSecretRef", Json::Object({{"name", name}})}}));
  ASSERT_TRUE(client.Create({}, Soon(), kube::kDatabaseServer, server));
}

/// The tenant's database on one side; dropped at the end, with every stream's part of it.
class Home {
 public:
  Home(const pg::ConnectOptions& server, const std::string& database, const pg::Claim& claim)
      : owner(server), claim_(claim), drop_(server, database) {
    pg::Connection admin = MustConnect(server);
    MustExec(admin,
             {"CREATE DATABASE " + pg::QuoteIdentifier(database) + " OWNER " + owner.quoted()});
    inside.emplace(MustConnect(server.WithDatabase(database)));
    EXPECT_TRUE(pg::ClaimEpoch({}, Soon(), *inside, claim));
  }
  ~Home() {
    claim_.epoch = 1000;  // As whoever has come last.
    EXPECT_TRUE(pg::ClaimEpoch({}, Soon(), *inside, claim_));
    for (Direction direction : {Direction::kForward, Direction::kReverse}) {
      EXPECT_TRUE(pg::DropSubscription({}, Soon(), *inside, claim_, direction));
      EXPECT_TRUE(pg::DropSlot({}, Soon(), *inside, claim_, direction));
      EXPECT_TRUE(pg::DropPublication({}, Soon(), *inside, claim_, direction));
      EXPECT_TRUE(pg::DropReplicationRole({}, Soon(), *inside, claim_, direction));
    }
    inside.reset();
  }

  TestRole owner;
  std::optional<pg::Connection> inside;

 private:
  pg::Claim claim_;
  pg::testing::DropAtEnd drop_;  // Before its owner.
};

class OnlineWorld : public ::testing::Test {
 protected:
  struct Where {
    pg::ConnectOptions source;
    pg::ConnectOptions target;
  };
  OnlineWorld() : OnlineWorld(Where{Servers().source, Servers().target}) {}
  explicit OnlineWorld(const Where& where)
      : source_(where.source, database_, {uid_, 1, pg::Side::kSource}),
        target_(where.target, database_, {uid_, 1, pg::Side::kTarget}) {
    migration_.meta.uid = uid_;
    migration_.meta.namespace_name = "tenant";
    migration_.spec.strategy = api::Strategy::kOnline;
    migration_.spec.placement_name = "tenant";
    AddServer(client_, "pg-source", where.source);
    AddServer(client_, "pg-target", where.target);
    Json placement = Named("DatabasePlacement", "tenant", "tenant");
    Json password = Json::Object({{"name", "db"}, {"key", "password"}});
    placement.Set("spec",
                  Json::Object({{"database", Json::Object({{"name", database_},
                                                           {"owner", source_.owner.name()},
                                                           {"passwordSecretRef", password}})},
                                {"class", "Shared"},
                                {"serverName", "pg-source"},
                                {"connection", Json::Object()},
                                {"profile", Json::Object({{"type", "Generic"}})}}));
    EXPECT_TRUE(client_.Create({}, Soon(), kube::kDatabasePlacement, placement));
    context_.config.epoch = [this] { return epoch_; };
  }

  pg::Connection& source() { return *source_.inside; }
  pg::Connection& target() { return *target_.inside; }

  Status Perform(Intent intent) {
    return ClusterWorld(context_).Perform({}, Soon(), migration_, intent);
  }
  void MustPerform(Intent intent) { Must(Perform(intent), std::string(Name(intent)).c_str()); }
  std::string ReasonOf(Intent intent) {
    Status done = Perform(intent);
    return done ? "" : done.error().reason;
  }
  Observation LookAt(Subject subject) {
    ClusterWorld world(context_);
    Observation seen = world.Observe({}, Soon(), migration_);
    world.LookAt({}, Soon(), migration_, subject, seen);
    return seen;
  }

  /// What is decided at that time, of what is there.
  Plan Next(WallTime now) {
    ClusterWorld world(context_);
    Observation seen = world.Observe({}, Soon(), migration_);
    seen.now = now;
    while (true) {
      Plan plan = Decide(migration_, seen).plan;
      if (!plan.look_at) return plan;
      world.LookAt({}, Soon(), migration_, *plan.look_at, seen);
    }
  }

  /// Where the other server dials from now on.
  void SetReplicationPort(const std::string& server, int port) {
    auto found = client_.Get({}, Soon(), kube::kDatabaseServer, {"", server});
    ASSERT_TRUE(found && *found);
    Json changed = **found;
    Json& spec = changed.MutableAt("spec");
    spec.Set("replicationEndpoint", Json::Object({{"host", spec["endpoint"]["host"].AsString()},
                                                  {"port", int64_t{port}}}));
    ASSERT_TRUE(client_.Update({}, Soon(), kube::kDatabaseServer, changed));
  }

  /// Whether the copy that is ordered now, from a source of that class, trusts its superusers.
  bool TrustsSuperusersOf(const char* source_class, const char* target_class) {
    const Json of_source = Json::Object({{"spec", Json::Object({{"class", source_class}})}});
    const Json of_target = Json::Object({{"spec", Json::Object({{"class", target_class}})}});
    EXPECT_TRUE(client_.Patch({}, Soon(), kube::kDatabaseServer, {"", "pg-source"}, of_source));
    EXPECT_TRUE(client_.Patch({}, Soon(), kube::kDatabaseServer, {"", "pg-target"}, of_target));
    ++migration_.status.attempt;
    MustPerform(Intent::kCreateCopyJob);
    auto order =
        ReadOrder({}, Soon(), client_,
                  {context_.config.namespace_name, JobName(migration_, mover::JobKind::kClone)});
    EXPECT_TRUE(order && *order);
    return !(**order).distrust_superusers;
  }

  /// A refresh is told by the server's counts of rows, too, which come a moment later: with them.
  void OnSource(const std::vector<std::string>& statements) {
    MustExec(source(), statements);
    AwaitCountsOf(source());
  }
  /// A copy of `structure` that follows the source, and the way back laid.
  void CatchUp(const std::vector<std::string>& structure) {
    migration_.status.phase = Phase::kCatchingUp;
    OnSource(structure);
    MustPerform(Intent::kPublishSource);
    MustExec(target(), structure);
    Must(pg::EnsureSlot({}, Soon(), source(), {uid_, 1, pg::Side::kSource}, Direction::kForward),
         "slot");
    MustPerform(Intent::kStartForwardStream);
    MustPerform(Intent::kLayWayBack);
  }
  /// As the copy has it made.
  void WatchChanges() {
    MustRead(source(), "SELECT pg_create_logical_replication_slot($1, 'pgoutput')",
             {pg::WatchSlotName(pg::StreamName(uid_, Direction::kForward))});
  }
  /// Users are in on the target, and the stream has turned round.
  void SwitchOver() {
    using enum pg::ControlState;
    migration_.status.cutover.attempts = 1;
    MustPerform(Intent::kFenceSource);
    MustPerform(Intent::kDrainForward);
    for (auto [from, to] : {std::pair(kPreparing, kCopied), std::pair(kCopied, kVerified),
                            std::pair(kVerified, kOpen)})
      Must(pg::CompareAndSetState({}, Soon(), target(), {uid_, 1, pg::Side::kTarget}, from, to),
           "open");
    ASSERT_TRUE(pg::FindRogueWrites({}, Soon(), target(), {uid_, 1, pg::Side::kTarget}));
    MustPerform(Intent::kJournal);
    MustPerform(Intent::kStopForwardStream);
    MustPerform(Intent::kStartReverseStream);
    migration_.status.phase = Phase::kHypercare;
    MustPerform(Intent::kWatchReverseStream);
  }
  /// Behind closed doors, by the leader of that epoch.
  void CloseDoorsAgain(int64_t epoch) {
    epoch_ = epoch;
    migration_.status.phase = Phase::kRollingBack;
    MustPerform(Intent::kFenceTarget);
    MustPerform(Intent::kDrainReverse);
  }
  void GivePassword(const std::string& password) {
    Json secret = Named("Secret", "tenant", "db");
    secret.Set("data", Json::Object({{"password", wiring::EncodeBase64(password)}}));
    (void)client_.Delete({}, Soon(), kube::kSecret, {"tenant", "db"});
    ASSERT_TRUE(client_.Create({}, Soon(), kube::kSecret, secret));
  }
  pg::ConnectOptions TenantOn(const pg::ConnectOptions& server) const {
    pg::ConnectOptions tenant = server.WithDatabase(database_);
    tenant.user = source_.owner.name();
    tenant.password = source_.owner.password();
    return tenant;
  }
  bool OwnerMayConnect(const TestRole& owner) {
    return pg::Connection::Open({}, Soon(), owner.Options(database_)).has_value();
  }

  const std::string uid_ = UniqueName("move");
  const std::string database_ = UniqueName("moved");
  Home source_;
  Home target_;
  api::TenantMigration migration_ = testing::MigrationIn(Phase::kCatchingUp);
  int64_t epoch_ = 1;
  kube::FakeClient client_;
  NobodyResolves resolver_;
  ClusterContext context_{client_, resolver_, RealClock(), {}};
};

TEST_F(OnlineWorld, ACopyToASharedServerTrustsNoSuperuserOfATenantsOwn) {
  EXPECT_FALSE(TrustsSuperusersOf("Dedicated", "Shared"));
  EXPECT_TRUE(TrustsSuperusersOf("Shared", "Shared"));
  EXPECT_TRUE(TrustsSuperusersOf("Shared", "Dedicated"));
  EXPECT_TRUE(TrustsSuperusersOf("Dedicated", "Dedicated"));
}

// --- materialized views --------------------------------------------------------------------------

const std::vector<std::string> kViews = {
    "CREATE TABLE public.t (id int PRIMARY KEY)",
    "INSERT INTO public.t VALUES (1)",
    "CREATE MATERIALIZED VIEW public.total AS SELECT count(*) AS n FROM public.t",
    "CREATE MATERIALIZED VIEW public.of_total AS SELECT n FROM public.total",
    "CREATE MATERIALIZED VIEW public.last_month AS SELECT count(*) AS n FROM public.t",
};

TEST_F(OnlineWorld, RefreshesOnTheTargetWhatWasRefreshedOnTheSourceWithAllThatItIsMadeOf) {
  CatchUp(kViews);
  OnSource({"INSERT INTO public.t SELECT generate_series(2, 1000)",
            "REFRESH MATERIALIZED VIEW public.total", "REFRESH MATERIALIZED VIEW public.of_total"});
  EXPECT_THAT(LookAt(Subject::kViews).views->stale,
              ElementsAre("\"public\".\"total\"", "\"public\".\"of_total\""));
  MustPerform(Intent::kRefreshViews);
  EXPECT_EQ(MustRead(target(), "SELECT n FROM public.of_total")[0], "1000");
  EXPECT_EQ(MustRead(target(), "SELECT n FROM public.last_month")[0], "1") << "somebody's figures";
  const Observation seen = LookAt(Subject::kViews);
  EXPECT_THAT(seen.views->stale, IsEmpty());
  EXPECT_EQ(seen.views->refreshed, 2);
  EXPECT_EQ(seen.views->trouble, "");
}

TEST_F(OnlineWorld, RefreshesInHypercareWhatWasRefreshedTooLateForTheDoors) {
  CatchUp(kViews);
  OnSource({"INSERT INTO public.t VALUES (2)", "REFRESH MATERIALIZED VIEW public.total"});
  SwitchOver();
  MustExec(target(), {"INSERT INTO public.t VALUES (3)"});
  MustPerform(Intent::kRefreshViews);
  EXPECT_EQ(MustRead(target(), "SELECT n FROM public.total")[0], "3") << "of what is there now";
  EXPECT_THAT(LookAt(Subject::kViews).views->stale, IsEmpty());
  MustPerform(Intent::kWatchReverseStream);
  EXPECT_EQ(LookAt(Subject::kStructure).structure->changes, "") << "that is no DDL";
}

TEST_F(OnlineWorld, AViewThatCannotBeRefreshedIsNamedAndTheOthersAreRefreshed) {
  std::vector<std::string> views = kViews;
  views.push_back("CREATE VIEW public.divisor AS SELECT 1 AS n");
  views.push_back("CREATE MATERIALIZED VIEW public.a_bad AS SELECT 1 / n AS n FROM public.divisor");
  CatchUp(views);
  MustExec(target(), {"CREATE OR REPLACE VIEW public.divisor AS SELECT 0 AS n"});
  OnSource({"INSERT INTO public.t VALUES (2)", "REFRESH MATERIALIZED VIEW public.a_bad",
            "REFRESH MATERIALIZED VIEW public.total"});
  MustPerform(Intent::kRefreshViews);
  EXPECT_EQ(MustRead(target(), "SELECT n FROM public.total")[0], "2");
  const Observation seen = LookAt(Subject::kViews);
  EXPECT_THAT(seen.views->trouble,
              ::testing::AllOf(HasSubstr("a_bad"), HasSubstr("division by zero")));
  EXPECT_THAT(seen.views->stale, IsEmpty()) << "not tried again at the same state";
  OnSource({"REFRESH MATERIALIZED VIEW public.a_bad"});
  EXPECT_THAT(LookAt(Subject::kViews).views->stale, ElementsAre("\"public\".\"a_bad\""));
}

TEST_F(OnlineWorld, AViewIsNotFilledWithLessThanTheSourcesWas) {
  CatchUp(kViews);
  Must(pg::DisableSubscription({}, Soon(), target(), {uid_, 1, pg::Side::kTarget},
                               Direction::kForward),
       "stop");
  OnSource({"INSERT INTO public.t VALUES (2)", "REFRESH MATERIALIZED VIEW public.total"});
  EXPECT_EQ(ReasonOf(Intent::kRefreshViews), "NotApplied");
  EXPECT_EQ(MustRead(target(), "SELECT n FROM public.total")[0], "1");
  EXPECT_EQ(LookAt(Subject::kViews).views->stale.size(), 1u) << "it is still to be done";
}

// --- the way there -------------------------------------------------------------------------------

const std::vector<std::string> kShop = {
    "CREATE TABLE public.orders (id serial PRIMARY KEY, word text)",
    "INSERT INTO public.orders (word) VALUES ('before')",
};

TEST_F(OnlineWorld, Trap59_RowsThatAlterTableHasRewrittenHoldTheMoveAndStopTheSwitchByName) {
  CatchUp(kShop);
  OnSource({"VACUUM FULL public.orders", "UPDATE public.orders SET word = 'once'"});
  EXPECT_EQ(*LookAt(Subject::kSchema).schema_change, "");
  OnSource({"ALTER TABLE public.orders ALTER word TYPE text USING upper(word)"});
  const char* words = "table public.orders was altered (rows rewritten)";
  for (int look = 0; look < 2; ++look)  // It cannot be taken back.
    EXPECT_THAT(*LookAt(Subject::kSchema).schema_change,
                StartsWith(words + std::string(" (ALTER TABLE public.orders by role ")));

  migration_.status.cutover.attempts = 1;
  MustPerform(Intent::kFenceSource);
  MustPerform(Intent::kDrainForward);
  EXPECT_EQ(MustRead(source(), "SELECT word FROM public.orders")[0], "ONCE");
  EXPECT_EQ(MustRead(target(), "SELECT word FROM public.orders")[0], "once");
  Status proven = Perform(Intent::kFinalizeTarget);
  ASSERT_FALSE(proven);
  EXPECT_EQ(proven.error().reason, "SchemaChanged");
  EXPECT_THAT(proven.error().message, HasSubstr(words));
}

// In the last moment: what follows the comparison is what finds it.
TEST_F(OnlineWorld, ARowWrittenBehindReplicationsBackWhileRowsAreComparedStopsTheSwitch) {
  CatchUp(kShop);
  WatchChanges();
  OnSource({"UPDATE public.orders SET word = 'compared'"});
  migration_.status.cutover.attempts = 1;
  MustPerform(Intent::kFenceSource);
  MustPerform(Intent::kDrainForward);
  pg::Connection rogue = MustConnect(target().options());
  MustExec(rogue,
           {"BEGIN", "LOCK TABLE public.orders", "INSERT INTO public.orders VALUES (99, 'rogue')"});
  Status finalized;
  {
    std::jthread finalizing([&] { finalized = Perform(Intent::kFinalizeTarget); });
    pg::testing::WaitUntil(
        [&] {
          return MustRead(target(),
                          "SELECT count(*) FROM pg_locks"
                          " WHERE NOT granted AND relation = 'public.orders'::regclass")[0] != "0";
        },
        "rows are compared");
    MustExec(rogue, {"COMMIT"});
  }
  ASSERT_FALSE(finalized);
  EXPECT_EQ(finalized.error().reason, "TargetDiverged") << finalized.error().message;
  MustPerform(Intent::kDropForwardPublisher);
}

// --- before the doors close ----------------------------------------------------------------------

TEST_F(OnlineWorld, TheClosedTargetIsAskedWhetherItWouldLetTheTenantIn) {
  GivePassword(source_.owner.password());
  EXPECT_EQ(LookAt(Subject::kTenantLogin).tenant_known.error().reason, "TenantLoginRefused")
      << "his role is not there";
  MustPerform(Intent::kPrepareTarget);
  MustExec(target(), {"REVOKE ALL ON DATABASE " + pg::QuoteIdentifier(database_) + " FROM PUBLIC"});
  EXPECT_FALSE(pg::Connection::Open({}, Soon(), TenantOn(Servers().target))) << "it is closed";
  EXPECT_TRUE(*LookAt(Subject::kTenantLogin).tenant_known);

  MustExec(source(), {"ALTER ROLE " + source_.owner.quoted() + " PASSWORD 'new'"});
  GivePassword("new");
  EXPECT_FALSE(*LookAt(Subject::kTenantLogin).tenant_known) << "the role there has the old one";
  MustPerform(Intent::kPrepareTarget);
  EXPECT_TRUE(*LookAt(Subject::kTenantLogin).tenant_known);

  GivePassword("of nobody");
  const Fact<bool> refused = LookAt(Subject::kTenantLogin).tenant_known;
  ASSERT_FALSE(refused.known());
  EXPECT_EQ(refused.error().reason, "TenantLoginRefused");
  EXPECT_THAT(refused.error().message, HasSubstr("in key password of Secret db"));
  EXPECT_TRUE(pg::DropCreatedRoles({}, Soon(), target(), uid_));
}

// The mark is another move's: what is there is somebody's.
TEST_F(OnlineWorld, ARoleThatThisMoveHasNotMadeKeepsItsPassword) {
  GivePassword(source_.owner.password());
  MustPerform(Intent::kPrepareTarget);
  MustExec(target(), {"COMMENT ON ROLE " + source_.owner.quoted() + " IS 'ours'"});
  MustExec(source(), {"ALTER ROLE " + source_.owner.quoted() + " PASSWORD 'new'"});
  GivePassword("new");
  EXPECT_EQ(LookAt(Subject::kTenantLogin).tenant_known.error().reason, "TenantLoginRefused");
  EXPECT_EQ(ReasonOf(Intent::kPrepareTarget), "RoleClash");
  MustExec(target(), {"DROP ROLE " + source_.owner.quoted()});
}

TEST_F(OnlineWorld, ASettingThatTheTargetRefusesStaysBehindWhereThatIsAccepted) {
  // Gone in 17.
  MustExec(source(), {"ALTER ROLE " + source_.owner.quoted() + " SET force_parallel_mode = off",
                      "ALTER ROLE " + source_.owner.quoted() + " SET work_mem = '5MB'"});
  const std::string object = "setting force_parallel_mode of role " + source_.owner.name();
  Status refused = Perform(Intent::kPrepareTarget);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().disposition, Disposition::kTerminal);
  EXPECT_THAT(refused.error().message, HasSubstr('"' + object + "\" in copy.accept"));

  migration_.spec.copy_accept = {object};
  MustPerform(Intent::kPrepareTarget);
  MustPerform(Intent::kPrepareTarget);  // Once more, as after a crash.
  EXPECT_EQ(MustRead(target(),
                     "SELECT setconfig::text FROM pg_db_role_setting"
                     " WHERE setdatabase = 0 AND setrole = to_regrole($1)",
                     {source_.owner.quoted()})[0],
            "{work_mem=5MB}");
  EXPECT_TRUE(pg::DropCreatedRoles({}, Soon(), target(), uid_));
}

TEST_F(OnlineWorld, TheWayBackIsTriedByItsOwnRoleAndAddressForEachCutover) {
  CatchUp(kShop);
  migration_.status.phase = Phase::kAwaitingCutover;
  EXPECT_FALSE(*LookAt(Subject::kRehearsal).way_back_rehearsed) << "laying it was another day";

  SetReplicationPort("pg-target", 1);
  EXPECT_EQ(ReasonOf(Intent::kRehearseWayBack), "PublisherUnreachable");
  EXPECT_FALSE(*LookAt(Subject::kRehearsal).way_back_rehearsed);

  SetReplicationPort("pg-target", Servers().target.port);
  MustPerform(Intent::kRehearseWayBack);
  MustPerform(Intent::kRehearseWayBack);  // Once more, as after a crash.
  EXPECT_TRUE(*LookAt(Subject::kRehearsal).way_back_rehearsed);
  EXPECT_THAT(MustRead(source(),
                       "SELECT subname FROM pg_subscription s JOIN pg_database d"
                       " ON d.oid = s.subdbid WHERE d.datname = current_database()"),
              ElementsAre(pg::StreamName(uid_, Direction::kReverse)))
      << "nothing is left of the trial";

  SwitchOver();
  MustExec(target(), {"INSERT INTO public.orders (word) VALUES ('after')"});
  CloseDoorsAgain(1);
  MustPerform(Intent::kReopenSource);
  EXPECT_EQ(MustRead(source(), "SELECT count(*) FROM public.orders")[0], "2") << "it carries rows";

  migration_.status.cutover.attempts = 2;
  EXPECT_FALSE(*LookAt(Subject::kRehearsal).way_back_rehearsed) << "the next cutover has its own";
}

// --- the way back --------------------------------------------------------------------------------

TEST_F(OnlineWorld, APasswordChangedInHypercareGoesBackWithTheTenant) {
  const std::string change = "ALTER ROLE " + source_.owner.quoted() + " PASSWORD ";
  GivePassword(source_.owner.password());
  CatchUp(kShop);
  MustPerform(Intent::kPrepareTarget);
  SwitchOver();
  EXPECT_FALSE(pg::Connection::Open({}, Soon(), TenantOn(Servers().source))) << "it is fenced";
  EXPECT_TRUE(*LookAt(Subject::kTenantLoginBack).tenant_known_back);

  MustExec(target(), {change + "'new'"});
  GivePassword("new");
  EXPECT_FALSE(*LookAt(Subject::kTenantLoginBack).tenant_known_back);
  MustPerform(Intent::kTakePasswordBack);
  MustPerform(Intent::kTakePasswordBack);  // Once more, as after a crash.
  EXPECT_TRUE(*LookAt(Subject::kTenantLoginBack).tenant_known_back);

  // What the role has on the source beside the database has not moved, nor has its password.
  const std::string other = UniqueName("stays");
  pg::Connection admin = MustConnect(Servers().source);
  pg::testing::DropAtEnd drop(Servers().source, other);
  MustExec(admin, {"CREATE DATABASE " + other + " OWNER " + source_.owner.quoted()});
  MustExec(target(), {change + "'newer'"});
  GivePassword("newer");
  auto kept = LookAt(Subject::kTenantLoginBack).tenant_known_back;
  ASSERT_FALSE(kept.known());
  EXPECT_EQ(kept.error().reason, "TenantLoginRefused");
  EXPECT_THAT(kept.error().message, HasSubstr("server pg-source, or, if its password was changed"));
  MustExec(admin, {"DROP DATABASE " + other});
  EXPECT_FALSE(*LookAt(Subject::kTenantLoginBack).tenant_known_back);

  epoch_ = 0;
  EXPECT_EQ(ReasonOf(Intent::kTakePasswordBack), "Deposed");
  GivePassword("of nobody");
  MustExec(source(), {change + "'newer'"});
  MustExec(target(), {"DROP ROLE " + source_.owner.quoted()});
}

// Its server has been built anew, or somebody has dropped it. What has arrived was numbered there.
TEST_F(OnlineWorld, SequencesGoOnBehindTheRowsOfATargetThatIsNoMore) {
  CatchUp({"CREATE TABLE public.invoices (id serial PRIMARY KEY, word text)"});
  MustExec(source(), {"INSERT INTO public.invoices (word) VALUES ('there')"});
  SwitchOver();
  MustExec(target(), {"SELECT setval('public.invoices_id_seq', 1)",
                      "INSERT INTO public.invoices (word) VALUES ('back'), ('back')"});
  CloseDoorsAgain(1);
  ASSERT_EQ(MustRead(source(), "SELECT max(id) FROM public.invoices")[0], "3");
  ASSERT_EQ(MustRead(source(), "SELECT last_value FROM public.invoices_id_seq")[0], "1");

  // Whose worker would come in between.
  Must(pg::DisableSubscription({}, Soon(), source(), {uid_, 1, pg::Side::kSource},
                               Direction::kReverse),
       "disable");
  target_.inside.reset();
  pg::Connection admin = MustConnect(Servers().target);
  const std::string away = UniqueName("away");
  auto rename = [&](const std::string& from, const std::string& to) {
    MustExec(admin, {"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                     " WHERE datname = '" +
                         from + "'",
                     "ALTER DATABASE " + from + " RENAME TO " + to});
  };
  rename(database_, away);
  MustPerform(Intent::kReopenSource);
  MustPerform(Intent::kReopenSource);  // Once more, as after a crash.
  MustExec(source(), {"INSERT INTO public.invoices (word) VALUES ('here')"});
  EXPECT_EQ(MustRead(source(), "SELECT id FROM public.invoices WHERE word = 'here'")[0], "4");
  rename(away, database_);
  target_.inside.emplace(MustConnect(Servers().target.WithDatabase(database_)));
}

/// A standby of the target that had not heard of its opening has taken its place.
class OlderThanItsOpening : public OnlineWorld,
                            public ::testing::WithParamInterface<pg::ControlState> {};

TEST_P(OlderThanItsOpening, TheTargetIsHeldAsItIsAndItsSequencesAreNoneOfTheTenants) {
  CatchUp({"CREATE TABLE public.invoices (id serial PRIMARY KEY, word text)"});
  OnSource({"INSERT INTO public.invoices (word) SELECT 'there' FROM generate_series(1, 5)",
            "DELETE FROM public.invoices WHERE id = 5"});
  migration_.status.cutover.attempts = 1;
  MustPerform(Intent::kFenceSource);
  MustPerform(Intent::kDrainForward);
  MustPerform(Intent::kJournal);
  const pg::Claim claim{uid_, 1, pg::Side::kTarget};
  if (GetParam() == pg::ControlState::kCopied)
    Must(pg::CompareAndSetState({}, Soon(), target(), claim, pg::ControlState::kPreparing,
                                GetParam()),
         "copied");
  migration_.status.phase = Phase::kRollingBack;
  MustPerform(Intent::kReopenSource);
  MustPerform(Intent::kReopenSource);  // Once more, as after a crash.
  EXPECT_EQ((*pg::ReadControl({}, Soon(), source()))->state, pg::ControlState::kReopened);
  EXPECT_EQ((*pg::ReadControl({}, Soon(), target()))->state, GetParam());
  EXPECT_EQ(MustRead(source(), "SELECT nextval('public.invoices_id_seq')")[0], "6");
  EXPECT_TRUE(OwnerMayConnect(source_.owner));
}
INSTANTIATE_TEST_SUITE_P(States, OlderThanItsOpening,
                         ::testing::Values(pg::ControlState::kPreparing, pg::ControlState::kCopied),
                         [](const auto& state) { return std::string(pg::Name(state.param)); });

TEST_F(OnlineWorld, DdlOneMomentBeforeTheFenceKeepsTheSourceShutAndOpensTheTargetAgain) {
  CatchUp(kShop);
  SwitchOver();
  EXPECT_TRUE(OwnerMayConnect(target_.owner));
  MustExec(target(), {"INSERT INTO public.orders (word) VALUES ('after')",
                      "CREATE TABLE public.later (id int PRIMARY KEY)",
                      "INSERT INTO public.later VALUES (1)"});
  CloseDoorsAgain(1);
  const Observation seen = LookAt(Subject::kStructure);
  EXPECT_EQ(seen.structure->changes, "table public.later is new");
  EXPECT_EQ(seen.structure->settled, 1'000'001) << "the marker of these doors";
  EXPECT_FALSE(OwnerMayConnect(target_.owner));
  MustPerform(Intent::kReopenTarget);
  MustPerform(Intent::kReopenTarget);  // Once more, as after a crash.
  EXPECT_TRUE(OwnerMayConnect(target_.owner));
  EXPECT_FALSE(OwnerMayConnect(source_.owner));
  EXPECT_EQ(ReasonOf(Intent::kReopenSource), "StateMismatch") << "the target is open";

  // Undone, the same rollback goes through.
  MustExec(target(), {"DROP TABLE public.later"});
  migration_.status.cutover.attempts = 2;
  CloseDoorsAgain(1);
  EXPECT_EQ(LookAt(Subject::kStructure).structure->changes, "");
  MustPerform(Intent::kReopenSource);
  EXPECT_EQ(MustRead(source(), "SELECT count(*) FROM public.orders")[0], "2");
  EXPECT_TRUE(OwnerMayConnect(source_.owner));
}

TEST_F(OnlineWorld, OfTwoLeadersOfWhomOneStaysAndOneGoesBackOnlyTheYoungerOpensAnything) {
  CatchUp(kShop);
  SwitchOver();
  CloseDoorsAgain(1);
  epoch_ = 2;
  MustPerform(Intent::kReopenTarget);
  epoch_ = 1;
  EXPECT_EQ(ReasonOf(Intent::kReopenSource), "EpochBehind");
  EXPECT_FALSE(OwnerMayConnect(source_.owner));

  migration_.status.cutover.attempts = 2;
  CloseDoorsAgain(2);
  epoch_ = 3;
  MustPerform(Intent::kReopenSource);
  epoch_ = 2;
  EXPECT_EQ(ReasonOf(Intent::kReopenTarget), "EpochBehind");
  EXPECT_FALSE(OwnerMayConnect(target_.owner));
}

// A failover of the source's server to a standby that was behind has taken it, or the fence as
// well.
TEST_F(OnlineWorld, TheTargetIsOpenedAgainBesideASourceThatHasLostItsJournal) {
  CatchUp(kShop);
  SwitchOver();
  for (const char* state : {"fenced", "open"}) {
    MustExec(source(), {"UPDATE cutover.control SET state = '" + std::string(state) + "'"});
    CloseDoorsAgain(epoch_);
    ++epoch_;
    MustPerform(Intent::kReopenTarget);
    EXPECT_TRUE(OwnerMayConnect(target_.owner)) << state;
    EXPECT_FALSE(OwnerMayConnect(source_.owner));
    --epoch_;
    EXPECT_EQ(ReasonOf(Intent::kReopenSource), "EpochBehind") << "nobody older opens it";
    ++epoch_;
    migration_.status.cutover.attempts += 1;
  }
  MustExec(source(), {"UPDATE cutover.control SET state = 'fenced'"});
  CloseDoorsAgain(epoch_);
  MustPerform(Intent::kReopenSource);
  EXPECT_EQ(ReasonOf(Intent::kReopenTarget), "StateMismatch") << "users are there";
  EXPECT_FALSE(OwnerMayConnect(target_.owner));
}

TEST_F(OnlineWorld, WhoAcceptsWhatDdlMadeGoesBackWithTheRestAndEverySequenceThatIsThere) {
  CatchUp(kShop);
  SwitchOver();
  MustExec(target(),
           {"INSERT INTO public.orders (word) VALUES ('after')",
            "CREATE SEQUENCE public.ir_sequence_042", "SELECT nextval('public.ir_sequence_042')"});
  migration_.status.handled.rollback = "back";
  migration_.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
  CloseDoorsAgain(1);
  MustPerform(Intent::kReopenSource);
  MustExec(source(), {"INSERT INTO public.orders (word) VALUES ('on the source again')"});
  EXPECT_EQ(MustRead(source(), "SELECT max(id) FROM public.orders")[0], "3");
}

// By name nobody would find them, or find another's.
TEST_F(OnlineWorld, SequencesThatWereRenamedInHypercareGoOnBehindTheirRowsOnTheSource) {
  CatchUp({"CREATE SCHEMA elsewhere", "CREATE TABLE public.a (id serial PRIMARY KEY)",
           "CREATE TABLE public.b (id serial PRIMARY KEY)",
           "CREATE TABLE public.c (id serial PRIMARY KEY)",
           "CREATE TABLE public.d (id serial PRIMARY KEY)",
           "INSERT INTO public.c SELECT FROM generate_series(1, 9)"});
  SwitchOver();
  MustExec(target(),
           {"SELECT setval('public.c_id_seq', 9)", "ALTER SEQUENCE public.a_id_seq RENAME TO of_a",
            "ALTER SEQUENCE public.b_id_seq OWNED BY NONE",
            "ALTER SEQUENCE public.b_id_seq SET SCHEMA elsewhere",
            "ALTER SEQUENCE public.c_id_seq RENAME TO away",
            "ALTER SEQUENCE public.d_id_seq RENAME TO c_id_seq",
            "ALTER SEQUENCE public.away RENAME TO d_id_seq"});
  for (const char* table : {"a", "b", "c", "d"})
    MustExec(target(), {std::string("INSERT INTO public.") + table + " DEFAULT VALUES"});
  migration_.status.handled.rollback = "back";
  migration_.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
  CloseDoorsAgain(1);
  MustPerform(Intent::kReopenSource);
  for (const auto& [table, next] : {std::pair("a", "2"), std::pair("b", "2"), std::pair("c", "11")})
    EXPECT_EQ(MustRead(source(), "SELECT nextval(pg_get_serial_sequence('public." +
                                     std::string(table) + "', 'id'))")[0],
              next)
        << table;
}

// --- a subscriber that goes back in time ---------------------------------------------------------

/// Of a base, so that it is there before the world around it.
struct OneOfItsOwn {
  explicit OneOfItsOwn(int major) : own(major) {}
  OwnServer own;
};

/// A side whose server has an asynchronous standby.
class FailingOver : public OneOfItsOwn, public OnlineWorld {
 protected:
  FailingOver(int major, pg::Side side)
      : OneOfItsOwn(major),
        OnlineWorld(side == pg::Side::kSource ? Where{own.Options(), Servers().target}
                                              : Where{Servers().source, own.Options()}),
        home_(side == pg::Side::kSource ? source_ : target_) {}

  /// From now on the standby receives nothing more.
  void FreezeStandby() {
    own.SetStandbyAside();
    home_.inside.emplace(MustConnect(own.Options(database_)));
  }
  void FailOver() {
    own.FailOver();
    home_.inside.emplace(MustConnect(own.Options(database_)));
  }
  /// Writes the order on the publisher, and waits until the subscriber has confirmed it.
  void Follow(Direction direction, const std::string& word) {
    pg::Connection& publisher = direction == Direction::kForward ? source() : target();
    MustExec(publisher, {"INSERT INTO public.orders (word) VALUES ('" + word + "')"});
    const std::string written = MustRead(publisher, "SELECT pg_current_wal_lsn()")[0];
    pg::testing::WaitUntil(
        [&] {
          return MustRead(publisher,
                          "SELECT confirmed_flush_lsn >= $2::pg_lsn FROM pg_replication_slots"
                          " WHERE slot_name = $1",
                          {pg::StreamName(uid_, direction), written})[0] == "t";
        },
        "the subscriber confirms what it has applied");
  }
  std::string OrdersOn(pg::Connection& side) {
    return MustRead(side, "SELECT string_agg(word, ' ' ORDER BY id) FROM public.orders")[0];
  }

 private:
  Home& home_;
};

class FailingOverSource : public FailingOver, public ::testing::WithParamInterface<int> {
 protected:
  FailingOverSource() : FailingOver(GetParam(), pg::Side::kSource) {}
};
class FailingOverTarget : public FailingOver {
 protected:
  FailingOverTarget() : FailingOver(17, pg::Side::kTarget) {}

  /// A row is confirmed, and kept as changed, that the standby does not receive.
  void FollowPastTheStandby() {
    CatchUp(kShop);
    WatchChanges();
    MustPerform(Intent::kWatchStream);
    FreezeStandby();
    Follow(Direction::kForward, "confirmed");
    MustPerform(Intent::kWatchStream);
  }
};

TEST_P(FailingOverSource, Trap84_IsNoWayBackWhateverArrivesAfterwards) {
  CatchUp(kShop);
  SwitchOver();
  Follow(Direction::kReverse, "kept");
  FreezeStandby();
  Follow(Direction::kReverse, "confirmed");
  FailOver();
  MustPerform(Intent::kWatchReverseStream);
  Follow(Direction::kReverse, "later");
  EXPECT_EQ(OrdersOn(source()), "before kept later") << "nothing is sent twice";
  EXPECT_EQ(OrdersOn(target()), "before kept confirmed later");

  ClusterWorld world(context_);
  Observation seen = world.Observe({}, Soon(), migration_);
  for (Subject subject : {Subject::kReversePublisher, Subject::kReverseSubscriber,
                          Subject::kReverseSample, Subject::kStructure})
    world.LookAt({}, Soon(), migration_, subject, seen);
  EXPECT_TRUE(FollowsBack(seen));
  EXPECT_FALSE(WayBackIsOpen(seen));
  EXPECT_TRUE(StreamBackIsBroken(seen)) << "it does not come by waiting";
  EXPECT_THAT(WhyWayBackIsShut(seen), HasSubstr("has failed over"));
}
INSTANTIATE_TEST_SUITE_P(Majors, FailingOverSource, ::testing::Values(13, 15, 18),
                         ::testing::PrintToStringParamName());

TEST_F(FailingOverTarget, Trap84_IsCopiedAgainAndNotFollowedOn) {
  FollowPastTheStandby();
  FailOver();
  Follow(Direction::kForward, "later");
  EXPECT_EQ(OrdersOn(source()), "before confirmed later");
  EXPECT_EQ(OrdersOn(target()), "before later") << "nothing is sent twice";

  const Plan plan = Next(RealClock().WallNow());
  EXPECT_EQ(plan.reason, "TargetFailedOver") << plan.message;
  EXPECT_EQ(plan.guard, Guard::kUndo);
  MustPerform(Intent::kDropForwardPublisher);
}

// What no copy of the slots tells: some keep them on their standbys (pg_failover_slots).
TEST_F(FailingOverTarget, Trap84_BehindClosedDoorsIsNotSwitchedToThoughTheMarkerArrives) {
  FollowPastTheStandby();
  migration_.status.cutover.attempts = 1;
  MustPerform(Intent::kFenceSource);
  FailOver();
  MustRead(target(), "SELECT pg_create_logical_replication_slot($1, 'pgoutput')",
           {pg::StreamName(uid_, Direction::kReverse)});
  pg::testing::WaitUntil([&] { return Perform(Intent::kDrainForward).has_value(); },
                         "the marker arrives");
  EXPECT_EQ(OrdersOn(source()), "before confirmed");
  EXPECT_EQ(OrdersOn(target()), "before") << "nothing is sent twice";

  Status proven = Perform(Intent::kFinalizeTarget);
  ASSERT_FALSE(proven) << "what was acknowledged is lost";
  EXPECT_EQ(proven.error().reason, "TargetFailedOver") << proven.error().message;
  EXPECT_EQ(proven.error().disposition, Disposition::kTerminal);
  MustPerform(Intent::kDropForwardPublisher);
}

// --- once it is over -----------------------------------------------------------------------------

TEST_F(OnlineWorld, TheSourceStaysShutAndWholeUntilItsRetentionIsOverByBothClocks) {
  const auto now = std::chrono::floor<std::chrono::seconds>(RealClock().WallNow());
  CatchUp(kShop);
  SwitchOver();
  EXPECT_EQ(ReasonOf(Intent::kDropSource), "StateMismatch") << "it is the way back";
  for (Intent intent :
       {Intent::kDropForwardSubscriber, Intent::kDropForwardPublisher,
        Intent::kDropReverseSubscriber, Intent::kDropReversePublisher, Intent::kRetireSource})
    MustPerform(intent);
  api::Stage completed;
  completed.name = Name(Phase::kCompleted);
  completed.started_at = now;
  migration_.status.phase = Phase::kCompleted;
  migration_.status.stages.push_back(completed);
  migration_.spec.reclaim_policy = api::ReclaimPolicy::kDelete;
  migration_.spec.retention_seconds = 3600;
  Json placement = **client_.Get({}, Soon(), kube::kDatabasePlacement, {"tenant", "tenant"});
  placement.Set("status", Json::Object({{"serverName", "pg-target"}}));
  ASSERT_TRUE(client_.Update({}, Soon(), kube::kDatabasePlacement, placement));

  EXPECT_FALSE(Next(now + 3599s).effect);
  const Plan ahead = Next(now + 3601s);
  EXPECT_FALSE(ahead.effect);
  EXPECT_THAT(ahead.message, HasSubstr("not by that of server pg-source"));
  EXPECT_FALSE(OwnerMayConnect(source_.owner));
  EXPECT_EQ(MustRead(source(), "SELECT word FROM public.orders")[0], "before");

  migration_.spec.retention_seconds = 0;
  EXPECT_EQ(Next(now + 1s).effect, Intent::kDropSource);
  MustPerform(Intent::kDropSource);
  MustPerform(Intent::kDropSource);  // Once more, as after a crash.
  EXPECT_EQ(Next(now + 1s).guard, Guard::kSourceGone);
  EXPECT_EQ(MustRead(target(), "SELECT word FROM public.orders")[0], "before");
  pg::Connection admin = MustConnect(Servers().source);
  MustExec(admin, {"CREATE DATABASE " + database_});  // For whoever cleans up.
  source_.inside.emplace(MustConnect(Servers().source.WithDatabase(database_)));
}

}  // namespace
}  // namespace cutover::migration
