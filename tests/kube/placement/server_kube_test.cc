// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "operator/base/check.h"
#include "operator/base/random.h"
#include "operator/kube/metadata.h"
#include "reconcilers/server/reconciler.h"
#include "tests/kube/api_server.h"
#include "tests/kube/crd/crd_server.h"

namespace cutover::server {
namespace {

// The controller as the operator runs it, against a real API server; PostgreSQL is a function.
class ServerController : public ::testing::Test {
 protected:
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }
  static std::unique_ptr<testing::ControlPlane> OwnPlane() {
    auto started = testing::ControlPlane::Start(std::filesystem::temp_directory_path() /
                                                ("cutover-servers-" + RandomHex(6)));
    CHECK(started.has_value());
    return std::move(*started);
  }

  void SetUp() override {
    testing::InstallCrds(*client_);
    Result<Json> server = Json::Parse(R"({"apiVersion":"cutover.dev/v1alpha1",
        "kind":"DatabaseServer","spec":{"class":"Shared","endpoint":{"host":"pg.db.svc"},
        "adminSecretRef":{"name":"pg-admin"}}})");
    server->Set("metadata", Json::Object({{"name", name_}}));
    Result<Json> created = client_->Create({}, Soon(), kube::kDatabaseServer, *server);
    ASSERT_TRUE(created) << created.error().message;
    running_ = std::jthread([this](std::stop_token stop) {
      Status ended = manager_.Run(stop);
      EXPECT_TRUE(ended) << ended.error().message;
    });
  }
  void TearDown() override {
    running_.request_stop();
    running_.join();
    EXPECT_TRUE(client_->Delete({}, Soon(), kube::kDatabaseServer, {"", name_}));
  }
  ServerReconcilerOptions Options() {
    ServerReconcilerOptions options;
    options.operator_namespace = ns_;
    options.probe_interval = std::chrono::hours(1);  // What happens, happens because of an event.
    return options;
  }
  Json Stored() { return **client_->Get({}, Soon(), kube::kDatabaseServer, {"", name_}); }
  std::string Reason(const char* type) {
    const Json stored = Stored();
    for (const Json& condition : stored["status"]["conditions"].Items())
      if (condition["type"].StringRef() == type) return condition["reason"].AsString();
    return "";
  }
  bool Eventually(const std::function<bool()>& holds) {
    const Deadline deadline = Soon();
    while (!holds()) {
      if (deadline.Expired()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return true;
  }
  void WriteSecret(const std::string& password) {
    Json secret = kube::NewObject(kube::kSecret, {ns_, "pg-admin"});
    secret.Set("stringData", Json::Object({{"username", "admin"}, {"password", password}}));
    Result<Json> applied = client_->Apply({}, Soon(), kube::kSecret, secret, "somebody-else");
    ASSERT_TRUE(applied) << applied.error().message;
  }
  Result<pg::ServerFacts> Answer(const pg::ConnectOptions& login) {
    ++probes_;
    if (login.password != "right") return TerminalError("AuthenticationFailed", "refused");
    pg::ServerFacts facts;
    facts.version = "15.20";
    facts.system_identifier = "7000";
    facts.wal_level = "logical";
    return facts;
  }

  // Of its own: servers have no namespace, and this controller takes care of all that there are.
  std::unique_ptr<testing::ControlPlane> plane_ = OwnPlane();
  std::unique_ptr<kube::ApiClient> client_ = testing::MakeClient(*plane_->Kubeconfig());
  std::string ns_ = testing::MakeNamespace(*client_, "servers");
  std::string name_ = "pg-" + RandomHex(4);
  std::atomic<int> probes_ = 0;
  ServerReconciler reconciler_{
      *client_, Options(), RealClock(),
      [this](std::stop_token, Deadline, const pg::ConnectOptions& login) { return Answer(login); },
      [](std::stop_token, Deadline, const pg::ConnectOptions&) { return int64_t{5'000'000}; }};
  kube::Manager manager_{*client_, {}};
  kube::Store<api::DatabaseServer>& servers_ = manager_.AddStore<api::DatabaseServer>(
      {.resource = kube::kDatabaseServer}, api::DecodeDatabaseServer);
  bool added_ = (AddServerController(manager_, servers_, reconciler_), true);
  std::jthread running_;
};

TEST_F(ServerController, AServerBecomesReadyAtOnceWhenItsSecretComesAndFailsWhenItIsWrong) {
  EXPECT_TRUE(Eventually([&] { return Reason("Ready") == "SecretMissing"; })) << Reason("Ready");
  WriteSecret("wrong");
  EXPECT_TRUE(Eventually([&] { return Reason("Ready") == "AuthenticationFailed"; }))
      << Reason("Ready");
  EXPECT_EQ(Reason("Stalled"), "AuthenticationFailed");
  WriteSecret("right");
  EXPECT_TRUE(Eventually([&] { return Reason("Ready") == "Ready"; })) << Reason("Ready");
  EXPECT_EQ(Reason("Stalled"), "") << "present only while True";
  EXPECT_EQ(Stored()["status"]["version"].AsString(), "15.20");
}

TEST_F(ServerController, ItsOwnWritesDoNotMakeItLookAgain) {
  WriteSecret("right");
  ASSERT_TRUE(Eventually([&] { return Reason("Ready") == "Ready"; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const int probes = probes_;
  const std::string version = kube::ResourceVersionOf(Stored());
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_EQ(probes_, probes);
  EXPECT_EQ(kube::ResourceVersionOf(Stored()), version);
}

}  // namespace
}  // namespace cutover::server
