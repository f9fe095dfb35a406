// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/restore.h"

#include <algorithm>
#include <memory>

#include "mover/process/parallel.h"
#include "operator/base/mutex.h"
#include "postgres/matviews.h"

namespace cutover::mover {
namespace {

constexpr char kDeadlock[] = "DeadlockDetected";
constexpr int kDeadlocksMax = 10;

Status TryInTransaction(std::stop_token stop, pg::Connection& target, const std::string& sql) {
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(stop, Deadline::Never(), target));
  TRY(transaction.Exec(stop, Deadline::Never(), sql));
  return transaction.Commit(stop, Deadline::Never());
}

/// A deadlock has undone all of it, and whom it was with goes on: we shall, too.
Status InTransaction(std::stop_token stop, pg::Connection& target, const std::string& sql) {
  for (int attempt = 1;; ++attempt) {
    Status done = TryInTransaction(stop, target, sql);
    if (done || done.error().reason != kDeadlock || attempt == kDeadlocksMax) return done;
  }
}

/// One statement that may need names found the usual way.
Status InTransactionOrUsualPath(std::stop_token stop, pg::Connection& target,
                                const std::string& sql) {
  Status done = InTransaction(stop, target, sql);
  if (done || !target.usable() || !FailedByName(done.error())) return done;
  TRY(target.Exec(stop, Deadline::Never(), kUsualSearchPath));
  Status again = InTransaction(stop, target, sql);
  if (target.usable()) TRY(target.Exec(stop, Deadline::Never(), kEmptySearchPath));
  return again ? again : done;
}

Error ExplainFailedName(Error error) {
  if (FailedByName(error))
    error.message +=
        "; a function that it calls looks for names in the search path, and newer "
        "servers allow none there: on the source, ALTER that FUNCTION … SET "
        "search_path, then try again";
  return error;
}

/// `late`, where given, takes the entries that failed for want of a name.
Status OneByOne(std::stop_token stop, pg::Connection& target,
                const std::vector<const RestoreItem*>& items, size_t from, size_t to,
                std::vector<const RestoreItem*>* late) {
  for (size_t i = from; i < to; ++i) {
    Status done = InTransactionOrUsualPath(stop, target, items[i]->sql);
    if (done) continue;
    if (late != nullptr && FailedByName(done.error())) {
      late->push_back(items[i]);
      continue;
    }
    return tl::make_unexpected(ExplainFailedName(
        WithContext(std::move(done).error(), "restoring " + items[i]->Describe())));
  }
  return Ok();
}

Status RestoreInBatches(std::stop_token stop, pg::Connection& target,
                        const std::vector<const RestoreItem*>& items,
                        std::vector<const RestoreItem*>* late) {
  size_t from = 0;
  while (from < items.size()) {
    std::string batch;
    size_t to = from;
    while (to < items.size() && to - from < kUnitItemsMax &&
           (to == from || batch.size() + items[to]->sql.size() < kUnitSqlBytesMax))
      batch += items[to++]->sql;
    Status done = InTransaction(stop, target, batch);
    if (!done) {
      if (!target.usable()) return done;
      // Nothing of the batch is there; again in single steps, to find the entry or its remedy.
      TRY(OneByOne(stop, target, items, from, to, late));
    }
    from = to;
  }
  return Ok();
}

}  // namespace

bool FailedByName(const Error& error) { return error.reason == "UndefinedObject"; }

Status RestoreItems(std::stop_token stop, pg::Connection& target,
                    const std::vector<const RestoreItem*>& items) {
  return RestoreInBatches(stop, target, items, nullptr);
}

Status RestoreWaves(std::stop_token stop, const Connector& connect, int lanes_max,
                    const std::vector<RestoreWave>& waves) {
  TRY_ASSIGN(pg::Connection target, connect(stop));
  Mutex mutex;
  std::vector<const RestoreItem*> late;
  for (const RestoreWave& wave : waves) {
    if (wave.size() == 1) {
      TRY(RestoreItems(stop, target, wave.front().items));
      continue;
    }
    Status done =
        RunInParallel(stop, lanes_max, wave.size(), [&](std::stop_token lane_stop) -> Result<Lane> {
          TRY_ASSIGN(pg::Connection opened, connect(lane_stop));
          auto lane = std::make_shared<pg::Connection>(std::move(opened));
          return Lane([&, lane](std::stop_token task_stop, size_t task) -> Status {
            std::vector<const RestoreItem*> failed;
            TRY(RestoreInBatches(task_stop, *lane, wave[task].items, &failed));
            MutexLock lock(mutex);
            late.insert(late.end(), failed.begin(), failed.end());
            return Ok();
          });
        });
    TRY(done);
  }
  return RestoreItems(stop, target, late);
}

Status AddForeignKey(std::stop_token stop, pg::Connection& target, const ForeignKeyPlan& key) {
  Status done = InTransactionOrUsualPath(stop, target, key.sql);
  if (done) return done;
  return tl::make_unexpected(
      ExplainFailedName(WithContext(std::move(done).error(), "restoring " + key.item->Describe())));
}

Status ProveForeignKey(std::stop_token stop, pg::Connection& target, const ForeignKeyPlan& key) {
  Status done = InTransactionOrUsualPath(stop, target, key.validate_sql);
  if (done) return done;
  return tl::make_unexpected(
      WithContext(std::move(done).error(), "proving " + key.item->Describe()));
}

Result<std::vector<std::string>> ReadPopulatedMatviews(std::stop_token stop, Deadline deadline,
                                                       pg::Connection& source) {
  TRY_ASSIGN(auto views, pg::ReadMatviews(stop, deadline, source));
  std::vector<std::string> names;
  for (const pg::Matview& view : views)
    if (view.filled) names.push_back(view.name);
  return names;
}

Status RefreshMatviews(std::stop_token stop, pg::Connection& target,
                       const std::vector<std::string>& populated) {
  for (const std::string& name : populated) {
    Status done = InTransactionOrUsualPath(stop, target, "REFRESH MATERIALIZED VIEW " + name);
    if (!done)
      return tl::make_unexpected(ExplainFailedName(
          WithContext(std::move(done).error(), "filling materialized view " + name)));
  }
  return Ok();
}

Result<std::vector<std::string>> ReadToAnalyzeLast(std::stop_token stop, pg::Connection& target) {
  TRY_ASSIGN(pg::Rows rows, target.Query(stop, Deadline::Never(),
                                         "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c"
                                         " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                                         " WHERE (c.relkind IN ('m', 'p') OR c.oid IN"
                                         "  (SELECT stxrelid FROM pg_catalog.pg_statistic_ext))"
                                         " AND n.nspname !~ '^pg_'"
                                         " AND n.nspname NOT IN ('information_schema', 'cutover')"
                                         " ORDER BY c.oid"));
  std::vector<std::string> names;
  for (const pg::Row row : rows) names.push_back(pg::QuoteQualified(row.Text(0), row.Text(1)));
  return names;
}

Result<std::vector<std::string>> Analyze(std::stop_token stop, pg::Connection& target,
                                         const std::vector<std::string>& names) {
  std::vector<std::string> warnings;
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  if (names.empty() || target.Exec(stop, Deadline::Never(), "ANALYZE " + list)) return warnings;
  for (const std::string& name : names) {
    if (!target.usable()) break;
    Status done = InTransactionOrUsualPath(stop, target, "ANALYZE " + name);
    if (!done) warnings.push_back("no statistics for " + name + ": " + done.error().message);
  }
  if (!target.usable())
    return RetryError(
        "ConnectionLost",
        "the connection to the target was lost while statistics were made; try again");
  return warnings;
}

}  // namespace cutover::mover
