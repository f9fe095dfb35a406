// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/checks/http_check.h"

#include <gtest/gtest.h>

#include "tests/unit/migration/fake_web.h"

namespace cutover::migration {
namespace {

Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }

TEST(HttpUrl, IsTakenApart) {
  struct {
    const char* url;
    const char* origin;
    const char* target;
  } cases[] = {
      {"http://odoo.acme.svc:8069/web/login?x=1", "http://odoo.acme.svc:8069", "/web/login?x=1"},
      {"http://odoo.acme.svc", "http://odoo.acme.svc", "/"},
      {"HTTP://odoo.acme.svc?x=1", "http://odoo.acme.svc", "/?x=1"},
      {"http://odoo.acme.svc/a#part", "http://odoo.acme.svc", "/a"},
      {"http://odoo.acme.svc#part", "http://odoo.acme.svc", "/"},
  };
  for (const auto& c : cases) {
    auto parsed = ParseHttpUrl(c.url);
    ASSERT_TRUE(parsed) << c.url;
    EXPECT_EQ(parsed->origin, c.origin);
    EXPECT_EQ(parsed->target, c.target);
  }
}

TEST(HttpUrl, RefusesWhatIsNotPlainHttp) {
  for (const char* url : {"https://odoo.acme.svc/", "odoo.acme.svc", "http://", "http:///x",
                          "http://user:secret@odoo.acme.svc/", "ftp://odoo.acme.svc/"}) {
    auto parsed = ParseHttpUrl(url);
    ASSERT_FALSE(parsed) << url;
    EXPECT_EQ(parsed.error().reason, "InvalidUrl");
  }
}

TEST(HttpCheck, AsksOnlyServicesOfTheTenantsNamespace) {
  for (const char* url :
       {"http://odoo.acme.svc/", "http://odoo.acme.svc:8069/x", "http://odoo.acme.svc./",
        "http://odoo.acme.svc.cluster.local/", "http://odoo-0.odoo.acme.svc/",
        "http://odoo.acme.svc.cluster.local.:80/"})
    EXPECT_TRUE(AsksOwnNamespace(url, "acme")) << url;
  for (const char* url :
       {"http://odoo.other.svc/", "http://odoo/", "http://169.254.169.254/latest",
        "http://acme.svc/", "http://svc/", "http://example.org/", "http://acme.other.svc/",
        "http://odoo.acme.example.org/", "http://kubernetes.default.svc/acme.svc",
        "http://odoo.acme.svc.example.org/", "http://odoo.acme.svc.cluster.local.example.org/",
        "http://evil.acme/"}) {
    Status own = AsksOwnNamespace(url, "acme");
    ASSERT_FALSE(own) << url;
    EXPECT_EQ(own.error().reason, "CheckOutsideNamespace") << url;
  }
}

TEST(HttpCheck, SendsTheHostThatUsersWouldSend) {
  testing::FakeWeb web;
  web.pages["http://odoo.acme.svc/web/login"] = {200, {}, "<h1>Log in</h1>"};
  api::HttpCheck check;
  check.url = "http://odoo.acme.svc/web/login";
  check.host = "acme.example.test";
  check.expected_text = "Log in";
  EXPECT_TRUE(RunHttpCheck({}, Soon(), web.Connect(), check));
  ASSERT_EQ(web.requests.size(), 1u);
  EXPECT_EQ(web.requests[0].method, kube::Method::kGet);
  EXPECT_EQ(web.requests[0].headers, (kube::Headers{{"Host", "acme.example.test"}}));
}

TEST(HttpCheck, SaysWhatCameInstead) {
  api::HttpCheck check;
  check.url = "http://odoo.acme.svc/web/login";
  check.expected_text = "Log in";
  auto says = [&check](const kube::Response& response) {
    Status status = Judge(check, response);
    return status ? "fine" : status.error().message;
  };
  EXPECT_EQ(says({200, {}, "please Log in here"}), "fine");
  EXPECT_EQ(says({502, {}, "<h1>Bad\n  Gateway</h1>"}),
            "GET http://odoo.acme.svc/web/login answered 502 instead of 200, with \"<h1>Bad "
            "Gateway</h1>\"");
  EXPECT_EQ(says({303, {{"location", "/web/database/selector"}}, ""}),
            "GET http://odoo.acme.svc/web/login answered 303 instead of 200, with a redirect to "
            "/web/database/selector");
  EXPECT_EQ(says({200, {}, "something else"}),
            "GET http://odoo.acme.svc/web/login answered 200 without the text \"Log in\", with "
            "\"something else\"");
  EXPECT_EQ(says({200, {}, ""}),
            "GET http://odoo.acme.svc/web/login answered 200 without the text \"Log in\", with "
            "nothing");
}

TEST(HttpCheck, AnUnreachableWorkloadFailsWithTheUrl) {
  testing::FakeWeb web;
  web.down = true;
  api::HttpCheck check;
  check.url = "http://odoo.acme.svc/";
  Status status = RunHttpCheck({}, Soon(), web.Connect(), check);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "GET http://odoo.acme.svc/: connection refused");
}

TEST(Excerpt, IsOneBoundedLineOfValidText) {
  EXPECT_EQ(Excerpt("  a\r\n\t b\x01 c  "), "a b c");
  EXPECT_EQ(Excerpt("caf\xC3\xA9 \xFF\xC3"), "caf\xC3\xA9 ??");
  EXPECT_EQ(Excerpt(std::string(500, 'x')).size(), 120u);
  std::string accents;
  for (int i = 0; i < 200; ++i) accents += "\xC3\xA9";
  std::string cut = Excerpt(accents);
  EXPECT_LE(cut.size(), 120u);
  EXPECT_EQ(Excerpt(cut), cut) << "cut within a character";
  EXPECT_EQ(Excerpt(" \n "), "");
}

}  // namespace
}  // namespace cutover::migration
