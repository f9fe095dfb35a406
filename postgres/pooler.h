// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// PgBouncer in front of a server, through its admin console: versions 1.18 to 1.26.
///
/// Expected flow of a switch, with the tenant's clients connected all the time:
///   1. Pause()        every pooler at once; each lets running transactions end, and then has no
///                     connection to a server any more, so there is none for the fence to end
///   2. fence, marker, journal, and the host of the entry (a Service) leads to the target
///   3. ProveBefore()  each pooler's own way leads to the target, asked through another entry
///   4. ResumeOnto()   the clients go on; each connection that a pooler opens is looked up in the
///                     target
/// Undo is ResumeOnto() the source, after its fence is down.
///
/// Why 3 comes before 4: a connection that a pooler tries too early is refused by the fence. 1.18
/// then tries none for server_login_retry (15 s) and turns new clients away; 1.24 ends the sessions
/// of those who wait. Measured and argued in docs/decisions/20261121-pooler.md.
///
/// An entry is a line of [databases]: what a client names as its database. Several may lead to one
/// database of the server; all that do are to be paused.

/// The admin console of one PgBouncer: an address, not a name that stands for several.
struct PoolerLogin {
  std::string host;
  int port = 6432;
  std::string user;  ///< One of PgBouncer's admin_users.
  std::string password;
  /// New clients are led there. One that is not ready may have clients of before, and be paused (a
  /// readiness probe through a paused entry fails): it is resumed where it answers, but neither
  /// paused nor waited for.
  bool ready = true;

  /// "PgBouncer host:port": all that may be shown.
  std::string Describe() const;
};

/// A line of [databases] and what goes on behind it, all users of it together.
struct PoolerEntry {
  std::string name;
  std::string host;  ///< As PgBouncer's configuration has it.
  int port = 0;
  std::string database;  ///< Its name on the server.
  std::string
      pool_mode;  ///< "transaction", "statement", or "session" if it is for any of its users.
  bool paused = false;
  bool disabled = false;
  int clients = 0;  ///< Those who wait included.
  int clients_waiting = 0;
  int servers = 0;  ///< Connections to the server, those still being opened included.
  int servers_busy = 0;
  double longest_wait_seconds = 0;  ///< Of the clients that wait now.
};

struct PoolerFacts {
  std::string pooler;   ///< Its Describe().
  std::string version;  ///< "PgBouncer 1.18.0"
  std::vector<PoolerEntry> entries;
  bool ready = true;    ///< As its login has it.
  bool proven = false;  ///< ResumeOnto() has found it where it led it, since the last Pause().

  /// nullptr without such an entry. One made by "*" is there only once a client has come.
  const PoolerEntry* Find(std::string_view name) const;
  /// Names of all that lead to the server's database of that name.
  std::vector<std::string> EntriesOf(std::string_view database) const;
};

/// What stands in the way of pausing the entry, each as a sentence with its remedy: no such entry,
/// session pooling (a session holds its connection, so PAUSE would never end), disabled.
std::vector<std::string> PoolerObstacles(const PoolerFacts& facts, std::string_view entry);

/// What poolers say who may have been lost one by one.
struct PoolerLook {
  std::vector<PoolerFacts> facts;  ///< Of those that answered, in the order of the logins.
  /// Some did not, of those that are ready, or of all where none is: why, with each one's words.
  std::optional<Error> silent;
};

/// Why ProveBefore() will have nothing to ask through at this pooler, with the remedy; empty when
/// it will. For preflight: to 1.24 a refused connection is an error for every client that waits,
/// so a switch without it may hurt where a node learns of the Service's change late.
std::string ProbeObstacle(const PoolerFacts& facts, const std::vector<std::string>& entries);

struct PauseBounds {
  /// How long transactions may take to end by themselves.
  std::chrono::milliseconds wait{5000};
  /// Called once, past `wait`, when some have not: EndOpenTransactions() for those who prefer
  /// errors for few to another attempt for all. Unset: nobody is hurt, and the pause fails.
  std::function<Status()> end_transactions;
  /// How long they may take after that.
  std::chrono::milliseconds grace{2000};
};

struct PauseReport {
  std::chrono::milliseconds took{0};
  bool transactions_ended = false;  ///< PauseBounds::end_transactions was needed.
};

/// Who asks through a pooler, and which server is to answer.
struct PoolerProof {
  std::string user;  ///< A tenant's own login, which the pooler lets in like its workload's.
  std::string password;
  std::string system_identifier;  ///< ReadSystemIdentifier() of the server that is to answer.
};

/// All PgBouncers behind one admin endpoint. Used by one thread at a time; inside, each pooler has
/// a thread of its own for the time of a call. Consoles stay open between calls and are opened
/// again when they were lost. Every call may be repeated, and names what failed at which pooler.
/// Pausing needs every pooler that is ready; letting clients go on, none but their own.
///
/// Errors: "PoolerUnreachable" (kRetry), "PoolerRefused" (kTerminal: wrong password, or the user is
/// not one of admin_users), and what each call says. "Stopped" and "DeadlineExceeded" as always.
class Poolers {
 public:
  /// At least one login.
  explicit Poolers(std::vector<PoolerLogin> logins);
  Poolers(Poolers&&) noexcept;
  Poolers& operator=(Poolers&&) noexcept;
  ~Poolers();

  size_t size() const;

  /// One value for each pooler that is ready, in the order of the logins; at least one.
  Result<std::vector<PoolerFacts>> Observe(std::stop_token stop, Deadline deadline);

  /// The same of all that answer, ready or not, within two seconds.
  PoolerLook Look(std::stop_token stop, Deadline deadline);

  /// Success: at every pooler that is ready each of `entries` is paused and without a connection to
  /// a server that a client could use; clients wait, and none has seen an error, but those of
  /// `end_transactions`. Otherwise all that answer are resumed, and the error is kRetry:
  /// "TransactionsOpen" (who held it, and where), "PoolerResumed" (somebody resumed it meanwhile;
  /// PgBouncer would never answer: pgbouncer#715), "PoolerPausedByOther" (the whole pooler is
  /// paused or suspended). Terminal "PoolerObstacle" with PoolerObstacles(). When even resuming
  /// failed, the message says so: those clients wait until somebody resumes.
  Result<PauseReport> Pause(std::stop_token stop, Deadline deadline,
                            const std::vector<std::string>& entries, const PauseBounds& bounds);

  /// Lets clients go on at every pooler, also when one fails; success only if all that are ready
  /// are resumed. Nothing happens where an entry is not paused.
  Status Resume(std::stop_token stop, Deadline deadline, const std::vector<std::string>& entries);

  /// Asks each pooler's own way to the server, while `entries` are paused: a new connection through
  /// another entry that has the same host and port. True: the server of `proof` answered at every
  /// pooler. False: some pooler has no such entry that this login may use, by its own word or the
  /// server's (an operator of the pooler adds one: `postgres = host=…`), so only ResumeOnto() can
  /// tell. kRetry "PoolerLeadsElsewhere" when another server, or none, answered until the deadline,
  /// whatever else is wrong; what an other error says of one pooler says nothing against the rest.
  Result<bool> ProveBefore(std::stop_token stop, Deadline deadline,
                           const std::vector<std::string>& entries, const PoolerProof& proof);

  /// Resume(), and positive proof that clients now work on the server of `proof`: the pooler has
  /// opened new connections only (RECONNECT); a query through each pooler and entry is answered by
  /// that server; and every connection that the poolers hold is found there, by process id, through
  /// `server`, an admin connection to it. kRetry "PoolerLeadsElsewhere" when that is not so at the
  /// deadline; entries are resumed nevertheless, since the fence protects the other server.
  /// Each pooler by itself: kRetry "PoolerNotResumed" where some could not be resumed, which it
  /// names, and all of this is so of the others; where none could, what is wrong with the first.
  ///
  /// While it runs, PgBouncer's server_login_retry is 50 ms, so that a connection refused on the
  /// way, or before by a pooler that was restarted, costs no 15 s; then it is what it was.
  ///
  /// `on_resumed` is called once all that can be are resumed, before the proof: from then on nobody
  /// waits there.
  Status ResumeOnto(std::stop_token stop, Deadline deadline,
                    const std::vector<std::string>& entries, const PoolerProof& proof,
                    Connection& server, const std::function<void()>& on_resumed = {});

 private:
  class Console;
  using Consoles = std::vector<Console*>;
  Consoles All() const;
  Consoles Ready() const;
  /// Whether its failure is one of all: it is ready, or none is.
  bool Counts(const Console& console) const;
  template <class Value>
  static std::vector<Result<Value>> AtEach(const Consoles& consoles,
                                           const std::function<Result<Value>(Console&)>& what);
  static std::vector<Status> DoAtEach(const Consoles& consoles,
                                      const std::function<Status(Console&)>& what);
  Status PauseAll(const std::stop_token& stop, Deadline deadline, const Consoles& consoles,
                  const std::vector<std::string>& entries, const PauseBounds& bounds,
                  PauseReport* report);
  Status AwaitAnswer(const std::stop_token& stop, Deadline deadline, Console& console,
                     const std::string& entry, const PoolerProof& proof, bool is_probe);
  Result<bool> Probe(const std::stop_token& stop, Deadline deadline, Console& console,
                     const std::vector<std::string>& entries, const PoolerProof& proof);
  Status AwaitBackends(const std::stop_token& stop, Deadline deadline, Console& console,
                       const std::vector<std::string>& entries, Connection& server);

  std::vector<std::unique_ptr<Console>> consoles_;
};

/// The identifier of the server that answers behind an entry, asked through the pooler at `host`
/// and `port` as this user: what a client of the pooler would reach. For preflight: that the
/// tenant's login works there, and that the pooler leads to the source now.
Result<std::string> AskThroughPooler(std::stop_token stop, Deadline deadline,
                                     const PoolerLogin& pooler, std::string_view entry,
                                     const std::string& user, const std::string& password);

/// Terminates every session of `database` that is in a transaction, or runs a statement, but those
/// of `roles_left_out`; returns how many. Their clients see an error and what they had not
/// committed is rolled back, so a client never takes for done what is not.
Result<int> EndOpenTransactions(std::stop_token stop, Deadline deadline, Connection& connection,
                                std::string_view database,
                                const std::vector<std::string>& roles_left_out);

}  // namespace cutover::pg
