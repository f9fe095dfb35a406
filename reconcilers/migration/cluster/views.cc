// SPDX-License-Identifier: Apache-2.0
//
// Materialized views: no stream carries them, so those that are refreshed on the source during the
// move are refreshed on the target, too.
#include "operator/base/beside.h"
#include "operator/base/log.h"
#include "postgres/matviews.h"
#include "reconcilers/migration/cluster/cluster_world.h"

namespace cutover::migration {
namespace {

// A view that takes longer is left to its owner, and said: a reconcile has no more than two
// minutes.
constexpr std::chrono::seconds kRefreshMax{60}, kCallMax{90};
constexpr std::chrono::seconds kAppliedBound{5};
constexpr std::chrono::milliseconds kAppliedPoll{20};
// What keeps the stream from being taken for broken meanwhile.
constexpr std::chrono::seconds kHeartbeatPace{2};

constexpr char kConfirmed[] =
    "SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn";

}  // namespace

Result<ViewFacts> ClusterWorld::ObserveViews(const Call& call) {
  TRY_ASSIGN(pg::Connection * source, InsideOf(call, pg::Side::kSource));
  TRY_ASSIGN(auto since, pg::CompareMatviews(call.stop, call.deadline, *source));
  ViewFacts facts{.stale = {},
                  .refreshed = since.refreshed,
                  .refreshed_at = since.refreshed_at,
                  .trouble = since.trouble};
  for (const pg::Matview& view : since.stale) facts.stale.push_back(view.name);
  return facts;
}

// Whatever the source has by now is on the target, too.
Status ClusterWorld::AwaitApplied(const Call& call, pg::Connection& source) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(pg::Rows now, source.QueryOne(stop, deadline, "SELECT pg_current_wal_insert_lsn()"));
  const std::string slot = pg::StreamName(migration.meta.uid, pg::Direction::kForward);
  Deadline patience = deadline.OrAfter(kAppliedBound);
  while (!patience.Expired() && !stop.stop_requested()) {
    TRY_ASSIGN(pg::Rows passed, source.Query(stop, deadline, kConfirmed, {slot, now[0].Text(0)}));
    if (!passed.empty()) return Ok();
    SleepUntil(stop, Deadline::After(kAppliedPoll));
  }
  return RetryError("NotApplied",
                    "the target has not applied yet what a materialized view of the "
                    "source was refreshed from");
}

// The outer status is that of the heartbeat, which keeps the stream from being taken for broken.
Result<Status> ClusterWorld::RefreshView(const Call& call, const std::string& name,
                                         std::chrono::milliseconds bound) {
  auto& [stop, deadline, migration] = call;
  const bool following = migration.status.phase == api::Phase::kCatchingUp;
  const pg::Side publisher = following ? pg::Side::kSource : pg::Side::kTarget;
  TRY_ASSIGN(Inside inside, BothSides(call));
  pg::Connection& beating = following ? inside.source : inside.target;
  // First of all, whatever becomes of the rest.
  Status beat = pg::WriteHeartbeat(stop, deadline, beating, ClaimOn(call, publisher));
  TRY(beat);
  TRY_ASSIGN(pg::Connection worker, pg::Connection::Open(stop, deadline, inside.target.options()));
  auto refreshing = Beside([&] { return pg::RefreshMatview(stop, deadline, worker, name, bound); });
  while (refreshing.wait_for(kHeartbeatPace) != std::future_status::ready && beat)
    beat = pg::WriteHeartbeat(stop, deadline, beating, ClaimOn(call, publisher));
  Status done = refreshing.get();
  TRY(beat);
  if (!done && !worker.usable()) return tl::unexpected(done.error());
  return done;
}

// What they were like on the source is read first, then what they were made of is waited for, and
// each is filled after those that it reads: so the target's are not older.
Status ClusterWorld::RefreshViews(const Call& call) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(pg::Connection * source, InsideOf(call, pg::Side::kSource));
  TRY_ASSIGN(auto since, pg::CompareMatviews(stop, deadline, *source));
  if (migration.status.phase == api::Phase::kCatchingUp) TRY(AwaitApplied(call, *source));
  const Deadline end = Deadline::After(kCallMax);
  for (const pg::Matview& view : since.stale) {
    const auto bound = std::min<std::chrono::milliseconds>(end.Remaining(), kRefreshMax);
    if (bound <= std::chrono::milliseconds::zero()) break;
    TRY_ASSIGN(Status done, RefreshView(call, view.name, bound));
    // Who did not have all of its time has it the next time.
    if (!done && bound < kRefreshMax) break;
    if (!done) LogError("a materialized view stays as it was", done.error());
    TRY(pg::NoteMatview(stop, deadline, *source, ClaimOn(call, pg::Side::kSource), view,
                        context_.clock.WallNow(), done ? "" : done.error().message));
  }
  return Ok();
}

}  // namespace cutover::migration
