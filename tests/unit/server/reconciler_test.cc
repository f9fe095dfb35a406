// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/server/reconciler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string_view>

#include "reconcilers/wiring/base64.h"
#include "tests/unit/kube/fake_client.h"
#include "tests/unit/kube/fake_clock.h"

namespace cutover::server {
namespace {

using kube::FakeClient;

class ReconcilingAServer : public ::testing::Test {
 protected:
  void SetUp() override {
    Json server = *Json::Parse(
        R"({"apiVersion":"cutover.dev/v1alpha1","kind":"DatabaseServer",
            "metadata":{"name":"pg-1","generation":1},
            "spec":{"class":"Shared","endpoint":{"host":"pg-1.db.svc"},
                    "adminSecretRef":{"name":"pg-1-admin"}}})");
    Result<Json> created = client_.Create({}, Deadline::Never(), kube::kDatabaseServer, server, {});
    ASSERT_TRUE(created);
    answer_->version = "15.20";
    answer_->system_identifier = "7000";
    answer_->wal_level = "logical";
  }
  void CreateSecret() {
    Json secret = kube::NewObject(kube::kSecret, {"cutover-system", "pg-1-admin"});
    secret.Set("data", Json::Object({{"username", EncodeBase64("admin")},
                                     {"password", EncodeBase64("hunter2")}}));
    ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kSecret, secret, {}));
  }
  static std::string EncodeBase64(const char* text) { return wiring::EncodeBase64(text); }

  Result<kube::Step> Reconcile() {
    reconciler_.emplace(
        client_, options_, clock_,
        [this](std::stop_token, Deadline deadline, const pg::ConnectOptions& login) {
          login_ = login;
          probe_remaining_ = deadline.Remaining();
          return answer_;
        },
        [this](std::stop_token, Deadline deadline, const pg::ConnectOptions&) {
          ++sizes_asked_;
          size_remaining_ = deadline.Remaining();
          ready_when_size_was_asked_ = ReadyReason();
          return size_;
        });
    return ReconcileAgain();
  }
  /// By the same reconciler.
  Result<kube::Step> ReconcileAgain() {
    return reconciler_->Reconcile({}, Deadline::After(std::chrono::minutes(2)), {"", "pg-1"});
  }
  Json Stored() {
    return **client_.Get({}, Deadline::Never(), kube::kDatabaseServer, {"", "pg-1"});
  }
  /// A field of the condition, or nothing when there is none.
  std::string OfCondition(const std::string& type, const char* field) {
    const Json stored = Stored();
    for (const Json& condition : stored["status"]["conditions"].Items())
      if (condition["type"].StringRef() == type) return condition[field].AsString();
    return "";
  }
  std::string ReadyReason() { return OfCondition("Ready", "reason"); }

  FakeClient client_;
  ServerReconcilerOptions options_;
  Result<pg::ServerFacts> answer_ = pg::ServerFacts();
  pg::ConnectOptions login_;
  std::chrono::milliseconds probe_remaining_{};
  kube::FakeClock clock_;
  Result<int64_t> size_ = int64_t{5'000'000};
  int sizes_asked_ = 0;
  std::chrono::milliseconds size_remaining_{};
  std::string ready_when_size_was_asked_;
  std::optional<ServerReconciler> reconciler_;
};

TEST_F(ReconcilingAServer, ProbesAsItsAdminAndWithinTheBound) {
  CreateSecret();
  Result<kube::Step> step = Reconcile();
  ASSERT_TRUE(step) << step.error().message;
  EXPECT_EQ(step->delay(), std::chrono::seconds(30));
  EXPECT_EQ(login_.host, "pg-1.db.svc");
  EXPECT_EQ(login_.user, "admin");
  EXPECT_EQ(login_.password, "hunter2");
  EXPECT_LE(probe_remaining_, std::chrono::seconds(10));
  EXPECT_EQ(ReadyReason(), "Ready");
  EXPECT_EQ(Stored().Dump().find("hunter2"), std::string::npos);
}

TEST_F(ReconcilingAServer, AServerWhoseSizeDoesNotComeIsReadyAndKeepsTheSizeThatWasRead) {
  CreateSecret();
  ASSERT_TRUE(Reconcile());
  EXPECT_EQ(Stored()["status"]["sizeBytes"].AsInt(), 5'000'000);
  size_ = RetryError("DeadlineExceeded", "cancelled");
  ASSERT_TRUE(Reconcile()) << "by an operator that has just started";
  EXPECT_EQ(sizes_asked_, 2);
  EXPECT_EQ(ready_when_size_was_asked_, "Ready");
  EXPECT_EQ(ReadyReason(), "Ready");
  EXPECT_EQ(Stored()["status"]["sizeBytes"].AsInt(), 5'000'000);
}

TEST_F(ReconcilingAServer, IsReadyBeforeItsSizeIsAskedForTheFirstTime) {
  CreateSecret();
  size_ = RetryError("DeadlineExceeded", "cancelled");
  ASSERT_TRUE(Reconcile());
  EXPECT_EQ(ready_when_size_was_asked_, "Ready");
  EXPECT_TRUE(Stored()["status"]["sizeBytes"].IsNull()) << "what is not known is not 0";
  EXPECT_GT(size_remaining_, std::chrono::seconds(10)) << "longer than a probe";
  EXPECT_LE(size_remaining_, std::chrono::seconds(60));
}

TEST_F(ReconcilingAServer, AsksForTheSizeEveryTenMinutesWhetherItComesOrNot) {
  CreateSecret();
  ASSERT_TRUE(Reconcile());
  clock_.Advance(std::chrono::seconds(599));
  ASSERT_TRUE(ReconcileAgain());
  EXPECT_EQ(sizes_asked_, 1);
  clock_.Advance(std::chrono::seconds(1));
  size_ = RetryError("DeadlineExceeded", "cancelled");
  ASSERT_TRUE(ReconcileAgain());
  EXPECT_EQ(sizes_asked_, 2);
  clock_.Advance(std::chrono::seconds(30));
  ASSERT_TRUE(ReconcileAgain());
  EXPECT_EQ(sizes_asked_, 2) << "a scan that was cut off is not begun anew at once";
  clock_.Advance(std::chrono::seconds(570));
  size_ = int64_t{9'000'000};
  ASSERT_TRUE(ReconcileAgain());
  EXPECT_EQ(Stored()["status"]["sizeBytes"].AsInt(), 9'000'000);
}

TEST_F(ReconcilingAServer, AsksForTheSizeAgainAsSoonAsAServerIsBackThatWentWhenItWasAsked) {
  CreateSecret();
  size_ = RetryError("ConnectionFailed", "connection refused");
  ASSERT_TRUE(Reconcile());
  size_ = int64_t{5'000'000};
  clock_.Advance(std::chrono::seconds(30));
  ASSERT_TRUE(ReconcileAgain());
  EXPECT_EQ(Stored()["status"]["sizeBytes"].AsInt(), 5'000'000);
}

TEST_F(ReconcilingAServer, SaysTheSizeAgainThatADeposedLeadersLateWriteHasTakenOut) {
  CreateSecret();
  ASSERT_TRUE(Reconcile());
  const Json late = Json::Object({{"status", Json::Object({{"sizeBytes", Json()}})}});
  ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kDatabaseServer, {"", "pg-1"}, late,
                            {.subresource = "status"}));
  ASSERT_TRUE(Stored()["status"]["sizeBytes"].IsNull());
  ASSERT_TRUE(ReconcileAgain());
  EXPECT_EQ(sizes_asked_, 1);
  EXPECT_EQ(Stored()["status"]["sizeBytes"].AsInt(), 5'000'000);
}

TEST_F(ReconcilingAServer, DoesNotAskForTheSizeOfAnotherServerInItsPlaceOrOfNone) {
  CreateSecret();
  ASSERT_TRUE(Reconcile());
  answer_->system_identifier = "8000";
  ASSERT_TRUE(Reconcile());
  answer_ = RetryError("ConnectionFailed", "no answer");
  ASSERT_TRUE(Reconcile());
  EXPECT_EQ(sizes_asked_, 1);
}

TEST_F(ReconcilingAServer, WritesNothingTheSecondTime) {
  CreateSecret();
  ASSERT_TRUE(Reconcile());
  const std::string version = kube::ResourceVersionOf(Stored());
  ASSERT_TRUE(Reconcile());
  EXPECT_EQ(kube::ResourceVersionOf(Stored()), version);
}

TEST_F(ReconcilingAServer, SaysWhatVanishedMigrationsLeftUntilItIsResolved) {
  CreateSecret();
  std::string findings = "database acme is held by migration uid 1";
  options_.orphans = [&findings](const std::string& server) {
    return server == "pg-1" ? findings : std::string("of another server");
  };
  ASSERT_TRUE(Reconcile());
  EXPECT_EQ(OfCondition("OrphansFound", "status"), "True");
  EXPECT_EQ(OfCondition("OrphansFound", "message"), findings);
  EXPECT_EQ(ReadyReason(), "Ready");
  findings.clear();
  ASSERT_TRUE(Reconcile());
  EXPECT_EQ(OfCondition("OrphansFound", "status"), "");
}

TEST_F(ReconcilingAServer, AMissingSecretIsAConditionAndIsLookedForAgain) {
  Result<kube::Step> step = Reconcile();
  ASSERT_TRUE(step);
  EXPECT_TRUE(step->delay());
  EXPECT_EQ(ReadyReason(), "SecretMissing");
  EXPECT_THAT(OfCondition("Ready", "message"),
              testing::HasSubstr("cutover-system/pg-1-admin does not exist: create it with key"));
  EXPECT_TRUE(login_.host.empty()) << "no probe without a login";
  CreateSecret();
  ASSERT_TRUE(Reconcile());
  EXPECT_EQ(ReadyReason(), "Ready");
}

TEST_F(ReconcilingAServer, ASecretWithoutAKeyOrItsValueSaysWhichOneToAdd) {
  CreateSecret();
  const kube::Key name{"cutover-system", "pg-1-admin"};
  for (const char* data : {R"({"username":"YWRtaW4="})", R"({"username":"YWRtaW4=","password":""})",
                           R"({"password":"aHVudGVyMg=="})", "{}"}) {
    Json secret = **client_.Get({}, Deadline::Never(), kube::kSecret, name);
    secret.Set("data", *Json::Parse(data));
    ASSERT_TRUE(client_.Update({}, Deadline::Never(), kube::kSecret, secret, {})) << data;
    Result<kube::Step> step = Reconcile();
    ASSERT_TRUE(step) << step.error().message;
    EXPECT_TRUE(step->delay()) << "it is looked for again";
    EXPECT_EQ(ReadyReason(), "SecretKeyMissing") << data;
    const bool has_name = std::string_view(data).find("username") != std::string_view::npos;
    EXPECT_THAT(OfCondition("Ready", "message"),
                testing::HasSubstr(has_name ? "no value for key password: add it"
                                            : "no value for key username: add it"));
    EXPECT_TRUE(login_.host.empty()) << "no probe without a login";
  }
}

TEST_F(ReconcilingAServer, ADeadServerIsAConditionNotAnError) {
  CreateSecret();
  answer_ = RetryError("ConnectionFailed", "no answer");
  Result<kube::Step> step = Reconcile();
  ASSERT_TRUE(step);
  EXPECT_EQ(ReadyReason(), "Unreachable");
}

TEST_F(ReconcilingAServer, AnUnreadableSecretSaysNothingAboutTheServer) {
  CreateSecret();
  ASSERT_TRUE(Reconcile());
  int gets = 0;
  client_.fault = [&](FakeClient::When, const std::string& verb) -> std::optional<Error> {
    if (verb != "get" || ++gets != 2) return std::nullopt;  // The first reads the server itself.
    return Error{Disposition::kRetry, kube::reason::kUnreachable, "API server is away"};
  };
  EXPECT_FALSE(Reconcile());
  EXPECT_EQ(ReadyReason(), "Ready");
}

TEST_F(ReconcilingAServer, ADeletedServerIsLeftAlone) {
  ASSERT_TRUE(client_.Delete({}, Deadline::Never(), kube::kDatabaseServer, {"", "pg-1"}, {}));
  Result<kube::Step> step = Reconcile();
  ASSERT_TRUE(step);
  EXPECT_FALSE(step->delay());
}

}  // namespace
}  // namespace cutover::server
