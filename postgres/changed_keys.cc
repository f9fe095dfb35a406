// SPDX-License-Identifier: Apache-2.0
#include "postgres/changed_keys.h"

#include <algorithm>

#include "postgres/event_triggers.h"

namespace cutover::pg {
namespace {

// Keys may be longer than an index takes, so they are told apart by their hash.
constexpr char kCreateTables[] = R"(
CREATE TABLE IF NOT EXISTS cutover.change_position (
  slot text PRIMARY KEY, position pg_lsn NOT NULL);
CREATE TABLE IF NOT EXISTS cutover.changed_table (
  schema_name text NOT NULL, table_name text NOT NULL, truncated boolean NOT NULL DEFAULT false,
  changes bigint NOT NULL DEFAULT 0, keys bigint NOT NULL DEFAULT 0,
  unlisted bigint NOT NULL DEFAULT 0, why_unlisted text NOT NULL DEFAULT '',
  PRIMARY KEY (schema_name, table_name));
CREATE TABLE IF NOT EXISTS cutover.changed_row (
  schema_name text NOT NULL, table_name text NOT NULL, hash bytea NOT NULL, key text NOT NULL,
  changed_until pg_lsn NOT NULL,
  PRIMARY KEY (schema_name, table_name, hash));
REVOKE ALL ON cutover.change_position, cutover.changed_table, cutover.changed_row FROM PUBLIC)";

constexpr char kHaveTables[] =
    "SELECT pg_catalog.to_regclass('cutover.changed_row') IS NOT NULL"
    " AND pg_catalog.to_regclass('cutover.changed_table') IS NOT NULL"
    " AND pg_catalog.to_regclass('cutover.change_position') IS NOT NULL";

// $1, $2: the table. $3: keys. $4: how many more may be kept. $5: none changed behind it. Yields
// how many were kept, and how many were new.
constexpr char kKeepKeys[] = R"(
WITH given AS (
  SELECT k.key, sha256(convert_to(k.key, getdatabaseencoding())) AS hash
    FROM unnest($3::text[]) AS k (key)),
again AS (
  UPDATE cutover.changed_row r SET changed_until = greatest(r.changed_until, $5::pg_lsn)
    FROM given g WHERE r.schema_name = $1 AND r.table_name = $2 AND r.hash = g.hash),
fresh AS (
  SELECT key, hash FROM given g WHERE NOT EXISTS (
    SELECT FROM cutover.changed_row r
     WHERE r.schema_name = $1 AND r.table_name = $2 AND r.hash = g.hash)),
kept AS (
  INSERT INTO cutover.changed_row (schema_name, table_name, hash, key, changed_until)
  SELECT $1, $2, hash, key, $5::pg_lsn FROM fresh LIMIT $4 RETURNING 1)
SELECT (SELECT count(*) FROM kept), (SELECT count(*) FROM fresh))";

constexpr char kKeepCounts[] = R"(
INSERT INTO cutover.changed_table AS t
VALUES ($1, $2, $3::boolean, $4::bigint, $5::bigint, $6::bigint, $7)
ON CONFLICT (schema_name, table_name) DO UPDATE
SET truncated = t.truncated OR excluded.truncated, changes = t.changes + excluded.changes,
    keys = t.keys + excluded.keys, unlisted = t.unlisted + excluded.unlisted,
    why_unlisted = coalesce(nullif(t.why_unlisted, ''), excluded.why_unlisted))";

/// Keeps portions of changes in one transaction.
class Keeper {
 public:
  Keeper(std::stop_token stop, Deadline deadline, Transaction& transaction,
         const ChangeLimits& limits, const std::string& changes_end)
      : stop_(std::move(stop)),
        deadline_(deadline),
        transaction_(transaction),
        limits_(limits),
        changes_end_(changes_end) {}

  Status Keep(const Changes& changes) {
    TRY_ASSIGN(Rows total, Query("SELECT coalesce(sum(keys), 0) FROM cutover.changed_table", {}));
    total_ = total[0].Int(0);
    for (const auto& [table, change] : changes) TRY(KeepOne(table, change));
    return Ok();
  }

 private:
  Result<Rows> Query(const std::string& sql, const Params& params) {
    return transaction_.Query(stop_, deadline_, sql, params);
  }

  Status KeepOne(const TableName& table, const TableChanges& change) {
    if (change.truncated) TRY(Forget(table));
    int64_t kept = 0, unlisted = change.unlisted;
    std::string why = change.why_unlisted;
    if (!change.keys.empty()) {
      TRY_ASSIGN(int64_t room, RoomFor(table));
      TRY_ASSIGN(Rows rows,
                 Query(kKeepKeys, {table.first, table.second,
                                   std::vector<std::string>(change.keys.begin(), change.keys.end()),
                                   room, changes_end_}));
      kept = rows[0].Int(0);
      if (const int64_t beyond = rows[0].Int(1) - kept; beyond > 0) {
        unlisted += beyond;
        if (why.empty()) why = "more rows of it changed than are kept";
      }
      total_ += kept;
    }
    TRY(Query(kKeepCounts,
              {table.first, table.second, change.truncated, change.changes, kept, unlisted, why}));
    return Ok();
  }

  /// Rows that are gone with a TRUNCATE need no look.
  Status Forget(const TableName& table) {
    TRY_ASSIGN(Rows gone, Query("DELETE FROM cutover.changed_row"
                                " WHERE schema_name = $1 AND table_name = $2",
                                {table.first, table.second}));
    total_ -= gone.affected();
    TRY(
        Query("UPDATE cutover.changed_table SET keys = 0, unlisted = 0, why_unlisted = ''"
              " WHERE schema_name = $1 AND table_name = $2",
              {table.first, table.second}));
    return Ok();
  }

  Result<int64_t> RoomFor(const TableName& table) {
    TRY_ASSIGN(Rows rows, Query("SELECT keys FROM cutover.changed_table"
                                " WHERE schema_name = $1 AND table_name = $2",
                                {table.first, table.second}));
    const int64_t of_table = rows.empty() ? 0 : rows[0].Int(0);
    return std::max<int64_t>(
        0, std::min(limits_.keys_per_table_max - of_table, limits_.keys_max - total_));
  }

  const std::stop_token stop_;
  const Deadline deadline_;
  Transaction& transaction_;
  const ChangeLimits& limits_;
  const std::string& changes_end_;
  int64_t total_ = 0;
};

}  // namespace

Status CreateChangeTables(std::stop_token stop, Deadline deadline, Connection& target,
                          const Claim& claim) {
  TRY_ASSIGN(Rows there, target.QueryOne(stop, deadline, kHaveTables));
  if (there[0].Bool(0)) return Ok();
  return WithEpoch(stop, deadline, target, claim, [&](Transaction& transaction, const Control&) {
    Status silent = SilenceEventTriggers(stop, deadline, transaction);
    return silent ? transaction.Exec(stop, deadline, kCreateTables) : silent;
  });
}

Result<std::string> ReadChangePosition(std::stop_token stop, Deadline deadline, Connection& target,
                                       const std::string& slot) {
  TRY_ASSIGN(Rows rows,
             target.Query(stop, deadline,
                          "SELECT position FROM cutover.change_position WHERE slot = $1", {slot}));
  return rows.empty() ? std::string() : rows[0].Text(0);
}

Status KeepChanges(std::stop_token stop, Deadline deadline, Connection& target, const Claim& claim,
                   const ChangeLimits& limits, const Changes& changes, const ReadUpTo& up_to) {
  return WithEpoch(
      stop, deadline, target, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY(Keeper(stop, deadline, transaction, limits, up_to.changes_end).Keep(changes));
        if (up_to.position.empty()) return Ok();
        TRY(transaction.Query(stop, deadline,
                              "INSERT INTO cutover.change_position VALUES ($1, $2::pg_lsn)"
                              " ON CONFLICT (slot) DO UPDATE"
                              " SET position = greatest(change_position.position,"
                              "                         excluded.position)",
                              {up_to.slot, up_to.position}));
        return Ok();
      });
}

Result<std::vector<ChangedTable>> ReadChangedTables(std::stop_token stop, Deadline deadline,
                                                    Connection& target) {
  TRY_ASSIGN(Rows rows,
             target.Query(stop, deadline,
                          "SELECT schema_name, table_name, truncated, keys, unlisted, why_unlisted"
                          " FROM cutover.changed_table ORDER BY keys, 1, 2"));
  std::vector<ChangedTable> tables;
  for (const Row row : rows)
    tables.push_back(
        {{row.Text(0), row.Text(1)}, row.Bool(2), row.Int(3), row.Int(4), row.Text(5)});
  return tables;
}

Result<ChangedKeys> ReadChangedKeys(std::stop_token stop, Deadline deadline, Connection& target,
                                    const TableName& table, const KeyRange& range) {
  TRY_ASSIGN(Rows rows,
             target.Query(stop, deadline,
                          "SELECT key, hash FROM cutover.changed_row WHERE schema_name = $1"
                          " AND table_name = $2 AND hash > $3::bytea AND changed_until <="
                          " coalesce(nullif($5, ''), 'FFFFFFFF/FFFFFFFF')::pg_lsn"
                          " ORDER BY hash LIMIT $4",
                          {table.first, table.second, range.after, range.count, range.up_to}));
  ChangedKeys found;
  for (const Row row : rows) {
    found.keys.push_back(row.Text(0));
    found.hashes.push_back(row.Text(1));
  }
  return found;
}

Status ForgetKeys(std::stop_token stop, Deadline deadline, Connection& target, const Claim& claim,
                  const TableName& table, const std::vector<std::string>& hashes,
                  const std::string& up_to) {
  return WithEpoch(
      stop, deadline, target, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY_ASSIGN(Rows gone,
                   transaction.Query(stop, deadline,
                                     "DELETE FROM cutover.changed_row WHERE schema_name = $1"
                                     " AND table_name = $2 AND hash = ANY ($3::bytea[])"
                                     " AND changed_until <= $4::pg_lsn",
                                     {table.first, table.second, hashes, up_to}));
        TRY(transaction.Query(stop, deadline,
                              "UPDATE cutover.changed_table SET keys = keys - $3::bigint"
                              " WHERE schema_name = $1 AND table_name = $2",
                              {table.first, table.second, gone.affected()}));
        return Ok();
      });
}

Status ForgetChanges(std::stop_token stop, Deadline deadline, Connection& target) {
  TRY_ASSIGN(Rows there, target.QueryOne(stop, deadline, kHaveTables));
  if (!there[0].Bool(0)) return Ok();
  TRY(target.Query(stop, deadline,
                   "TRUNCATE cutover.changed_row, cutover.changed_table, cutover.change_position"));
  return Ok();
}

}  // namespace cutover::pg
