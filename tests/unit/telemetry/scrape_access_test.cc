// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/scrape_access.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <vector>

namespace cutover::telemetry {
namespace {

using std::chrono::seconds;

Deadline Soon() { return Deadline::After(seconds(60)); }

// An API server that answers reviews in the order in which a test gives the answers.
class ReviewClient final : public kube::Client {
 public:
  struct Review {
    std::string kind;
    Json spec;
  };

  void WillAnswer(const char* status) {
    answers_.push_back(Json::Object({{"status", *Json::Parse(status)}}));
  }
  void WillFail(Error error) { answers_.push_back(tl::make_unexpected(std::move(error))); }
  const std::vector<Review>& asked() const { return asked_; }

  Result<Json> Create(std::stop_token, Deadline, const kube::Resource& resource, const Json& object,
                      const kube::WriteOptions&) override {
    EXPECT_EQ(object["kind"].StringRef(), resource.kind);
    asked_.push_back({object["kind"].AsString(), object["spec"]});
    if (answers_.empty()) return TerminalError("Unexpected", "nobody was to be asked");
    Result<Json> answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
  }

  // Nothing else is asked.
  Result<std::optional<Json>> Get(std::stop_token, Deadline, const kube::Resource&,
                                  const kube::Key&) override {
    return Unused();
  }
  Result<kube::ListPage> GetPage(std::stop_token, Deadline, const kube::Resource&,
                                 const kube::ListOptions&, const kube::PageRequest&) override {
    return Unused();
  }
  Result<Json> Update(std::stop_token, Deadline, const kube::Resource&, const Json&,
                      const kube::WriteOptions&) override {
    return Unused();
  }
  Result<Json> Patch(std::stop_token, Deadline, const kube::Resource&, const kube::Key&,
                     const Json&, const kube::PatchOptions&) override {
    return Unused();
  }
  Status Delete(std::stop_token, Deadline, const kube::Resource&, const kube::Key&,
                const kube::DeleteOptions&) override {
    return Unused();
  }
  Status Watch(std::stop_token, const kube::Resource&, const kube::WatchOptions&,
               const std::function<void(kube::WatchEvent)>&) override {
    return Unused();
  }

 private:
  static tl::unexpected<Error> Unused() {
    ADD_FAILURE() << "asked for something else";
    return TerminalError("Unused", "");
  }

  std::deque<Result<Json>> answers_;
  std::vector<Review> asked_;
};

constexpr char kPrometheus[] = R"({"authenticated":true,"user":{
    "username":"system:serviceaccount:m:prometheus","uid":"1","groups":["system:serviceaccounts"],
    "extra":{"a.example/b":["c"]}}})";

TEST(BearerToken, IsWhatFollowsTheSchemeInAnyCase) {
  for (const char* text : {"Bearer abc", "bearer abc", "BEARER  abc"})
    EXPECT_EQ(BearerToken(text), "abc") << text;
}

TEST(BearerToken, IsNothingForWhatSaysSomethingElse) {
  for (const char* text : {"", "Bearer", "Bearer ", "Bearer   ", "Basic abc", "Digest abc",
                           "Bearerabc", "abc", "Bearer abc def", " Bearer abc"})
    EXPECT_EQ(BearerToken(text), "") << text;
}

TEST(AskApiServer, AllowsWhomItKnowsAndLetsReadMetrics) {
  ReviewClient client;
  client.WillAnswer(kPrometheus);
  client.WillAnswer(R"({"allowed":true})");
  EXPECT_EQ(*AskApiServer({}, Soon(), client, "secret"), Access::kAllowed);

  ASSERT_EQ(client.asked().size(), 2u);
  EXPECT_EQ(client.asked()[0].kind, "TokenReview");
  EXPECT_EQ(client.asked()[0].spec, *Json::Parse(R"({"token":"secret"})"));
  EXPECT_EQ(client.asked()[1].kind, "SubjectAccessReview");
  // All that the first review says of the user: rights may hang on each of it.
  EXPECT_EQ(client.asked()[1].spec, *Json::Parse(R"({
      "user":"system:serviceaccount:m:prometheus","uid":"1","groups":["system:serviceaccounts"],
      "extra":{"a.example/b":["c"]},
      "nonResourceAttributes":{"path":"/metrics","verb":"get"}})"));
}

TEST(AskApiServer, AllowsNobodyWithoutAPlainYes) {
  struct Case {
    const char* reason;
    const char* who;
    const char* may;
    Access expected;
  };
  for (const Case& c : std::vector<Case>{
           {"invalid", R"({"user":{},"error":"[invalid bearer token]"})", nullptr,
            Access::kUnknownToken},
           {"not authenticated", R"({"authenticated":false,"user":{"username":"u"}})", nullptr,
            Access::kUnknownToken},
           {"not a bool", R"({"authenticated":"true","user":{"username":"u"}})", nullptr,
            Access::kUnknownToken},
           {"nameless", R"({"authenticated":true,"user":{"groups":["g"]}})", nullptr,
            Access::kUnknownToken},
           {"nothing said", "{}", nullptr, Access::kUnknownToken},
           {"not allowed", kPrometheus, R"({"allowed":false})", Access::kForbidden},
           {"in doubt", kPrometheus, R"({"allowed":false,"evaluationError":"no such role"})",
            Access::kForbidden},
           {"nothing said of rights", kPrometheus, "{}", Access::kForbidden}}) {
    ReviewClient client;
    client.WillAnswer(c.who);
    if (c.may) client.WillAnswer(c.may);
    auto access = AskApiServer({}, Soon(), client, "secret");
    ASSERT_TRUE(access) << c.reason;
    EXPECT_EQ(*access, c.expected) << c.reason;
  }
}

TEST(AskApiServer, FailsWhenEitherReviewDoes) {
  const Error forbidden{Disposition::kRetry, kube::reason::kForbidden, "may not create", {}};
  ReviewClient first, second;
  first.WillFail(forbidden);
  EXPECT_FALSE(AskApiServer({}, Soon(), first, "secret"));
  second.WillAnswer(kPrometheus);
  second.WillFail(forbidden);
  EXPECT_FALSE(AskApiServer({}, Soon(), second, "secret"));
}

TEST(AskApiServer, AsksAgainWhenTheConnectionWasGoneAndOnlyThen) {
  const Error gone{Disposition::kInDoubt, kube::reason::kUnreachable, "broken pipe", {}};
  const Error late{Disposition::kInDoubt, kube::reason::kTimeout, "too late", {}};
  ReviewClient client;
  client.WillFail(gone);
  client.WillFail(gone);
  client.WillAnswer(kPrometheus);
  client.WillFail(gone);
  client.WillAnswer(R"({"allowed":true})");
  EXPECT_EQ(*AskApiServer({}, Soon(), client, "secret"), Access::kAllowed);

  ReviewClient away;
  for (int i = 0; i < 10; ++i) away.WillFail(gone);
  EXPECT_FALSE(AskApiServer({}, Soon(), away, "secret"));
  EXPECT_EQ(away.asked().size(), 3u);

  ReviewClient slow;
  for (int i = 0; i < 10; ++i) slow.WillFail(late);
  EXPECT_FALSE(AskApiServer({}, Soon(), slow, "secret"));
  EXPECT_EQ(slow.asked().size(), 1u);
}

TEST(AccessCache, KeepsAYesForAMinuteAndANoForTenSeconds) {
  const SteadyTime now{};
  AccessCache cache;
  cache.Put("good", Access::kAllowed, now);
  cache.Put("poor", Access::kForbidden, now);
  cache.Put("bad", Access::kUnknownToken, now);
  const auto at = [&](int second, const char* token) {
    return cache.Find(token, now + seconds(second));
  };
  EXPECT_EQ(at(59, "good"), Access::kAllowed);
  EXPECT_EQ(at(60, "good"), std::nullopt);
  EXPECT_EQ(at(9, "poor"), Access::kForbidden);
  EXPECT_EQ(at(10, "poor"), std::nullopt);
  EXPECT_EQ(at(9, "bad"), Access::kUnknownToken);
  EXPECT_EQ(at(10, "bad"), std::nullopt);
  EXPECT_EQ(at(0, "never seen"), std::nullopt);
}

TEST(AccessCache, BelievesTheLatestAnswer) {
  const SteadyTime now{};
  AccessCache cache;
  cache.Put("token", Access::kAllowed, now);
  cache.Put("token", Access::kForbidden, now + seconds(30));
  EXPECT_EQ(cache.Find("token", now + seconds(31)), Access::kForbidden);
  EXPECT_EQ(cache.Find("token", now + seconds(41)), std::nullopt);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(AccessCache, IsBoundedAndLosesNoGoodTokenToAFloodOfBadOnes) {
  const SteadyTime now{};
  AccessCache cache(8);
  cache.Put("good", Access::kAllowed, now);
  // By then the good one is over sooner than what comes.
  for (int i = 0; i < 1000; ++i)
    cache.Put("bad-" + std::to_string(i), Access::kUnknownToken, now + seconds(55));
  EXPECT_EQ(cache.size(), 8u);
  EXPECT_EQ(cache.Find("good", now + seconds(55)), Access::kAllowed);
  EXPECT_EQ(cache.Find("bad-999", now + seconds(55)), Access::kUnknownToken);
}

TEST(AccessCache, MakesRoomOfWhatIsOverBeforeAnythingElse) {
  const SteadyTime now{};
  AccessCache cache(2);
  cache.Put("over", Access::kAllowed, now);
  cache.Put("bad", Access::kUnknownToken, now + seconds(55));
  cache.Put("new", Access::kAllowed, now + seconds(60));
  EXPECT_EQ(cache.Find("bad", now + seconds(60)), Access::kUnknownToken);
  EXPECT_EQ(cache.Find("new", now + seconds(60)), Access::kAllowed);
}

}  // namespace
}  // namespace cutover::telemetry
