// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/verify.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "mover/copy/table_copy.h"
#include "mover/plan/obstacles.h"
#include "mover/process/parallel.h"
#include "mover/process/side.h"
#include "mover/verify/catalog.h"
#include "mover/verify/copied_chunks.h"
#include "mover/verify/state.h"
#include "mover/verify/table_reader.h"
#include "operator/base/check.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"

namespace cutover::mover {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(30);
/// Tables of which it is said where they differ; of any more, only that they do.
constexpr size_t kTablesLocalizedMax = 20;
constexpr size_t kCopiedPlacesMax = 10;  ///< Chunks of a table that are reported.

std::string Words(const RowsSeen& seen, VerificationLevel level) {
  const std::string rows = std::to_string(seen.rows) + " rows";
  return level == VerificationLevel::kCounts ? rows : rows + ", digest " + seen.digest.Hex();
}

/// Requests a stop when the budget is spent, or when somebody outside does.
class Budget {
 public:
  Budget(std::stop_token outside, int seconds_max)
      : forward_(outside, [this] { source_.request_stop(); }) {
    if (seconds_max <= 0) return;
    timer_ = std::jthread([this, deadline = Deadline::After(std::chrono::seconds(seconds_max))](
                              std::stop_token ended) {
      if (!SleepUntil(ended, deadline)) return;
      spent_ = true;
      source_.request_stop();
    });
  }
  std::stop_token token() const { return source_.get_token(); }
  bool spent() const { return spent_; }

 private:
  std::stop_source source_;
  std::atomic<bool> spent_ = false;
  std::stop_callback<std::function<void()>> forward_;
  std::jthread timer_;
};

/// What earlier runs have proven, and by which fingerprints of now it is known to hold still.
struct Resumed {
  VerifyState state;
  Fingerprints source;
  Fingerprints target;

  static Result<Resumed> Open(std::stop_token stop, const VerifyOptions& options) {
    struct Look {
      std::string identity;
      Fingerprints fingerprints;
    };
    auto look = [stop](const pg::ConnectOptions& side) -> Result<Look> {
      const Deadline deadline = Deadline::After(kConnectTimeout);
      TRY_ASSIGN(pg::Connection connection, pg::Connection::Open(stop, deadline, side));
      Look seen;
      TRY_ASSIGN(seen.identity, DescribeIdentity(stop, deadline, connection));
      TRY_ASSIGN(seen.fingerprints, ReadFingerprints(stop, Deadline::Never(), connection));
      return seen;
    };
    TRY_ASSIGN(Look ours, look(options.source));
    TRY_ASSIGN(Look theirs, look(options.target));
    TRY_ASSIGN(VerifyState state,
               VerifyState::Open(options.state_file, {ours.identity, theirs.identity}));
    return Resumed{std::move(state), std::move(ours.fingerprints), std::move(theirs.fingerprints)};
  }

  std::optional<RowsSeen> Find(const TablePlan& table) const {
    return state.Find(table.Qualified(), Of(source, table), Of(target, table));
  }
  Status Add(const TablePlan& table, const RowsSeen& contents) {
    return state.Add(table.Qualified(), {contents, Of(source, table), Of(target, table)});
  }
  VerifyState::Part PartOf(const TablePlan& table, const ReadPart& part) const {
    return {table.Qualified(), part.of_source, Of(part.of_source ? source : target, table),
            part.statement};
  }

 private:
  /// With the rows that are meant, where that are not all: another version of an extension may say
  /// so otherwise.
  static std::string Of(const Fingerprints& fingerprints, const TablePlan& table) {
    auto found = fingerprints.find(table.Qualified());
    return found == fingerprints.end() ? "" : found->second + table.condition;
  }
};

/// One comparison of two databases, step by step; each step adds to the report.
class Comparison {
 public:
  Comparison(const PgPrograms& programs, const VerifyOptions& options,
             std::optional<SourceFacts> known, Resumed* resumed, Side source, Side target,
             Reporter& reporter)
      : programs_(programs),
        options_(options),
        known_(std::move(known)),
        resumed_(resumed),
        source_(std::move(source)),
        target_(std::move(target)),
        reporter_(reporter) {
    report_.level = options.level;
    report_.source = Describe(source_);
    report_.target = Describe(target_);
    report_.method.mover_version = CUTOVER_VERSION;
    report_.method.jobs = options.jobs;
    report_.method.source_from_stream = known_.has_value();
  }

  Result<Report> Run(std::stop_token stop) {
    report_.started_at = RealClock().WallNow();
    TRY(PlanTables(stop));
    BeginStage();
    Report catalogs;  // Two threads must not add to one report.
    TRY(RunBoth(
        stop, [&](std::stop_token both) { return CompareTheRest(both, catalogs); },
        [&](std::stop_token both) { return CompareTables(both); }));
    report_.method.dump_version = catalogs.method.dump_version;
    report_.Merge(std::move(catalogs));
    ReportTables(stop);
    SetAsideAccepted();
    reporter_.EndStage();
    std::stable_sort(report_.mismatches.begin(), report_.mismatches.end(),
                     [](const Mismatch& a, const Mismatch& b) { return a.table < b.table; });
    report_.seconds_by_stage = reporter_.SecondsByStage();
    report_.finished_at = RealClock().WallNow();
    return std::move(report_);
  }

  void SetAsideAccepted() {
    std::erase_if(report_.mismatches, [this](const Mismatch& mismatch) {
      if (!IsAccepted(mismatch.table, options_.accept)) return false;
      report_.warnings.push_back(mismatch.table + " differs, as accepted: " + mismatch.source +
                                 " on the source, " + mismatch.target + " on the target");
      --report_.mismatch_count;
      return true;
    });
  }

  /// What was reached when the run was ended, in words. After Run().
  std::string DescribeProgress() {
    MutexLock lock(mutex_);
    std::string text = std::to_string(compared_) + " of " + std::to_string(report_.tables) +
                       " tables are compared";
    if (!different_.empty())
      text += ", of which " + std::to_string(different_.size()) + " differ, such as " +
              pairs_.source[different_.front().first].Display();
    if (parts_kept_ > 0)
      text += ", and " + std::to_string(parts_kept_) + " parts of big ones are read and kept";
    return text;
  }

 private:
  /// By what it is connected to: a service file or the environment may have said that.
  static ComparedSide Describe(Side& side) {
    const pg::ConnectOptions& options = side.connection().options();
    return ComparedSide{options.host, options.port, options.database, side.version()};
  }

  /// Tables of both sides, matched by name. What stands on one side only is a mismatch already.
  Status PlanTables(std::stop_token stop) {
    auto read = [stop](Side& side) {
      return ReadTables(stop, Deadline::Never(), side.connection());
    };
    auto [ours, theirs] = Together([&] { return read(source_); }, [&] { return read(target_); });
    TRY(ours);
    TRY(theirs);
    TRY(ExcludeTables(stop, Deadline::Never(), source_.connection(), options_.exclude_tables,
                      *ours));
    OrderForCopy(*ours);
    std::map<std::string, TablePlan*> by_name;
    for (TablePlan& table : *theirs) by_name[table.Qualified()] = &table;
    for (std::vector<TablePlan>* side : {&pairs_.source, &pairs_.target})
      side->reserve(ours->size());
    for (TablePlan& table : *ours) {
      auto found = by_name.find(table.Qualified());
      if (found == by_name.end()) {
        // What came after the snapshot of a clone is not of it, as the clone has said.
        if (known_ && !table.excluded && !known_->rows.contains(table.Qualified())) continue;
        report_.Add({table.Display(), "missing", "a table", "none"});
        continue;
      }
      if (SameColumns(table, *found->second) && !table.excluded)
        Pair(std::move(table), std::move(*found->second));
      by_name.erase(found);
    }
    for (const auto& [name, table] : by_name)
      report_.Add({table->Display(), "unexpected", "none", "a table"});
    return Ok();
  }

  /// The order of columns may differ (inheritance); their set may not.
  bool SameColumns(const TablePlan& source, const TablePlan& target) {
    std::set<std::string> ours(source.columns.begin(), source.columns.end());
    std::set<std::string> theirs(target.columns.begin(), target.columns.end());
    if (ours == theirs) return true;
    auto list = [](const std::set<std::string>& names) {
      std::string text;
      for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
      return text;
    };
    report_.Add({source.Display(), "columns", list(ours), list(theirs)});
    return false;
  }

  /// Both sides are asked for the same: the source's columns in the source's order, and its rows.
  void Pair(TablePlan source, TablePlan target) {
    target.columns = source.columns;
    target.condition = source.condition;
    // What was known before was hashed in the format of the source alone.
    if (!known_) source.binary = source.binary && target.binary;
    target.binary = source.binary;
    ++report_.tables;
    CopyTerms terms;
    terms.encoding = source_.encoding();
    if (options_.level == VerificationLevel::kRows && terms.FormatOf(source) == RowFormat::kBinary)
      ++report_.method.binary_tables;
    if (resumed_ != nullptr) {
      if (const std::optional<RowsSeen> proven = resumed_->Find(source)) {
        ++report_.tables_proven_before;
        ++compared_;
        report_.rows += proven->rows;
        report_.bytes += proven->bytes;
        return;
      }
    }
    pairs_.source.push_back(std::move(source));
    pairs_.target.push_back(std::move(target));
  }

  void BeginStage() {
    int64_t bytes = 0;
    for (const TablePlan& table : pairs_.target) bytes += table.bytes;
    for (const TablePlan& table : pairs_.source) bytes += known_ ? 0 : table.bytes;
    if (options_.level == VerificationLevel::kCounts) bytes = 0;
    reporter_.BeginStage("verify", bytes, static_cast<int64_t>(pairs_.size()));
  }

  Status CompareTheRest(std::stop_token stop, Report& report) {
    CatalogTerms terms;
    terms.level = options_.level;
    terms.compare_access = options_.compare_access;
    terms.compare_sequences = options_.source_at_rest;
    terms.role_names = &options_.role_names;
    if (known_) {
      terms.known_large_objects = &known_->large_objects;
      terms.known_structure = &known_->structure;
      terms.known_roles = &known_->roles;
    }
    return CompareCatalogs(stop, programs_, source_, target_, terms, report);
  }

  Status CompareTables(std::stop_token stop) {
    ReadTerms terms;
    terms.jobs = options_.jobs;
    terms.chunk_bytes = options_.chunk_bytes;
    terms.encoding = source_.encoding();
    terms.counts_only = options_.level == VerificationLevel::kCounts;
    if (known_ && !terms.counts_only) terms.known_source = &known_->rows;
    std::map<std::string, RowsSeen> counts;
    if (terms.counts_only && !options_.source_at_rest) {
      for (const auto& [table, seen] : known_->rows) counts[table].rows = seen.rows;
      terms.known_source = &counts;
    }
    terms.on_table = [this](size_t table, const TableContents& contents) {
      MutexLock lock(mutex_);
      Note(table, contents);
    };
    if (resumed_ != nullptr) KeepParts(terms);
    TRY_ASSIGN(const PartsRead parts,
               mover::ReadTables(stop, source_, target_, pairs_, terms, reporter_));
    report_.method.chunks = parts.read;
    report_.parts_read_before = parts.known;
    return kept_;
  }

  /// A table may be too big for the budget of one run.
  void KeepParts(ReadTerms& terms) {
    auto part_of = [this](const ReadPart& part) {
      return resumed_->PartOf(pairs_.source[part.table], part);
    };
    terms.find_part = [this, part_of](const ReadPart& part) {
      MutexLock lock(mutex_);
      std::optional<RowsSeen> seen = resumed_->state.FindPart(part_of(part));
      if (seen) ++parts_kept_;
      return seen;
    };
    terms.on_part = [this, part_of](const ReadPart& part, const RowsSeen& seen) {
      MutexLock lock(mutex_);
      if (!kept_) return;
      kept_ = resumed_->state.AddPart(part_of(part), seen);
      ++parts_kept_;
    };
  }

  void Note(size_t table, const TableContents& contents) REQUIRES(mutex_) {
    ++compared_;
    report_.rows += contents.source.rows;
    report_.bytes += contents.source.bytes;
    if (!contents.equal()) {
      different_.emplace_back(table, contents);
    } else if (resumed_ != nullptr && kept_) {
      kept_ = resumed_->Add(pairs_.source[table], contents.source);
    }
  }

  /// When nothing else is read any more, so that finding the places takes nobody's time.
  void ReportTables(std::stop_token stop) {
    MutexLock lock(mutex_);
    size_t localized = 0;
    for (const auto& [table, contents] : different_) {
      const TablePair pair = pairs_[table];
      Mismatch mismatch{
          pair.source.Display(), contents.source.rows == contents.target.rows ? "rows" : "rowCount",
          Words(contents.source, options_.level), Words(contents.target, options_.level)};
      if (options_.level == VerificationLevel::kRows) {
        if (localized++ < kTablesLocalizedMax)
          FindPlaces(stop, pair, contents, mismatch);
        else
          mismatch.note = "where it differs was not looked for; too many tables do";
      }
      report_.Add(std::move(mismatch));
    }
  }

  void FindPlaces(std::stop_token stop, const TablePair& pair, const TableContents& contents,
                  Mismatch& mismatch) {
    LocalizeTerms terms = options_.localize;
    terms.encoding = source_.encoding();
    Localize(stop, source_, target_, pair, contents.source, contents.target, terms, mismatch);
    if (!known_) return;
    Result<std::string> source = CompareWithLedger(stop, pair, mismatch);
    mismatch.note += (mismatch.note.empty() ? "" : "; ") +
                     (source ? *source
                             : "rows are compared with the source as it is now, since what was "
                               "copied could not be looked up: " +
                                   source.error().message);
  }

  /// Adds the copied chunks that differ. Returns what to know about the source.
  Result<std::string> CompareWithLedger(std::stop_token stop, const TablePair& pair,
                                        Mismatch& mismatch) {
    if (ledger_.empty()) {
      TRY_ASSIGN(pg::Connection lane, target_.OpenLane(stop));
      TRY_ASSIGN(std::vector<Chunk> all,
                 ReadChunks(stop, Deadline::Never(), lane, known_->migration_uid, known_->attempt));
      for (Chunk& chunk : all) ledger_[chunk.table].push_back(std::move(chunk));
    }
    TRY_ASSIGN(CopiedChunks copied,
               CompareCopiedChunks(stop, source_, target_, pair, ledger_[pair.source.Qualified()],
                                   source_.encoding(), kCopiedPlacesMax));
    mismatch.places.insert(mismatch.places.begin(), copied.places.begin(), copied.places.end());
    return std::string(copied.changed_on_source == 0
                           ? "the source still holds what was copied"
                           : "the source has changed since it was copied, and rows are compared "
                             "with it as it is now");
  }

  const PgPrograms& programs_;
  const VerifyOptions& options_;
  std::optional<SourceFacts> known_;
  Resumed* resumed_;
  Side source_;
  Side target_;
  Reporter& reporter_;
  TablePairs pairs_;
  Mutex mutex_;  ///< Lanes add to these, and to the report's totals, under it.
  int64_t compared_ = 0;
  int64_t parts_kept_ = 0;  ///< Of big tables, of either side, also of those that are compared.
  std::map<std::string, std::vector<Chunk>> ledger_;  ///< By table; read when one differs.
  std::vector<std::pair<size_t, TableContents>> different_ GUARDED_BY(mutex_);
  Status kept_;  ///< Whether the state file took what was proven.
  Report report_;
};

tl::unexpected<Error> Timeout(const VerifyOptions& options, const std::string& progress) {
  const std::string spent = "verification did not end within " +
                            std::to_string(options.seconds_max) + " s (" + progress +
                            "), so nothing is proven as a whole; ";
  if (options.state_file.empty())
    return TerminalError("VerificationTimeout",
                         spent +
                             "give it more time or more jobs, or a --state file, by which "
                             "another run goes on from there");
  return TerminalError("VerificationTimeout",
                       spent + "run the same command again to go on: " + options.state_file +
                           " keeps what was found equal, and of big tables what was read");
}

/// `progress` is how far it came, in words, when it fails.
Result<Report> Compare(std::stop_token stop, const PgPrograms& programs,
                       const VerifyOptions& options, std::optional<SourceFacts> known,
                       Reporter& reporter, std::string& progress) {
  std::optional<Resumed> resumed;
  if (!options.state_file.empty() && options.level == VerificationLevel::kRows && !known) {
    TRY_ASSIGN(Resumed opened, Resumed::Open(stop, options));
    resumed.emplace(std::move(opened));
  }
  TRY_ASSIGN(Side source, Side::Open(stop, options.source));
  TRY_ASSIGN(Side target, Side::Open(stop, options.target));
  Comparison comparison(programs, options, std::move(known), resumed ? &*resumed : nullptr,
                        std::move(source), std::move(target), reporter);
  Result<Report> report = comparison.Run(stop);
  if (!report) progress = comparison.DescribeProgress();
  return report;
}

}  // namespace

Result<Report> VerifyDatabases(std::stop_token stop, const PgPrograms& programs,
                               const VerifyOptions& options, std::optional<SourceFacts> known,
                               Reporter& reporter) {
  CHECK(options.source_at_rest || known);
  Budget budget(stop, options.seconds_max);
  std::string progress = "no table is compared yet";
  Result<Report> report =
      Compare(budget.token(), programs, options, std::move(known), reporter, progress);
  if (!report && budget.spent() && !stop.stop_requested()) return Timeout(options, progress);
  return report;
}

}  // namespace cutover::mover
