// SPDX-License-Identifier: Apache-2.0
#include "cli/view/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/cli/golden.h"
#include "tests/unit/cli/scenes.h"

namespace cutover::cli {
namespace {

using api::Phase;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace cutover::cli::testing;

ReportFacts Facts(Phase phase) {
  api::TenantMigration migration = Typical(phase);
  migration.meta.annotations[api::kApproveAnnotation] = "2026-11-21T03:01:00Z by alice 9f3a";
  migration.status.handled.approve = "2026-11-21T03:01:00Z by alice 9f3a";
  ReportFacts facts;
  facts.seen = Seen(migration);
  facts.object = ObjectOf(migration);
  facts.object.MutableAt("metadata")
      .Set("managedFields", Json::Array({Json::Object({{"manager", "kubectl-cutover"},
                                                       {"operation", "Update"},
                                                       {"time", "2026-11-21T03:01:00Z"}})}));
  facts.events = Json::Array({Json::Object({{"eventTime", "2026-11-21T03:02:00.000001Z"},
                                            {"reason", "PhaseChanged"},
                                            {"action", "Copying"},
                                            {"note", "<b>loud</b> & clear"}}),
                              Json::Object({{"eventTime", "2026-11-21T03:01:00.000001Z"},
                                            {"reason", "CommandHandled"},
                                            {"action", "Approve"}})});
  facts.made_by = "alice";
  facts.plugin_version = "0.1.0";
  return facts;
}

std::string Between(const std::string& text, const std::string& from, const std::string& to) {
  const size_t begin = text.find(from) + from.size();
  return text.substr(begin, text.find(to, begin) - begin);
}

// A copy that slows down, and, Online, a target that catches up and a source that follows back.
std::vector<api::Sample> Samples(const api::TenantMigration& migration) {
  std::vector<api::Sample> samples;
  for (const api::Stage& stage : migration.status.stages) {
    for (int second = 0; second <= 8; second += 2) {
      const WallTime time = *stage.started_at + std::chrono::seconds(second);
      if (stage.name == "Copying")
        samples.push_back({time, second * (90 - 4 * second) * 1'000'000, {}});
      if (stage.name == "CatchingUp") samples.push_back({time, {}, (9 - second) * 4'000'000});
      if (stage.name == "Hypercare" && migration.spec.online())
        samples.push_back({time, {}, second * 90'000});
    }
  }
  return samples;
}

TEST(Report, CarriesTheSamplesOfTheStatus) {
  api::TenantMigration migration = Typical(Phase::kCompleted);
  migration.status.samples = Samples(migration);
  ReportFacts facts = Facts(Phase::kCompleted);
  facts.seen = Seen(migration);
  const Json report = ReportDocument(facts)["report"];
  ASSERT_EQ(report["samples"].Size(), 5u);
  EXPECT_EQ(report["samples"][size_t{1}]["copiedBytes"].AsInt(), 164'000'000);
  EXPECT_FALSE(report["samples"][size_t{1}].Contains("lagBytes"));
}

TEST(Report, OfAnOnlineMoveReadsAsItsGoldenFile) {
  api::TenantMigration migration = OnlineInHypercare();
  migration.status.samples = Samples(migration);
  ReportFacts facts = Facts(Phase::kHypercare);
  facts.seen = Seen(migration);
  EXPECT_EQ(CompareWithGolden("report-Hypercare.html", RenderReportPage(ReportDocument(facts))),
            "");
}

TEST(Report, ReadsAsItsGoldenFiles) {
  api::TenantMigration migration = Typical(Phase::kCompleted);
  ReportFacts facts = Facts(Phase::kCompleted);
  facts.seen.migration.samples = Samples(migration);
  const Json document = ReportDocument(facts);
  EXPECT_EQ(CompareWithGolden("report.html", RenderReportPage(document)), "");
  EXPECT_EQ(CompareWithGolden("report.json", document.DumpPretty() + "\n"), "");
  const Json failed = ReportDocument(Facts(Phase::kRolledBack));
  EXPECT_EQ(CompareWithGolden("report-RolledBack.html", RenderReportPage(failed)), "");
}

TEST(Report, ThePageCarriesTheDataThatItsSumIsOf) {
  const Json document = ReportDocument(Facts(Phase::kCompleted));
  const std::string page = RenderReportPage(document);
  const std::string carried =
      Between(page, "<script type=\"application/json\" id=\"report\">", "</script>");
  EXPECT_EQ(Sha256(carried), document["sha256"].AsString());
  EXPECT_EQ(*Json::Parse(carried), document["report"]);
}

TEST(Report, OneChangedByteChangesTheSum) {
  ReportFacts facts = Facts(Phase::kCompleted);
  const std::string before = ReportDocument(facts)["sha256"].AsString();
  facts.seen.migration.verification.rows -= 1;
  EXPECT_NE(ReportDocument(facts)["sha256"].AsString(), before);
}

TEST(Report, NothingThatAStatusQuotesBecomesMarkup) {
  ReportFacts facts = Facts(Phase::kCompleted);
  facts.seen.migration.message = "</script><img src=x onerror=alert(1)>";
  const std::string page = RenderReportPage(ReportDocument(facts));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;loud&lt;/b&gt; &amp; clear"));
}

TEST(Report, EventsThatMayNotBeReadAreCalledUnknown) {
  ReportFacts facts = Facts(Phase::kCompleted);
  facts.events = RetryError("Forbidden", "events are not for you");
  const Json report = ReportDocument(facts)["report"];
  EXPECT_EQ(report["eventsUnknown"].AsString(), "events are not for you");
  EXPECT_FALSE(report.Contains("events"));
}

TEST(Report, EventsComeInTheOrderOfTime) {
  const Json report = ReportDocument(Facts(Phase::kCompleted))["report"];
  EXPECT_EQ(report["events"][size_t{0}]["reason"].AsString(), "CommandHandled");
}

TEST(Sha256, IsTheStandards) {
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace cutover::cli
