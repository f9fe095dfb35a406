// SPDX-License-Identifier: Apache-2.0
#include "mover/process/wal_volume.h"

namespace cutover::mover {

Result<WalPosition> ReadWalPosition(std::stop_token stop, Deadline deadline,
                                    pg::Connection& connection) {
  TRY_ASSIGN(pg::Rows may,
             connection.QueryOne(stop, deadline,
                                 "SELECT NOT pg_catalog.pg_is_in_recovery()"
                                 " AND pg_catalog.has_function_privilege("
                                 "'pg_catalog.pg_current_wal_insert_lsn()', 'EXECUTE')"));
  if (!may[0].Bool(0)) return WalPosition();
  // Where the next record goes: what was written may still be on its way to the disk.
  TRY_ASSIGN(pg::Rows rows,
             connection.QueryOne(stop, deadline, "SELECT pg_catalog.pg_current_wal_insert_lsn()"));
  return WalPosition(rows[0].Text(0));
}

Result<std::optional<int64_t>> WalBytesSince(std::stop_token stop, Deadline deadline,
                                             pg::Connection& connection, const WalPosition& begin) {
  TRY_ASSIGN(const WalPosition now, ReadWalPosition(stop, deadline, connection));
  if (!begin || !now) return std::optional<int64_t>();
  TRY_ASSIGN(pg::Rows rows, connection.QueryOne(
                                stop, deadline,
                                "SELECT pg_catalog.pg_wal_lsn_diff($1::pg_lsn, $2::pg_lsn)::bigint",
                                {*now, *begin}));
  const int64_t bytes = rows[0].Int(0);
  return bytes < 0 ? std::nullopt : std::optional<int64_t>(bytes);
}

}  // namespace cutover::mover
