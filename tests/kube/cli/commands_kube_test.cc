// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <tuple>
#include <vector>

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
  const Ran ran = Run({"abort", "move", "--yes", "--timeout", "60s"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("the operator took it up: Undoing"));
  EXPECT_THAT(Token("move", api::kAbortAnnotation), HasSubstr(" by admin "));
}

// What the operator writes once it has taken up `verb`, whose token is in `annotation`.
std::function<void(Json&)> TakesUp(const char* verb, const char* annotation, const char* phase) {
  return [=](Json& object) {
    Json& status = object.MutableAt("status");
    if (!status.Contains("handled")) status.Set("handled", Json::Object());
    status.MutableAt("handled").Set(verb, object.At({"metadata", "annotations", annotation}));
    status.Set("phase", phase);
  };
}

TEST_F(Commands, ARetryWaitsForTheNewAttempt) {
  Store(Typical(Phase::kFailed), "move");
  const std::jthread op =
      AnswerOnce("move", api::kRetryAnnotation, TakesUp("retry", api::kRetryAnnotation, "Pending"));
  const Ran ran = Run({"retry", "move", "--timeout", "60s"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("the operator took it up: Pending"));
}

TEST_F(Commands, ARollbackWaitsUntilTheMigrationGoesBack) {
  Store(Typical(Phase::kSmoke), "move");
  const std::jthread op = AnswerOnce("move", api::kRollbackAnnotation,
                                     TakesUp("rollback", api::kRollbackAnnotation, "RollingBack"));
  const Ran ran = Run({"rollback", "move", "--yes", "--timeout", "60s"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("the operator took it up: RollingBack"));
}

TEST_F(Commands, AnApprovalThatIsAwaitedWaitsForTheDoorsToClose) {
  Store(Typical(Phase::kAwaitingCutover), "move");
  const auto taken_up = TakesUp("approve", api::kApproveAnnotation, "Fencing");
  const std::jthread op = AnswerOnce("move", api::kApproveAnnotation, [&](Json& object) {
    taken_up(object);
    object.MutableAt("status").Set("cutover",
                                   Json::Object({{"fencedAt", "2026-11-21T03:04:05.000000Z"}}));
  });
  const Ran ran = Run({"approve", "move", "--yes", "--timeout", "60s"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("the operator took it up: Fencing"));
}

TEST_F(Commands, AResumeWaitsUntilTheOperatorHasSeenIt) {
  api::TenantMigration held = Typical(Phase::kPreparing);
  held.spec.suspend = true;
  GoOn(held, "Suspended", "suspended: set spec.suspend to false to go on");
  Store(held, "move");
  const std::jthread op([this] {
    while (Stored("move").At({"spec", "suspend"}).AsBool())
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    Answer("move", [](Json& object) {
      object.Set("status", ObjectOf(Typical(Phase::kPreparing))["status"]);
      object.MutableAt("status").Set("observedGeneration", object.At({"metadata", "generation"}));
    });
  });
  const Ran ran = Run({"resume", "move", "--timeout", "60s"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("goes on: "));
}

TEST_F(Commands, TroubleThatIsTriedAgainEndsStatusWithFour) {
  api::TenantMigration migration = Typical(Phase::kFencing);
  GoOn(migration, "Unreachable", "pg-shared cannot be reached", true);
  Store(migration, "move");
  EXPECT_EQ(Run({"status", "move"}).exit_code, 4);
}

TEST_F(Commands, AShellIsOfferedVerbsFlagsAndTheNamesOfMigrations) {
  Store(Typical(Phase::kCopying), "move-of-acme");
  Store(Typical(Phase::kCopying), "move-of-globex");
  Store(Typical(Phase::kCopying), "other");
  EXPECT_EQ(RunPlugin({"__complete", "rol"}).out, "rollback\n");
  EXPECT_THAT(RunPlugin({"__complete", "rollback", "--acc"}).out,
              HasSubstr("--accept-data-loss\n"));
  EXPECT_EQ(RunPlugin({"__complete", "-n", ns_, "status", "move"}).out,
            "move-of-acme\nmove-of-globex\n");
  EXPECT_EQ(RunPlugin({"__complete", "completion", "f"}).out, "fish\n");
  const Ran nowhere = RunPlugin({"__complete", "-n", ns_, "status", ""}, "/nonexistent");
  EXPECT_EQ(nowhere.exit_code, 0) << "nobody could read an error in the middle of a line";
  EXPECT_EQ(nowhere.out, "");
}

TEST_F(Commands, EveryShellIsToldToAskThisProgram) {
  for (const char* shell : {"kubectl", "bash", "zsh", "fish"}) {
    const Ran ran = RunPlugin({"completion", shell});
    EXPECT_EQ(ran.exit_code, 0) << shell;
    EXPECT_THAT(ran.out, HasSubstr("kubectl-cutover __complete")) << shell;
  }
  EXPECT_EQ(RunPlugin({"completion", "powershell"}).exit_code, 64);
}

TEST_F(Commands, AnAnswerWithoutAnEffectIsNoSuccess) {
  Store(Typical(Phase::kSwitching), "move");
  const std::jthread op = AnswerOnce("move", api::kAbortAnnotation, [](Json& object) {
    Json& status = object.MutableAt("status");
    status.MutableAt("handled").Set("abort",
                                    object.At({"metadata", "annotations", api::kAbortAnnotation}));
    status.Set("phase", "Opening");
  });
  const Ran ran = Run({"abort", "move", "--yes", "--timeout", "60s"});
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

TEST_F(Commands, AnApprovalBeforeItsWindowIsGivenAndNotWaitedFor) {
  api::TenantMigration migration = Typical(Phase::kAwaitingCutover);
  migration.spec.window_start = *ParseTime("2199-01-01T02:00:00Z");
  migration.spec.window_end = *ParseTime("2199-01-01T04:00:00Z");
  Store(migration, "move");
  const Ran ran = Run({"approve", "move", "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("in the window, which starts at 2199-01-01T02:00:00Z"));
  EXPECT_THAT(Token("move", api::kApproveAnnotation), Not(IsEmpty()));
}

// The operator holds it, and operators before this one say all the same that nothing is lost.
TEST_F(Commands, AConsentThatIsWaitedForBeforeUsersWereToComeInIsWritten) {
  api::TenantMigration migration = Typical(Phase::kSmoke);
  GoOn(migration, "RollbackNeedsConsent", "somebody has led the routes back", true);
  Store(migration, "move");
  const Ran ran = Run({"rollback", "move", "--yes", "--accept-data-loss", "--no-wait"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(Token("move", api::kRollbackAnnotation), Not(IsEmpty()));
  EXPECT_EQ(Token("move", api::kRollbackAnnotation), Token("move", api::kAcceptDataLossAnnotation));
}

TEST_F(Commands, SuspendWaitsUntilTheOperatorHasSeenIt) {
  const std::vector<std::tuple<const char*, Phase, const char*, const char*>> answers = {
      {"move", Phase::kPreparing, "Suspended", "held: "},
      // Preflight goes on asking, and may have found something in the way.
      {"planned", Phase::kPreflight, "PreflightFailed", "goes no further than Preflight: "}};
  for (const auto& [name, phase, reason, says] : answers) {
    Store(Typical(phase), name);
    const std::jthread op([&, this] {
      while (!Stored(name).At({"spec", "suspend"}).AsBool())
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      Answer(name, [&](Json& object) {
        api::TenantMigration held = Typical(phase);
        GoOn(held, reason, "see what it says");
        object.Set("status", ObjectOf(held)["status"]);
        object.MutableAt("status").Set("observedGeneration", object.At({"metadata", "generation"}));
      });
    });
    const Ran ran = Run({"suspend", name, "--timeout", "60s"});
    EXPECT_EQ(ran.exit_code, 0) << ran.error;
    EXPECT_THAT(ran.out, HasSubstr(says));
  }
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
