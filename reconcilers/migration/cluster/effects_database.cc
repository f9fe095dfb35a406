// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "operator/base/log.h"
#include "postgres/control.h"
#include "postgres/database.h"
#include "postgres/fence.h"
#include "postgres/idle_transaction.h"
#include "postgres/replication.h"
#include "postgres/roles.h"
#include "postgres/sequences.h"
#include "reconcilers/migration/cluster/cluster_world.h"
#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/profiles/profile.h"

namespace cutover::migration {
namespace {

// What the target's own ledger keeps, so that opening it needs nothing of the source. Recorded as
// the target is finalized, and forgotten when that cutover is given up.
constexpr char kAccessRecord[] = "source-access";
constexpr char kBaselineRecord[] = "profile-baseline";
constexpr char kNotComparedRecord[] = "not-compared";

// Replication's roles come and go through the fence; nobody else does.
pg::FenceOptions StreamMayPass(const api::TenantMigration& migration) {
  return {pg::StreamNames(migration.meta.uid)};
}

}  // namespace

Status ClusterWorld::PerformOnSource(const Call& call, Intent intent) {
  auto& [stop, deadline, migration] = call;
  pg::Claim claim = ClaimOn(call, pg::Side::kSource);
  TRY_ASSIGN(DatabaseSide * source, Source(call));
  if (intent == Intent::kDropSource) {
    source->LeaveDatabase();
    return pg::DropDatabase(stop, deadline, source->admin(), source->database(), claim);
  }
  TRY_ASSIGN(pg::Connection * inside, source->InDatabase(stop, deadline));
  switch (intent) {
    case Intent::kClaimSource:
      // With the claim, which is looked for: a leader that died between this and the ledger has
      // left a placement that nobody held.
      TRY(HoldPlacement(call));
      TRY(pg::ClaimEpoch(stop, deadline, *inside, claim));
      return Ok();
    case Intent::kFenceSource:
      return pg::Fence(stop, deadline, *inside, claim, StreamMayPass(migration));
    case Intent::kCloseSourceAgain: {
      pg::FenceOptions options = StreamMayPass(migration);
      options.keep_journal = true;
      return pg::Fence(stop, deadline, *inside, claim, options);
    }
    case Intent::kJournal:
      return pg::CompareAndSetState(stop, deadline, *inside, claim, pg::ControlState::kFenced,
                                    pg::ControlState::kJournaled);
    case Intent::kRetireSource:
      return pg::CompareAndSetState(stop, deadline, *inside, claim, pg::ControlState::kJournaled,
                                    pg::ControlState::kRetired);
    case Intent::kUnfenceSource:
      return pg::Unfence(stop, deadline, *inside, claim, pg::ControlState::kOpen);
    case Intent::kTakePasswordBack:
      return TakePasswordBack(call, claim, *inside);
    case Intent::kReopenSource:
      if (migration.spec.online()) TRY(TakeBackFromTarget(call));
      return pg::Unfence(stop, deadline, *inside, claim, pg::ControlState::kReopened);
    case Intent::kCleanSource:
      return pg::DropControl(stop, deadline, *inside, claim);
    default:
      return TerminalError("UnknownIntent", "no effect for " + std::string(Name(intent)));
  }
}

Status ClusterWorld::PerformOnTarget(const Call& call, Intent intent) {
  auto& [stop, deadline, migration] = call;
  pg::Claim claim = ClaimOn(call, pg::Side::kTarget);
  TRY_ASSIGN(DatabaseSide * target, Target(call));
  if (intent == Intent::kPrepareTarget) return PrepareTarget(call, claim, *target);
  if (intent == Intent::kDropTarget) return DropTarget(call, claim, *target);
  TRY_ASSIGN(pg::Connection * inside, target->InDatabase(stop, deadline));
  switch (intent) {
    case Intent::kFinalizeTarget:
      return FinalizeTarget(call, claim, *inside);
    case Intent::kMarkVerified:
      return pg::CompareAndSetState(stop, deadline, *inside, claim, pg::ControlState::kCopied,
                                    pg::ControlState::kVerified);
    case Intent::kOpenTarget: {
      TRY_ASSIGN(auto record, pg::ReadRecord(stop, deadline, *inside, kAccessRecord, ""));
      if (!record)
        return TerminalError("LedgerMissing", "the target does not know how to be opened");
      TRY_ASSIGN(pg::DatabaseAccess access, pg::DatabaseAccessFrom(*record));
      return pg::OpenDatabase(stop, deadline, *inside, claim, access);
    }
    case Intent::kFenceTarget: {
      pg::FenceOptions options = StreamMayPass(migration);
      options.end_prepared = !UsersMayHaveBeenIn(migration);
      return pg::Fence(stop, deadline, *inside, claim, options);
    }
    case Intent::kReopenTarget:
      return ReopenTarget(call, claim, *inside);
    case Intent::kCleanTarget: {
      // The roles that we made become the tenant's for good, with the comments of the source's:
      // with none where somebody has dropped it meanwhile.
      TRY_ASSIGN(DatabaseSide * source, Source(call));
      TRY_ASSIGN(bool is_there, source->Exists(stop, deadline));
      pg::RoleSet roles;
      if (is_there) {
        TRY_ASSIGN(pg::Connection * there, source->InDatabase(stop, deadline));
        TRY_ASSIGN(roles, pg::ReadReferencedRoles(stop, deadline, *there));
      }
      TRY(pg::KeepCreatedRoles(stop, deadline, *inside, roles, migration.meta.uid));
      return pg::DropControl(stop, deadline, *inside, claim);
    }
    default:
      return TerminalError("UnknownIntent", "no effect for " + std::string(Name(intent)));
  }
}

// The source is fenced: whoever knows the new password is let in by it no sooner than all users.
Status ClusterWorld::TakePasswordBack(const Call& call, const pg::Claim& claim,
                                      pg::Connection& source) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(DatabaseSide * target, Target(call));
  TRY_ASSIGN(pg::Connection * beside, target->Beside(stop, deadline));
  TRY_ASSIGN(pg::RoleSet found, pg::ReadRoles(stop, deadline, *beside, {placement.spec.owner}));
  if (found.roles.empty() || found.roles.front().verifier.empty())
    return RetryError("TenantLoginRefused",
                      "role " + placement.spec.owner + " has no password on the target any more");
  return pg::WithEpoch(stop, deadline, source, claim,
                       [&](pg::Transaction& transaction, const pg::Control&) {
                         return pg::SetVerifier(stop, deadline, transaction, placement.spec.owner,
                                                found.roles.front().verifier);
                       });
}

// Roles first, since the database's contents will be owned by them; then the database, closed.
Status ClusterWorld::PrepareTarget(const Call& call, const pg::Claim& claim, DatabaseSide& target) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(DatabaseSide * source, Source(call));
  TRY_ASSIGN(pg::Connection * inside, source->InDatabase(stop, deadline));
  TRY_ASSIGN(pg::RoleSet roles, pg::ReadReferencedRoles(stop, deadline, *inside));
  TRY_ASSIGN(auto properties, pg::FindDatabase(stop, deadline, *inside, source->database()));
  if (!properties)
    return TerminalError("DatabaseNotFound", "database " + source->database() + " is gone");
  TRY_ASSIGN(pg::Connection * beside, target.Beside(stop, deadline));
  TRY_ASSIGN(pg::Transaction transaction, pg::BeginEndedIfSilent(stop, deadline, *beside));
  const std::vector<std::string>& accept = migration.spec.copy_accept;
  pg::LeaveOut(std::set<std::string>(accept.begin(), accept.end()), roles);
  TRY_ASSIGN(const api::DatabaseServer server, ReadServer(call, target.server_name()));
  TRY(pg::CreateRoles(stop, deadline, transaction, roles, migration.meta.uid,
                      server.spec.server_class == api::ServerClass::kShared ? pg::Powers::kWithhold
                                                                            : pg::Powers::kBring));
  TRY(transaction.Commit(stop, deadline));
  return pg::CreateTargetDatabase(stop, deadline, target.admin(), *properties, claim);
}

// Also what was only begun: a database under its provisional name, and roles without a database.
Status ClusterWorld::DropTarget(const Call& call, const pg::Claim& claim, DatabaseSide& target) {
  auto& [stop, deadline, migration] = call;
  target.LeaveDatabase();
  Status dropped = pg::DropDatabase(stop, deadline, target.admin(), target.database(), claim);
  if (!dropped) {
    // A database of that name that is somebody else's is none of ours to drop, and in nobody's way.
    const std::string& reason = dropped.error().reason;
    if (reason != "NotClaimed" && reason != "ForeignMigration") return dropped;
  }
  TRY_ASSIGN(pg::Connection * beside, target.Beside(stop, deadline));
  TRY_ASSIGN(auto kept, pg::DropCreatedRoles(stop, deadline, *beside, migration.meta.uid));
  for (const std::string& role : kept)
    LogWarn("a role that we created is used by others by now and stays", {{"role", role}});
  return pg::KeepCreatedRoles(stop, deadline, *beside, {}, migration.meta.uid);
}

// Under the fence, so whatever is read of the source is its last word.
Status ClusterWorld::FinalizeTarget(const Call& call, const pg::Claim& claim,
                                    pg::Connection& target) {
  auto& [stop, deadline, migration] = call;
  std::string not_compared;
  if (migration.spec.online()) {
    TRY_ASSIGN(not_compared, ProveStreamed(call));
  }
  TRY_ASSIGN(DatabaseSide * source_side, Source(call));
  TRY_ASSIGN(pg::Connection * source, source_side->InDatabase(stop, deadline));
  TRY_ASSIGN(auto sequences, pg::ReadSequences(stop, deadline, *source));
  TRY_ASSIGN(pg::DatabaseAccess access, pg::ReadAccessBeforeFence(stop, deadline, *source));
  TRY_ASSIGN(auto properties, pg::FindDatabase(stop, deadline, *source, source_side->database()));
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(Json baseline, ProfileOf(placement.spec.profile).Baseline(stop, deadline, *source));
  Status finalized = pg::WithEpoch(
      stop, deadline, target, claim,
      [&](pg::Transaction& transaction, const pg::Control& held) -> Status {
        TRY(pg::SetSequences(stop, deadline, transaction, sequences));
        TRY_ASSIGN(auto arrived, pg::ReadSequences(stop, deadline, transaction.connection()));
        auto differences = pg::CompareSequences(sequences, arrived);
        if (!differences.empty()) return TerminalError("SequencesDiffer", differences.front());
        if (properties) TRY(pg::ApplyDatabaseProperties(stop, deadline, transaction, *properties));
        TRY(pg::RecordOnce(stop, deadline, transaction, kAccessRecord, "", pg::ToJson(access)));
        TRY(pg::RecordOnce(stop, deadline, transaction, kBaselineRecord, "", baseline));
        if (!not_compared.empty())
          TRY(pg::RecordOnce(stop, deadline, transaction, kNotComparedRecord, "",
                             Json(not_compared)));
        return pg::MoveState(stop, deadline, transaction, held, pg::ControlState::kPreparing,
                             pg::ControlState::kCopied);
      });
  if (finalized) not_compared_ = std::move(not_compared);
  return finalized;
}

// Whoever has just finalized knows, so that clients who wait do not wait for the question.
Result<std::string> ClusterWorld::ReadNotCompared(const Call& call, pg::Connection& target) {
  if (not_compared_) return *not_compared_;
  TRY_ASSIGN(auto record, pg::ReadRecord(call.stop, call.deadline, target, kNotComparedRecord, ""));
  not_compared_ = record ? record->AsString() : "";
  return *not_compared_;
}

// Users have gone on since: what the last cutover recorded of the source is not what it is now.
Status ClusterWorld::PrepareAgain(const Call& call, const pg::Claim& claim,
                                  pg::Connection& target) {
  auto& [stop, deadline, migration] = call;
  not_compared_.reset();
  return pg::WithEpoch(
      stop, deadline, target, claim,
      [&](pg::Transaction& transaction, const pg::Control& held) -> Status {
        for (const char* record : {kAccessRecord, kBaselineRecord, kNotComparedRecord})
          TRY(pg::ForgetRecord(stop, deadline, transaction, record, ""));
        return pg::MoveState(stop, deadline, transaction, held, held.state,
                             pg::ControlState::kPreparing);
      });
}

Result<Json> ClusterWorld::ReadBaseline(const Call& call) {
  TRY_ASSIGN(DatabaseSide * target, Target(call));
  TRY_ASSIGN(pg::Connection * inside, target->InDatabase(call.stop, call.deadline));
  TRY_ASSIGN(auto record, pg::ReadRecord(call.stop, call.deadline, *inside, kBaselineRecord, ""));
  return record ? *record : Json();
}

}  // namespace cutover::migration
