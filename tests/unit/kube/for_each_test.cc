// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/for_each.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "operator/kube/error.h"
#include "operator/kube/metadata.h"
#include "tests/unit/kube/fake_transport.h"

namespace cutover::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class ForEachTest : public ::testing::Test {
 protected:
  static std::string Page(const std::string& name, const std::string& next) {
    return R"({"metadata":{"resourceVersion":"7","continue":")" + next +
           R"("},"items":[{"metadata":{"name":")" + name + R"("}}]})";
  }
  Status Run() {
    return ForEach({}, Deadline::After(std::chrono::seconds(60)), client_, kConfigMap, {.ns = "ns"},
                   [this](const Json& object) {
                     names_.push_back(KeyOf(object).name);
                     asked_by_then_.push_back(transport_->requests.size());
                   });
  }

  FakeTransport* transport_ = new FakeTransport;
  ApiClient client_{std::unique_ptr<Transport>(transport_)};
  std::vector<std::string> names_;
  std::vector<size_t> asked_by_then_;
};

TEST_F(ForEachTest, APageIsHandedOnBeforeTheNextIsAskedFor) {
  transport_->script = {
      {.body = Page("a", "x")}, {.body = Page("b", "y")}, {.body = Page("c", "")}};
  ASSERT_TRUE(Run());
  EXPECT_THAT(names_, ElementsAre("a", "b", "c"));
  EXPECT_THAT(asked_by_then_, ElementsAre(1, 2, 3));
  EXPECT_THAT(transport_->requests[1].target, HasSubstr("continue=x"));
}

TEST_F(ForEachTest, BeginsAgainWhenTheStateExpiresBetweenPagesButNotForEver) {
  transport_->script = {{.body = Page("a", "x")}, {.status = 410}, {.body = Page("a", "")}};
  ASSERT_TRUE(Run());
  EXPECT_THAT(names_, ElementsAre("a", "a"));
  names_.clear();
  for (int i = 0; i < 10; ++i) {
    transport_->script.push_back({.body = Page("a", "x")});
    transport_->script.push_back({.status = 410});
  }
  const Status outcome = Run();
  ASSERT_FALSE(outcome);
  EXPECT_TRUE(IsGone(outcome.error()));
  EXPECT_THAT(names_, SizeIs(4));
}

TEST_F(ForEachTest, ALaterPageThatCannotBeReadIsAnErrorAndNoShorterList) {
  transport_->script = {{.body = Page("a", "x")}, {.status = 403}};
  EXPECT_FALSE(Run());
}

}  // namespace
}  // namespace cutover::kube
