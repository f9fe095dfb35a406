// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/placement/reconciler.h"

#include <gtest/gtest.h>

#include "reconcilers/wiring/base64.h"
#include "reconcilers/wiring/service.h"
#include "tests/unit/kube/fake_client.h"

namespace cutover::placement {
namespace {

using kube::FakeClient;
using wiring::EncodeBase64;

class OneAddress final : public wiring::Resolver {
 public:
  std::string address;
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override {
    if (address.empty()) return RetryError("HostNotResolved", host);
    return std::vector<std::string>{address};
  }
};

Json Server(const std::string& name, const std::string& host) {
  Json server = *Json::Parse(
      R"({"apiVersion":"cutover.dev/v1alpha1","kind":"DatabaseServer",
          "spec":{"class":"Shared","adminSecretRef":{"name":"admin"}},
          "status":{"conditions":[{"type":"Ready","status":"True","reason":"Ready","message":"",
                                   "lastTransitionTime":"2026-11-21T12:00:00Z"}]}})");
  server.Set("metadata", Json::Object({{"name", name}, {"uid", name}}));
  server.MutableAt("spec").Set("endpoint", Json::Object({{"host", host}}));
  return server;
}

Json Migration(const char* phase) {
  Json migration = *Json::Parse(
      R"({"apiVersion":"cutover.dev/v1alpha1","kind":"TenantMigration",
          "metadata":{"name":"move","namespace":"tenants","uid":"m","generation":1},
          "spec":{"placementRef":{"name":"tenant"},"target":{"serverName":"pg-2"},
                  "strategy":"Offline","backup":{"mode":"Skip"}}})");
  migration.Set("status", Json::Object({{"phase", phase}}));
  return migration;
}

class ReconcilingAPlacement : public ::testing::Test {
 protected:
  void SetUp() override {
    servers_.Replace({Server("pg-1", "10.0.0.1"), Server("pg-2", "10.0.0.2")});
    migrations_.Replace({});
    Create(kube::kDatabasePlacement,
           *Json::Parse(
               R"({"apiVersion":"cutover.dev/v1alpha1","kind":"DatabasePlacement",
            "metadata":{"name":"tenant","namespace":"tenants","generation":1},
            "spec":{"database":{"name":"t","owner":"t","passwordSecretRef":{"name":"pw","key":"p"}},
                    "class":"Shared","serverName":"pg-1","profile":{"type":"Generic"},
                    "connection":{"service":{"name":"db"}}}})"));
    AddSecret("cutover-system", "admin", {{"username", "admin"}, {"password", "a"}});
    AddSecret("tenants", "pw", {{"p", "tenant's own"}});
  }
  void Create(const kube::Resource& resource, const Json& object) {
    Result<Json> created = client_.Create({}, Deadline::Never(), resource, object, {});
    ASSERT_TRUE(created) << created.error().message;
  }
  void AddSecret(const char* ns, const char* name,
                 std::vector<std::pair<const char*, const char*>> values) {
    Json secret = kube::NewObject(kube::kSecret, {ns, name});
    for (auto [key, value] : values) secret.MutableAt("data").Set(key, EncodeBase64(value));
    Create(kube::kSecret, secret);
  }
  // By another version: the store takes an object of the same one for known.
  void ReplaceServer(Json server) {
    server.MutableAt("metadata").Set("resourceVersion", std::to_string(++server_version_));
    servers_.Replace({std::move(server)});
  }
  void StartMigration(const char* phase) {
    Create(kube::kTenantMigration, Migration(phase));
    migrations_.Upsert(Migration(phase));
  }
  void Reconcile() {
    PlacementReconciler reconciler(
        {client_, resolver_, servers_, active_migrations_}, {}, RealClock(),
        [this](std::stop_token, Deadline, const DatabaseQuestion& question) {
          asked_ = question;
          if (while_asking_) while_asking_();
          return answer_;
        });
    outcome_ =
        reconciler.Reconcile({}, Deadline::After(std::chrono::minutes(1)), {"tenants", "tenant"});
  }
  Json Stored(const kube::Resource& resource, const char* name) {
    auto object = client_.Get({}, Deadline::Never(), resource, {"tenants", name});
    return *object ? **object : Json();
  }
  void Delete(const kube::Resource& resource, const char* name) {
    ASSERT_TRUE(client_.Delete({}, Deadline::Never(), resource, {"tenants", name}, {}));
  }
  Json Placement() { return Stored(kube::kDatabasePlacement, "tenant"); }
  std::string Reason(const char* type) {
    const Json stored = Placement();
    for (const Json& condition : stored["status"]["conditions"].Items())
      if (condition["type"].StringRef() == type) return condition["reason"].AsString();
    return "";
  }
  std::string ServiceLeadsTo() {
    return kube::AnnotationOf(Stored(kube::kEndpointSlice, "db-cutover-ipv4"),
                              wiring::kServerAnnotation);
  }
  std::string ServiceAddress() {
    const Json slice = Stored(kube::kEndpointSlice, "db-cutover-ipv4");
    return slice["endpoints"][size_t{0}]["addresses"][size_t{0}].AsString();
  }
  void PointServiceAt(const wiring::HostPort& server) {
    Result<api::DatabasePlacement> placement = api::DecodeDatabasePlacement(Placement());
    ASSERT_TRUE(placement);
    ASSERT_TRUE(wiring::ApplyService({}, Deadline::Never(), {client_, resolver_, "cutover-system"},
                                     *placement, server));
  }

  FakeClient client_;
  OneAddress resolver_;
  kube::Store<api::DatabaseServer> servers_{"servers", api::DecodeDatabaseServer};
  int server_version_ = 100;
  kube::Store<api::TenantMigration> migrations_{"migrations", api::DecodeTenantMigration};
  kube::Index<api::TenantMigration> active_migrations_{migrations_, PlacementMovedBy};
  Result<DatabaseObservation> answer_ =
      DatabaseObservation{.exists = true, .owner = "t", .size_bytes = 7};
  std::function<void()> while_asking_;
  DatabaseQuestion asked_;
  int version_ = 0;
  Result<kube::Step> outcome_ = kube::Step::Done();
};

TEST_F(ReconcilingAPlacement, AdoptsTheTenantAndMakesItsService) {
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_EQ(outcome_->delay(), std::chrono::seconds(30));
  EXPECT_EQ(Reason("Ready"), "Ready");
  EXPECT_EQ(Reason("InSync"), "InSync");
  EXPECT_EQ(Placement()["status"]["serverName"].AsString(), "pg-1");
  EXPECT_EQ(Placement()["status"]["endpoint"].AsString(), "10.0.0.1:5432");
  EXPECT_EQ(ServiceLeadsTo(), "10.0.0.1:5432");
  EXPECT_EQ(asked_.tenant.user, "t");
  EXPECT_EQ(asked_.tenant.password, "tenant's own");
  EXPECT_EQ(asked_.tenant.database, "t");
}

TEST_F(ReconcilingAPlacement, WritesNothingTheSecondTime) {
  Reconcile();
  ASSERT_TRUE(outcome_);
  int writes = 0;
  client_.fault = [&](FakeClient::When, const std::string& verb) -> std::optional<Error> {
    if (verb != "get" && verb != "list") ++writes;
    return std::nullopt;
  };
  Reconcile();
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(writes, 0);
}

TEST_F(ReconcilingAPlacement, LeavesTheServiceToAnActiveMigration) {
  Reconcile();
  StartMigration("Opening");
  PointServiceAt({"10.0.0.2", 5432});
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_EQ(ServiceLeadsTo(), "10.0.0.2:5432");
  EXPECT_EQ(Placement()["status"]["migrationName"].AsString(), "move");
  EXPECT_EQ(Reason("WiringDrifted"), "Migrating");
}

TEST_F(ReconcilingAPlacement, LeavesItAlsoWhenTheCacheDoesNotKnowTheMigrationYet) {
  Reconcile();
  Create(kube::kTenantMigration, Migration("Opening"));  // Not in the store.
  PointServiceAt({"10.0.0.2", 5432});
  Reconcile();
  EXPECT_EQ(ServiceLeadsTo(), "10.0.0.2:5432");
}

TEST_F(ReconcilingAPlacement, AdoptsTheServerThatAMigrationWaitsForInPending) {
  StartMigration("Pending");
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_EQ(Placement()["status"]["serverName"].AsString(), "pg-1");
  EXPECT_EQ(ServiceLeadsTo(), "10.0.0.1:5432");
}

// A migration waits for the Service until it has written down where that leads.
class BesideAMigrationThatPrepares : public ReconcilingAPlacement,
                                     public ::testing::WithParamInterface<const char*> {};

TEST_P(BesideAMigrationThatPrepares, MakesTheServiceThatHasGone) {
  Reconcile();
  StartMigration(GetParam());
  Delete(kube::kService, "db");
  Delete(kube::kEndpointSlice, "db-cutover-ipv4");
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_EQ(ServiceLeadsTo(), "10.0.0.1:5432");
  EXPECT_EQ(Stored(kube::kService, "db")["spec"]["ports"].Size(), 1u);
  EXPECT_EQ(Reason("Ready"), "Ready") << "nothing is moved yet";
  EXPECT_EQ(Placement()["status"]["migrationName"].AsString(), "move");
}

TEST_P(BesideAMigrationThatPrepares, AdoptsAPlacementThatWasMadeAgainAndThatItWillCheckYet) {
  const std::string phase = GetParam();
  const bool is_checked_yet = phase == "Pending" || phase == "Preflight";
  StartMigration(GetParam());
  Reconcile();
  EXPECT_EQ(Placement()["status"]["serverName"].AsString(), is_checked_yet ? "pg-1" : "");
}

INSTANTIATE_TEST_SUITE_P(In, BesideAMigrationThatPrepares,
                         ::testing::Values("Pending", "Preflight", "BackingUp", "Preparing"));

TEST_F(ReconcilingAPlacement, MakesNoServiceForAMigrationThatHasBegun) {
  Reconcile();
  StartMigration("CatchingUp");
  Delete(kube::kService, "db");
  Delete(kube::kEndpointSlice, "db-cutover-ipv4");
  Reconcile();
  EXPECT_EQ(ServiceLeadsTo(), "");
  EXPECT_EQ(Reason("Ready"), "Migrating");
}

// A server gets another address while a move goes on, and the old one is no longer there. `served`:
// the server that users work on, if they do.
struct MidMove {
  const char* phase;
  const char* strategy;
  const char* served;
};

class InMidMove : public ReconcilingAPlacement, public ::testing::WithParamInterface<MidMove> {
 protected:
  // The placement says that the tenant is on `server_name`, and its Service leads to `host`.
  void Begin(const char* server_name, const char* host) {
    Reconcile();
    const Json patch = Json::Object({{"status", Json::Object({{"serverName", server_name}})}});
    ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kDatabasePlacement,
                              {"tenants", "tenant"}, patch, {}));
    Json migration = Migration(GetParam().phase);
    migration.MutableAt("spec").Set("strategy", GetParam().strategy);
    migration.MutableAt("status").Set("sourceServerName", "pg-1");
    Create(kube::kTenantMigration, migration);
    migrations_.Upsert(migration);
    PointServiceAt({host, 5432});
    Json server = Server(server_name, "10.0.0.77");
    ReplaceServer(server);
  }
};

TEST_P(InMidMove, TheServiceFollowsTheAddressOfTheServerThatUsersWorkOnAndNoOther) {
  const std::string served = GetParam().served;
  const bool on_target = served == "pg-2";
  Begin(on_target ? "pg-2" : "pg-1", on_target ? "10.0.0.2" : "10.0.0.1");
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_EQ(ServiceLeadsTo(), served.empty() ? "10.0.0.1:5432" : "10.0.0.77:5432");
  EXPECT_EQ(ServiceAddress(), served.empty() ? "10.0.0.1" : "10.0.0.77");
}

// As when the placement was restored from a backup of before the switch.
TEST_P(InMidMove, TheServiceStaysWhereItIsWhereThePlacementNamesTheOtherServer) {
  const bool on_target = std::string_view(GetParam().served) == "pg-2";
  Begin(on_target ? "pg-1" : "pg-2", on_target ? "10.0.0.2" : "10.0.0.1");
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_EQ(ServiceLeadsTo(), on_target ? "10.0.0.2:5432" : "10.0.0.1:5432");
}

TEST_P(InMidMove, AServiceThatHasGoneIsNotMade) {
  Begin("pg-1", "10.0.0.1");
  Delete(kube::kService, "db");
  Delete(kube::kEndpointSlice, "db-cutover-ipv4");
  Reconcile();
  EXPECT_EQ(ServiceLeadsTo(), "");
}

INSTANTIATE_TEST_SUITE_P(
    Phase, InMidMove,
    ::testing::Values(MidMove{"Copying", "Online", "pg-1"}, MidMove{"CatchingUp", "Online", "pg-1"},
                      MidMove{"AwaitingCutover", "Offline", "pg-1"},
                      MidMove{"Hypercare", "Online", "pg-2"},
                      MidMove{"Completing", "Offline", "pg-2"}, MidMove{"Copying", "Offline", ""},
                      MidMove{"Fencing", "Online", ""}, MidMove{"Switching", "Online", ""},
                      MidMove{"Opening", "Online", ""}, MidMove{"Undoing", "Online", ""},
                      MidMove{"RollingBack", "Online", ""}),
    [](const auto& one) { return std::string(one.param.strategy) + one.param.phase; });

TEST_F(ReconcilingAPlacement, SaysWhyItIsNotAdoptedAlsoToAMigrationThatWaitsForIt) {
  answer_->exists = false;
  StartMigration("Pending");
  Reconcile();
  EXPECT_EQ(Reason("Ready"), "DatabaseNotFound");
}

TEST_F(ReconcilingAPlacement, AdoptsNoServerInTheMiddleOfAMove) {
  StartMigration("Copying");  // The placement was deleted, and made anew.
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_TRUE(Placement()["status"]["serverName"].AsString().empty());
  EXPECT_EQ(Reason("Ready"), "Migrating");
}

// As when the tenant was moved, Git still names its former server, and the status was lost.
TEST_F(ReconcilingAPlacement, LeavesAServiceThatLeadsElsewhereUntilTheTenantIsFound) {
  PointServiceAt({"10.0.0.2", 5432});
  answer_->tenant_login = TerminalError("AuthenticationFailed", "fenced");
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_EQ(ServiceLeadsTo(), "10.0.0.2:5432");
  EXPECT_EQ(Reason("Ready"), "TenantLoginFailed");
  EXPECT_EQ(Reason("WiringDrifted"), "Drifted");
  answer_->tenant_login = Ok();
  Reconcile();
  EXPECT_EQ(ServiceLeadsTo(), "10.0.0.1:5432") << "it is here";
  EXPECT_EQ(Placement()["status"]["serverName"].AsString(), "pg-1");
}

TEST_F(ReconcilingAPlacement, MakesAServiceThatLeadsNowhereBeforeTheTenantIsFound) {
  answer_ = RetryError("ConnectionFailed", "no answer");
  Reconcile();
  EXPECT_EQ(ServiceLeadsTo(), "10.0.0.1:5432");
}

TEST_F(ReconcilingAPlacement, PointsAStrayServiceHomeWhenNoMigrationIsActive) {
  Reconcile();
  StartMigration("Completed");
  PointServiceAt({"10.0.0.2", 5432});
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_EQ(ServiceLeadsTo(), "10.0.0.1:5432");
}

TEST_F(ReconcilingAPlacement, NeverTakesBackWhereAMigrationHasJustPlacedTheTenant) {
  Reconcile();
  while_asking_ = [this] {
    const Json patch = Json::Object({{"status", Json::Object({{"serverName", "pg-2"}})}});
    ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kDatabasePlacement,
                              {"tenants", "tenant"}, patch, {}));
  };
  answer_->size_bytes = 70'000;  // Something to write.
  Reconcile();
  ASSERT_FALSE(outcome_);
  EXPECT_TRUE(kube::IsConflict(outcome_.error()));
  EXPECT_EQ(Placement()["status"]["serverName"].AsString(), "pg-2");
}

TEST_F(ReconcilingAPlacement, ADeadServerLeavesTheRestOfTheStatusTold) {
  answer_ = RetryError("ConnectionFailed", "no answer");
  Reconcile();
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(Reason("Ready"), "DatabaseNotObserved");
  EXPECT_EQ(Reason("InSync"), "InSync");
  EXPECT_TRUE(Placement()["status"]["serverName"].AsString().empty()) << "not adopted unseen";
}

// Whom a server no longer admits works there on, and is told where it is.
TEST_F(ReconcilingAPlacement, KeepsTheServiceCurrentOfATenantThatIsNoLongerAdmitted) {
  Json server = Server("pg-1", "pg.example");
  resolver_.address = "10.0.0.1";
  ReplaceServer(server);
  Reconcile();
  ASSERT_EQ(ServiceAddress(), "10.0.0.1");
  server.MutableAt("spec").Set("allowedNamespaces",
                               Json::Object({{"names", Json::Array({"others"})}}));
  ReplaceServer(server);
  resolver_.address = "10.0.0.7";
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_EQ(ServiceAddress(), "10.0.0.7");
  EXPECT_EQ(Reason("Ready"), "NamespaceNotAllowed");
  Delete(kube::kService, "db");
  Delete(kube::kEndpointSlice, "db-cutover-ipv4");
  Reconcile();
  EXPECT_EQ(ServiceAddress(), "10.0.0.7");
}

TEST_F(ReconcilingAPlacement, MakesNoServiceForATenantThatIsNotAdmittedAndNotAdopted) {
  Json server = Server("pg-1", "10.0.0.1");
  server.MutableAt("spec").Set("allowedNamespaces",
                               Json::Object({{"names", Json::Array({"others"})}}));
  ReplaceServer(server);
  Reconcile();
  EXPECT_EQ(ServiceLeadsTo(), "");
}

// In mid-move it may lead to the target.
TEST_F(ReconcilingAPlacement, KeepsTheServiceCurrentAlsoWhenItsServersObjectIsMissing) {
  resolver_.address = "10.0.0.2";
  Reconcile();
  StartMigration("Opening");
  PointServiceAt({"pg.example", 5432});
  servers_.Replace({});
  resolver_.address = "10.0.0.7";
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_EQ(ServiceAddress(), "10.0.0.7");
}

TEST_F(ReconcilingAPlacement, ThatIsDeletedAndHeldKeepsItsServiceCurrentAndSaysByWhomItIsHeld) {
  ReplaceServer(Server("pg-1", "pg.example"));
  resolver_.address = "10.0.0.1";
  Reconcile();
  StartMigration("RolledBack");
  Json deleted = *Json::Parse(R"({"metadata":{"deletionTimestamp":"2026-11-22T12:00:00Z"}})");
  const std::string uid = kube::UidOf(Stored(kube::kTenantMigration, "move"));
  deleted.MutableAt("metadata").Set("finalizers", Json::Array({"cutover.dev/move-" + uid}));
  ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kDatabasePlacement, {"tenants", "tenant"},
                            deleted, {}));
  resolver_.address = "10.0.0.7";
  Reconcile();
  ASSERT_TRUE(outcome_) << outcome_.error().message;
  EXPECT_EQ(ServiceAddress(), "10.0.0.7");
  EXPECT_EQ(Reason("Ready"), "Deleting");
  EXPECT_EQ(Reason("Stalled"), "Deleting") << "until somebody deletes the migration";
  EXPECT_EQ(Placement()["status"]["serverName"].AsString(), "pg-1");
  EXPECT_EQ(outcome_->delay(), std::chrono::seconds(30));
}

TEST(ActiveMigration, IsTheOldestThatIsNotOver) {
  const auto make = [](const char* name, const char* placement, api::Phase phase, int minute) {
    auto migration = std::make_shared<api::TenantMigration>();
    migration->meta.name = name;
    migration->meta.namespace_name = "tenants";
    migration->meta.creation_timestamp = WallTime(std::chrono::minutes(minute));
    migration->spec.placement_name = placement;
    migration->status.phase = phase;
    return migration;
  };
  const kube::Key tenant{"tenants", "tenant"};
  EXPECT_EQ(ActiveMigrationOf(tenant, {}), nullptr);
  EXPECT_EQ(ActiveMigrationOf(tenant, {make("done", "tenant", api::Phase::kCompleted, 1),
                                       make("back", "tenant", api::Phase::kRolledBack, 1),
                                       make("failed", "tenant", api::Phase::kFailed, 1),
                                       make("aborted", "tenant", api::Phase::kAborted, 1),
                                       make("other", "another", api::Phase::kCopying, 1)}),
            nullptr);
  EXPECT_EQ(ActiveMigrationOf(tenant, {make("b", "tenant", api::Phase::kPending, 2),
                                       make("c", "tenant", api::Phase::kUndoing, 1),
                                       make("a", "tenant", api::Phase::kPending, 2)})
                ->meta.name,
            "c");
}

// What is over concerns no placement: ten thousand of them, listed at a start, cost it nothing.
TEST_F(ReconcilingAPlacement, IsCalledForWhenAMigrationBeginsOrIsOverAndForNoneThatWasOver) {
  kube::Manager manager(client_, {});
  kube::Store<api::DatabasePlacement> placements("placements", api::DecodeDatabasePlacement);
  PlacementReconciler reconciler({client_, resolver_, servers_, active_migrations_}, {});
  AddPlacementController(manager, placements, servers_, migrations_, reconciler);
  kube::WorkQueue& queue = manager.controllers().front()->queue();
  const auto called_for = [&] {
    const size_t depth = queue.Depth();
    while (const auto key = queue.TryGet()) queue.Done(*key);
    return depth;
  };
  Json version = Migration("Completed");
  const auto becomes = [&](const char* phase) {
    version.Set("status", Json::Object({{"phase", phase}}));
    version.MutableAt("metadata").Set("resourceVersion", std::to_string(++version_));
    migrations_.Upsert(version);
    return called_for();
  };
  EXPECT_EQ(becomes("Completed"), 0u);
  migrations_.Remove(version);
  EXPECT_EQ(called_for(), 0u);
  EXPECT_EQ(becomes("Pending"), 1u);
  EXPECT_EQ(becomes("Preflight"), 0u);
  EXPECT_EQ(becomes("CatchingUp"), 1u) << "it has begun";
  EXPECT_EQ(becomes("Fencing"), 0u);
  EXPECT_EQ(becomes("Failed"), 1u);
  EXPECT_EQ(becomes("Pending"), 1u) << "tried again";
  migrations_.Remove(version);
  EXPECT_EQ(called_for(), 1u);
}

}  // namespace
}  // namespace cutover::placement
