// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/restore_script.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace cutover::mover {
namespace {

constexpr char kScript[] = R"(--
-- PostgreSQL database dump
--

\restrict AbC123

SET transaction_timeout = 0;

--
-- TOC entry 216 (class 1259 OID 16475)
-- Name: p; Type: TABLE; Schema: public; Owner: admin
-- Data Pos: 0
--

CREATE TABLE public.p (
    a integer NOT NULL
);
ALTER TABLE ONLY public.p ALTER COLUMN a SET (pg_attver=26597288);


ALTER TABLE public.p OWNER TO admin;

--
-- TOC entry 300 (class 1255 OID 16500)
-- Dependencies: 216 7
-- Name: f(); Type: FUNCTION; Schema: public; Owner: o; Type: x
-- Data Pos: 0
--

CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $$
--
-- TOC entry 999 (class 1259 OID 1)
-- Name: fake; Type: TABLE; Schema: public; Owner: admin
--
select 'x' $$;


--
-- TOC entry 3423 (class 0 OID 0)
-- Dependencies: 216
-- Name: TABLE p; Type: ACL; Schema: public; Owner: admin
-- Data Pos: 0
--

GRANT SELECT ON TABLE public.p TO tenant;


-- Completed on 2026-11-21 13:31:33 UTC

--
-- PostgreSQL database dump complete
--

\unrestrict AbC123

)";

const TableOfContents& Contents() {
  static const TableOfContents contents = {
      {216, "1259 16475 TABLE public p admin"},
      {300, "1255 16500 FUNCTION public f() o; Type: x"},
      {3423, "0 0 ACL public TABLE p admin"},
  };
  return contents;
}

/// kScript with `text` instead of the function's body, quotes and all.
std::string WithBody(const std::string& text) {
  std::string script = kScript;
  const size_t begin = script.find("$$");
  const size_t end = script.find("$$;", begin) + 2;
  return script.replace(begin, end - begin, text);
}

/// An entry of kScript, to the letter, which anybody can get who may dump the database.
constexpr char kForged[] = R"(
--
-- TOC entry 3423 (class 0 OID 0)
-- Dependencies: 216
-- Name: TABLE p; Type: ACL; Schema: public; Owner: admin
-- Data Pos: 0
--

CREATE ROLE evil SUPERUSER;
)";

TEST(RestoreScript, SplitsAlikeWhateverThePiecesItComesIn) {
  auto whole = SplitScript(kScript, Contents());
  ASSERT_TRUE(whole) << whole.error().message;
  const std::string_view script = kScript;
  for (size_t size = 1; size < 200; ++size) {
    ScriptSplitter splitter(Contents());
    for (size_t at = 0; at < script.size(); at += size) splitter.Take(script.substr(at, size));
    auto split = splitter.Finish();
    ASSERT_TRUE(split) << size;
    EXPECT_EQ(split->preamble, whole->preamble) << size;
    ASSERT_EQ(split->items.size(), whole->items.size()) << size;
    for (size_t i = 0; i < whole->items.size(); ++i)
      EXPECT_EQ(split->items[i].sql, whole->items[i].sql) << size;
  }
}

TEST(RestoreScript, SplitsAtItsAnnouncements) {
  auto split = SplitScript(kScript, Contents());
  ASSERT_TRUE(split) << split.error().message;
  ASSERT_EQ(split->items.size(), 3u);
  const RestoreItem& table = split->items[0];
  EXPECT_EQ(table.dump_id, 216);
  EXPECT_EQ(table.class_oid, 1259u);
  EXPECT_EQ(table.object_oid, 16475u);
  EXPECT_EQ(table.Describe(), "TABLE public.p");
  EXPECT_EQ(table.owner, "admin");
  EXPECT_EQ(split->items[1].depends_on, (std::vector<int>{216, 7}));
  EXPECT_EQ(split->items[2].type, "ACL");
  EXPECT_EQ(split->items[2].sql, "\nGRANT SELECT ON TABLE public.p TO tenant;\n\n\n");
}

TEST(RestoreScript, AFunctionThatLooksLikeAnAnnouncementStaysWhole) {
  auto split = SplitScript(kScript, Contents());
  ASSERT_TRUE(split);
  EXPECT_NE(split->items[1].sql.find("-- TOC entry 999"), std::string::npos);
  EXPECT_NE(split->items[1].sql.find("select 'x' $$;"), std::string::npos);
}

TEST(RestoreScript, AnEntryThatIsForgedInAnyKindOfQuotesIsOnlyText) {
  const std::string forged = kForged;
  const std::string bodies[] = {
      "$$" + forged + "$$",
      "$_$ $1 $$ '" + forged + "$_$",
      "'it''s" + forged + "'",
      "E'it\\'s" + forged + "'",
      "e'" + forged + "\\\\'",
      "'' AS \"a\"\"b'" + forged + "\"",
      "'' /* it's /* nested */" + forged + "*/",
      "'' SET x TO 'a', '" + forged + "'",
      "$$a$$ SUPPORT $a$ $$ $" + forged + "$b$ $a$",
      "U&'\\0441" + forged + "'",
      "'' - /**/ $1 / a$b$ -- it's\n+ $$" + forged + "$$",
  };
  for (const std::string& body : bodies) {
    const std::string script = WithBody(body);
    for (const size_t size : {size_t{1}, size_t{7}, script.size()}) {
      ScriptSplitter splitter(Contents());
      for (size_t at = 0; at < script.size(); at += size)
        splitter.Take(std::string_view(script).substr(at, size));
      auto split = splitter.Finish();
      ASSERT_TRUE(split) << body << split.error().message;
      ASSERT_EQ(split->items.size(), 3u) << body;
      EXPECT_NE(split->items[1].sql.find(body + ";\n"), std::string::npos) << body;
      EXPECT_EQ(split->items[2].sql, "\nGRANT SELECT ON TABLE public.p TO tenant;\n\n\n") << body;
    }
  }
}

TEST(RestoreScript, NamesThatHoldLabelsAreReadAsTheTableOfContentsHasThem) {
  std::string script = kScript;
  const std::string before = "-- Name: TABLE p; Type: ACL; Schema: public; Owner: admin\n";
  script.replace(script.find(before), before.size(),
                 "-- Name: TABLE p; Type: x; Schema: y; Owner: z; Type: ACL; Schema: a; Owner: b; "
                 "Owner: o; Schema: -; Owner: x\n");
  TableOfContents contents = Contents();
  contents[3423] =
      "0 0 ACL a TABLE p; Type: x; Schema: y; Owner: z b; Owner: o; Schema: -; Owner: x";
  auto split = SplitScript(script, contents);
  ASSERT_TRUE(split) << split.error().message;
  const RestoreItem& item = split->items.at(2);
  EXPECT_EQ(item.name, "TABLE p; Type: x; Schema: y; Owner: z");
  EXPECT_EQ(item.type, "ACL");
  EXPECT_EQ(item.schema, "a");
  EXPECT_EQ(item.owner, "b; Owner: o; Schema: -; Owner: x");
}

TEST(RestoreScript, IsRefusedWhenAnEntryComesTwiceOrNeverOrAsAnother) {
  struct Case {
    const char* reason;
    std::string script;
    const char* says;
  };
  std::string renamed = kScript, another = kScript;
  renamed.replace(renamed.find("Name: TABLE p;"), 14, "Name: TABLE q;");
  another.replace(another.find("class 0 OID 0"), 13, "class 7 OID 0");
  const Case cases[] = {
      {"twice", WithBody(std::string("'';") + kForged), "3423, ACL public.TABLE p, comes twice"},
      {"never", WithBody("'"), "3423, 0 0 ACL public TABLE p admin, is not in its script"},
      {"of another name", renamed, "is another in its table of contents"},
      {"of another catalog", another, "is another in its table of contents"},
  };
  for (const Case& test : cases) {
    auto split = SplitScript(test.script, Contents());
    ASSERT_FALSE(split) << test.reason;
    EXPECT_EQ(split.error().reason, "ArchiveUnreadable");
    EXPECT_EQ(split.error().disposition, Disposition::kTerminal);
    EXPECT_NE(split.error().message.find(test.says), std::string::npos) << split.error().message;
  }
}

TEST(RestoreScript, WhatIsReplacedForOtherMajorsIsNeverATenantsText) {
  const std::string bodies[] = {
      "$$CREATE TABLE t (\n    NOT NULL a; CREATE ROLE evil SUPERUSER; --\n)$$",
      "$$ALTER TABLE t ALTER COLUMN a SET (pg_attver=1);\nCREATE ROLE evil SUPERUSER;\n$$",
  };
  for (const std::string& body : bodies) {
    auto split = SplitScript(WithBody(body), Contents());
    ASSERT_TRUE(split) << split.error().message;
    EXPECT_EQ(split->items[1].sql,
              "\nCREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS " + body + ";\n\n\n");
  }
}

TEST(RestoreScript, LeavesOutWhatOnlyPsqlOrOneServerKnows) {
  auto split = SplitScript(kScript, Contents());
  ASSERT_TRUE(split);
  for (const RestoreItem& item : split->items) {
    EXPECT_EQ(item.sql.find("restrict"), std::string::npos);
    EXPECT_EQ(item.sql.find("pg_attver"), std::string::npos);
  }
  EXPECT_NE(split->items[0].sql.find("ALTER TABLE public.p OWNER TO admin;"), std::string::npos);
}

TEST(RestoreScript, RefusesWhatIsNoScript) {
  auto split = SplitScript("pg_restore: error", Contents());
  ASSERT_FALSE(split);
  EXPECT_EQ(split.error().reason, "ArchiveUnreadable");
}

TEST(RestoreScript, ReadsTheEntriesOfAListing) {
  auto contents = ParseTableOfContents(
      ";\n; Archive created at 2026-11-21 13:31:33 UTC\n;     TOC Entries: 3\n;\n"
      "216; 1259 16475 TABLE public p admin\n3422; 0 0 COMMENT public TABLE p admin\n"
      ";\tdepends on: 216\n");
  ASSERT_TRUE(contents);
  EXPECT_EQ(*contents, (TableOfContents{{216, "1259 16475 TABLE public p admin"},
                                        {3422, "0 0 COMMENT public TABLE p admin"}}));
}

TEST(RestoreScript, RefusesAListingItDoesNotUnderstand) {
  EXPECT_FALSE(ParseTableOfContents("nothing"));
  EXPECT_FALSE(ParseTableOfContents("; Archive created at x\nTABLE p\n"));
  EXPECT_FALSE(
      ParseTableOfContents("; Archive created at x\n1; 0 0 ACL - a o\n1; 0 0 ACL - a o\n"));
}

TEST(AttributeVersions, AreTakenOutOfEveryPlaceTheyCanStandIn) {
  struct Case {
    const char* reason;
    const char* before;
    const char* after;
  };
  const Case cases[] = {
      {"alone: the statement goes", "A;\nALTER TABLE t ALTER COLUMN a SET (pg_attver=1);\nB;\n",
       "A;\nB;\n"},
      {"alone and first in the text", "ALTER TABLE t ALTER COLUMN a SET (pg_attver=1);\nB;\n",
       "B;\n"},
      {"a name with a newline", "A;\nALTER TABLE \"o\nd\" ALTER COLUMN a SET (pg_attver=1);\nB;\n",
       "A;\nB;\n"},
      {"before another option", "ALTER TABLE t ALTER COLUMN a SET (pg_attver=1, n_distinct=5);\n",
       "ALTER TABLE t ALTER COLUMN a SET (n_distinct=5);\n"},
      {"behind another option", "ALTER TABLE t ALTER COLUMN a SET (n_distinct=5, pg_attver=1);\n",
       "ALTER TABLE t ALTER COLUMN a SET (n_distinct=5);\n"},
      {"a tenant's own text", "SELECT 'pg_attver=1';\n", "SELECT 'pg_attver=1';\n"},
      {"in a literal that begins in another statement",
       "ALTER TABLE t ALTER COLUMN a OPTIONS (n 'x');\nCOMMENT ON TABLE t IS 'SET (pg_attver=1);\n"
       "CREATE ROLE evil; --';\n",
       "ALTER TABLE t ALTER COLUMN a OPTIONS (n 'x');\nCOMMENT ON TABLE t IS 'SET (pg_attver=1);\n"
       "CREATE ROLE evil; --';\n"},
      {"behind a name that says ALTER",
       "CREATE FUNCTION \"ALTER x\"() AS ' SET (pg_attver=1);\nx\"() AS ''''; CREATE ROLE evil; "
       "--';\n",
       "CREATE FUNCTION \"ALTER x\"() AS ' SET (pg_attver=1);\nx\"() AS ''''; CREATE ROLE evil; "
       "--';\n"},
      {"a column of that name", "ALTER TABLE t ADD CONSTRAINT c CHECK ((pg_attver=1));\n",
       "ALTER TABLE t ADD CONSTRAINT c CHECK ((pg_attver=1));\n"},
      {"a value in quotes", "ALTER TABLE t ALTER COLUMN a SET (pg_attver='1', n_distinct=5);\n",
       "ALTER TABLE t ALTER COLUMN a SET (n_distinct=5);\n"},
      {"two in a row",
       "A;\nALTER TABLE t ALTER COLUMN a SET (pg_attver=1);\n"
       "ALTER TABLE t ALTER COLUMN b SET (pg_attver=2);\n",
       "A;\n"},
  };
  for (const Case& test : cases)
    EXPECT_EQ(WithoutAttributeVersions(test.before), test.after) << test.reason;
}

}  // namespace
}  // namespace cutover::mover
