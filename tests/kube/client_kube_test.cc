// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "operator/base/random.h"
#include "operator/kube/credentials.h"
#include "operator/kube/finalizer.h"
#include "operator/kube/kubeconfig.h"
#include "operator/kube/metadata.h"
#include "tests/kube/api_server.h"

namespace cutover::kube {
namespace {

using cutover::testing::ControlPlane;
using std::chrono::seconds;

class ClientOnApiServer : public ::testing::Test {
 protected:
  static Deadline Soon() { return Deadline::After(seconds(30)); }
  Json ConfigMap(const std::string& name, const std::string& value = "1") {
    Json object = NewObject(kConfigMap, {ns_, name});
    object.Set("data", Json::Object({{"key", value}}));
    return object;
  }
  Json Stored(const std::string& name) {
    return **client_->Get({}, Soon(), kConfigMap, {ns_, name});
  }
  std::string Data(const std::string& name, const char* key) {
    return Stored(name)["data"][key].AsString("(absent)");
  }

  std::unique_ptr<ApiClient> client_ = cutover::testing::MakeClient();
  std::string ns_ = cutover::testing::MakeNamespace(*client_);
};

TEST_F(ClientOnApiServer, AnObjectIsCreatedReadReplacedAndDeleted) {
  Result<Json> created = client_->Create({}, Soon(), kConfigMap, ConfigMap("a"));
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_FALSE(UidOf(*created).empty());
  Json changed = Stored("a");
  changed.MutableAt("data").Set("key", "2");
  ASSERT_TRUE(client_->Update({}, Soon(), kConfigMap, changed));
  EXPECT_EQ(Data("a", "key"), "2");
  ASSERT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}));
  Result<std::optional<Json>> gone = client_->Get({}, Soon(), kConfigMap, {ns_, "a"});
  ASSERT_TRUE(gone);
  EXPECT_FALSE(*gone);
  EXPECT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}));
}

TEST_F(ClientOnApiServer, ErrorsAreTyped) {
  ASSERT_TRUE(client_->Create({}, Soon(), kConfigMap, ConfigMap("a")));
  Result<Json> again = client_->Create({}, Soon(), kConfigMap, ConfigMap("a"));
  ASSERT_FALSE(again);
  EXPECT_TRUE(IsAlreadyExists(again.error()));

  Json stale = Stored("a");
  Json changed = stale;
  changed.MutableAt("data").Set("key", "2");
  ASSERT_TRUE(client_->Update({}, Soon(), kConfigMap, changed));
  Result<Json> conflict = client_->Update({}, Soon(), kConfigMap, stale);
  ASSERT_FALSE(conflict);
  EXPECT_TRUE(IsConflict(conflict.error()));

  Json nonsense = ConfigMap("b");
  nonsense.MutableAt("metadata").Set("name", "Not_A_Name");
  Result<Json> invalid = client_->Create({}, Soon(), kConfigMap, nonsense);
  ASSERT_FALSE(invalid);
  EXPECT_TRUE(IsInvalid(invalid.error()));
  EXPECT_EQ(invalid.error().disposition, Disposition::kTerminal);

  Result<Json> absent = client_->Update({}, Soon(), kConfigMap, ConfigMap("c"));
  ASSERT_FALSE(absent);
  EXPECT_TRUE(IsNotFound(absent.error()));
}

TEST_F(ClientOnApiServer, MergeAndJsonPatchesChangeOnlyWhatTheyName) {
  ASSERT_TRUE(client_->Create({}, Soon(), kConfigMap, ConfigMap("a")));
  Json merge = Json::Object({{"data", Json::Object({{"more", "x"}})}});
  ASSERT_TRUE(client_->Patch({}, Soon(), kConfigMap, {ns_, "a"}, merge));
  Json test_then_replace =
      Json::Array({Json::Object({{"op", "test"}, {"path", "/data/more"}, {"value", "x"}}),
                   Json::Object({{"op", "replace"}, {"path", "/data/more"}, {"value", "y"}})});
  PatchOptions options;
  options.type = PatchType::kJsonPatch;
  ASSERT_TRUE(client_->Patch({}, Soon(), kConfigMap, {ns_, "a"}, test_then_replace, options));
  EXPECT_EQ(Data("a", "key"), "1");
  EXPECT_EQ(Data("a", "more"), "y");
  EXPECT_FALSE(client_->Patch({}, Soon(), kConfigMap, {ns_, "a"}, test_then_replace, options))
      << "its test no longer holds";
}

TEST_F(ClientOnApiServer, APatchWithAVersionIsConditional) {
  ASSERT_TRUE(client_->Create({}, Soon(), kConfigMap, ConfigMap("a")));
  std::string old_version = ResourceVersionOf(Stored("a"));
  Json patch = Json::Object({{"metadata", Json::Object({{"resourceVersion", old_version}})},
                             {"data", Json::Object({{"key", "2"}})}});
  ASSERT_TRUE(client_->Patch({}, Soon(), kConfigMap, {ns_, "a"}, patch));
  patch.MutableAt("data").Set("key", "3");
  Result<Json> second = client_->Patch({}, Soon(), kConfigMap, {ns_, "a"}, patch);
  ASSERT_FALSE(second);
  EXPECT_TRUE(IsConflict(second.error()));
}

TEST_F(ClientOnApiServer, ApplyOwnsFieldsAndRemovesThoseItLeavesOut) {
  Json both = ConfigMap("a", "ours");
  both.MutableAt("data").Set("second", "ours too");
  ASSERT_TRUE(client_->Apply({}, Soon(), kConfigMap, both));
  // Another manager adds a field and takes one over.
  Json theirs = Json::Object({{"data", Json::Object({{"key", "theirs"}, {"third", "theirs"}})}});
  PatchOptions as_other;
  as_other.field_manager = "kubectl-edit";
  ASSERT_TRUE(client_->Patch({}, Soon(), kConfigMap, {ns_, "a"}, theirs, as_other));

  PatchOptions without_force;
  without_force.type = PatchType::kApply;
  Result<Json> refused =
      client_->Patch({}, Soon(), kConfigMap, {ns_, "a"}, ConfigMap("a", "ours"), without_force);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(IsConflict(refused.error()));

  ASSERT_TRUE(client_->Apply({}, Soon(), kConfigMap, ConfigMap("a", "ours again")));
  EXPECT_EQ(Data("a", "key"), "ours again");
  EXPECT_EQ(Data("a", "second"), "(absent)") << "owned before, left out now";
  EXPECT_EQ(Data("a", "third"), "theirs") << "never ours";
}

TEST_F(ClientOnApiServer, ApplyingTheSameTwiceChangesNothing) {
  ASSERT_TRUE(client_->Apply({}, Soon(), kConfigMap, ConfigMap("a")));
  std::string version = ResourceVersionOf(Stored("a"));
  ASSERT_TRUE(client_->Apply({}, Soon(), kConfigMap, ConfigMap("a")));
  EXPECT_EQ(ResourceVersionOf(Stored("a")), version);
}

TEST_F(ClientOnApiServer, StatusIsAppliedThroughItsSubresourceToThatVeryObject) {
  Json pvc = NewObject(kPersistentVolumeClaim, {ns_, "files"});
  pvc.Set("spec", *Json::Parse(R"({"accessModes":["ReadWriteOnce"],
                                   "resources":{"requests":{"storage":"1Gi"}}})"));
  Result<Json> created = client_->Create({}, Soon(), kPersistentVolumeClaim, pvc);
  ASSERT_TRUE(created) << created.error().message;
  Json status = Json::Object({{"capacity", Json::Object({{"storage", "1Gi"}})}});
  Key key{ns_, "files"};
  Result<Json> applied =
      client_->ApplyStatus({}, Soon(), kPersistentVolumeClaim, key, status, UidOf(*created));
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ((*applied)["status"]["capacity"]["storage"].StringRef(), "1Gi");
  Result<Json> other = client_->ApplyStatus({}, Soon(), kPersistentVolumeClaim, key, status,
                                            "11111111-2222-3333-4444-555555555555");
  ASSERT_FALSE(other);
  EXPECT_TRUE(IsConflict(other.error())) << other.error().reason;
}

TEST_F(ClientOnApiServer, ADryRunLeavesNothing) {
  WriteOptions options;
  options.dry_run = true;
  ASSERT_TRUE(client_->Create({}, Soon(), kConfigMap, ConfigMap("a"), options));
  EXPECT_FALSE(*client_->Get({}, Soon(), kConfigMap, {ns_, "a"}));
}

TEST_F(ClientOnApiServer, ADeletionMeantForAnotherObjectIsRefused) {
  ASSERT_TRUE(client_->Create({}, Soon(), kConfigMap, ConfigMap("a")));
  DeleteOptions options;
  options.uid = "11111111-2222-3333-4444-555555555555";
  Status refused = client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}, options);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(IsConflict(refused.error()));
  options.uid = UidOf(Stored("a"));
  options.resource_version = "1";
  EXPECT_FALSE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}, options));
  options.resource_version = ResourceVersionOf(Stored("a"));
  EXPECT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}, options));
}

TEST_F(ClientOnApiServer, AListIsWholeThoughItComesInPages) {
  constexpr int kObjects = 620;
  for (int i = 0; i < kObjects; ++i) {
    Result<Json> created =
        client_->Create({}, Soon(), kConfigMap, ConfigMap("m" + std::to_string(i)));
    ASSERT_TRUE(created) << created.error().message;
  }
  Result<ObjectList> list = client_->List({}, Soon(), kConfigMap, {.ns = ns_});
  ASSERT_TRUE(list) << list.error().message;
  std::set<Key> keys;
  for (const Json& object : list->items) keys.insert(KeyOf(object));
  EXPECT_EQ(keys.size(), static_cast<size_t>(kObjects));
  EXPECT_EQ(list->items.size(), static_cast<size_t>(kObjects));
  EXPECT_EQ(list->items[0]["kind"].StringRef(), "ConfigMap");
  Result<ListPage> first = client_->GetPage({}, Soon(), kConfigMap, {.ns = ns_}, {});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->list.items.size(), 500u);
  EXPECT_FALSE(first->next.empty());
}

TEST_F(ClientOnApiServer, SelectorsSelect) {
  Json labelled = ConfigMap("a");
  labelled.MutableAt("metadata").Set("labels", Json::Object({{"app", "x"}, {"tier", "db"}}));
  ASSERT_TRUE(client_->Create({}, Soon(), kConfigMap, labelled));
  ASSERT_TRUE(client_->Create({}, Soon(), kConfigMap, ConfigMap("b")));
  auto count = [&](const std::string& labels, const std::string& fields) {
    return client_
        ->List({}, Soon(), kConfigMap,
               {.ns = ns_, .label_selector = labels, .field_selector = fields})
        ->items.size();
  };
  EXPECT_EQ(count("app in (x,y),tier=db", ""), 1u);
  EXPECT_EQ(count("app=y", ""), 0u);
  EXPECT_EQ(count("", "metadata.name=b"), 1u);
}

TEST_F(ClientOnApiServer, AFinalizerHoldsADeletedObjectUntilItIsRemoved) {
  Result<Json> created = client_->Create({}, Soon(), kConfigMap, ConfigMap("a"));
  ASSERT_TRUE(created);
  const Key key{ns_, "a"};
  const std::string uid = UidOf(*created), ours = "cutover.dev/test", theirs = "cutover.dev/other";
  for (const std::string& finalizer : {ours, theirs})
    ASSERT_TRUE(EnsureFinalizer({}, Soon(), *client_, kConfigMap, key, uid, finalizer));
  ASSERT_TRUE(client_->Delete({}, Soon(), kConfigMap, key));
  ASSERT_TRUE(IsDeleting(Stored("a")));
  EXPECT_FALSE(EnsureFinalizer({}, Soon(), *client_, kConfigMap, key, uid, "cutover.dev/late"));
  ASSERT_TRUE(RemoveFinalizer({}, Soon(), *client_, kConfigMap, key, uid, theirs));
  EXPECT_TRUE(HasFinalizer(Stored("a"), ours));
  ASSERT_TRUE(RemoveFinalizer({}, Soon(), *client_, kConfigMap, key, uid, ours));
  EXPECT_FALSE(*client_->Get({}, Soon(), kConfigMap, key));
  EXPECT_TRUE(RemoveFinalizer({}, Soon(), *client_, kConfigMap, key, uid, ours));
}

// Parts of a connection to the shared server, to be someone else on it.
// With certificates that stay as they are set here, instead of following their files.
Connection SharedConnection() {
  Connection connection = *LoadConnection(cutover::testing::SharedKubeconfig());
  connection.transport.tls_source = nullptr;
  return connection;
}

TEST_F(ClientOnApiServer, WhatARoleDoesNotAllowIsForbiddenAndNotAbsent) {
  std::filesystem::path directory =
      std::filesystem::canonical(cutover::testing::SharedKubeconfig()).parent_path();
  auto read = [&](const std::string& name) {
    std::ifstream file(directory / name);
    return std::string{std::istreambuf_iterator<char>(file), {}};
  };
  Connection connection = SharedConnection();
  connection.transport.certificate_pem = read("nobody.crt");
  connection.transport.key_pem = read("nobody.key");
  std::unique_ptr<ApiClient> nobody = *MakeApiClient(connection);
  Result<std::optional<Json>> got = nobody->Get({}, Soon(), kConfigMap, {ns_, "a"});
  ASSERT_FALSE(got);
  EXPECT_TRUE(IsForbidden(got.error())) << got.error().reason;
  EXPECT_EQ(got.error().disposition, Disposition::kRetry);
}

TEST_F(ClientOnApiServer, ARotatedTokenIsReadAgainWhenTheOldOneIsRefused) {
  std::string path = (std::filesystem::temp_directory_path() / ("token-" + RandomHex(6))).string();
  auto write = [&](const std::string& token) { std::ofstream(path) << token; };
  Connection connection = SharedConnection();
  connection.transport.certificate_pem.clear();
  connection.transport.key_pem.clear();
  connection.token = std::make_shared<FileToken>(path);
  std::unique_ptr<ApiClient> client = *MakeApiClient(connection);

  write("a-token-that-has-expired");
  Result<std::optional<Json>> refused = client->Get({}, Soon(), kConfigMap, {ns_, "a"});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(IsUnauthorized(refused.error()));

  write("another-token-that-has-expired");
  EXPECT_FALSE(client->Get({}, Soon(), kConfigMap, {ns_, "a"}));
  write(ControlPlane::kAdminToken);  // Well within the minute for which a token is kept.
  Result<std::optional<Json>> accepted = client->Get({}, Soon(), kConfigMap, {ns_, "a"});
  EXPECT_TRUE(accepted) << accepted.error().message;
  std::filesystem::remove(path);
}

TEST_F(ClientOnApiServer, AStrangersCertificateIsNotTrusted) {
  Connection connection = SharedConnection();
  connection.transport.ca_pem = connection.transport.certificate_pem;
  std::unique_ptr<ApiClient> client = *MakeApiClient(connection);
  Result<Json> created = client->Create({}, Soon(), kConfigMap, ConfigMap("a"));
  ASSERT_FALSE(created);
  EXPECT_TRUE(IsUnreachable(created.error()));
  EXPECT_EQ(created.error().disposition, Disposition::kRetry) << "nothing can have been written";
  EXPECT_NE(created.error().message.find("TLS"), std::string::npos) << created.error().message;
}

TEST_F(ClientOnApiServer, ANameThatIsNotInTheCertificateIsNotTrusted) {
  Connection connection = SharedConnection();
  connection.transport.tls_server_name = "somebody.else";
  EXPECT_FALSE((*MakeApiClient(connection))->Get({}, Soon(), kConfigMap, {ns_, "a"}));
  // The common name, which old clients fall back to, is no proof either.
  connection.transport.tls_server_name = "kube-apiserver";
  EXPECT_FALSE((*MakeApiClient(connection))->Get({}, Soon(), kConfigMap, {ns_, "a"}));
  connection.transport.tls_server_name = "localhost";
  Result<std::optional<Json>> got =
      (*MakeApiClient(connection))->Get({}, Soon(), kConfigMap, {ns_, "a"});
  EXPECT_TRUE(got) << got.error().message;
}

// What a smoke check of a tenant's page goes by: no authority given means the machine's.
TEST_F(ClientOnApiServer, WithoutAnAuthorityTheMachinesOwnAreTrusted) {
  Connection connection = SharedConnection();
  connection.transport.ca_pem.clear();
  Result<std::optional<Json>> stranger =
      (*MakeApiClient(connection))->Get({}, Soon(), kConfigMap, {ns_, "a"});
  ASSERT_FALSE(stranger);
  EXPECT_NE(stranger.error().message.find("TLS"), std::string::npos) << stranger.error().message;

  const std::filesystem::path kubeconfig = cutover::testing::SharedKubeconfig();
  const auto machines = std::filesystem::canonical(kubeconfig).parent_path() / "ca.crt";
  setenv("SSL_CERT_FILE", machines.c_str(), 1);
  Result<std::optional<Json>> got =
      (*MakeApiClient(connection))->Get({}, Soon(), kConfigMap, {ns_, "a"});
  unsetenv("SSL_CERT_FILE");
  EXPECT_TRUE(got) << got.error().message;
}

}  // namespace
}  // namespace cutover::kube
