// SPDX-License-Identifier: Apache-2.0
#include "cli/view/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cutover::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Json File(const std::string& text) {
  return Json::Object({{"data", Json::Object({{"odoo.conf", text}})}});
}

std::string Rendered(const Json& before, const Json& after, bool is_secret = false) {
  Page page{Style{}};
  RenderDiff({"ConfigMap c", "then", "", HunksBetween(before, after, is_secret)}, 0, page);
  return page.Take();
}

TEST(Diff, ShowsTheLinesThatDifferAndNoOther) {
  EXPECT_EQ(Rendered(File("[options]\ndb_host = a\ndb_password = geheim\n"),
                     File("[options]\ndb_host = b\ndb_password = geheim\n")),
            "--- ConfigMap c\n"
            "+++ ConfigMap c, then\n"
            "@@ -2 +2 @@ .data[\"odoo.conf\"]\n"
            "-db_host = a\n"
            "+db_host = b\n");
}

TEST(Diff, ALineThatIsAddedOrTakenAwayLeavesThoseBelowAlone) {
  const Json without = File("one\ntwo\n"), with = File("one\nmore\nand more\ntwo\n");
  EXPECT_THAT(Rendered(without, with), HasSubstr("@@ -1,0 +2,2 @@"));
  EXPECT_THAT(Rendered(without, with), Not(HasSubstr("two")));
  EXPECT_THAT(Rendered(with, without), HasSubstr("@@ -2,2 +1,0 @@"));
}

TEST(Diff, StretchesApartAreApart) {
  const auto hunks = HunksBetween(File("a\nsame\nb\n"), File("A\nsame\nB\n"), false);
  EXPECT_THAT(hunks, ElementsAre(Hunk{".data[\"odoo.conf\"]", 1, 1, {"a"}, {"A"}},
                                 Hunk{".data[\"odoo.conf\"]", 3, 3, {"b"}, {"B"}}));
}

TEST(Diff, SaysWhichContainerAndWhichVariableByName) {
  auto deployment = [](const std::string& host) {
    Json variable = Json::Object({{"name", "HOST"}, {"value", host}});
    Json container = Json::Object({{"name", "odoo"}, {"env", Json::Array({variable})}});
    return Json::Object({{"containers", Json::Array({container})}});
  };
  EXPECT_THAT(HunksBetween(deployment("a"), deployment("b"), false),
              ElementsAre(Hunk{".containers[odoo].env[HOST].value", 1, 1, {"a"}, {"b"}}));
}

TEST(Diff, WhatIsNewHasNothingBefore) {
  const auto hunks = HunksBetween(Json(), Json::Object({{"port", 5432}}), false);
  EXPECT_THAT(hunks, ElementsAre(Hunk{".port", 1, 1, {}, {"5432"}}));
  EXPECT_THAT(Rendered(Json(), Json::Object({{"port", 5432}})), HasSubstr("@@ -0,0 +1 @@ .port"));
}

TEST(Diff, OfASecretHasItsKeysAndNoValue) {
  const Json before = Json::Object({{"data", Json::Object({{"uri", "Z2VoZWlt"}})}});
  const Json after = Json::Object({{"data", Json::Object({{"uri", "YW5kZXJz"}, {"port", "NTQ"}})}});
  const std::string text = Rendered(before, after, true);
  EXPECT_THAT(text, HasSubstr(".data.uri\n-(not shown)\n+(another, not shown)"));
  EXPECT_THAT(text, HasSubstr("@@ -0,0 +1 @@ .data.port\n+(not shown)"));
  for (const char* value : {"Z2VoZWlt", "YW5kZXJz", "NTQ"})
    EXPECT_THAT(text, Not(HasSubstr(value)));
}

TEST(Diff, NeverShowsThePasswordOfAUri) {
  const Json before = Json::Object({{"value", "postgresql://u:geheim@a/db"}});
  const Json after = Json::Object({{"value", "postgresql://u:geheim@b/db"}});
  EXPECT_THAT(
      HunksBetween(before, after, false),
      ElementsAre(Hunk{".value", 1, 1, {"postgresql://u:...@a/db"}, {"postgresql://u:...@b/db"}}));
}

TEST(Diff, ShowsNoSecretSettingThatChanges) {
  const std::string text = Rendered(File("admin_passwd = geheim eins\ndb_host = a\n"),
                                    File("admin_passwd = geheim zwei\ndb_host = b\n"));
  EXPECT_THAT(text, HasSubstr("-admin_passwd = (removed)\n"));
  EXPECT_THAT(text, HasSubstr("+db_host = b\n"));
  for (const char* value : {"geheim", "eins", "zwei"}) EXPECT_THAT(text, Not(HasSubstr(value)));
}

TEST(Diff, ShowsNoValueWhoseOwnNameSaysThatItIsSecret) {
  auto container = [](const std::string& value) {
    Json variable = Json::Object({{"name", "PGPASSWORD"}, {"value", value}});
    return Json::Object({{"env", Json::Array({variable})}});
  };
  EXPECT_THAT(
      HunksBetween(container("geheim"), container("anders"), false),
      ElementsAre(Hunk{".env[PGPASSWORD].value", 1, 1, {"(not shown)"}, {"(another, not shown)"}}));
}

std::string Numbered(size_t lines, const std::string& each) {
  std::string text;
  for (size_t i = 1; i <= lines; ++i) text += each + std::to_string(i) + "\n";
  return text;
}

TEST(Diff, OfALongFileShowsTheOneLineThatDiffers) {
  const std::string above = Numbered(1500, "above "), below = Numbered(1499, "below ");
  EXPECT_THAT(
      HunksBetween(File(above + "db_host = a\n" + below), File(above + "db_host = b\n" + below),
                   false),
      ElementsAre(Hunk{".data[\"odoo.conf\"]", 1501, 1501, {"db_host = a"}, {"db_host = b"}}));
  EXPECT_THAT(HunksBetween(File(above + below), File(above + "more\n" + below), false),
              ElementsAre(Hunk{".data[\"odoo.conf\"]", 1501, 1501, {}, {"more"}}));
  EXPECT_THAT(HunksBetween(File(above + "same\n"), File(above + "same\nsame\n"), false),
              ElementsAre(Hunk{".data[\"odoo.conf\"]", 1502, 1502, {}, {"same"}}));
}

TEST(Diff, OfALongFileThatIsAnotherSaysHowManyLinesDifferAndShowsNone) {
  EXPECT_EQ(Rendered(File("[options]\n" + Numbered(3000, "before ")),
                     File("[options]\n" + Numbered(2990, "after "))),
            "--- ConfigMap c\n"
            "+++ ConfigMap c, then\n"
            "@@ -2 +2 @@ .data[\"odoo.conf\"]\n"
            "up to 3000 lines differ from there on, too many to compare them one by one\n");
}

TEST(Diff, IsEmptyWhereNothingChanges) {
  EXPECT_EQ(Rendered(File("a"), File("a")), "");
  Json newer = File("a");
  newer.Set("metadata", Json::Object({{"resourceVersion", "2"}}));
  Json older = File("a");
  older.Set("metadata", Json::Object({{"resourceVersion", "1"}}));
  EXPECT_EQ(Rendered(older, newer), "");
}

}  // namespace
}  // namespace cutover::cli
