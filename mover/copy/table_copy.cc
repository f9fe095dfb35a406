// SPDX-License-Identifier: Apache-2.0
#include "mover/copy/table_copy.h"

#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "mover/copy/byte_queue.h"
#include "postgres/copy_stream.h"

namespace cutover::mover {
namespace {

constexpr size_t kBufferBytes = 256 * 1024;
constexpr size_t kReadAheadBytes = 8 << 20;

/// "COPY …" with the encoding of the stream added to its options.
std::string WithEncoding(std::string copy, const std::string& encoding) {
  constexpr std::string_view kFreeze = " WITH (FREEZE)";
  const std::string option = "ENCODING " + pg::QuoteLiteral(encoding) + ")";
  if (copy.size() > kFreeze.size() && copy.ends_with(kFreeze))
    return copy.substr(0, copy.size() - 1) + ", " + option;
  return copy + " WITH (" + option;
}

/// Reads the source in a thread of its own, from construction to Join().
class ReadAhead {
 public:
  ReadAhead(std::stop_token outside, pg::Connection& source, std::string statement)
      : queue_(kReadAheadBytes),
        forward_(outside, [this] { stop_.request_stop(); }),
        thread_([this, &source, sql = std::move(statement)] {
          status_ = Read(source, sql);
          queue_.Close();
        }) {}

  ~ReadAhead() { Abandon(); }

  std::optional<std::string> Next(std::stop_token stop) { return queue_.Pop(stop); }

  /// The reader's end: what it read, or why it stopped.
  Result<RowsSeen> Join() {
    thread_.join();
    TRY(status_);
    return seen_;
  }

  /// The target has failed: stop reading. The source's connection is closed by it.
  void Abandon() {
    queue_.Abandon();
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  Status Read(pg::Connection& source, const std::string& sql) {
    const std::stop_token stop = stop_.get_token();
    TRY_ASSIGN(pg::CopyOut rows, pg::CopyOut::Start(stop, Deadline::Never(), source, sql));
    RowHasher hasher;
    std::string buffer;
    buffer.reserve(kBufferBytes);
    while (true) {
      TRY_ASSIGN(std::optional<std::string_view> row, rows.NextRow(stop, Deadline::Never()));
      if (row) {
        hasher.Add(*row, seen_);
        buffer.append(*row);
        if (buffer.size() < kBufferBytes) continue;
      }
      if (!buffer.empty() && !queue_.Push(stop, std::exchange(buffer, std::string())))
        return RetryError("Stopped", "reading was stopped before its end; run it again");
      if (!row) break;
      buffer.reserve(kBufferBytes);
    }
    if (rows.rows() == seen_.rows) return Ok();
    return RetryError("CopyMiscounted", "the source counted " + std::to_string(rows.rows()) +
                                            " rows and sent " + std::to_string(seen_.rows) +
                                            "; run it again");
  }

  ByteQueue queue_;
  std::stop_source stop_;
  RowsSeen seen_;
  Status status_;
  std::stop_callback<std::function<void()>> forward_;
  std::jthread thread_;  // Last: it uses all of the above.
};

/// Relays until the reader has no more. Progress is told in bytes; rows follow at the end.
Status Relay(std::stop_token stop, ReadAhead& reader, pg::CopyIn& rows, const CopyTerms& terms) {
  while (std::optional<std::string> buffer = reader.Next(stop)) {
    TRY(rows.Write(stop, Deadline::Never(), *buffer));
    if (terms.on_progress) terms.on_progress(static_cast<int64_t>(buffer->size()), 0);
  }
  return Ok();
}

/// A mover of a later attempt takes the claim by rewriting this row, which waits for us as long as
/// our transaction is open; and what we begin afterwards finds another attempt in it.
Status RequireClaim(std::stop_token stop, pg::Connection& target, const CopyTerms& terms) {
  TRY_ASSIGN(pg::Rows rows,
             target.Query(stop, Deadline::Never(),
                          "SELECT FROM cutover.progress WHERE migration_uid = $1 AND attempt = $2"
                          " AND stage = 'schema' FOR KEY SHARE",
                          {terms.migration_uid, terms.attempt}));
  if (!rows.empty()) return Ok();
  return TerminalError("Superseded",
                       "another attempt has taken over the target database; this one is done");
}

Result<RowsSeen> Fill(std::stop_token stop, pg::Connection& source, pg::Connection& target,
                      const TablePlan& table, const CopyTerms& terms) {
  // FREEZE is allowed because the table was emptied in this very transaction; the rows then need
  // no vacuum later. An extension's table keeps rows of its own, so it cannot have that.
  const bool freeze = table.condition.empty();
  TRY_ASSIGN(pg::CopyIn rows,
             pg::CopyIn::Start(stop, Deadline::Never(), target,
                               WithEncoding(CopyInStatement(table, freeze), terms.encoding)));
  ReadAhead reader(stop, source, WithEncoding(CopyOutStatement(table), terms.encoding));
  TRY(Relay(stop, reader, rows, terms));
  // Only a reader that saw the end confirmed lets the target's COPY end; otherwise it must fail.
  TRY_ASSIGN(RowsSeen seen, reader.Join());
  TRY_ASSIGN(int64_t taken, rows.Finish(stop, Deadline::Never()));
  if (taken != seen.rows)
    return RetryError("CopyMiscounted", "the source sent " + std::to_string(seen.rows) +
                                            " rows and the target took " + std::to_string(taken) +
                                            "; run it again");
  if (terms.on_progress) terms.on_progress(0, seen.rows);
  return seen;
}

}  // namespace

Result<RowsSeen> CopyTable(std::stop_token stop, pg::Connection& source, pg::Connection& target,
                           const TablePlan& table, const CopyTerms& terms) {
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(stop, Deadline::Never(), target));
  TRY(RequireClaim(stop, target, terms));
  TRY(transaction.Exec(stop, Deadline::Never(), EmptyStatement(table)));
  TRY_ASSIGN(RowsSeen seen, Fill(stop, source, target, table, terms));
  TRY(WriteChunk(stop, Deadline::Never(), target, terms.migration_uid, terms.attempt,
                 Chunk{table.Qualified(), 0, "", seen.rows, seen.bytes, seen.digest.Hex()}));
  TRY(transaction.Commit(stop, Deadline::Never()));
  return seen;
}

Result<RowsSeen> HashTable(std::stop_token stop, pg::Connection& connection, const TablePlan& table,
                           const CopyTerms& terms) {
  TRY_ASSIGN(pg::CopyOut rows,
             pg::CopyOut::Start(stop, Deadline::Never(), connection,
                                WithEncoding(CopyOutStatement(table), terms.encoding)));
  RowHasher hasher;
  RowsSeen seen;
  int64_t told_bytes = 0;
  while (true) {
    TRY_ASSIGN(std::optional<std::string_view> row, rows.NextRow(stop, Deadline::Never()));
    if (!row) break;
    hasher.Add(*row, seen);
    if (seen.bytes - told_bytes < static_cast<int64_t>(kBufferBytes)) continue;
    if (terms.on_progress) terms.on_progress(seen.bytes - told_bytes, 0);
    told_bytes = seen.bytes;
  }
  if (rows.rows() != seen.rows)
    return RetryError("CopyMiscounted", "the server counted " + std::to_string(rows.rows()) +
                                            " rows and sent " + std::to_string(seen.rows) +
                                            "; run it again");
  if (terms.on_progress) terms.on_progress(seen.bytes - told_bytes, seen.rows);
  return seen;
}

}  // namespace cutover::mover
