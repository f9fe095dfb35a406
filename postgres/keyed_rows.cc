// SPDX-License-Identifier: Apache-2.0
#include "postgres/keyed_rows.h"

#include <future>

#include "operator/base/json.h"
#include "postgres/authors_path.h"
#include "postgres/tables_only.h"

namespace cutover::pg {
namespace {

// What is asked of a tenant's rows runs as the admin, maybe with a search path that leads into the
// tenant's schemas (WithAuthorsPath()), and must run nothing of the tenant's: no cast from or to a
// type of his, whose function he may have written, no input of a domain, whose CHECK he has, and no
// function or operator by its mere name. Operators of an index's class, types' output functions and
// input functions of base types and enums are none of his: only a superuser can make such.

// Of each table: what to read of a row, how to find one by its key, and how large it is. The key is
// the one that CollectChanges() lists. It is found by the operator of its own index, values being
// read by the input function of what a domain is made of, where all of its columns are of base
// types or enums. An enum with an implicit cast is none: it makes the operator ambiguous.
constexpr char kTableFacts[] = R"(
WITH RECURSIVE base (type, basis) AS (
  SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
  UNION ALL SELECT d.oid, b.basis FROM pg_type d JOIN base b ON b.type = d.typbasetype
  WHERE d.typtype = 'd')
SELECT w.at, pg_table_size(c.oid), key.columns, key.conditions, key.types,
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
           ARRAY(SELECT format('t.%I OPERATOR(%I.%s) k.k%s', a.attname, m.nspname, o.oprname, k.at)
                 FROM unnest(i.indkey, i.indclass) WITH ORDINALITY AS k (number, class, at)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                 JOIN pg_opclass p ON p.oid = k.class
                 JOIN pg_amop q ON q.amopfamily = p.opcfamily AND q.amopstrategy = 3
                      AND q.amoplefttype = p.opcintype AND q.amoprighttype = p.opcintype
                 JOIN pg_operator o ON o.oid = q.amopopr
                 JOIN pg_namespace m ON m.oid = o.oprnamespace
                 WHERE k.at <= i.indnkeyatts ORDER BY k.at) AS conditions,
           ARRAY(SELECT format('%I.%I', m.nspname, t.typname)
                 FROM unnest(i.indkey) WITH ORDINALITY AS k (number, at)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                 JOIN base b ON b.type = a.atttypid JOIN pg_type t ON t.oid = b.basis
                 JOIN pg_namespace m ON m.oid = t.typnamespace
                 WHERE k.at <= i.indnkeyatts AND t.typarray <> 0 AND t.typdelim = ','
                   AND (t.typtype = 'b' OR t.typtype = 'e' AND NOT EXISTS (
                        SELECT FROM pg_cast x WHERE x.castsource = t.oid AND x.castcontext = 'i'))
                 ORDER BY k.at) AS types
      FROM pg_index i
     WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
       AND i.indexprs IS NULL
       AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'f' THEN true
                               ELSE i.indisprimary END
       AND NOT EXISTS (SELECT FROM unnest(i.indkey) WITH ORDINALITY AS k (number, at)
                       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                       WHERE k.at <= i.indnkeyatts AND (NOT a.attnotnull OR a.attgenerated <> ''))
     ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1) AS key ON true)";

// A row of the literal ROW() is of no named type, so this is no cast but its output function.
constexpr char kHash[] =
    "pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to((%ROW%)::pg_catalog.text,"
    " pg_catalog.getdatabaseencoding())), 'hex')";

// statement_timeout ends a query, but not the session.
constexpr char kSet[] =
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
    " RESET statement_timeout; ";
constexpr char kReset[] =
    "RESET enable_seqscan; RESET enable_hashjoin; RESET enable_mergejoin; RESET statement_timeout;"
    " RESET search_path; RESET default_transaction_read_only; ";
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
  return sql.replace(sql.find("%ROW%"), 5, row);
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
    table.types = row.TextArray(4);
    table.row = row.Text(5);
  }
  return found;
}

std::string SelectByKeys(const TableName& name, const KeyedTable& table,
                         const std::string& columns) {
  const bool by_index = table.types.size() == table.key.size();
  std::string names, arrays, given, own;
  for (size_t i = 1; i <= table.key.size(); ++i) {
    const std::string number = std::to_string(i), between = i == 1 ? "" : ", ";
    names += "k" + number + ", ";
    // A parameter that has no other type is read by that of its elements.
    arrays += between + "pg_catalog.unnest($" + number +
              "::" + (by_index ? table.types[i - 1] : "pg_catalog.text") + "[])";
    given += between + "k.k" + number;
    own += between + "t." + QuoteIdentifier(table.key[i - 1]);
  }
  const std::string keys = "ROWS FROM (" + arrays + ") WITH ORDINALITY AS k (" + names + "n)";
  const std::string rows = "ONLY " + QuoteQualified(name.first, name.second) + " AS t";
  if (by_index)
    return "SELECT k.n, " + columns + " FROM " + keys + " JOIN " + rows + " ON " +
           Join(table.conditions, " AND ");
  // By what the key says of itself. A row's text is that of its values, of whatever types they are,
  // and the whole table is read once.
  const std::string key_text = "ROW(" + own + ")::pg_catalog.text";
  return "WITH given AS MATERIALIZED (SELECT pg_catalog.jsonb_object_agg(ROW(" + given +
         ")::pg_catalog.text, k.n) AS numbers FROM " + keys +
         ") SELECT (given.numbers OPERATOR(pg_catalog.->>) (" + key_text +
         "))::pg_catalog.int8 AS n, " + columns + " FROM given, " + rows +
         " WHERE given.numbers OPERATOR(pg_catalog.?) (" + key_text + ")";
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
    Status reset =
        connection_.Exec({}, Deadline::After(kResetTimeout), std::string(kReset) + kAnyRelation);
}

Status ReadSide::Prepare(std::stop_token stop, Deadline deadline) {
  return connection_.Exec(stop, deadline, std::string(kSet) + kTablesOnly);
}

Result<Rows> ReadSide::Ask(std::stop_token stop, Deadline deadline,
                           std::chrono::milliseconds statement_max, const std::string& sql,
                           const Params& params) {
  // Read-only each time anew: planning evaluates constant calls in an index's expressions, and such
  // a function, being the tenant's, might change the setting for the next statement, but not its
  // own.
  TRY(connection_.Exec(stop, deadline,
                       "SET statement_timeout = " + std::to_string(statement_max.count()) +
                           "; SET default_transaction_read_only = on"));
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
