// SPDX-License-Identifier: Apache-2.0
#include "mover/process/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <thread>

extern char** environ;

namespace cutover::mover {
namespace {

constexpr size_t kErrorTailBytes = 4096;
constexpr int kPollMilliseconds = 100;
constexpr int kNotExecuted = 127;  // As shells have it.
constexpr auto kTermGrace = std::chrono::seconds(10);

/// A file descriptor that is closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Close(); }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;
};

Result<Pipe> OpenPipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return RetryError("OutOfDescriptors", std::string("cannot open a pipe: ") + strerror(errno));
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

std::vector<std::string> MergedEnvironment(const ChildCommand& command) {
  std::map<std::string, std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view text(*entry);
    size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    merged[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
  for (const auto& [key, value] : command.environment) merged[key] = value;
  std::vector<std::string> lines;
  for (const auto& [key, value] : merged) lines.push_back(key + "=" + value);
  return lines;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// Between fork and exec only async-signal-safe calls are allowed: all memory is prepared before.
pid_t Spawn(const ChildCommand& command, const Pipe& output, const Pipe& errors) {
  std::vector<std::string> arguments = command.arguments;
  arguments.insert(arguments.begin(), command.program);
  std::vector<std::string> environment = MergedEnvironment(command);
  std::vector<char*> argv = Pointers(arguments);
  std::vector<char*> envp = Pointers(environment);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) {
    if (pid > 0) setpgid(pid, pid);  // Both sides do it: whoever is first, it holds afterwards.
    return pid;
  }
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kNotExecuted);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(output.write_end.get(), STDOUT_FILENO);
  if (errors.write_end.get() >= 0) dup2(errors.write_end.get(), STDERR_FILENO);
  execvpe(argv[0], argv.data(), envp.data());
  _exit(kNotExecuted);
}

/// The last bytes of what a child wrote to standard error.
void KeepTail(std::string& tail, std::string_view piece) {
  tail.append(piece);
  if (tail.size() > kErrorTailBytes) tail.erase(0, tail.size() - kErrorTailBytes);
}

std::string OneLine(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// One running child: drains its pipes, ends it when asked, reports how it ended.
class Running {
 public:
  Running(pid_t pid, std::string name, Pipe output, Pipe errors)
      : pid_(pid),
        name_(std::move(name)),
        output_(std::move(output.read_end)),
        errors_(std::move(errors.read_end)) {}

  /// To its end, whatever that is. An error: it was stopped, took too long, or the sink refused.
  Result<ChildEnd> Drain(std::stop_token stop, Deadline deadline, const OutputSink& sink) {
    Status outcome = Ok();
    while (output_.get() >= 0 || errors_.get() >= 0) {
      if (outcome && stop.stop_requested())
        outcome = RetryError("Stopped", name_ + " was stopped; run it again");
      if (outcome && deadline.Expired())
        outcome = RetryError("DeadlineExceeded", name_ + " took too long; give it more time");
      if (!outcome) Terminate();
      if (!WaitReadable()) continue;
      Status taken = Take(errors_, [&](std::string_view piece) {
        KeepTail(error_tail_, piece);
        return Ok();
      });
      if (taken) taken = Take(output_, sink);
      if (outcome && !taken) outcome = std::move(taken);
    }
    const ChildEnd end = Reap();
    TRY(outcome);
    return end;
  }

  /// Why `end` is not what RunChild promises.
  Status Judge(const ChildEnd& end) const {
    if (end.exit_code == 0 && end.signal == 0) return Ok();
    if (end.exit_code == kNotExecuted)
      return TerminalError("ProgramMissing",
                           "cannot run " + name_ +
                               "; install PostgreSQL's client programs and name their directory "
                               "with --pg-bindir or CUTOVER_PG_BINDIR");
    const std::string how = end.signal == 0 ? "exit code " + std::to_string(end.exit_code)
                                            : "signal " + std::to_string(end.signal);
    return TerminalError("ProgramFailed",
                         name_ + " failed with " + how + ": " + OneLine(error_tail_));
  }

 private:
  bool WaitReadable() {
    pollfd fds[2] = {{output_.get(), POLLIN, 0}, {errors_.get(), POLLIN, 0}};
    if (poll(fds, 2, kPollMilliseconds) <= 0) return false;
    output_ready_ = fds[0].revents != 0;
    errors_ready_ = fds[1].revents != 0;
    return true;
  }

  Status Take(Descriptor& from, const OutputSink& sink) {
    bool& ready = &from == &output_ ? output_ready_ : errors_ready_;
    if (!std::exchange(ready, false)) return Ok();
    char buffer[64 * 1024];
    const ssize_t count = read(from.get(), buffer, sizeof buffer);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return Ok();
    if (count <= 0) {
      from.Close();
      return Ok();
    }
    return sink(std::string_view(buffer, static_cast<size_t>(count)));
  }

  void Terminate() {
    const auto now = std::chrono::steady_clock::now();
    if (!term_at_) {
      term_at_ = now;
      kill(-pid_, SIGTERM);
    } else if (now - *term_at_ > kTermGrace) {
      kill(-pid_, SIGKILL);
    }
  }

  ChildEnd Reap() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) return ChildEnd{0, WTERMSIG(status)};
    return ChildEnd{WEXITSTATUS(status), 0};
  }

  pid_t pid_;
  std::string name_;
  Descriptor output_;
  Descriptor errors_;
  bool output_ready_ = false;
  bool errors_ready_ = false;
  std::string error_tail_;
  std::optional<std::chrono::steady_clock::time_point> term_at_;
};

/// `errors`: without ends, the child's standard error is ours.
Result<Running> Start(const ChildCommand& command, Pipe errors) {
  TRY_ASSIGN(Pipe output, OpenPipe());
  const std::string name = command.program.substr(command.program.rfind('/') + 1);
  const pid_t pid = Spawn(command, output, errors);
  if (pid < 0) return RetryError("OutOfProcesses", "cannot start " + name + ": " + strerror(errno));
  output.write_end.Close();
  errors.write_end.Close();
  return Running(pid, name, std::move(output), std::move(errors));
}

}  // namespace

Status RunChild(std::stop_token stop, Deadline deadline, const ChildCommand& command,
                const OutputSink& sink) {
  TRY_ASSIGN(Pipe errors, OpenPipe());
  TRY_ASSIGN(Running child, Start(command, std::move(errors)));
  TRY_ASSIGN(ChildEnd end, child.Drain(stop, deadline, sink));
  return child.Judge(end);
}

Result<ChildEnd> WatchChild(std::stop_token stop, Deadline deadline, const ChildCommand& command,
                            const OutputSink& sink) {
  TRY_ASSIGN(Running child, Start(command, Pipe()));
  return child.Drain(stop, deadline, sink);
}

Result<std::string> ReadChild(std::stop_token stop, Deadline deadline,
                              const ChildCommand& command) {
  std::string text;
  TRY(RunChild(stop, deadline, command, [&](std::string_view piece) {
    text.append(piece);
    return Ok();
  }));
  return text;
}

}  // namespace cutover::mover
