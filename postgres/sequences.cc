// SPDX-License-Identifier: Apache-2.0
#include "postgres/sequences.h"

#include <algorithm>
#include <map>
#include <utility>

namespace cutover::pg {
namespace {

// One statement reads this many sequences: a database of 10,000 must not take as many round trips,
// nor one statement that the parser chokes on.
constexpr int kSequencesPerStatement = 200;

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
