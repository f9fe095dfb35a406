// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/exec_credential.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "operator/base/deadline.h"

extern char** environ;

namespace cutover::kube {
namespace {

constexpr std::chrono::seconds kLeeway{10};
constexpr std::chrono::seconds kRunTimeout{60};
constexpr size_t kOutputBytesMax = 1u << 20;

// A file descriptor that closes itself.
class Handle {
 public:
  explicit Handle(int number = -1) : number_(number) {}
  ~Handle() { Reset(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  int number() const { return number_; }
  void Reset(int number = -1) {
    if (number_ >= 0) close(number_);
    number_ = number;
  }

 private:
  int number_;
};

struct Ended {
  std::string output{};
  int wait_status = 0;
  bool cut_short = false;  // Killed for taking too long or saying too much.
};

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Our environment with `changes` in place of what has the same name.
std::vector<std::string> Environment(
    const std::vector<std::pair<std::string, std::string>>& changes) {
  std::vector<std::string> made;
  for (char** entry = environ; *entry; ++entry) {
    std::string_view text = *entry;
    bool replaced = false;
    for (const auto& [name, value] : changes)
      replaced = replaced || text.substr(0, text.find('=')) == name;
    if (!replaced) made.emplace_back(text);
  }
  for (const auto& [name, value] : changes) made.push_back(name + "=" + value);
  return made;
}

// Starts the program with its output in `output`; errno's text when that cannot be done.
Result<pid_t> Spawn(std::vector<std::string> words, std::vector<std::string> environment,
                    bool interactive, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  if (!interactive)
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // Our threads block the signals that stop us; a child must not inherit that. A group of its own
  // lets its children be killed with it, but would take it from the terminal.
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(
      &attributes,
      static_cast<short>(POSIX_SPAWN_SETSIGMASK | (interactive ? 0 : POSIX_SPAWN_SETPGROUP)));
  pid_t pid = -1;
  std::vector<char*> arguments = Pointers(words), variables = Pointers(environment);
  int failure =
      posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), variables.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return RetryError("CredentialPlugin", std::strerror(failure));
  return pid;
}

// Reads until the program has closed its output, and waits for its end.
Ended WaitForEnd(pid_t pid, int output, bool interactive) {
  Ended ended;
  const Deadline deadline = interactive ? Deadline::Never() : Deadline::After(kRunTimeout);
  std::array<char, 4096> buffer;
  while (!ended.cut_short) {
    pollfd readable{output, POLLIN, 0};
    poll(&readable, 1, static_cast<int>(std::min<int64_t>(deadline.Remaining().count(), 1000)));
    ssize_t count = readable.revents ? read(output, buffer.data(), buffer.size()) : 0;
    if (count > 0) ended.output.append(buffer.data(), static_cast<size_t>(count));
    if (readable.revents && count <= 0) break;
    ended.cut_short = deadline.Expired() || ended.output.size() > kOutputBytesMax;
  }
  if (ended.cut_short) kill(interactive ? pid : -pid, SIGKILL);
  waitpid(pid, &ended.wait_status, 0);
  return ended;
}

}  // namespace

ExecCredential::ExecCredential(ExecPlugin plugin, std::shared_ptr<TlsSource> authority,
                               const Clock& clock)
    : plugin_(std::move(plugin)), authority_(std::move(authority)), clock_(clock) {}

Result<std::string> ExecCredential::Token() {
  TRY_ASSIGN(Credential credential, Get());
  return std::move(credential.token);
}

Result<TlsIdentity> ExecCredential::Current() {
  TlsIdentity identity;
  if (authority_) {
    TRY_ASSIGN(identity, authority_->Current());
  }
  TRY_ASSIGN(Credential credential, Get());
  identity.certificate_pem = std::move(credential.certificate_pem);
  identity.key_pem = std::move(credential.key_pem);
  return identity;
}

void ExecCredential::Invalidate(const std::string& token) {
  MutexLock lock(mutex_);
  if (credential_ && credential_->token == token) credential_.reset();
}

void ExecCredential::Invalidate() {
  if (authority_) authority_->Invalidate();
  MutexLock lock(mutex_);
  if (credential_ && !credential_->certificate_pem.empty()) credential_.reset();
}

bool ExecCredential::IsFreshLocked() const {
  return credential_ &&
         (!credential_->expires || clock_.WallNow() + kLeeway < *credential_->expires);
}

Result<ExecCredential::Credential> ExecCredential::Get() {
  {
    MutexLock lock(mutex_);
    changed_.Wait(mutex_, {}, Deadline::Never(), [&] { return !running_; });
    if (IsFreshLocked()) return *credential_;
    running_ = true;
  }
  Result<Credential> made = Run();
  MutexLock lock(mutex_);
  running_ = false;
  changed_.NotifyAll();
  if (made) credential_ = *made;
  return made;
}

std::string ExecCredential::Info(bool interactive) const {
  Json spec = Json::Object({{"interactive", interactive}});
  if (!plugin_.cluster.IsNull()) spec.Set("cluster", plugin_.cluster);
  return Json::Object(
             {{"apiVersion", plugin_.api_version}, {"kind", "ExecCredential"}, {"spec", spec}})
      .Dump();
}

tl::unexpected<Error> ExecCredential::Failed(const std::string& what) const {
  std::string message = "the credential plugin '" + plugin_.command + "' " + what;
  if (!plugin_.install_hint.empty()) message += "; " + plugin_.install_hint;
  return RetryError("CredentialPlugin", std::move(message));
}

Result<ExecCredential::Credential> ExecCredential::Run() const {
  const bool terminal = isatty(STDIN_FILENO) == 1;
  if (plugin_.interactive == ExecPlugin::Interactive::kAlways && !terminal)
    return Failed("wants to ask questions, and there is no terminal to ask on");
  const bool interactive = terminal && plugin_.interactive != ExecPlugin::Interactive::kNever;
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return Failed("cannot be given a pipe");
  Handle read_end(ends[0]), write_end(ends[1]);
  std::vector<std::string> words{plugin_.command};
  words.insert(words.end(), plugin_.arguments.begin(), plugin_.arguments.end());
  auto changes = plugin_.environment;
  changes.emplace_back("KUBERNETES_EXEC_INFO", Info(interactive));
  Result<pid_t> pid =
      Spawn(std::move(words), Environment(changes), interactive, write_end.number());
  if (!pid) return Failed("cannot be started: " + pid.error().message);
  write_end.Reset();
  const Ended ended = WaitForEnd(*pid, read_end.number(), interactive);
  if (ended.cut_short) return Failed("did not end in time");
  if (!WIFEXITED(ended.wait_status)) return Failed("was killed by a signal");
  if (int code = WEXITSTATUS(ended.wait_status); code != 0)
    return Failed("failed with exit code " + std::to_string(code) + "; run it by hand to see why");
  return Parse(ended.output);
}

Result<ExecCredential::Credential> ExecCredential::Parse(const std::string& output) const {
  Result<Json> json = Json::Parse(output);
  if (!json || (*json)["kind"].StringRef() != "ExecCredential")
    return Failed("printed something that is no ExecCredential");
  if ((*json)["apiVersion"].StringRef() != plugin_.api_version)
    return Failed("answers in version '" + (*json)["apiVersion"].AsString() +
                  "' and the kubeconfig asks for '" + plugin_.api_version + "'");
  const Json& status = (*json)["status"];
  Credential credential;
  credential.token = status["token"].AsString();
  credential.certificate_pem = status["clientCertificateData"].AsString();
  credential.key_pem = status["clientKeyData"].AsString();
  if (credential.certificate_pem.empty() != credential.key_pem.empty())
    return Failed("gave one of certificate and key without the other");
  if (credential.token.empty() && credential.certificate_pem.empty())
    return Failed("gave neither a token nor a certificate");
  if (const std::string& text = status["expirationTimestamp"].StringRef(); !text.empty()) {
    credential.expires = ParseTime(text);
    if (!credential.expires) return Failed("gave an expirationTimestamp that is no time: " + text);
  }
  return credential;
}

}  // namespace cutover::kube
