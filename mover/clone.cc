// SPDX-License-Identifier: Apache-2.0
#include "mover/clone.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <list>
#include <optional>
#include <set>
#include <utility>

#include "mover/backup/backup.h"
#include "mover/contract/progress.h"
#include "mover/fill.h"
#include "mover/plan/restore_waves.h"
#include "mover/process/side.h"
#include "mover/process/source_guard.h"
#include "mover/process/wal_volume.h"
#include "mover/schema/column_orders.h"
#include "mover/schema/extensions.h"
#include "mover/schema/inherited_defaults.h"
#include "mover/schema/late_checks.h"
#include "mover/schema/leftovers.h"
#include "mover/schema/lent_privileges.h"
#include "mover/schema/restore.h"
#include "mover/survey.h"
#include "mover/target_database.h"
#include "mover/verify/verify.h"
#include "operator/base/enumerate.h"
#include "operator/base/log.h"
#include "postgres/database.h"
#include "postgres/roles.h"
#include "postgres/sequences.h"

namespace cutover::mover {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(30);
constexpr auto kWalTimeout = std::chrono::seconds(10);
/// Creating a table waits for the disk, not for a core: docs/performance.md.
constexpr int kSchemaLanes = 8;
constexpr size_t kNamesMax = 10;  // In a sentence.

/// One run of CloneDatabase; each method is a step, in the order in which they stand here.
class Clone {
 public:
  Clone(const PgPrograms& programs, const CloneOptions& options, Reporter& reporter)
      : programs_(programs), options_(options), reporter_(reporter), target_(options, reporter) {}

  Result<Report> Run(std::stop_token stop) {
    reporter_.BeginStage("schema");
    TRY_ASSIGN(Side source, OpenSource(stop, options_));
    source_.emplace(std::move(source));
    TRY_ASSIGN(survey_, SurveySource(stop, programs_, options_, *source_));
    Warn(survey_.notes);
    TRY(target_.Prepare(stop, survey_.properties));
    BeginWal(stop);
    TRY_ASSIGN(bool goes_on, FindPlan(stop));
    if (!goes_on) TRY(target_.Empty(stop));
    target_.StartReporting();
    if (!goes_on) {
      TRY(target_.CreateRoles(stop, survey_.roles));
      TRY(RestoreBeforeData(stop));
      TRY(WriteNewPlan(stop));
    }
    reporter_.EndStage();
    TRY(ArchiveExcluded(stop));
    TRY(Fill(stop));
    LetGo();
    TRY(Finish(stop));
    TRY_ASSIGN(Report report, Verify(stop));
    CountWal(stop, report);
    if (options_.followed && !report.equal()) TRY(CheckStructureKept(stop));
    if (report.equal() && options_.confirm) TRY(options_.confirm(stop));
    if (report.equal() && !options_.keep_traces)
      TRY(target_.Open(stop, survey_.roles, survey_.properties.access));
    report.warnings.insert(report.warnings.begin(), warnings_.begin(), warnings_.end());
    return report;
  }

 private:
  /// It is a figure of the report's, for which no copy fails that is proven, nor one that may be.
  void BeginWal(std::stop_token stop) {
    auto begin = [&]() -> Result<WalPosition> {
      TRY_ASSIGN(pg::Connection target, target_.Connect(stop));
      return ReadWalPosition(stop, Deadline::After(kWalTimeout), target);
    }();
    if (begin)
      wal_begin_ = std::move(*begin);
    else
      LogWarn("the target's log is not counted", {{"why", begin.error().message}});
  }

  void CountWal(std::stop_token stop, Report& report) {
    if (!wal_begin_) return;
    auto bytes = [&]() -> Result<std::optional<int64_t>> {
      TRY_ASSIGN(pg::Connection target, target_.Connect(stop));
      return WalBytesSince(stop, Deadline::After(kWalTimeout), target, wal_begin_);
    }();
    if (bytes)
      report.target_wal_bytes = *bytes;
    else
      LogWarn("the target's log is not counted", {{"why", bytes.error().message}});
  }

  /// Whether an earlier worker under the same snapshot has left a plan to go on with.
  Result<bool> FindPlan(std::stop_token stop) {
    TRY_ASSIGN(pg::Connection target, target_.Connect(stop));
    TRY_ASSIGN(auto plan, ReadPlan(stop, Deadline::Never(), target, options_.migration_uid,
                                   options_.attempt, source_->snapshot_identity()));
    if (!plan) return false;
    plan_ = std::move(*plan);
    TRY(DropBuilt(stop, target));
    return true;
  }

  /// Schemas first, since extensions live in them; then extensions, since types and operator
  /// classes of tables come from them.
  Status RestoreBeforeData(std::stop_token stop) {
    TRY_ASSIGN(pg::Connection target, target_.Connect(stop));
    if (!survey_.has_public_schema)
      TRY(target.Exec(stop, Deadline::Never(), "DROP SCHEMA IF EXISTS public"));
    std::vector<const RestoreItem*> schemas, others;
    for (const RestoreItem* item : survey_.schedule.before_data)
      (item->type == "SCHEMA" ? schemas : others).push_back(item);
    TRY(RestoreItems(stop, target, schemas));
    TRY(LendCreate(stop, Deadline::Never(), target, survey_.structure.script));
    TRY_ASSIGN(auto warnings, PrepareExtensions(stop, Deadline::Never(), target, survey_.extensions,
                                                options_.withhold_powers ? pg::Powers::kWithhold
                                                                         : pg::Powers::kBring));
    Warn(std::move(warnings));
    std::list<RestoreItem> moulded;
    others = MouldTables(others, survey_.column_orders, moulded);
    TRY(RestoreWaves(stop, connect_, kSchemaLanes, PlanWaves(others)));
    TRY(DropInheritedDefaults(stop, Deadline::Never(), target, survey_.bare_columns));
    return RemoveLateChecks(stop, Deadline::Never(), target, survey_.late_checks);
  }

  Status WriteNewPlan(std::stop_token stop) {
    plan_ = PlanForLedger(
        survey_.tables,
        PlanChunks(survey_.tables, source_->connection().major_version(), options_.chunk_bytes));
    TRY_ASSIGN(pg::Connection target, target_.Connect(stop));
    TRY_ASSIGN(pg::Transaction transaction,
               pg::Transaction::Begin(stop, Deadline::Never(), target));
    TRY(WritePlan(stop, Deadline::Never(), target, options_.migration_uid, options_.attempt,
                  source_->snapshot_identity(), plan_));
    return transaction.Commit(stop, Deadline::Never());
  }

  /// While the snapshot is held, so that the archive and the copy are of the same instant.
  Status ArchiveExcluded(std::stop_token stop) {
    BackupOptions archive;
    for (const TablePlan& table : survey_.tables)
      if (table.excluded) archive.tables.push_back(table.Qualified());
    if (archive.tables.empty() || options_.archive_directory.empty()) return Ok();
    archive.source = options_.source;
    archive.directory = ArchiveDirectory();
    archive.lock_seconds_max = options_.lock_seconds_max;
    archive.migration_uid = options_.migration_uid;
    archive.jobs = options_.jobs;
    archive.snapshot = source_->snapshot();
    TRY_ASSIGN(Manifest manifest, TakeBackup(stop, programs_, archive, reporter_));
    for (const auto& [table, rows] : manifest.rows)
      Warn({std::to_string(rows) + " rows of table " + table + " are not in the copy but in " +
            archive.directory});
    return Ok();
  }

  /// A server that was started anew gives the names of its snapshots again; their identity is said
  /// once and never again.
  std::string ArchiveDirectory() const {
    std::string name = source_->snapshot_identity();
    for (char& c : name)
      if (!std::isalnum(static_cast<unsigned char>(c))) c = '-';
    return options_.archive_directory + "/excluded-rows-" + name;
  }

  Status Fill(std::stop_token stop) {
    CopyTerms terms;
    terms.encoding = survey_.properties.encoding;
    terms.migration_uid = options_.migration_uid;
    terms.attempt = options_.attempt;
    terms.on_progress = [this](int64_t bytes, int64_t rows) { reporter_.AddBytes(bytes, rows); };
    terms.throttle = options_.throttle;
    FillOrder order{
        source_,          connect_, survey_.tables,      plan_,         survey_.schedule,
        survey_.matviews, terms,    options_.role_names, options_.jobs, {}};
    order.on_copied = [this](std::stop_token s) { return EndCopy(s); };
    TRY_ASSIGN(Filled filled, FillTarget(stop, order, reporter_));
    facts_.rows = std::move(filled.rows);
    facts_.large_objects = std::move(filled.large_objects);
    Warn(std::move(filled.warnings));
    return Ok();
  }

  /// Of what nobody needs once the rows are there: of a database of many tables it is a lot.
  void LetGo() {
    const auto tables = std::move(survey_.tables);
    const auto plan = std::move(plan_);
  }

  Status EndCopy(std::stop_token stop) {
    TRY_ASSIGN(pg::Connection now,
               pg::Connection::Open(stop, Deadline::After(kConnectTimeout), options_.source));
    TRY_ASSIGN(StructureMarks before, ReadStructureMarks(stop, source_->connection()));
    TRY_ASSIGN(structure_marks_, ReadStructureMarks(stop, now));
    const SchemaChanges changes = FindSchemaChanges(std::move(before), structure_marks_);
    TRY(RefuseChanges(changes.changed));
    if (!changes.appeared.empty())
      Warn({"not in the copy, since it came after the snapshot: " +
            Enumerate(changes.appeared, kNamesMax)});
    if (options_.on_copied) options_.on_copied();
    return Ok();
  }

  /// Users of a source that is followed may have altered it since its tables were let go, and what
  /// was compared with it was something else then.
  Status CheckStructureKept(std::stop_token stop) {
    TRY_ASSIGN(pg::Connection source,
               pg::Connection::Open(stop, Deadline::After(kConnectTimeout), options_.source));
    TRY_ASSIGN(StructureMarks now, ReadStructureMarks(stop, source));
    SchemaChanges changes = FindSchemaChanges(std::move(structure_marks_), now);
    std::move(changes.appeared.begin(), changes.appeared.end(),
              std::back_inserter(changes.changed));
    return RefuseChanges(changes.changed);
  }

  static Status RefuseChanges(const std::vector<std::string>& changed) {
    if (changed.empty()) return Ok();
    return RetryError("SourceChanged", "on the source, " + Enumerate(changed, kNamesMax) +
                                           " changed or went away while it was copied; run it "
                                           "again when nobody changes the structure");
  }

  /// Sequences know no snapshot, so they are read at the very end; event triggers come after all
  /// that would fire them.
  Status Finish(std::stop_token stop) {
    reporter_.BeginStage("sequences");
    TRY_ASSIGN(pg::Connection source,
               pg::Connection::Open(stop, Deadline::After(kConnectTimeout), options_.source));
    TRY_ASSIGN(pg::Connection target, target_.Connect(stop));
    TRY_ASSIGN(auto positions, pg::ReadSequences(stop, Deadline::Never(), source));
    if (options_.followed) TRY(KeepKnown(stop, target, positions));
    TRY(RestoreLateChecks(stop, Deadline::Never(), target, survey_.late_checks));
    TRY(EnableExtensionKeys(stop, Deadline::Never(), target));
    TRY(TakeBackCreate(stop, Deadline::Never(), target, survey_.structure.script));
    TRY(ApplyProperties(stop, target, positions));
    TRY(RestoreItems(stop, target, survey_.schedule.event_triggers));
    reporter_.EndStage();
    return Ok();
  }

  /// Somebody may have created sequences since.
  Status KeepKnown(std::stop_token stop, pg::Connection& target,
                   std::vector<pg::SequencePosition>& positions) {
    TRY_ASSIGN(auto there, pg::ReadSequences(stop, Deadline::Never(), target));
    std::set<std::pair<std::string, std::string>> known;
    for (const pg::SequencePosition& position : there)
      known.emplace(position.schema, position.name);
    std::erase_if(positions, [&known](const pg::SequencePosition& position) {
      return !known.contains({position.schema, position.name});
    });
    if (!positions.empty())
      Warn(
          {"sequences are not compared: no stream carries them, so they have to be set when the "
           "source is at rest"});
    return Ok();
  }

  Status ApplyProperties(std::stop_token stop, pg::Connection& target,
                         const std::vector<pg::SequencePosition>& positions) {
    TRY_ASSIGN(pg::Transaction transaction,
               pg::Transaction::Begin(stop, Deadline::Never(), target));
    TRY(pg::SetSequences(stop, Deadline::Never(), transaction, positions));
    TRY_ASSIGN(auto skipped, pg::ApplyDatabaseProperties(stop, Deadline::Never(), transaction,
                                                         survey_.properties));
    for (const pg::SkippedSetting& setting : skipped)
      Warn({"setting " + setting.setting.name + " of the database was left out: " + setting.why});
    return transaction.Commit(stop, Deadline::Never());
  }

  Result<Report> Verify(std::stop_token stop) {
    facts_.structure = std::move(survey_.structure);
    facts_.roles = std::move(survey_.source_roles);
    facts_.migration_uid = options_.migration_uid;
    facts_.attempt = options_.attempt;
    VerifyOptions verify;
    verify.source = options_.source;
    verify.target = options_.target;
    verify.level = options_.level;
    verify.jobs = options_.jobs;
    verify.seconds_max = options_.verification_seconds_max;
    verify.exclude_tables = options_.exclude_tables;
    verify.accept = options_.accept;
    verify.role_names = options_.role_names;
    verify.source_at_rest = !options_.followed;
    verify.compare_access = false;  // It is closed on purpose until the proof is there.
    return VerifyDatabases(stop, programs_, verify, std::move(facts_), reporter_);
  }

  void Warn(std::vector<std::string> warnings) {
    std::move(warnings.begin(), warnings.end(), std::back_inserter(warnings_));
  }

  const PgPrograms& programs_;
  const CloneOptions& options_;
  Reporter& reporter_;
  TargetDatabase target_;
  const Connector connect_ = [this](std::stop_token stop) { return target_.Connect(stop); };
  std::optional<Side> source_;
  Survey survey_;
  WalPosition wal_begin_;  ///< Of the target's server, before this run wrote into the database.
  std::vector<Chunk> plan_;
  SourceFacts facts_;
  StructureMarks structure_marks_;  ///< Of the source, when its last row was read.
  std::vector<std::string> warnings_;
};

}  // namespace

Result<Report> CloneDatabase(std::stop_token stop, const PgPrograms& programs,
                             const CloneOptions& options, Reporter& reporter) {
  Result<Report> report = Clone(programs, options, reporter).Run(stop);
  // The ledger's session holds the lock that keeps other movers away, and nobody works any more.
  reporter.DetachLedger();
  return report;
}

}  // namespace cutover::mover
