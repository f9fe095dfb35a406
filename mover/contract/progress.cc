// SPDX-License-Identifier: Apache-2.0
#include "mover/contract/progress.h"

#include "postgres/event_triggers.h"

namespace cutover::mover {
namespace {

constexpr char kCreate[] = R"(
CREATE SCHEMA IF NOT EXISTS cutover;
CREATE TABLE IF NOT EXISTS cutover.progress (
  migration_uid text NOT NULL, stage text NOT NULL, attempt int NOT NULL, finished boolean NOT NULL,
  bytes_done bigint NOT NULL, bytes_total bigint NOT NULL,
  tables_done bigint NOT NULL, tables_total bigint NOT NULL, rows_done bigint NOT NULL,
  seconds float8 NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (migration_uid, stage));
CREATE TABLE IF NOT EXISTS cutover.run (
  migration_uid text PRIMARY KEY, attempt int NOT NULL, snapshot text NOT NULL,
  planned_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS cutover.chunk (
  migration_uid text NOT NULL, attempt int NOT NULL, table_name text NOT NULL, chunk int NOT NULL,
  chunk_group int NOT NULL, block_from bigint NOT NULL, block_to bigint,
  rows bigint, bytes bigint, digest text, committed_at timestamptz,
  PRIMARY KEY (migration_uid, attempt, table_name, chunk));
CREATE TABLE IF NOT EXISTS cutover.result (
  migration_uid text NOT NULL, attempt int NOT NULL, kind text NOT NULL, result text NOT NULL,
  finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (migration_uid, attempt, kind));)";

/// A ledger that nobody has made yet is absence, not failure.
Result<bool> HasTable(std::stop_token stop, Deadline deadline, pg::Connection& target,
                      const char* name) {
  TRY_ASSIGN(pg::Rows rows,
             target.QueryOne(stop, deadline, "SELECT pg_catalog.to_regclass($1) IS NOT NULL",
                             {pg::Param(name)}));
  return rows[0].Bool(0);
}

}  // namespace

Result<std::optional<Progress>> ReadProgress(std::stop_token stop, Deadline deadline,
                                             pg::Connection& target,
                                             std::string_view migration_uid) {
  TRY_ASSIGN(bool there, HasTable(stop, deadline, target, "cutover.progress"));
  if (!there) return std::optional<Progress>();
  TRY_ASSIGN(pg::Rows rows,
             target.Query(stop, deadline,
                          "SELECT stage, finished, bytes_done, bytes_total, tables_done,"
                          " tables_total, rows_done, seconds, attempt,"
                          " extract(epoch FROM clock_timestamp() - max(updated_at) OVER ())"
                          " FROM cutover.progress WHERE migration_uid = $1 ORDER BY started_at",
                          {migration_uid}));
  if (rows.empty()) return std::optional<Progress>();
  Progress progress;
  for (const pg::Row row : rows) {
    progress.stages.push_back(StageProgress{row.Text(0), row.Bool(1), row.Int(2), row.Int(3),
                                            row.Int(4), row.Int(5), row.Int(6), row.Double(7)});
    progress.current_stage = row.Text(0);
    progress.attempt = static_cast<int>(row.Int(8));
    progress.seconds_since_update = row.Double(9);
  }
  return std::optional<Progress>(std::move(progress));
}

Result<std::optional<Json>> ReadResult(std::stop_token stop, Deadline deadline,
                                       pg::Connection& target, std::string_view migration_uid,
                                       int attempt, JobKind kind) {
  TRY_ASSIGN(bool there, HasTable(stop, deadline, target, "cutover.result"));
  if (!there) return std::optional<Json>();
  TRY_ASSIGN(pg::Rows rows, target.Query(stop, deadline,
                                         "SELECT result FROM cutover.result"
                                         " WHERE migration_uid = $1 AND attempt = $2 AND kind = $3",
                                         {migration_uid, attempt, Name(kind)}));
  if (rows.empty()) return std::optional<Json>();
  TRY_ASSIGN(Json result, Json::Parse(rows[0].Text(0)));
  return std::optional<Json>(std::move(result));
}

Status CreateLedger(std::stop_token stop, Deadline deadline, pg::Connection& target) {
  TRY(pg::SilenceEventTriggers(stop, deadline, target));
  return target.Exec(stop, deadline, kCreate);
}

Status ForgetRun(std::stop_token stop, Deadline deadline, pg::Connection& target,
                 std::string_view migration_uid, int attempt, JobKind kind) {
  // A Verify after a Clone adds its own stage; what the Clone reported stays readable.
  const bool whole = kind == JobKind::kClone;
  TRY(target.Query(stop, deadline,
                   "DELETE FROM cutover.progress WHERE migration_uid = $1"
                   " AND ($2 OR stage = 'verify')",
                   {migration_uid, whole}));
  if (whole)
    for (const char* sql : {"DELETE FROM cutover.chunk WHERE migration_uid = $1",
                            "DELETE FROM cutover.run WHERE migration_uid = $1"})
      TRY(target.Query(stop, deadline, sql, {migration_uid}));
  TRY(target.Query(stop, deadline,
                   "DELETE FROM cutover.result"
                   " WHERE migration_uid = $1 AND attempt = $2 AND kind = $3",
                   {migration_uid, attempt, Name(kind)}));
  return Ok();
}

Status WriteStage(std::stop_token stop, Deadline deadline, pg::Connection& target,
                  std::string_view migration_uid, int attempt, const StageProgress& stage) {
  TRY(target.Query(
      stop, deadline,
      "INSERT INTO cutover.progress AS p (migration_uid, attempt, stage, finished, bytes_done,"
      " bytes_total, tables_done, tables_total, rows_done, seconds)"
      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
      " ON CONFLICT (migration_uid, stage) DO UPDATE SET attempt = excluded.attempt,"
      " finished = excluded.finished, bytes_done = excluded.bytes_done,"
      " bytes_total = excluded.bytes_total, tables_done = excluded.tables_done,"
      " tables_total = excluded.tables_total, rows_done = excluded.rows_done,"
      " seconds = excluded.seconds, updated_at = clock_timestamp()",
      {migration_uid, attempt, stage.stage, stage.finished, stage.bytes_done, stage.bytes_total,
       stage.tables_done, stage.tables_total, stage.rows_done, std::to_string(stage.seconds)}));
  return Ok();
}

Status WritePlan(std::stop_token stop, Deadline deadline, pg::Connection& target,
                 std::string_view migration_uid, int attempt, std::string_view snapshot,
                 const std::vector<Chunk>& chunks) {
  std::vector<std::string> tables, numbers, groups, from, to;
  for (const Chunk& chunk : chunks) {
    tables.push_back(chunk.table);
    numbers.push_back(std::to_string(chunk.number));
    groups.push_back(std::to_string(chunk.group));
    from.push_back(std::to_string(chunk.block_from));
    to.push_back(std::to_string(chunk.block_to.value_or(-1)));  // Blocks are never negative.
  }
  TRY(target.Query(stop, deadline,
                   "INSERT INTO cutover.run (migration_uid, attempt, snapshot) VALUES ($1, $2, $3)",
                   {migration_uid, attempt, snapshot}));
  TRY(target.Query(stop, deadline,
                   "INSERT INTO cutover.chunk (migration_uid, attempt, table_name, chunk,"
                   " chunk_group, block_from, block_to)"
                   " SELECT $1, $2, t, n, g, f, nullif(e, -1) FROM unnest($3::text[], $4::int[],"
                   " $5::int[], $6::int8[], $7::int8[]) AS x (t, n, g, f, e)",
                   {migration_uid, attempt, tables, numbers, groups, from, to}));
  return Ok();
}

Result<std::optional<std::vector<Chunk>>> ReadPlan(std::stop_token stop, Deadline deadline,
                                                   pg::Connection& target,
                                                   std::string_view migration_uid, int attempt,
                                                   std::string_view snapshot) {
  TRY_ASSIGN(pg::Rows rows,
             target.Query(stop, deadline,
                          "SELECT FROM cutover.run"
                          " WHERE migration_uid = $1 AND attempt = $2 AND snapshot = $3",
                          {migration_uid, attempt, snapshot}));
  if (rows.empty()) return std::optional<std::vector<Chunk>>();
  TRY_ASSIGN(auto chunks, ReadChunks(stop, deadline, target, migration_uid, attempt));
  return std::optional<std::vector<Chunk>>(std::move(chunks));
}

Status CommitChunks(std::stop_token stop, Deadline deadline, pg::Connection& target,
                    std::string_view migration_uid, int attempt, const std::vector<Chunk>& chunks) {
  std::vector<std::string> tables, numbers, rows, bytes, digests;
  for (const Chunk& chunk : chunks) {
    tables.push_back(chunk.table);
    numbers.push_back(std::to_string(chunk.number));
    rows.push_back(std::to_string(chunk.rows));
    bytes.push_back(std::to_string(chunk.bytes));
    digests.push_back(chunk.digest);
  }
  TRY_ASSIGN(pg::Rows marked,
             target.Query(stop, deadline,
                          "UPDATE cutover.chunk SET rows = x.r, bytes = x.b, digest = x.d,"
                          " committed_at = clock_timestamp() FROM unnest($3::text[], $4::int[],"
                          " $5::int8[], $6::int8[], $7::text[]) AS x (t, n, r, b, d)"
                          " WHERE migration_uid = $1 AND attempt = $2 AND table_name = x.t"
                          " AND chunk = x.n AND committed_at IS NULL",
                          {migration_uid, attempt, tables, numbers, rows, bytes, digests}));
  if (marked.affected() == static_cast<int64_t>(chunks.size())) return Ok();
  return TerminalError("LedgerMismatch",
                       "the ledger in schema cutover of the target has no open entry for what was "
                       "copied; somebody changed it, so start over with an empty database");
}

Result<std::vector<Chunk>> ReadChunks(std::stop_token stop, Deadline deadline,
                                      pg::Connection& target, std::string_view migration_uid,
                                      int attempt) {
  TRY_ASSIGN(pg::Rows rows,
             target.Query(stop, deadline,
                          "SELECT table_name, chunk, chunk_group, block_from, block_to,"
                          " committed_at IS NOT NULL, rows, bytes, digest,"
                          " CASE WHEN committed_at IS NOT NULL THEN xmin::text END"
                          " FROM cutover.chunk WHERE migration_uid = $1 AND attempt = $2"
                          " ORDER BY chunk_group, table_name, chunk",
                          {migration_uid, attempt}));
  std::vector<Chunk> chunks;
  for (const pg::Row row : rows) {
    Chunk chunk{row.Text(0), static_cast<int>(row.Int(1)), static_cast<int>(row.Int(2)), row.Int(3),
                std::nullopt, row.Bool(5), row.Int(6), row.Int(7), row.Text(8),
                // The one that marked the chunk is the one that carried its rows.
                row.Text(9)};
    if (!row.IsNull(4)) chunk.block_to = row.Int(4);
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

Status WriteResult(std::stop_token stop, Deadline deadline, pg::Connection& target,
                   const Json& result) {
  TRY(target.Query(stop, deadline,
                   "INSERT INTO cutover.result (migration_uid, attempt, kind, result)"
                   " VALUES ($1, $2, $3, $4) ON CONFLICT (migration_uid, attempt, kind)"
                   " DO UPDATE SET result = excluded.result, finished_at = clock_timestamp()",
                   {result["migrationUid"].StringRef(), result["attempt"].AsInt(),
                    result["kind"].StringRef(), result.Dump()}));
  return Ok();
}

}  // namespace cutover::mover
