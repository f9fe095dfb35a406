// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/pooler/own_pooler.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "operator/base/check.h"
#include "tests/free_port.h"
#include "tests/postgres/servers.h"

namespace cutover::pg::testing {
namespace {

constexpr char kAdmin[] = "boss";
constexpr char kAdminPassword[] = "of the console";
constexpr char kOnlooker[] = "onlooker";

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool Answers(int port) {
  const int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(port);
  const bool answers = connect(handle, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(handle);
  return answers;
}

std::string DefaultProgram() {
  const char* named = std::getenv("CUTOVER_TEST_PGBOUNCER");
  return named == nullptr ? "pgbouncer" : named;
}

std::string UserLine(const std::string& name, const std::string& password) {
  return "\"" + name + "\" \"" + password + "\"\n";
}

}  // namespace

OwnPooler::OwnPooler(const OwnPoolerOptions& options)
    : program_(options.program.empty() ? DefaultProgram() : options.program),
      port_(cutover::testing::FreePort()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "cutover-pooler-XXXXXX").string();
  CHECK(mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  std::filesystem::permissions(directory_, std::filesystem::perms(0755));
  std::ofstream users(directory_ + "/users");
  users << UserLine(kAdmin, kAdminPassword) << UserLine(kOnlooker, kAdminPassword);
  for (const auto& [name, password] : options.users) users << UserLine(name, password);
  std::ofstream ini(directory_ + "/pgbouncer.ini");
  ini << "[databases]\n";
  for (const std::string& entry : options.entries) ini << entry << "\n";
  ini << "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " << port_
      << "\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = " << directory_
      << "/users\nadmin_users = " << kAdmin << "\nstats_users = " << kOnlooker
      << "\npool_mode = transaction\n";
  for (const std::string& setting : options.settings) ini << setting << "\n";
  users.close();
  ini.close();
  Start();
}

OwnPooler::~OwnPooler() {
  if (pid_ > 0) Kill();
  std::filesystem::remove_all(directory_);
}

PoolerLogin OwnPooler::Admin() const { return As(kAdmin, kAdminPassword); }

PoolerLogin OwnPooler::As(const std::string& user, const std::string& password) const {
  return {"127.0.0.1", port_, user, password};
}

void OwnPooler::Start() {
  CHECK(pid_ < 0);
  const std::string ini = directory_ + "/pgbouncer.ini";
  const std::string log = directory_ + "/log";
  pid_ = fork();
  CHECK(pid_ >= 0);
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that aborts leaves none behind
    const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    // It refuses to run as root.
    if (getuid() == 0)
      execlp(program_.c_str(), program_.c_str(), "-u", "nobody", ini.c_str(), nullptr);
    else
      execlp(program_.c_str(), program_.c_str(), ini.c_str(), nullptr);
    _exit(127);
  }
  const Deadline deadline = Soon();
  while (!Answers(port_)) {
    int status = 0;
    CHECK(waitpid(pid_, &status, WNOHANG) == 0);  // pgbouncer is not installed, or dislikes its ini
    CHECK(!deadline.Expired());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void OwnPooler::Kill() {
  CHECK(kill(pid_, SIGKILL) == 0);
  int status = 0;
  CHECK(waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
}

void OwnPooler::Freeze() const { CHECK(kill(pid_, SIGSTOP) == 0); }
void OwnPooler::Thaw() const { CHECK(kill(pid_, SIGCONT) == 0); }

}  // namespace cutover::pg::testing
