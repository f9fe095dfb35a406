// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/kubeconfig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "operator/base/random.h"
#include "tests/unit/kube/fake_clock.h"

namespace cutover::kube {
namespace {

using ::testing::HasSubstr;

std::string Config(const std::string& cluster, const std::string& user,
                   const std::string& context = "{cluster: c, user: u}") {
  return "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts:\n- {name: x, context: " +
         context + "}\nclusters:\n- {name: c, cluster: " + cluster +
         "}\nusers:\n- {name: u, user: " + user + "}\n";
}

constexpr char kServer[] = "{server: 'https://10.0.0.1:6443/'}";

class KubeconfigTest : public ::testing::Test {
 protected:
  KubeconfigTest() : directory_(std::filesystem::temp_directory_path() / ("kc-" + RandomHex(8))) {
    std::filesystem::create_directories(directory_);
  }
  ~KubeconfigTest() override { std::filesystem::remove_all(directory_); }

  std::string WriteFile(const std::string& name, const std::string& text) {
    std::filesystem::path path = directory_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  Result<Connection> Load(const std::string& flag) {
    return LoadConnection(
        flag,
        [this](const std::string& name) -> std::optional<std::string> {
          auto found = env_.find(name);
          if (found == env_.end()) return std::nullopt;
          return found->second;
        },
        clock_);
  }

  FakeClock clock_;
  std::filesystem::path directory_;
  std::map<std::string, std::string> env_;
};

TEST_F(KubeconfigTest, InlineDataIsDecoded) {
  Result<Connection> connection =
      ParseKubeconfig(Config("{server: 'https://10.0.0.1:6443', certificate-authority-data: Y2E=, "
                             "tls-server-name: kubernetes}",
                             "{client-certificate-data: Y2VydA==, client-key-data: a2V5}",
                             "{cluster: c, user: u, namespace: shop}"),
                      "/", clock_);
  ASSERT_TRUE(connection) << connection.error().message;
  EXPECT_EQ(connection->transport.url, "https://10.0.0.1:6443");
  EXPECT_EQ(connection->transport.ca_pem, "ca");
  EXPECT_EQ(connection->transport.certificate_pem, "cert");
  EXPECT_EQ(connection->transport.key_pem, "key");
  EXPECT_EQ(connection->transport.tls_server_name, "kubernetes");
  EXPECT_EQ(connection->ns, "shop");
  EXPECT_EQ(connection->token, nullptr);
}

TEST_F(KubeconfigTest, FilesAreFoundBesideTheKubeconfig) {
  WriteFile("pki/ca.crt", "authority");
  WriteFile("token", "secret\n");
  std::string path = WriteFile(
      "config",
      Config("{server: 'https://h:1', certificate-authority: pki/ca.crt}", "{tokenFile: token}"));
  Result<Connection> connection = Load(path);
  ASSERT_TRUE(connection) << connection.error().message;
  EXPECT_EQ(connection->transport.ca_pem, "authority");
  EXPECT_EQ(*connection->token->Token(), "secret");
}

TEST_F(KubeconfigTest, TheFlagWinsOverTheEnvironmentOverThePodOverHome) {
  env_["HOME"] = (directory_ / "home").string();
  WriteFile("home/.kube/config", Config("{server: 'https://home:1'}", "{token: t}"));
  auto url = [&](const std::string& flag) { return Load(flag)->transport.url; };
  EXPECT_EQ(url(""), "https://home:1");

  WriteFile("sa/token", "pod-token");
  WriteFile("sa/ca.crt", "pod-ca");
  WriteFile("sa/namespace", "pod-ns");
  env_["CUTOVER_SERVICE_ACCOUNT_DIRECTORY"] = (directory_ / "sa").string();
  env_["KUBERNETES_SERVICE_HOST"] = "10.96.0.1";
  env_["KUBERNETES_SERVICE_PORT"] = "443";
  EXPECT_EQ(url(""), "https://10.96.0.1:443");
  EXPECT_EQ(Load("")->ns, "pod-ns");
  EXPECT_EQ(*Load("")->token->Token(), "pod-token");
  env_["KUBERNETES_SERVICE_HOST"] = "fd00:10:96::1";
  EXPECT_EQ(url(""), "https://[fd00:10:96::1]:443");

  env_["KUBECONFIG"] = WriteFile("env", Config("{server: 'https://env:1'}", "{token: t}"));
  EXPECT_EQ(url(""), "https://env:1");
  EXPECT_EQ(url(WriteFile("flag", Config("{server: 'https://flag:1'}", "{token: t}"))),
            "https://flag:1");
}

TEST_F(KubeconfigTest, OfSeveralFilesTheFirstToDefineSomethingWins) {
  std::string first = WriteFile("first",
                                "current-context: x\nclusters:\n- {name: c, cluster: "
                                "{server: 'https://first:1'}}\n");
  std::string second =
      WriteFile("second", Config("{server: 'https://second:1'}", "{token: from-second}"));
  env_["KUBECONFIG"] = (directory_ / "absent").string() + ":" + first + ":" + second;
  Result<Connection> connection = Load("");
  ASSERT_TRUE(connection) << connection.error().message;
  EXPECT_EQ(connection->transport.url, "https://first:1");
  EXPECT_EQ(*connection->token->Token(), "from-second");
}

TEST_F(KubeconfigTest, AContextThatIsNamedCountsInsteadOfTheCurrentOne) {
  const std::string other =
      "apiVersion: v1\nkind: Config\ncontexts:\n- {name: y, context: {cluster: d}}\nclusters:\n"
      "- {name: d, cluster: {server: 'https://10.0.0.2:6443'}}\n";
  env_["KUBECONFIG"] = WriteFile("a", Config(kServer, "{token: t}")) + ":" + WriteFile("b", other);
  env_["KUBERNETES_SERVICE_HOST"] = "10.96.0.1";
  auto get_env = [this](const std::string& name) -> std::optional<std::string> {
    auto found = env_.find(name);
    return found == env_.end() ? std::nullopt : std::optional(found->second);
  };
  Result<Connection> named = LoadConnection(ConnectionChoice{"", "y"}, get_env, clock_);
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->transport.url, "https://10.0.0.2:6443");
  Result<Connection> unknown = LoadConnection(ConnectionChoice{"", "z"}, get_env, clock_);
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("there is no context named 'z'"));
}

TEST_F(KubeconfigTest, ATokenFileIsReadAgainEveryMinuteAndAfterARefusal) {
  std::string path = WriteFile("token", "one");
  FileToken token(path, clock_);
  EXPECT_EQ(*token.Token(), "one");
  WriteFile("token", "two");
  EXPECT_EQ(*token.Token(), "one");
  clock_.Advance(std::chrono::minutes(1));
  EXPECT_EQ(*token.Token(), "two");
  WriteFile("token", "three");
  token.Invalidate("one");
  EXPECT_EQ(*token.Token(), "two") << "the refusal of an older token says nothing about this one";
  token.Invalidate("two");
  EXPECT_EQ(*token.Token(), "three");
  std::filesystem::remove(path);
  clock_.Advance(std::chrono::minutes(1));
  EXPECT_EQ(*token.Token(), "three") << "a rotation in progress";
}

TEST_F(KubeconfigTest, WhatCannotBeUsedIsRefusedWithItsReason) {
  struct Case {
    std::string yaml;
    const char* says;
  };
  for (const Case& c : {
           Case{"[]", "no mapping"},
           Case{"a: [", "no YAML"},
           Case{"apiVersion: v1", "current-context"},
           Case{"current-context: gone", "no context named 'gone'"},
           Case{Config("{}", "{token: t}"), "no 'server'"},
           Case{Config(kServer, "{auth-provider: {name: gcp}}"), "use 'exec'"},
           Case{Config(kServer, "{exec: {command: aws}}"), "apiVersion"},
           Case{Config(kServer, "{exec: {apiVersion: client.authentication.k8s.io/v1}}"),
                "no 'command'"},
           Case{Config(kServer,
                       "{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, "
                       "interactiveMode: Sometimes}}"),
                "'Sometimes'"},
           Case{Config(kServer, "{client-certificate-data: Y2VydA==}"), "without the other"},
           Case{Config(kServer, "{client-key-data: '%%%%'}"), "not base64"},
           Case{Config("{server: 'https://h', certificate-authority: /absent}", "{}"), "/absent"},
           Case{Config("{server: 'https://h', proxy-url: 'http://p'}", "{}"), "proxy-url"},
           Case{Config(kServer, "{}", "{cluster: other, user: u}"), "no cluster named 'other'"},
           Case{Config(kServer, "{}", "{cluster: c, user: other}"), "no user named 'other'"},
       }) {
    Result<Connection> connection = ParseKubeconfig(c.yaml, "/", clock_);
    ASSERT_FALSE(connection) << c.yaml;
    EXPECT_EQ(connection.error().disposition, Disposition::kTerminal);
    EXPECT_THAT(connection.error().message, HasSubstr(c.says)) << c.yaml;
  }
}

TEST_F(KubeconfigTest, WithoutAnyConfigurationItSaysWhatToDo) {
  env_["HOME"] = directory_.string();
  Result<Connection> connection = Load("");
  ASSERT_FALSE(connection);
  EXPECT_THAT(connection.error().message, HasSubstr("--kubeconfig"));
}

}  // namespace
}  // namespace cutover::kube
