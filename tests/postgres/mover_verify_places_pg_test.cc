// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "mover/copy/table_copy.h"
#include "mover/schema/schema_dump.h"
#include "tests/postgres/mover/tenant.h"
#include "tests/postgres/traps/tenants_code.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::Servers;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// Two databases of the same server that hold the same until a test plants a difference in the
/// target. Their heaps are laid out differently: the target's rows were written in another order.
class VerifyPlaces : public ::testing::Test {
 protected:
  VerifyPlaces()
      : source_(Servers().source, Servers().source.user, "source"),
        target_(Servers().source, Servers().source.user, "target") {
    options_.source = source_.Options();
    options_.target = target_.Options();
    options_.chunk_bytes = 256 << 10;
    options_.localize.fan_out = 8;
  }

  static void On(const pg::ConnectOptions& side, const std::vector<std::string>& statements) {
    pg::Connection connection = MustConnect(side);
    MustExec(connection, {"SET search_path TO public"});
    MustExec(connection, statements);
  }
  void OnBoth(const std::vector<std::string>& statements) {
    On(options_.source, statements);
    On(options_.target, statements);
  }
  void Plant(const std::string& sql) { On(options_.target, {sql}); }

  /// 20,000 rows of some 2.5 MB, keys from far below zero, close together at first and sparse then.
  void FillLedger() {
    OnBoth(
        {"CREATE TABLE ledger (id bigint PRIMARY KEY, amount numeric, ratio float8, note text)"});
    for (const auto& [side, order] :
         {std::pair(options_.source, "k"), std::pair(options_.target, "k % 97, k")})
      On(side, {"INSERT INTO ledger SELECT CASE WHEN k <= 15000 THEN k - 9000000000000000000"
                " ELSE k::bigint * k * 1000 END, 1.0, 0, repeat('x', 90) || k"
                " FROM (SELECT k FROM generate_series(1, 20000) k ORDER BY " +
                    std::string(order) + ") AS rows",
                "SELECT pg_stat_force_next_flush()"});
  }

  Report Verify() { return MustVerify(options_); }

  /// The one table that differs, in one place.
  Mismatch OnlyMismatch() {
    Report report = Verify();
    EXPECT_EQ(report.mismatch_count, 1) << Describe(report);
    return report.mismatches.empty() ? Mismatch() : report.mismatches[0];
  }

  pg::testing::TestDatabase source_;
  pg::testing::TestDatabase target_;
  VerifyOptions options_;
};

TEST_F(VerifyPlaces, EqualTablesInDifferentOrderAreEqualWhateverTheChunks) {
  FillLedger();
  Report report = Verify();
  EXPECT_TRUE(report.equal()) << Describe(report);
  EXPECT_EQ(report.rows, 20000);
  EXPECT_GE(report.method.chunks, 8) << "both sides in several parts";
}

TEST_F(VerifyPlaces, EachDamageInABigTableIsNamedByKeyAndColumn) {
  FillLedger();
  struct Damage {
    const char* reason;
    const char* plant;
    const char* mend;
    std::vector<RowDifference> rows;
  };
  const std::string row7 = "(id)=(-8999999999999999993)";
  const Damage damages[] = {
      {"one changed byte",
       "UPDATE ledger SET note = 'y' || substr(note, 2) WHERE id = -8999999999999999993",
       "UPDATE ledger SET note = 'x' || substr(note, 2) WHERE id = -8999999999999999993",
       {{row7, "differs", {"note"}}}},
      {"1.00 for 1.0",
       "UPDATE ledger SET amount = 1.00 WHERE id = -8999999999999999993",
       "UPDATE ledger SET amount = 1.0 WHERE id = -8999999999999999993",
       {{row7, "differs", {"amount"}}}},
      {"-0 for 0",
       "UPDATE ledger SET ratio = '-0' WHERE id = -8999999999999999993",
       "UPDATE ledger SET ratio = 0 WHERE id = -8999999999999999993",
       {{row7, "differs", {"ratio"}}}},
      {"NULL for the number",
       "UPDATE ledger SET amount = NULL WHERE id = 400000000000",
       "UPDATE ledger SET amount = 1.0 WHERE id = 400000000000",
       {{"(id)=(400000000000)", "differs", {"amount"}}}},
      {"a missing row",
       "DELETE FROM ledger WHERE id = 400000000000",
       "INSERT INTO ledger VALUES (400000000000, 1.0, 0, repeat('x', 90) || 20000)",
       {{"(id)=(400000000000)", "only on the source", {}}}},
      {"a row too many",
       "INSERT INTO ledger VALUES (-1, 1.0, 0, '')",
       "DELETE FROM ledger WHERE id = -1",
       {{"(id)=(-1)", "only on the target", {}}}},
  };
  for (const Damage& damage : damages) {
    Plant(damage.plant);
    Mismatch found = OnlyMismatch();
    EXPECT_EQ(found.table, "public.ledger") << damage.reason;
    ASSERT_EQ(found.places.size(), 1u) << damage.reason << ": " << found.note;
    const Place& place = found.places[0];
    EXPECT_EQ(place.rows, damage.rows) << damage.reason;
    EXPECT_THAT(place.chunk, HasSubstr("chunk ")) << damage.reason;
    EXPECT_THAT(place.key_range, HasSubstr("(id) ")) << damage.reason;
    EXPECT_LE(place.source_rows, 100) << damage.reason;
    Plant(damage.mend);
  }
  EXPECT_TRUE(Verify().equal()) << "every damage was mended";
}

TEST_F(VerifyPlaces, ValuesSwappedBetweenFarRowsAreTwoPlaces) {
  FillLedger();
  Plant(
      "UPDATE ledger SET note = CASE id WHEN 400000000000 THEN repeat('x', 90) || 7"
      " ELSE repeat('x', 90) || 20000 END WHERE id IN (400000000000, -8999999999999999993)");
  Mismatch found = OnlyMismatch();
  EXPECT_EQ(found.kind, "rows");
  ASSERT_EQ(found.places.size(), 2u) << found.note;
  EXPECT_THAT(found.places[0].rows,
              ElementsAre(RowDifference{"(id)=(-8999999999999999993)", "differs", {"note"}}));
  EXPECT_THAT(found.places[1].rows,
              ElementsAre(RowDifference{"(id)=(400000000000)", "differs", {"note"}}));
}

TEST_F(VerifyPlaces, ATableThatIsWrongEverywhereIsReportedWithinBounds) {
  FillLedger();
  Plant("UPDATE ledger SET note = note || '!'");
  Mismatch found = OnlyMismatch();
  EXPECT_LE(found.places.size(), 10u);
  size_t rows = 0;
  for (const Place& place : found.places) rows += place.rows.size();
  EXPECT_EQ(rows, 20u);
  EXPECT_THAT(found.note, HasSubstr("there are more"));
}

TEST_F(VerifyPlaces, AnEmptyTargetTableIsNamedByRangesOfTheSource) {
  FillLedger();
  Plant("TRUNCATE ledger");
  Mismatch found = OnlyMismatch();
  EXPECT_EQ(found.kind, "rowCount");
  ASSERT_FALSE(found.places.empty());
  EXPECT_EQ(found.places[0].target_rows, 0);
  EXPECT_EQ(found.places[0].rows[0].problem, "only on the source");
}

TEST_F(VerifyPlaces, KeysOfSeveralColumnsAndTypesAreNamed) {
  OnBoth(
      {"CREATE TABLE wide (region text COLLATE \"C\", who uuid, n bigint, body text,"
       " PRIMARY KEY (region, who, n))",
       "INSERT INTO wide SELECT (ARRAY['o''hara', 'Z', 'ä'])[1 + k % 3],"
       " md5(k::text)::uuid, -k, 'b' || k FROM generate_series(1, 900) k",
       "CREATE TABLE named (name varchar(40) PRIMARY KEY, body text)",
       "INSERT INTO named SELECT (ARRAY['a', 'B', 'ß'])[1 + k % 3] || k, ''"
       " FROM generate_series(1, 900) k",
       "CREATE TABLE by_unique (a int NOT NULL UNIQUE, b text)",
       "INSERT INTO by_unique SELECT k, NULL FROM generate_series(1, 900) k"});
  Plant(
      "UPDATE wide SET body = '' WHERE n = -450; UPDATE named SET body = NULL WHERE name = 'a450';"
      "UPDATE by_unique SET b = '' WHERE a = 450");
  Report report = Verify();
  ASSERT_EQ(report.mismatches.size(), 3u) << Describe(report);
  auto row = [&](size_t i) {
    const Mismatch& found = report.mismatches[i];
    return found.places.size() == 1 && found.places[0].rows.size() == 1
               ? found.places[0].rows[0]
               : RowDifference{found.note, "", {}};
  };
  EXPECT_EQ(row(0), (RowDifference{"(a)=(450)", "differs", {"b"}}));
  EXPECT_EQ(row(1), (RowDifference{"(name)=(a450)", "differs", {"body"}}));
  EXPECT_EQ(row(2),
            (RowDifference{"(region, who, n)=(o'hara, f5f8590c-d58a-54e9-4377-e6ae2eded4d9, -450)",
                           "differs",
                           {"body"}}))
      << row(2).key;
}

TEST_F(VerifyPlaces, NothingThatATenantHasPlantedInHisSchemasIsRunToSayWhereTablesDiffer) {
  OnBoth(pg::testing::TenantsCode());
  OnBoth(pg::testing::TenantsTables());
  OnBoth(pg::testing::TenantsRows());
  OnBoth(pg::testing::TenantsLastTouch());
  options_.localize.rows_compared_max = 1;  // So that bounds are sought among three rows.
  Report report = Verify();
  EXPECT_TRUE(report.equal()) << Describe(report);
  On(options_.target, pg::testing::TenantsDamages());
  report = Verify();
  std::vector<std::string> found;
  for (const Mismatch& mismatch : report.mismatches) {
    for (const Place& place : mismatch.places)
      for (const RowDifference& row : place.rows) found.push_back(mismatch.table + " " + row.key);
    EXPECT_EQ(mismatch.note, "") << mismatch.table;
  }
  EXPECT_THAT(found, ::testing::UnorderedElementsAreArray(pg::testing::TenantsDamagedRows()));
}

TEST_F(VerifyPlaces, RowsOfATableWithoutAKeyAreNamedByWhereTheyStand) {
  OnBoth({"CREATE TABLE keyless (a int, b text)",
          "INSERT INTO keyless SELECT k, 'b' || k FROM generate_series(1, 50) k",
          "INSERT INTO keyless SELECT 1, 'twin' FROM generate_series(1, 2)"});
  Plant(
      "UPDATE keyless SET b = NULL WHERE a = 7; DELETE FROM keyless WHERE ctid ="
      " (SELECT max(ctid) FROM keyless WHERE b = 'twin')");
  Mismatch found = OnlyMismatch();
  ASSERT_EQ(found.places.size(), 1u) << found.note;
  EXPECT_THAT(found.places[0].rows,
              ElementsAre(RowDifference{"ctid (0,52)", "only on the source", {}},
                          RowDifference{"ctid (0,7)", "only on the source", {}},
                          RowDifference{"ctid (0,53)", "only on the target", {}}));
}

TEST_F(VerifyPlaces, ValuesAreNeverInTheReport) {
  OnBoth({"CREATE TABLE secrets (id int PRIMARY KEY, what text)",
          "INSERT INTO secrets VALUES (1, 'tenant''s own')"});
  Plant("UPDATE secrets SET what = 'tenant''s other'");
  Report report = Verify();
  EXPECT_FALSE(report.equal());
  EXPECT_THAT(EncodeReport(report).Dump(), Not(HasSubstr("tenant's")));
  EXPECT_THAT(ReportPage(report), Not(HasSubstr("tenant's")));
}

TEST_F(VerifyPlaces, AnIndexWithAFunctionThatNeedsASearchPathIsNoObstacle) {
  OnBoth({"CREATE FUNCTION helper(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)'",
          "CREATE FUNCTION public.needs_path(text) RETURNS text IMMUTABLE LANGUAGE plpgsql"
          " AS 'BEGIN RETURN helper($1); END'",
          "CREATE TABLE indexed (id int PRIMARY KEY, t text);"
          "CREATE INDEX ON indexed (needs_path(t)) WHERE needs_path('A') = 'a';"
          "INSERT INTO indexed SELECT k, repeat('T', 90) || k FROM generate_series(1, 20000) k"});
  Report report = Verify();
  EXPECT_TRUE(report.equal()) << Describe(report);
  EXPECT_EQ(report.rows, 20000);
}

/// Runs with a file that keeps what was proven.
class VerifyResumed : public VerifyPlaces {
 protected:
  VerifyResumed() : path_(Servers().directory + "/" + pg::testing::UniqueName("state")) {
    options_.state_file = path_;
    OnBoth({"CREATE TABLE first (id int PRIMARY KEY, t text)", "INSERT INTO first VALUES (1, 'a')",
            "CREATE TABLE second (id int PRIMARY KEY)", "INSERT INTO second VALUES (1), (2)",
            "CREATE TABLE zz_last (id int PRIMARY KEY)", "INSERT INTO zz_last VALUES (1)",
            "SELECT pg_stat_force_next_flush()"});
  }
  ~VerifyResumed() override { unlink(path_.c_str()); }

  /// A table of several parts, which nobody tidies up meanwhile.
  void FillLedgerForGood() {
    FillLedger();
    OnBoth({"ALTER TABLE ledger SET (autovacuum_enabled = off)"});
  }

  std::vector<std::string> Lines() const {
    std::ifstream file(path_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  static bool IsPart(const std::string& line) { return line.find("\"part\"") != std::string::npos; }

  /// What a run leaves that is killed when it has read but `parts` of the big table: lines are only
  /// ever added. Returns how many parts are kept.
  int64_t KeepFirstParts(size_t parts) {
    const std::vector<std::string> lines = Lines();
    std::ofstream file(path_, std::ios::trunc);
    size_t kept = 0;
    for (const std::string& line : lines) {
      const bool of_ledger = line.find("ledger") != std::string::npos;
      if (of_ledger && (!IsPart(line) || kept++ >= parts)) continue;
      file << line << "\n";
    }
    return static_cast<int64_t>(std::min(kept, parts));
  }

  Result<Report> TryVerify() {
    Reporter silent(Reporter::Output::kSilent);
    return VerifyDatabases({}, Programs(), options_, std::nullopt, silent);
  }

  const std::string path_;
};

TEST_F(VerifyResumed, ASecondRunReadsNothingAgain) {
  Report first = Verify();
  EXPECT_TRUE(first.equal()) << Describe(first);
  EXPECT_EQ(first.tables_proven_before, 0);
  Report second = Verify();
  EXPECT_TRUE(second.equal()) << Describe(second);
  EXPECT_EQ(second.tables_proven_before, 3);
  EXPECT_EQ(second.method.chunks, 0);
  EXPECT_EQ(second.rows, first.rows) << "the report speaks of all tables";
}

TEST_F(VerifyResumed, ATableThatWasWrittenToSinceIsComparedAgain) {
  Report before = Verify();
  ASSERT_TRUE(before.equal()) << Describe(before);
  Plant("UPDATE first SET t = 'b'; SELECT pg_stat_force_next_flush()");
  Report report = Verify();
  EXPECT_EQ(report.tables_proven_before, 2);
  ASSERT_EQ(report.mismatch_count, 1) << Describe(report);
  EXPECT_EQ(report.mismatches[0].table, "public.first");
  EXPECT_EQ(Verify().mismatch_count, 1) << "what differs is not kept as proven";
}

TEST_F(VerifyResumed, ARunThatRanOutOfTimeIsContinuedByTheNext) {
  // pg_dump waits for the root of a partition tree, which holds no rows to be read.
  OnBoth({"CREATE TABLE root (id int) PARTITION BY RANGE (id)"});
  pg::Connection blocker = MustConnect(options_.target);
  MustExec(blocker, {"BEGIN", "LOCK TABLE ONLY public.root IN ACCESS EXCLUSIVE MODE"});
  options_.seconds_max = 3;
  auto stopped = TryVerify();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().reason, "VerificationTimeout");
  EXPECT_THAT(stopped.error().message, HasSubstr("3 of 3 tables"));
  EXPECT_THAT(stopped.error().message, HasSubstr("run the same command again"));
  EXPECT_THAT(stopped.error().message, HasSubstr(path_));
  MustExec(blocker, {"ROLLBACK"});
  options_.seconds_max = 0;
  Report report = Verify();
  EXPECT_TRUE(report.equal()) << Describe(report);
  EXPECT_EQ(report.tables_proven_before, 3);
}

TEST_F(VerifyResumed, ARunThatEndsInTheMiddleOfABigTableIsContinuedThere) {
  FillLedgerForGood();
  const Report whole = Verify();
  ASSERT_TRUE(whole.equal()) << Describe(whole);
  const int64_t parts = std::ranges::count_if(Lines(), IsPart);
  ASSERT_GE(parts, 16) << "both sides in several parts";
  const int64_t kept = KeepFirstParts(11);
  const Report rest = Verify();
  EXPECT_TRUE(rest.equal()) << Describe(rest);
  EXPECT_EQ(rest.tables_proven_before, 3);
  EXPECT_EQ(rest.parts_read_before, kept);
  EXPECT_EQ(rest.method.chunks, parts - kept);
  EXPECT_EQ(rest.rows, whole.rows);
  EXPECT_EQ(rest.bytes, whole.bytes);
  EXPECT_EQ(Verify().tables_proven_before, 4) << "the table is proven as any other";
}

TEST_F(VerifyResumed, PartsOfASideThatWasWrittenToAreReadAgainAndThoseOfTheOtherAreNot) {
  FillLedgerForGood();
  ASSERT_TRUE(Verify().equal());
  const std::vector<std::string> lines = Lines();
  const int64_t of_source = std::ranges::count_if(lines, [](const std::string& line) {
    return IsPart(line) && line.find("\"source\"") != std::string::npos;
  });
  const int64_t parts = std::ranges::count_if(lines, IsPart);
  KeepFirstParts(lines.size());  // The run before it was killed just before the table was compared.
  Plant("UPDATE ledger SET note = '' WHERE id = 400000000000; SELECT pg_stat_force_next_flush()");
  const Report read = Verify();
  EXPECT_EQ(read.parts_read_before, of_source);
  EXPECT_EQ(read.method.chunks, parts - of_source);
  const Report taken_over = Verify();
  EXPECT_EQ(taken_over.parts_read_before, parts);
  for (const Report& report : {read, taken_over}) {
    ASSERT_EQ(report.mismatch_count, 1) << Describe(report);
    EXPECT_EQ(report.mismatches[0].table, "public.ledger");
    ASSERT_EQ(report.mismatches[0].places.size(), 1u);
    EXPECT_THAT(report.mismatches[0].places[0].rows,
                ElementsAre(RowDifference{"(id)=(400000000000)", "differs", {"note"}}));
  }
}

TEST_F(VerifyResumed, PartsThatAreCutOtherwiseAreReadAgain) {
  FillLedgerForGood();
  ASSERT_TRUE(Verify().equal());
  KeepFirstParts(11);
  options_.chunk_bytes = 300 << 10;
  const Report report = Verify();
  EXPECT_TRUE(report.equal()) << Describe(report);
  EXPECT_EQ(report.parts_read_before, 0);
}

TEST_F(VerifyResumed, AColumnThatCameSinceIsComparedThoughNoRowWasWritten) {
  ASSERT_TRUE(Verify().equal());
  for (const auto& [side, value] :
       {std::pair(options_.source, "5"), std::pair(options_.target, "6")})
    On(side, {"ALTER TABLE first ADD b int DEFAULT " + std::string(value),
              "ALTER TABLE first ALTER b DROP DEFAULT"});
  const Report report = Verify();
  ASSERT_EQ(report.mismatch_count, 1) << Describe(report);
  EXPECT_EQ(report.mismatches[0].table, "public.first");
  EXPECT_EQ(report.tables_proven_before, 2);
}

TEST_F(VerifyResumed, AFileOfAnotherPairIsRefused) {
  ASSERT_TRUE(Verify().equal());
  std::swap(options_.source, options_.target);
  auto refused = TryVerify();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "StateOfAnotherPair");
}

/// What the program prints, and how it ends.
struct Ran {
  std::string output;
  int exit_code = -1;
};

/// `environment`: "NAME=value …" for the shell, over what it has otherwise.
Ran RunMover(const std::string& arguments, const std::string& environment = "") {
  const std::string command = "CUTOVER_PG_BINDIR='" + Servers().bin_directory + "' " + environment +
                              " '" + CUTOVER_MOVER_BINARY + "' " + arguments + " 2>&1";
  Ran ran;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> buffer;
  while (size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
    ran.output.append(buffer.data(), count);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) ran.exit_code = WEXITSTATUS(status);
  return ran;
}

TEST_F(VerifyResumed, TheProgramFilesAReportAndEndsWithTheVerdict) {
  auto conninfo = [](const char* name, const pg::ConnectOptions& side) {
    return std::string(" ") + name + " \"host=" + side.host + " port=" + std::to_string(side.port) +
           " dbname=" + side.database + " user=" + side.user + " password=" + side.password + "\"";
  };
  const std::string page = path_ + ".txt";
  const std::string arguments = "verify" + conninfo("--source", options_.source) +
                                conninfo("--target", options_.target) + " --report " + page;
  Ran equal = RunMover(arguments);
  EXPECT_EQ(equal.exit_code, kExitProven) << equal.output;
  Plant("DELETE FROM second WHERE id = 2");
  Ran different = RunMover(arguments);
  EXPECT_EQ(different.exit_code, kExitDifferent) << different.output;
  EXPECT_THAT(different.output, HasSubstr("\"verdict\": \"Different\""));
  std::ifstream file(page);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_THAT(text, HasSubstr("DIFFERENT. 1 difference"));
  EXPECT_THAT(text, HasSubstr("row (id)=(2) only on the source"));
  EXPECT_THAT(text, HasSubstr(options_.target.database));
  EXPECT_THAT(text, HasSubstr("pg_dump (PostgreSQL)"));
  EXPECT_EQ(RunMover(arguments + " --report /nonexistent/page").exit_code, kExitUsage)
      << "an option twice is a mistake";
  unlink(page.c_str());
}

/// A directory with pg_dump and pg_restore that write down their arguments, and a service file.
class CliConnections : public VerifyPlaces {
 protected:
  CliConnections() : directory_(Servers().directory + "/" + pg::testing::UniqueName("cli")) {
    std::filesystem::create_directory(directory_);
    for (const char* program : {"pg_dump", "pg_restore"}) {
      const std::string path = directory_ + "/" + program;
      std::ofstream(path) << "#!/bin/sh\necho \"$0 $*\" >>" << directory_ << "/arguments\nexec "
                          << Servers().bin_directory << "/" << program << " \"$@\"\n";
      std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    }
    std::ofstream(directory_ + "/services")
        << "[one]\nhost=" << options_.source.host << "\nport=" << options_.source.port
        << "\nuser=" << options_.source.user << "\ndbname=" << options_.source.database
        << "\npassword=" << options_.source.password << "\n";
  }
  ~CliConnections() override { std::filesystem::remove_all(directory_); }

  std::string Arguments() const {
    std::ifstream file(directory_ + "/arguments");
    return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  }

  const std::string directory_;
};

TEST_F(CliConnections, ComeFromAServiceFileAndTheEnvironmentAndNoChildGetsAPasswordAsAnArgument) {
  OnBoth({"CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)"});
  ASSERT_FALSE(options_.source.password.empty());
  ASSERT_NE(options_.source.database, options_.target.database);
  const pg::ConnectOptions& side = options_.target;
  const Ran equal =
      RunMover("verify --source service=one --target dbname=" + side.database,
               "CUTOVER_PG_BINDIR=" + directory_ + " PGSERVICEFILE=" + directory_ +
                   "/services PGHOST=" + side.host + " PGPORT=" + std::to_string(side.port) +
                   " PGUSER=" + side.user + " CUTOVER_TARGET_PASSWORD=" + side.password);
  EXPECT_EQ(equal.exit_code, kExitProven) << equal.output;
  EXPECT_THAT(equal.output, HasSubstr("\"" + options_.source.database + "\""));
  EXPECT_THAT(equal.output, HasSubstr("\"" + options_.target.database + "\""));
  EXPECT_THAT(Arguments(), HasSubstr("pg_dump "));
  EXPECT_THAT(Arguments(), Not(HasSubstr(side.password)));
  EXPECT_THAT(equal.output, Not(HasSubstr(side.password)));
}

TEST(Cli, HelpTeaches) {
  for (const char* verb : {"clone", "verify", "backup"}) {
    Ran help = RunMover(std::string(verb) + " --help");
    EXPECT_EQ(help.exit_code, kExitProven);
    for (const char* part : {"EXAMPLES", "EXIT CODES", "CUTOVER_SOURCE_PASSWORD", "--source"})
      EXPECT_THAT(help.output, HasSubstr(part)) << verb;
  }
  EXPECT_EQ(RunMover("verify --source x").exit_code, kExitUsage);
  EXPECT_EQ(RunMover("clone --source s --target t --database d --map-role nobody").exit_code,
            kExitUnproven);
}

}  // namespace
}  // namespace cutover::mover::testing
