// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "operator/base/json.h"
#include "postgres/changed_keys.h"
#include "postgres/changes.h"

namespace cutover::pg {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

// Of each table: what to read of a row, how to find one by its key, and how large it is. The key is
// the one that CollectChanges() has listed. It is found by the operator of its own index: that of
// an extension's type is not in our search path.
constexpr char kTableFacts[] = R"(
SELECT w.at, pg_table_size(c.oid), key.columns, key.conditions,
       (SELECT 'ROW(' || coalesce(string_agg('t.' || quote_ident(a.attname), ', ' ORDER BY a.attnum),
                                  '') || ')'
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           AND a.attgenerated = '')
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (schema_name, table_name, at)
  JOIN pg_namespace n ON n.nspname = w.schema_name
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.table_name AND c.relkind = 'r'
  LEFT JOIN LATERAL (
    SELECT ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (number, at)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                 WHERE k.at <= i.indnkeyatts ORDER BY k.at) AS columns,
           ARRAY(SELECT format('t.%I OPERATOR(%I.%s) k.k%s::%s', a.attname, m.nspname, o.oprname, k.at,
                               format_type(a.atttypid, -1))
                 FROM unnest(i.indkey, i.indclass) WITH ORDINALITY AS k (number, class, at)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                 JOIN pg_opclass p ON p.oid = k.class
                 JOIN pg_amop q ON q.amopfamily = p.opcfamily AND q.amopstrategy = 3
                      AND q.amoplefttype = p.opcintype AND q.amoprighttype = p.opcintype
                 JOIN pg_operator o ON o.oid = q.amopopr
                 JOIN pg_namespace m ON m.oid = o.oprnamespace
                 WHERE k.at <= i.indnkeyatts ORDER BY k.at) AS conditions
      FROM pg_index i
     WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
       AND i.indexprs IS NULL
       AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'f' THEN true
                               ELSE i.indisprimary END
       AND NOT EXISTS (SELECT FROM unnest(i.indkey) WITH ORDINALITY AS k (number, at)
                       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                       WHERE k.at <= i.indnkeyatts AND (NOT a.attnotnull OR a.attgenerated <> ''))
     ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1) AS key ON true)";

constexpr char kHash[] = "encode(sha256(convert_to(%ROW%::text, getdatabaseencoding())), 'hex')";

// A thousand rows are looked for by their keys, whatever the planner thinks of the table: it may
// have no statistics of it yet. statement_timeout ends a query, but not the session.
constexpr char kSet[] =
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";
constexpr char kReset[] =
    "RESET enable_seqscan; RESET enable_hashjoin; RESET enable_mergejoin; RESET statement_timeout;"
    " RESET search_path";
constexpr auto kResetTimeout = std::chrono::seconds(5);
constexpr milliseconds kStatementMin{50};

struct TableFacts {
  int64_t bytes = 0;
  std::vector<std::string> key;
  std::vector<std::string> conditions;
  std::string row;  ///< "ROW(t.a, t.b)"
};

std::string Display(const TableName& table) { return table.first + "." + table.second; }

std::string HashOf(const TableFacts& facts) {
  std::string sql = kHash;
  return sql.replace(sql.find("%ROW%"), 5, "(" + facts.row + ")");
}

std::string Join(const std::vector<std::string>& items, const char* between) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : between) + item;
  return text;
}

/// What a side says about one query.
using Answer = Result<Rows>;

/// A function that is called within an index or a domain may need the path that its author had.
bool FailedByName(const Error& error) {
  return error.reason == "UndefinedObject" || error.reason == "InvalidStatement";
}

/// One side, as it is to be read; its session comes back as it was.
class ReadSide {
 public:
  explicit ReadSide(Connection& connection) : connection_(connection) {}
  ~ReadSide() {
    // Ignored: a session that cannot be set back is closed already.
    if (connection_.usable()) [[maybe_unused]]
      Status reset = connection_.Exec({}, Deadline::After(kResetTimeout), kReset);
  }
  ReadSide(const ReadSide&) = delete;
  ReadSide& operator=(const ReadSide&) = delete;

  Status Prepare(std::stop_token stop, Deadline deadline) {
    return connection_.Exec(stop, deadline, kSet);
  }
  Answer Ask(std::stop_token stop, Deadline deadline, milliseconds statement_max,
             const std::string& sql, const Params& params) {
    TRY(connection_.Exec(stop, deadline,
                         "SET statement_timeout = " + std::to_string(statement_max.count())));
    Answer answer = connection_.Query(stop, deadline, sql, params);
    if (answer || !connection_.usable() || !FailedByName(answer.error())) return answer;
    TRY(connection_.Exec(stop, deadline, "SET search_path = \"$user\", public"));
    answer = connection_.Query(stop, deadline, sql, params);
    TRY(connection_.Exec(stop, deadline, "RESET search_path"));
    return answer;
  }
  bool usable() const { return connection_.usable(); }

 private:
  Connection& connection_;
};

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
    std::vector<std::string> schemas, names;
    for (const ChangedTable& table : tables) {
      schemas.push_back(table.name.first);
      names.push_back(table.name.second);
    }
    TRY_ASSIGN(Rows rows,
               source_connection_.Query(stop_, deadline_, kTableFacts, {schemas, names}));
    for (const Row row : rows) {
      TableFacts& facts = facts_[tables[static_cast<size_t>(row.Int(0)) - 1].name];
      facts.bytes = row.Int(1);
      facts.key = row.TextArray(2);
      facts.conditions = row.TextArray(3);
      facts.row = row.Text(4);
    }
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
    const TableFacts& facts = found->second;
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
    const milliseconds bound = std::max(left, kStatementMin);
    auto asked = std::async(std::launch::async,
                            [&] { return source_.Ask(stop_, deadline_, bound, sql, params); });
    Answer theirs = target_.Ask(stop_, deadline_, bound, sql, params);
    Answer ours = asked.get();
    for (const auto& [answer, side, name] :
         {std::tuple(&ours, &source_, "source"), std::tuple(&theirs, &target_, "target")}) {
      if (*answer) continue;
      if (!side->usable()) return tl::unexpected(std::move(*answer).error());
      const Error& error = answer->error();
      NotCompare(table, changes,
                 error.reason == "Cancelled"
                     ? SpentWords()
                     : "the " + std::string(name) + " refuses to read it: " + error.message);
      return std::nullopt;
    }
    return std::pair(std::move(*ours), std::move(*theirs));
  }

  Status CompareRows(const ChangedTable& table, const TableFacts& facts) {
    std::string names, arrays;
    for (size_t i = 1; i <= facts.key.size(); ++i) {
      names += "k" + std::to_string(i) + ", ";
      arrays += (i == 1 ? "$" : ", $") + std::to_string(i) + "::text[]";
    }
    const std::string sql = "SELECT k.n, " + HashOf(facts) + " FROM unnest(" + arrays +
                            ") WITH ORDINALITY AS k (" + names + "n) JOIN ONLY " +
                            QuoteQualified(table.name.first, table.name.second) + " AS t ON " +
                            Join(facts.conditions, " AND ");
    KeyRange range{terms_.rows_per_batch, "\\x", settle_up_to_};
    int64_t left = table.keys;
    bool counted = false;
    while (left > 0) {
      TRY_ASSIGN(const ChangedKeys batch,
                 ReadChangedKeys(stop_, deadline_, target_connection_, table.name, range));
      if (batch.keys.empty()) break;
      range.after = batch.hashes.back();
      TRY_ASSIGN(std::vector<std::vector<std::string>> values,
                 Columns(batch.keys, facts.key.size()));
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

  /// Keys as they were kept, by column.
  static Result<std::vector<std::vector<std::string>>> Columns(const std::vector<std::string>& keys,
                                                               size_t width) {
    std::vector<std::vector<std::string>> columns(width);
    for (const std::string& key : keys) {
      TRY_ASSIGN(const Json values, Json::Parse(key));
      if (values.Size() != width)
        return TerminalError("KeyChanged",
                             "a table's key is not the one it had when its changes were collected; "
                             "copy again, the structure was changed");
      for (size_t i = 0; i < width; ++i) columns[i].push_back(values[i].AsString());
    }
    return columns;
  }

  void Match(const TableName& table, const TableFacts& facts,
             const std::vector<std::vector<std::string>>& values, const Rows& ours,
             const Rows& theirs) {
    std::map<int64_t, std::string> there;
    for (const Row row : theirs) there.emplace(row.Int(0), row.Text(1));
    auto key_of = [&](int64_t number) {
      std::vector<std::string> key;
      for (const auto& column : values) key.push_back(column[static_cast<size_t>(number) - 1]);
      return "(" + Join(facts.key, ", ") + ")=(" + Join(key, ", ") + ")";
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
  Status CompareWhole(const ChangedTable& table, const TableFacts& facts) {
    const std::string sum = "coalesce(sum(('x' || substr(h, %, 16))::bit(64)::bigint::numeric), 0)";
    auto part = [&sum](const char* from) {
      return std::string(sum).replace(sum.find('%'), 1, from);
    };
    const std::string sql = "SELECT count(*), " + part("1") + " || ' ' || " + part("17") +
                            " FROM (SELECT " + HashOf(facts) + " AS h FROM ONLY " +
                            QuoteQualified(table.name.first, table.name.second) +
                            " AS t OFFSET 0) AS hashed";
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
                                  "SELECT count(*) FROM ONLY " +
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
  std::map<TableName, TableFacts> facts_;
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
  for (const NotCompared& part : not_compared)
    text += (text.empty() ? "" : "; ") + part.table + ": " + std::to_string(part.changes) +
            " changes were not compared: " + part.why;
  return text;
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
