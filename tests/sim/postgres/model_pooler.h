// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "tests/sim/postgres/model_server.h"

namespace cutover::sim {

/// A PgBouncer in transaction mode in front of one tenant: clients wait while it is paused, and
/// otherwise work on one connection to the server that its host leads to at the time. It is what
/// this program's pg::Poolers find at its address.
class ModelPooler {
 public:
  enum class Outcome { kDone, kWaits, kError };
  /// What stands between a command at its console and the answer, as OnCommit.
  using OnCommand = std::function<bool(const std::string& what, const std::function<void()>&)>;

  /// `leads_to`: the server behind its host now; null for none.
  ModelPooler(std::string database, std::string user, std::string password, std::string host,
              std::function<ModelServer*()> leads_to);

  /// One transaction of a client's.
  Outcome Transact(const Redo& change);
  /// It dies and comes back: what it held is gone, the pause as well.
  void Restart();

  // Its console; false when the answer is lost.
  bool Pause();
  bool Resume();
  bool paused() const { return paused_; }
  ModelServer* leads_to() const { return leads_to_(); }
  const std::string& database() const { return database_; }
  const std::string& host() const { return host_; }

  OnCommand on_command;
  bool up = true;
  /// A client has a transaction open and does not end it.
  bool transaction_stuck = false;
  /// For how long the last pause was to wait for such transactions.
  std::chrono::milliseconds pause_bound{0};

 private:
  Backend* Server();
  void CloseServer();
  bool Command(const std::string& what, const std::function<void()>& apply);

  const std::string database_, user_, password_, host_;
  const std::function<ModelServer*()> leads_to_;
  bool paused_ = false;
  ModelServer* server_ = nullptr;  // Whom its connection is to.
  int session_ = 0;
};

}  // namespace cutover::sim
