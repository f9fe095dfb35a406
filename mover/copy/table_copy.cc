// SPDX-License-Identifier: Apache-2.0
#include "mover/copy/table_copy.h"

#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "mover/copy/byte_queue.h"
#include "mover/copy/row_reader.h"
#include "postgres/copy_stream.h"

namespace cutover::mover {
namespace {

constexpr size_t kBufferBytes = 256 * 1024;
constexpr size_t kReadAheadBytes = 8 << 20;

/// A piece of one chunk's stream. The last of a chunk tells what the reader has seen of it.
struct Portion {
  std::string bytes;
  std::optional<RowsSeen> chunk_ended;

  size_t size() const { return bytes.size(); }
};

/// Reads the chunks of a group, one after the other, in a thread of its own.
class ReadAhead {
 public:
  ReadAhead(std::stop_token outside, pg::Connection& source, const std::vector<TablePlan>& tables,
            const ChunkGroup& group, const CopyTerms& terms)
      : tables_(tables),
        group_(group),
        terms_(terms),
        queue_(kReadAheadBytes),
        forward_(outside, [this] { stop_.request_stop(); }),
        thread_([this, &source] {
          status_ = ReadAll(source);
          queue_.Close();
        }) {}

  /// The target may have failed: stop reading. The source's connection is closed by it.
  ~ReadAhead() {
    queue_.Abandon();
    stop_.request_stop();
  }

  /// The next piece; a chunk's last one has `chunk_ended`. The error says why there is none.
  Result<Portion> Next(std::stop_token stop) {
    if (std::optional<Portion> portion = queue_.Pop(stop)) return std::move(*portion);
    thread_.join();  // Nothing comes after this.
    TRY(status_);
    return RetryError("Stopped", "copying was stopped before its end; run it again");
  }

 private:
  Status ReadAll(pg::Connection& source) {
    for (const TableChunk& chunk : group_.chunks) TRY(Read(source, chunk));
    return Ok();
  }

  Status Read(pg::Connection& source, const TableChunk& chunk) {
    const std::stop_token stop = stop_.get_token();
    const TablePlan& table = tables_[chunk.table];
    TRY_ASSIGN(RowReader rows,
               RowReader::Start(stop, source,
                                {table, ConditionOf(table, chunk.range), terms_.FormatOf(table),
                                 terms_.encoding, terms_.slice_wide_rows}));
    Portion portion;
    while (true) {
      TRY_ASSIGN(std::optional<std::string_view> bytes, rows.Next(stop));
      if (!bytes) break;
      // A row that is larger than a buffer is handed on in pieces, or it would be here twice.
      while (portion.bytes.size() + bytes->size() >= kBufferBytes) {
        const size_t fitting = kBufferBytes - portion.bytes.size();
        portion.bytes.append(bytes->substr(0, fitting));
        bytes->remove_prefix(fitting);
        TRY(HandOn(std::exchange(portion, {})));
      }
      portion.bytes.append(*bytes);
    }
    portion.chunk_ended = rows.seen();
    return HandOn(std::move(portion));
  }

  Status HandOn(Portion portion) {
    const std::stop_token stop = stop_.get_token();
    const int64_t bytes = static_cast<int64_t>(portion.size());
    if (queue_.Push(stop, std::move(portion)) &&
        (terms_.throttle == nullptr || terms_.throttle->Take(stop, bytes)))
      return Ok();
    return RetryError("Stopped", "reading was stopped before its end; run it again");
  }

  const std::vector<TablePlan>& tables_;
  const ChunkGroup& group_;
  const CopyTerms& terms_;
  ByteQueue<Portion> queue_;
  std::stop_source stop_;
  Status status_;
  std::stop_callback<std::function<void()>> forward_;
  std::jthread thread_;  // Last: it uses all of the above.
};

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

/// FREEZE needs a table that was emptied in the same transaction, which costs a small table more
/// than it saves; and an extension's table keeps rows of its own.
bool LoadsFrozen(const TablePlan& table, const TableChunk& chunk) {
  return table.heap && chunk.range.whole() && !table.extension_member &&
         table.bytes >= kSmallTableBytesMax;
}

/// Writes one chunk. Only a reader that saw the end confirmed lets the target's COPY end; otherwise
/// it must fail.
Result<RowsSeen> Fill(std::stop_token stop, ReadAhead& reader, pg::Connection& target,
                      const TablePlan& table, const TableChunk& chunk, const CopyTerms& terms) {
  const bool frozen = LoadsFrozen(table, chunk);
  if (frozen || table.extension_member)
    TRY(target.Exec(stop, Deadline::Never(), EmptyStatement(table)));
  TRY_ASSIGN(pg::CopyIn rows,
             pg::CopyIn::Start(stop, Deadline::Never(), target,
                               CopyInStatement(table) +
                                   CopyOptions(terms.FormatOf(table), terms.encoding, frozen)));
  std::optional<RowsSeen> sent;
  while (!sent) {
    TRY_ASSIGN(Portion portion, reader.Next(stop));
    TRY(rows.Write(stop, Deadline::Never(), portion.bytes));
    if (terms.on_progress) terms.on_progress(static_cast<int64_t>(portion.size()), 0);
    sent = portion.chunk_ended;
  }
  TRY_ASSIGN(int64_t taken, rows.Finish(stop, Deadline::Never()));
  if (taken != sent->rows)
    return RetryError("CopyMiscounted", "the source sent " + std::to_string(sent->rows) +
                                            " rows and the target took " + std::to_string(taken) +
                                            "; run it again");
  if (terms.on_progress) terms.on_progress(0, sent->rows);
  return *sent;
}

}  // namespace

Chunk LedgerEntry(const TablePlan& table, const TableChunk& chunk, const RowsSeen& seen) {
  Chunk entry;
  entry.table = table.Qualified();
  entry.number = chunk.number;
  entry.block_from = chunk.range.from;
  entry.block_to = chunk.range.to;
  entry.rows = seen.rows;
  entry.bytes = seen.bytes;
  entry.digest = seen.digest.Hex();
  return entry;
}

RowsSeen SeenOf(const Chunk& entry) {
  RowsSeen seen;
  // Only we write there; what is no digest matches no rows, and so will be found.
  seen.digest = Digest::FromHex(entry.digest).value_or(Digest());
  seen.rows = entry.rows;
  seen.bytes = entry.bytes;
  return seen;
}

Result<std::vector<RowsSeen>> CopyGroup(std::stop_token stop, pg::Connection& source,
                                        pg::Connection& target,
                                        const std::vector<TablePlan>& tables,
                                        const ChunkGroup& group, const CopyTerms& terms) {
  std::vector<RowsSeen> seen;
  std::vector<Chunk> entries;
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(stop, Deadline::Never(), target));
  TRY(RequireClaim(stop, target, terms));
  {
    ReadAhead reader(stop, source, tables, group, terms);
    for (const TableChunk& chunk : group.chunks) {
      const TablePlan& table = tables[chunk.table];
      Result<RowsSeen> filled = Fill(stop, reader, target, table, chunk, terms);
      if (!filled)
        return tl::make_unexpected(
            WithContext(std::move(filled).error(), "copying table " + table.Display()));
      seen.push_back(*filled);
      entries.push_back(LedgerEntry(table, chunk, *filled));
    }
  }
  TRY(CommitChunks(stop, Deadline::Never(), target, terms.migration_uid, terms.attempt, entries));
  TRY(transaction.Commit(stop, Deadline::Never()));
  return seen;
}

Result<RowsSeen> HashRows(std::stop_token stop, pg::Connection& connection, const TablePlan& table,
                          std::string_view condition, const CopyTerms& terms) {
  TRY_ASSIGN(RowReader rows, RowReader::Start(stop, connection,
                                              {table, std::string(condition), terms.FormatOf(table),
                                               terms.encoding, terms.slice_wide_rows}));
  int64_t told_bytes = 0;
  while (true) {
    TRY_ASSIGN(std::optional<std::string_view> bytes, rows.Next(stop));
    if (!bytes) break;
    const int64_t untold_bytes = rows.seen().bytes - told_bytes;
    if (untold_bytes < static_cast<int64_t>(kBufferBytes)) continue;
    if (terms.on_progress) terms.on_progress(untold_bytes, 0);
    told_bytes += untold_bytes;
    if (terms.throttle != nullptr && !terms.throttle->Take(stop, untold_bytes))
      return RetryError("Stopped", "reading was stopped before its end; run it again");
  }
  if (terms.on_progress) terms.on_progress(rows.seen().bytes - told_bytes, rows.seen().rows);
  return rows.seen();
}

}  // namespace cutover::mover
