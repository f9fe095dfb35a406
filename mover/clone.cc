// SPDX-License-Identifier: Apache-2.0
#include "mover/clone.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <utility>

#include "mover/contract/progress.h"
#include "mover/copy/table_copy.h"
#include "mover/process/parallel.h"
#include "mover/process/side.h"
#include "mover/schema/extensions.h"
#include "mover/schema/large_objects.h"
#include "mover/schema/leftovers.h"
#include "mover/schema/restore.h"
#include "mover/schema/schema_dump.h"
#include "mover/verify/verify.h"
#include "operator/base/mutex.h"
#include "postgres/database.h"
#include "postgres/event_triggers.h"
#include "postgres/roles.h"
#include "postgres/sequences.h"

namespace cutover::mover {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(30);
/// All index builds of a run together; each gets its share as maintenance_work_mem.
constexpr int kIndexMemoryMebibytes = 1024;
constexpr int kIndexMemoryMebibytesMin = 64;
constexpr char kLockForMovers[] = "SELECT pg_catalog.pg_advisory_lock(7233970, 1)";

/// One run of CloneDatabase; each method is a step, in the order in which they stand here.
class Clone {
 public:
  Clone(const PgPrograms& programs, const CloneOptions& options, Reporter& reporter)
      : programs_(programs), options_(options), reporter_(reporter) {}

  Result<Report> Run(std::stop_token stop) {
    reporter_.BeginStage("schema");
    TRY(OpenSource(stop));
    TRY(PrepareTarget(stop));
    TRY(RestoreBeforeData(stop));
    reporter_.EndStage();
    TRY(CopyRows(stop));
    source_.reset();  // Its snapshot holds back vacuum on a server that others use, too.
    TRY(BuildIndexes(stop));
    TRY(AddConstraints(stop));
    TRY(Finish(stop));
    TRY(Analyze(stop));
    TRY_ASSIGN(Report report, Verify(stop));
    if (report.equal()) TRY(Open(stop));
    report.warnings.insert(report.warnings.begin(), warnings_.begin(), warnings_.end());
    return report;
  }

 private:
  Status OpenSource(std::stop_token stop) {
    TRY_ASSIGN(Side side, Side::Open(stop, options_.source));
    source_.emplace(std::move(side));
    pg::Connection& source = source_->connection();
    TRY(programs_.RequireDumpFor(stop, Deadline::Never(), source.major_version()));
    TRY(ReadProperties(stop, source));
    TRY_ASSIGN(tables_, ReadTables(stop, Deadline::Never(), source));
    TRY(ExcludeTables(options_.exclude_tables, tables_));
    OrderForCopy(tables_);
    TRY_ASSIGN(objects_, ReadTablesByObject(stop, Deadline::Never(), source));
    TRY_ASSIGN(extensions_, ReadExtensions(stop, Deadline::Never(), source));
    TRY_ASSIGN(matviews_, ReadPopulatedMatviews(stop, Deadline::Never(), source));
    TRY_ASSIGN(facts_.structure, DumpSchema(stop, Deadline::Never(), programs_, options_.source,
                                            source_->snapshot()));
    schedule_ = PlanRestore(facts_.structure.script, facts_.structure.pre_data, objects_);
    return Ok();
  }

  Status ReadProperties(std::stop_token stop, pg::Connection& source) {
    TRY_ASSIGN(pg::Rows rows, source.QueryOne(stop, Deadline::Never(),
                                              "SELECT pg_catalog.current_database(),"
                                              " pg_catalog.to_regnamespace('public') IS NOT NULL"));
    has_public_schema_ = rows[0].Bool(1);
    TRY_ASSIGN(auto found, pg::FindDatabase(stop, Deadline::Never(), source, rows[0].Text(0)));
    if (!found)
      return TerminalError("DatabaseNotFound",
                           "the source database vanished; look whether somebody dropped it");
    properties_ = std::move(*found);
    return Ok();
  }

  Status PrepareTarget(std::stop_token stop) {
    if (options_.admin)
      TRY(pg::CreateTargetDatabase(stop, Deadline::Never(), *options_.admin, Renamed(), Claim()));
    TRY_ASSIGN(pg::Connection target, Connect(stop));
    if (target.major_version() < source_->connection().major_version())
      return TerminalError("TargetTooOld",
                           "the target's server is older than the source's; a database only moves "
                           "to the same or a newer major version");
    TRY(RequireSameEncoding(stop, target));
    TRY(TakeLedger(stop));
    TRY(EmptyTarget(stop, target));
    return CopyRoles(stop, target);
  }

  /// The ledger's session also holds the lock that keeps a second mover of the database away, such
  /// as one whose pod was declared dead too early.
  Status TakeLedger(std::stop_token stop) {
    const Deadline deadline = Deadline::After(kConnectTimeout);
    TRY_ASSIGN(pg::Connection ledger, pg::Connection::Open(stop, deadline, options_.target));
    Status locked = ledger.Exec(stop, deadline, kLockForMovers);
    if (!locked && locked.error().reason == "DeadlineExceeded")
      return RetryError("MoverBusy",
                        "another mover works in the target database; wait until it has ended");
    TRY(locked);
    if (options_.authorize) TRY(options_.authorize(stop, ledger));
    TRY(CreateLedger(stop, Deadline::Never(), ledger));
    reporter_.AttachLedger(std::move(ledger), options_.migration_uid, options_.attempt);
    return Ok();
  }

  pg::Claim Claim() const {
    return pg::Claim{options_.migration_uid, options_.epoch, pg::Side::kTarget};
  }

  /// The target database may have another name than the source.
  pg::DatabaseProperties Renamed() const {
    pg::DatabaseProperties properties = properties_;
    properties.name = options_.target.database;
    return properties;
  }

  Status CopyRoles(std::stop_token stop, pg::Connection& target) {
    TRY_ASSIGN(pg::RoleSet roles,
               pg::ReadReferencedRoles(stop, Deadline::Never(), source_->connection()));
    TRY_ASSIGN(pg::Transaction transaction,
               pg::Transaction::Begin(stop, Deadline::Never(), target));
    TRY(pg::CreateRoles(stop, Deadline::Never(), transaction, roles, options_.migration_uid));
    TRY(transaction.Commit(stop, Deadline::Never()));
    roles_ = std::move(roles);
    return Ok();
  }

  Status RequireSameEncoding(std::stop_token stop, pg::Connection& target) {
    TRY_ASSIGN(pg::Rows rows, target.QueryOne(stop, Deadline::Never(),
                                              "SELECT current_setting('server_encoding')"));
    if (rows[0].Text(0) == source_->encoding()) return Ok();
    return TerminalError("EncodingDiffers",
                         "the target database has encoding " + rows[0].Text(0) + ", the source " +
                             source_->encoding() +
                             "; create the target database with the source's encoding");
  }

  /// Only what an earlier run of this very migration left may be dropped. Its ledger says so; a
  /// database that holds nothing needs no proof.
  Status EmptyTarget(std::stop_token stop, pg::Connection& target) {
    TRY_ASSIGN(std::string found, FindForeignObject(stop, Deadline::Never(), target));
    if (!found.empty()) {
      TRY_ASSIGN(bool ours, HasOurLedger(stop, target));
      if (!ours)
        return TerminalError("TargetNotEmpty",
                             "the target database holds " + found +
                                 ", which is not of this migration; name an empty database, or "
                                 "drop this one");
      TRY(DropLeftovers(stop, target));
    }
    TRY_ASSIGN(pg::Transaction transaction,
               pg::Transaction::Begin(stop, Deadline::Never(), target));
    TRY(ForgetRun(stop, Deadline::Never(), target, options_.migration_uid, options_.attempt,
                  JobKind::kClone));
    // The claim comes before the first object, so that a run that dies next is recognized.
    StageProgress claim;
    claim.stage = "schema";
    TRY(WriteStage(stop, Deadline::Never(), target, options_.migration_uid, options_.attempt,
                   claim));
    return transaction.Commit(stop, Deadline::Never());
  }

  Result<bool> HasOurLedger(std::stop_token stop, pg::Connection& target) {
    TRY_ASSIGN(auto progress,
               ReadProgress(stop, Deadline::Never(), target, options_.migration_uid));
    return progress.has_value();
  }

  /// Schemas first, since extensions live in them; then extensions, since types and operator
  /// classes of tables come from them.
  Status RestoreBeforeData(std::stop_token stop) {
    TRY_ASSIGN(pg::Connection target, Connect(stop));
    if (!has_public_schema_)
      TRY(target.Exec(stop, Deadline::Never(), "DROP SCHEMA IF EXISTS public"));
    std::vector<const RestoreItem*> schemas, others;
    for (const RestoreItem* item : schedule_.before_data)
      (item->type == "SCHEMA" ? schemas : others).push_back(item);
    TRY(RestoreItems(stop, target, schemas));
    TRY_ASSIGN(auto warnings, PrepareExtensions(stop, Deadline::Never(), target, extensions_));
    Warn(std::move(warnings));
    return RestoreItems(stop, target, others);
  }

  Status CopyRows(std::stop_token stop) {
    int64_t bytes = 0, tables = 0;
    for (const TablePlan& table : tables_) {
      if (table.excluded) {
        Warn({"rows of table " + table.Display() + " were left out, as ordered"});
        continue;
      }
      facts_.rows[table.Qualified()];  // Tables without rows are in no group.
      ++tables;
      bytes += table.bytes;
    }
    groups_ = PlanChunks(tables_, source_->connection().major_version());
    reporter_.BeginStage("copy", bytes, tables);
    TRY(RunInParallel(stop, options_.jobs, groups_.size(),
                      [&](std::stop_token lane_stop) { return MakeCopyLane(lane_stop); }));
    TRY_ASSIGN(pg::Connection target, Connect(stop));
    TRY_ASSIGN(facts_.large_objects,
               CopyLargeObjects(stop, source_->connection(), target,
                                [this](int64_t count) { reporter_.AddBytes(count, 0); }));
    reporter_.EndStage();
    return Ok();
  }

  Result<Lane> MakeCopyLane(std::stop_token lane_stop) {
    struct Pair {
      pg::Connection source;
      pg::Connection target;
    };
    TRY_ASSIGN(pg::Connection source, source_->OpenLane(lane_stop));
    TRY_ASSIGN(pg::Connection target, Connect(lane_stop));
    auto pair = std::make_shared<Pair>(Pair{std::move(source), std::move(target)});
    return Lane([this, pair](std::stop_token stop, size_t task) -> Status {
      const ChunkGroup& group = groups_[task];
      TRY_ASSIGN(auto seen, CopyGroup(stop, pair->source, pair->target, tables_, group, Terms()));
      MutexLock lock(facts_mutex_);
      for (size_t i = 0; i < seen.size(); ++i) {
        reporter_.TableDone();
        facts_.rows[tables_[group.chunks[i].table].Qualified()].Add(seen[i]);
      }
      return Ok();
    });
  }

  CopyTerms Terms() {
    CopyTerms terms;
    terms.encoding = properties_.encoding;
    terms.migration_uid = options_.migration_uid;
    terms.attempt = options_.attempt;
    terms.on_progress = [this](int64_t bytes, int64_t rows) { reporter_.AddBytes(bytes, rows); };
    return terms;
  }

  Status BuildIndexes(std::stop_token stop) {
    reporter_.BeginStage("indexes");
    const Connector connect = [this](std::stop_token s) { return Connect(s); };
    TRY_ASSIGN(pg::Connection target, Connect(stop));
    TRY(RestoreItems(stop, target, schedule_.partitioned));
    TRY(RestoreUnits(stop, connect, options_.jobs, schedule_.unique_first));
    TRY(RestoreUnits(stop, connect, options_.jobs, schedule_.indexes));
    TRY(RestoreItems(stop, target, schedule_.attach));
    reporter_.EndStage();
    return Ok();
  }

  Status AddConstraints(std::stop_token stop) {
    reporter_.BeginStage("constraints");
    const Connector connect = [this](std::stop_token s) { return Connect(s); };
    TRY(RestoreForeignKeys(stop, connect, options_.jobs, schedule_.foreign_keys));
    TRY_ASSIGN(pg::Connection target, Connect(stop));
    TRY(RestoreItems(stop, target, schedule_.rest));
    TRY(RefreshMatviews(stop, target, matviews_));
    reporter_.EndStage();
    return Ok();
  }

  /// Sequences know no snapshot, so they are read at the very end; event triggers come after all
  /// that would fire them.
  Status Finish(std::stop_token stop) {
    reporter_.BeginStage("sequences");
    TRY_ASSIGN(pg::Connection source,
               pg::Connection::Open(stop, Deadline::After(kConnectTimeout), options_.source));
    TRY_ASSIGN(pg::Connection target, Connect(stop));
    TRY_ASSIGN(auto positions, pg::ReadSequences(stop, Deadline::Never(), source));
    TRY(ApplyProperties(stop, target, positions));
    TRY(RestoreItems(stop, target, schedule_.event_triggers));
    reporter_.EndStage();
    return Ok();
  }

  Status ApplyProperties(std::stop_token stop, pg::Connection& target,
                         const std::vector<pg::SequencePosition>& positions) {
    TRY_ASSIGN(pg::Transaction transaction,
               pg::Transaction::Begin(stop, Deadline::Never(), target));
    TRY(pg::SetSequences(stop, Deadline::Never(), transaction, positions));
    TRY_ASSIGN(auto skipped,
               pg::ApplyDatabaseProperties(stop, Deadline::Never(), transaction, properties_));
    for (const pg::SkippedSetting& setting : skipped)
      Warn({"setting " + setting.setting.name + " of the database was left out: " + setting.why});
    return transaction.Commit(stop, Deadline::Never());
  }

  Status Analyze(std::stop_token stop) {
    reporter_.BeginStage("analyze");
    TRY_ASSIGN(auto warnings,
               AnalyzeAll(
                   stop, [this](std::stop_token s) { return Connect(s); }, options_.jobs));
    Warn(std::move(warnings));
    reporter_.EndStage();
    return Ok();
  }

  Result<Report> Verify(std::stop_token stop) {
    VerifyOptions verify;
    verify.source = options_.source;
    verify.target = options_.target;
    verify.level = options_.level;
    verify.jobs = options_.jobs;
    verify.seconds_max = options_.verification_seconds_max;
    verify.exclude_tables = options_.exclude_tables;
    verify.compare_access = false;  // It is closed on purpose until the proof is there.
    return VerifyDatabases(stop, programs_, verify, std::move(facts_), reporter_);
  }

  /// The copy is proven. Whoever ordered the database gets it as the source has it.
  Status Open(std::stop_token stop) {
    if (options_.keep_traces) return Ok();
    TRY_ASSIGN(pg::Connection target, Connect(stop));
    TRY(pg::KeepCreatedRoles(stop, Deadline::Never(), target, roles_, options_.migration_uid));
    reporter_.DetachLedger();
    TRY(pg::SilenceEventTriggers(stop, Deadline::Never(), target));  // They are the tenant's now.
    // Together: as long as the claim is there the database is closed, and a new run may empty it.
    TRY_ASSIGN(pg::Transaction transaction,
               pg::Transaction::Begin(stop, Deadline::Never(), target));
    TRY(transaction.Exec(stop, Deadline::Never(), "SET LOCAL synchronous_commit TO on"));
    if (options_.admin)
      TRY(pg::ApplyAccess(stop, Deadline::Never(), transaction, options_.target.database,
                          properties_.access));
    TRY(transaction.Exec(stop, Deadline::Never(), "DROP SCHEMA cutover CASCADE"));
    return transaction.Commit(stop, Deadline::Never());
  }

  /// A session of the target as restoring wants it.
  Result<pg::Connection> Connect(std::stop_token stop) const {
    pg::ConnectOptions options = options_.target;
    const int memory_mebibytes =
        std::max(kIndexMemoryMebibytes / std::max(options_.jobs, 1), kIndexMemoryMebibytesMin);
    options.settings.insert(
        options.settings.end(),
        {{"check_function_bodies", "off"},
         // Commits need not wait for the disk: the result is written by a session that does, and
         // its commit carries all before it.
         {"synchronous_commit", "off"},
         {"maintenance_work_mem", std::to_string(memory_mebibytes) + "MB"},
         // One worker a build: the jobs are the parallelism, and memory is counted per process.
         {"max_parallel_maintenance_workers", "0"}});
    return pg::Connection::Open(stop, Deadline::After(kConnectTimeout), options);
  }

  void Warn(std::vector<std::string> warnings) {
    std::move(warnings.begin(), warnings.end(), std::back_inserter(warnings_));
  }

  const PgPrograms& programs_;
  const CloneOptions& options_;
  Reporter& reporter_;
  std::optional<Side> source_;
  pg::DatabaseProperties properties_;
  bool has_public_schema_ = true;
  pg::RoleSet roles_;
  std::vector<TablePlan> tables_;
  std::vector<ChunkGroup> groups_;
  TablesByObject objects_;
  std::vector<Extension> extensions_;
  std::vector<std::string> matviews_;
  RestoreSchedule schedule_;  ///< Points into facts_.structure.
  Mutex facts_mutex_;
  SourceFacts facts_;
  std::vector<std::string> warnings_;
};

}  // namespace

Result<Report> CloneDatabase(std::stop_token stop, const PgPrograms& programs,
                             const CloneOptions& options, Reporter& reporter) {
  return Clone(programs, options, reporter).Run(stop);
}

}  // namespace cutover::mover
