// SPDX-License-Identifier: Apache-2.0
#include "tests/kube/cli/plugin.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "operator/base/check.h"
#include "operator/base/random.h"
#include "tests/kube/api_server.h"
#include "tests/kube/crd/crd_server.h"
#include "tests/unit/cli/scenes.h"

namespace cutover::cli::testing {
namespace {

using std::chrono::milliseconds;

Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }

std::string TakeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  std::filesystem::remove(path);
  return text.str();
}

}  // namespace

Ran RunPlugin(const std::vector<std::string>& arguments, const std::string& kubeconfig) {
  const std::string base = std::filesystem::temp_directory_path() / ("plugin-" + RandomHex(8));
  std::vector<std::string> words{KUBECTL_CUTOVER};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> environment{
      "KUBECONFIG=" + (kubeconfig.empty() ? cutover::testing::SharedKubeconfig() : kubeconfig),
      "HOME=/nonexistent", "LANG=C.UTF-8", "USER=tester"};
  std::vector<char*> envp;
  for (std::string& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  constexpr int kWrite = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, (base + ".out").c_str(), kWrite, 0600);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, (base + ".err").c_str(), kWrite, 0600);
  pid_t pid = 0;
  CHECK(posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), envp.data()) == 0);
  posix_spawn_file_actions_destroy(&files);
  int status = 0;
  CHECK(waitpid(pid, &status, 0) == pid);
  Ran ran;
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  ran.out = TakeFile(base + ".out");
  ran.error = TakeFile(base + ".err");
  return ran;
}

PluginTest::PluginTest() : client_(cutover::testing::MakeClient()) {
  cutover::testing::InstallCrds(*client_);
  ns_ = cutover::testing::MakeNamespace(*client_, "cli");
}

void PluginTest::Store(api::TenantMigration migration, const std::string& name) {
  migration.meta.name = name;
  migration.meta.namespace_name = ns_;
  Json object = ObjectOf(migration);
  const Json status = object["status"];
  object.Set("metadata", Json::Object({{"name", name}, {"namespace", ns_}}));
  if (migration.spec.backup_mode == api::BackupMode::kRequired)
    object.MutableAt("spec").MutableAt("backup").Set("claimName", "backups");
  object.Remove("status");
  auto created = client_->Create({}, Soon(), kube::kTenantMigration, object);
  ASSERT_TRUE(created) << created.error().message;
  auto told = client_->ApplyStatus({}, Soon(), kube::kTenantMigration, {ns_, name}, status);
  ASSERT_TRUE(told) << told.error().message;
}

Json PluginTest::Stored(const std::string& name) {
  auto object = client_->Get({}, Soon(), kube::kTenantMigration, {ns_, name});
  CHECK(object && *object);
  return **object;
}

void PluginTest::Answer(const std::string& name, const std::function<void(Json& object)>& change) {
  Json object = Stored(name);
  change(object);
  auto told =
      client_->ApplyStatus({}, Soon(), kube::kTenantMigration, {ns_, name}, object["status"]);
  EXPECT_TRUE(told) << told.error().message;
}

std::jthread PluginTest::AnswerOnce(const std::string& name, const std::string& annotation,
                                    const std::function<void(Json& object)>& change) {
  return std::jthread([this, name, annotation, change](std::stop_token stop) {
    while (!stop.stop_requested()) {
      if (!Stored(name).At({"metadata", "annotations", annotation}).IsNull())
        return Answer(name, change);
      std::this_thread::sleep_for(milliseconds(50));
    }
  });
}

Ran PluginTest::Run(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-n", ns_});
  return RunPlugin(arguments);
}

}  // namespace cutover::cli::testing
