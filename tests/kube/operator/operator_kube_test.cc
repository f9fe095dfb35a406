// SPDX-License-Identifier: Apache-2.0
//
// The operator's own program against an API server of its own, since DatabaseServers are seen by
// whoever is there: as the chart's account with rights in one tenant's namespace alone, and asked
// by the program that `helm test` runs.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>

#include "operator/base/random.h"
#include "operator/kube/metadata.h"
#include "tests/kube/api_server.h"
#include "tests/kube/chart/chart_account.h"
#include "tests/kube/crd/crd_server.h"

namespace cutover {
namespace {

using testing::ControlPlane;

class OperatorProgram : public ::testing::Test {
 protected:
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }

  void SetUp() override {
    auto plane = ControlPlane::Start(directory_);
    ASSERT_TRUE(plane) << plane.error().message;
    plane_ = std::move(*plane);
    auto kubeconfig = plane_->Kubeconfig();
    ASSERT_TRUE(kubeconfig);
    kubeconfig_ = *kubeconfig;
    admin_ = testing::MakeClient(kubeconfig_);
    testing::InstallCrds(*admin_);
    home_ = testing::MakeNamespace(*admin_, "home");
    watched_ = testing::MakeNamespace(*admin_, "watched");
    other_ = testing::MakeNamespace(*admin_, "other");
  }

  void Create(const kube::Resource& resource, const std::string& ns, const char* json) {
    Json object = *Json::Parse(json);
    object.Set("apiVersion", resource.ApiVersion());
    object.Set("kind", resource.kind);
    if (!ns.empty()) object.MutableAt("metadata").Set("namespace", ns);
    auto created = admin_->Create({}, Soon(), resource, object);
    ASSERT_TRUE(created) << created.error().message;
  }
  // A tenant of a server that nothing answers for, and somebody who wants it moved.
  void CreateTenant(const std::string& ns) {
    Create(kube::kSecret, ns, R"({"metadata":{"name":"db"},"stringData":{"password":"p"}})");
    Create(kube::kDatabasePlacement, ns, R"({"metadata":{"name":"tenant"},"spec":{
        "database":{"name":"t","owner":"t","passwordSecretRef":{"name":"db","key":"password"}},
        "class":"Shared","serverName":"pg-1","profile":{"type":"Generic"},
        "connection":{"service":{"name":"tenant-pg"}}}})");
    Create(kube::kTenantMigration, ns, R"({"metadata":{"name":"move"},"spec":{
        "placementRef":{"name":"tenant"},"target":{"serverName":"pg-2"},"strategy":"Offline",
        "backup":{"mode":"Skip"}}})");
  }
  Json Stored(const kube::Resource& resource, const std::string& ns, const char* name) {
    auto object = admin_->Get({}, Soon(), resource, {ns, name});
    EXPECT_TRUE(object && *object);
    return **object;
  }
  static bool WaitFor(const std::function<bool()>& holds) {
    for (const Deadline deadline = Soon(); !deadline.Expired();) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }
  testing::Process StartOperator(const testing::ChartAccount& account, const std::string& flag) {
    log_ = directory_ + "/operator-" + RandomHex(4) + ".log";
    auto started = testing::Process::Start(
        {CUTOVER_OPERATOR, "--kubeconfig=" + account.kubeconfig(), "--namespace=" + home_,
         "--metrics-address=127.0.0.1:0", "--health-address=127.0.0.1:0", flag},
        log_);
    EXPECT_TRUE(started);
    return std::move(*started);
  }
  // The port that the last one serves at; it says so itself.
  std::string Port() {
    std::string port;
    EXPECT_TRUE(WaitFor([&] {
      const std::string log = Log();
      const size_t line = log.find("serving"), at = log.find("\"port\":", line);
      if (line == std::string::npos || at == std::string::npos) return false;
      port = std::to_string(std::atoi(log.c_str() + at + 7));
      return port != "0";
    })) << Log();
    return port;
  }
  // What `self-test` prints, with "passed" or "failed" at its end.
  std::string SelfTest(const std::string& kubeconfig, const std::string& home,
                       const std::string& port) {
    const std::string command = std::string(CUTOVER_OPERATOR) + " --kubeconfig=" + kubeconfig +
                                " --namespace=" + home + " --watch-namespaces=" + watched_ +
                                " self-test --host=127.0.0.1 --metrics-port=" + port +
                                " --health-port=" + port + " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    std::string said;
    std::array<char, 4096> buffer{};
    while (size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
      said.append(buffer.data(), count);
    return said + (pclose(pipe) == 0 ? "passed" : "failed");
  }
  std::string Log() const {
    std::ifstream file(log_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::string directory_ =
      std::filesystem::temp_directory_path() / ("cutover-watch-" + RandomHex(6));
  std::unique_ptr<ControlPlane> plane_;
  std::string kubeconfig_;
  std::unique_ptr<kube::ApiClient> admin_;
  std::string home_, watched_, other_;
  std::string log_;  // Of the last operator that was started.
};

TEST_F(OperatorProgram, WorksInWatchedNamespacesWithRightsInThemAndTouchesNothingElsewhere) {
  testing::ChartAccount account(*admin_, kubeconfig_, home_,
                                "--set watchNamespaces={" + watched_ + "}");
  Create(kube::kSecret, home_,
         R"({"metadata":{"name":"pg"},"stringData":{"username":"u","password":"p"}})");
  Create(kube::kDatabaseServer, "", R"({"metadata":{"name":"pg-1"},"spec":{"class":"Shared",
      "endpoint":{"host":"127.0.0.1","port":1},"adminSecretRef":{"name":"pg"}}})");
  for (const std::string& ns : {watched_, other_}) ASSERT_NO_FATAL_FAILURE(CreateTenant(ns));
  const auto untouched = [&] {
    std::string versions;
    for (const auto& [resource, name] : {std::pair{kube::kDatabasePlacement, "tenant"},
                                         {kube::kTenantMigration, "move"},
                                         {kube::kSecret, "db"}})
      versions += kube::ResourceVersionOf(Stored(resource, other_, name)) + " ";
    return versions;
  };
  const std::string before = untouched();
  const auto running = StartOperator(account, "--watch-namespaces=" + watched_);

  EXPECT_TRUE(WaitFor([&] {
    return !Stored(kube::kTenantMigration, watched_, "move")["status"]["phase"]
                .AsString()
                .empty() &&
           !Stored(kube::kDatabasePlacement, watched_, "tenant")["status"]["conditions"].Empty() &&
           !Stored(kube::kDatabaseServer, "", "pg-1")["status"]["conditions"].Empty();
  })) << Log();
  // One reconcile of what is seen later: a new migration there is found by its watch.
  Create(kube::kTenantMigration, watched_, R"({"metadata":{"name":"later"},"spec":{
      "placementRef":{"name":"nobody"},"target":{"serverName":"pg-2"},"strategy":"Offline",
      "backup":{"mode":"Skip"}}})");
  EXPECT_TRUE(WaitFor([&] {
    return !Stored(kube::kTenantMigration, watched_, "later")["status"]["phase"].AsString().empty();
  })) << Log();

  EXPECT_EQ(untouched(), before);
  for (const char* word : {"orbidden", "ot allowed", "CacheSyncTimeout"})
    EXPECT_EQ(Log().find(word), std::string::npos) << Log();
  EXPECT_NE(Log().find("leading"), std::string::npos);
}

// What the test above rests on: without the flag the same rights are not enough, and it is said.
TEST_F(OperatorProgram, MissesRightsElsewhereWhenNoNamespacesAreNamed) {
  testing::ChartAccount account(*admin_, kubeconfig_, home_,
                                "--set watchNamespaces={" + watched_ + "}");
  const auto running = StartOperator(account, "--log-level=info");
  EXPECT_TRUE(WaitFor([&] { return Log().find("orbidden") != std::string::npos; })) << Log();
}

TEST_F(OperatorProgram, IsFoundWellByItsSelfTestAndNotWhenItIsGone) {
  testing::ChartAccount account(*admin_, kubeconfig_, home_,
                                "--set watchNamespaces={" + watched_ + "}");
  const auto test = [&](const std::string& port) {
    return SelfTest(account.kubeconfig(), home_, port);
  };
  auto first = StartOperator(account, "--watch-namespaces=" + watched_);
  EXPECT_TRUE(WaitFor([&] { return test(Port()).ends_with("passed"); })) << test(Port());

  // What it leaves is a lease that is not over, as after an uninstall: the next one has to wait.
  first.Kill();
  auto second = StartOperator(account, "--watch-namespaces=" + watched_);
  std::string said = test(Port());
  EXPECT_TRUE(said.ends_with("passed")) << said;

  second.Kill();
  auto elsewhere =
      std::async(std::launch::async, [&] { return SelfTest(kubeconfig_, other_, "1"); });
  said = test(Port());
  EXPECT_NE(said.find("no longer renews it"), std::string::npos) << said;
  EXPECT_NE(said.find("FAILED  the operator is ready"), std::string::npos) << said;
  EXPECT_NE(said.find("ok      tenantmigrations.cutover.dev can be read"), std::string::npos)
      << said;
  EXPECT_TRUE(said.ends_with("failed")) << said;
  said = elsewhere.get();
  EXPECT_NE(said.find("nobody holds it"), std::string::npos) << said;
  EXPECT_TRUE(said.ends_with("failed")) << said;
}

}  // namespace
}  // namespace cutover
