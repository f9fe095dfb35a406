// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "mover/process/reporter.h"

namespace cutover::mover {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Report Equal() {
  Report report;
  report.tables = 904;
  report.rows = 1234567;
  report.bytes = 600000000;
  report.source = {"old.example", 5432, "shop", "15.20 (Debian 15.20-0+deb12u1)"};
  report.target = {"new.example", 5433, "shop", "17.11 (Debian 17.11-0+deb13u1)"};
  report.method.mover_version = "0.1.0";
  report.method.dump_version = "pg_dump (PostgreSQL) 18.1";
  return report;
}

Report Different() {
  Report report = Equal();
  Place place{"chunk 3 of 32", "(id) from (100) to before (200)", 42, 41, {}};
  place.rows.push_back({"(id)=(123)", "only on the source", {}});
  place.rows.push_back({"(id)=(124)", "differs", {"amount", "note"}});
  report.Add({"public.ledger", "rowCount", "42 rows", "41 rows", {place}, "there are more"});
  return report;
}

TEST(Report, ThePageSaysWhatHowWhenAndByWhichVersions) {
  const std::string page = ReportPage(Equal());
  for (const char* part :
       {"EQUAL", "database shop at old.example:5432, PostgreSQL 15.20", "new.example:5433",
        "1970-01-01T00:00:00Z", "cutover-mover 0.1.0, pg_dump (PostgreSQL) 18.1", "904 tables",
        "1,234,567 rows", "600,000,000 bytes", "every byte of every row", "SHA-256"})
    EXPECT_THAT(page, HasSubstr(part));
  EXPECT_THAT(page, Not(HasSubstr("Differences")));
}

TEST(Report, SaysHowMuchWalACopyMadeWhereThatIsKnown) {
  Report report = Equal();
  EXPECT_FALSE(EncodeReport(report).Contains("targetWalBytes"));
  EXPECT_THAT(ReportPage(report), Not(HasSubstr("WAL")));
  report.target_wal_bytes = 7654321;
  EXPECT_EQ(EncodeReport(report)["targetWalBytes"].AsInt(), 7654321);
  EXPECT_THAT(ReportPage(report), HasSubstr("WAL           7,654,321 bytes"));
}

TEST(Report, SaysWhatItOwesToEarlierRuns) {
  EXPECT_THAT(ReportPage(Equal()), Not(HasSubstr("earlier run")));
  Report report = Equal();
  report.tables_proven_before = 12;
  report.parts_read_before = 3456;
  EXPECT_EQ(EncodeReport(report)["tablesProvenBefore"].AsInt(), 12);
  EXPECT_EQ(EncodeReport(report)["partsReadBefore"].AsInt(), 3456);
  EXPECT_THAT(ReportPage(report), HasSubstr("12 tables were compared by an earlier run"));
  EXPECT_THAT(ReportPage(report), HasSubstr("3,456 parts of other tables were read by earlier"));
}

TEST(Report, ThePageNamesTableChunkRangeRowsAndColumns) {
  const std::string page = ReportPage(Different());
  for (const char* part : {"DIFFERENT. 1 difference,", "  - public.ledger (rowCount)",
                           "chunk 3 of 32: (id) from (100) to before (200): 42 rows on the source",
                           "row (id)=(123) only on the source",
                           "row (id)=(124) differs in amount, note", "there are more"})
    EXPECT_THAT(page, HasSubstr(part));
}

TEST(Report, ThePageFitsOnPaper) {
  Report report = Different();
  report.warnings.push_back(std::string(300, 'w') + " " + std::string(80, 'x') + " y z");
  std::istringstream lines(ReportPage(report));
  for (std::string line; std::getline(lines, line);)
    EXPECT_TRUE(line.size() <= 100 || line.find(' ', 5) == std::string::npos) << line;
}

TEST(Report, TheJsonKeepsWhatTheOperatorReadsAndAddsTheRest) {
  const Json json = EncodeReport(Different());
  EXPECT_EQ(json["verdict"].AsString(), "Different");
  EXPECT_EQ(json["mismatchCount"].AsInt(), 1);
  EXPECT_EQ(json["versions"]["source"].AsString(), "15.20 (Debian 15.20-0+deb12u1)");
  const Json& mismatch = json["mismatches"][size_t{0}];
  EXPECT_EQ(mismatch["kind"].AsString(), "rowCount");
  const Json& place = mismatch["places"][size_t{0}];
  EXPECT_EQ(place["keyRange"].AsString(), "(id) from (100) to before (200)");
  EXPECT_EQ(place["rows"][size_t{1}]["columns"][size_t{0}].AsString(), "amount");
  EXPECT_EQ(json["source"]["host"].AsString(), "old.example");
  EXPECT_EQ(json["method"]["dumpVersion"].AsString(), "pg_dump (PostgreSQL) 18.1");
}

TEST(Report, MergingCountsWhatIsNotListed) {
  Report many;
  for (int i = 0; i < 250; ++i) many.Add({"t", "rows", "", ""});
  Report report = Different();
  report.Merge(many);
  EXPECT_EQ(report.mismatch_count, 251);
  EXPECT_EQ(report.mismatches.size(), Report::kMismatchesMax);
}

TEST(Report, AFileThatCannotBeWrittenIsAnError) {
  Status written = WriteReportPage(Equal(), "/nonexistent/page.txt");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().reason, "ReportNotWritten");
}

StageProgress HalfWay() {
  StageProgress stage;
  stage.stage = "verify";
  stage.bytes_done = 512 << 20;
  stage.bytes_total = 1024 << 20;
  stage.tables_done = 12;
  stage.tables_total = 900;
  stage.seconds = 10;
  return stage;
}

TEST(ProgressLine, ShowsBarRateTablesTimeLeftAndNames) {
  EXPECT_EQ(ProgressLine(HalfWay(), "public.a, public.b", 200),
            "verify      [##########----------]  50%  512.0 MiB  51.2 MiB/s  12/900 tables  10s, "
            "11s left  public.a, public.b");
}

TEST(ProgressLine, NeverIsWiderThanTheTerminalNorCutsACharacter) {
  EXPECT_EQ(ProgressLine(HalfWay(), "", 6), "verify");
  const std::string full = ProgressLine(HalfWay(), "ä", 200);
  const size_t columns = full.size() - 1;  // ä is two bytes, one column.
  EXPECT_EQ(ProgressLine(HalfWay(), "ä", columns), full);
  EXPECT_THAT(ProgressLine(HalfWay(), "ä", columns - 1), StartsWith("verify"));
  EXPECT_EQ(ProgressLine(HalfWay(), "ä", columns - 1).size(), full.size() - 2);
}

TEST(ProgressLine, AnEstimateThatWasTooSmallIsNotMoreThanAll) {
  StageProgress stage = HalfWay();
  stage.bytes_done = 3 * stage.bytes_total;
  EXPECT_THAT(ProgressLine(stage, "", 200), HasSubstr(" 99%"));
  stage.finished = true;
  EXPECT_THAT(ProgressLine(stage, "", 200), HasSubstr("100%"));
}

TEST(SecondsLeft, IsUnknownUntilThereIsSomethingToTellBy) {
  StageProgress stage = HalfWay();
  EXPECT_EQ(SecondsLeft(stage), 10);
  stage.seconds = 0.5;
  EXPECT_FALSE(SecondsLeft(stage));
  stage.seconds = 10;
  stage.bytes_done = 0;
  EXPECT_FALSE(SecondsLeft(stage));
}

}  // namespace
}  // namespace cutover::mover
