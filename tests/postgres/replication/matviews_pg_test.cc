// SPDX-License-Identifier: Apache-2.0
// Materialized views that are refreshed during a move: seen on the source, done again on the
// target.
#include "postgres/matviews.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/postgres/replication/streaming.h"

namespace cutover::pg {
namespace {

using namespace std::chrono_literals;
using testing::AwaitCountsOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Must;
using testing::MustConnect;
using testing::MustExec;
using testing::MustRead;
using testing::Servers;
using testing::Soon;
using testing::Streaming;
using testing::TestDatabase;
using testing::WaitUntil;
using enum Direction;

// "b" reads "a", and is the older of the two: by name and by age it would come first.
const std::vector<std::string> kViews = {
    "CREATE TABLE public.t (id int PRIMARY KEY, word text)",
    "INSERT INTO public.t VALUES (1, 'one')",
    "CREATE VIEW public.late AS SELECT 0 AS n",
    "CREATE MATERIALIZED VIEW public.b AS SELECT n FROM public.late",
    "CREATE MATERIALIZED VIEW public.z AS SELECT count(*) AS n FROM public.t",
    "CREATE OR REPLACE VIEW public.late AS SELECT n::int FROM public.z",
    "REFRESH MATERIALIZED VIEW public.b",
    "CREATE MATERIALIZED VIEW public.\"Odd \"\"one\" AS SELECT id FROM public.t",
    "CREATE UNIQUE INDEX ON public.\"Odd \"\"one\" (id)",
    "CREATE MATERIALIZED VIEW public.empty AS SELECT 1 WITH NO DATA",
};

std::vector<std::string> NamesOf(const std::vector<Matview>& views) {
  std::vector<std::string> names;
  for (const Matview& view : views) names.push_back(view.name);
  return names;
}

class MatviewsTest : public ::testing::TestWithParam<int> {
 protected:
  MatviewsTest() {
    MustExec(source_, kViews);
    AwaitCounts();
    EXPECT_TRUE(ClaimEpoch({}, Soon(), source_, claim_));
    auto views = ReadMatviews({}, Soon(), source_);
    EXPECT_TRUE(views);
    Must(WithEpoch({}, Soon(), source_, claim_,
                   [&](Transaction& transaction, const Control&) {
                     return RecordMatviews({}, Soon(), transaction, *views);
                   }),
         "record");
  }
  MatviewsSince Since() {
    auto since = CompareMatviews({}, Soon(), source_);
    EXPECT_TRUE(since) << since.error().message;
    return since ? *since : MatviewsSince();
  }
  void Note(const Matview& view, const std::string& trouble = "") {
    Must(NoteMatview({}, Soon(), source_, claim_, view, RealClock().WallNow(), trouble), "note");
  }

  /// What was written before is counted a moment later; a view seems to be refreshed once more
  /// then.
  void AwaitCounts() { AwaitCountsOf(source_); }
  void NoteAll() {
    for (const Matview& view : Since().stale) Note(view);
  }

  const Claim claim_{"views", 1, Side::kSource};
  const ConnectOptions& server_ = Servers().OfMajor(GetParam());
  TestDatabase database_{server_, server_.user};
  Connection source_ = MustConnect(database_.Options());
};

INSTANTIATE_TEST_SUITE_P(OnMajor, MatviewsTest, ::testing::Values(13, 18),
                         [](const auto& major) { return std::to_string(major.param); });

TEST_P(MatviewsTest, NoneIsStaleBeforeItIsRefreshed) {
  EXPECT_THAT(Since().stale, IsEmpty());
  MustExec(source_, {"INSERT INTO public.t VALUES (2, 'two')", "ANALYZE"});
  EXPECT_THAT(Since().stale, IsEmpty()) << "its rows are as they were";
}

TEST_P(MatviewsTest, EveryWayToRefreshIsSeenAndThoseThatAreReadComeFirst) {
  MustExec(source_, {"REFRESH MATERIALIZED VIEW public.b", "REFRESH MATERIALIZED VIEW public.z"});
  EXPECT_THAT(NamesOf(Since().stale), ElementsAre(R"("public"."z")", R"("public"."b")"));
  AwaitCounts();
  NoteAll();
  EXPECT_THAT(Since().stale, IsEmpty());
  EXPECT_EQ(Since().refreshed, 2);
  EXPECT_TRUE(Since().refreshed_at);
  // In its file as before.
  MustExec(source_, {"INSERT INTO public.t VALUES (2, 'two')",
                     "REFRESH MATERIALIZED VIEW CONCURRENTLY public.\"Odd \"\"one\""});
  WaitUntil([this] { return !Since().stale.empty(); }, "the counts arrive");
  EXPECT_THAT(NamesOf(Since().stale), ElementsAre(R"("public"."Odd ""one")"));
}

TEST_P(MatviewsTest, OneThatCannotBeRefreshedIsNamedUntilItIsRefreshedAgain) {
  MustExec(source_, {"REFRESH MATERIALIZED VIEW public.z"});
  AwaitCounts();
  Note(Since().stale.at(0), "took too long");
  EXPECT_THAT(Since().stale, IsEmpty());
  EXPECT_EQ(Since().refreshed, 0);
  EXPECT_THAT(Since().trouble, HasSubstr(R"("public"."z": took too long)"));
  MustExec(source_, {"REFRESH MATERIALIZED VIEW public.z"});
  Note(Since().stale.at(0));
  EXPECT_EQ(Since().trouble, "");
}

TEST_P(MatviewsTest, OneThatIsNotFilledIsLeftAlone) {
  MustExec(source_, {"REFRESH MATERIALIZED VIEW public.b WITH NO DATA"});
  EXPECT_THAT(Since().stale, IsEmpty());
}

TEST_P(MatviewsTest, ARefreshBringsWhatIsThereAndOneThatTakesTooLongChangesNothing) {
  MustExec(source_, {"INSERT INTO public.t VALUES (2, 'two')",
                     "CREATE MATERIALIZED VIEW public.slow AS SELECT count(*) AS n, pg_sleep("
                     "CASE WHEN count(*) > 2 THEN 60 ELSE 0 END) IS NULL AS slept FROM public.t"});
  Must(RefreshMatview({}, Soon(), source_, R"("public"."z")", 60s), "refresh");
  Must(RefreshMatview({}, Soon(), source_, R"("public"."Odd ""one")", 60s), "refresh");
  EXPECT_EQ(MustRead(source_, "SELECT n FROM public.z")[0], "2");
  EXPECT_EQ(MustRead(source_, "SELECT count(*) FROM public.\"Odd \"\"one\"")[0], "2");
  MustExec(source_, {"INSERT INTO public.t VALUES (3, 'three')"});
  Status done = RefreshMatview({}, Soon(), source_, R"("public"."slow")", 200ms);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().reason, "Cancelled");
  EXPECT_EQ(MustRead(source_, "SELECT n FROM public.slow")[0], "2");
  EXPECT_EQ(MustRead(source_, "SHOW statement_timeout")[0], "0");
}

TEST_P(MatviewsTest, WhoReadsAViewGoesOnWhileItIsRefreshedIfAnIndexAllowsForIt) {
  MustExec(source_,
           {"CREATE MATERIALIZED VIEW public.slow AS SELECT id FROM public.t WHERE"
            " CASE WHEN id > 1 THEN pg_advisory_xact_lock(4711) IS NOT NULL ELSE true END",
            "CREATE UNIQUE INDEX ON public.slow (id)", "INSERT INTO public.t VALUES (2, 'two')"});
  Connection worker = MustConnect(database_.Options());
  MustExec(source_, {"SELECT pg_advisory_lock(4711)"});  // Until it has read.
  std::thread refreshing(
      [&] { Must(RefreshMatview({}, Soon(), worker, R"("public"."slow")", 60s), "refresh"); });
  WaitUntil(
      [this] {
        return MustRead(source_,
                        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE"
                        " 'REFRESH MATERIALIZED VIEW CONC%slow%' AND wait_event = 'advisory'"
                        " AND datname = current_database()")[0] == "1";
      },
      "the refresh runs");
  MustExec(source_, {"SET statement_timeout = '30s'"});
  EXPECT_EQ(MustRead(source_, "SELECT count(*) FROM public.slow")[0], "1");
  MustExec(source_, {"SELECT pg_advisory_unlock(4711)"});
  refreshing.join();
  EXPECT_EQ(MustRead(source_, "SELECT count(*) FROM public.slow")[0], "2");
}

// Rogue writes are read from the target's log, in which a refresh stands, too.
TEST(Matviews, ARefreshOfTheTargetIsNoRogueWriteAndStopsNoStream) {
  Streaming move;
  move.OnBoth(kViews);
  MustExec(move.target, {"DELETE FROM public.t"});
  move.Follow(kForward);
  move.PreparePublisher(kReverse);
  MustExec(move.source, {"INSERT INTO public.t VALUES (2, 'two'), (3, 'three')",
                         "REFRESH MATERIALIZED VIEW public.z"});
  move.Settle(kForward);
  for (const char* name : {R"("public"."z")", R"("public"."Odd ""one")"})
    Must(RefreshMatview({}, Soon(), move.target, name, 60s), name);
  EXPECT_EQ(MustRead(move.target, "SELECT n FROM public.z")[0], "2");
  EXPECT_EQ(MustRead(move.target, "SELECT count(*) FROM public.\"Odd \"\"one\"")[0], "2");
  const RogueWrites found = move.FindRogue();
  EXPECT_EQ(found.transactions, 0) << found.first_table;
  move.Settle(kForward);
}

}  // namespace
}  // namespace cutover::pg
