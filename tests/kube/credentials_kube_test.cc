// SPDX-License-Identifier: Apache-2.0
//
// Credentials that change while the client runs, as the real API server sees them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "operator/base/random.h"
#include "operator/kube/error.h"
#include "tests/kube/informer_world.h"
#include "tests/unit/kube/fake_clock.h"

namespace cutover::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

class CredentialsOnApiServer : public ::testing::Test {
 protected:
  CredentialsOnApiServer() { fs::create_directories(directory_); }
  ~CredentialsOnApiServer() override { fs::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name) << text;
  }
  void Copy(const std::string& from, const std::string& to) const {
    fs::copy_file(pki_ / from, directory_ / to, fs::copy_options::overwrite_existing);
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(pki_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // A client by a kubeconfig beside the files of this test.
  std::unique_ptr<kube::ApiClient> Client(const std::string& user) {
    return ClientOf(MakeConnection({}).transport.url, user);
  }
  std::unique_ptr<kube::ApiClient> ClientOf(const std::string& url, const std::string& user) {
    Write("config",
          "apiVersion: v1\nkind: Config\ncurrent-context: t\n"
          "contexts:\n- {name: t, context: {cluster: t, user: t}}\n"
          "clusters:\n- {name: t, cluster: {server: '" +
              url + "', certificate-authority: ca.crt}}\nusers:\n- name: t\n  user:\n" + user);
    Result<kube::Connection> connection =
        kube::LoadConnection((directory_ / "config").string(), {}, clock_);
    EXPECT_TRUE(connection) << connection.error().message;
    return std::move(*kube::MakeApiClient(*connection));
  }
  // What the server thinks of the client: "" when it may list namespaces.
  static std::string Refusal(kube::ApiClient& client) {
    auto page = client.GetPage({}, Deadline::After(seconds(20)), kube::kNamespace, {}, {});
    return page ? "" : page.error().reason;
  }
  void WritePlugin(const std::string& script) const {
    Write("plugin", "#!/bin/sh\n" + script);
    fs::permissions(directory_ / "plugin", fs::perms::owner_all);
  }
  static std::string ExecUser() {
    return "    exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin,\n"
           "           interactiveMode: Never, provideClusterInfo: true}\n";
  }

  const fs::path directory_ = fs::temp_directory_path() / ("cutover-credentials-" + RandomHex(6));
  const fs::path pki_ = fs::canonical(SharedKubeconfig()).parent_path();
  kube::FakeClock clock_;
};

TEST_F(CredentialsOnApiServer, ARotatedClientCertificateIsUsedFromTheNextReadingOn) {
  Copy("ca.crt", "ca.crt");
  Copy("nobody.crt", "me.crt");
  Copy("nobody.key", "me.key");
  auto client = Client("    {client-certificate: me.crt, client-key: me.key}\n");
  EXPECT_EQ(Refusal(*client), kube::reason::kForbidden);
  Copy("admin.crt", "me.crt");
  clock_.Advance(seconds(61));
  EXPECT_EQ(Refusal(*client), kube::reason::kForbidden)
      << "half of a rotation is no reason to stop";
  Copy("admin.key", "me.key");
  clock_.Advance(seconds(61));
  EXPECT_EQ(Refusal(*client), "");
}

TEST_F(CredentialsOnApiServer, ANewAuthorityIsReadAsSoonAsTheOldOneDoesNotFitTheServer) {
  // A certificate, but not the one that has signed the server's.
  Copy("nobody.crt", "ca.crt");
  Copy("admin.crt", "me.crt");
  Copy("admin.key", "me.key");
  auto client = Client("    {client-certificate: me.crt, client-key: me.key}\n");
  EXPECT_EQ(Refusal(*client), kube::reason::kUnreachable);
  Copy("ca.crt", "ca.crt");
  EXPECT_EQ(Refusal(*client), "");
}

// The same the other way round, as a rotation has it: the file is what it was, and the server comes
// back with a certificate of another authority.
TEST_F(CredentialsOnApiServer, AServerThatComesBackWithANewAuthoritysCertificateIsKnownByANewFile) {
  auto plane = ControlPlane::Start((directory_ / "plane").string());
  ASSERT_TRUE(plane) << plane.error().message;
  const fs::path made = (*plane)->directory();
  auto copy = [&](const char* from, const char* to) {
    fs::copy_file(made / from, directory_ / to, fs::copy_options::overwrite_existing);
  };
  copy("ca.crt", "ca.crt");
  copy("admin.crt", "me.crt");
  copy("admin.key", "me.key");
  auto client =
      ClientOf((*plane)->Url(0), "    {client-certificate: me.crt, client-key: me.key}\n");
  EXPECT_EQ(Refusal(*client), "");
  ASSERT_TRUE((*plane)->ReplaceAuthority());
  (*plane)->KillServer(0);
  Status back = (*plane)->RestartServer(0);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(Refusal(*client), kube::reason::kUnreachable);
  copy("new-ca.crt", "ca.crt");
  EXPECT_EQ(Refusal(*client), "");
}

TEST_F(CredentialsOnApiServer, APluginsTokenIsMadeAnewWhenTheServerRefusesIt) {
  Copy("ca.crt", "ca.crt");
  WritePlugin(
      "cd '" + directory_.string() +
      "'; echo run >>runs; [ $(wc -l <runs) = 1 ] && t=stale || t=" + ControlPlane::kAdminToken +
      "\necho '{\"apiVersion\":\"client.authentication.k8s.io/v1\","
      "\"kind\":\"ExecCredential\",\"status\":{\"token\":\"'$t'\"}}'\n");
  auto client = Client(ExecUser());
  EXPECT_EQ(Refusal(*client), "") << "within the one call";
  EXPECT_EQ(Refusal(*client), "");
  EXPECT_EQ(fs::file_size(directory_ / "runs"), 8u) << "twice, and then from memory";
}

TEST_F(CredentialsOnApiServer, APluginsCertificateIdentifiesTheClient) {
  Copy("ca.crt", "ca.crt");
  Json status = Json::Object(
      {{"clientCertificateData", Read("admin.crt")}, {"clientKeyData", Read("admin.key")}});
  Write("credential", Json::Object({{"apiVersion", "client.authentication.k8s.io/v1"},
                                    {"kind", "ExecCredential"},
                                    {"status", status}})
                          .Dump());
  WritePlugin("cat '" + (directory_ / "credential").string() + "'\n");
  auto client = Client(ExecUser());
  EXPECT_EQ(Refusal(*client), "");
}

}  // namespace
}  // namespace cutover::testing
