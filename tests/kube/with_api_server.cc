// SPDX-License-Identifier: Apache-2.0
//
// The ctest fixture kube_api_server: `start DIRECTORY` leaves an API server running that all tests
// of a run share, `stop DIRECTORY` ends it. Between the two a process of this program watches over
// it, and ends it as well when the one that ran `start` (ctest, or a shell) is gone. DIRECTORY has
// shared.kubeconfig, etcd.url and guardian.pid; SIGHUP to the latter kills the API server and
// starts it again.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

#include "tests/kube/api_server.h"

namespace cutover::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

volatile sig_atomic_t stopping = 0;
volatile sig_atomic_t restarting = 0;

// True when the server runs again.
bool Restart(ControlPlane& plane) {
  restarting = 0;
  plane.KillServer(0);
  const Status restarted = plane.RestartServer(0);
  if (!restarted) std::cerr << restarted.error().message << std::endl;
  return restarted.has_value();
}

// The guardian's work. Returns when asked to stop or when `owner` no longer exists.
int Guard(const std::string& directory, pid_t owner) {
  signal(SIGTERM, [](int) { stopping = 1; });
  signal(SIGHUP, [](int) { restarting = 1; });
  Result<std::unique_ptr<ControlPlane>> plane = ControlPlane::Start(directory);
  if (!plane) {
    std::cerr << plane.error().message << std::endl;
    return 1;
  }
  Result<std::string> kubeconfig = (*plane)->Kubeconfig();
  if (!kubeconfig) return 1;
  std::ofstream(directory + "/guardian.pid") << getpid() << std::endl;
  std::ofstream(directory + "/etcd.url")
      << "http://127.0.0.1:" << (*plane)->etcd_port() << std::endl;
  fs::create_symlink(*kubeconfig, directory + "/shared.kubeconfig");  // Last: it means "ready".
  while (!stopping && kill(owner, 0) == 0) {
    if (restarting && !Restart(**plane)) return 1;
    std::this_thread::sleep_for(milliseconds(100));
  }
  return 0;
}

// A pid from a file may be somebody else's by now.
bool IsGuardian(pid_t pid) {
  std::error_code failed;
  fs::path program = fs::read_symlink("/proc/" + std::to_string(pid) + "/exe", failed);
  return !failed && program.filename() == fs::read_symlink("/proc/self/exe").filename();
}

int Stop(const std::string& directory) {
  pid_t pid = 0;
  std::ifstream(directory + "/guardian.pid") >> pid;
  if (pid > 0 && IsGuardian(pid)) {
    kill(pid, SIGTERM);
    for (int i = 0; i < 1200 && IsGuardian(pid); ++i) std::this_thread::sleep_for(milliseconds(50));
  }
  std::error_code ignored;  // The guardian may be removing it as well.
  fs::remove_all(directory, ignored);
  return 0;
}

int Start(const std::string& directory) {
  Stop(directory);  // What an interrupted run may have left.
  fs::create_directories(directory);
  pid_t owner = getppid();
  pid_t pid = fork();
  if (pid == 0) {
    setsid();
    int log = open((directory + ".log").c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    _exit(Guard(directory, owner));
  }
  while (!fs::exists(directory + "/shared.kubeconfig")) {
    if (waitpid(pid, nullptr, WNOHANG) == pid) {
      std::cerr << std::ifstream(directory + ".log").rdbuf();
      return 1;
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
  std::cout << "export CUTOVER_TEST_KUBECONFIG=" << directory << "/shared.kubeconfig\n";
  return 0;
}

}  // namespace
}  // namespace cutover::testing

int main(int count, char** words) {
  if (count == 3 && std::strcmp(words[1], "start") == 0) return cutover::testing::Start(words[2]);
  if (count == 3 && std::strcmp(words[1], "stop") == 0) return cutover::testing::Stop(words[2]);
  std::cerr << "usage: with_api_server start|stop DIRECTORY\n";
  return 2;
}
