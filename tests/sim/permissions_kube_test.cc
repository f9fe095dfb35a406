// SPDX-License-Identifier: Apache-2.0
//
// The chart's roles against all that the operator asks of an API server. What it asks is recorded
// twice: while the whole operator goes through every itinerary of the simulation, and while it
// works, as the chart's own service account and on a real API server, for a tenant that has one of
// everything. A real authorizer then says that all of it is granted, and, with each verb of each
// role taken away in turn, that something of it is refused.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "operator/base/check.h"
#include "operator/base/random.h"
#include "operator/kube/http_transport.h"
#include "operator/kube/kubeconfig.h"
#include "operator/kube/manager.h"
#include "operator/kube/metadata.h"
#include "operator/telemetry/scrape_access.h"
#include "reconcilers/server/reconciler.h"
#include "reconcilers/wiring/maintenance.h"
#include "reconcilers/wiring/outdate.h"
#include "reconcilers/wiring/routes.h"
#include "reconcilers/wiring/service.h"
#include "reconcilers/wiring/wiring.h"
#include "reconcilers/wiring/workloads.h"
#include "tests/kube/api_server.h"
#include "tests/kube/chart/chart_account.h"
#include "tests/kube/crd/crd_server.h"
#include "tests/sim/itineraries.h"
#include "tests/sim/run_plans.h"
#include "tests/unit/api/crd_schema.h"

namespace cutover::sim {
namespace {

using testing::AskedRight;
using testing::ChartAccount;
using testing::ChartRole;
using testing::Right;

Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }

// An apply asks twice, unless the object is there: may it be patched, and may it be created?
void Record(std::set<AskedRight>& asked, kube::Method method, const std::string& target) {
  AskedRight right = testing::RightOf(method, target);
  asked.insert(right);
  const bool is_apply = method == kube::Method::kPatch && target.find("force=true") != target.npos;
  if (!is_apply || right.right.resource.find('/') != std::string::npos) return;
  right.right.verb = "create";
  right.name.clear();
  asked.insert(std::move(right));
}

// Writes down what passes, and what the API server itself asks when an owner is named that may not
// be deleted before its child (admission plugin OwnerReferencesPermissionEnforcement).
class RecordingTransport final : public kube::Transport {
 public:
  RecordingTransport(std::unique_ptr<kube::Transport> inner, std::set<AskedRight>& asked)
      : inner_(std::move(inner)), asked_(asked) {}

  Result<kube::Response> Call(std::stop_token stop, Deadline deadline,
                              const kube::Request& request) override {
    {
      const std::scoped_lock lock(mutex_);
      Record(asked_, request.method, request.target);
      RecordOwners(request);
    }
    return inner_->Call(std::move(stop), deadline, request);
  }
  kube::StreamEnd Stream(std::stop_token stop, std::chrono::milliseconds idle_timeout,
                         const kube::Request& request, OnBytes on_bytes) override {
    {
      const std::scoped_lock lock(mutex_);
      Record(asked_, request.method, request.target);
    }
    return inner_->Stream(std::move(stop), idle_timeout, request, std::move(on_bytes));
  }
  std::string_view host() const override { return inner_->host(); }

 private:
  void RecordOwners(const kube::Request& request) {
    const Result<Json> body = Json::Parse(request.body);
    if (!body) return;
    const std::string ns = testing::RightOf(request.method, request.target).ns;
    for (const Json& owner : body->At({"metadata", "ownerReferences"}).Items())
      for (const kube::Resource& resource : {kube::kDatabasePlacement, kube::kTenantMigration})
        if (owner["kind"].StringRef() == resource.kind && owner["blockOwnerDeletion"].AsBool())
          asked_.insert(
              {{"cutover.dev", std::string(resource.plural) + "/finalizers", "update"}, ns, ""});
  }

  const std::unique_ptr<kube::Transport> inner_;
  std::mutex mutex_;
  std::set<AskedRight>& asked_;
};

class FixedResolver final : public wiring::Resolver {
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline, const std::string&) override {
    return std::vector<std::string>{"10.1.0.1"};
  }
};

// The CRD itself, from the pinned module, as `hack/cluster` installs it.
void InstallHttpRoutes(kube::Client& admin) {
  FILE* command = popen("hack/cluster gateway-crds", "r");
  std::array<char, 4096> line{};
  ASSERT_NE(fgets(line.data(), line.size(), command), nullptr);
  ASSERT_EQ(pclose(command), 0);
  std::string path = line.data();
  path.erase(path.find_last_not_of('\n') + 1);
  for (Json crd : api::testing::LoadYaml(path + "/gateway.networking.k8s.io_httproutes.yaml"))
    if (crd["kind"].StringRef() == "CustomResourceDefinition") {
      ASSERT_TRUE(admin.Apply({}, Soon(), kube::kCustomResourceDefinition, crd));
    }
  while (!admin.List({}, Soon(), kube::kHttpRoute))
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

class Permissions : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::InstallCrds(*admin_);
    ASSERT_NO_FATAL_FAILURE(InstallHttpRoutes(*admin_));
    while (!account_.May({{"cutover.dev", "tenantmigrations", "list"}, tenant_, ""}))
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    auto connection = kube::LoadConnection(account_.kubeconfig());
    ASSERT_TRUE(connection);
    auto transport = kube::MakeHttpTransport(connection->transport);
    ASSERT_TRUE(transport);
    client_ = std::make_unique<kube::ApiClient>(
        std::make_unique<RecordingTransport>(std::move(*transport), asked_), connection->token);
    placement_.meta.name = migration_.meta.name = "tenant";
    placement_.meta.namespace_name = migration_.meta.namespace_name = tenant_;
    placement_.meta.uid = migration_.meta.uid = "00000000-0000-4000-8000-000000000001";
  }

  void Create(const kube::Resource& resource, const char* json, const std::string& ns) {
    Json object = *Json::Parse(json);
    object.Set("apiVersion", resource.ApiVersion());
    object.Set("kind", resource.kind);
    object.MutableAt("metadata").Set("namespace", ns);
    auto created = admin_->Create({}, Soon(), resource, object);
    ASSERT_TRUE(created) << created.error().message;
  }

  // A tenant with a workload, a route and a piece of wiring of every kind.
  void FurnishOneOfEverything() {
    Create(kube::kDeployment, R"({"metadata":{"name":"web"},"spec":{"replicas":2,
        "selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
        "spec":{"containers":[{"name":"c","image":"i",
          "env":[{"name":"PGHOST","value":"10.1.0.1"}]}]}}}})",
           tenant_);
    Create(kube::kStatefulSet, R"({"metadata":{"name":"queue"},"spec":{"replicas":1,
        "serviceName":"q","selector":{"matchLabels":{"app":"queue"}},
        "template":{"metadata":{"labels":{"app":"queue"}},
        "spec":{"containers":[{"name":"c","image":"i"}]}}}})",
           tenant_);
    Create(kube::kCronJob, R"({"metadata":{"name":"cron"},"spec":{"schedule":"* * * * *",
        "jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never",
        "containers":[{"name":"c","image":"i"}]}}}}}})",
           tenant_);
    Create(kube::kIngress, R"({"metadata":{"name":"web"},"spec":{
        "defaultBackend":{"service":{"name":"web","port":{"name":"http"}}}}})",
           tenant_);
    Create(kube::kHttpRoute, R"({"metadata":{"name":"web"},"spec":{"parentRefs":[{"name":"gw"}],
        "rules":[{"backendRefs":[{"name":"web","port":80}]}]}})",
           tenant_);
    Create(kube::kService, R"({"metadata":{"name":"web"},
        "spec":{"ports":[{"name":"http","port":80}]}})",
           tenant_);
    Create(kube::kSecret, R"({"metadata":{"name":"db"},"stringData":{"host":"10.1.0.1"}})",
           tenant_);
    Create(kube::kConfigMap, R"({"metadata":{"name":"conf"},
        "data":{"odoo.conf":"[options]\ndb_host = 10.1.0.1\n"}})",
           tenant_);
    for (const std::string& ns : {home_, servers_}) {
      Create(kube::kService,
             R"({"metadata":{"name":"pg"},"spec":{"ports":[{"name":"pg","port":5432}]}})", ns);
      Create(kube::kEndpointSlice, R"({"metadata":{"name":"pg",
          "labels":{"kubernetes.io/service-name":"pg"}},"addressType":"IPv4",
          "ports":[{"name":"pg","port":5432}],
          "endpoints":[{"addresses":["10.1.0.2"],"conditions":{"ready":true}}]})",
             ns);
    }
    api::DatabasePlacementSpec& spec = placement_.spec;
    spec.database_name = spec.owner = "tenant";
    spec.workloads = {{"Deployment", "web"}, {"StatefulSet", "queue"}, {"CronJob", "cron"}};
    spec.routes = {{"Ingress", "web"}, {"HTTPRoute", "web"}};
    spec.connection.service_name = "tenant-pg";
    spec.connection.secret = api::WiringSecret{"db", "host", "", "", "", "", ""};
    spec.connection.config_files.push_back({{"ConfigMap", "conf"}, "odoo.conf", "OdooConf"});
    spec.connection.env.push_back({{"Deployment", "web"}, "c", "PGHOST", "", "", ""});
  }

  // One call of the operator's: refused, it would fail.
  template <class T>
  static void Expect(const T& outcome) {
    EXPECT_TRUE(outcome) << outcome.error().message;
  }

  // There and back, by the code that does it in a move, as the chart's account.
  void MoveOneOfEverything() {
    ASSERT_NO_FATAL_FAILURE(FurnishOneOfEverything());
    kube::Client& client = *client_;
    const wiring::Access access{client, resolver_, home_};
    const auto page = wiring::MaintenanceBackendOf(migration_);
    Expect(wiring::ApplyService({}, Soon(), access, placement_, {"fd00::1", 5432}));
    Expect(wiring::ApplyService({}, Soon(), access, placement_, {"10.1.0.1", 5432}));
    auto wired = wiring::RecordWiring({}, Soon(), access, placement_);
    auto workloads = wiring::RecordWorkloads({}, Soon(), client, placement_);
    auto routes = wiring::RecordRoutes({}, Soon(), client, placement_);
    Expect(wired), Expect(workloads), Expect(routes);
    Expect(wiring::FindAutoscalers({}, Soon(), client, placement_));
    Expect(wiring::EnsureMaintenancePage({}, Soon(), client, migration_, {"image"}));
    Expect(wiring::ObserveMaintenancePage({}, Soon(), client, migration_));
    Expect(wiring::FlipToMaintenance({}, Soon(), client, placement_, page));
    Expect(wiring::OriginalBackends({}, Soon(), client, placement_, *routes));
    Expect(wiring::StopWorkloads({}, Soon(), client, placement_));
    Expect(wiring::ObserveWorkloads({}, Soon(), client, placement_, *workloads));
    for (const std::string& host : {std::string("pg"), "pg." + servers_ + ".svc"})
      Expect(wiring::ApplyWiring({}, Soon(), access, placement_,
                                 {{host, 5432}, "tenant", std::nullopt, "tenant"}));
    // A pod of the server has another address.
    Expect(admin_->Patch({}, Soon(), kube::kEndpointSlice, {servers_, "pg"},
                         *Json::Parse(R"({"endpoints":[{"addresses":["10.1.0.3"]}]})")));
    Expect(wiring::RefreshService({}, Soon(), access, placement_));
    Expect(
        wiring::OutdateRequests({}, Soon(), access, placement_, {.wiring = true, .doors = true}));
    Expect(wiring::RestoreWiring({}, Soon(), access, placement_, *wired, {"10.1.0.1", 5432}));
    Expect(wiring::RestoreWorkloads({}, Soon(), client, placement_, *workloads));
    Expect(wiring::RestoreRoutes({}, Soon(), client, placement_, *routes));
    Expect(wiring::DeleteMaintenancePage({}, Soon(), client, migration_));
  }

  // The simulation's namespaces are these. What it asks of the whole cluster an operator that
  // watches some namespaces asks of each: tests/kube/operator runs one.
  void SimulateEverything() {
    std::set<AskedRight> simulated;
    for (const Itinerary& itinerary : Itineraries())
      for (const auto& [method, target] : ReferenceOf(itinerary).requests)
        Record(simulated, method, target);
    const std::map<std::string, std::string> spaces = {
        {kSpace, tenant_}, {kOperatorSpace, home_}, {"example", servers_}};
    for (AskedRight asked : simulated) {
      if (!asked.ns.empty())
        asked.ns = spaces.at(asked.ns);
      else if (!asked.right.resource.starts_with("databaseservers"))
        asked.ns = tenant_;
      asked_.insert(std::move(asked));
    }
  }

  // What the simulation has no part for: Secrets of servers are followed. And what an API server
  // asks that streams no lists.
  void FollowEverything() {
    kube::Manager manager(*client_, {});
    for (const kube::Resource& resource : {kube::kDatabasePlacement, kube::kTenantMigration})
      manager.AddStore<Json>({.resource = resource, .ns = tenant_, .watch_list = false},
                             kube::AsIs);
    auto& servers = manager.AddStore<api::DatabaseServer>({.resource = kube::kDatabaseServer},
                                                          api::DecodeDatabaseServer);
    server::ServerReconcilerOptions options;
    options.operator_namespace = home_;
    server::ServerReconciler reconciler(*client_, options);
    server::AddServerController(manager, servers, reconciler);
    std::jthread running([&](std::stop_token stop) { Expect(manager.Run(stop)); });
    const auto synced = [&] {
      for (const auto& [fact, holds] : manager.ReadinessFacts())
        if (!holds) return false;
      return true;
    };
    for (const Deadline deadline = Soon(); !synced() && !deadline.Expired();)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_TRUE(synced());
  }

  // A scrape, by somebody whom the API server knows.
  void AskWhoMayReadMetrics() {
    Expect(telemetry::AskApiServer({}, Soon(), *client_, account_.token()));
  }

  // A request of ours that the authorizer refuses now, of those that need this right; waits for one
  // (or for none) as long as the authorizer may take to follow a role.
  bool WaitUntil(const Right& right, bool refused) {
    const Deadline deadline = Deadline::After(std::chrono::seconds(60));
    do {
      bool seen = false;
      for (const AskedRight& asked : asked_)
        if (asked.right == right && !account_.May(asked)) seen = true;
      if (seen == refused) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    } while (!deadline.Expired());
    return false;
  }

  void ExpectMissed(const ChartRole& role, const Right& right) {
    std::vector<Right> others = role.Rights();
    std::erase(others, right);
    ASSERT_TRUE(admin_->Update({}, Soon(), role.resource, role.With(others)));
    EXPECT_TRUE(WaitUntil(right, /*refused=*/true))
        << role.resource.kind << " " << role.key.ToString()
        << " grants in vain: " << right.ToString();
    ASSERT_TRUE(admin_->Update({}, Soon(), role.resource, role.With(role.Rights())));
    ASSERT_TRUE(WaitUntil(right, /*refused=*/false)) << right.ToString();
  }

  static std::unique_ptr<testing::ControlPlane> OwnPlane() {
    auto started = testing::ControlPlane::Start(std::filesystem::temp_directory_path() /
                                                ("cutover-rights-" + RandomHex(6)));
    CHECK(started.has_value());
    return std::move(*started);
  }
  // Of its own: servers have no namespace, and their controller takes care of all that there are.
  std::unique_ptr<testing::ControlPlane> plane_ = OwnPlane();
  const std::string kubeconfig_ = *plane_->Kubeconfig();
  std::unique_ptr<kube::ApiClient> admin_ = testing::MakeClient(kubeconfig_);
  const std::string home_ = testing::MakeNamespace(*admin_, "rbac-home");
  const std::string tenant_ = testing::MakeNamespace(*admin_, "rbac-tenant");
  const std::string servers_ = testing::MakeNamespace(*admin_, "rbac-servers");
  ChartAccount account_{*admin_, kubeconfig_, home_,
                        "--set watchNamespaces={" + tenant_ + "} --set serverNamespaces={" +
                            servers_ + "} --set metrics.authorization.enabled=true"};
  std::set<AskedRight> asked_;
  std::unique_ptr<kube::ApiClient> client_;
  FixedResolver resolver_;
  api::DatabasePlacement placement_;
  api::TenantMigration migration_;
};

// With the namespaces named, every role stands for itself: the rights in the whole cluster are the
// same, bound once.
TEST_F(Permissions, AreAllThatIsAskedForAndEachOneIsMissedWhenItIsTakenAway) {
  ASSERT_NO_FATAL_FAILURE(MoveOneOfEverything());
  ASSERT_NO_FATAL_FAILURE(SimulateEverything());
  ASSERT_NO_FATAL_FAILURE(FollowEverything());
  ASSERT_NO_FATAL_FAILURE(AskWhoMayReadMetrics());
  for (const AskedRight& asked : asked_)
    EXPECT_TRUE(account_.May(asked)) << asked.right.ToString() << " in " << asked.ns;
  int taken = 0;
  for (const ChartRole& role : account_.Roles())
    for (const Right& right : role.Rights()) {
      ASSERT_NO_FATAL_FAILURE(ExpectMissed(role, right));
      ++taken;
    }
  std::printf("[  rights  ] %d taken away in turn; %zu different requests\n", taken, asked_.size());
  EXPECT_GT(taken, 60);
}

TEST_F(Permissions, EndAtTheNamespacesThatAreWatched) {
  for (const ChartRole& role : account_.Roles())
    for (const Right& right : role.Rights()) {
      // None of these has a namespace.
      if (right.resource.starts_with("databaseservers") || right.resource.ends_with("reviews"))
        continue;
      EXPECT_FALSE(account_.May({right, "", ""})) << right.ToString() << " everywhere";
      EXPECT_FALSE(account_.May({right, "default", ""})) << right.ToString();
    }
}

}  // namespace
}  // namespace cutover::sim
