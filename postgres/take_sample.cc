// SPDX-License-Identifier: Apache-2.0
#include "postgres/sample.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "operator/base/json.h"

namespace cutover::pg {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

// So many rows are enough to know that something is wrong; the record stays small.
constexpr size_t kSuspectsMax = 100;
// Of a table so many blocks are read, on average; their rows are what there is to choose from.
constexpr int kBlocksPerTable = 8;
// A table that is locked is waited for no longer than that.
constexpr milliseconds kStatementMax{500}, kStatementMin{50};
// Reading what is known of tables costs more than looking at a few rows of each.
constexpr size_t kTablesMax = 300;

// A table without a key is compared as a whole, or not at all.
constexpr int64_t kWholeBytesMax = 1 << 20;
constexpr char kWholeTable[] = "[]";  // In place of a row's key.

// A call that takes longer has met something else than its own queries.
constexpr auto kCallMax = std::chrono::seconds(10);

// Not from pg_publication_tables, which waits for whoever has locked one of the tables.
constexpr char kPublishedTables[] =
    "SELECT n.nspname, c.relname FROM pg_publication p"
    " JOIN pg_publication_rel r ON r.prpubid = p.oid JOIN pg_class c ON c.oid = r.prrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE p.pubname = $1 AND n.nspname <> 'cutover'";

// $1: the slot. $2: positions. Yields the numbers of those that the subscriber has confirmed.
constexpr char kConfirmed[] =
    "SELECT p.n FROM unnest($2::pg_lsn[]) WITH ORDINALITY AS p (position, n)"
    " JOIN pg_replication_slots s ON s.slot_name = $1 AND s.confirmed_flush_lsn >= p.position";

constexpr char kVersion[] = "pg_catalog.concat(t.ctid, '/', t.xmin)";

// What is asked of rows runs nothing of the tenant's: keyed_rows.cc says how.

// $1: how many blocks on average. $2: rows at most.
std::string PickKeys(const TableName& name, const KeyedTable& table) {
  std::string columns;
  for (const std::string& column : table.key)
    columns += (columns.empty() ? "pg_catalog.concat(t." : ", pg_catalog.concat(t.") +
               QuoteIdentifier(column) + ")";
  const std::string qualified = QuoteQualified(name.first, name.second);
  const std::string blocks =
      "(pg_catalog.pg_relation_size(" + QuoteLiteral(qualified) +
      "::pg_catalog.regclass) OPERATOR(pg_catalog./)"
      " pg_catalog.current_setting('block_size')::pg_catalog.int8)::pg_catalog.float8";
  return "SELECT pg_catalog.json_build_array(" + columns + ")::pg_catalog.text FROM ONLY " +
         qualified +
         " AS t TABLESAMPLE pg_catalog.system (least(100::pg_catalog.float8,"
         " 100::pg_catalog.float8 OPERATOR(pg_catalog.*) $1::pg_catalog.float8"
         " OPERATOR(pg_catalog./) greatest(1::pg_catalog.float8, " +
         blocks + "))::pg_catalog.float4) ORDER BY pg_catalog.random() LIMIT $2";
}

// One row that stands for all, in the form of SelectByKeys().
std::string SelectWhole(const TableName& name, const KeyedTable& table) {
  return "SELECT 1, pg_catalog.concat(pg_catalog.count(*), ' ', "
         "pg_catalog.sum(pg_catalog.hashtextextended(" +
         table.Hash() + ", 0))), pg_catalog.concat(pg_catalog.sum(pg_catalog.hashtextextended(" +
         kVersion + ", 0))) FROM ONLY " + QuoteQualified(name.first, name.second) + " AS t";
}

/// Rows of one table as one side has them, by the number of their key, from 1.
using RowStates = std::map<int64_t, RowState>;

RowStates StatesOf(const Rows& rows) {
  RowStates states;
  for (const Row row : rows) states[row.Int(0)] = {row.Text(1), row.Text(2)};
  return states;
}

std::optional<RowState> Find(const RowStates& states, int64_t number) {
  const auto found = states.find(number);
  return found == states.end() ? std::nullopt : std::optional(found->second);
}

std::string WordsOf(const TableName& name, const KeyedTable& table, const std::string& key) {
  std::vector<std::string> values;
  if (auto parsed = Json::Parse(key))
    for (const Json& value : parsed->Items()) values.push_back(value.AsString());
  return Display(name) + " " + table.DescribeKey(values);
}

/// One call of TakeSample() or SettleSample().
class Sampling {
 public:
  Sampling(std::stop_token stop, Deadline deadline, Connection& source, Connection& target,
           const SampledStream& stream, const SampleTerms& terms, Sample sample)
      : stop_(std::move(stop)),
        deadline_(deadline),
        source_connection_(source),
        target_connection_(target),
        source_(source),
        target_(target),
        stream_(stream),
        terms_(terms),
        began_(SteadyClock::now()),
        sample_(std::move(sample)) {}

  /// Every suspect whose position is confirmed.
  Status LookAgain() {
    TRY(Prepare());
    std::vector<std::string> positions;
    for (const Suspect& suspect : sample_.suspects) positions.push_back(suspect.position);
    TRY_ASSIGN(Rows confirmed,
               target_connection_.Query(stop_, deadline_, kConfirmed, {stream_.slot, positions}));
    std::map<TableName, std::vector<Suspect*>> by_table;
    for (const Row row : confirmed) {
      Suspect& suspect = sample_.suspects[static_cast<size_t>(row.Int(0)) - 1];
      by_table[suspect.table].push_back(&suspect);
    }
    if (by_table.empty()) return Ok();
    TRY(ReadTables(by_table));
    for (const auto& [name, suspects] : by_table) TRY(LookAgainAt(name, suspects));
    std::erase_if(sample_.suspects, [this](const Suspect& suspect) {
      return gone_.contains({suspect.table, suspect.key});
    });
    return TakePosition();
  }

  /// Tables behind the last one, until a bound is reached or all have been looked at.
  Status LookAtMore(WallTime now) {
    TRY(Prepare());
    TRY_ASSIGN(const std::vector<TableName> names, NextTables());
    TRY_ASSIGN(tables_, ReadKeyedTables(stop_, deadline_, source_connection_, names));
    for (const TableName& name : names) {
      if (round_.rows >= terms_.rows_max || Left() <= milliseconds::zero()) break;
      TRY(LookAt(name));
      sample_.last_table = name;
    }
    sample_.taken_at = now;
    sample_.rows += round_.rows;
    return TakePosition();
  }

  const Sample& sample() const { return sample_; }
  const SampleRound& round() const { return round_; }

 private:
  Status Prepare() {
    TRY(source_.Prepare(stop_, deadline_));
    return target_.Prepare(stop_, deadline_);
  }

  milliseconds Left() const {
    return std::chrono::duration_cast<milliseconds>(began_ + terms_.budget - SteadyClock::now());
  }
  milliseconds Bound() const { return std::clamp(Left(), kStatementMin, kStatementMax); }

  template <class T>
  Status ReadTables(const std::map<TableName, T>& wanted) {
    std::vector<TableName> names;
    for (const auto& [name, ignored] : wanted) names.push_back(name);
    TRY_ASSIGN(tables_, ReadKeyedTables(stop_, deadline_, source_connection_, names));
    return Ok();
  }

  /// In the order of their names, beginning behind the last one.
  Result<std::vector<TableName>> NextTables() {
    TRY_ASSIGN(Rows rows,
               target_connection_.Query(stop_, deadline_, kPublishedTables, {stream_.publication}));
    std::vector<TableName> names;
    for (const Row row : rows) names.emplace_back(row.Text(0), row.Text(1));
    std::sort(names.begin(), names.end());
    auto next = std::upper_bound(names.begin(), names.end(), sample_.last_table);
    std::rotate(names.begin(), next, names.end());
    if (names.size() > kTablesMax) names.resize(kTablesMax);
    return names;
  }

  /// False when the table is to be left alone; an error when a session is lost.
  Result<bool> Answered(const TableName& name, const ReadSide& side, const char* which,
                        const Result<Rows>& answer) {
    if (answer) return true;
    if (!side.usable()) return tl::unexpected(answer.error());
    PassOver(name, std::string("the ") + which + " says: " + answer.error().message);
    return false;
  }
  void PassOver(const TableName& name, const std::string& why) {
    round_.passed_over += (round_.passed_over.empty() ? "" : "; ") + Display(name) + ": " + why;
  }

  /// Nothing when the table is to be left alone.
  Result<std::optional<BothAnswers>> Ask(const TableName& name, const std::string& sql,
                                         const Params& params) {
    BothAnswers both = AskBoth(stop_, deadline_, Bound(), source_, target_, sql, params);
    TRY_ASSIGN(bool source, Answered(name, source_, "source", both.source));
    TRY_ASSIGN(bool target, Answered(name, target_, "target", both.target));
    if (!source || !target) return std::nullopt;
    return both;
  }

  Status LookAt(const TableName& name) {
    const auto found = tables_.find(name);
    if (found == tables_.end()) {
      PassOver(name, "it is not on the source");
      return Ok();
    }
    const KeyedTable& table = found->second;
    if (table.key.empty()) return LookAtWhole(name, table);
    TRY_ASSIGN(auto picked,
               Ask(name, PickKeys(name, table), {kBlocksPerTable, terms_.rows_per_table_max}));
    if (!picked) return Ok();
    std::set<std::string> keys;
    for (const Rows* rows : {&*picked->source, &*picked->target})
      for (const Row row : *rows) {
        TRY_ASSIGN(const Json key, Json::Parse(row.Text(0)));
        keys.insert(key.Dump());
      }
    ++round_.tables;
    return keys.empty() ? Ok() : FirstLook(name, table, {keys.begin(), keys.end()});
  }

  Status LookAtWhole(const TableName& name, const KeyedTable& table) {
    const bool too_large = table.bytes > kWholeBytesMax;
    if (too_large)
      sample_.not_compared.insert(name);
    else
      sample_.not_compared.erase(name);
    if (too_large) return Ok();
    TRY_ASSIGN(auto both, Ask(name, SelectWhole(name, table), {}));
    if (!both) return Ok();
    ++round_.tables;
    round_.rows += std::stoll((*both->target)[0].Text(1));
    Suspect suspect{name,
                    kWholeTable,
                    Display(name) + " as a whole",
                    Find(StatesOf(*both->source), 1),
                    Find(StatesOf(*both->target), 1),
                    "",
                    false};
    if (!suspect.IsEqual()) Remember(std::move(suspect));
    return Ok();
  }

  Status FirstLook(const TableName& name, const KeyedTable& table,
                   const std::vector<std::string>& keys) {
    TRY_ASSIGN(const auto values, KeyColumns(keys, table.key.size()));
    TRY_ASSIGN(auto both, Ask(name, SelectByKeys(name, table, Columns(table)),
                              Params(values.begin(), values.end())));
    if (!both) return Ok();
    round_.rows += static_cast<int64_t>(keys.size());
    const RowStates source = StatesOf(*both->source), target = StatesOf(*both->target);
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto number = static_cast<int64_t>(i) + 1;
      Suspect suspect{name, keys[i], "", Find(source, number), Find(target, number), "", false};
      if (suspect.IsEqual()) continue;
      suspect.words = WordsOf(name, table, keys[i]);
      Remember(std::move(suspect));
    }
    return Ok();
  }

  void Remember(Suspect suspect) {
    const bool known =
        std::any_of(sample_.suspects.begin(), sample_.suspects.end(), [&](const Suspect& other) {
          return other.table == suspect.table && other.key == suspect.key;
        });
    if (!known && sample_.suspects.size() < kSuspectsMax)
      sample_.suspects.push_back(std::move(suspect));
  }

  // The source first: what it has by then, the target had at some moment before it is asked.
  Status LookAgainAt(const TableName& name, const std::vector<Suspect*>& suspects) {
    const auto found = tables_.find(name);
    std::vector<std::string> keys;
    for (const Suspect* suspect : suspects) keys.push_back(suspect->key);
    const size_t width = found == tables_.end() ? 0 : found->second.key.size();
    const auto columns = KeyColumns(keys, width);
    if (found == tables_.end() || !columns) {
      for (const Suspect* suspect : suspects) gone_.insert({name, suspect->key});
      PassOver(name, "it is not on the source any more, or has another key");
      return Ok();
    }
    const Params params(columns->begin(), columns->end());
    const std::string sql = width == 0 ? SelectWhole(name, found->second)
                                       : SelectByKeys(name, found->second, Columns(found->second));
    Result<Rows> source = source_.Ask(stop_, deadline_, kStatementMax, sql, params);
    TRY_ASSIGN(bool answered, Answered(name, source_, "source", source));
    if (!answered) return Ok();
    Result<Rows> target = target_.Ask(stop_, deadline_, kStatementMax, sql, params);
    TRY_ASSIGN(answered, Answered(name, target_, "target", target));
    if (!answered) return Ok();
    const RowStates on_source = StatesOf(*source), on_target = StatesOf(*target);
    for (size_t i = 0; i < suspects.size(); ++i) {
      const auto number = static_cast<int64_t>(i) + 1;
      Judge(*suspects[i], Find(on_source, number), Find(on_target, number));
    }
    return Ok();
  }

  void Judge(Suspect& suspect, std::optional<RowState> source, std::optional<RowState> target) {
    switch (LookTwice(suspect, source, target)) {
      case SecondLook::kEqual:
        gone_.insert({suspect.table, suspect.key});
        return;
      case SecondLook::kDiffers:
        suspect.proven = true;
        return;
      case SecondLook::kWritten:
        suspect.source = std::move(source);
        suspect.target = std::move(target);
        suspect.position.clear();
    }
  }

  static std::string Columns(const KeyedTable& table) { return table.Hash() + ", " + kVersion; }

  /// For everything that was looked at and found to differ: behind what the target showed of it.
  Status TakePosition() {
    auto lacks = [](const Suspect& suspect) { return suspect.position.empty(); };
    if (std::none_of(sample_.suspects.begin(), sample_.suspects.end(), lacks)) return Ok();
    TRY(target_.Prepare(stop_, deadline_));
    TRY_ASSIGN(Rows rows,
               target_connection_.QueryOne(stop_, deadline_, "SELECT pg_current_wal_insert_lsn()"));
    for (Suspect& suspect : sample_.suspects)
      if (lacks(suspect)) suspect.position = rows[0].Text(0);
    return Ok();
  }

  const std::stop_token stop_;
  const Deadline deadline_;
  Connection& source_connection_;
  Connection& target_connection_;
  ReadSide source_;
  ReadSide target_;
  const SampledStream& stream_;
  const SampleTerms& terms_;
  const SteadyClock::time_point began_;
  Sample sample_;
  SampleRound round_;
  std::map<TableName, KeyedTable> tables_;
  std::set<std::pair<TableName, std::string>> gone_;  ///< Suspects that are none any more.
};

}  // namespace

Result<SampleRound> TakeSample(std::stop_token stop, Deadline deadline, Connection& source,
                               Connection& target, const Claim& claim, const SampledStream& stream,
                               WallTime now, const SampleTerms& terms) {
  deadline = deadline.OrAfter(kCallMax);
  TRY_ASSIGN(Sample sample, ReadSample(stop, deadline, target));
  SampleRound round;
  {
    Sampling sampling(stop, deadline, source, target, stream, terms, std::move(sample));
    if (!sampling.sample().suspects.empty()) TRY(sampling.LookAgain());
    TRY(sampling.LookAtMore(now));
    sample = sampling.sample();
    round = sampling.round();
  }
  // In the session's own settings again.
  TRY(KeepSample(stop, deadline, target, claim, sample));
  return round;
}

Status SettleSample(std::stop_token stop, Deadline deadline, Connection& source, Connection& target,
                    const Claim& claim, const SampledStream& stream) {
  deadline = deadline.OrAfter(kCallMax);
  TRY_ASSIGN(Sample sample, ReadSample(stop, deadline, target));
  if (sample.suspects.empty()) return Ok();
  const SampleTerms terms;
  {
    Sampling sampling(stop, deadline, source, target, stream, terms, std::move(sample));
    TRY(sampling.LookAgain());
    sample = sampling.sample();
  }
  return KeepSample(stop, deadline, target, claim, sample);
}

}  // namespace cutover::pg
