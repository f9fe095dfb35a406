// SPDX-License-Identifier: Apache-2.0
#include "mover/process/side.h"

#include <chrono>

namespace cutover::mover {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(30);
constexpr char kBegin[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

}  // namespace

Result<Side> Side::Open(std::stop_token stop, const pg::ConnectOptions& options) {
  const Deadline deadline = Deadline::After(kConnectTimeout);
  TRY_ASSIGN(pg::Connection holder, pg::Connection::Open(stop, deadline, options));
  Side side(options, std::move(holder));
  TRY(side.holder_.Exec(stop, deadline, kBegin));
  TRY_ASSIGN(pg::Rows rows, side.holder_.QueryOne(stop, deadline,
                                                  "SELECT pg_catalog.pg_export_snapshot(),"
                                                  " current_setting('server_version'),"
                                                  " current_setting('server_encoding')"));
  side.snapshot_ = rows[0].Text(0);
  side.version_ = rows[0].Text(1);
  side.encoding_ = rows[0].Text(2);
  return side;
}

Result<pg::Connection> Side::OpenLane(std::stop_token stop) const {
  const Deadline deadline = Deadline::After(kConnectTimeout);
  TRY_ASSIGN(pg::Connection lane, pg::Connection::Open(stop, deadline, options_));
  TRY(lane.Exec(stop, deadline,
                std::string(kBegin) + "; SET TRANSACTION SNAPSHOT " + pg::QuoteLiteral(snapshot_)));
  return lane;
}

}  // namespace cutover::mover
