// SPDX-License-Identifier: Apache-2.0
#include "postgres/replication/stream.h"

namespace cutover::pg {
namespace {

// One statement, so one round trip, for what is in a hurry. The row lock makes it wait for another
// leader's transaction and look at the claim again after it.
constexpr const char* kHeld = R"(
  WITH held AS MATERIALIZED (
    SELECT migration_uid FROM cutover.control
     WHERE migration_uid = $1 AND epoch = $2 AND side = $3 FOR UPDATE),
  )";

constexpr const char* kBeat = R"(
  gone AS (DELETE FROM cutover.heartbeat h USING held WHERE h.side = $3)
  INSERT INTO cutover.heartbeat (side, beaten_at) SELECT $3, clock_timestamp() FROM held)";

constexpr const char* kMark = R"(
  last AS (SELECT max(m.number) AS number FROM cutover.marker m WHERE m.side = $3),
  gone AS (DELETE FROM cutover.marker m USING held WHERE m.side = $3)
  INSERT INTO cutover.marker (side, number)
  SELECT $3, greatest(last.number, $4::bigint) FROM held, last)";

/// `sql` for the claim's side; if its row does not hold this claim, what is the matter is found out
/// the long way, which also raises the epoch.
Status WriteAsHeld(const std::stop_token& stop, Deadline deadline, Connection& connection,
                   const Claim& claim, const std::string& sql, const Params& more = {}) {
  Params params = {claim.migration_uid, static_cast<long long>(claim.epoch), Name(claim.side)};
  params.insert(params.end(), more.begin(), more.end());
  auto written = connection.Query(stop, deadline, kHeld + sql, params);
  if (written && written->affected() == 1) return Ok();
  // 42P01: a table is missing; the other way says which claim, if any, there is.
  if (!written && connection.last_sqlstate() != "42P01")
    return tl::unexpected(std::move(written).error());
  return WithEpoch(stop, deadline, connection, claim,
                   [&](Transaction& transaction, const Control&) -> Status {
                     TRY(EnsureStreamTables(stop, deadline, transaction));
                     TRY(transaction.Query(stop, deadline, kHeld + sql, params));
                     return Ok();
                   });
}

}  // namespace

Status WriteHeartbeat(std::stop_token stop, Deadline deadline, Connection& connection,
                      const Claim& claim) {
  return WriteAsHeld(stop, deadline, connection, claim, kBeat);
}

Status WriteMarker(std::stop_token stop, Deadline deadline, Connection& connection,
                   const Claim& claim, int64_t number) {
  return WriteAsHeld(stop, deadline, connection, claim, kMark, {static_cast<long long>(number)});
}

}  // namespace cutover::pg
