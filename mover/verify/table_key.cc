// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/table_key.h"

#include "operator/base/deadline.h"

namespace cutover::mover {
namespace {

// A type of PostgreSQL's own is compared by its own operators. Of any other a value's text stands
// in its place: an operator found by its name might lead over a cast that the tenant has written.
constexpr char kFindKey[] = R"(
WITH RECURSIVE base (type, basis) AS (
  SELECT oid, oid FROM pg_catalog.pg_type WHERE typtype <> 'd'
  UNION ALL SELECT d.oid, b.basis FROM pg_catalog.pg_type d JOIN base b ON b.type = d.typbasetype
  WHERE d.typtype = 'd')
SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (number, at)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
             WHERE k.at <= i.indnkeyatts ORDER BY k.at),
       ARRAY(SELECT CASE WHEN b.basis >= 16384 THEN 'text' WHEN a.attcollation <> 0 THEN 'bytes'
                         ELSE 'value' END
             FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (number, at)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
             JOIN base b ON b.type = a.atttypid
             WHERE k.at <= i.indnkeyatts ORDER BY k.at)
FROM pg_catalog.pg_index i
WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
  AND i.indexprs IS NULL
  AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (number, at)
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                  WHERE k.at <= i.indnkeyatts AND (NOT a.attnotnull OR a.attgenerated <> ''))
ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1)";

}  // namespace

std::string JoinNames(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string TableKey::Row() const { return "(" + JoinNames(expressions) + ")"; }

std::string TableKey::Describe(const std::vector<std::string>& values) const {
  return "(" + JoinNames(columns) + ")=(" + JoinNames(values) + ")";
}

Result<TableKey> FindTableKey(std::stop_token stop, pg::Connection& connection,
                              uint32_t table_oid) {
  TableKey key;
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, Deadline::Never(), kFindKey, {table_oid}));
  if (rows.empty()) return key;
  key.columns = rows[0].TextArray(0);
  const std::vector<std::string> compared = rows[0].TextArray(1);
  for (size_t i = 0; i < key.columns.size(); ++i) {
    const std::string name = pg::QuoteIdentifier(key.columns[i]);
    key.texts.push_back("pg_catalog.concat(" + name + ")");
    key.expressions.push_back((compared[i] == "text" ? key.texts.back() : name) +
                              (compared[i] == "value" ? "" : " COLLATE pg_catalog.\"C\""));
  }
  return key;
}

}  // namespace cutover::mover
