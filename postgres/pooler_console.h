// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/pooler.h"
#include "postgres/simple_session.h"

namespace cutover::pg {

/// A name as PgBouncer's console reads it. Its parser is no SQL parser: quotes are needed for
/// anything but letters, digits and underscores, and an argument with its quotes has 63 characters
/// at most. Nothing for a name that it cannot be told.
std::optional<std::string> ConsoleName(std::string_view name);

/// The admin console of one PgBouncer, opened when it is first needed, and again when it was lost.
/// Every command that it is given may be repeated, so one that got no answer on a session of old is
/// sent again on a new one.
class Poolers::Console {
 public:
  explicit Console(PoolerLogin login) : login_(std::move(login)) {}

  const PoolerLogin& login() const { return login_; }
  std::string Describe() const { return login_.Describe(); }
  void set_proven(bool proven) { proven_ = proven; }  ///< As of PoolerFacts.

  /// All of it within the patience that one answer is given: whoever is as slow as that is not
  /// there.
  Result<PoolerFacts> Observe(const std::stop_token& stop, Deadline deadline);

  /// Sends PAUSE for each entry and watches from another session, since PgBouncer's answer speaks
  /// of every paused database at once, and never comes when somebody resumes meanwhile. True once
  /// all are paused and their servers free; false when they were not at `until`.
  Result<bool> Pause(const std::stop_token& stop, Deadline until,
                     const std::vector<std::string>& entries);
  /// The watching alone: for entries that Pause() has left paused.
  Result<bool> AwaitPaused(const std::stop_token& stop, Deadline until,
                           const std::vector<std::string>& entries);
  /// Who keeps a server connection of these entries busy: one of them, in words.
  Result<std::string> Holder(const std::stop_token& stop, Deadline deadline,
                             const std::vector<std::string>& entries);

  Status Resume(const std::stop_token& stop, Deadline deadline,
                const std::vector<std::string>& entries);
  /// Until nobody waits who could be served, or `until`.
  Status AwaitServed(const std::stop_token& stop, Deadline until,
                     const std::vector<std::string>& entries);
  /// Connections of today are closed once their transaction ends, and the server's version and
  /// settings, which PgBouncer tells its clients, are learnt anew.
  Status Reconnect(const std::stop_token& stop, Deadline deadline,
                   const std::vector<std::string>& entries);

  /// Process ids, on the server, behind the connections of these entries that are logged in.
  Result<std::vector<std::string>> BackendPids(const std::stop_token& stop, Deadline deadline,
                                               const std::vector<std::string>& entries);

  /// server_login_retry at 50 ms, until RestoreLoginRetry().
  Status LowerLoginRetry(const std::stop_token& stop, Deadline deadline);
  Status RestoreLoginRetry(const std::stop_token& stop, Deadline deadline);

 private:
  struct State {
    bool all_paused = true;
    bool all_free = true;  ///< No server connection that a client could still use.
  };

  Result<SimpleSession::Rows> Query(const std::stop_token& stop, Deadline deadline,
                                    const std::string& statement);
  Status CommandEach(const std::stop_token& stop, Deadline deadline, std::string_view verb,
                     const std::vector<std::string>& entries);
  Result<State> Look(const std::stop_token& stop, Deadline deadline,
                     const std::vector<std::string>& entries);
  Result<std::string> MustConsoleName(const std::string& entry) const;
  Status RefusalOfPause(SimpleSession& bell) const;
  /// What it means that the console refused a command.
  Error Refusal(const Error& said) const;
  Error ResumedByOther(const std::vector<std::string>& entries) const;
  Result<std::string> Setting(const std::stop_token& stop, Deadline deadline, std::string_view name,
                              const char* column);

  PoolerLogin login_;
  std::optional<SimpleSession> session_;
  bool proven_ = false;
  std::string login_retry_;  ///< What it was before LowerLoginRetry(); empty: not lowered.
};

}  // namespace cutover::pg
