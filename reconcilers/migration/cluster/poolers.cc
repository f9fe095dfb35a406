// SPDX-License-Identifier: Apache-2.0
//
// Switch Pooler: the PgBouncers in front of the tenant, paused and resumed (postgres/pooler.h).
#include "postgres/pooler.h"

#include <algorithm>
#include <set>
#include <utility>

#include "operator/api/write_pause.h"
#include "operator/base/log.h"
#include "postgres/server_probe.h"
#include "reconcilers/migration/checks/check.h"
#include "reconcilers/migration/cluster/bounds.h"
#include "reconcilers/migration/cluster/cluster_world.h"
#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/server/pooler_entry.h"
#include "reconcilers/server/pooler_login.h"

namespace cutover::migration {
namespace {

// A rollback is not undone for that; users work on the target until the next try.
constexpr char kTriedAgain[] =
    "; users work on, and it is tried again later; to end such transactions, ";
// For every pooler's node to learn that the Service leads elsewhere.
constexpr std::chrono::seconds kProofBound{5};
// After this clients go on all the same: no server but the right one lets them in, and PgBouncer
// itself has them wait for 120 s at most (query_wait_timeout) before they see an error.
constexpr std::chrono::seconds kProofPatience{60};

// As far as it was recorded.
std::optional<WallTime> ClosedSince(const api::TenantMigration& migration) {
  return migration.status.phase == api::Phase::kRollingBack ? migration.status.rollback.fenced_at
                                                            : migration.status.cutover.fenced_at;
}

}  // namespace

// The poolers of both servers, since clients may come by either.
Result<ClusterWorld::Front*> ClusterWorld::OpenFront(const Call& call) {
  if (front_) return front_.get();
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(api::DatabaseServer source, ReadServer(call, migration.status.source_server_name));
  TRY_ASSIGN(api::DatabaseServer target, ReadServer(call, migration.spec.target_server_name));
  TRY_ASSIGN(auto logins, server::PoolerLogins(stop, deadline, WiringAccess(), {source, target}));
  if (logins.empty())
    return RetryError("PoolerNotFound",
                      "neither server has spec.pooler, which switch Pooler needs: set it");
  auto front = std::make_unique<Front>(Front{.poolers = pg::Poolers(std::move(logins))});
  front->look = front->poolers.Look(stop, deadline);
  TRY(FindEntries(call, *front->look, *front));
  front_ = std::move(front);
  return front_.get();
}

Status ClusterWorld::FindEntries(const Call& call, const pg::PoolerLook& look, Front& front) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(api::DatabaseServer source, ReadServer(call, migration.status.source_server_name));
  TRY_ASSIGN(api::DatabaseServer target, ReadServer(call, migration.spec.target_server_name));
  std::set<std::string> entries(front.entries.begin(), front.entries.end());
  for (const pg::PoolerFacts& pooler : look.facts)
    for (std::string& entry : pooler.EntriesOf(placement.spec.database_name)) {
      TRY_ASSIGN(const server::EntryLead lead,
                 server::LeadOf(stop, deadline, WiringAccess(), placement, {source, target},
                                pooler.Find(entry)->host));
      if (lead != server::EntryLead::kElsewhere) entries.insert(std::move(entry));
    }
  front.entries.assign(entries.begin(), entries.end());
  front.all_told = !look.silent;
  if (!entries.empty()) return Ok();
  if (look.silent) return tl::make_unexpected(*look.silent);
  return RetryError("PoolerEntryNotFound", "no pooler has an entry that leads to database " +
                                               placement.spec.database_name +
                                               ": add one to its [databases]");
}

Result<PoolerFacts> ClusterWorld::ObservePoolers(const Call& call) {
  TRY_ASSIGN(Front * front, OpenFront(call));
  const pg::PoolerLook look =
      front->look ? *std::exchange(front->look, {}) : front->poolers.Look(call.stop, call.deadline);
  if (look.facts.empty()) return tl::make_unexpected(*look.silent);
  if (!front->all_told) TRY(FindEntries(call, look, *front));
  auto is_ready = [](const pg::PoolerFacts& pooler) { return pooler.ready; };
  const bool any_ready = std::any_of(look.facts.begin(), look.facts.end(), is_ready);
  PoolerFacts facts;
  facts.since = front->since;
  facts.tried_since = front->tried_since;
  facts.proven = true;
  facts.silent = look.silent;
  for (const pg::PoolerFacts& pooler : look.facts) {
    const bool counts = pooler.ready || !any_ready;
    if (counts) facts.proven &= pooler.proven;
    for (const std::string& name : front->entries) {
      const pg::PoolerEntry* entry = pooler.Find(name);
      if (entry == nullptr) continue;
      if (counts) facts.paused &= entry->paused;
      facts.resumed &= !entry->paused;
      if (!facts.detail.empty()) facts.detail += "; ";
      facts.detail += pooler.pooler + " " + name + (entry->paused ? ": paused, " : ": open, ") +
                      std::to_string(entry->clients_waiting) + " clients wait";
    }
  }
  return facts;
}

// Their clients see an error, and what they had not committed is rolled back.
Status ClusterWorld::EndTransactionsOnTarget(const Call& call) {
  TRY_ASSIGN(DatabaseSide * target, Target(call));
  TRY_ASSIGN(pg::Connection * beside, target->Beside(call.stop, call.deadline));
  TRY_ASSIGN(int ended, pg::EndOpenTransactions(call.stop, call.deadline, *beside,
                                                target->database(), {target->admin().user}));
  LogWarn("transactions ended that kept a pooler from being paused",
          {{"sessions", std::to_string(ended)}});
  return Ok();
}

// What was written until now is read before clients wait, so that little is left to read while they
// do. A miss resumes all of them, and is the end of this attempt: clients have waited long enough.
Status ClusterWorld::PausePoolers(const Call& call) {
  TRY_ASSIGN(Front * front, OpenFront(call));
  if (call.migration.status.phase == api::Phase::kFencing) TRY(ReadStreamToItsEnd(call));
  const WallTime began = context_.clock.WallNow();
  pg::PauseBounds bounds;
  bounds.wait = PauseBound(api::WritePauseSecondsMax(call.migration.spec));
  // Whoever accepts to lose writes does not wait for those that are not committed.
  const bool going_back = call.migration.status.phase == api::Phase::kRollingBack;
  if (going_back && LossAccepted(call.migration))
    bounds.end_transactions = [this, &call] { return EndTransactionsOnTarget(call); };
  front->tried_since = began;
  auto paused = front->poolers.Pause(call.stop, call.deadline, front->entries, bounds);
  front->since = paused ? began : context_.clock.WallNow();
  if (paused) return Ok();
  Error error = std::move(paused).error();
  if (error.reason == "TransactionsOpen" || error.reason == "PoolerResumed")
    return TerminalError("PoolerNotPaused",
                         error.message + (going_back ? kTriedAgain + ConsentByNewToken() : ""));
  return tl::make_unexpected(std::move(error));
}

// A rollback that is given up before the source was opened ends where it began; so does one whose
// source is gone, or is another database by now.
Result<bool> ClusterWorld::StaysOnTarget(const Call& call) {
  TRY_ASSIGN(DatabaseSide * source, Source(call));
  TRY_ASSIGN(bool is_there, source->Exists(call.stop, call.deadline));
  if (!is_there) return true;
  TRY_ASSIGN(auto control, ReadControlOf(call, pg::Side::kSource));
  if (control && control->state != pg::ControlState::kOpen)
    return control->state == pg::ControlState::kJournaled ||
           control->state == pg::ControlState::kFenced;
  // Our row goes once users are back, or says that of a source that has failed over; which of both
  // it is the target tells: by then it is fenced, or gone.
  TRY_ASSIGN(control, ReadControlOf(call, pg::Side::kTarget));
  return control && control->state == pg::ControlState::kOpen;
}

// Onto whichever side is the tenant's now: the one that is open.
Status ClusterWorld::ResumePoolers(const Call& call) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(Front * front, OpenFront(call));
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  const api::Phase phase = migration.status.phase;
  bool onto_target =
      migration::SideOf(phase) == Side::kAfterJournal || phase == api::Phase::kCompleted;
  if (phase == api::Phase::kRollingBack) {
    TRY_ASSIGN(onto_target, StaysOnTarget(call));
  }
  TRY_ASSIGN(DatabaseSide * side, onto_target ? Target(call) : Source(call));
  TRY_ASSIGN(pg::Connection * beside, side->Beside(stop, deadline));
  const auto password = ReadTenantPassword(stop, deadline, context_.client, placement);
  // With its namespace the Secret goes, and none can be made there: nothing is left to try the way
  // by, and the fence protects the other side. Only Opening rests on the proof.
  if (!password && password.error().reason == "PasswordSecretNotFound" &&
      phase != api::Phase::kOpening) {
    LogWarn("clients go on by a way that cannot be tried", {{"error", password.error().message}});
    return front->poolers.Resume(stop, deadline, front->entries);
  }
  TRY(password);
  pg::PoolerProof proof;
  proof.user = placement.spec.owner;
  proof.password = *password;
  TRY_ASSIGN(proof.system_identifier, pg::ReadSystemIdentifier(stop, deadline, *beside));
  const auto led =
      front->poolers.ProveBefore(stop, deadline.OrAfter(kProofBound), front->entries, proof);
  const auto since = front->tried_since ? front->tried_since : ClosedSince(migration);
  const bool waited = since && context_.clock.WallNow() - *since > kProofPatience;
  // Whoever does not answer keeps nobody else waiting.
  const bool elsewhere = !led && led.error().reason == "PoolerLeadsElsewhere";
  if (elsewhere && !waited) return tl::make_unexpected(led.error());
  if (!led)
    LogWarn("clients go on by a way that could not be tried", {{"error", led.error().message}});
  const Status onto = front->poolers.ResumeOnto(stop, deadline, front->entries, proof, *beside,
                                                [&] { front->since = context_.clock.WallNow(); });
  if (onto || onto.error().reason != "PoolerNotResumed") return onto;
  // The next look says so again, for the status.
  LogWarn("a pooler was left paused", {{"error", onto.error().message}});
  return Ok();
}

}  // namespace cutover::migration
