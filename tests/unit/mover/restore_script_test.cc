// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/restore_script.h"

#include <gtest/gtest.h>

#include <set>
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

TEST(RestoreScript, SplitsAlikeWhateverThePiecesItComesIn) {
  const std::set<int> known = {216, 300, 3423};
  auto whole = SplitScript(kScript, known);
  ASSERT_TRUE(whole) << whole.error().message;
  const std::string_view script = kScript;
  for (size_t size = 1; size < 200; ++size) {
    ScriptSplitter splitter(known);
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
  auto split = SplitScript(kScript, {216, 300, 3423});
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
  auto split = SplitScript(kScript, {216, 300, 3423});
  ASSERT_TRUE(split);
  EXPECT_NE(split->items[1].sql.find("-- TOC entry 999"), std::string::npos);
  EXPECT_NE(split->items[1].sql.find("select 'x' $$;"), std::string::npos);
}

TEST(RestoreScript, LeavesOutWhatOnlyPsqlOrOneServerKnows) {
  auto split = SplitScript(kScript, {216, 300, 3423});
  ASSERT_TRUE(split);
  for (const RestoreItem& item : split->items) {
    EXPECT_EQ(item.sql.find("restrict"), std::string::npos);
    EXPECT_EQ(item.sql.find("pg_attver"), std::string::npos);
  }
  EXPECT_NE(split->items[0].sql.find("ALTER TABLE public.p OWNER TO admin;"), std::string::npos);
}

TEST(RestoreScript, RefusesWhatIsNoScript) {
  auto split = SplitScript("pg_restore: error", {1});
  ASSERT_FALSE(split);
  EXPECT_EQ(split.error().reason, "ArchiveUnreadable");
}

TEST(RestoreScript, ReadsTheIdsOfAListing) {
  auto ids = ParseTocIds(
      ";\n; Archive created at 2026-11-21 13:31:33 UTC\n;     TOC Entries: 3\n;\n"
      "216; 1259 16475 TABLE public p admin\n3422; 0 0 COMMENT public TABLE p admin\n"
      ";\tdepends on: 216\n");
  ASSERT_TRUE(ids);
  EXPECT_EQ(*ids, (std::set<int>{216, 3422}));
}

TEST(RestoreScript, RefusesAListingItDoesNotUnderstand) {
  EXPECT_FALSE(ParseTocIds("nothing"));
  EXPECT_FALSE(ParseTocIds("; Archive created at x\nTABLE p\n"));
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
