// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace cutover::mover {
namespace {

/// Of the file, and of how rows are read: raise it when either changes, so that no version takes
/// over what another one has seen in another way.
constexpr int kFormat = 2;

constexpr char kFingerprints[] = R"(
SELECT n.nspname, c.relname,
       pg_catalog.concat_ws('/', pg_catalog.pg_relation_filenode(c.oid),
                            pg_catalog.pg_table_size(c.oid),
                            pg_catalog.pg_stat_get_tuples_inserted(c.oid),
                            pg_catalog.pg_stat_get_tuples_updated(c.oid),
                            pg_catalog.pg_stat_get_tuples_deleted(c.oid),
                            (SELECT pg_catalog.hashtextextended(pg_catalog.string_agg(
                               pg_catalog.concat_ws(' ', a.attnum, a.atttypid, a.attname), ', '
                               ORDER BY a.attnum), 0)
                             FROM pg_catalog.pg_attribute a
                             WHERE a.attrelid = c.oid AND a.attnum > 0))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', 'cutover'))";

tl::unexpected<Error> NotWritable(const std::string& path) {
  return TerminalError("StateNotWritable", "the state file " + path +
                                               " cannot be used: " + std::strerror(errno) +
                                               "; name a file in a directory that can be written");
}

Result<std::string> ReadAll(int descriptor, const std::string& path) {
  std::string text;
  char buffer[65536];
  ssize_t count;
  while ((count = read(descriptor, buffer, sizeof buffer)) > 0)
    text.append(buffer, static_cast<size_t>(count));
  if (count < 0) return NotWritable(path);
  return text;
}

Json Header(const VerifyState::Pair& pair) {
  return Json::Object(
      {{"cutoverVerify", kFormat}, {"source", pair.source}, {"target", pair.target}});
}

Json Encode(const RowsSeen& contents) {
  return Json::Object(
      {{"rows", contents.rows}, {"bytes", contents.bytes}, {"digest", contents.digest.Hex()}});
}

/// The same for the same part alone. Names and statements may be long, and parts many.
std::string KeyOf(const VerifyState::Part& part) {
  RowsSeen key;
  RowHasher().Add(
      Json::ArrayOf(std::vector<std::string>{part.of_source ? "source" : "target", part.table,
                                             part.fingerprint, part.statement})
          .Dump(),
      key);
  return key.digest.Hex();
}

}  // namespace

Result<Fingerprints> ReadFingerprints(std::stop_token stop, Deadline deadline,
                                      pg::Connection& connection) {
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, deadline, kFingerprints));
  Fingerprints fingerprints;
  for (const pg::Row row : rows)
    fingerprints[pg::QuoteQualified(row.Text(0), row.Text(1))] = row.Text(2);
  return fingerprints;
}

Result<std::string> DescribeIdentity(std::stop_token stop, Deadline deadline,
                                     pg::Connection& connection) {
  TRY_ASSIGN(
      pg::Rows rows,
      connection.QueryOne(stop, deadline,
                          "SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()),"
                          " oid, datname FROM pg_catalog.pg_database"
                          " WHERE datname = pg_catalog.current_database()"));
  return "system " + rows[0].Text(0) + " database " + rows[0].Text(1) + " " + rows[0].Text(2);
}

Result<VerifyState> VerifyState::Open(const std::string& path, const Pair& pair) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return NotWritable(path);
  VerifyState state(path, descriptor);
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0)
    return TerminalError("StateBusy", "another process works with the state file " + path +
                                          "; wait until it has ended, or name another file");
  TRY(state.Read(pair));
  return state;
}

VerifyState::VerifyState(VerifyState&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      proven_(std::move(other.proven_)),
      parts_(std::move(other.parts_)) {}

VerifyState::~VerifyState() {
  if (descriptor_ >= 0) close(descriptor_);
}

Status VerifyState::Read(const Pair& pair) {
  TRY_ASSIGN(const std::string text, ReadAll(descriptor_, path_));
  // What has no end of line was being written when its process died, or is about to be.
  const size_t whole = text.rfind('\n') + 1;
  if (ftruncate(descriptor_, static_cast<off_t>(whole)) != 0 || lseek(descriptor_, 0, SEEK_END) < 0)
    return NotWritable(path_);
  if (whole == 0) return Append(Header(pair));
  bool first = true;
  for (size_t at = 0; at < whole;) {
    const size_t end = text.find('\n', at);
    Result<Json> line = Json::Parse(std::string_view(text).substr(at, end - at));
    at = end + 1;
    const bool known = line && (!first || (*line)["cutoverVerify"].AsInt() == kFormat);
    if (!known)
      return TerminalError("StateDamaged", "the state file " + path_ +
                                               " is not one of this version's `verify`, or it was "
                                               "damaged; remove it or name another one");
    if (first && !(Pair{(*line)["source"].AsString(), (*line)["target"].AsString()} == pair))
      return TerminalError("StateOfAnotherPair",
                           "the state file " + path_ + " speaks of another pair of databases (" +
                               (*line)["source"].AsString() + "; " + (*line)["target"].AsString() +
                               "); name another file");
    if (!std::exchange(first, false)) TRY(Take(*line));
  }
  return Ok();
}

Status VerifyState::Take(const Json& line) {
  const std::optional<Digest> digest = Digest::FromHex(line["digest"].StringRef());
  if (!digest || !line["table"].IsString())
    return TerminalError("StateDamaged", "the state file " + path_ +
                                             " has a line that names no table; remove the file or "
                                             "name another one");
  Proven proven;
  proven.contents.digest = *digest;
  proven.contents.rows = line["rows"].AsInt();
  proven.contents.bytes = line["bytes"].AsInt();
  if (line.Contains("part")) {
    parts_[line["part"].AsString()] = proven.contents;
    return Ok();
  }
  proven.source_fingerprint = line["source"].AsString();
  proven.target_fingerprint = line["target"].AsString();
  proven_[line["table"].AsString()] = std::move(proven);
  return Ok();
}

std::optional<RowsSeen> VerifyState::Find(const std::string& table,
                                          const std::string& source_fingerprint,
                                          const std::string& target_fingerprint) const {
  auto found = proven_.find(table);
  if (found == proven_.end() || source_fingerprint.empty() ||
      found->second.source_fingerprint != source_fingerprint ||
      found->second.target_fingerprint != target_fingerprint)
    return std::nullopt;
  return found->second.contents;
}

Status VerifyState::Add(const std::string& table, const Proven& proven) {
  proven_[table] = proven;
  Json line = Encode(proven.contents);
  line.Set("table", table);
  line.Set("source", proven.source_fingerprint);
  line.Set("target", proven.target_fingerprint);
  return Append(line);
}

std::optional<RowsSeen> VerifyState::FindPart(const Part& part) const {
  if (part.fingerprint.empty()) return std::nullopt;
  auto found = parts_.find(KeyOf(part));
  if (found == parts_.end()) return std::nullopt;
  return found->second;
}

Status VerifyState::AddPart(const Part& part, const RowsSeen& contents) {
  if (part.fingerprint.empty()) return Ok();
  const std::string key = KeyOf(part);
  parts_[key] = contents;
  Json line = Encode(contents);
  line.Set("table", part.table);
  line.Set("side", part.of_source ? "source" : "target");
  line.Set("part", key);
  return Append(line);
}

Status VerifyState::Append(const Json& line) {
  const std::string text = line.Dump() + "\n";
  // One call, so that a process that dies leaves a whole line or a torn one, never a mixture.
  const ssize_t written = write(descriptor_, text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return Ok();
  if (written >= 0) errno = ENOSPC;
  return NotWritable(path_);
}

}  // namespace cutover::mover
