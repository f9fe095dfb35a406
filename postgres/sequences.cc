// SPDX-License-Identifier: Apache-2.0
#include "postgres/sequences.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "postgres/keyed_rows.h"

namespace cutover::pg {
namespace {

// One statement reads this many sequences: a database of 10,000 must not take as many round trips,
// nor one statement that the parser chokes on.
constexpr int kSequencesPerStatement = 200;

// One column without an index, of a large table, must not take the time of all others.
constexpr std::chrono::milliseconds kColumnPatience{5'000};

std::string Describe(const SequencePosition& position) {
  return QuoteQualified(position.schema, position.name) + " (" +
         std::to_string(position.last_value) + (position.is_called ? ", called)" : ", not called)");
}

// Names, values and whether they were called, as parameters of a statement.
Params Columns(const std::vector<SequencePosition>& positions) {
  std::vector<std::string> names;
  std::vector<std::string> values;
  std::vector<std::string> called;
  for (const SequencePosition& position : positions) {
    names.push_back(QuoteQualified(position.schema, position.name));
    values.push_back(std::to_string(position.last_value));
    called.push_back(position.is_called ? "true" : "false");
  }
  return {names, values, called};
}

// A column of whole numbers, and the sequence that numbers it.
struct NumberedColumn {
  std::string schema, sequence;
  bool ascends = true;
  int64_t last = 0;           // The last number, going that way, that has another one behind it.
  std::string table, column;  // Quoted.
};

Result<std::vector<NumberedColumn>> ReadNumberedColumns(const std::stop_token& stop,
                                                        Deadline deadline, Connection& connection) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, R"(
      WITH used (sequence, relation, number) AS (
        SELECT objid, refobjid, refobjsubid FROM pg_depend
         WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
           AND refobjsubid > 0 AND deptype IN ('a', 'i')
        UNION
        SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
         WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass)
      SELECT n.nspname, s.relname, q.seqincrement > 0,
             CASE WHEN q.seqincrement > 0
                  THEN greatest(least(q.seqmax, fits.highest) - q.seqincrement,
                                -9223372036854775808)
                  ELSE least(greatest(q.seqmin, fits.lowest) - q.seqincrement,
                             9223372036854775807) END::bigint,
             m.nspname, t.relname, a.attname
        FROM used u
             JOIN pg_class s ON s.oid = u.sequence AND s.relkind = 'S' AND s.relpersistence <> 't'
             JOIN pg_sequence q ON q.seqrelid = s.oid AND NOT q.seqcycle
             JOIN pg_namespace n ON n.oid = s.relnamespace AND n.nspname <> 'cutover'
             JOIN pg_class t ON t.oid = u.relation AND t.relkind IN ('r', 'p')
             JOIN pg_namespace m ON m.oid = t.relnamespace
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.number
             JOIN (VALUES ('int2'::regtype, -32768::numeric, 32767::numeric),
                          ('int4'::regtype, -2147483648, 2147483647),
                          ('int8'::regtype, -9223372036854775808, 9223372036854775807))
                  AS fits (type, lowest, highest) ON fits.type = a.atttypid
       ORDER BY s.oid, t.oid, a.attnum)"));
  std::vector<NumberedColumn> columns;
  for (Row row : rows)
    columns.push_back({row.Text(0), row.Text(1), row.Bool(2), row.Int(3),
                       QuoteQualified(row.Text(4), row.Text(5)), QuoteIdentifier(row.Text(6))});
  return columns;
}

// Nothing where there is no row that a sequence can have numbered.
Result<std::optional<int64_t>> ReadFurthest(const std::stop_token& stop, Deadline deadline,
                                            ReadSide& side, const NumberedColumn& column,
                                            std::chrono::milliseconds patience) {
  TRY_ASSIGN(Rows rows,
             side.Ask(stop, deadline, patience,
                      std::string("SELECT pg_catalog.") + (column.ascends ? "max(" : "min(") +
                          column.column + ")::pg_catalog.int8 FROM " + column.table + " WHERE " +
                          column.column + " OPERATOR(pg_catalog." + (column.ascends ? "<=" : ">=") +
                          ") $1::pg_catalog.int8",
                      {column.last}));
  return rows[0].IsNull(0) ? std::nullopt : std::optional<int64_t>(rows[0].Int(0));
}

bool IsBehind(const SequencePosition& position, const NumberedColumn& column, int64_t furthest) {
  if (furthest == position.last_value) return !position.is_called;
  return (furthest > position.last_value) == column.ascends;
}

}  // namespace

Result<std::vector<SequencePosition>> ReadSequences(std::stop_token stop, Deadline deadline,
                                                    Connection& connection) {
  TRY_ASSIGN(Rows names, connection.Query(stop, deadline, R"(
      SELECT n.nspname, c.relname
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname <> 'cutover'
       ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C")"));
  std::vector<SequencePosition> positions;
  for (int first = 0; first < names.size(); first += kSequencesPerStatement) {
    std::string sql;
    const int end = std::min(names.size(), first + kSequencesPerStatement);
    for (int at = first; at < end; ++at) {
      if (!sql.empty()) sql += " UNION ALL ";
      sql += "SELECT " + std::to_string(at) + ", last_value, is_called FROM " +
             QuoteQualified(names[at].Text(0), names[at].Text(1));
    }
    TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, sql));
    for (Row row : rows) {
      Row name = names[static_cast<int>(row.Int(0))];
      positions.push_back({name.Text(0), name.Text(1), row.Int(1), row.Bool(2)});
    }
  }
  std::sort(positions.begin(), positions.end());
  return positions;
}

Status SetSequences(std::stop_token stop, Deadline deadline, Transaction& transaction,
                    const std::vector<SequencePosition>& positions) {
  TRY(transaction.Query(
      stop, deadline,
      "SELECT count(setval(name::regclass, value, called)) FROM "
      "unnest($1::text[], $2::bigint[], $3::boolean[]) AS s (name, value, called)",
      Columns(positions)));
  return Ok();
}

Result<std::vector<std::string>> SetSequencesThatExist(
    std::stop_token stop, Deadline deadline, Transaction& transaction,
    const std::vector<SequencePosition>& positions) {
  // NULL for what is no sequence here, since setval() is strict.
  TRY_ASSIGN(Rows rows, transaction.Query(stop, deadline, R"(
      SELECT name, setval(seqrelid::regclass, least(greatest(value, seqmin), seqmax), called)
        FROM unnest($1::text[], $2::bigint[], $3::boolean[]) AS s (name, value, called)
        LEFT JOIN pg_sequence ON seqrelid = to_regclass(name))",
                                          Columns(positions)));
  std::vector<std::string> missing;
  for (Row row : rows)
    if (row.IsNull(1)) missing.push_back(row.Text(0));
  std::sort(missing.begin(), missing.end());
  return missing;
}

Result<RowsAhead> FindRowsAhead(std::stop_token stop, Deadline deadline, Connection& connection,
                                std::chrono::milliseconds budget) {
  const Deadline enough = deadline.OrAfter(budget);
  TRY_ASSIGN(std::vector<SequencePosition> positions, ReadSequences(stop, deadline, connection));
  TRY_ASSIGN(const auto columns, ReadNumberedColumns(stop, deadline, connection));
  std::map<std::pair<std::string, std::string>, SequencePosition*> at;
  for (SequencePosition& position : positions) at[{position.schema, position.name}] = &position;
  std::set<const SequencePosition*> behind;
  RowsAhead ahead;
  ReadSide side(connection);
  TRY(side.Prepare(stop, deadline));
  for (const NumberedColumn& column : columns) {
    const auto left = std::min(enough.Remaining(), kColumnPatience);
    Result<std::optional<int64_t>> furthest = std::optional<int64_t>();
    if (left.count() > 0) furthest = ReadFurthest(stop, deadline, side, column, left);
    if (!connection.usable()) return tl::make_unexpected(std::move(furthest).error());
    if (left.count() == 0 || !furthest) ahead.unread.push_back(column.table + "." + column.column);
    auto found = at.find({column.schema, column.sequence});
    if (!furthest || !*furthest || found == at.end()) continue;
    if (!IsBehind(*found->second, column, **furthest)) continue;
    found->second->last_value = **furthest;
    found->second->is_called = true;
    behind.insert(found->second);
  }
  for (const SequencePosition* position : behind) ahead.positions.push_back(*position);
  std::sort(ahead.positions.begin(), ahead.positions.end());
  return ahead;
}

std::vector<std::string> CompareSequences(const std::vector<SequencePosition>& source,
                                          const std::vector<SequencePosition>& target) {
  using Name = std::pair<std::string, std::string>;
  std::map<Name, const SequencePosition*> on_target;
  for (const SequencePosition& position : target)
    on_target[{position.schema, position.name}] = &position;
  std::vector<std::string> differences;
  for (const SequencePosition& position : source) {
    auto found = on_target.find({position.schema, position.name});
    if (found == on_target.end()) {
      differences.push_back("sequence " + Describe(position) + " is missing on the target");
      continue;
    }
    if (*found->second != position)
      differences.push_back("sequence " + Describe(position) + " is " + Describe(*found->second) +
                            " on the target");
    on_target.erase(found);
  }
  for (const auto& [name, position] : on_target)
    differences.push_back("sequence " + Describe(*position) + " is on the target only");
  return differences;
}

}  // namespace cutover::pg
