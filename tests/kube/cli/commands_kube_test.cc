// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "tests/kube/cli/plugin.h"
#include "tests/unit/cli/scenes.h"

namespace cutover::cli {
namespace {

using api::Phase;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace cutover::cli::testing;

class Commands : public PluginTest {
 protected:
  std::string Token(const std::string& name, const char* annotation) {
    return Stored(name).At({"metadata", "annotations", annotation}).AsString();
  }
};

// What the operator records with the effect of an abort.
void Undo(Json& object) {
  Json& status = object.MutableAt("status");
  status.MutableAt("handled").Set("abort",
                                  object.At({"metadata", "annotations", api::kAbortAnnotation}));
  status.Set("phase", "Undoing");
  status.Set("failureReason", "AbortRequested");
}

TEST_F(Commands, AbortWaitsForTheOperatorsAnswerAndReportsIt) {
  Store(Typical(Phase::kCopying), "move");
  const std::jthread op = AnswerOnce("move", api::kAbortAnnotation, Undo);
  const Ran ran = Run({"abort", "move", "--yes", "--timeout", "20s"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("the operator took it up: Undoing"));
  EXPECT_THAT(Token("move", api::kAbortAnnotation), HasSubstr(" by admin "));
}

TEST_F(Commands, AnAnswerWithoutAnEffectIsNoSuccess) {
  Store(Typical(Phase::kSwitching), "move");
  const std::jthread op = AnswerOnce("move", api::kAbortAnnotation, [](Json& object) {
    Json& status = object.MutableAt("status");
    status.MutableAt("handled").Set("abort",
                                    object.At({"metadata", "annotations", api::kAbortAnnotation}));
    status.Set("phase", "Opening");
  });
  const Ran ran = Run({"abort", "move", "--yes", "--timeout", "20s"});
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_THAT(ran.error, HasSubstr("had nothing to abort: Opening"));
}

TEST_F(Commands, WithoutAnAnswerTheyEndAtTheirTimeoutAndSayThatTheCommandStands) {
  Store(Typical(Phase::kCopying), "move");
  const Ran ran = Run({"abort", "move", "--yes", "--timeout", "1s"});
  EXPECT_EQ(ran.exit_code, 5);
  EXPECT_THAT(ran.error, HasSubstr("the command stands"));
  EXPECT_THAT(Token("move", api::kAbortAnnotation), Not(IsEmpty()));
}

TEST_F(Commands, WithoutATerminalNothingIsDoneUnlessItIsConfirmed) {
  Store(Typical(Phase::kCopying), "move");
  const Ran ran = Run({"abort", "move"});
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_THAT(ran.error, HasSubstr("give --yes"));
  EXPECT_THAT(Token("move", api::kAbortAnnotation), IsEmpty());
}

TEST_F(Commands, WhatMakesNoSenseInAPhaseIsRefusedBeforeAnythingIsWritten) {
  Store(Typical(Phase::kSmoke), "smoke");
  Store(Typical(Phase::kCopying), "copying");
  Store(Typical(Phase::kCompleted), "over");
  const std::vector<std::string> refused[] = {
      {"abort", "smoke", "--yes"}, {"rollback", "copying", "--yes"},
      {"retry", "copying"},        {"approve", "copying", "--yes"},
      {"retry", "over"},           {"suspend", "over"}};
  for (const auto& arguments : refused) {
    const Ran ran = Run(arguments);
    EXPECT_EQ(ran.exit_code, 3) << arguments[0] << " " << arguments[1] << ran.out << ran.error;
  }
  for (const char* name : {"smoke", "copying", "over"})
    EXPECT_TRUE(Stored(name).At({"metadata", "annotations"}).IsNull()) << name;
}

TEST_F(Commands, ARollbackThatLosesWritesNeedsItInSoManyWords) {
  Store(Typical(Phase::kHypercare), "move");
  const Ran refused = Run({"rollback", "move", "--yes"});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.error, HasSubstr("--accept-data-loss"));
  EXPECT_THAT(Token("move", api::kRollbackAnnotation), IsEmpty());
  EXPECT_EQ(Run({"rollback", "move", "--yes", "--accept-data-loss", "--no-wait"}).exit_code, 0);
  EXPECT_THAT(Token("move", api::kRollbackAnnotation), Not(IsEmpty()));
  EXPECT_EQ(Token("move", api::kRollbackAnnotation), Token("move", api::kAcceptDataLossAnnotation));
}

TEST_F(Commands, AnApprovalIsTakenUpWhenItsTimeComesAndSaysSo) {
  api::TenantMigration migration = Typical(Phase::kPreparing);
  migration.spec.approval = api::Approval::kManual;
  Store(migration, "move");
  const Ran ran = Run({"approve", "move", "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("taken up in AwaitingCutover"));
}

TEST_F(Commands, SuspendWaitsUntilTheOperatorHasSeenIt) {
  Store(Typical(Phase::kPreparing), "move");
  const std::jthread op([this] {
    while (!Stored("move").At({"spec", "suspend"}).AsBool())
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    Answer("move", [](Json& object) {
      api::TenantMigration held = Typical(Phase::kPreparing);
      GoOn(held, "Suspended", "suspended: set spec.suspend to false to go on");
      object.Set("status", ObjectOf(held)["status"]);
      object.MutableAt("status").Set("observedGeneration", object.At({"metadata", "generation"}));
    });
  });
  const Ran ran = Run({"suspend", "move", "--timeout", "20s"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("held: "));
}

// Nothing schedules pods here, so that a log that cannot be read is in it as the reason why.
TEST_F(Commands, ABundleHasTheMoversJobAndLogFromBesideTheOperatorAndNoPassword) {
  const char* pod = R"({"containers":[{"name":"mover","image":"none","env":[
      {"name":"PGPASSWORD","value":"geheim"}]}],"restartPolicy":"Never"})";
  const Json labels = Json::Object({{api::kMigrationUidLabel, "11111111"}});
  for (const kube::Resource* resource : {&kube::kJob, &kube::kPod}) {
    const bool job = resource == &kube::kJob;
    Json spec = *Json::Parse(pod);
    if (job) spec = Json::Object({{"template", Json::Object({{"spec", std::move(spec)}})}});
    auto made = client_->Create(
        {}, Deadline::After(std::chrono::seconds(20)), *resource,
        Json::Object(
            {{"apiVersion", job ? "batch/v1" : "v1"},
             {"kind", job ? "Job" : "Pod"},
             {"metadata",
              Json::Object({{"name", "cutover-copy"}, {"namespace", ns_}, {"labels", labels}})},
             {"spec", std::move(spec)}}));
    ASSERT_TRUE(made) << made.error().message;
  }
  const std::string file = ::testing::TempDir() + "bundle-" + ns_ + ".yaml";
  const Ran ran = Run({"--operator-namespace", ns_, "support-bundle", "--file", file});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.error, HasSubstr("is it the tenant's?")) << "it holds no migration";
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::remove(file.c_str());
  EXPECT_THAT(text, HasSubstr("operatorJobs:\n  - metadata:\n      name: cutover-copy"));
  EXPECT_THAT(text, HasSubstr("operatorJobLogs:\n  cutover-copy:"));
  EXPECT_THAT(text, HasSubstr("PGPASSWORD"));
  EXPECT_THAT(text, Not(HasSubstr("geheim")));
}

}  // namespace
}  // namespace cutover::cli
