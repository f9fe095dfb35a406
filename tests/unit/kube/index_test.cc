// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace cutover::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Json Object(const std::string& name, int version, const std::string& owner,
            const std::string& uid = "u") {
  Json object = NewObject(kConfigMap, {"ns", name});
  object.MutableAt("metadata").Set("resourceVersion", std::to_string(version));
  object.MutableAt("metadata").Set("uid", uid + name);
  object.Set("owner", owner);
  return object;
}

class IndexTest : public ::testing::Test {
 protected:
  std::vector<std::string> Of(const char* owner) {
    std::vector<std::string> names;
    for (const auto& object : index_.Find({"ns", owner})) names.push_back(KeyOf(*object).name);
    return names;
  }

  int asked_ = 0;
  Store<Json> store_{"configmaps", [](const Json& object) -> Result<Json> {
                       if (object["bad"].AsBool()) return TerminalError("Bad", "cannot");
                       return object;
                     }};
  Index<Json> index_{store_, [this](const Json& object) -> std::optional<Key> {
                       ++asked_;
                       const std::string& owner = object["owner"].StringRef();
                       if (owner.empty()) return std::nullopt;
                       return Key{"ns", owner};
                     }};
};

TEST_F(IndexTest, FindsTheObjectsThatNameAKeyAndNoOthers) {
  store_.Replace(
      {Object("b", 1, "x"), Object("a", 2, "x"), Object("c", 3, "y"), Object("d", 4, "")});
  EXPECT_THAT(Of("x"), ElementsAre("a", "b"));
  EXPECT_THAT(Of("y"), ElementsAre("c"));
  EXPECT_THAT(Of("z"), IsEmpty());
}

TEST_F(IndexTest, FollowsAnObjectFromOneKeyToAnotherAndToNone) {
  store_.Replace({Object("a", 1, "x")});
  store_.Upsert(Object("a", 2, "y"));
  EXPECT_THAT(Of("x"), IsEmpty());
  EXPECT_THAT(Of("y"), ElementsAre("a"));
  EXPECT_EQ(ResourceVersionOf(*index_.Find({"ns", "y"}).front()), "2");
  store_.Upsert(Object("a", 3, ""));
  EXPECT_THAT(Of("y"), IsEmpty());
}

TEST_F(IndexTest, ForgetsWhatIsDeletedReplacedOrNoLongerDecodable) {
  store_.Replace({Object("a", 1, "x"), Object("b", 2, "x"), Object("c", 3, "x")});
  store_.Remove(Object("a", 4, "x"));
  store_.Upsert(Object("b", 5, "y", "another"));
  Json bad = Object("c", 6, "x");
  bad.Set("bad", true);
  store_.Upsert(std::move(bad));
  EXPECT_THAT(Of("x"), IsEmpty());
  EXPECT_THAT(Of("y"), ElementsAre("b"));
  store_.Upsert(Object("c", 7, "x"));
  EXPECT_THAT(Of("x"), ElementsAre("c"));
}

TEST_F(IndexTest, ALaterHandlerOfTheStoreFindsItCurrent) {
  std::vector<std::string> found;
  store_.AddHandler([&](Change, const Key&, const auto&, const auto&) { found = Of("x"); });
  store_.Upsert(Object("a", 1, "x"));
  EXPECT_THAT(found, ElementsAre("a"));
}

TEST_F(IndexTest, ALookAsksNoObjectWhatItNames) {
  store_.Replace({Object("a", 1, "x"), Object("b", 2, "y")});
  const int asked = asked_;
  Of("x");
  EXPECT_EQ(asked_, asked);
}

}  // namespace
}  // namespace cutover::kube
