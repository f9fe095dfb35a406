// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/odoo_conf.h"

#include <gtest/gtest.h>

#include <vector>

namespace cutover::wiring {
namespace {

const OdooConfEdit kToTarget{"target.db.svc", 5433, "tenant", std::nullopt};

struct EditCase {
  const char* reason;
  const char* before;
  const char* after;
};

class OdooConfEditing : public ::testing::TestWithParam<EditCase> {};

TEST_P(OdooConfEditing, ChangesTheConnectionAndNoOtherByte) {
  const EditCase& c = GetParam();
  Result<std::string> edited = EditOdooConf(c.before, kToTarget);
  ASSERT_TRUE(edited) << c.reason << ": " << edited.error().message;
  EXPECT_EQ(*edited, c.after) << c.reason;
}

TEST_P(OdooConfEditing, IsIdempotent) {
  const EditCase& c = GetParam();
  Result<std::string> again = EditOdooConf(c.after, kToTarget);
  ASSERT_TRUE(again) << c.reason;
  EXPECT_EQ(*again, c.after) << c.reason;
}

TEST_P(OdooConfEditing, LeavesAFileThatNamesTheTarget) {
  const EditCase& c = GetParam();
  const OdooConnection connection = ReadOdooConf(c.after);
  EXPECT_EQ(connection.host, "target.db.svc") << c.reason;
  EXPECT_EQ(connection.port, "5433") << c.reason;
}

TEST_P(OdooConfEditing, IsTakenBackByteForByte) {
  const EditCase& c = GetParam();
  EXPECT_EQ(RestoreOdooConf(c.after, c.before), c.before) << c.reason;
}

INSTANTIATE_TEST_SUITE_P(
    Table, OdooConfEditing,
    ::testing::Values(
        EditCase{"a plain file", "[options]\ndb_host = source\ndb_port = 5432\nworkers = 4\n",
                 "[options]\ndb_host = target.db.svc\ndb_port = 5433\nworkers = 4\n"},
        EditCase{"comments, blank lines, order and % stay",
                 "; top\n[options]\n# db_host = commented\nadmin_passwd = a%b%%c\n\ndb_port=5432\n"
                 "db_host=source\n\n# end",
                 "; top\n[options]\n# db_host = commented\nadmin_passwd = a%b%%c\n\ndb_port=5433\n"
                 "db_host=target.db.svc\n\n# end"},
        EditCase{"colons, odd spacing, letter case and trailing space stay",
                 "[options]\nDB_HOST :  source  \ndb_port\t=\t5432\n",
                 "[options]\nDB_HOST :  target.db.svc  \ndb_port\t=\t5433\n"},
        EditCase{"line ends of Windows stay, also on added lines",
                 "[options]\r\ndb_host = source\r\nworkers = 2\r\n",
                 "[options]\r\ndb_host = target.db.svc\r\ndb_port = 5433\r\nworkers = 2\r\n"},
        EditCase{"absent keys are added beside their kind",
                 "[options]\naddons_path = /mnt\ndb_user = tenant\nworkers = 4\n",
                 "[options]\naddons_path = /mnt\ndb_user = tenant\ndb_host = target.db.svc\n"
                 "db_port = 5433\nworkers = 4\n"},
        EditCase{"or after the header", "[options]\nworkers = 4\n",
                 "[options]\ndb_host = target.db.svc\ndb_port = 5433\nworkers = 4\n"},
        EditCase{"a missing section is made at the end", "# nothing here\n",
                 "# nothing here\n[options]\ndb_host = target.db.svc\ndb_port = 5433\n"},
        EditCase{"an empty file", "", "[options]\ndb_host = target.db.svc\ndb_port = 5433\n"},
        EditCase{"no line end at the end of the file", "[options]\ndb_host = source",
                 "[options]\ndb_host = target.db.svc\ndb_port = 5433"},
        EditCase{"another section's keys are not ours",
                 "[queue_job]\ndb_host = jobs\n[options]\ndb_host = source\ndb_port = 1\n"
                 "[other]\ndb_port = 2\n",
                 "[queue_job]\ndb_host = jobs\n[options]\ndb_host = target.db.svc\n"
                 "db_port = 5433\n[other]\ndb_port = 2\n"},
        EditCase{"every occurrence of a key given twice",
                 "[options]\ndb_host = one\ndb_host = two\ndb_port = 5432\n",
                 "[options]\ndb_host = target.db.svc\ndb_host = target.db.svc\ndb_port = 5433\n"},
        EditCase{"a value over several lines is replaced whole",
                 "[options]\ndb_host = source\n   .db.svc\n# why\ndb_port = 5432\n",
                 "[options]\ndb_host = target.db.svc\n# why\ndb_port = 5433\n"},
        EditCase{"a continuation that looks like a key is part of the other value",
                 "[options]\naddons_path = /a,\n  db_host = no\ndb_host = source\ndb_port = 5432\n",
                 "[options]\naddons_path = /a,\n  db_host = no\ndb_host = target.db.svc\n"
                 "db_port = 5433\n"},
        EditCase{"added keys stand as deep as their neighbours",
                 "[options]\n  db_host = source\n  workers = 4\n",
                 "[options]\n  db_host = target.db.svc\n  db_port = 5433\n  workers = 4\n"},
        EditCase{"indented keys without any of ours", "[options]\n  workers = 4\n",
                 "[options]\n  db_host = target.db.svc\n  db_port = 5433\n  workers = 4\n"},
        EditCase{"an empty value", "[options]\ndb_host =\ndb_port = False\n",
                 "[options]\ndb_host = target.db.svc\ndb_port = 5433\n"},
        EditCase{"replica keys follow",
                 "[options]\ndb_host = source\ndb_port = 5432\ndb_replica_host = replica\n"
                 "db_replica_port = 5432\n",
                 "[options]\ndb_host = target.db.svc\ndb_port = 5433\n"
                 "db_replica_host = target.db.svc\ndb_replica_port = 5433\n"},
        EditCase{"a replica without a port gets one when the default would be wrong",
                 "[options]\ndb_host = source\ndb_port = 5432\ndb_replica_host = replica\n",
                 "[options]\ndb_host = target.db.svc\ndb_port = 5433\n"
                 "db_replica_host = target.db.svc\ndb_replica_port = 5433\n"},
        EditCase{"a replica that is switched off stays so",
                 "[options]\ndb_host = source\ndb_port = 5432\ndb_replica_host = False\n",
                 "[options]\ndb_host = target.db.svc\ndb_port = 5433\ndb_replica_host = False\n"}));

TEST(OdooConf, UserAndPasswordAreReplacedWhereTheyAre) {
  Result<std::string> edited =
      EditOdooConf("[options]\ndb_user = was\ndb_password = p%w#d\ndb_host = h\ndb_port = 5432\n",
                   {"h", 5432, "is", "n%w;=:#"});
  ASSERT_TRUE(edited);
  EXPECT_EQ(*edited,
            "[options]\ndb_user = is\ndb_password = n%w;=:#\ndb_host = h\ndb_port = 5432\n");
}

TEST(OdooConf, UserIsNeverAddedAndPasswordOnlyWhenTold) {
  Result<std::string> silent = EditOdooConf("[options]\ndb_host = h\ndb_port = 1\n", kToTarget);
  EXPECT_EQ(silent->find("db_user"), std::string::npos);
  EXPECT_EQ(silent->find("db_password"), std::string::npos);
  Result<std::string> told =
      EditOdooConf("[options]\ndb_host = h\ndb_port = 1\n", {"h", 1, "u", "secret"});
  EXPECT_EQ(*told, "[options]\ndb_host = h\ndb_port = 1\ndb_password = secret\n");
}

TEST(OdooConf, ValuesThatTheFormatCannotHoldAreRefusedWithoutRepeatingThem) {
  for (const char* password : {"two\nlines", " leading", "trailing ", "cr\r", ""}) {
    Result<std::string> edited = EditOdooConf("[options]\n", {"h", 1, "u", password});
    ASSERT_FALSE(edited) << password;
    EXPECT_EQ(edited.error().disposition, Disposition::kTerminal);
    EXPECT_EQ(edited.error().reason, "InvalidValue");
    if (*password != '\0') {
      EXPECT_EQ(edited.error().message.find(password), std::string::npos);
    }
  }
}

struct ReadCase {
  const char* reason;
  const char* text;
  std::optional<std::string> host, port;
};

class OdooConfReading : public ::testing::TestWithParam<ReadCase> {};

TEST_P(OdooConfReading, SeesWhatConfigparserSees) {
  const ReadCase& c = GetParam();
  const OdooConnection connection = ReadOdooConf(c.text);
  EXPECT_EQ(connection.host, c.host) << c.reason;
  EXPECT_EQ(connection.port, c.port) << c.reason;
}

INSTANTIATE_TEST_SUITE_P(
    Table, OdooConfReading,
    ::testing::Values(
        ReadCase{"the last value wins", "[options]\ndb_host = a\ndb_host = b\n", "b", std::nullopt},
        ReadCase{"both separators", "[options]\ndb_host: a\ndb_port=1\n", "a", "1"},
        ReadCase{"the first separator ends the key", "[options]\ndb_host = a:b=c\n", "a:b=c",
                 std::nullopt},
        ReadCase{"comments do not count", "[options]\n#db_host = a\n ; db_port = 1\n", std::nullopt,
                 std::nullopt},
        ReadCase{"False and None are absence", "[options]\ndb_host = False\ndb_port = None\n",
                 std::nullopt, std::nullopt},
        ReadCase{"other sections do not count", "[other]\ndb_host = a\n", std::nullopt,
                 std::nullopt},
        ReadCase{"a default counts where the section is silent",
                 "[DEFAULT]\ndb_host = a\ndb_port = 1\n[options]\ndb_port = 2\n", "a", "2"},
        ReadCase{"keys before any section do not count", "db_host = a\n", std::nullopt,
                 std::nullopt},
        ReadCase{"a continuation belongs to its key", "[options]\ndb_host = a\n  b\n", "a\nb",
                 std::nullopt}));

TEST(OdooConf, RestoringKeepsWhatSomebodyElseWroteMeanwhile) {
  const std::string original = "[options]\ndb_host = source\nworkers = 2\ndb_user = u\n";
  const std::string current =
      "[options]\ndb_host = target\ndb_port = 5433\nworkers = 8\nproxy_mode = True\ndb_user = u\n";
  EXPECT_EQ(RestoreOdooConf(current, original),
            "[options]\ndb_host = source\nworkers = 8\nproxy_mode = True\ndb_user = u\n");
}

TEST(OdooConf, RestoringPutsBackAKeyThatSomebodyRemoved) {
  EXPECT_EQ(
      RestoreOdooConf("[options]\nworkers = 8\n", "[options]\ndb_host = False\nworkers = 2\n"),
      "[options]\ndb_host = False\nworkers = 8\n");
}

// Found by fuzzing: the line without `=` makes the lines after it part of the key before it.
TEST(OdooConf, AFileThatOdooCannotReadIsRefusedInsteadOfEditedWrongly) {
  auto edited = EditOdooConf(
      "[options]\n  db_replica_host = r\n  db_replica_port = 5433\npg\n  more\n", kToTarget);
  ASSERT_FALSE(edited) << *edited;
  EXPECT_EQ(edited.error().reason, "UnreadableOdooConf");
  EXPECT_EQ(edited.error().disposition, Disposition::kTerminal);
}

// Found by fuzzing, too: a last line without an end that goes with the value it continues.
TEST(OdooConf, AContinuedLastLineWithoutAnEndIsTakenBackByteForByte) {
  const std::string original = "[options]\ndb_host = a\n b";
  auto edited = EditOdooConf(original, kToTarget);
  ASSERT_TRUE(edited);
  EXPECT_EQ(*edited, "[options]\ndb_host = target.db.svc\ndb_port = 5433\n");
  EXPECT_EQ(RestoreOdooConf(*edited, original), original);
}

// Found by fuzzing, again: a new line's "\r" and the blank line after it became one line end.
TEST(OdooConf, MixedLineEndsAreTakenBackByteForByte) {
  const std::string original = "# old Mac\r[options]\ndb_host = a\n\nworkers = 2\n";
  auto edited = EditOdooConf(original, kToTarget);
  ASSERT_TRUE(edited);
  EXPECT_EQ(RestoreOdooConf(*edited, original), original);
}

}  // namespace
}  // namespace cutover::wiring
