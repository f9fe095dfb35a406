// SPDX-License-Identifier: Apache-2.0
#include "tests/kube/api_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

#include "operator/base/check.h"
#include "operator/base/random.h"
#include "operator/kube/kubeconfig.h"
#include "operator/kube/metadata.h"
#include "tests/free_port.h"

namespace cutover::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kReadyTimeout{90};

tl::unexpected<Error> Failed(const std::string& message) {
  return TerminalError("TestSetup", message);
}

// The standard output of a shell command that succeeds, without its last newline.
Result<std::string> Output(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return Failed("cannot run a shell");
  std::string output;
  std::array<char, 4096> buffer;
  while (size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
    output.append(buffer.data(), count);
  if (pclose(pipe) != 0) return Failed("failed: " + command);
  if (output.ends_with('\n')) output.pop_back();
  return output;
}

Result<std::string> BinariesDirectory(const std::string& programs = "--api-only") {
  if (const char* given = std::getenv("CUTOVER_TEST_BINARIES")) return std::string(given);
  return Output(std::string(CUTOVER_SOURCE_DIRECTORY) + "/hack/cluster binaries " + programs);
}

Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return Failed("cannot write " + path);
  return Ok();
}

std::string LastLines(const std::string& path) {
  std::ifstream file(path);
  std::string all{std::istreambuf_iterator<char>(file), {}};
  return all.substr(all.size() > 2000 ? all.size() - 2000 : 0);
}

}  // namespace

Result<Process> Process::Start(const std::vector<std::string>& command,
                               const std::string& log_file) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  int log = open(log_file.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) return Failed("cannot fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);  // It died before the line above.
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    close(STDIN_FILENO);
    // ctest waits for whoever has its pipes.
    for (int handle = 3; handle < 1024; ++handle) close(handle);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  if (log >= 0) close(log);
  return Process(pid);
}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}

void Process::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

bool Process::IsRunning() {
  if (pid_ <= 0) return false;
  if (waitpid(pid_, nullptr, WNOHANG) != pid_) return true;
  pid_ = -1;
  return false;
}

Result<std::unique_ptr<ControlPlane>> ControlPlane::Start(const std::string& directory) {
  std::unique_ptr<ControlPlane> made(new ControlPlane(directory));
  std::filesystem::create_directories(directory);
  TRY_ASSIGN(made->binaries_, BinariesDirectory());
  made->etcd_port_ = FreePort();
  made->etcd_peer_port_ = FreePort();
  TRY(made->MakeCertificates());
  TRY(made->StartEtcd());
  TRY(made->AddServer());
  return made;
}

ControlPlane::~ControlPlane() {
  garbage_collector_.reset();
  servers_.clear();
  etcd_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Status ControlPlane::MakeCertificates() const {
  TRY(WriteFile(directory_ + "/openssl.cnf",
                "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n"
                "[ca]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n"
                "keyUsage=critical,keyCertSign,cRLSign,digitalSignature\n"
                "[leaf]\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n"
                "extendedKeyUsage=serverAuth,clientAuth\n"
                "subjectAltName=IP:127.0.0.1,DNS:localhost\n"));
  // system:masters bypasses RBAC; nobody is authenticated and may do nothing.
  TRY(WriteFile(directory_ + "/tokens.csv",
                std::string(kAdminToken) + ",token-admin,token-admin,system:masters\n" +
                    kRotatedToken + ",token-admin,token-admin,system:masters\n"));
  std::string script =
      "cd '" + directory_ +
      "' && new='openssl req -config openssl.cnf -x509 -newkey ec "
      "-pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'\n"
      "{ $new -extensions ca -subj /CN=cutover-test-ca -keyout ca.key -out ca.crt &&\n"
      "leaf() { $new -extensions leaf -CA ca.crt -CAkey ca.key -subj \"$2\" -keyout $1.key "
      "-out $1.crt; } &&\n"
      "leaf server /CN=kube-apiserver && leaf admin /O=system:masters/CN=admin &&\n"
      "leaf nobody /CN=nobody && openssl genrsa -out sa.key 2048 &&\n"
      "openssl rsa -in sa.key -pubout -out sa.pub; } >openssl.log 2>&1";
  Result<std::string> made = Output(script);
  if (!made) return Failed("cannot make certificates: " + LastLines(directory_ + "/openssl.log"));
  return Ok();
}

// Whoever has ca.crt trusts either, as in the middle of every rotation.
Status ControlPlane::ReplaceAuthority() const {
  Result<std::string> made = Output(
      "cd '" + directory_ +
      "' && new='openssl req -config openssl.cnf -x509 -newkey ec "
      "-pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'\n"
      "{ $new -extensions ca -subj /CN=cutover-new-ca -keyout new-ca.key -out new-ca.crt &&\n"
      "$new -extensions leaf -CA new-ca.crt -CAkey new-ca.key -subj /CN=kube-apiserver "
      "-keyout server.key -out server.crt && cat new-ca.crt >>ca.crt; } >openssl.log 2>&1");
  if (!made) return Failed("cannot make certificates: " + LastLines(directory_ + "/openssl.log"));
  return Ok();
}

Status ControlPlane::StartEtcd() {
  std::string client = "http://127.0.0.1:" + std::to_string(etcd_port_);
  std::string peer = "http://127.0.0.1:" + std::to_string(etcd_peer_port_);
  // Without fsync: the data need not survive the machine, and tests share slow disks.
  TRY_ASSIGN(Process etcd,
             Process::Start(
                 {binaries_ + "/etcd", "--data-dir=" + directory_ + "/etcd", "--unsafe-no-fsync",
                  "--listen-client-urls=" + client, "--advertise-client-urls=" + client,
                  "--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
                  "--initial-cluster=default=" + peer, "--log-level=error"},
                 directory_ + "/etcd.log"));
  etcd_ = std::make_unique<Process>(std::move(etcd));
  return Ok();
}

Status ControlPlane::RestartEtcd(const std::function<void()>& while_stopped) {
  etcd_.reset();
  while_stopped();
  return StartEtcd();
}

Status ControlPlane::Backup() {
  namespace fs = std::filesystem;
  return RestartEtcd([&] {
    fs::remove_all(directory_ + "/backup");
    fs::copy(directory_ + "/etcd", directory_ + "/backup", fs::copy_options::recursive);
  });
}

Status ControlPlane::RestoreBackup() {
  namespace fs = std::filesystem;
  for (Server& server : servers_) server.process.reset();
  TRY(RestartEtcd([&] {
    fs::remove_all(directory_ + "/etcd");
    fs::copy(directory_ + "/backup", directory_ + "/etcd", fs::copy_options::recursive);
  }));
  for (Server& server : servers_) TRY(StartServer(server));
  return Ok();
}

Status ControlPlane::Compact() const {
  kube::HttpTransportOptions options;
  options.url = "http://127.0.0.1:" + std::to_string(etcd_port_);
  TRY_ASSIGN(std::unique_ptr<kube::Transport> etcd, kube::MakeHttpTransport(options));
  // etcd's own JSON gateway; its numbers are strings.
  auto ask = [&](const std::string& path, const Json& body) -> Result<Json> {
    kube::Request request{kube::Method::kPost, path, {}, body.Dump(), "application/json"};
    TRY_ASSIGN(kube::Response answer, etcd->Call({}, Deadline::After(seconds(30)), request));
    if (answer.status != 200) return Failed("etcd answers " + answer.body);
    return Json::Parse(answer.body);
  };
  TRY_ASSIGN(Json range, ask("/v3/kv/range", Json::Object({{"key", "AA=="}})));
  Json present = range.At({"header", "revision"});
  TRY(ask("/v3/kv/compaction", Json::Object({{"revision", present}, {"physical", true}})));
  return Ok();
}

Status ControlPlane::StartGarbageCollector() {
  if (garbage_collector_) return Ok();
  TRY_ASSIGN(std::string binaries, BinariesDirectory("kube-controller-manager"));
  TRY_ASSIGN(std::string kubeconfig, Kubeconfig());
  TRY_ASSIGN(Process process,
             Process::Start({binaries + "/kube-controller-manager", "--kubeconfig=" + kubeconfig,
                             "--controllers=garbage-collector-controller", "--leader-elect=false",
                             "--secure-port=0", "--kube-api-qps=1000", "--kube-api-burst=1000"},
                            directory_ + "/garbage-collector.log"));
  garbage_collector_ = std::make_unique<Process>(std::move(process));
  return Ok();
}

Result<int> ControlPlane::AddServer(int etcd_port) {
  servers_.push_back({FreePort(), etcd_port ? etcd_port : etcd_port_, nullptr});
  TRY(StartServer(servers_.back()));
  return static_cast<int>(servers_.size()) - 1;
}

Status ControlPlane::RestartServer(int server) { return StartServer(servers_[server]); }

Status ControlPlane::StartServer(Server& server) const {
  const std::string& d = directory_;
  TRY_ASSIGN(
      Process process,
      Process::Start(
          {binaries_ + "/kube-apiserver",
           "--etcd-servers=http://127.0.0.1:" + std::to_string(server.etcd_port),
           "--bind-address=127.0.0.1", "--secure-port=" + std::to_string(server.port),
           "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
           "--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=RBAC",
           "--client-ca-file=" + d + "/ca.crt", "--tls-cert-file=" + d + "/server.crt",
           "--tls-private-key-file=" + d + "/server.key", "--token-auth-file=" + d + "/tokens.csv",
           "--service-account-key-file=" + d + "/sa.pub",
           "--service-account-signing-key-file=" + d + "/sa.key",
           "--service-account-issuer=https://kubernetes.default.svc",
           // Nobody makes the default service accounts here.
           "--disable-admission-plugins=ServiceAccount", "--profiling=false"},
          d + "/apiserver-" + std::to_string(server.port) + ".log"));
  server.process = std::make_unique<Process>(std::move(process));
  return WaitUntilReady(server);
}

Status ControlPlane::WaitUntilReady(const Server& server) const {
  int number = static_cast<int>(&server - servers_.data());
  TRY_ASSIGN(std::string kubeconfig, Kubeconfig("admin", number));
  TRY_ASSIGN(kube::Connection connection, kube::LoadConnection(kubeconfig));
  TRY_ASSIGN(std::unique_ptr<kube::ApiClient> client, kube::MakeApiClient(connection));
  Deadline deadline = Deadline::After(kReadyTimeout);
  while (!deadline.Expired() && server.process->IsRunning()) {
    if (client->GetRaw({}, Deadline::After(seconds(5)), "/readyz")) return Ok();
    std::this_thread::sleep_for(milliseconds(50));
  }
  return Failed("the API server is not ready: " +
                LastLines(directory_ + "/apiserver-" + std::to_string(server.port) + ".log"));
}

std::string ControlPlane::Url(int server) const {
  return "https://127.0.0.1:" + std::to_string(servers_[server].port);
}

Result<std::string> ControlPlane::Kubeconfig(const std::string& user, int server) const {
  std::string path = directory_ + "/" + user + "-" + std::to_string(server) + ".kubeconfig";
  // Renamed into place: another process may be reading it.
  std::string partial = path + "." + RandomHex(4);
  TRY(WriteFile(partial,
                "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
                "contexts:\n- name: test\n  context: {cluster: test, user: test}\n"
                "clusters:\n- name: test\n  cluster: {server: '" +
                    Url(server) +
                    "', certificate-authority: ca.crt}\n"
                    "users:\n- name: test\n  user: {client-certificate: " +
                    user + ".crt, client-key: " + user + ".key}\n"));
  std::filesystem::rename(partial, path);
  return path;
}

const std::string& SharedKubeconfig() {
  // Destroyed at exit, so that a program run by hand leaves nothing behind.
  static std::unique_ptr<ControlPlane> own;
  static const std::string path = [] {
    const char* given = std::getenv("CUTOVER_TEST_KUBECONFIG");
    if (given && std::filesystem::exists(given)) return std::string(given);
    std::string directory =
        (std::filesystem::temp_directory_path() / ("cutover-kube-" + RandomHex(6))).string();
    Result<std::unique_ptr<ControlPlane>> started = ControlPlane::Start(directory);
    if (!started) std::cerr << started.error().message << "\n";
    CHECK(started.has_value());
    own = std::move(*started);
    return own->Kubeconfig().value();
  }();
  return path;
}

std::unique_ptr<kube::ApiClient> MakeClient(const std::string& kubeconfig) {
  Result<kube::Connection> connection = kube::LoadConnection(kubeconfig);
  if (!connection) std::cerr << connection.error().message << "\n";
  CHECK(connection.has_value());
  Result<std::unique_ptr<kube::ApiClient>> client = kube::MakeApiClient(*connection);
  if (!client) std::cerr << client.error().message << "\n";
  CHECK(client.has_value());
  return std::move(*client);
}

std::string MakeNamespace(kube::Client& client, const std::string& prefix) {
  std::string name = prefix + "-" + RandomHex(5);
  Result<Json> made = client.Create({}, Deadline::After(seconds(30)), kube::kNamespace,
                                    kube::NewObject(kube::kNamespace, {"", name}));
  if (!made) std::cerr << made.error().message << "\n";
  CHECK(made.has_value());
  return name;
}

}  // namespace cutover::testing
