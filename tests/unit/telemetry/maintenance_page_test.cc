// SPDX-License-Identifier: Apache-2.0
#include "operator/maintenance_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/base/json.h"
#include "tests/unit/telemetry/raw_http_client.h"

namespace cutover {
namespace {

using telemetry::HttpRequest;
using telemetry::HttpResponse;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

HttpRequest Ask(const std::string& accept) { return {"GET", "/web", {{"accept", accept}}}; }

TEST(MaintenancePage, TellsEveryClientToComeBackAndNothingToKeepIt) {
  for (const char* method : {"GET", "HEAD", "POST", "PUT", "DELETE"}) {
    const HttpResponse answer = AnswerMaintenance({"T", "M", 90}, {method, "/any/path", {}});
    EXPECT_EQ(answer.status, 503) << method;
    EXPECT_THAT(answer.headers, testing::Contains(Pair("Retry-After", "90")));
    EXPECT_THAT(answer.headers, testing::Contains(Pair("Cache-Control", "no-store")));
  }
}

TEST(MaintenancePage, ShowsTitleAndMessageAsTextNotAsMarkup) {
  const std::string html = RenderMaintenanceHtml(
      {"<script>alert('x')</script>", "a & b \"quoted\" </p><img src=x>", 60});
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
  EXPECT_THAT(html, HasSubstr("a &amp; b &quot;quoted&quot; &lt;/p&gt;&lt;img src=x&gt;"));
}

TEST(MaintenancePage, IsSelfContainedAndUsableByEverybody) {
  const std::string html = RenderMaintenanceHtml(MaintenancePage{});
  for (const char* external : {"http://", "https://", "src=", "url(", "@import", "<link"})
    EXPECT_THAT(html, Not(HasSubstr(external)));
  for (const char* wanted :
       {"<!doctype html>", "<html lang=", "charset=\"utf-8\"", "name=\"viewport\"", "<title>",
        "<main>", "<h1>", "prefers-color-scheme:dark", "prefers-reduced-motion", "aria-hidden"})
    EXPECT_THAT(html, HasSubstr(wanted));
  EXPECT_LT(html.size(), 4096u);
}

TEST(MaintenancePage, AnswersInJsonToClientsThatPreferIt) {
  const HttpResponse answer = AnswerMaintenance({"T\"", "M\n", 7}, Ask("application/json"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.content_type, "application/json");
  const auto body = Json::Parse(answer.body);
  ASSERT_TRUE(body);
  EXPECT_EQ((*body)["title"].AsString(), "T\"");
  EXPECT_EQ((*body)["message"].AsString(), "M\n");
  EXPECT_EQ((*body)["retryAfterSeconds"].AsInt(), 7);
}

TEST(MaintenancePage, RanksMediaTypesAsTheClientDoes) {
  struct Case {
    const char* accept;
    bool json;
    const char* reason;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"", false, "nothing said"},
           {"*/*", false, "anything: a person, or a program that does not care"},
           {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false, "a browser"},
           {"application/json", true, "JSON alone"},
           {"application/json, text/javascript, */*; q=0.01", true, "jQuery"},
           {"application/json;q=0.5, text/html", false, "HTML first"},
           {"text/html;q=0.1, application/json;q=0.2", true, "JSON first by quality"},
           {"APPLICATION/JSON", true, "types know no case"},
           {"application/*", true, "the kind of JSON"},
           {"application/json;q=0, */*", false, "JSON refused"},
           {";;,=,q=", false, "noise"}})
    EXPECT_EQ(PrefersJson(c.accept), c.json) << c.reason;
}

TEST(MaintenancePage, AnswersOnlyItsOwnHealthPathWith200) {
  telemetry::HttpServerOptions options = MaintenanceServerOptions({}, {"127.0.0.1", 0});
  auto server = telemetry::HttpServer::Start(std::move(options));
  ASSERT_TRUE(server);
  const uint16_t port = (*server)->port();
  EXPECT_EQ(StatusOf(Get(port, kMaintenanceHealthPath)), 200);
  for (const char* path : {"/", "/healthz", "/web/login", "/-/cutover/healthz/x"})
    EXPECT_EQ(StatusOf(Get(port, path)), 503) << path;
}

TEST(MaintenancePage, StopsServingWhenAsked) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(ServeMaintenancePage(stop.get_token(), {}, {"127.0.0.1", 0}));
}

TEST(MaintenancePage, SaysWhyItCannotServe) {
  const auto status = ServeMaintenancePage({}, {}, {"203.0.113.1", 0});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "AddressUnavailable");
}

}  // namespace
}  // namespace cutover
