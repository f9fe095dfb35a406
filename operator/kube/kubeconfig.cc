// SPDX-License-Identifier: Apache-2.0
//
// The only file that knows yaml-cpp.
#include "operator/kube/kubeconfig.h"

#include <openssl/evp.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include "operator/kube/exec_credential.h"

namespace cutover::kube {
namespace {

constexpr char kServiceAccount[] = "/var/run/secrets/kubernetes.io/serviceaccount/";

tl::unexpected<Error> Invalid(const std::string& message) {
  return TerminalError("InvalidKubeconfig", message);
}

struct Context {
  std::string cluster, user, ns;
};

// One or several kubeconfig files, merged: the first to define a name wins.
struct Kubeconfig {
  std::string current_context;
  std::map<std::string, Context> contexts;
  struct Located {
    YAML::Node node;
    std::string directory;  // Relative file names count from here.
  };
  std::map<std::string, Located> clusters, users;
};

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Invalid("cannot read " + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<std::string> DecodeBase64(std::string text) {
  std::erase_if(text, [](unsigned char c) { return std::isspace(c); });
  std::string decoded(text.size() / 4 * 3, '\0');
  int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                             reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()));
  if (size < 0 || text.size() % 4 != 0) return Invalid("not base64");
  size_t padding = text.ends_with("==") ? 2 : (text.ends_with("=") ? 1 : 0);
  decoded.resize(static_cast<size_t>(size) - padding);
  return decoded;
}

std::string Text(const YAML::Node& node, const char* key) {
  const YAML::Node value = node[key];
  return value && value.IsScalar() ? value.Scalar() : "";
}

std::string Resolve(const std::string& path, const std::string& directory) {
  return path.starts_with('/') ? path : directory + "/" + path;
}

// `name`-data inline, or else the file that `name` names, or nothing.
Result<std::string> DataOrFile(const YAML::Node& node, const std::string& name,
                               const std::string& directory) {
  std::string data = Text(node, (name + "-data").c_str());
  if (!data.empty()) {
    Result<std::string> decoded = DecodeBase64(std::move(data));
    if (!decoded) return Invalid(name + "-data is not base64");
    return decoded;
  }
  std::string path = Text(node, name.c_str());
  if (path.empty()) return std::string();
  return ReadFile(Resolve(path, directory));
}

void Merge(const YAML::Node& root, const std::string& directory, Kubeconfig& merged) {
  if (merged.current_context.empty()) merged.current_context = Text(root, "current-context");
  for (const YAML::Node& item : root["contexts"]) {
    const YAML::Node context = item["context"];
    if (!context) continue;
    merged.contexts.emplace(
        Text(item, "name"),
        Context{Text(context, "cluster"), Text(context, "user"), Text(context, "namespace")});
  }
  for (const YAML::Node& item : root["clusters"])
    if (item["cluster"])
      merged.clusters.emplace(Text(item, "name"), Kubeconfig::Located{item["cluster"], directory});
  for (const YAML::Node& item : root["users"])
    if (item["user"])
      merged.users.emplace(Text(item, "name"), Kubeconfig::Located{item["user"], directory});
}

// The file that DataOrFile reads, or nothing.
std::string FileOf(const Kubeconfig::Located& located, const std::string& name) {
  std::string path = Text(located.node, name.c_str());
  bool inline_data = !Text(located.node, (name + "-data").c_str()).empty();
  return inline_data || path.empty() ? "" : Resolve(path, located.directory);
}

std::string EncodeBase64(const std::string& bytes) {
  std::string encoded((bytes.size() + 2) / 3 * 4 + 1, '\0');
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                             reinterpret_cast<const unsigned char*>(bytes.data()),
                             static_cast<int>(bytes.size()));
  encoded.resize(static_cast<size_t>(size));
  return encoded;
}

Status UseCluster(const Kubeconfig::Located& cluster, HttpTransportOptions& transport) {
  transport.url = Text(cluster.node, "server");
  if (transport.url.empty()) return Invalid("the cluster has no 'server'");
  if (!Text(cluster.node, "proxy-url").empty())
    return Invalid("'proxy-url' is not supported; remove it or use another way to the server");
  while (transport.url.ends_with('/')) transport.url.pop_back();
  transport.tls_server_name = Text(cluster.node, "tls-server-name");
  transport.insecure_skip_tls_verify = Text(cluster.node, "insecure-skip-tls-verify") == "true";
  TRY_ASSIGN(transport.ca_pem,
             DataOrFile(cluster.node, "certificate-authority", cluster.directory));
  return Ok();
}

Result<ExecPlugin::Interactive> ParseInteractiveMode(const std::string& mode) {
  if (mode.empty() || mode == "IfAvailable") return ExecPlugin::Interactive::kIfAvailable;
  if (mode == "Never") return ExecPlugin::Interactive::kNever;
  if (mode == "Always") return ExecPlugin::Interactive::kAlways;
  return Invalid("exec: interactiveMode is Never, IfAvailable or Always, not '" + mode + "'");
}

// What a plugin is told about the server, for which it may have a credential each.
Json ClusterInfo(const HttpTransportOptions& transport) {
  Json info = Json::Object({{"server", transport.url}});
  if (!transport.tls_server_name.empty()) info.Set("tls-server-name", transport.tls_server_name);
  if (transport.insecure_skip_tls_verify) info.Set("insecure-skip-tls-verify", true);
  if (!transport.ca_pem.empty())
    info.Set("certificate-authority-data", EncodeBase64(transport.ca_pem));
  return info;
}

Result<ExecPlugin> ParseExec(const YAML::Node& exec, const std::string& directory,
                             const HttpTransportOptions& transport) {
  ExecPlugin plugin;
  plugin.api_version = Text(exec, "apiVersion");
  if (plugin.api_version != "client.authentication.k8s.io/v1" &&
      plugin.api_version != "client.authentication.k8s.io/v1beta1")
    return Invalid("exec: apiVersion '" + plugin.api_version +
                   "' is not supported; use client.authentication.k8s.io/v1");
  plugin.command = Text(exec, "command");
  if (plugin.command.empty()) return Invalid("exec: there is no 'command'");
  // A bare name is looked for in PATH; a path counts from the kubeconfig, as in kubectl.
  if (plugin.command.find('/') != std::string::npos)
    plugin.command = Resolve(plugin.command, directory);
  for (const YAML::Node& argument : exec["args"]) plugin.arguments.push_back(argument.Scalar());
  for (const YAML::Node& variable : exec["env"])
    plugin.environment.emplace_back(Text(variable, "name"), Text(variable, "value"));
  TRY_ASSIGN(plugin.interactive, ParseInteractiveMode(Text(exec, "interactiveMode")));
  plugin.install_hint = Text(exec, "installHint");
  if (Text(exec, "provideClusterInfo") == "true") plugin.cluster = ClusterInfo(transport);
  return plugin;
}

Status UseUser(const Kubeconfig::Located& user, const Clock& clock, Connection& connection) {
  if (user.node["auth-provider"])
    return Invalid("'auth-provider' is not supported by clients any more; use 'exec'");
  if (!Text(user.node, "username").empty())
    return Invalid("'username' and 'password' are not supported by API servers any more");
  TRY_ASSIGN(connection.transport.certificate_pem,
             DataOrFile(user.node, "client-certificate", user.directory));
  TRY_ASSIGN(connection.transport.key_pem, DataOrFile(user.node, "client-key", user.directory));
  if (connection.transport.certificate_pem.empty() != connection.transport.key_pem.empty())
    return Invalid("the user has one of client-certificate and client-key without the other");
  // As in kubectl a token file, which may be rotated, wins over a token.
  if (std::string path = Text(user.node, "tokenFile"); !path.empty())
    connection.token = std::make_shared<FileToken>(Resolve(path, user.directory), clock);
  else if (std::string token = Text(user.node, "token"); !token.empty())
    connection.token = std::make_shared<StaticToken>(token);
  if (!user.node["exec"]) return Ok();
  // As in kubectl whatever is written down wins over what would have to be made.
  TRY_ASSIGN(ExecPlugin plugin, ParseExec(user.node["exec"], user.directory, connection.transport));
  if (connection.token || !connection.transport.certificate_pem.empty()) return Ok();
  auto credential =
      std::make_shared<ExecCredential>(std::move(plugin), connection.transport.tls_source, clock);
  connection.token = credential;
  connection.transport.tls_source = credential;
  return Ok();
}

// Certificates that are in files are read again when these change.
void FollowFiles(FileTls::Files files, const Clock& clock, HttpTransportOptions& transport) {
  if (!files.Any()) return;
  TlsIdentity initial{transport.ca_pem, transport.certificate_pem, transport.key_pem};
  transport.tls_source = std::make_shared<FileTls>(std::move(files), std::move(initial), clock);
}

Result<Connection> Select(const Kubeconfig& config, const Clock& clock) {
  if (config.current_context.empty())
    return Invalid("no current-context is set; choose one with kubectl config use-context");
  auto context = config.contexts.find(config.current_context);
  if (context == config.contexts.end())
    return Invalid("there is no context named '" + config.current_context + "'");
  auto cluster = config.clusters.find(context->second.cluster);
  if (cluster == config.clusters.end())
    return Invalid("there is no cluster named '" + context->second.cluster + "'");
  Connection connection;
  TRY(UseCluster(cluster->second, connection.transport));
  FileTls::Files files{FileOf(cluster->second, "certificate-authority"), "", ""};
  FollowFiles(files, clock, connection.transport);
  if (!context->second.user.empty()) {
    auto user = config.users.find(context->second.user);
    if (user == config.users.end())
      return Invalid("there is no user named '" + context->second.user + "'");
    TRY(UseUser(user->second, clock, connection));
    files.certificate = FileOf(user->second, "client-certificate");
    files.key = FileOf(user->second, "client-key");
    if (!files.certificate.empty()) FollowFiles(files, clock, connection.transport);
  }
  if (!context->second.ns.empty()) connection.ns = context->second.ns;
  return connection;
}

Result<YAML::Node> ParseYaml(std::string_view yaml) {
  try {
    YAML::Node root = YAML::Load(std::string(yaml));
    if (!root.IsMap()) return Invalid("it is not a kubeconfig: no mapping at its top");
    return root;
  } catch (const YAML::Exception& failure) {
    return Invalid(std::string("it is no YAML: ") + failure.what());
  }
}

// yaml-cpp throws also while a tree is read (a sequence where a mapping should be).
template <class Function>
auto WithoutExceptions(Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const YAML::Exception& failure) {
    return Invalid(std::string("it is not a kubeconfig: ") + failure.what());
  }
}

Result<Connection> LoadFiles(const std::vector<std::string>& paths, const std::string& context,
                             const Clock& clock) {
  return WithoutExceptions([&]() -> Result<Connection> {
    Kubeconfig merged;
    std::string origin;
    for (const std::string& path : paths) {
      TRY_ASSIGN(std::string text, ReadFile(path));
      Result<YAML::Node> root = ParseYaml(text);
      if (!root) return tl::make_unexpected(WithContext(std::move(root).error(), path));
      Merge(*root, std::filesystem::absolute(path).parent_path().string(), merged);
      origin += (origin.empty() ? "" : ":") + path;
    }
    if (!context.empty()) merged.current_context = context;
    Result<Connection> connection = Select(merged, clock);
    if (!connection) return tl::make_unexpected(WithContext(std::move(connection).error(), origin));
    connection->origin = origin;
    return connection;
  });
}

// Files named by KUBECONFIG that exist; kubectl, too, ignores the others.
std::vector<std::string> ExistingFiles(const std::string& list) {
  std::vector<std::string> paths;
  std::stringstream stream(list);
  for (std::string path; std::getline(stream, path, ':');)
    if (!path.empty() && std::filesystem::exists(path)) paths.push_back(path);
  return paths;
}

Result<Connection> InCluster(const std::string& host, const std::string& port,
                             const std::string& directory, const Clock& clock) {
  Connection connection;
  const bool ipv6 = host.find(':') != std::string::npos;
  connection.transport.url =
      "https://" + (ipv6 ? "[" + host + "]" : host) + ":" + (port.empty() ? "443" : port);
  TRY_ASSIGN(connection.transport.ca_pem, ReadFile(directory + "ca.crt"));
  FollowFiles({directory + "ca.crt", "", ""}, clock, connection.transport);
  connection.token = std::make_shared<FileToken>(directory + "token", clock);
  if (Result<std::string> ns = ReadFile(directory + "namespace"); ns && !ns->empty())
    connection.ns = *ns;
  connection.origin = "the service account of this pod";
  return connection;
}

std::optional<std::string> ProcessEnv(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (!value) return std::nullopt;
  return value;
}

}  // namespace

Result<Connection> LoadConnection(const ConnectionChoice& choice, const GetEnv& get_env,
                                  const Clock& clock) {
  auto env = [&](const char* name) {
    return (get_env ? get_env(name) : ProcessEnv(name)).value_or("");
  };
  const std::string& context = choice.context;
  if (!choice.kubeconfig.empty()) return LoadFiles({choice.kubeconfig}, context, clock);
  if (std::string list = env("KUBECONFIG"); !list.empty()) {
    std::vector<std::string> paths = ExistingFiles(list);
    if (paths.empty()) return Invalid("KUBECONFIG names no file that exists: " + list);
    return LoadFiles(paths, context, clock);
  }
  // The directory can be set for processes that imitate a pod, as in tests.
  std::string directory = env("CUTOVER_SERVICE_ACCOUNT_DIRECTORY");
  if (directory.empty()) directory = kServiceAccount;
  if (!directory.ends_with('/')) directory += '/';
  std::string host = env("KUBERNETES_SERVICE_HOST");
  if (context.empty() && !host.empty() && std::filesystem::exists(directory + "token"))
    return InCluster(host, env("KUBERNETES_SERVICE_PORT"), directory, clock);
  std::string home = env("HOME") + "/.kube/config";
  if (std::filesystem::exists(home)) return LoadFiles({home}, context, clock);
  return Invalid(
      "no cluster is configured: pass --kubeconfig, set KUBECONFIG, run in a pod with a service "
      "account, or create ~/.kube/config");
}

Result<Connection> LoadConnection(const std::string& flag, const GetEnv& get_env,
                                  const Clock& clock) {
  return LoadConnection(ConnectionChoice{flag, ""}, get_env, clock);
}

Result<Connection> ParseKubeconfig(std::string_view yaml, const std::string& directory,
                                   const Clock& clock) {
  return WithoutExceptions([&]() -> Result<Connection> {
    TRY_ASSIGN(YAML::Node root, ParseYaml(yaml));
    Kubeconfig merged;
    Merge(root, directory, merged);
    return Select(merged, clock);
  });
}

}  // namespace cutover::kube
