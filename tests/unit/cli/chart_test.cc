// SPDX-License-Identifier: Apache-2.0
#include "cli/view/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cli/view/report.h"
#include "tests/unit/cli/scenes.h"

namespace cutover::cli {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace cutover::cli::testing;

Json At(int second) { return Json(FormatTime(Night() + seconds(second))); }

Json Copied(int second, int64_t bytes) {
  return Json::Object({{"time", At(second)}, {"copiedBytes", bytes}});
}

Json Lag(int second, int64_t bytes) {
  return Json::Object({{"time", At(second)}, {"lagBytes", bytes}});
}

Json Report(std::vector<Json> samples) {
  return Json::Object({{"migration", Json::Object({{"strategy", "Online"}})},
                       {"moments", Json::Object({{"journaledAt", At(100)}})},
                       {"samples", Json::ArrayOf(std::move(samples))}});
}

/// The curve of the chart with that title, as a path; empty where there is none.
std::string CurveOf(const std::string& id, const std::string& page) {
  const size_t chart = page.find("id=\"" + id + "-title\"");
  if (chart == std::string::npos) return "";
  const std::string before = "class=\"curve\" d=\"";
  const size_t begin = page.find(before, chart) + before.size();
  return page.substr(begin, page.find('"', begin) - begin);
}

TEST(Chart, OfThroughputStandsAtTheRateFromEachSampleToTheNext) {
  const std::string page =
      ReportCharts(Report({Copied(0, 0), Copied(10, 100'000'000), Copied(20, 150'000'000)}));
  // 10 MB/s in the first half, which is the top, and half of that in the second.
  EXPECT_EQ(CurveOf("throughput", page), "M0.0 0.0L500.0 0.0L500.0 100.0L1000.0 100.0");
  EXPECT_THAT(page, HasSubstr("<span>10.0 MB/s</span><span>5.0 MB/s</span><span>0 B/s</span>"));
  EXPECT_THAT(page, HasSubstr("<span>2026-11-21 03:04:05</span><span>time, UTC</span>"
                              "<span>03:04:25</span>"));
}

TEST(Chart, OfACopyThatBeganAnewHasNoRateBetween) {
  const std::string page = ReportCharts(
      Report({Copied(0, 0), Copied(10, 10'000'000), Copied(20, 0), Copied(40, 20'000'000)}));
  EXPECT_EQ(CurveOf("throughput", page), "M0.0 0.0L250.0 0.0M500.0 0.0L1000.0 0.0");
}

TEST(Chart, OfLagDoesNotLeadAcrossTheCutoverNorOverWhatIsUnknown) {
  const Json unknown = Json::Object({{"time", At(30)}});
  const std::string page = ReportCharts(
      Report({Lag(0, 200), Lag(20, 100), unknown, Lag(40, 100), Lag(160, 0), Lag(200, 200)}));
  EXPECT_EQ(CurveOf("lag", page), "M0.0 0.0L100.0 100.0M200.0 100.0h.01M800.0 200.0L1000.0 0.0");
}

TEST(Chart, OfFewerThanTwoSamplesIsSaidNotToBeThere) {
  for (const Json& report : {Report({}), Report({Copied(0, 1)}), Report({Lag(0, 1)})}) {
    const std::string page = ReportCharts(report);
    EXPECT_THAT(page, Not(HasSubstr("<svg")));
    EXPECT_THAT(page, HasSubstr("No curve of the throughput: the status holds no two samples of "
                                "one copy that follow each other."));
    EXPECT_THAT(page, HasSubstr("No curve of the lag: the status holds fewer than two"));
  }
  Json offline = Report({});
  offline.Set("migration", Json::Object({{"strategy", "Offline"}}));
  EXPECT_THAT(ReportCharts(offline), HasSubstr("nothing is followed in strategy Offline"));
}

TEST(Chart, HasItsTitleItsDescriptionAndItsNumbersInWords) {
  const std::string page = ReportCharts(Report({Copied(0, 0), Copied(10, 100'000'000)}));
  EXPECT_THAT(page, HasSubstr("aria-labelledby=\"throughput-title throughput-desc\""));
  EXPECT_THAT(page, HasSubstr("<desc id=\"throughput-desc\">Bytes copied a second, from "
                              "2026-11-21T03:04:05Z to 2026-11-21T03:04:15Z, at most 10.0 MB/s."));
  EXPECT_THAT(page, HasSubstr("<td>2026-11-21T03:04:15Z</td><td>100 MB</td><td>10.0 MB/s</td>"));
}

/// A lag of 200 seconds, with what the moments say of users.
Json Stopped(std::vector<std::pair<const char*, Json>> said) {
  Json report = Report({Lag(0, 200), Lag(200, 100)});
  report.Set("madeAt", At(300));
  for (auto& [name, value] : said) report.MutableAt("moments").Set(name, std::move(value));
  return report;
}

TEST(Chart, ShadesThePauseOfTheCutoverAndThatOfTheRollback) {
  const std::string page = ReportCharts(Stopped({{"usersStoppedAt", At(20)},
                                                 {"usersAdmittedAt", At(40)},
                                                 {"rollbackStoppedUsersAt", At(150)},
                                                 {"rollbackAdmittedUsersAt", At(160)}}));
  EXPECT_THAT(page, HasSubstr("<rect x=\"100.0\" y=\"0\" width=\"100.0\""));
  EXPECT_THAT(page, HasSubstr("<rect x=\"750.0\" y=\"0\" width=\"50.0\""));
  EXPECT_THAT(page, HasSubstr("Shaded: users could not work."));
}

TEST(Chart, OfARollbackThatGoesOnIsShadedUntilTheReportWasMade) {
  EXPECT_THAT(ReportCharts(Stopped({{"rollbackStoppedUsersAt", At(150)}})),
              HasSubstr("<rect x=\"750.0\" y=\"0\" width=\"250.0\""));
}

TEST(Chart, SaysNothingOfAShadeThatIsNotToBeSeen) {
  EXPECT_THAT(ReportCharts(Stopped({})), Not(HasSubstr("Shaded")));
  EXPECT_THAT(ReportCharts(Stopped({{"usersStoppedAt", At(250)}})), Not(HasSubstr("Shaded")));
}

TEST(Chart, OfSeveralAttemptsSaysThatTheLastAloneIsShaded) {
  EXPECT_THAT(ReportCharts(Stopped({{"usersStoppedAt", At(20)}, {"cutoverAttempts", Json(3)}})),
              HasSubstr("of 3 attempts at the cutover that is known of the last alone."));
}

TEST(Chart, EndsAtARoundNumberThatIsNotLess) {
  EXPECT_EQ(RoundUp(0), 1);
  EXPECT_EQ(RoundUp(1), 1);
  EXPECT_EQ(RoundUp(1.5), 2);
  EXPECT_EQ(RoundUp(4'900'000), 5'000'000);
  EXPECT_EQ(RoundUp(5'100'000), 10'000'000);
  for (const double none : {std::numeric_limits<double>::infinity(), std::nan("")})
    EXPECT_EQ(RoundUp(none), 1);
}

}  // namespace
}  // namespace cutover::cli
