// SPDX-License-Identifier: Apache-2.0
#include "postgres/connection.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "postgres/ca_file.h"
#include "postgres/control.h"
#include "postgres/database.h"
#include "postgres/sequences.h"

namespace cutover::pg {
namespace {

TEST(ConnectOptions, ReadsUriAndConninfoAlike) {
  for (const char* text :
       {"postgresql://me:p%40ss@db.example:5433/shop?sslmode=verify-full&sslrootcert=/ca.crt",
        "host=db.example port=5433 user=me password='p@ss' dbname=shop sslmode=verify-full "
        "sslrootcert=/ca.crt"}) {
    auto options = ConnectOptions::Parse(text);
    ASSERT_TRUE(options) << text;
    EXPECT_EQ(options->host, "db.example");
    EXPECT_EQ(options->port, 5433);
    EXPECT_EQ(options->user, "me");
    EXPECT_EQ(options->password, "p@ss");
    EXPECT_EQ(options->database, "shop");
    EXPECT_EQ(options->ssl_mode, "verify-full");
    EXPECT_EQ(options->ca_file, "/ca.crt");
    EXPECT_EQ(options->Describe(), "me@db.example:5433/shop");
  }
}

TEST(ConnectOptions, RefusalDoesNotRepeatTheString) {
  for (const char* text : {"postgresql://me:secret@host:port:port/x", "password=secret nonsense",
                           "postgresql://me:secret@a:1,b:2/x"}) {
    auto options = ConnectOptions::Parse(text);
    ASSERT_FALSE(options) << text;
    EXPECT_EQ(options.error().reason, "InvalidConnectionString");
    EXPECT_EQ(options.error().message.find("secret"), std::string::npos);
  }
}

TEST(ConnectOptions, EnvironmentCarriesPasswordAndPinnedSettings) {
  auto options = ConnectOptions::Parse("postgresql://me:secret@h:5433/db?connect_timeout=7");
  ASSERT_TRUE(options);
  std::map<std::string, std::string> environment;
  for (auto& [name, value] : EnvironmentFor(*options, "/proc/1/fd/3")) environment[name] = value;
  EXPECT_EQ(environment["PGHOST"], "h");
  EXPECT_EQ(environment["PGPORT"], "5433");
  EXPECT_EQ(environment["PGUSER"], "me");
  EXPECT_EQ(environment["PGPASSWORD"], "secret");
  EXPECT_EQ(environment["PGDATABASE"], "db");
  EXPECT_EQ(environment["PGSSLROOTCERT"], "/proc/1/fd/3");
  EXPECT_EQ(environment["PGCONNECT_TIMEOUT"], "7");
  EXPECT_NE(environment["PGOPTIONS"].find("-c default_transaction_isolation=read\\ committed"),
            std::string::npos);
}

TEST(Quoting, DoublesWhatWouldEndTheQuote) {
  EXPECT_EQ(QuoteIdentifier("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(QuoteQualified("s", "t"), "\"s\".\"t\"");
  EXPECT_EQ(QuoteLiteral("it's"), "'it''s'");
  EXPECT_EQ(QuoteLiteral("a\\'"), " E'a\\\\'''");
}

TEST(QuoteSettingName, QuotesWhateverIsNoNameOfTheServersOwn) {
  EXPECT_EQ(QuoteSettingName("DateStyle"), "DateStyle");
  EXPECT_EQ(QuoteSettingName("app.current_user"), "\"app.current_user\"");
  EXPECT_EQ(QuoteSettingName("a.b TO 1; --\""), "\"a.b TO 1; --\"\"\"");
}

TEST(SettingLiteral, QuotesEachElementOfAListAndAnythingElseAsOne) {
  EXPECT_EQ(SettingLiteral("search_path", "\"$user\", public, \"a, \"\"b\""),
            "'$user', 'public', 'a, \"b'");
  EXPECT_EQ(SettingLiteral("search_path", ""), "''");
  EXPECT_EQ(SettingLiteral("search_path", "\"\""), "''");
  EXPECT_EQ(SettingLiteral("DateStyle", "ISO, DMY"), "'ISO, DMY'");
}

TEST(CaFile, IsReadableUnderItsPathUntilItEnds) {
  auto file = CaFile::Of("certificate");
  ASSERT_TRUE(file);
  FILE* opened = std::fopen(file->path().c_str(), "r");
  ASSERT_NE(opened, nullptr);
  char text[32] = {};
  EXPECT_EQ(std::fread(text, 1, sizeof text, opened), 11u);
  std::fclose(opened);
  EXPECT_STREQ(text, "certificate");
}

TEST(ControlStates, NothingLeadsFromTheJournalBackToOpen) {
  EXPECT_TRUE(MayMove(Side::kSource, ControlState::kFenced, ControlState::kOpen));
  EXPECT_FALSE(MayMove(Side::kSource, ControlState::kJournaled, ControlState::kOpen));
  EXPECT_FALSE(MayMove(Side::kSource, ControlState::kOpen, ControlState::kJournaled));
  EXPECT_FALSE(MayMove(Side::kSource, ControlState::kFenced, ControlState::kDropping));
  EXPECT_FALSE(MayMove(Side::kSource, ControlState::kJournaled, ControlState::kDropping));
}

TEST(ControlStates, OnlyAVerifiedTargetOpensAndAnOpenOneIsNotDropped) {
  for (ControlState from :
       {ControlState::kPreparing, ControlState::kCopied, ControlState::kDropping}) {
    EXPECT_FALSE(MayMove(Side::kTarget, from, ControlState::kOpen)) << Name(from);
  }
  EXPECT_TRUE(MayMove(Side::kTarget, ControlState::kVerified, ControlState::kOpen));
  // Fenced by a rollback that is given up: it has been verified.
  EXPECT_TRUE(MayMove(Side::kTarget, ControlState::kFenced, ControlState::kOpen));
  EXPECT_FALSE(MayMove(Side::kTarget, ControlState::kPreparing, ControlState::kFenced));
  EXPECT_FALSE(MayMove(Side::kTarget, ControlState::kCopied, ControlState::kFenced));
  EXPECT_FALSE(MayMove(Side::kTarget, ControlState::kOpen, ControlState::kDropping));
}

TEST(CompareSequences, NamesEveryKindOfDifference) {
  const std::vector<SequencePosition> source = {
      {"s", "equal", 5, true}, {"s", "called", 5, true}, {"s", "lost", 1, false}};
  const std::vector<SequencePosition> target = {
      {"s", "called", 5, false}, {"s", "equal", 5, true}, {"s", "new", 1, false}};
  EXPECT_EQ(CompareSequences(source, target).size(), 3u);
  EXPECT_TRUE(CompareSequences(source, source).empty());
}

}  // namespace
}  // namespace cutover::pg
