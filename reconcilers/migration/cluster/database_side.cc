// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/database_side.h"

#include "postgres/control.h"
#include "postgres/database.h"
#include "postgres/fence.h"
#include "postgres/replication.h"
#include "postgres/roles.h"
#include "postgres/server_probe.h"

namespace cutover::migration {
namespace {

constexpr char kMaintenanceDatabase[] = "postgres";

ControlState StateOf(pg::ControlState state) {
  switch (state) {
    case pg::ControlState::kOpen:
      return ControlState::kOpen;
    case pg::ControlState::kFenced:
      return ControlState::kFenced;
    case pg::ControlState::kJournaled:
      return ControlState::kJournaled;
    case pg::ControlState::kReopened:
      return ControlState::kReopened;
    case pg::ControlState::kRetired:
      return ControlState::kRetired;
    case pg::ControlState::kPreparing:
      return ControlState::kPreparing;
    case pg::ControlState::kCopied:
      return ControlState::kCopied;
    case pg::ControlState::kVerified:
      return ControlState::kVerified;
    case pg::ControlState::kDropping:
      return ControlState::kDropping;
  }
  return ControlState::kNone;
}

std::string DescribeFence(const pg::FenceState& fence, const std::string& place) {
  std::string text;
  for (const pg::SessionGroup& group : fence.foreign_sessions)
    text += " " + std::to_string(group.count) + " session(s) of " + group.role + " (" +
            group.application + ")";
  for (const std::string& transaction : fence.prepared_transactions)
    text += " prepared transaction " + transaction + " (COMMIT PREPARED or ROLLBACK PREPARED it)";
  if (!fence.refuses_newcomers()) text += " lets new sessions in";
  return place + ":" + (text.empty() ? " closed, nobody in it" : text);
}

}  // namespace

DatabaseSide::DatabaseSide(std::string server_name, std::string system_identifier,
                           pg::ConnectOptions admin, std::string database)
    : server_name_(std::move(server_name)),
      system_identifier_(std::move(system_identifier)),
      admin_(std::move(admin)),
      database_(std::move(database)) {}

DatabaseSide::~DatabaseSide() = default;

Result<pg::Connection*> DatabaseSide::Session(std::stop_token stop, Deadline deadline,
                                              std::optional<pg::Connection>& session,
                                              const std::string& database) {
  if (session && session->usable()) return &*session;
  session.reset();
  auto opened = pg::Connection::Open(stop, deadline, admin_.WithDatabase(database));
  if (!opened)
    return tl::make_unexpected(WithContext(std::move(opened).error(), "server " + server_name_));
  TRY(ProveIdentity(stop, deadline, *opened));
  session.emplace(std::move(*opened));
  return &*session;
}

Status DatabaseSide::ProveIdentity(std::stop_token stop, Deadline deadline,
                                   pg::Connection& session) {
  if (system_identifier_.empty()) return Ok();
  TRY_ASSIGN(std::string found, pg::ReadSystemIdentifier(stop, deadline, session));
  if (found == system_identifier_) return Ok();
  return RetryError(
      "IdentityChanged",
      "server " + server_name_ +
          ": another PostgreSQL cluster answers under its name (system identifier " + found +
          ", known as " + system_identifier_ +
          "): let the endpoint lead to the right one again, or, if it was replaced on purpose, "
          "delete the DatabaseServer and create it anew; nothing is done until then");
}

Result<pg::Connection*> DatabaseSide::InDatabase(std::stop_token stop, Deadline deadline) {
  return Session(stop, deadline, in_database_, database_);
}

Result<pg::Connection*> DatabaseSide::Beside(std::stop_token stop, Deadline deadline) {
  return Session(stop, deadline, beside_, kMaintenanceDatabase);
}

void DatabaseSide::LeaveDatabase() { in_database_.reset(); }

// A session in it keeps it from being dropped, and would not have outlived that.
Result<bool> DatabaseSide::Exists(std::stop_token stop, Deadline deadline) {
  if (in_database_ && in_database_->usable()) return true;
  TRY_ASSIGN(pg::Connection * beside, Beside(stop, deadline));
  TRY_ASSIGN(pg::Rows found,
             beside->Query(stop, deadline,
                           "SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", {database_}));
  return !found.empty();
}

Result<bool> DatabaseSide::HasTraces(std::stop_token stop, Deadline deadline,
                                     const std::string& uid) {
  TRY_ASSIGN(pg::Connection * beside, Beside(stop, deadline));
  TRY_ASSIGN(bool half_made, pg::HasProvisionalDatabase(stop, deadline, *beside, uid));
  if (half_made) return true;
  return pg::HasCreatedRoles(stop, deadline, *beside, uid);
}

tl::unexpected<Error> DatabaseSide::WhyShut(std::stop_token stop, Deadline deadline, Error error) {
  auto beside = Beside(stop, deadline);
  if (!beside) return tl::make_unexpected(std::move(error));
  auto half_dropped = pg::IsHalfDropped(stop, deadline, **beside, database_);
  if (!half_dropped || !*half_dropped) return tl::make_unexpected(std::move(error));
  return RetryError("HalfDropped", "a DROP DATABASE of " + database_ + " on server " +
                                       server_name_ +
                                       " was cut short, so nobody can enter it any more: drop it");
}

Result<DatabaseFacts> DatabaseSide::Observe(std::stop_token stop, Deadline deadline,
                                            const std::string& uid, int64_t epoch) {
  DatabaseFacts facts;
  TRY_ASSIGN(facts.exists, Exists(stop, deadline));
  if (!facts.exists) {
    TRY_ASSIGN(facts.traces, HasTraces(stop, deadline, uid));
    facts.detail = "no database " + database_ + " on server " + server_name_;
    return facts;
  }
  auto entered = InDatabase(stop, deadline);
  if (!entered) return WhyShut(stop, deadline, std::move(entered).error());
  pg::Connection* inside = *entered;
  TRY_ASSIGN(auto control, pg::ReadControl(stop, deadline, *inside));
  if (control) {
    facts.state = StateOf(control->state);
    facts.foreign = control->migration_uid != uid;
    facts.admits_former_leader = control->epoch < epoch;
  }
  // One whose control row says that it is ours need not be asked what else is.
  if (!facts.OursToDrop()) {
    TRY_ASSIGN(facts.traces, HasTraces(stop, deadline, uid));
  }
  TRY_ASSIGN(pg::FenceState fence,
             pg::ObserveFence(stop, deadline, *inside, {pg::StreamNames(uid)}));
  facts.closed = fence.refuses_newcomers();
  for (const pg::SessionGroup& group : fence.foreign_sessions) facts.other_sessions += group.count;
  // Arrivals do not count: behind a fence that was proven once, they are about to be refused, and
  // somebody who keeps knocking must not look like a broken fence.
  facts.prepared_transactions = static_cast<int64_t>(fence.prepared_transactions.size());
  for (const std::string& transaction : fence.prepared_transactions)
    facts.prepared += (facts.prepared.empty() ? "" : ", ") + transaction;
  facts.superuser_owner = fence.owner_is_superuser && facts.state == ControlState::kOpen;
  facts.detail = DescribeFence(fence, "database " + database_ + " on server " + server_name_);
  return facts;
}

}  // namespace cutover::migration
