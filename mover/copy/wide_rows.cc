// SPDX-License-Identifier: Apache-2.0
#include "mover/copy/wide_rows.h"

#include <cstring>
#include <map>
#include <vector>

#include "operator/base/deadline.h"

namespace cutover::mover {
namespace {

/// Of a slice; as many values are copied within the server, which is quick, so it can be small.
constexpr int64_t kSliceBytes = 1 << 20;
constexpr size_t kPieceBytesReserved = 64;

/// How each type sends itself. A domain travels as what it is made of.
constexpr char kSendFunctions[] = R"(
WITH RECURSIVE base (type, basis) AS (
  SELECT a.atttypid, a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0
  UNION
  SELECT b.type, d.typbasetype FROM base b JOIN pg_catalog.pg_type d ON d.oid = b.basis
  WHERE d.typtype = 'd')
SELECT a.attname, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(f.proname)
FROM pg_catalog.pg_attribute a
JOIN base b ON b.type = a.atttypid
JOIN pg_catalog.pg_type t ON t.oid = b.basis AND t.typtype <> 'd'
JOIN pg_catalog.pg_proc f ON f.oid = t.typsend
JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped)";

std::string ColumnAlias(size_t field) { return "c" + std::to_string(field + 1); }

/// "FROM (…) AS t WHERE …": a subquery, because of an extension's table the condition is a text
/// of which we know only that it may follow a table's name.
std::string FromRows(const TablePlan& table, std::string_view condition, const char* comparison) {
  std::string list;
  for (const std::string& column : table.columns)
    list += (list.empty() ? "" : ", ") + pg::QuoteIdentifier(column);
  return "FROM (SELECT " + list + " FROM ONLY " + table.Qualified() + " " + std::string(condition) +
         ") AS t WHERE " + table.row_bytes_sql + comparison + std::to_string(kWideRowBytes);
}

/// SQL for the bytes of each column as COPY writes them, before it escapes any; NULL for NULL.
Result<std::vector<std::string>> SentValues(std::stop_token stop, pg::Connection& connection,
                                            const TablePlan& table, RowFormat format,
                                            std::string_view encoding) {
  std::vector<std::string> values;
  if (format == RowFormat::kText) {
    // concat() calls the type's output function, where a cast to text may leave something out;
    // num_nulls() sees a composite value as one.
    for (size_t i = 0; i < table.columns.size(); ++i)
      values.push_back("CASE WHEN pg_catalog.num_nulls(" + ColumnAlias(i) +
                       ") = 0 THEN pg_catalog.convert_to(pg_catalog.concat(" + ColumnAlias(i) +
                       "), " + pg::QuoteLiteral(encoding) + ") END");
    return values;
  }
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, Deadline::Never(), kSendFunctions, {table.oid}));
  std::map<std::string, std::string> functions;
  for (const pg::Row row : rows) functions[row.Text(0)] = row.Text(1);
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const std::string& function = functions[table.columns[i]];
    if (function.empty())
      return TerminalError("UnexpectedResult", "column " + table.columns[i] + " of table " +
                                                   table.Display() +
                                                   " has no type that can be sent; run it again");
    values.push_back(function + "(" + ColumnAlias(i) + ")");
  }
  return values;
}

/// Row by row, field by field, slice by slice. The innermost query counts the fields of each row;
/// the next computes one field's value, once for all its slices, and OFFSET 0 is what keeps the
/// planner from moving that into the next, which counts the slices; the last cuts them off. Without
/// a join there is no order that a plan could change.
std::string CopySlicesStatement(const TablePlan& table, std::string_view condition,
                                const std::vector<std::string>& values) {
  const std::string slice = std::to_string(kSliceBytes);
  std::string columns, cases;
  for (size_t i = 0; i < values.size(); ++i) {
    columns += ", " + pg::QuoteIdentifier(table.columns[i]) + " AS " + ColumnAlias(i);
    cases += " WHEN " + std::to_string(i + 1) + " THEN " + values[i];
  }
  return "COPY (SELECT field, pg_catalog.octet_length(value),"
         " pg_catalog.substring(value, 1 + slice * " +
         slice + ", " + slice +
         ") FROM (SELECT field, value, pg_catalog.generate_series(0,"
         " greatest(pg_catalog.octet_length(value) - 1, 0) / " +
         slice + ") AS slice FROM (SELECT field, CASE field" + cases +
         " END AS value FROM (SELECT pg_catalog.generate_series(1, " +
         std::to_string(values.size()) + ") AS field" + columns + " " +
         FromRows(table, condition, " > ") +
         ") AS fields OFFSET 0) AS vals) AS slices) TO STDOUT (FORMAT binary)";
}

uint32_t ReadUint32(std::string_view bytes) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

std::string BigEndian(int64_t number, size_t bytes) {
  std::string text;
  for (size_t i = bytes; i-- > 0;)
    text += static_cast<char>(static_cast<uint64_t>(number) >> (8 * i) & 0xff);
  return text;
}

/// The next field of a binary row: its length and its bytes; nothing as value for NULL.
bool TakeField(std::string_view& row, std::optional<std::string_view>& value) {
  if (row.size() < 4) return false;
  const uint32_t length = ReadUint32(row);
  row.remove_prefix(4);
  value.reset();
  if (length == UINT32_MAX) return true;
  if (row.size() < length) return false;
  value = row.substr(0, length);
  row.remove_prefix(length);
  return true;
}

/// As COPY's text format escapes. The encodings that servers store have no ASCII inside of longer
/// characters, so bytes can be looked at one by one.
void AppendEscaped(std::string_view bytes, std::string& out) {
  constexpr std::string_view kSpecial("\b\f\n\r\t\v\\", 7);
  constexpr std::string_view kLetters("bfnrtv\\", 7);
  while (!bytes.empty()) {
    const size_t plain = std::min(bytes.find_first_of(kSpecial), bytes.size());
    out.append(bytes.substr(0, plain));
    bytes.remove_prefix(plain);
    if (bytes.empty()) return;
    out += '\\';
    out += kLetters[kSpecial.find(bytes.front())];
    bytes.remove_prefix(1);
  }
}

}  // namespace

Result<bool> HoldsWideRows(std::stop_token stop, pg::Connection& connection, const TablePlan& table,
                           std::string_view condition) {
  if (table.row_bytes_sql.empty()) return false;
  TRY_ASSIGN(pg::Rows rows, connection.QueryOne(stop, Deadline::Never(),
                                                "SELECT EXISTS (SELECT " +
                                                    FromRows(table, condition, " > ") + ")"));
  return rows[0].Bool(0);
}

std::string CopyNarrowStatement(const TablePlan& table, std::string_view condition) {
  std::string list;
  for (const std::string& column : table.columns)
    list += (list.empty() ? "" : ", ") + pg::QuoteIdentifier(column);
  return "COPY (SELECT " + list + " " + FromRows(table, condition, " <= ") + ") TO STDOUT";
}

Result<WideRows> WideRows::Start(std::stop_token stop, pg::Connection& connection,
                                 const TablePlan& table, std::string_view condition,
                                 RowFormat format, std::string_view encoding) {
  TRY(connection.Exec(stop, Deadline::Never(), "SET max_parallel_workers_per_gather = 0"));
  TRY_ASSIGN(auto values, SentValues(stop, connection, table, format, encoding));
  TRY_ASSIGN(pg::CopyOut slices, pg::CopyOut::Start(stop, Deadline::Never(), connection,
                                                    CopySlicesStatement(table, condition, values)));
  return WideRows(std::move(slices), format, static_cast<int>(values.size()));
}

Result<std::optional<WideRows::Piece>> WideRows::Next(std::stop_token stop) {
  auto miscounted = [] {
    return RetryError("CopyMiscounted",
                      "the slices of a wide row do not make up a row; run it again");
  };
  while (true) {
    TRY_ASSIGN(std::optional<std::string_view> message, slices_.NextRow(stop, Deadline::Never()));
    if (!message) {
      if (field_ != 0 || slices_.rows() != slices_seen_) return miscounted();
      return std::optional<Piece>();
    }
    const std::optional<std::string_view> row = frame_.RowIn(*message);
    if (!row) continue;
    ++slices_seen_;
    const std::optional<Slice> slice = Parse(*row);
    if (!slice || !Append(*slice)) return miscounted();
    return std::optional<Piece>(Piece{piece_, field_ == 0});
  }
}

std::optional<WideRows::Slice> WideRows::Parse(std::string_view row) {
  if (row.size() < 2) return std::nullopt;
  row.remove_prefix(2);  // The number of fields.
  std::optional<std::string_view> field, size, bytes;
  if (!TakeField(row, field) || !TakeField(row, size) || !TakeField(row, bytes))
    return std::nullopt;
  if (!field || field->size() != 4 || (size && size->size() != 4)) return std::nullopt;
  Slice slice;
  slice.field = static_cast<int>(ReadUint32(*field));
  if (size) slice.field_bytes = ReadUint32(*size);
  slice.bytes = bytes.value_or("");
  return slice;
}

bool WideRows::Append(const Slice& slice) {
  piece_.clear();
  if (piece_.capacity() < kPieceBytesReserved) piece_.reserve(kPieceBytesReserved);
  if (bytes_left_ == 0) {
    if (slice.field != field_ + 1) return false;
    field_ = slice.field;
    BeginField(slice.field_bytes);
  }
  const int64_t size = static_cast<int64_t>(slice.bytes.size());
  if (slice.field != field_ || size > bytes_left_ || (size == 0 && bytes_left_ > 0)) return false;
  bytes_left_ -= size;
  if (format_ == RowFormat::kBinary)
    piece_.append(slice.bytes);
  else
    AppendEscaped(slice.bytes, piece_);
  if (bytes_left_ == 0 && field_ == fields_) {
    field_ = 0;
    if (format_ == RowFormat::kText) piece_ += '\n';
  }
  return true;
}

void WideRows::BeginField(const std::optional<int64_t>& bytes) {
  bytes_left_ = bytes.value_or(0);
  if (format_ == RowFormat::kText) {
    if (field_ > 1) piece_ += '\t';
    if (!bytes) piece_ += "\\N";
    return;
  }
  if (field_ == 1) piece_ += BigEndian(fields_, 2);
  piece_ += BigEndian(bytes.value_or(-1), 4);
}

}  // namespace cutover::mover
