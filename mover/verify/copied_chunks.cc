// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/copied_chunks.h"

#include <utility>

#include "mover/copy/table_copy.h"
#include "mover/verify/table_key.h"

namespace cutover::mover {
namespace {

class Comparer {
 public:
  Comparer(std::stop_token stop, pg::Connection source, pg::Connection target,
           const TablePair& table, const std::vector<Chunk>& chunks, const std::string& encoding,
           size_t places_max)
      : stop_(std::move(stop)),
        source_(std::move(source)),
        target_(std::move(target)),
        table_(table),
        chunks_(chunks),
        places_max_(places_max) {
    terms_.encoding = encoding;
  }

  Result<CopiedChunks> Run() {
    TRY_ASSIGN(key_, FindTableKey(stop_, target_, table_.target.oid));
    for (const Chunk& chunk : chunks_) {
      TRY_ASSIGN(RowsSeen there, HashRows(stop_, target_, table_.target, BroughtBy(chunk), terms_));
      if (there == SeenOf(chunk)) continue;
      TRY(CheckSource(chunk));
      if (chunks_.size() > 1) TRY(Report(NameOf(chunk), BroughtBy(chunk), chunk.rows, there.rows));
    }
    if (chunks_.size() > 1) TRY(ReportStrangers());
    return std::move(found_);
  }

 private:
  static std::string BroughtBy(const Chunk& chunk) {
    return "WHERE xmin = " + pg::QuoteLiteral(chunk.transaction);
  }

  std::string NameOf(const Chunk& chunk) const {
    const BlockRange range{chunk.block_from, chunk.block_to};
    return "copied chunk " + std::to_string(chunk.number + 1) + " of " +
           std::to_string(chunks_.size()) + " (" + range.Describe() + " of the source)";
  }

  Status CheckSource(const Chunk& chunk) {
    const BlockRange range{chunk.block_from, chunk.block_to};
    TRY_ASSIGN(RowsSeen now,
               HashRows(stop_, source_, table_.source, ConditionOf(table_.source, range), terms_));
    if (!(now == SeenOf(chunk))) ++found_.changed_on_source;
    return Ok();
  }

  Status ReportStrangers() {
    std::string known;
    for (const Chunk& chunk : chunks_)
      known += (known.empty() ? "" : ", ") + pg::QuoteLiteral(chunk.transaction);
    const std::string condition = "WHERE xmin::text NOT IN (" + known + ")";
    TRY_ASSIGN(pg::Rows rows, target_.QueryOne(stop_, Deadline::Never(),
                                               "SELECT pg_catalog.count(*) FROM ONLY " +
                                                   table_.target.Qualified() + " " + condition));
    if (rows[0].Int(0) == 0) return Ok();
    return Report("rows that the copy did not bring", condition, 0, rows[0].Int(0));
  }

  Status Report(std::string name, const std::string& condition, int64_t copied, int64_t there) {
    if (found_.places.size() >= places_max_) return Ok();
    TRY_ASSIGN(std::string range, KeyRange(condition));
    found_.places.push_back(Place{std::move(name), std::move(range), copied, there, {}});
    return Ok();
  }

  /// "(id) from (1) to (99)": the least and the greatest key of these rows.
  Result<std::string> KeyRange(const std::string& condition) {
    if (key_.empty()) return std::string();
    const std::vector<std::string>& texts = key_.texts;
    std::vector<std::string> descending;
    for (const std::string& expression : key_.expressions)
      descending.push_back(expression + " DESC");
    auto first = [&](const std::vector<std::string>& order) -> Result<std::string> {
      TRY_ASSIGN(pg::Rows rows, target_.Query(stop_, Deadline::Never(),
                                              "SELECT " + JoinNames(texts) + " FROM ONLY " +
                                                  table_.target.Qualified() + " " + condition +
                                                  " ORDER BY " + JoinNames(order) + " LIMIT 1"));
      std::vector<std::string> values;
      for (size_t i = 0; !rows.empty() && i < texts.size(); ++i)
        values.push_back(rows[0].Text(static_cast<int>(i)));
      return JoinNames(values);
    };
    TRY_ASSIGN(std::string least, first(key_.expressions));
    TRY_ASSIGN(std::string greatest, first(descending));
    if (least.empty()) return std::string();
    return "(" + JoinNames(key_.columns) + ") from (" + least + ") to (" + greatest + ")";
  }

  const std::stop_token stop_;
  pg::Connection source_;
  pg::Connection target_;
  const TablePair table_;
  const std::vector<Chunk>& chunks_;
  const size_t places_max_;
  CopyTerms terms_;
  TableKey key_;
  CopiedChunks found_;
};

}  // namespace

Result<CopiedChunks> CompareCopiedChunks(std::stop_token stop, const Side& source,
                                         const Side& target, const TablePair& table,
                                         const std::vector<Chunk>& chunks,
                                         const std::string& encoding, size_t places_max) {
  TRY_ASSIGN(pg::Connection ours, source.OpenLane(stop));
  TRY_ASSIGN(pg::Connection theirs, target.OpenLane(stop));
  return Comparer(stop, std::move(ours), std::move(theirs), table, chunks, encoding, places_max)
      .Run();
}

}  // namespace cutover::mover
