// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/finalizer.h"

#include <gtest/gtest.h>

#include "tests/unit/kube/fake_client.h"

namespace cutover::kube {
namespace {

constexpr char kOurs[] = "cutover.dev/migration";
const Key kKey{"ns", "a"};

class FinalizerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Json object = NewObject(kConfigMap, kKey);
    object.MutableAt("metadata").Set("finalizers", Json::Array({"other/one"}));
    uid_ = UidOf(*server_.Create({}, Deadline::Never(), kConfigMap, object));
  }
  Json Stored() { return **server_.Get({}, Deadline::Never(), kConfigMap, kKey); }
  Result<Json> Ensure() {
    return EnsureFinalizer({}, Deadline::Never(), server_, kConfigMap, kKey, uid_, kOurs);
  }
  Status Remove() {
    return RemoveFinalizer({}, Deadline::Never(), server_, kConfigMap, kKey, uid_, kOurs);
  }

  FakeClient server_;
  std::string uid_;
};

TEST_F(FinalizerTest, IsAddedBesideOthersOnceAndTakenAwayFromAmongThem) {
  ASSERT_TRUE(Ensure());
  ASSERT_TRUE(Ensure());
  EXPECT_EQ(Stored().At({"metadata", "finalizers"}), Json::Array({"other/one", kOurs}));
  ASSERT_TRUE(Remove());
  ASSERT_TRUE(Remove());
  EXPECT_EQ(Stored().At({"metadata", "finalizers"}), Json::Array({"other/one"}));
}

TEST_F(FinalizerTest, IsNotPutOnAnotherObjectOfTheSameName) {
  uid_ = "another";
  Result<Json> ensured = Ensure();
  ASSERT_FALSE(ensured);
  EXPECT_TRUE(IsConflict(ensured.error()));
  EXPECT_TRUE(Remove()) << "what we knew is gone already";
}

TEST_F(FinalizerTest, IsNotPutOnWhatIsBeingDeleted) {
  Json patch =
      Json::Object({{"metadata", Json::Object({{"deletionTimestamp", "2026-01-01T00:00:00Z"}})}});
  ASSERT_TRUE(server_.Patch({}, Deadline::Never(), kConfigMap, kKey, patch));
  EXPECT_FALSE(Ensure());
}

TEST_F(FinalizerTest, RemovingFromWhatIsGoneIsDone) {
  ASSERT_TRUE(server_.Delete({}, Deadline::Never(), kConfigMap, kKey));
  EXPECT_TRUE(Remove());
}

TEST_F(FinalizerTest, SomebodysWriteInBetweenIsAConflictAndLosesNothing) {
  bool interfered = false;
  server_.fault = [&](FakeClient::When when, const std::string& verb) -> std::optional<Error> {
    if (when != FakeClient::When::kBefore || verb != "patch" || interfered) return std::nullopt;
    interfered = true;
    Json stored = Stored();
    stored.MutableAt("metadata").MutableAt("finalizers").Append("third/one");
    EXPECT_TRUE(server_.Update({}, Deadline::Never(), kConfigMap, stored));
    return std::nullopt;
  };
  Result<Json> ensured = Ensure();
  ASSERT_FALSE(ensured);
  EXPECT_TRUE(IsConflict(ensured.error()));
  ASSERT_TRUE(Ensure());
  EXPECT_EQ(Stored().At({"metadata", "finalizers"}),
            Json::Array({"other/one", "third/one", kOurs}));
}

}  // namespace
}  // namespace cutover::kube
