// SPDX-License-Identifier: Apache-2.0
#include "tests/postgres/own_server.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "tests/postgres/servers.h"

namespace cutover::pg::testing {
namespace {

[[noreturn]] void Die(const std::string& sentence) {
  std::fprintf(stderr, "%s\n", sentence.c_str());
  std::abort();
}

/// Runs the program and returns its standard output; messages of its own go to ours.
std::string MustRun(std::vector<std::string> command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) Die("no pipe");
  const pid_t pid = fork();
  if (pid < 0) Die("cannot fork");
  if (pid == 0) {
    dup2(pipe_ends[1], STDOUT_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(pipe_ends[1]);
  std::string output;
  std::array<char, 4096> piece{};
  for (ssize_t n = 0; (n = read(pipe_ends[0], piece.data(), piece.size())) > 0;)
    output.append(piece.data(), static_cast<size_t>(n));
  close(pipe_ends[0]);
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || status != 0)
    Die(command[0] + " " + command[1] + " failed; its reasons are above");
  return output;
}

}  // namespace

OwnServer::OwnServer(const OwnServerOptions& options) : name_(UniqueName("own")) {
  std::vector<std::string> arguments = {"create", std::to_string(options.major),
                                        std::to_string(options.data_mebibytes_max),
                                        std::to_string(options.wal_mebibytes_max)};
  for (const auto& [setting, value] : options.settings)
    arguments.emplace_back(setting).append("=").append(value);
  std::string uri = Run(arguments);
  if (!uri.empty() && uri.back() == '\n') uri.pop_back();
  Result<ConnectOptions> parsed = ConnectOptions::Parse(uri);
  if (!parsed) Die("no URI of a server: " + parsed.error().message);
  options_ = std::move(*parsed);
}

OwnServer::~OwnServer() { Run({"remove"}); }

std::string OwnServer::Run(const std::vector<std::string>& verb_and_arguments) const {
  // Tests run in the repository's root.
  std::vector<std::string> command = {"tests/postgres/servers", verb_and_arguments[0],
                                      Servers().directory, name_};
  command.insert(command.end(), verb_and_arguments.begin() + 1, verb_and_arguments.end());
  return MustRun(std::move(command));
}

}  // namespace cutover::pg::testing
