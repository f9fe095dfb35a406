// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "reconcilers/wiring/base64.h"
#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/endpoints.h"
#include "reconcilers/wiring/uri.h"
#include "tests/unit/kube/fake_client.h"

namespace cutover::wiring {
namespace {

TEST(Base64, RoundTripsBytesOfAnyLength) {
  std::string bytes;
  for (int length = 0; length < 260; ++length) {
    Result<std::string> decoded = DecodeBase64(EncodeBase64(bytes));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, bytes);
    bytes += static_cast<char>(length * 7);
  }
  EXPECT_EQ(EncodeBase64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(EncodeBase64("fo"), "Zm8=");
}

TEST(Base64, RefusesWhatIsNone) {
  for (const char* text : {"a", "ab", "abc", "a===", "====", "ab=c", "ab==ab==", "a\nbc"})
    EXPECT_FALSE(DecodeBase64(text)) << text;
}

struct UriCase {
  const char* before;
  const char* after;  // Pointed at target:5433 with password "n/w".
};

TEST(Uri, OnlyHostPortAndPasswordChange) {
  for (const UriCase& c :
       {UriCase{"postgresql://u:p@source:5432/db?sslmode=require",
                "postgresql://u:n%2Fw@target:5433/db?sslmode=require"},
        UriCase{"postgres://u@source/db", "postgres://u:n%2Fw@target:5433/db"},
        UriCase{"postgresql+psycopg2://u:p%40x@[::1]:1/d#f",
                "postgresql+psycopg2://u:n%2Fw@target:5433/d#f"},
        UriCase{"postgresql://u:p@one:1,two:2/db", "postgresql://u:n%2Fw@target:5433/db"}}) {
    Result<std::string> edited = EditUri(c.before, {"target", 5433}, "n/w");
    ASSERT_TRUE(edited) << c.before;
    EXPECT_EQ(*edited, c.after);
  }
}

TEST(Uri, WithoutAPasswordTheOldOneStays) {
  EXPECT_EQ(*EditUri("postgresql://u:p@source/db", {"2001:db8::1", 5432}, std::nullopt),
            "postgresql://u:p@[2001:db8::1]/db");
  EXPECT_EQ(*EditUri("postgresql://u:p@source:5432/db", {"t", 5432}, std::nullopt),
            "postgresql://u:p@t:5432/db");
}

TEST(Uri, ReadsTheOnePlaceThatItNames) {
  EXPECT_EQ(ReadUri("postgresql://u:p@h:6432/db"), (UriEndpoint{"h", 6432}));
  EXPECT_EQ(ReadUri("postgresql://h"), (UriEndpoint{"h", 5432}));
  EXPECT_EQ(ReadUri("postgresql://u@[::1]/db"), (UriEndpoint{"::1", 5432}));
  for (const char* text : {"", "h:5432", "mysql://h/db", "postgresql://a,b/db", "postgresql:///db",
                           "postgresql://h:x/db", "postgresql://h/db?host=other"})
    EXPECT_FALSE(ReadUri(text)) << text;
}

TEST(Uri, ARefusalDoesNotRepeatThePassword) {
  Result<std::string> edited = EditUri("mysql://u:hunter2@h/db", {"t", 1}, std::nullopt);
  ASSERT_FALSE(edited);
  EXPECT_EQ(edited.error().message.find("hunter2"), std::string::npos);
}

TEST(HostPort, ReadsWhatItWrites) {
  for (const HostPort& place :
       {HostPort{"pg.db.svc", 5432}, HostPort{"10.0.0.1", 1}, HostPort{"2001:db8::1", 65535}}) {
    Result<HostPort> parsed = ParseHostPort(place.ToString());
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, place);
  }
  for (const char* text : {"", "host", "host:", ":5432", "host:54x"})
    EXPECT_FALSE(ParseHostPort(text)) << text;
}

TEST(SameHost, KnowsTheNamesOfAService) {
  for (const char* name : {"pg", "PG.tenant", "pg.tenant.svc", "pg.tenant.svc.cluster.local",
                           "pg.tenant.svc.cluster.local."})
    EXPECT_TRUE(SameHost("pg.tenant.svc", name, "tenant")) << name;
  for (const char* name : {"pg2", "pg.other", "pg.tenant.example.com", "", "10.0.0.1"})
    EXPECT_FALSE(SameHost("pg.tenant.svc", name, "tenant")) << name;
  EXPECT_TRUE(SameHost("10.0.0.1", "10.0.0.1", "tenant"));
  EXPECT_FALSE(SameHost("10.0.0.1", "10.0.0.2", "tenant"));
  EXPECT_FALSE(SameHost("", "", "tenant"));
}

TEST(MergePatch, SaysWhatToAddChangeAndRemove) {
  const Json before = *Json::Parse(R"({"a":1,"b":{"c":2,"d":[1,2]},"e":5})");
  const Json after = *Json::Parse(R"({"a":1,"b":{"c":3,"d":[1]},"f":6})");
  std::optional<Json> patch = MergePatchBetween(before, after);
  ASSERT_TRUE(patch);
  EXPECT_EQ(*patch, *Json::Parse(R"({"b":{"c":3,"d":[1]},"f":6,"e":null})"));
  EXPECT_FALSE(MergePatchBetween(after, after));
}

class EditingAnObject : public ::testing::Test {
 protected:
  void SetUp() override {
    Json object = kube::NewObject(kube::kConfigMap, key_);
    object.Set("data", Json::Object({{"count", "0"}}));
    ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kConfigMap, object, {}));
  }
  Result<bool> Add() {
    return EditObject({}, Deadline::Never(), client_, kube::kConfigMap, key_, [](Json& object) {
      const int count = std::stoi(object["data"]["count"].AsString()) + 1;
      object.MutableAt("data").Set("count", std::to_string(count));
      return Ok();
    });
  }
  std::string Count() {
    return (**client_.Get({}, Deadline::Never(), kube::kConfigMap, key_))["data"]["count"]
        .AsString();
  }

  const kube::Key key_{"ns", "a"};
  kube::FakeClient client_;
};

TEST_F(EditingAnObject, GivesUpAfterABoundedNumberOfConflicts) {
  int patches = 0;
  client_.fault = [&](kube::FakeClient::When when,
                      const std::string& verb) -> std::optional<Error> {
    if (when != kube::FakeClient::When::kBefore || verb != "patch") return std::nullopt;
    ++patches;
    return Error{Disposition::kRetry, kube::reason::kConflict, "changed"};
  };
  Result<bool> edited = Add();
  ASSERT_FALSE(edited);
  EXPECT_TRUE(kube::IsConflict(edited.error()));
  EXPECT_EQ(patches, kEditAttemptsMax);
  EXPECT_EQ(Count(), "0");
}

TEST_F(EditingAnObject, LooksAgainWhenInDoubtAndDoesNotRepeatWhatHappened) {
  bool lost = false;
  client_.fault = [&](kube::FakeClient::When when,
                      const std::string& verb) -> std::optional<Error> {
    if (when != kube::FakeClient::When::kAfter || verb != "patch" || lost) return std::nullopt;
    lost = true;
    return Error{Disposition::kInDoubt, "Unreachable", "no answer"};
  };
  // An edit that says what shall be, as all of ours do, finds it done at the second look.
  Result<bool> edited =
      EditObject({}, Deadline::Never(), client_, kube::kConfigMap, key_, [](Json& object) {
        object.MutableAt("data").Set("count", "7");
        return Ok();
      });
  ASSERT_TRUE(edited) << edited.error().message;
  EXPECT_TRUE(lost);
  EXPECT_EQ(Count(), "7");
}

TEST_F(EditingAnObject, FailedReadIsNotAbsence) {
  client_.fault = [](kube::FakeClient::When, const std::string& verb) -> std::optional<Error> {
    if (verb != "get") return std::nullopt;
    return Error{Disposition::kRetry, kube::reason::kForbidden, "no"};
  };
  EXPECT_FALSE(Add());
  client_.fault = nullptr;
  Result<bool> absent = EditObject({}, Deadline::Never(), client_, kube::kConfigMap, {"ns", "b"},
                                   [](Json&) { return Ok(); });
  ASSERT_TRUE(absent);
  EXPECT_FALSE(*absent);
}

}  // namespace
}  // namespace cutover::wiring
