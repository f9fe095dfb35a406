// SPDX-License-Identifier: Apache-2.0
#include "postgres/keyed_rows.h"

#include <future>

#include "operator/base/json.h"
#include "postgres/authors_path.h"

namespace cutover::pg {
namespace {

// Of each table: what to read of a row, how to find one by its key, and how large it is. The key is
// the one that CollectChanges() lists. It is found by the operator of its own index: that of
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

// statement_timeout ends a query, but not the session.
constexpr char kSet[] =
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
    " RESET statement_timeout";
constexpr char kReset[] =
    "RESET enable_seqscan; RESET enable_hashjoin; RESET enable_mergejoin; RESET statement_timeout;"
    " RESET search_path";
constexpr auto kResetTimeout = std::chrono::seconds(5);

std::string Join(const std::vector<std::string>& items, const char* between) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : between) + item;
  return text;
}

}  // namespace

std::string Display(const TableName& table) { return table.first + "." + table.second; }

std::string KeyedTable::Hash() const {
  std::string sql = kHash;
  return sql.replace(sql.find("%ROW%"), 5, "(" + row + ")");
}

std::string KeyedTable::DescribeKey(const std::vector<std::string>& values) const {
  return "(" + Join(key, ", ") + ")=(" + Join(values, ", ") + ")";
}

Result<std::map<TableName, KeyedTable>> ReadKeyedTables(std::stop_token stop, Deadline deadline,
                                                        Connection& side,
                                                        const std::vector<TableName>& tables) {
  std::vector<std::string> schemas, names;
  for (const TableName& table : tables) {
    schemas.push_back(table.first);
    names.push_back(table.second);
  }
  TRY_ASSIGN(Rows rows, side.Query(stop, deadline, kTableFacts, {schemas, names}));
  std::map<TableName, KeyedTable> found;
  for (const Row row : rows) {
    KeyedTable& table = found[tables[static_cast<size_t>(row.Int(0)) - 1]];
    table.bytes = row.Int(1);
    table.key = row.TextArray(2);
    table.conditions = row.TextArray(3);
    table.row = row.Text(4);
  }
  return found;
}

std::string SelectByKeys(const TableName& name, const KeyedTable& table,
                         const std::string& columns) {
  std::string names, arrays;
  for (size_t i = 1; i <= table.key.size(); ++i) {
    names += "k" + std::to_string(i) + ", ";
    arrays += (i == 1 ? "$" : ", $") + std::to_string(i) + "::text[]";
  }
  return "SELECT k.n, " + columns + " FROM unnest(" + arrays + ") WITH ORDINALITY AS k (" + names +
         "n) JOIN ONLY " + QuoteQualified(name.first, name.second) + " AS t ON " +
         Join(table.conditions, " AND ");
}

Result<std::vector<std::vector<std::string>>> KeyColumns(const std::vector<std::string>& keys,
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

ReadSide::~ReadSide() {
  // Ignored: a session that cannot be set back is closed already.
  if (connection_.usable()) [[maybe_unused]]
    Status reset = connection_.Exec({}, Deadline::After(kResetTimeout), kReset);
}

Status ReadSide::Prepare(std::stop_token stop, Deadline deadline) {
  return connection_.Exec(stop, deadline, kSet);
}

Result<Rows> ReadSide::Ask(std::stop_token stop, Deadline deadline,
                           std::chrono::milliseconds statement_max, const std::string& sql,
                           const Params& params) {
  TRY(connection_.Exec(stop, deadline,
                       "SET statement_timeout = " + std::to_string(statement_max.count())));
  return WithAuthorsPath(stop, deadline, connection_,
                         [&] { return connection_.Query(stop, deadline, sql, params); });
}

BothAnswers AskBoth(std::stop_token stop, Deadline deadline,
                    std::chrono::milliseconds statement_max, ReadSide& source, ReadSide& target,
                    const std::string& sql, const Params& params) {
  auto asked = std::async(std::launch::async,
                          [&] { return source.Ask(stop, deadline, statement_max, sql, params); });
  Result<Rows> theirs = target.Ask(stop, deadline, statement_max, sql, params);
  return {asked.get(), std::move(theirs)};
}

}  // namespace cutover::pg
