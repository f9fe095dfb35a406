// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "postgres/connection.h"
#include "postgres/pooler.h"
#include "tests/kube/tcp_relay.h"
#include "tests/postgres/pooler/own_pooler.h"

namespace cutover::pg::testing {

/// A tenant on the source and, empty, on the target: role, database and the table
/// `written (writer int, n int)`; and a relay that leads to the source, in place of the placement's
/// Service. Dropped at the end.
class PooledTenant {
 public:
  PooledTenant();
  ~PooledTenant();
  PooledTenant(const PooledTenant&) = delete;
  PooledTenant& operator=(const PooledTenant&) = delete;

  const std::string& name() const { return name_; }  ///< Of role and database.
  const std::string& password() const { return password_; }

  /// "NAME = host=… port=…" onto the relay, with `more` at its end.
  std::string Entry(const std::string& entry, const std::string& more = "") const;
  /// For a pooler with an entry for the database and, if asked for, one to ask through.
  OwnPoolerOptions Options(bool with_probe_entry = true) const;

  void LeadToTarget() { relay_.LeadTo(target_.port); }
  /// While it hangs no byte passes, and nothing is closed.
  void Hang(bool hangs) { relay_.SetFrozen(hangs); }
  void LeadToSource() { relay_.LeadTo(source_.port); }

  /// The tenant may not connect, and has no session any more: what counts of a fence here.
  void Fence(const ConnectOptions& server) const;
  void Unfence(const ConnectOptions& server) const;
  /// What the stream would have done.
  void CarryRows(const ConnectOptions& from, const ConnectOptions& to) const;

  /// Pause, fence, carry, and the host leads elsewhere: all that comes before ProveBefore().
  void MoveBehindAPause(Poolers& poolers, const ConnectOptions& from, const ConnectOptions& to);

  /// Of the admin, to the tenant's database.
  const ConnectOptions& source() const { return source_; }
  const ConnectOptions& target() const { return target_; }
  PoolerProof Proof(const ConnectOptions& server) const;
  int Sessions(const ConnectOptions& server) const;
  /// Sessions that are left there once those that are being closed have ended.
  int SessionsThatStay(const ConnectOptions& server) const;

 private:
  std::string name_;
  std::string password_;
  ConnectOptions source_;
  ConnectOptions target_;
  cutover::testing::TcpRelay relay_;
};

/// How a Writer speaks: texts, or statements that it prepares by the protocol once in a session,
/// those of a transaction sent together.
enum class Speech { kSimple, kPrepared };

/// A client of a pooler that writes one numbered row after the other, every other one in a
/// transaction of several statements, and remembers exactly those that were acknowledged.
class Writer {
 public:
  Writer(const PooledTenant& tenant, const OwnPooler& pooler, int number,
         Speech speech = Speech::kSimple);
  ~Writer() { Stop(); }
  /// Ends the writing; the figures are final then.
  void Stop();

  int number() const { return number_; }
  int acknowledged() const { return acknowledged_; }
  const std::set<int>& rows() const { return rows_; }  ///< After Stop().
  const std::vector<std::string>& errors() const { return errors_; }
  std::chrono::milliseconds longest() const { return longest_; }

 private:
  void Write(const std::stop_token& stop, const PoolerLogin& login, const std::string& database);

  const int number_;
  const Speech speech_;
  std::atomic<int> acknowledged_{0};
  std::set<int> rows_;
  std::vector<std::string> errors_;
  std::chrono::milliseconds longest_{0};
  std::jthread thread_;
};

/// Rows of a writer on this server: every acknowledged one, and none twice.
void ExpectAllWritten(const ConnectOptions& server, const Writer& writer);
/// Returns once each has had another row acknowledged.
void AwaitProgress(const std::vector<const Writer*>& writers);

}  // namespace cutover::pg::testing
