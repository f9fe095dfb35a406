// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "mover/verify/table_reader.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// By qualified name: what changes when somebody writes to the table. The file that holds it (new
/// after TRUNCATE or a rewrite), its size, how many rows were ever inserted, updated and deleted,
/// and its columns, since one that is added with a default gives every row a value without writing
/// any. The counts arrive in the server's statistics up to ten seconds after the transaction that
/// they speak of, and a crash of the server resets them.
using Fingerprints = std::map<std::string, std::string>;

/// Over a connection that is in no transaction, *before* the snapshot that is then compared: what
/// is committed in between changes the next fingerprint and is compared again, never overlooked.
Result<Fingerprints> ReadFingerprints(std::stop_token stop, Deadline deadline,
                                      pg::Connection& connection);

/// What is the same for a pair of databases as long as they are these: server, database, and where
/// they are reached.
Result<std::string> DescribeIdentity(std::stop_token stop, Deadline deadline,
                                     pg::Connection& connection);

/// A file that keeps which tables were found equal, and which parts of big ones were read, so that
/// the next run need not read them again: JSON lines, the first of which names the pair. One
/// process at a time; one thread at a time.
class VerifyState {
 public:
  struct Pair {
    std::string source;  ///< DescribeIdentity() of either side.
    std::string target;
    bool operator==(const Pair&) const = default;
  };

  /// A table that was found equal.
  struct Proven {
    RowsSeen contents;
    std::string source_fingerprint;
    std::string target_fingerprint;
    bool operator==(const Proven&) const = default;
  };

  /// A part of a big table on one side. What it holds is kept whatever the other side holds: a
  /// table is compared when all parts of both are there.
  struct Part {
    std::string table;
    bool of_source = false;
    std::string fingerprint;  ///< That side's.
    std::string statement;    ///< That reads it: by another one the same rows may look different.
  };

  /// Opens the file or makes it. A last line that was torn by the end of its process is dropped.
  /// Terminal: "StateOfAnotherPair", "StateDamaged", "StateBusy", "StateNotWritable".
  static Result<VerifyState> Open(const std::string& path, const Pair& pair);

  VerifyState(VerifyState&&) noexcept;
  VerifyState& operator=(VerifyState&&) = delete;
  ~VerifyState();

  /// What was proven of a table whose fingerprints are these; nothing when it has to be read.
  std::optional<RowsSeen> Find(const std::string& table, const std::string& source_fingerprint,
                               const std::string& target_fingerprint) const;
  /// Written at once, so that it survives this process. Terminal "StateNotWritable".
  Status Add(const std::string& table, const Proven& proven);

  /// The same of a part. One whose table has no fingerprint is neither kept nor found.
  std::optional<RowsSeen> FindPart(const Part& part) const;
  Status AddPart(const Part& part, const RowsSeen& contents);

  size_t size() const { return proven_.size(); }
  const std::string& path() const { return path_; }

 private:
  VerifyState(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  Status Read(const Pair& pair);
  Status Take(const Json& line);
  Status Append(const Json& line);

  std::string path_;
  int descriptor_;
  std::map<std::string, Proven> proven_;   ///< By TablePlan::Qualified(); the last line wins.
  std::map<std::string, RowsSeen> parts_;  ///< By all that Part says, hashed.
};

}  // namespace cutover::mover
