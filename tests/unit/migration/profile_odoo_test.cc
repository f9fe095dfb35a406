// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "reconcilers/migration/profiles/profile.h"
#include "tests/unit/migration/fake_web.h"

namespace cutover::migration {
namespace {

using api::CheckWhen;

constexpr char kSha1OfHello[] = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";

Json Attachment(const char* checksum, bool is_public) {
  return Json::Object(
      {{"storeFname", "aa/x"}, {"checksum", checksum}, {"bytes", 5}, {"public", is_public}});
}

/// The pages of Odoo's checks, with a workload in memory.
class OdooPages : public ::testing::Test {
 protected:
  OdooPages() {
    context_.namespace_name = "acme";
    context_.http = web_.Connect();
    context_.backends =
        std::vector<wiring::RouteBackend>{{"acme.example.test", "/websocket", "odoo-bus", 8072},
                                          {"acme.example.test", "/", "odoo", 80}};
    web_.pages[Url("/web/login")] = {200, {}, "<link href=\"/web/assets/1/ab/web.min.css\"/>"};
    web_.pages[Url("/web/assets/1/ab/web.min.css")] = {200, {}, "a {}"};
  }

  static std::string Url(const std::string& path) { return "http://odoo.acme.svc:80" + path; }

  Result<std::string> Run(const std::string& name, Json attachments = Json::Object()) {
    Json baseline = Json::Object({{"attachments", std::move(attachments)}});
    for (const BuiltinCheck& check : ProfileOf(api::ProfileType::kOdoo).Checks(baseline))
      if (check.name == name)
        return check.run({}, Deadline::After(std::chrono::seconds(60)), context_);
    return TerminalError("NoSuchCheck", name);
  }

  testing::FakeWeb web_;
  CheckContext context_;
};

TEST_F(OdooPages, NumbersThatUsersChangeAreComparedOnlyWhileTheyAreOut) {
  std::vector<std::string> out;
  for (const BuiltinCheck& check : ProfileOf(api::ProfileType::kOdoo).Checks(Json()))
    if (check.needs_users_out) out.push_back(check.name);
  EXPECT_EQ(out, std::vector<std::string>({"profile/figures", "profile/attachments"}));
}

TEST_F(OdooPages, TheLoginPageIsAskedPastTheRouteUnderTheUsersName) {
  auto passed = Run("profile/login-page");
  ASSERT_TRUE(passed) << passed.error().message;
  ASSERT_EQ(web_.requests.size(), 1u);
  EXPECT_EQ(web_.requests[0].headers, (kube::Headers{{"Host", "acme.example.test"}}));
}

TEST_F(OdooPages, ALoginPageThatRedirectsToTheDatabaseSelectorFails) {
  web_.pages[Url("/web/login")] = {303, {{"Location", "/web/database/selector"}}, ""};
  auto failed = Run("profile/login-page");
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("/web/database/selector"), std::string::npos);
}

TEST_F(OdooPages, WithoutARouteNoPageIsAskedFor) {
  context_.backends = std::vector<wiring::RouteBackend>();
  EXPECT_TRUE(Run("profile/login-page"));
  EXPECT_TRUE(web_.requests.empty());
  context_.backends = Error{Disposition::kRetry, "Unreachable", "API server down"};
  EXPECT_FALSE(Run("profile/login-page")) << "unknown is not absent";
}

TEST_F(OdooPages, AnAssetBundleIsFoundAsEachVersionLinksIt) {
  for (const std::string path :
       {"/web/assets/1/ab/web.min.css", "/web/assets/123-ab/1/web.assets_frontend.min.js",
        "/web/content/238-ab/web.assets_common.0.css"}) {
    web_.pages[Url("/web/login")] = {
        200, {}, "<img src='/web/content/7'/><script src=\"" + path + "\"></script>"};
    EXPECT_FALSE(path != "/web/assets/1/ab/web.min.css" && Run("profile/asset-bundle")) << path;
    web_.pages[Url(path)] = {200, {}, "x"};
    auto passed = Run("profile/asset-bundle");
    ASSERT_TRUE(passed) << passed.error().message;
    EXPECT_EQ(*passed, path + " is served");
  }
}

TEST_F(OdooPages, AnAssetBundleThatIsMissingOrEmptyFails) {
  web_.pages[Url("/web/assets/1/ab/web.min.css")] = {200, {}, ""};
  EXPECT_FALSE(Run("profile/asset-bundle"));
  web_.pages.erase(Url("/web/assets/1/ab/web.min.css"));
  EXPECT_FALSE(Run("profile/asset-bundle"));
  web_.pages[Url("/web/login")] = {200, {}, "<h1>unstyled</h1>"};
  EXPECT_FALSE(Run("profile/asset-bundle"));
}

TEST_F(OdooPages, AnAttachmentMustBeServedWithItsOwnBytes) {
  Json attachments = Json::Object({{"12", Attachment(kSha1OfHello, true)}});
  EXPECT_FALSE(Run("profile/attachment-served", attachments));
  web_.pages[Url("/web/content/12")] = {200, {}, "jello"};
  auto wrong = Run("profile/attachment-served", attachments);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().reason, "AttachmentDiffers");
  web_.pages[Url("/web/content/12")] = {200, {}, "hello"};
  EXPECT_TRUE(Run("profile/attachment-served", attachments));
}

TEST_F(OdooPages, OneServedAttachmentIsEnoughSinceTenantsComeWithMissingFiles) {
  Json attachments = Json::Object({{"12", Attachment(kSha1OfHello, true)},
                                   {"13", Attachment(kSha1OfHello, true)},
                                   {"14", Attachment(kSha1OfHello, false)}});
  web_.pages[Url("/web/content/13")] = {200, {}, "hello"};
  EXPECT_EQ(Run("profile/attachment-served", attachments).value(), "attachment 13 is served");
}

TEST_F(OdooPages, APrivateAttachmentIsNotAskedFor) {
  EXPECT_TRUE(
      Run("profile/attachment-served", Json::Object({{"14", Attachment(kSha1OfHello, false)}})));
  EXPECT_TRUE(web_.requests.empty());
}

TEST_F(OdooPages, AWebServerThatSendsTheFileItselfIsBelieved) {
  web_.pages[Url("/web/content/12")] = {200, {{"X-Accel-Redirect", "/web/filestore/x"}}, ""};
  EXPECT_TRUE(
      Run("profile/attachment-served", Json::Object({{"12", Attachment(kSha1OfHello, true)}})));
}

TEST(OdooProfile, WatchesOnDuringHypercareWithoutWhatUsersChange) {
  std::vector<std::string> names;
  for (const BuiltinCheck& check : ProfileOf(api::ProfileType::kOdoo).Checks(Json()))
    for (CheckWhen when : check.when)
      if (when == CheckWhen::kHypercare) names.push_back(check.name);
  EXPECT_EQ(names, (std::vector<std::string>{"profile/login-page", "profile/source-idle",
                                             "profile/target-in-use"}));
}

}  // namespace
}  // namespace cutover::migration
