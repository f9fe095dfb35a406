// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "operator/base/random.h"
#include "operator/kube/exec_credential.h"
#include "tests/unit/kube/fake_clock.h"

namespace cutover::kube {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() : directory_(std::filesystem::temp_directory_path() / ("cr-" + RandomHex(8))) {
    std::filesystem::create_directories(directory_);
  }
  ~CredentialsTest() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& text) {
    std::string path = directory_ / name;
    std::ofstream(path) << text;
    return path;
  }

  FakeClock clock_;
  const std::filesystem::path directory_;
};

TEST_F(CredentialsTest, CertificatesAreReadAgainEveryMinuteAndAfterARefusal) {
  FileTls::Files files{Write("ca", "ca1"), Write("crt", "crt1"), Write("key", "key1")};
  FileTls tls(files, {"ca1", "crt1", "key1"}, clock_);
  Write("ca", "ca2");
  EXPECT_EQ(tls.Current()->ca_pem, "ca1");
  clock_.Advance(std::chrono::minutes(1));
  EXPECT_EQ(tls.Current()->ca_pem, "ca2");
  Write("crt", "crt2");
  Write("key", "key2");
  tls.Invalidate();
  EXPECT_EQ(*tls.Current(), (TlsIdentity{"ca2", "crt2", "key2"}));
}

TEST_F(CredentialsTest, WhileOneFileIsMissingAllCertificatesStayAsTheyWere) {
  FileTls::Files files{"", Write("crt", "crt1"), Write("key", "key1")};
  FileTls tls(files, {"inline", "crt1", "key1"}, clock_);
  Write("crt", "crt2");
  std::filesystem::remove(directory_ / "key");
  tls.Invalidate();
  EXPECT_EQ(*tls.Current(), (TlsIdentity{"inline", "crt1", "key1"}));
  Write("key", "key2");
  EXPECT_EQ(*tls.Current(), (TlsIdentity{"inline", "crt2", "key2"}));
}

class ExecCredentialTest : public CredentialsTest {
 protected:
  // A plugin that counts its runs, keeps what it was told, and prints `output` (shell expands it).
  ExecPlugin Plugin(const std::string& output, const std::string& before = "") {
    std::string script = Write("plugin", "#!/bin/sh\ncd '" + directory_.string() +
                                             "'\necho run >>runs\n"
                                             "echo \"$KUBERNETES_EXEC_INFO\" >info\n"
                                             "echo \"$ADDED $*\" >told\n" +
                                             before + "\ncat <<END\n" + output + "\nEND\n");
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    ExecPlugin plugin;
    plugin.api_version = "client.authentication.k8s.io/v1";
    plugin.command = script;
    plugin.interactive = ExecPlugin::Interactive::kNever;
    plugin.install_hint = "install it from the shelf";
    return plugin;
  }
  static std::string Credential(const Json& status) {
    return Json::Object({{"apiVersion", "client.authentication.k8s.io/v1"},
                         {"kind", "ExecCredential"},
                         {"status", status}})
        .Dump();
  }
  void ExpectFailure(const ExecPlugin& plugin, const char* says) {
    Result<std::string> token = ExecCredential(plugin, nullptr, clock_).Token();
    ASSERT_FALSE(token) << says;
    EXPECT_EQ(token.error().disposition, Disposition::kRetry);
    EXPECT_THAT(token.error().message, HasSubstr(says));
    EXPECT_THAT(token.error().message, HasSubstr("install it from the shelf"));
    EXPECT_THAT(token.error().message, Not(HasSubstr("secret")));
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(directory_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  long Runs() const {
    std::string runs = Read("runs");
    return std::count(runs.begin(), runs.end(), '\n');
  }
};

TEST_F(ExecCredentialTest, ATokenIsKeptUntilItExpires) {
  std::string expires = FormatTime(clock_.WallNow() + std::chrono::minutes(10));
  Json status = Json::Object({{"token", "t$(wc -l <runs)"}, {"expirationTimestamp", expires}});
  ExecCredential credential(Plugin(Credential(status)), nullptr, clock_);
  EXPECT_EQ(*credential.Token(), "t1");
  clock_.Advance(std::chrono::seconds(589));
  EXPECT_EQ(*credential.Token(), "t1");
  clock_.Advance(std::chrono::seconds(2));
  EXPECT_EQ(*credential.Token(), "t2") << "some seconds before its end, for the way to the server";
}

TEST_F(ExecCredentialTest, WithoutAnExpiryATokenIsKeptUntilTheServerRefusesIt) {
  Json status = Json::Object({{"token", "t$(wc -l <runs)"}});
  ExecCredential credential(Plugin(Credential(status)), nullptr, clock_);
  EXPECT_EQ(*credential.Token(), "t1");
  clock_.Advance(std::chrono::hours(1000));
  EXPECT_EQ(*credential.Token(), "t1");
  credential.Invalidate("another");
  EXPECT_EQ(*credential.Token(), "t1") << "the refusal of an older one says nothing about this";
  credential.Invalidate("t1");
  EXPECT_EQ(*credential.Token(), "t2");
}

TEST_F(ExecCredentialTest, ThePluginIsToldWhatTheProtocolSays) {
  ExecPlugin plugin = Plugin(Credential(Json::Object({{"token", "t"}})));
  plugin.arguments = {"get-token", "--cluster=a b"};
  plugin.environment = {{"ADDED", "yes"}};
  plugin.cluster = Json::Object({{"server", "https://h:1"}});
  ASSERT_TRUE(ExecCredential(plugin, nullptr, clock_).Token());
  EXPECT_EQ(Read("told"), "yes get-token --cluster=a b\n");
  Result<Json> info = Json::Parse(Read("info"));
  ASSERT_TRUE(info);
  EXPECT_EQ(*info, *Json::Parse(R"({"apiVersion":"client.authentication.k8s.io/v1",
      "kind":"ExecCredential","spec":{"interactive":false,"cluster":{"server":"https://h:1"}}})"));
}

TEST_F(ExecCredentialTest, ACertificateComesWithTheAuthorityThatIsConfigured) {
  auto authority = std::make_shared<FileTls>(FileTls::Files{}, TlsIdentity{"ca", "", ""}, clock_);
  Json status =
      Json::Object({{"clientCertificateData", "crt$(wc -l <runs)"}, {"clientKeyData", "key"}});
  ExecCredential credential(Plugin(Credential(status)), authority, clock_);
  EXPECT_EQ(*credential.Current(), (TlsIdentity{"ca", "crt1", "key"}));
  EXPECT_EQ(*credential.Token(), "");
  EXPECT_EQ(Runs(), 1);
  static_cast<TlsSource&>(credential).Invalidate();
  EXPECT_EQ(credential.Current()->certificate_pem, "crt2");
}

TEST_F(ExecCredentialTest, WhatGoesWrongIsSaidWithTheInstallHintAndWithoutSecrets) {
  struct Case {
    std::string output;
    std::string before;  // Shell, before the output.
    const char* says;
  };
  for (const Case& c : {
           Case{"", "exit 3", "exit code 3"},
           Case{"", "kill -9 $$", "killed"},
           Case{"secret", "", "no ExecCredential"},
           Case{Credential(Json::Object()), "", "neither"},
           Case{Credential(Json::Object({{"clientKeyData", "secret"}})), "", "without the other"},
           Case{Credential(Json::Object({{"token", "secret"}, {"expirationTimestamp", "soon"}})),
                "", "no time"},
           Case{R"({"apiVersion":"v9","kind":"ExecCredential","status":{}})", "", "'v9'"},
       })
    ExpectFailure(Plugin(c.output, c.before), c.says);
}

TEST_F(ExecCredentialTest, AProgramThatIsMissingOrMustAskIsSaidToBe) {
  ExecPlugin plugin = Plugin("");
  plugin.interactive = ExecPlugin::Interactive::kAlways;
  if (!isatty(STDIN_FILENO)) ExpectFailure(plugin, "terminal");
  plugin.interactive = ExecPlugin::Interactive::kNever;
  plugin.command = "no-such-plugin-anywhere";
  ExpectFailure(plugin, "No such file");
}

}  // namespace
}  // namespace cutover::kube
