// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "operator/base/random.h"
#include "tests/kube/api_server.h"
#include "tests/kube/cli/plugin.h"
#include "tests/unit/cli/golden.h"
#include "tests/unit/cli/scenes.h"

namespace cutover::cli {
namespace {

using api::Phase;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace cutover::cli::testing;

class StatusCommand : public PluginTest {};

TEST_F(StatusCommand, ExitsWithTheHealthOfTheMigration) {
  const std::pair<Phase, int> cases[] = {{Phase::kPreparing, 0},
                                         {Phase::kCompleted, 0},
                                         {Phase::kFailed, 2},
                                         {Phase::kAwaitingCutover, 3}};
  for (const auto& [phase, exit_code] : cases) {
    const std::string name = "move-" + std::to_string(static_cast<int>(phase));
    Store(Typical(phase), name);
    const Ran ran = Run({"status", name});
    EXPECT_EQ(ran.exit_code, exit_code) << Name(phase) << ran.error;
    EXPECT_THAT(ran.out, HasSubstr("/" + name + ": " + std::string(Name(phase))));
    EXPECT_THAT(ran.out, Not(HasSubstr("\033")));
  }
  const Ran all = Run({"status"});
  EXPECT_EQ(all.exit_code, 3) << all.error;
  EXPECT_THAT(all.out, HasSubstr("4 migrations: 1 done, 1 going on, 1 not moved, 1 waits for you"));
}

TEST_F(StatusCommand, GivesProgramsTheSameAsJsonAndYaml) {
  Store(Typical(Phase::kSmoke), "move");
  const Ran json = Run({"status", "move", "-o", "json"});
  auto document = Json::Parse(json.out);
  ASSERT_TRUE(document) << json.out;
  EXPECT_EQ((*document)["health"].AsString(), "Good");
  EXPECT_EQ((*document)["youMay"][size_t{0}]["command"].AsString(),
            "kubectl cutover rollback move -n " + ns_);
  EXPECT_THAT(Run({"status", "move", "-o", "yaml"}).out, HasSubstr("phase: Smoke\n"));
  EXPECT_THAT(Run({"status", "move", "-o", "wide"}).out, HasSubstr("RollbackReady   True"));
}

TEST_F(StatusCommand, AMistypedNameIsAnsweredWithTheNearOnes) {
  Store(Typical(Phase::kPreparing), "acme-to-dedicated");
  const Ran ran = Run({"status", "acme-to-dedicatd"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.error, HasSubstr("did you mean: acme-to-dedicated"));
}

TEST_F(StatusCommand, WatchingEndsWithTheMigrationAndSaysEachChangeOnce) {
  Store(Typical(Phase::kCompleting), "move");
  std::jthread finish([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    Answer("move", [](Json& object) {
      object.Set("status", ObjectOf(Typical(Phase::kCompleted))["status"]);
    });
  });
  const Ran ran = Run({"status", "move", "-w", "--timeout", "60s"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_EQ(ran.out.find("Z Completing\n"), ran.out.rfind("Z Completing\n"));
  EXPECT_THAT(ran.out, HasSubstr("It is over, and went well."));
}

TEST_F(StatusCommand, WatchingStopsAtItsTimeout) {
  Store(Typical(Phase::kPreparing), "move");
  const Ran ran = Run({"status", "move", "-w", "--timeout", "1s"});
  EXPECT_EQ(ran.exit_code, 5) << ran.error;
}

// The throw-away certificates of the API server have a user without any role.
std::string KubeconfigOfNobody() {
  const std::string shared = std::filesystem::canonical(cutover::testing::SharedKubeconfig());
  std::string text = ReadText(shared);
  for (size_t at; (at = text.find("admin.")) != std::string::npos;) text.replace(at, 5, "nobody");
  const std::string path =
      std::filesystem::path(shared).parent_path() / ("nobody-" + RandomHex(4) + ".kubeconfig");
  std::ofstream(path) << text;
  return path;
}

TEST_F(StatusCommand, WhoMayNotReadIsToldWhichRuleIsMissing) {
  const std::string nobody = KubeconfigOfNobody();
  const Ran ran = RunPlugin({"status", "-n", ns_}, nobody);
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.error, HasSubstr("resources [tenantmigrations], verbs [list]"));
  std::filesystem::remove(nobody);
}

TEST_F(StatusCommand, WithoutAClusterItSaysHowToNameOne) {
  const Ran none = RunPlugin({"status"}, "/nonexistent/config");
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.error, HasSubstr("KUBECONFIG names no file that exists"));
  const Ran wrong = RunPlugin({"status", "--context", "nowhere"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.error, HasSubstr("there is no context named 'nowhere'"));
}

TEST_F(StatusCommand, WrongArgumentsAreTheirOwnExitCode) {
  EXPECT_EQ(Run({"status", "-w"}).exit_code, 64);
  EXPECT_EQ(Run({"status", "x", "--timeout", "soon"}).exit_code, 64);
  EXPECT_EQ(RunPlugin({"dance"}).exit_code, 64);
  EXPECT_EQ(RunPlugin({"status", "--help"}).exit_code, 0);
}

// The subcommands as --help lists them: "  status   What happens, …".
std::vector<std::string> Verbs() {
  std::vector<std::string> verbs;
  std::stringstream help(RunPlugin({"--help"}).out);
  bool listing = false;
  for (std::string line; std::getline(help, line);) {
    if (line.starts_with("Subcommands:"))
      listing = true;
    else if (listing && line.starts_with("  ") && line[2] != ' ')
      verbs.push_back(line.substr(2, line.find(' ', 2) - 2));
    else if (line.empty())
      listing = false;
  }
  return verbs;
}

TEST(Help, EveryVerbHasExamplesAndAChapterOfTheDocument) {
  const std::string document = ReadText("docs/kubectl-cutover.md");
  const std::vector<std::string> verbs = Verbs();
  EXPECT_GE(verbs.size(), 13u);
  for (const std::string& verb : verbs) {
    const Ran help = RunPlugin({verb, "--help"});
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(help.out, HasSubstr("EXAMPLES")) << verb;
    EXPECT_THAT(help.out, HasSubstr("kubectl cutover " + verb)) << verb;
    EXPECT_THAT(document, HasSubstr("\n## " + verb + "\n")) << verb;
  }
}

}  // namespace
}  // namespace cutover::cli
