// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "operator/base/json.h"
#include "postgres/changed_keys.h"
#include "postgres/changes.h"
#include "postgres/idle_transaction.h"
#include "postgres/pgoutput.h"
#include "postgres/snapshot.h"

namespace cutover::pg {
namespace {

using Kind = PgoutputMessage::Kind;

/// Messages that a slice ends after, at the next end of a transaction. Each slice decodes anew what
/// the source still keeps from before it, so few large ones are cheaper than many small ones; the
/// source's server holds one in work_mem and on disk.
constexpr int kMessagesPerSlice = 50'000;
constexpr int kMessagesPerFetch = 1'000;
/// Of a row no more is fetched: keys stand in front, and few are longer than an index entry may be.
constexpr int kRowBytesMax = 8192;
/// Keys that wait in memory to be kept.
constexpr int64_t kKeysPending = 50'000;
constexpr auto kCallMax = std::chrono::seconds(10);
constexpr auto kSettleMax = std::chrono::seconds(2);

// What tells a table's rows apart and is in every message of a change, whatever its identity.
constexpr char kFindKey[] = R"(
SELECT ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (number, at)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
             WHERE k.at <= i.indnkeyatts ORDER BY k.at)
  FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid
 WHERE c.oid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
   AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'f' THEN true ELSE i.indisprimary END
   AND NOT EXISTS (SELECT FROM unnest(i.indkey) WITH ORDINALITY AS k (number, at)
                   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                   WHERE k.at <= i.indnkeyatts AND (NOT a.attnotnull OR a.attgenerated <> ''))
 ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1)";

constexpr char kLookAtSlot[] =
    "SELECT pg_current_wal_flush_lsn(), wal_status = 'lost', coalesce(confirmed_flush_lsn, '0/0')"
    " FROM pg_replication_slots WHERE slot_name = $1 AND database = current_database()";

constexpr char kAdvance[] =
    "SELECT pg_replication_slot_advance(slot_name, $2::pg_lsn) FROM pg_replication_slots"
    " WHERE slot_name = $1 AND confirmed_flush_lsn < $2::pg_lsn";

constexpr char kConfirmed[] =
    "SELECT confirmed_flush_lsn FROM pg_replication_slots"
    " WHERE slot_name = $1 AND confirmed_flush_lsn IS NOT NULL";

int Digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/// From bytea_output = hex, which every session of ours has.
std::string BytesOf(std::string_view hex) {
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (size_t at = 2; at + 1 < hex.size(); at += 2)
    bytes += static_cast<char>(Digit(hex[at]) << 4 | Digit(hex[at + 1]));
  return bytes;
}

/// One call of CollectChanges().
class Collector {
 public:
  Collector(std::stop_token stop, Deadline deadline, Connection& source, Connection& target,
            const Claim& claim, const ChangeWatch& watch, const ChangeLimits& limits, bool move_on)
      : stop_(std::move(stop)),
        deadline_(deadline),
        source_(source),
        target_(target),
        claim_(claim),
        watch_(watch),
        limits_(limits),
        move_on_(move_on) {}

  Result<CollectedChanges> Run() {
    TRY(CreateChangeTables(stop_, deadline_, target_, claim_));
    // The slot first: another call that goes on meanwhile keeps a position before it moves that on.
    TRY(LookAtSlot());
    TRY_ASSIGN(found_.position, ReadChangePosition(stop_, deadline_, target_, watch_.slot));
    if (!found_.position.empty()) {
      TRY_ASSIGN(kept_, ParseLsn(found_.position));
      if (kept_ < confirmed_)
        return WatchLost(
            "was read further than the target knows, which was put back to an earlier "
            "state or has failed over to a standby");
      TRY(Advance());
    }
    const Deadline enough =
        Deadline::After(std::min<std::chrono::milliseconds>(kCallMax, deadline_.Remaining() / 2));
    do {
      TRY(ReadSlice());
      if (move_on_ || !found_.complete) TRY(Advance());
    } while (!found_.complete && !enough.Expired());
    if (move_on_ && found_.complete) TRY(Settle());
    TRY_ASSIGN(auto retained, RetainedBytes(stop_, deadline_, source_, watch_.slot));
    found_.retained_bytes = retained.value_or(found_.retained_bytes);
    return std::move(found_);
  }

 private:
  struct Table {
    TableName name;
    bool ours = false;     ///< In schema cutover.
    std::vector<int> key;  ///< Which of a row's values; empty when it has no key.
  };

  Status LookAtSlot() {
    TRY_ASSIGN(Rows rows, source_.Query(stop_, deadline_, kLookAtSlot, {watch_.slot}));
    if (rows.empty()) return WatchLost("is gone");
    if (rows[0].Bool(1)) return WatchLost("has lost its log");
    TRY_ASSIGN(end_, ParseLsn(rows[0].Text(0)));
    TRY_ASSIGN(confirmed_, ParseLsn(rows[0].Text(2)));
    return Ok();
  }

  tl::unexpected<Error> WatchLost(const std::string& why) const {
    return TerminalError("WatchLost", "replication slot " + watch_.slot + " " + why +
                                          ", so nobody knows which rows changed since the "
                                          "copy: only another one can be proven equal");
  }

  // Under an open cursor the source can clean up after nobody: one whose client has vanished, and
  // whose connection nobody closed, must not stay open.
  Status ReadSlice() {
    TRY_ASSIGN(Transaction transaction, BeginEndedIfSilent(stop_, deadline_, source_));
    TRY(transaction.Exec(stop_, deadline_, DeclareStatement()));
    const std::string fetch = "FETCH " + std::to_string(kMessagesPerFetch) + " FROM changes";
    int64_t messages = 0;
    while (true) {
      TRY_ASSIGN(Rows rows, transaction.Query(stop_, deadline_, fetch));
      if (rows.empty()) break;
      messages += rows.size();
      for (const Row row : rows) {
        const std::string bytes = BytesOf(*row.Get(0));
        TRY_ASSIGN(const PgoutputMessage message, ParsePgoutput(bytes, row.Bool(1)));
        TRY(Take(message));
      }
      if (pending_keys_ >= kKeysPending) TRY(Keep(""));
    }
    TRY(transaction.Rollback(stop_, deadline_));
    // A slice that is not full has ended where the log did.
    found_.complete = messages < kMessagesPerSlice;
    if (found_.complete) last_end_ = std::max(last_end_, end_);
    return Keep(FormatLsn(last_end_));
  }

  std::string DeclareStatement() const {
    const std::string bytes_max = std::to_string(kRowBytesMax);
    return "DECLARE changes NO SCROLL CURSOR FOR SELECT"
           // Only rows of tables may be cut.
           " CASE WHEN get_byte(data, 0) IN (68, 73, 85) THEN substring(data FROM 1 FOR " +
           bytes_max +
           ") ELSE data END,"
           " get_byte(data, 0) IN (68, 73, 85) AND octet_length(data) > " +
           bytes_max + " FROM pg_logical_slot_peek_binary_changes(" + QuoteLiteral(watch_.slot) +
           ", " + QuoteLiteral(FormatLsn(end_)) + "::pg_lsn, " + std::to_string(kMessagesPerSlice) +
           ", 'proto_version', '1', 'publication_names', " +
           QuoteLiteral(QuoteIdentifier(watch_.publication)) + ")";
  }

  Status Take(const PgoutputMessage& message) {
    switch (message.kind) {
      case Kind::kBegin:
        // It was kept already, by a call that died before it could move the slot on.
        skipping_ = message.lsn < kept_;
        touched_ = false;
        return Ok();
      case Kind::kCommit:
        last_end_ = std::max(last_end_, message.lsn);
        if (touched_) ++found_.transactions;
        return Ok();
      case Kind::kRelation:
        return Learn(message.relation);
      case Kind::kOther:
        return Ok();
      default:
        return skipping_ ? Ok() : Note(message);
    }
  }

  Status Learn(const PgoutputRelation& relation) {
    Table& table = tables_[relation.oid];
    table = {{relation.schema, relation.name}, relation.schema == "cutover", {}};
    if (table.ours) return Ok();
    TRY_ASSIGN(Rows rows, source_.Query(stop_, deadline_, kFindKey, {relation.oid}));
    if (rows.empty()) return Ok();
    for (const std::string& column : rows[0].TextArray(0)) {
      const auto at = std::find(relation.columns.begin(), relation.columns.end(), column);
      if (at == relation.columns.end()) {
        table.key.clear();
        return Ok();
      }
      table.key.push_back(static_cast<int>(at - relation.columns.begin()));
    }
    return Ok();
  }

  Status Note(const PgoutputMessage& message) {
    for (const uint32_t oid : message.relations) {
      const auto found = tables_.find(oid);
      if (found == tables_.end())
        return TerminalError("ProtocolViolation",
                             "the output plugin spoke of a table that it had not described; this "
                             "is a defect, please report it with both servers' versions");
      const Table& table = found->second;
      if (table.ours) continue;
      touched_ = true;
      ++found_.changes;
      TableChanges& changes = changes_[table.name];
      ++changes.changes;
      if (message.kind == Kind::kTruncate) {
        pending_keys_ -= static_cast<int64_t>(changes.keys.size());
        changes = {true, changes.changes, {}, 0, ""};
        continue;
      }
      const bool listed =
          (!message.has_old_row || List(table, message.old_row, message.old_row, changes)) &&
          (message.kind == Kind::kDelete || List(table, message.new_row, message.old_row, changes));
      if (!listed) ++changes.unlisted;
    }
    return Ok();
  }

  /// Adds the key of `row`; what of it was not sent again is in `old_row`. False with a reason when
  /// nobody can tell it.
  bool List(const Table& table, const PgoutputRow& row, const PgoutputRow& old_row,
            TableChanges& changes) {
    const char* why = table.key.empty() ? "it has no key" : nullptr;
    std::vector<std::string> key;
    for (const int column : table.key) {
      const auto at = static_cast<size_t>(column);
      const PgoutputValue* value = at < row.size() ? &row[at] : nullptr;
      if (value != nullptr && value->kind == PgoutputValue::Kind::kUnchanged && at < old_row.size())
        value = &old_row[at];
      if (value == nullptr || value->kind == PgoutputValue::Kind::kCut)
        why = "changed rows are so wide that their keys were not read";
      else if (value->kind != PgoutputValue::Kind::kText)
        why = "its replica identity does not tell its rows' keys";
      else
        key.emplace_back(value->text);
      if (why != nullptr) break;
    }
    if (why != nullptr) {
      changes.why_unlisted = why;
      return false;
    }
    if (changes.keys.insert(Json::ArrayOf(key).Dump()).second) ++pending_keys_;
    return true;
  }

  Status Keep(const std::string& position) {
    const std::string changes_end = FormatLsn(std::max(last_end_, end_));
    TRY(KeepChanges(stop_, deadline_, target_, claim_, limits_, changes_,
                    {watch_.slot, position, changes_end}));
    changes_.clear();
    pending_keys_ = 0;
    if (position.empty()) return Ok();
    found_.position = position;
    kept_ = last_end_;
    return Ok();
  }

  /// What the stream has confirmed is compared now, so that the fence need not wait for it.
  Status Settle() {
    const std::string stream = watch_.slot.substr(0, watch_.slot.rfind(WatchSlotName("")));
    TRY_ASSIGN(Rows confirmed, source_.Query(stop_, deadline_, kConfirmed, {stream}));
    if (confirmed.empty()) return Ok();
    const auto budget = std::min<std::chrono::milliseconds>(kSettleMax, deadline_.Remaining() / 4);
    TRY_ASSIGN(found_.settled, SettleChanges(stop_, deadline_, source_, target_, claim_,
                                             confirmed[0].Text(0), budget));
    return Ok();
  }

  Status Advance() {
    TRY(source_.Query(stop_, deadline_, kAdvance, {watch_.slot, found_.position}));
    return Ok();
  }

  const std::stop_token stop_;
  const Deadline deadline_;
  Connection& source_;
  Connection& target_;
  const Claim& claim_;
  const ChangeWatch& watch_;
  const ChangeLimits& limits_;
  const bool move_on_;  ///< Whether the slot is moved on past the last slice, too.
  CollectedChanges found_;
  uint64_t end_ = 0;                  ///< Where the source's log ended when the call began.
  uint64_t confirmed_ = 0;            ///< How far the slot had been moved on by then.
  uint64_t kept_ = 0;                 ///< Transactions that were committed before are kept already.
  uint64_t last_end_ = 0;             ///< Of the last transaction that was read.
  bool skipping_ = false;             ///< The current transaction is kept already.
  bool touched_ = false;              ///< The current transaction changed a table of the tenant.
  std::map<uint32_t, Table> tables_;  ///< By the OID on the source.
  Changes changes_;
  int64_t pending_keys_ = 0;
};

}  // namespace

std::string WatchSlotName(std::string_view stream_slot) {
  return std::string(stream_slot) + "_watch";
}

Result<CollectedChanges> CollectChanges(std::stop_token stop, Deadline deadline, Connection& source,
                                        Connection& target, const Claim& claim,
                                        const ChangeWatch& watch, const ChangeLimits& limits) {
  return Collector(std::move(stop), deadline, source, target, claim, watch, limits, true).Run();
}

Result<CollectedChanges> CollectRest(std::stop_token stop, Deadline deadline, Connection& source,
                                     Connection& target, const Claim& claim,
                                     const ChangeWatch& watch) {
  return Collector(std::move(stop), deadline, source, target, claim, watch, {}, false).Run();
}

}  // namespace cutover::pg
