// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/localize.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "mover/copy/table_copy.h"
#include "mover/process/parallel.h"
#include "mover/verify/table_key.h"

namespace cutover::mover {
namespace {

using Values = std::vector<std::string>;

constexpr size_t kHashedColumnsMax = 200;  // Of a keyless table: they nest in one expression.

/// Keys from `from` to before `to`; without one of them the range is open at that end.
struct Range {
  std::optional<Values> from;
  std::optional<Values> to;
  std::string chunk;
  RowsSeen source;
  RowsSeen target;

  int64_t rows() const { return std::max(source.rows, target.rows); }

  std::string Condition(const TableKey& key) const {
    std::string condition;
    auto add = [&](const char* how, const std::optional<Values>& bound) {
      if (!bound) return;
      Values literals;
      for (const std::string& value : *bound) literals.push_back(pg::QuoteLiteral(value));
      condition += (condition.empty() ? "WHERE " : " AND ") + key.Row() + how + "(" +
                   JoinNames(literals) + ")";
    };
    add(" >= ", from);
    add(" < ", to);
    return condition;
  }

  std::string Describe(const TableKey& key) const {
    if (!from && !to) return "";
    return "(" + JoinNames(key.columns) + ")" + (from ? " from (" + JoinNames(*from) + ")" : "") +
           (to ? " to before (" + JoinNames(*to) + ")" : "");
  }
};

/// The value of one column as its type writes it, and whether it is NULL, as a number of 64 bits
/// that is the same on every server. concat() calls the type's output function, where a cast to
/// text may leave something out (trailing blanks); num_nulls() sees a composite value as one.
std::string HashOf(const std::string& column, const std::string& seed) {
  const std::string name = pg::QuoteIdentifier(column);
  return "pg_catalog.hashtextextended(pg_catalog.concat(pg_catalog.num_nulls(" + name + "), ',', " +
         name + ") COLLATE pg_catalog.\"C\", " + seed + ")";
}

class Localizer {
 public:
  Localizer(std::stop_token stop, pg::Connection source, pg::Connection target,
            const TablePair& table, const LocalizeTerms& terms, Mismatch& mismatch)
      : stop_(std::move(stop)),
        source_(std::move(source)),
        target_(std::move(target)),
        table_(table),
        terms_(terms),
        mismatch_(mismatch) {
    copy_terms_.encoding = terms.encoding;
  }

  Status Run(const RowsSeen& source_rows, const RowsSeen& target_rows) {
    TRY_ASSIGN(key_, FindTableKey(stop_, source_, table_.source.oid));
    Range whole;
    whole.source = source_rows;
    whole.target = target_rows;
    if (!key_.empty()) {
      TRY(Descend(std::move(whole)));
    } else {
      TRY(FindWithoutKey(whole));
    }
    if (mismatch_.places.empty() && mismatch_.note.empty())
      mismatch_.note =
          "read once more, both sides are equal: one of them has changed since it was compared";
    return Ok();
  }

 private:
  /// Depth first, so that the first places are narrowed down to rows before any bound is reached.
  Status Descend(Range range) {
    if (range.rows() <= terms_.rows_compared_max) return CompareRows(range);
    if (rows_named_ >= terms_.rows_named_max || queries_ >= terms_.queries_max)
      return Report(range);
    TRY_ASSIGN(std::vector<Range> parts, Divide(range));
    if (parts.size() < 2) return Report(range);
    std::vector<Range> different;
    for (Range& part : parts) {
      TRY(Hash(part));
      if (!(part.source == part.target)) different.push_back(std::move(part));
    }
    for (Range& part : different) {
      if (Full()) break;
      TRY(Descend(std::move(part)));
    }
    return Ok();
  }

  bool Full() {
    if (static_cast<int>(mismatch_.places.size()) < terms_.places_max) return false;
    mismatch_.note = "there are more; only the first places are listed";
    return true;
  }

  Status Report(const Range& range, std::vector<RowDifference> rows = {}) {
    if (Full()) return Ok();
    mismatch_.places.push_back(Place{range.chunk, range.Describe(key_), range.source.rows,
                                     range.target.rows, std::move(rows)});
    return Ok();
  }

  /// By quantiles of the side that has more rows: any bounds are right, and these balance.
  Result<std::vector<Range>> Divide(const Range& range) {
    const bool by_source = range.source.rows >= range.target.rows;
    const int64_t wanted = std::clamp<int64_t>(
        (range.rows() + terms_.rows_compared_max - 1) / terms_.rows_compared_max, 2,
        terms_.fan_out);
    const int64_t step = (range.rows() + wanted - 1) / wanted;
    // No other column is read: one may be computed when it is, by a function of the tenant's.
    Values texts, names;
    for (size_t i = 0; i < key_.texts.size(); ++i) {
      names.push_back("k" + std::to_string(i + 1));
      texts.push_back(key_.texts[i] + " AS " + names.back());
    }
    const std::string order = JoinNames(key_.expressions);
    const TablePlan& table = by_source ? table_.source : table_.target;
    ++queries_;
    TRY_ASSIGN(
        pg::Rows rows,
        (by_source ? source_ : target_)
            .Query(stop_, Deadline::Never(),
                   "SELECT " + JoinNames(names) + " FROM (SELECT " + JoinNames(texts) +
                       ", pg_catalog.row_number() OVER (ORDER BY " + order + ") AS number" +
                       " FROM ONLY " + table.Qualified() + " " + range.Condition(key_) +
                       ") AS numbered WHERE number > 1 AND (number - 1) % $1 = 0 ORDER BY number",
                   {step}));
    std::vector<Range> parts;
    std::optional<Values> from = range.from;
    for (const pg::Row row : rows) {
      Values bound;
      for (size_t i = 0; i < texts.size(); ++i) bound.push_back(row.Text(static_cast<int>(i)));
      parts.push_back(Range{from, bound, "", {}, {}});
      from = bound;
    }
    parts.push_back(Range{from, range.to, "", {}, {}});
    for (size_t i = 0; i < parts.size(); ++i)
      parts[i].chunk = (range.chunk.empty() ? "chunk " : range.chunk + ", ") +
                       std::to_string(i + 1) + " of " + std::to_string(parts.size());
    return parts;
  }

  Status Hash(Range& range) {
    queries_ += 2;
    const std::string condition = range.Condition(key_);
    auto [ours, theirs] =
        Together([&] { return HashRows(stop_, source_, table_.source, condition, copy_terms_); },
                 [&] { return HashRows(stop_, target_, table_.target, condition, copy_terms_); });
    TRY(ours);
    TRY(theirs);
    range.source = *ours;
    range.target = *theirs;
    return Ok();
  }

  /// By key; each row is one hash a column, so that values stay where they are.
  using RowsByKey = std::map<Values, std::vector<std::optional<std::string>>>;

  Result<RowsByKey> ReadRows(pg::Connection& connection, const TablePlan& table,
                             const Range& range) {
    Values list = key_.texts;
    for (const std::string& column : table.columns) list.push_back(HashOf(column, "0"));
    TRY_ASSIGN(pg::Rows rows,
               connection.Query(stop_, Deadline::Never(),
                                "SELECT " + JoinNames(list) + " FROM ONLY " + table.Qualified() +
                                    " " + range.Condition(key_)));
    RowsByKey by_key;
    const size_t keys = key_.columns.size();
    for (const pg::Row row : rows) {
      Values key;
      for (size_t i = 0; i < keys; ++i) key.push_back(row.Text(static_cast<int>(i)));
      auto& hashes = by_key[key];
      for (size_t i = 0; i < table.columns.size(); ++i)
        hashes.emplace_back(row.Get(static_cast<int>(keys + i)));
    }
    return by_key;
  }

  Status CompareRows(const Range& range) {
    queries_ += 2;
    TRY_ASSIGN(RowsByKey ours, ReadRows(source_, table_.source, range));
    TRY_ASSIGN(RowsByKey theirs, ReadRows(target_, table_.target, range));
    std::vector<RowDifference> found;
    for (const auto& [key, hashes] : ours) {
      auto other = theirs.find(key);
      if (other == theirs.end()) {
        found.push_back({key_.Describe(key), "only on the source", {}});
        continue;
      }
      Values columns;
      for (size_t i = 0; i < hashes.size(); ++i)
        if (hashes[i] != other->second[i]) columns.push_back(table_.source.columns[i]);
      if (!columns.empty()) found.push_back({key_.Describe(key), "differs", std::move(columns)});
    }
    for (const auto& [key, hashes] : theirs)
      if (!ours.contains(key)) found.push_back({key_.Describe(key), "only on the target", {}});
    // After a clone the whole table may be this small, and the source have changed back.
    if (found.empty()) return Ok();
    Keep(found);
    return Report(range, std::move(found));
  }

  /// As many as the report can bear.
  void Keep(std::vector<RowDifference>& found) {
    const size_t room = static_cast<size_t>(std::max(terms_.rows_named_max - rows_named_, 0));
    if (found.size() > room) {
      mismatch_.note = "there are more; only the first rows are named";
      found.resize(room);
    }
    rows_named_ += static_cast<int>(found.size());
  }

  /// One hash of a whole row and where it stands, sorted.
  using Standing = std::vector<std::pair<int64_t, std::string>>;

  Result<Standing> ReadStanding(pg::Connection& connection, const TablePlan& table) {
    std::string hash = "0";
    for (const std::string& column : table.columns) hash = HashOf(column, hash);
    ++queries_;
    TRY_ASSIGN(pg::Rows rows, connection.Query(stop_, Deadline::Never(),
                                               "SELECT " + hash + ", ctid FROM ONLY " +
                                                   table.Qualified() + " " + table.condition));
    Standing standing;
    for (const pg::Row row : rows) standing.emplace_back(row.Int(0), row.Text(1));
    std::sort(standing.begin(), standing.end());
    return standing;
  }

  Status FindWithoutKey(const Range& whole) {
    if (!table_.source.heap || !table_.target.heap || table_.source.columns.empty() ||
        table_.source.columns.size() > kHashedColumnsMax ||
        whole.rows() > terms_.keyless_rows_max) {
      mismatch_.note = "the table has no key by which to say where it differs";
      return Ok();
    }
    TRY_ASSIGN(Standing ours, ReadStanding(source_, table_.source));
    TRY_ASSIGN(Standing theirs, ReadStanding(target_, table_.target));
    std::vector<RowDifference> found;
    auto left = ours.begin(), right = theirs.begin();
    while (left != ours.end() || right != theirs.end()) {
      if (right == theirs.end() || (left != ours.end() && left->first < right->first)) {
        found.push_back({"ctid " + (left++)->second, "only on the source", {}});
      } else if (left == ours.end() || right->first < left->first) {
        found.push_back({"ctid " + (right++)->second, "only on the target", {}});
      } else {
        ++left;
        ++right;
      }
    }
    if (found.empty()) return Ok();
    std::sort(found.begin(), found.end(), [](const RowDifference& a, const RowDifference& b) {
      return std::tie(a.problem, a.key) < std::tie(b.problem, b.key);
    });
    Keep(found);
    return Report(whole, std::move(found));
  }

  const std::stop_token stop_;
  pg::Connection source_;
  pg::Connection target_;
  const TablePair table_;
  const LocalizeTerms& terms_;
  Mismatch& mismatch_;
  CopyTerms copy_terms_;
  TableKey key_;
  int queries_ = 0;
  int rows_named_ = 0;
};

Status TryLocalize(std::stop_token stop, const Side& source, const Side& target,
                   const TablePair& table, const RowsSeen& source_rows, const RowsSeen& target_rows,
                   const LocalizeTerms& terms, Mismatch& mismatch) {
  TRY_ASSIGN(pg::Connection ours, source.OpenLane(stop));
  TRY_ASSIGN(pg::Connection theirs, target.OpenLane(stop));
  return Localizer(stop, std::move(ours), std::move(theirs), table, terms, mismatch)
      .Run(source_rows, target_rows);
}

}  // namespace

void Localize(std::stop_token stop, const Side& source, const Side& target, const TablePair& table,
              const RowsSeen& source_rows, const RowsSeen& target_rows, const LocalizeTerms& terms,
              Mismatch& mismatch) {
  if (!table.source.condition.empty()) {
    mismatch.note = "of an extension's table it is not said where it differs";
    return;
  }
  Status found =
      TryLocalize(stop, source, target, table, source_rows, target_rows, terms, mismatch);
  if (!found) mismatch.note = "where it differs could not be found out: " + found.error().message;
}

}  // namespace cutover::mover
