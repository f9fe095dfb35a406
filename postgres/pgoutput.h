// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/result.h"

namespace cutover::pg {

/// Messages of PostgreSQL's output plugin `pgoutput`, protocol version 1 in text format, as far as
/// they tell which rows a transaction has changed: "Logical Replication Message Formats" in its
/// manual. Pure; nothing here knows a connection.
struct PgoutputValue {
  enum class Kind {
    kNull,  ///< Also a column that is not of the key, in the old row of an identity that is a key.
    kUnchanged,  ///< Stored out of line and not touched: not sent.
    kText,
    kCut,  ///< Behind the end of a message of which only the beginning was read.
  };
  Kind kind = Kind::kNull;
  std::string_view text;  ///< Points into the message.
};
using PgoutputRow = std::vector<PgoutputValue>;

struct PgoutputRelation {
  uint32_t oid = 0;
  std::string schema;
  std::string name;
  std::vector<std::string> columns;  ///< In the order of the rows' values.
};

struct PgoutputMessage {
  enum class Kind { kBegin, kCommit, kRelation, kInsert, kUpdate, kDelete, kTruncate, kOther };
  Kind kind = Kind::kOther;
  /// kBegin: where the transaction's commit record begins; kCommit: where it ends.
  uint64_t lsn = 0;
  PgoutputRelation relation;        ///< kRelation
  std::vector<uint32_t> relations;  ///< OIDs: one of a row's change, several of kTruncate.
  bool has_old_row = false;         ///< kUpdate with another key or identity FULL; kDelete.
  PgoutputRow old_row;
  PgoutputRow new_row;  ///< kInsert, kUpdate
};

/// Reads one message, which must outlive the result. `cut`: only its beginning is there, which is
/// allowed of rows: values that are not there are kCut, rows that are not there at all are empty.
/// Terminal "ProtocolViolation" for what no version of the plugin sends.
Result<PgoutputMessage> ParsePgoutput(std::string_view message, bool cut = false);

/// "0/16B3748".
std::string FormatLsn(uint64_t lsn);
/// What FormatLsn() writes and what a server takes for pg_lsn: one to eight hexadecimal digits on
/// each side of the slash. Terminal "ProtocolViolation" for any other text.
Result<uint64_t> ParseLsn(std::string_view text);

}  // namespace cutover::pg
