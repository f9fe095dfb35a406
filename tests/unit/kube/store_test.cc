// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cutover::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Json Object(const std::string& name, int version, const std::string& uid = "u") {
  Json object = NewObject(kConfigMap, {"ns", name});
  object.MutableAt("metadata").Set("resourceVersion", std::to_string(version));
  object.MutableAt("metadata").Set("uid", uid + name);
  object.MutableAt("metadata").Set("managedFields", Json::Array({"long"}));
  return object;
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    store_.AddHandler([this](Change change, const Key& key, const auto& before, const auto& after) {
      static constexpr char kSigns[] = {'+', '~', '-'};
      seen_.push_back(std::string(1, kSigns[static_cast<int>(change)]) + key.name +
                      (before ? "b" : "") + (after ? "a" : ""));
    });
  }
  std::vector<std::string> TakeSeen() { return std::exchange(seen_, {}); }

  std::vector<std::string> seen_;
  Store<Json> store_{"configmaps", [](const Json& object) -> Result<Json> {
                       if (object["bad"].AsBool()) return TerminalError("Bad", "cannot");
                       return object;
                     }};
};

TEST_F(StoreTest, HasSyncedOnlyAfterAWholeList) {
  store_.Upsert(Object("a", 1));
  EXPECT_FALSE(store_.HasSynced());
  store_.Replace({});
  EXPECT_TRUE(store_.HasSynced());
}

TEST_F(StoreTest, AListDeletesWhatItDoesNotContainAndIsSilentAboutWhatIsKnown) {
  store_.Replace({Object("a", 1), Object("b", 2)});
  EXPECT_THAT(TakeSeen(), ElementsAre("+aa", "+ba"));
  store_.Replace({Object("b", 2), Object("c", 3)});
  EXPECT_THAT(TakeSeen(), ElementsAre("+ca", "-ab"));
  EXPECT_THAT(store_.Keys(), ElementsAre(Key{"ns", "b"}, Key{"ns", "c"}));
}

TEST_F(StoreTest, AnotherObjectOfTheSameNameIsADeletionAndAnAddition) {
  store_.Upsert(Object("a", 1, "first"));
  TakeSeen();
  store_.Upsert(Object("a", 5, "second"));
  EXPECT_THAT(TakeSeen(), ElementsAre("-ab", "+aa"));
}

TEST_F(StoreTest, AddedForAKnownKeyIsAModification) {
  store_.Upsert(Object("a", 1));
  store_.Upsert(Object("a", 2));
  EXPECT_THAT(TakeSeen(), ElementsAre("+aa", "~aba"));
}

TEST_F(StoreTest, AnObjectThatCannotBeDecodedIsAnErrorNotAbsentAndStopsNoOther) {
  Json bad = Object("a", 1);
  bad.Set("bad", true);
  store_.Replace({bad, Object("b", 2)});
  Result<Store<Json>::Pointer> got = store_.Get({"ns", "a"});
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().reason, "Bad");
  EXPECT_THAT(store_.List(), ::testing::SizeIs(1));
  EXPECT_THAT(TakeSeen(), ElementsAre("+a", "+ba"));
  store_.Upsert(Object("a", 3));
  ASSERT_TRUE(store_.Get({"ns", "a"}));
  EXPECT_NE(*store_.Get({"ns", "a"}), nullptr);
}

TEST_F(StoreTest, WhatIsAbsentIsNull) {
  Result<Store<Json>::Pointer> got = store_.Get({"ns", "a"});
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, nullptr);
}

TEST_F(StoreTest, ManagedFieldsAreNotKept) {
  store_.Upsert(Object("a", 1));
  EXPECT_FALSE((**store_.Get({"ns", "a"}))["metadata"].Contains("managedFields"));
}

TEST_F(StoreTest, ListsByNamespace) {
  Json other = Object("a", 1);
  other.MutableAt("metadata").Set("namespace", "elsewhere");
  store_.Replace({other, Object("b", 2)});
  EXPECT_THAT(store_.Keys("elsewhere"), ElementsAre(Key{"elsewhere", "a"}));
  EXPECT_THAT(store_.List("ns"), ::testing::SizeIs(1));
  EXPECT_THAT(store_.List("nowhere"), IsEmpty());
}

TEST_F(StoreTest, AnObjectHeldSurvivesItsDeletion) {
  store_.Upsert(Object("a", 1));
  Store<Json>::Pointer held = *store_.Get({"ns", "a"});
  store_.Remove(Object("a", 2));
  EXPECT_EQ(KeyOf(*held).name, "a");
  EXPECT_EQ(*store_.Get({"ns", "a"}), nullptr);
}

TEST_F(StoreTest, AListObjectByObjectDeletesOnlyAtItsEnd) {
  store_.Replace({Object("a", 1), Object("b", 2)});
  TakeSeen();
  store_.BeginList();
  store_.Listed(Object("c", 3));
  store_.BeginList();  // The first attempt broke off.
  store_.Listed(Object("b", 2));
  EXPECT_THAT(TakeSeen(), ElementsAre("+ca"));
  store_.EndList("4");
  EXPECT_THAT(TakeSeen(), ElementsAre("-ab", "-cb"));
}

TEST(Store, DecodesNothingTwice) {
  int decoded = 0;
  Store<Json> store("configmaps", [&](const Json& object) -> Result<Json> {
    ++decoded;
    return object;
  });
  store.Replace({Object("a", 1), Object("b", 2)});
  store.Replace({Object("a", 1), Object("b", 3)});
  EXPECT_EQ(decoded, 3);
}

TEST_F(StoreTest, IsBehindUntilTheExpectedVersionWasReachedByWhateverEvent) {
  const Key a{"ns", "a"}, b{"ns", "b"};
  store_.BeginList();
  store_.EndList("99");
  store_.Expect(a, "100");
  EXPECT_TRUE(store_.IsBehind(a));
  EXPECT_FALSE(store_.IsBehind(b));
  store_.Upsert(Object("a", 98));
  EXPECT_TRUE(store_.IsBehind(a));
  store_.Reached("101");  // A bookmark: the object may have been deleted meanwhile.
  EXPECT_FALSE(store_.IsBehind(a));
  store_.Expect(a, "101");
  EXPECT_FALSE(store_.IsBehind(a)) << "the watch was faster than the answer";
  store_.Expect(a, "opaque");
  EXPECT_FALSE(store_.IsBehind(a)) << "nothing would ever tell that it was reached";
}

TEST_F(StoreTest, OfWhatWasWrittenBeforeTheServerWentBackInTimeNothingIsExpected) {
  store_.BeginList();
  store_.EndList("100");
  store_.Expect({"ns", "a"}, "110");
  store_.BeginList();
  store_.EndList("90");
  EXPECT_FALSE(store_.IsBehind({"ns", "a"}));
}

// Of some namespaces: each has a watch of its own.
class StoreOfTwoNamespaces : public ::testing::Test {
 protected:
  static Json Object(const char* ns, const char* name, int version) {
    Json object = NewObject(kConfigMap, {ns, name});
    object.MutableAt("metadata").Set("resourceVersion", std::to_string(version));
    return object;
  }
  static void Show(WatchSink& part, std::vector<Json> objects, const char* version) {
    part.BeginList();
    for (Json& object : objects) part.Listed(std::move(object));
    part.EndList(version);
  }

  Store<Json> store_{"configmaps", AsIs, {"acme", "globex"}};
  WatchSink& acme_ = store_.PartOf("acme");
  WatchSink& globex_ = store_.PartOf("globex");
};

TEST_F(StoreOfTwoNamespaces, HasSyncedWhenBothHave) {
  Show(acme_, {}, "5");
  EXPECT_FALSE(store_.HasSynced());
  Show(globex_, {}, "5");
  EXPECT_TRUE(store_.HasSynced());
}

TEST_F(StoreOfTwoNamespaces, AListSaysNothingOfTheOther) {
  Show(globex_, {Object("globex", "b", 3)}, "5");
  Show(acme_, {Object("acme", "a", 2)}, "5");
  Show(acme_, {}, "7");
  EXPECT_THAT(store_.Keys(), ElementsAre(Key{"globex", "b"}));
}

TEST_F(StoreOfTwoNamespaces, AWriteIsWaitedForInItsOwn) {
  Show(acme_, {}, "5");
  Show(globex_, {}, "5");
  store_.Expect({"acme", "a"}, "6");
  globex_.Reached("9");
  EXPECT_TRUE(store_.IsBehind({"acme", "a"}));
  acme_.Reached("9");
  EXPECT_FALSE(store_.IsBehind({"acme", "a"}));
}

}  // namespace
}  // namespace cutover::kube
