// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "postgres/changed_keys.h"
#include "postgres/changes.h"
#include "postgres/keyed_rows.h"

namespace cutover::pg {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kStatementMin{50};
// A condition is to be read; thousands of tables may have no key.
constexpr size_t kNotComparedNamedMax = 10;

/// One call of CompareChanged(), when all is collected.
class Comparison {
 public:
  Comparison(std::stop_token stop, Deadline deadline, Connection& source, Connection& target,
             const Claim& claim, const CompareTerms& terms, std::string settle_up_to = "")
      : stop_(std::move(stop)),
        deadline_(deadline),
        source_connection_(source),
        target_connection_(target),
        source_(source),
        target_(target),
        claim_(claim),
        terms_(terms),
        settle_up_to_(std::move(settle_up_to)),
        began_(SteadyClock::now()) {}

  int64_t settled() const { return settled_; }

  Result<ChangeComparison> Run() {
    TRY_ASSIGN(const std::vector<ChangedTable> tables,
               ReadChangedTables(stop_, deadline_, target_connection_));
    TRY(ReadFacts(tables));
    TRY(source_.Prepare(stop_, deadline_));
    TRY(target_.Prepare(stop_, deadline_));
    for (const ChangedTable& table : tables) TRY(CompareTable(table));
    found_.seconds = std::chrono::duration<double>(SteadyClock::now() - began_).count();
    return std::move(found_);
  }

 private:
  bool settling() const { return !settle_up_to_.empty(); }

  Status ReadFacts(const std::vector<ChangedTable>& tables) {
    std::vector<TableName> names;
    for (const ChangedTable& table : tables) names.push_back(table.name);
    TRY_ASSIGN(facts_, ReadKeyedTables(stop_, deadline_, source_connection_, names));
    return Ok();
  }

  Status CompareTable(const ChangedTable& table) {
    const auto found = facts_.find(table.name);
    if (settling()) {
      const bool by_key = found != facts_.end() && !found->second.key.empty() && table.keys > 0;
      return by_key ? CompareRows(table, found->second) : Ok();
    }
    if (found == facts_.end()) {
      NotCompare(table.name, table.keys + table.unlisted,
                 "it is gone from the source; copy again, the structure was changed");
      return Ok();
    }
    const KeyedTable& facts = found->second;
    const bool whole = table.unlisted > 0 || facts.key.empty();
    if (whole && facts.bytes <= terms_.whole_table_bytes_max) return CompareWhole(table, facts);
    if (table.unlisted > 0)
      NotCompare(table.name, table.unlisted,
                 table.why_unlisted + ", and with " + std::to_string(facts.bytes >> 20) +
                     " MiB it is too large to be compared as a whole under the fence");
    if (table.keys > 0 && facts.key.empty()) {
      NotCompare(table.name, table.keys, "its key was dropped; copy again");
      return Ok();
    }
    TRY(CompareRows(table, facts));
    return table.truncated ? CompareCounts(table) : Ok();
  }

  /// Both sides at once. Nothing when the table cannot be compared, which is then noted.
  Result<std::optional<std::pair<Rows, Rows>>> AskBoth(const TableName& table, int64_t changes,
                                                       const std::string& sql,
                                                       const Params& params) {
    const milliseconds left = Left();
    if (left <= milliseconds::zero()) {
      NotCompare(table, changes, SpentWords());
      return std::nullopt;
    }
    BothAnswers both =
        pg::AskBoth(stop_, deadline_, std::max(left, kStatementMin), source_, target_, sql, params);
    for (const auto& [answer, side, name] : {std::tuple(&both.source, &source_, "source"),
                                             std::tuple(&both.target, &target_, "target")}) {
      if (*answer) continue;
      if (!side->usable()) return tl::unexpected(std::move(*answer).error());
      const Error& error = answer->error();
      NotCompare(table, changes,
                 error.reason == "Cancelled"
                     ? SpentWords()
                     : "the " + std::string(name) + " refuses to read it: " + error.message);
      return std::nullopt;
    }
    return std::pair(std::move(*both.source), std::move(*both.target));
  }

  Status CompareRows(const ChangedTable& table, const KeyedTable& facts) {
    const std::string sql = SelectByKeys(table.name, facts, facts.Hash());
    KeyRange range{terms_.rows_per_batch, "\\x", settle_up_to_};
    int64_t left = table.keys;
    bool counted = false;
    while (left > 0) {
      TRY_ASSIGN(const ChangedKeys batch,
                 ReadChangedKeys(stop_, deadline_, target_connection_, table.name, range));
      if (batch.keys.empty()) break;
      range.after = batch.hashes.back();
      TRY_ASSIGN(const auto values, KeyColumns(batch.keys, facts.key.size()));
      const Params params(values.begin(), values.end());
      TRY_ASSIGN(auto both, AskBoth(table.name, left, sql, params));
      if (!both) return Ok();
      if (!std::exchange(counted, true)) ++found_.tables;
      unequal_.clear();
      Match(table.name, facts, values, both->first, both->second);
      if (settling()) TRY(ForgetEqual(table.name, batch.hashes));
      left -= static_cast<int64_t>(batch.keys.size());
    }
    return Ok();
  }

  Status ForgetEqual(const TableName& table, const std::vector<std::string>& hashes) {
    std::vector<std::string> equal;
    for (size_t i = 0; i < hashes.size(); ++i)
      if (!unequal_.contains(static_cast<int64_t>(i) + 1)) equal.push_back(hashes[i]);
    if (equal.empty()) return Ok();
    settled_ += static_cast<int64_t>(equal.size());
    return ForgetKeys(stop_, deadline_, target_connection_, claim_, table, equal, settle_up_to_);
  }

  void Match(const TableName& table, const KeyedTable& facts,
             const std::vector<std::vector<std::string>>& values, const Rows& ours,
             const Rows& theirs) {
    std::map<int64_t, std::string> there;
    for (const Row row : theirs) there.emplace(row.Int(0), row.Text(1));
    auto key_of = [&](int64_t number) {
      std::vector<std::string> key;
      for (const auto& column : values) key.push_back(column[static_cast<size_t>(number) - 1]);
      return facts.DescribeKey(key);
    };
    auto differ = [&](int64_t number, RowDifference::What what) {
      unequal_.insert(number);
      Differ(table, key_of(number), what);
    };
    for (const Row row : ours) {
      const auto found = there.find(row.Int(0));
      if (found == there.end()) {
        differ(row.Int(0), RowDifference::What::kMissingOnTarget);
        continue;
      }
      if (found->second != row.Text(1)) differ(row.Int(0), RowDifference::What::kDiffers);
      there.erase(found);
    }
    for (const auto& [number, hash] : there) differ(number, RowDifference::What::kExtraOnTarget);
    found_.rows_compared += static_cast<int64_t>(values.front().size());
  }

  /// The order of the rows does not count, and each counts as often as it is there.
  Status CompareWhole(const ChangedTable& table, const KeyedTable& facts) {
    auto part = [](const char* from) {
      return std::string("coalesce(pg_catalog.sum(pg_catalog.concat('x', pg_catalog.substr(h, ") +
             from +
             ", 16))::pg_catalog.bit(64)::pg_catalog.int8::pg_catalog.numeric),"
             " 0::pg_catalog.numeric)";
    };
    const std::string sql =
        "SELECT pg_catalog.count(*), pg_catalog.concat(" + part("1") + ", ' ', " + part("17") +
        ")" + " FROM (SELECT " + facts.Hash() + " AS h FROM ONLY " +
        QuoteQualified(table.name.first, table.name.second) + " AS t OFFSET 0) AS hashed";
    TRY_ASSIGN(auto both, AskBoth(table.name, table.keys + table.unlisted, sql, {}));
    if (!both) return Ok();
    ++found_.tables;
    found_.rows_compared += both->first[0].Int(0);
    if (both->first[0].Int(0) == both->second[0].Int(0) &&
        both->first[0].Text(1) == both->second[0].Text(1))
      return Ok();
    Differ(table.name, CountWords(both->first[0].Int(0), both->second[0].Int(0)),
           RowDifference::What::kTableDiffers);
    return Ok();
  }

  /// Of a table that was truncated, all rows of the source are among the changed ones; of the
  /// target's that has to be shown.
  Status CompareCounts(const ChangedTable& table) {
    TRY_ASSIGN(auto both, AskBoth(table.name, 1,
                                  "SELECT pg_catalog.count(*) FROM ONLY " +
                                      QuoteQualified(table.name.first, table.name.second),
                                  {}));
    if (!both) return Ok();
    if (table.keys == 0) ++found_.tables;
    const int64_t ours = both->first[0].Int(0), theirs = both->second[0].Int(0);
    if (ours != theirs)
      Differ(table.name, CountWords(ours, theirs), RowDifference::What::kTableDiffers);
    return Ok();
  }

  static std::string CountWords(int64_t ours, int64_t theirs) {
    return std::to_string(ours) + " rows on the source, " + std::to_string(theirs) +
           " on the target";
  }

  void Differ(const TableName& table, std::string key, RowDifference::What what) {
    ++found_.differences;
    if (static_cast<int>(found_.first_differences.size()) < terms_.differences_max)
      found_.first_differences.push_back({Display(table), std::move(key), what});
  }
  void NotCompare(const TableName& table, int64_t changes, std::string why) {
    found_.not_compared.push_back({Display(table), changes, std::move(why)});
  }

  milliseconds Left() const {
    return std::chrono::duration_cast<milliseconds>(began_ + terms_.budget - SteadyClock::now());
  }
  std::string SpentWords() const {
    return "the " + std::to_string(terms_.budget.count()) +
           " ms for comparing under the fence were spent; allow more, or move when less is written";
  }

  const std::stop_token stop_;
  const Deadline deadline_;
  Connection& source_connection_;
  Connection& target_connection_;
  ReadSide source_;
  ReadSide target_;
  const Claim& claim_;
  const CompareTerms& terms_;
  /// Where set, nothing is at rest: equal rows are forgotten, and nothing else is concluded.
  const std::string settle_up_to_;
  const SteadyClock::time_point began_;
  std::map<TableName, KeyedTable> facts_;
  std::set<int64_t> unequal_;  ///< Of the current batch, by the key's number in it, from 1.
  int64_t settled_ = 0;
  ChangeComparison found_;
};

const char* Words(RowDifference::What what) {
  switch (what) {
    case RowDifference::What::kDiffers:
      return "differs";
    case RowDifference::What::kMissingOnTarget:
      return "is missing on the target";
    case RowDifference::What::kExtraOnTarget:
      return "is on the target only";
    case RowDifference::What::kTableDiffers:
      return "do not make the same table";
  }
  return "differs";
}

}  // namespace

std::string ChangeComparison::DescribeDifferences() const {
  std::string text;
  for (const RowDifference& difference : first_differences)
    text += (text.empty() ? "" : ", ") + difference.table + " " + difference.key + " " +
            Words(difference.what);
  const auto more = differences - static_cast<int64_t>(first_differences.size());
  return more > 0 ? text + " and " + std::to_string(more) + " more" : text;
}

std::string ChangeComparison::DescribeNotCompared() const {
  std::string text;
  for (size_t at = 0; at < std::min(not_compared.size(), kNotComparedNamedMax); ++at) {
    const NotCompared& part = not_compared[at];
    text += (text.empty() ? "" : "; ") + part.table + ": " + std::to_string(part.changes) +
            " changes were not compared: " + part.why;
  }
  if (not_compared.size() <= kNotComparedNamedMax) return text;
  return text + "; and " + std::to_string(not_compared.size() - kNotComparedNamedMax) +
         " tables more";
}

Result<ChangeComparison> CompareChanged(std::stop_token stop, Deadline deadline, Connection& source,
                                        Connection& target, const Claim& claim,
                                        const ChangeWatch& watch, const CompareTerms& terms) {
  CollectedChanges collected;
  while (!collected.complete) {
    if (deadline.Expired())
      return RetryError("NotCollected",
                        "reading which rows changed took all the time that there was; try again, "
                        "what was read is kept");
    TRY_ASSIGN(collected, CollectRest(stop, deadline, source, target, claim, watch));
  }
  return Comparison(std::move(stop), deadline, source, target, claim, terms).Run();
}

Result<int64_t> SettleChanges(std::stop_token stop, Deadline deadline, Connection& source,
                              Connection& target, const Claim& claim, const std::string& up_to,
                              milliseconds budget) {
  CompareTerms terms;
  terms.budget = budget;
  Comparison comparison(std::move(stop), deadline, source, target, claim, terms, up_to);
  TRY(comparison.Run());
  return comparison.settled();
}

}  // namespace cutover::pg
