// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/samples.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "operator/api/field_writer.h"
#include "reconcilers/migration/status.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using api::Sample;
using std::chrono::seconds;
using testing::At;
using testing::MigrationIn;
using testing::Noon;

Sample OfCopy(WallTime time) { return {time, 1'000'000, {}}; }
Sample OfLag(WallTime time) { return {time, {}, 4096}; }

bool IsOfCopy(const Sample& sample) { return sample.copied_bytes.has_value(); }

std::vector<WallTime> TimesOf(const std::vector<Sample>& samples, bool of_copy) {
  std::vector<WallTime> times;
  for (const Sample& sample : samples)
    if (IsOfCopy(sample) == of_copy) times.push_back(sample.time);
  return times;
}

/// The least and the greatest distance of neighbours.
std::pair<WallTime::duration, WallTime::duration> GapsOf(const std::vector<WallTime>& times) {
  WallTime::duration least = WallTime::duration::max(), greatest{};
  for (size_t i = 1; i < times.size(); ++i) {
    least = std::min(least, times[i] - times[i - 1]);
    greatest = std::max(greatest, times[i] - times[i - 1]);
  }
  return {least, greatest};
}

// --- the series --------------------------------------------------------------------------------

TEST(Samples, OfOneCurveAreTenSecondsApartHoweverOftenTheyCome) {
  std::vector<Sample> samples;
  for (int second = 0; second <= 100; second += 2) AddSample(OfCopy(At(second).now), samples);
  const std::vector<WallTime> times = TimesOf(samples, true);
  EXPECT_EQ(times.size(), 11u);
  EXPECT_EQ(GapsOf(times),
            std::pair(WallTime::duration(seconds(10)), WallTime::duration(seconds(10))));
}

TEST(Samples, AreNeverMoreThanTheApiAdmitsHoweverLongAMoveTakes) {
  std::vector<Sample> samples;
  for (int second = 0; second < 7 * 86400; second += 5) {
    AddSample(OfLag(At(second).now), samples);
    ASSERT_LE(samples.size(), api::kSamplesMax);
  }
  EXPECT_GT(samples.size(), api::kSamplesMax / 2);
  EXPECT_EQ(samples.front().time, At(0).now) << "a curve goes on beginning where it began";
}

TEST(Samples, AreTwiceAsFarApartEachTimeThatThereWereTooMany) {
  std::vector<Sample> samples;
  WallTime::duration spacing = seconds(10);
  int doublings = 0;
  for (int second = 0; second < 86400; ++second) {
    const size_t before = samples.size();
    AddSample(OfLag(At(second).now), samples);
    if (samples.size() < before) {
      spacing *= 2;
      ++doublings;
    }
    if (samples.size() < 2) continue;
    ASSERT_EQ(GapsOf(TimesOf(samples, false)), std::pair(spacing, spacing)) << second;
  }
  EXPECT_EQ(doublings, 8) << "600 seconds fit at first, and a day is 144 times that";
}

// Progress is recorded by the rounds of the operator, whose pace is not that of samples.
TEST(Samples, AreOfOneDensityAlsoWhenWhatTheyRideOnIsIrregular) {
  std::vector<Sample> samples;
  int64_t milliseconds = 0;
  for (int i = 0; i < 30'000; ++i) {
    milliseconds += 2'000 + (i * 7919) % 3'000;
    AddSample(OfLag(Noon() + std::chrono::milliseconds(milliseconds)), samples);
  }
  const auto [least, greatest] = GapsOf(TimesOf(samples, false));
  EXPECT_LT(greatest, 2 * least);
}

TEST(Samples, DaysOfHypercareLeaveTheCurveOfTheCopy) {
  std::vector<Sample> samples;
  int second = 0;
  for (; second < 3600; second += 2) AddSample(OfCopy(At(second).now), samples);
  for (; second < 3 * 86400; second += 5) AddSample(OfLag(At(second).now), samples);
  EXPECT_LE(samples.size(), api::kSamplesMax);
  const std::vector<WallTime> copy = TimesOf(samples, true), lag = TimesOf(samples, false);
  EXPECT_GE(copy.size(), 15u);
  EXPECT_GT(copy.back() - copy.front(), seconds(3000)) << "from its beginning to its end";
  EXPECT_GE(lag.size(), 15u);
}

TEST(Samples, OfACurveThatBeginsAreDenseWhateverTheOtherHasComeTo) {
  std::vector<Sample> samples;
  int second = 0;
  for (; second < 86400; second += 2) AddSample(OfCopy(At(second).now), samples);
  const int began = second + 10;
  for (second = began; second < began + 100; second += 5) AddSample(OfLag(At(second).now), samples);
  EXPECT_EQ(TimesOf(samples, false).size(), 10u);
}

// A pause in between, for a person or without an operator, is not the distance of samples.
TEST(Samples, AreAsDenseAfterALongPauseAsBefore) {
  std::vector<Sample> samples;
  for (int second : {0, 86400, 86410, 86420}) AddSample(OfLag(At(second).now), samples);
  EXPECT_EQ(samples.size(), 4u);
}

TEST(Samples, OfTheTwoCurvesAreTenSecondsApartFromEachOther) {
  std::vector<Sample> samples;
  AddSample(OfCopy(At(0).now), samples);
  AddSample(OfLag(At(9).now), samples);
  EXPECT_EQ(samples.size(), 1u);
  AddSample(OfLag(At(10).now), samples);
  EXPECT_EQ(samples.size(), 2u);
}

TEST(Samples, ALeaderWhoseClockIsBehindAddsNoneUntilItHasCaughtUp) {
  std::vector<Sample> samples;
  AddSample(OfLag(At(100).now), samples);
  AddSample(OfLag(At(40).now), samples);
  AddSample(OfLag(At(101).now), samples);
  EXPECT_EQ(samples.size(), 1u);
  AddSample(OfLag(At(110).now), samples);
  EXPECT_EQ(samples.size(), 2u);
}

// --- in status ---------------------------------------------------------------------------------

/// A migration that is looked at as often as a test says, by one leader or by many.
class SamplesInStatus : public ::testing::Test {
 protected:
  SamplesInStatus() { migration_.spec.strategy = api::Strategy::kOnline; }

  void Enter(Phase phase) { migration_.status.phase = phase; }

  void Look(Observation seen, Plan plan = Plan::Wait(seconds(1), "going on")) {
    Decision decision;
    decision.plan = std::move(plan);
    decision.handled = migration_.status.handled;
    migration_.status = Advance(migration_, seen, decision);
  }

  /// The copy has come so far.
  static Observation Copied(int second, int64_t bytes) {
    Observation seen = At(second);
    CopyProgress copy;
    copy.bytes_done = bytes;
    copy.bytes_total = 1'000'000'000;
    seen.copy_progress = std::optional<CopyProgress>(copy);
    return seen;
  }
  /// Both streams are there, and each is so far behind.
  static Observation Behind(int second, int64_t forward_bytes, int64_t reverse_bytes) {
    Observation seen = At(second);
    PublisherFacts publisher;
    publisher.slot = publisher.published = true;
    publisher.lag_bytes = forward_bytes;
    seen.forward_publisher = publisher;
    publisher.lag_bytes = reverse_bytes;
    seen.reverse_publisher = publisher;
    seen.forward_subscriber = seen.reverse_subscriber = SubscriberFacts{};
    return seen;
  }

  const std::vector<Sample>& samples() const { return migration_.status.samples; }

  api::TenantMigration migration_ = MigrationIn(Phase::kCopying);
};

TEST_F(SamplesInStatus, AreOfTheCopyAndThenOfTheStreamInTheDirectionThatIsLive) {
  Look(Copied(0, 0));
  Look(Copied(10, 5'000'000));
  Enter(Phase::kCatchingUp);
  Look(Behind(20, 700, 1));
  Enter(Phase::kHypercare);
  Look(Behind(40, 1, 90));
  const std::vector<Sample> expected = {
      {At(0).now, 0, {}}, {At(10).now, 5'000'000, {}}, {At(20).now, {}, 700}, {At(40).now, {}, 90}};
  EXPECT_EQ(samples(), expected);
}

TEST_F(SamplesInStatus, ComeWithTheRowsThatWereCopiedSoFarAndAtTheEndInAll) {
  Observation seen = Copied(0, 5'000'000);
  CopyProgress copy = **seen.copy_progress;
  copy.rows_done = 700;
  seen.copy_progress = std::optional<CopyProgress>(copy);
  Look(seen);
  EXPECT_EQ(migration_.status.progress.rows_copied, 700);
  CopyResult result;
  result.attempt = migration_.status.attempt;
  result.rows = 1000;
  seen = At(1);
  seen.copy_result = std::optional<CopyResult>(result);
  Look(seen);
  EXPECT_EQ(migration_.status.progress.rows_copied, 1000);
}

TEST_F(SamplesInStatus, AreNotTakenWhileAPersonOrTheDoorsAreWaitedFor) {
  for (Phase phase : testing::kAllPhases) {
    if (phase == Phase::kCatchingUp || phase == Phase::kHypercare || phase == Phase::kCopying)
      continue;
    migration_ = MigrationIn(phase);
    Look(Behind(100, 700, 90));
    EXPECT_TRUE(samples().empty()) << Name(phase);
  }
}

TEST_F(SamplesInStatus, AreNotTakenOfWhatIsUnknown) {
  Enter(Phase::kHypercare);
  Look(At(0));
  Look(testing::NothingReadableAt(20));
  EXPECT_TRUE(samples().empty());
}

// Looked at at a pace that is neither that of progress nor that of samples.
TEST_F(SamplesInStatus, CauseNoWrite) {
  constexpr int kLooks = 3000;
  int writes = 0;
  for (int look = 0; look < kLooks; ++look) {
    const api::TenantMigrationStatus before = migration_.status;
    const bool copying = look < kLooks / 2;
    if (!copying) Enter(Phase::kHypercare);
    Observation seen = copying ? Copied(0, look) : Behind(0, 0, look);
    seen.now += look * std::chrono::milliseconds(1200);
    Look(seen);
    if (migration_.status.samples == before.samples) continue;
    ++writes;
    api::TenantMigrationStatus without = migration_.status;
    without.samples = before.samples;
    EXPECT_NE(without, before) << "written for a sample, at look " << look;
  }
  EXPECT_GT(writes, 100);
}

TEST_F(SamplesInStatus, AreTheSameWhoeverLeads) {
  const auto second_leader = [](const api::TenantMigrationStatus& status) {
    Json object = *Json::Parse(R"({"apiVersion":"cutover.dev/v1alpha1","kind":"TenantMigration",
        "metadata":{"name":"move"},"spec":{"placementRef":{"name":"acme"},
        "target":{"serverName":"pg-target"},"backup":{"mode":"Skip"}}})");
    object.Set("status", api::EncodeStatus(status));
    return api::DecodeTenantMigration(object)->status;
  };
  std::vector<Sample> of_one_leader;
  for (bool changing : {false, true}) {
    migration_ = MigrationIn(Phase::kCopying);
    migration_.spec.strategy = api::Strategy::kOnline;
    for (int second = 0; second < 5000; second += 2) {
      Observation seen = Copied(second, second);
      seen.now += std::chrono::nanoseconds(second * 137 + 999);
      Look(seen);
      if (changing) migration_.status = second_leader(migration_.status);
    }
    if (!changing) of_one_leader = samples();
  }
  EXPECT_GT(samples().size(), 30u);
  EXPECT_EQ(samples(), of_one_leader);
}

TEST_F(SamplesInStatus, AreThoseOfTheAttempt) {
  for (const auto& [phase, guard] : {std::pair(Phase::kFailed, Guard::kRetryRequested),
                                     std::pair(Phase::kUndoing, Guard::kUndoneToCopyAgain)}) {
    migration_ = MigrationIn(Phase::kCopying);
    Look(Copied(0, 7));
    EXPECT_FALSE(samples().empty());
    Enter(phase);
    Look(At(20), Plan::Go(guard));
    EXPECT_TRUE(samples().empty()) << "as the other progress is forgotten";
    EXPECT_EQ(migration_.status.progress, api::MigrationProgress());
  }
}

}  // namespace
}  // namespace cutover::migration
