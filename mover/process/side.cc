// SPDX-License-Identifier: Apache-2.0
#include "mover/process/side.h"

#include <chrono>

#include "postgres/snapshot.h"
#include "postgres/tables_only.h"

namespace cutover::mover {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(30);
constexpr char kBegin[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

}  // namespace

Result<Side> Side::Open(std::stop_token stop, const pg::ConnectOptions& options) {
  const Deadline deadline = Deadline::After(kConnectTimeout);
  TRY_ASSIGN(pg::Connection holder, pg::Connection::Open(stop, deadline, options));
  Side side(options, std::move(holder));
  TRY(side.holder_.Exec(stop, deadline, pg::kTablesOnly));
  TRY(side.holder_.Exec(stop, deadline, kBegin));
  TRY_ASSIGN(pg::Rows rows,
             side.holder_.QueryOne(stop, deadline, "SELECT pg_catalog.pg_export_snapshot()"));
  side.snapshot_ = rows[0].Text(0);
  TRY(side.ReadServer(stop));
  return side;
}

Result<Side> Side::Adopt(std::stop_token stop, const pg::ConnectOptions& options,
                         const std::string& snapshot) {
  const Deadline deadline = Deadline::After(kConnectTimeout);
  TRY_ASSIGN(pg::Connection holder, pg::Connection::Open(stop, deadline, options));
  Side side(options, std::move(holder));
  side.snapshot_ = snapshot;
  TRY(side.holder_.Exec(stop, deadline, pg::kTablesOnly));
  TRY(side.Begin(stop, side.holder_, kBegin));
  TRY(side.ReadServer(stop));
  return side;
}

Status Side::ReadServer(std::stop_token stop) {
  TRY_ASSIGN(pg::Rows rows, holder_.QueryOne(stop, Deadline::After(kConnectTimeout),
                                             "SELECT current_setting('server_version'),"
                                             " current_setting('server_encoding'),"
                                             " pg_catalog.pg_postmaster_start_time()::text,"
                                             " pg_catalog.pg_current_snapshot()::text"));
  version_ = rows[0].Text(0);
  encoding_ = rows[0].Text(1);
  // The second tells apart what a crash that the server survived does not.
  snapshot_identity_ = snapshot_ + " of " + rows[0].Text(2) + " at " + rows[0].Text(3);
  return Ok();
}

Result<pg::Connection> Side::OpenLane(std::stop_token stop) const {
  TRY_ASSIGN(pg::Connection lane,
             pg::Connection::Open(stop, Deadline::After(kConnectTimeout), options_));
  TRY(lane.Exec(stop, Deadline::After(kConnectTimeout), pg::kTablesOnly));
  TRY(Begin(stop, lane, kBegin));
  return lane;
}

Status Side::Renew(std::stop_token stop, pg::Connection& lane) const {
  return Begin(stop, lane, std::string("COMMIT; ") + kBegin);
}

Status Side::Begin(std::stop_token stop, pg::Connection& lane, const std::string& begin) const {
  Status begun = lane.Exec(stop, Deadline::After(kConnectTimeout),
                           begin + "; SET TRANSACTION SNAPSHOT " + pg::QuoteLiteral(snapshot_));
  if (begun || !pg::SaysSnapshotLost(lane)) return begun;
  return RetryError("SnapshotLost",
                    "the source no longer holds the snapshot that was being copied (its server "
                    "was restarted, or the session was ended); run it again, it starts over");
}

}  // namespace cutover::mover
