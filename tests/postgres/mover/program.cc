// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/mover/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "operator/base/check.h"
#include "operator/base/deadline.h"

namespace cutover::mover::testing {
namespace {

constexpr auto kLook = std::chrono::milliseconds(20);

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// A field of a process's status, or "" when it is gone.
std::string StatusField(pid_t pid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  return "";
}

/// The parent of a process, or 0 when it is gone.
pid_t ParentOf(pid_t pid) { return std::atoi(StatusField(pid, "PPid").c_str()); }

/// Whether a signal was sent to the process that none of its threads has taken.
bool IsPending(pid_t pid, int signal) {
  const uint64_t pending = std::strtoull(StatusField(pid, "ShdPnd").c_str(), nullptr, 16);
  return ((pending >> (signal - 1)) & 1) != 0;
}

}  // namespace

Program::Program(const std::string& binary, std::vector<std::string> arguments,
                 const std::vector<std::pair<std::string, std::string>>& environment)
    : output_(memfd_create("output", MFD_CLOEXEC)), errors_(memfd_create("errors", MFD_CLOEXEC)) {
  CHECK(output_ >= 0 && errors_ >= 0);
  arguments.insert(arguments.begin(), binary);
  std::vector<std::string> lines;
  for (char** entry = environ; *entry != nullptr; ++entry) lines.emplace_back(*entry);
  for (const auto& [key, value] : environment) {
    std::erase_if(lines, [&](const std::string& line) { return line.starts_with(key + "="); });
    lines.push_back(key + "=" + value);
  }
  std::vector<char*> argv = Pointers(arguments);
  std::vector<char*> envp = Pointers(lines);
  pid_ = fork();
  CHECK(pid_ >= 0);
  if (pid_ > 0) return;
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(output_, STDOUT_FILENO);
  dup2(errors_, STDERR_FILENO);
  execve(argv[0], argv.data(), envp.data());
  _exit(127);
}

Program::~Program() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(output_);
  close(errors_);
}

void Program::Send(int signal) const {
  CHECK(pid_ > 0);
  CHECK(kill(pid_, signal) == 0);
}

void Program::SendAndAwait(int signal) const {
  Send(signal);
  const Deadline deadline = Deadline::After(std::chrono::seconds(60));
  while (IsPending(pid_, signal)) {
    ASSERT_FALSE(deadline.Expired()) << "nobody takes signal " << signal;
    std::this_thread::sleep_for(kLook);
  }
}

std::vector<pid_t> Program::Children() const {
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && end == name.data() + name.size() && ParentOf(pid) == pid_)
      children.push_back(pid);
  }
  return children;
}

Program::Ended Program::Wait(std::chrono::seconds patience) {
  using Clock = std::chrono::steady_clock;
  CHECK(pid_ > 0);
  const Clock::time_point began = Clock::now();
  int status = 0;
  rusage usage{};
  int64_t own_kibibytes_max = 0;
  while (wait4(pid_, &status, WNOHANG, &usage) == 0) {
    if (const int64_t peak = std::atoll(StatusField(pid_, "VmHWM").c_str()); peak > 0)
      own_kibibytes_max = peak;
    if (Clock::now() - began > patience) {
      ADD_FAILURE() << "it did not end within " << patience.count() << " s: " << Read(errors_);
      kill(pid_, SIGKILL);
      wait4(pid_, &status, 0, &usage);
      break;
    }
    std::this_thread::sleep_for(kLook);
  }
  pid_ = -1;
  Ended ended;
  if (WIFEXITED(status)) ended.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
  if (Result<Json> summary = Json::Parse(Read(output_))) ended.summary = std::move(*summary);
  ended.errors = Read(errors_);
  ended.seconds = std::chrono::duration<double>(Clock::now() - began).count();
  ended.resident_kibibytes_max = usage.ru_maxrss;
  ended.own_kibibytes_max = own_kibibytes_max;
  return ended;
}

/// The program writes with an offset of its own that is shared with us, so we must not move it.
std::string Program::Read(int descriptor) {
  std::string text;
  std::array<char, 16384> piece{};
  for (ssize_t n = 0;
       (n = pread(descriptor, piece.data(), piece.size(), static_cast<off_t>(text.size()))) > 0;)
    text.append(piece.data(), static_cast<size_t>(n));
  return text;
}

}  // namespace cutover::mover::testing
