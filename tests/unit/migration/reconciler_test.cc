// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/reconciler.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/kube/fake_client.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using kube::FakeClient;
using testing::MigrationIn;
using testing::Noon;

class NoResolver final : public wiring::Resolver {
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override {
    return RetryError("HostNotResolved", host);
  }
};

class HourAfterNoon final : public Clock {
 public:
  WallTime WallNow() const override { return Noon() + std::chrono::hours(1); }
  SteadyTime SteadyNow() const override { return {}; }
};

// As an operator has recorded a migration that is over, and has nothing left to do for it.
Json Over(Phase phase, const std::string& name) {
  api::TenantMigration migration = MigrationIn(phase);
  migration.status.observed_generation = 1;
  for (const char* type : {"Ready", "Succeeded"})
    migration.status.conditions.Set(
        {type, api::ConditionStatus::kTrue, "Recorded", "in an earlier version's words", 1, {}},
        Noon());
  Json object = kube::NewObject(kube::kTenantMigration, {"acme", name});
  Json& meta = object.MutableAt("metadata");
  meta.Set("uid", "uid-of-" + name).Set("generation", 1).Set("resourceVersion", "7");
  meta.Set("finalizers", Json::Array({api::kFinalizer}));
  object.Set("spec", *Json::Parse(R"({"placementRef":{"name":"tenant"},
      "target":{"serverName":"pg-target"},"strategy":"Offline","backup":{"mode":"Skip"}})"));
  object.Set("status", api::EncodeStatus(migration.status));
  return object;
}

class ReconcilingAMigration : public ::testing::Test {
 protected:
  ReconcilingAMigration() {
    client_.fault = [this](FakeClient::When when, const std::string& verb) -> std::optional<Error> {
      if (when == FakeClient::When::kBefore) ++asked_[verb];
      return std::nullopt;
    };
  }
  Result<kube::Step> Reconcile(const std::string& name) {
    return reconciler_.Reconcile({}, Deadline::After(std::chrono::minutes(1)), {"acme", name});
  }

  FakeClient client_;
  std::map<std::string, int> asked_;  // Calls, by verb.
  NoResolver resolver_;
  HourAfterNoon clock_;
  const ClusterContext context_{client_, resolver_, clock_, {}};
  kube::Store<api::TenantMigration> known_{"migrations", api::DecodeTenantMigration};
  kube::EventRecorder events_{client_, {}};
  int observations_ = 0;
  MigrationReconciler reconciler_{
      context_,
      known_,
      events_,
      {.on_status = {},
       .on_observation = [this](const auto&, const auto&) { ++observations_; },
       .on_gone = {}}};
};

TEST_F(ReconcilingAMigration, OneThatIsOverIsNeitherReadNorWrittenAndIsTold) {
  for (const char* phase : {"Completed", "Aborted", "Failed", "RolledBack"})
    known_.Upsert(Over(*api::ParsePhase(phase), phase));
  for (const char* phase : {"Completed", "Aborted", "Failed", "RolledBack"}) {
    const Result<kube::Step> step = Reconcile(phase);
    ASSERT_TRUE(step) << step.error().message;
    EXPECT_FALSE(step->delay());
    EXPECT_FALSE(step->gone());
  }
  EXPECT_TRUE(asked_.empty()) << asked_.begin()->first;
  EXPECT_EQ(observations_, 4);
}

TEST_F(ReconcilingAMigration, OneThatKeepsItsSourceForAWhileIsLookedAtAgainInTime) {
  Json retained = Over(Phase::kCompleted, "retained");
  retained.MutableAt("spec").Set(
      "source", *Json::Parse(R"({"reclaimPolicy":"Delete","retentionSeconds":5400})"));
  known_.Upsert(retained);
  const Result<kube::Step> step = Reconcile("retained");
  ASSERT_TRUE(step);
  EXPECT_EQ(step->delay(), std::chrono::minutes(30));
  EXPECT_TRUE(asked_.empty());
}

TEST_F(ReconcilingAMigration, WhateverElseItIsTheApiServerIsAsked) {
  const auto with = [](Json object, const char* part, const char* name, Json value) {
    object.MutableAt(part).Set(name, std::move(value));
    return object;
  };
  const Json over = Over(Phase::kFailed, "move");
  const std::pair<Json, const char*> asking[] = {
      {Over(Phase::kPreflight, "move"), "under way"},
      {with(over, "metadata", "annotations", Json::Object({{api::kRetryAnnotation, "again"}})),
       "told to try again"},
      {with(over, "metadata", "annotations", Json::Object({{api::kAbortAnnotation, "stop"}})),
       "told something that has to be answered"},
      {with(over, "metadata", "deletionTimestamp", "2026-11-22T12:00:00Z"), "being deleted"},
      {with(over, "metadata", "generation", 2), "of a spec that has changed since"},
      {with(Over(Phase::kCompleted, "move"), "spec", "source",
            *Json::Parse(R"({"reclaimPolicy":"Delete","retentionSeconds":60})")),
       "about to lose its source"}};
  int version = 7;
  for (auto [object, what] : asking) {
    object.MutableAt("metadata").Set("resourceVersion", std::to_string(++version));
    known_.Upsert(object);
    asked_.clear();
    // By now it is gone, and that is what counts.
    const Result<kube::Step> step = Reconcile("move");
    ASSERT_TRUE(step) << what;
    EXPECT_EQ(asked_["get"], 1) << what;
    EXPECT_TRUE(step->gone()) << what;
  }
}

TEST_F(ReconcilingAMigration, WhoTakesOverOneThatIsUnderWaySaysSoOnce) {
  const auto notes = [this] {
    while (events_.SendNext({}, Deadline::Never())) {
    }
    const auto page = client_.GetPage({}, Deadline::Never(), kube::kEvent, {}, {});
    std::vector<std::string> found;
    for (const Json& event : page->list.items)
      if (event["reason"].AsString() == "LeaderChanged") found.push_back(event["note"].AsString());
    return found;
  };
  const auto work_on = [this](const Json& object) {
    const Result<kube::Step> step = Reconcile("move");
    EXPECT_TRUE(step) << step.error().message;
    // This server takes what is written to the status for all of it.
    EXPECT_TRUE(client_.Update({}, Deadline::Never(), kube::kTenantMigration, object));
  };
  const auto create = [this](const Json& object) {
    Json made = *client_.Create({}, Deadline::Never(), kube::kTenantMigration, object);
    made.MutableAt("metadata").Remove("resourceVersion");
    return made;
  };
  const Json copying = create(Over(Phase::kCopying, "move"));
  work_on(copying);
  ASSERT_EQ(notes().size(), 1U);
  EXPECT_TRUE(notes().front().starts_with("another operator leads now, and goes on from Copying"));
  work_on(copying);
  EXPECT_EQ(notes().size(), 1U) << "it led already";

  ASSERT_TRUE(client_.Delete({}, Deadline::Never(), kube::kTenantMigration, {"acme", "move"}));
  Json fresh = Over(Phase::kPending, "move");
  fresh.Set("status", Json::Object());
  work_on(create(fresh));
  EXPECT_EQ(notes().size(), 1U) << "nobody led it before";
}

TEST_F(ReconcilingAMigration, OneThatTheStoreDoesNotHaveOrCannotReadIsAskedFor) {
  ASSERT_TRUE(Reconcile("unheard-of"));
  EXPECT_EQ(asked_["get"], 1);
  Json bad = Over(Phase::kCompleted, "bad");
  bad.MutableAt("spec").Set("strategy", "Sideways");
  known_.Upsert(bad);
  ASSERT_TRUE(Reconcile("bad"));
  EXPECT_EQ(asked_["get"], 2);
}

}  // namespace
}  // namespace cutover::migration
