// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/verify.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <type_traits>
#include <utility>

#include "mover/copy/table_copy.h"
#include "mover/plan/obstacles.h"
#include "mover/process/parallel.h"
#include "mover/process/side.h"
#include "mover/schema/extensions.h"
#include "mover/schema/restore.h"
#include "mover/verify/procedure_arguments.h"
#include "mover/verify/structure.h"
#include "mover/verify/view_definitions.h"
#include "operator/base/mutex.h"
#include "postgres/database.h"
#include "postgres/event_triggers.h"
#include "postgres/sequences.h"

namespace cutover::mover {
namespace {

std::string Words(const RowsSeen& seen) {
  return std::to_string(seen.rows) + " rows, digest " + seen.digest.Hex();
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

/// One comparison of two databases, step by step; each step adds to the report.
class Comparison {
 public:
  Comparison(const PgPrograms& programs, const VerifyOptions& options,
             std::optional<SourceFacts> known, Side source, Side target, Reporter& reporter)
      : programs_(programs),
        options_(options),
        known_(std::move(known)),
        source_(std::move(source)),
        target_(std::move(target)),
        reporter_(reporter) {
    report_.level = options.level;
    report_.source_version = source_.version();
    report_.target_version = target_.version();
    terms_.encoding = source_.encoding();
    terms_.on_progress = [this](int64_t bytes, int64_t rows) { reporter_.AddBytes(bytes, rows); };
  }

  Result<Report> Run(std::stop_token stop) {
    TRY(PlanTables(stop));
    int64_t bytes = 0;
    for (const TablePlan& table : tables_) bytes += table.bytes;
    const bool rows = options_.level == VerificationLevel::kRows;
    reporter_.BeginStage("verify", rows ? bytes : 0, static_cast<int64_t>(tables_.size()));
    TRY(CompareTables(stop));
    TRY(CompareSequences(stop));
    if (rows) {
      TRY(CompareLargeObjects(stop));
      TRY(CompareExtensions(stop));
      TRY(CompareProperties(stop));
      TRY(CompareMatviews(stop));
      TRY(CompareDumps(stop));
    }
    reporter_.EndStage();
    SetAsideAccepted();
    std::stable_sort(report_.mismatches.begin(), report_.mismatches.end(),
                     [](const Mismatch& a, const Mismatch& b) { return a.table < b.table; });
    report_.seconds_by_stage = reporter_.SecondsByStage();
    return std::move(report_);
  }

 private:
  void SetAsideAccepted() {
    std::erase_if(report_.mismatches, [this](const Mismatch& mismatch) {
      if (!IsAccepted(mismatch.table, options_.accept)) return false;
      report_.warnings.push_back(mismatch.table + " differs, as accepted: " + mismatch.source +
                                 " on the source, " + mismatch.target + " on the target");
      --report_.mismatch_count;
      return true;
    });
  }

  /// Tables of both sides, matched by name. What stands on one side only is a mismatch already.
  Status PlanTables(std::stop_token stop) {
    TRY_ASSIGN(tables_, ReadTables(stop, Deadline::Never(), source_.connection()));
    TRY(ExcludeTables(options_.exclude_tables, tables_));
    TRY_ASSIGN(auto theirs, ReadTables(stop, Deadline::Never(), target_.connection()));
    std::map<std::string, const TablePlan*> by_name;
    for (const TablePlan& table : theirs) by_name[table.Qualified()] = &table;
    std::erase_if(tables_, [&](const TablePlan& table) {
      auto found = by_name.find(table.Qualified());
      if (found == by_name.end()) {
        report_.Add({table.Display(), "missing", "a table", "none"});
        return true;
      }
      const bool same_columns = SameColumns(table, *found->second);
      by_name.erase(found);
      return !same_columns || table.excluded;
    });
    for (const auto& [name, table] : by_name)
      report_.Add({table->Display(), "unexpected", "none", "a table"});
    OrderForCopy(tables_);
    report_.tables = static_cast<int64_t>(tables_.size());
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

  Status CompareTables(std::stop_token stop) {
    return RunInParallel(
        stop, options_.jobs, tables_.size(), [this](std::stop_token lane_stop) -> Result<Lane> {
          TRY_ASSIGN(pg::Connection source, source_.OpenLane(lane_stop));
          TRY_ASSIGN(pg::Connection target, target_.OpenLane(lane_stop));
          auto lanes = std::make_shared<std::pair<pg::Connection, pg::Connection>>(
              std::move(source), std::move(target));
          return Lane([this, lanes](std::stop_token task_stop, size_t task) -> Status {
            const TablePlan& table = tables_[task];
            Status done = options_.level == VerificationLevel::kCounts
                              ? CompareCounts(task_stop, lanes->first, lanes->second, table)
                              : CompareRows(task_stop, lanes->first, lanes->second, table);
            if (!done)
              return tl::make_unexpected(
                  WithContext(std::move(done).error(), "verifying table " + table.Display()));
            reporter_.TableDone();
            return Ok();
          });
        });
  }

  Status CompareCounts(std::stop_token stop, pg::Connection& source, pg::Connection& target,
                       const TablePlan& table) {
    const std::string sql = CountStatement(table);
    auto [ours, theirs] = Together([&] { return source.QueryOne(stop, Deadline::Never(), sql); },
                                   [&] { return target.QueryOne(stop, Deadline::Never(), sql); });
    TRY(ours);
    TRY(theirs);
    NoteRows(table, (*ours)[0].Int(0), 0);
    if ((*ours)[0].Int(0) != (*theirs)[0].Int(0))
      Note({table.Display(), "rowCount", (*ours)[0].Text(0) + " rows",
            (*theirs)[0].Text(0) + " rows"});
    return Ok();
  }

  Status CompareRows(std::stop_token stop, pg::Connection& source, pg::Connection& target,
                     const TablePlan& table) {
    CopyTerms quiet = terms_;  // Progress is counted once, on the target's side.
    quiet.on_progress = nullptr;
    auto ours = [&]() -> Result<RowsSeen> {
      if (known_) {
        auto found = known_->rows.find(table.Qualified());
        if (found != known_->rows.end()) return found->second;
      }
      return HashRows(stop, source, table, table.condition, quiet);
    };
    auto [left, right] =
        Together(ours, [&] { return HashRows(stop, target, table, table.condition, terms_); });
    TRY(left);
    TRY(right);
    NoteRows(table, left->rows, left->bytes);
    if (left->rows != right->rows)
      Note({table.Display(), "rowCount", Words(*left), Words(*right)});
    else if (!(*left == *right))
      Note({table.Display(), "rows", Words(*left), Words(*right)});
    return Ok();
  }

  Status CompareSequences(std::stop_token stop) {
    auto read = [&](Side& side) -> Result<std::map<std::string, std::string>> {
      TRY_ASSIGN(auto positions, pg::ReadSequences(stop, Deadline::Never(), side.connection()));
      std::map<std::string, std::string> words;
      for (const pg::SequencePosition& position : positions)
        words[position.schema + "." + position.name] =
            std::to_string(position.last_value) + (position.is_called ? "" : " (not called yet)");
      return words;
    };
    TRY_ASSIGN(auto ours, read(source_));
    TRY_ASSIGN(auto theirs, read(target_));
    CompareMaps("sequence ", "sequence", ours, theirs,
                [](const std::string& words) { return words; });
    return Ok();
  }

  Status CompareLargeObjects(std::stop_token stop) {
    TRY_ASSIGN(LargeObjects theirs, ReadLargeObjects(stop, target_.connection(), nullptr));
    LargeObjects read;
    if (!known_) {
      TRY_ASSIGN(read, ReadLargeObjects(stop, source_.connection(), nullptr));
      RenameRoles(options_.role_names, read);
    }
    CompareMaps("large object ", "largeObject", known_ ? known_->large_objects : read, theirs,
                [](const LargeObject& object) {
                  return "owner " + object.owner + ", sha256 " + object.content_sha256 +
                         (object.default_acl ? "" : ", grants " + DescribeGrants(object));
                });
    return Ok();
  }

  Status CompareExtensions(std::stop_token stop) {
    TRY_ASSIGN(auto ours, ReadExtensions(stop, Deadline::Never(), source_.connection()));
    TRY_ASSIGN(auto theirs, ReadExtensions(stop, Deadline::Never(), target_.connection()));
    auto by_name = [](const std::vector<Extension>& extensions) {
      std::map<std::string, std::string> names;
      for (const Extension& extension : extensions) names[extension.name] = extension.schema;
      return names;
    };
    CompareMaps("extension ", "extension", by_name(ours), by_name(theirs),
                [](const std::string& schema) { return "in schema " + schema; });
    std::map<std::string, std::string> volatility;
    for (const Extension& extension : theirs) {
      for (const ExtensionFunction& function : extension.functions)
        volatility[function.signature] = function.volatility;
    }
    for (const Extension& extension : ours) {
      for (const ExtensionFunction& function : extension.functions) {
        auto found = volatility.find(function.signature);
        if (found != volatility.end() && found->second != function.volatility)
          report_.Add({"function " + function.signature, "extension",
                       "volatility " + function.volatility, "volatility " + found->second});
      }
    }
    return Ok();
  }

  static Result<pg::DatabaseProperties> ReadProperties(std::stop_token stop, Side& side) {
    TRY_ASSIGN(pg::Rows rows, side.connection().QueryOne(stop, Deadline::Never(),
                                                         "SELECT pg_catalog.current_database()"));
    TRY_ASSIGN(auto found,
               pg::FindDatabase(stop, Deadline::Never(), side.connection(), rows[0].Text(0)));
    if (found) return std::move(*found);
    return TerminalError("DatabaseNotFound",
                         "a database vanished while it was compared; nothing is proven");
  }

  Status CompareProperties(std::stop_token stop) {
    TRY_ASSIGN(pg::DatabaseProperties ours, ReadProperties(stop, source_));
    TRY_ASSIGN(pg::DatabaseProperties theirs, ReadProperties(stop, target_));
    RenameRoles(options_.role_names, ours);
    auto compare = [this](const char* what, const std::string& left, const std::string& right) {
      if (left != right) report_.Add({std::string("database ") + what, "database", left, right});
    };
    compare("encoding", ours.encoding, theirs.encoding);
    compare("collation", ours.collate, theirs.collate);
    compare("character type", ours.ctype, theirs.ctype);
    compare("locale provider", ours.locale_provider, theirs.locale_provider);
    compare("locale", ours.locale, theirs.locale);
    compare("comment", ours.comment, theirs.comment);
    auto settings = [](const pg::DatabaseProperties& properties) {
      std::map<std::string, std::string> values;
      for (const pg::StoredSetting& setting : properties.settings)
        values[setting.name + (setting.role.empty() ? "" : " of role " + setting.role)] =
            setting.value;
      return values;
    };
    CompareMaps("database setting ", "database", settings(ours), settings(theirs),
                [](const std::string& value) { return value; });
    if (!options_.compare_access || ours.access == theirs.access) return Ok();
    compare("owner", ours.access.owner, theirs.access.owner);
    compare("connection limit", std::to_string(ours.access.connection_limit),
            std::to_string(theirs.access.connection_limit));
    auto grants = [](const pg::DatabaseAccess& access) {
      std::string text;
      for (const pg::AclItem& item : access.acl)
        text += item.privilege + " to " + (item.grantee.empty() ? "PUBLIC" : item.grantee) +
                (item.grantable ? " with grant option; " : "; ");
      return text;
    };
    compare("grants", grants(ours.access), grants(theirs.access));
    return Ok();
  }

  Status CompareMatviews(std::stop_token stop) {
    TRY_ASSIGN(auto ours, ReadPopulatedMatviews(stop, Deadline::Never(), source_.connection()));
    TRY_ASSIGN(auto theirs, ReadPopulatedMatviews(stop, Deadline::Never(), target_.connection()));
    auto as_map = [](const std::vector<std::string>& names) {
      std::map<std::string, bool> filled;
      for (const std::string& name : names) filled[name] = true;
      return filled;
    };
    CompareMaps("materialized view ", "structure", as_map(ours), as_map(theirs),
                [](bool) { return std::string("filled"); });
    return Ok();
  }

  Status CompareDumps(std::stop_token stop) {
    auto dump = [&](Side& side) {
      return DumpSchema(stop, Deadline::Never(), programs_, side.options(), side.snapshot());
    };
    auto ours = [&]() -> Result<SchemaDump> {
      return known_ ? Result<SchemaDump>(std::move(known_->structure)) : dump(source_);
    };
    auto [left, right] = Together(ours, [&] { return dump(target_); });
    TRY(left);
    TRY(right);
    if (!options_.role_names.empty()) {
      // A known structure has them renamed; roles of the target only come out in quotes as well.
      if (!known_) RenameRoles(options_.role_names, left->script);
      RenameRoles({}, right->script);
    }
    if (source_.connection().major_version() != target_.connection().major_version()) {
      // A connection of its own, since the lanes may only read.
      TRY_ASSIGN(
          pg::Connection probe,
          pg::Connection::Open(stop, Deadline::After(std::chrono::seconds(30)), target_.options()));
      TRY(pg::SilenceEventTriggers(stop, Deadline::Never(), probe));
      TRY(TranslateViewDefinitions(stop, source_.connection(), probe, left->script));
      if (source_.connection().major_version() < kMajorOfProcedureModes &&
          target_.connection().major_version() >= kMajorOfProcedureModes)
        TRY(SpellProcedureArguments(stop, source_.connection(), left->script));
    }
    CompareStructure(left->script, right->script, report_);
    return Ok();
  }

  /// Every key of either side must be on both, with the same value.
  template <class Map, class ToWords>
  void CompareMaps(const std::string& what, const char* kind, const Map& ours, const Map& theirs,
                   ToWords words) {
    auto name = [&](const auto& key) {
      if constexpr (std::is_arithmetic_v<std::decay_t<decltype(key)>>)
        return what + std::to_string(key);
      else
        return what + key;
    };
    for (const auto& [key, value] : ours) {
      auto found = theirs.find(key);
      if (found == theirs.end())
        report_.Add({name(key), kind, words(value), "absent"});
      else if (!(found->second == value))
        report_.Add({name(key), kind, words(value), words(found->second)});
    }
    for (const auto& [key, value] : theirs) {
      if (!ours.contains(key)) report_.Add({name(key), kind, "absent", words(value)});
    }
  }

  void Note(Mismatch mismatch) {
    MutexLock lock(mutex_);
    report_.Add(std::move(mismatch));
  }
  void NoteRows(const TablePlan&, int64_t rows, int64_t bytes) {
    MutexLock lock(mutex_);
    report_.rows += rows;
    report_.bytes += bytes;
  }

  const PgPrograms& programs_;
  const VerifyOptions& options_;
  std::optional<SourceFacts> known_;
  Side source_;
  Side target_;
  Reporter& reporter_;
  CopyTerms terms_;
  std::vector<TablePlan> tables_;
  Mutex mutex_;  ///< Lanes add to the report under it; between the steps nobody else runs.
  Report report_;
};

}  // namespace

Result<Report> VerifyDatabases(std::stop_token stop, const PgPrograms& programs,
                               const VerifyOptions& options, std::optional<SourceFacts> known,
                               Reporter& reporter) {
  Budget budget(stop, options.seconds_max);
  TRY_ASSIGN(Side source, Side::Open(budget.token(), options.source));
  TRY_ASSIGN(Side target, Side::Open(budget.token(), options.target));
  Comparison comparison(programs, options, std::move(known), std::move(source), std::move(target),
                        reporter);
  Result<Report> report = comparison.Run(budget.token());
  if (!report && budget.spent() && !stop.stop_requested())
    return TerminalError("VerificationTimeout",
                         "verification did not end within " + std::to_string(options.seconds_max) +
                             " s, so nothing is proven; give it more time or more jobs");
  return report;
}

}  // namespace cutover::mover
