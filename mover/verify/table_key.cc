// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/table_key.h"

#include "operator/base/deadline.h"

namespace cutover::mover {
namespace {

constexpr char kFindKey[] = R"(
SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (number, at)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
             WHERE k.at <= i.indnkeyatts ORDER BY k.at),
       ARRAY(SELECT (a.attcollation <> 0)::text
             FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (number, at)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
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
  const std::vector<std::string> collated = rows[0].TextArray(1);
  for (size_t i = 0; i < key.columns.size(); ++i)
    key.expressions.push_back(pg::QuoteIdentifier(key.columns[i]) +
                              (collated[i] == "true" ? " COLLATE pg_catalog.\"C\"" : ""));
  return key;
}

}  // namespace cutover::mover
