// SPDX-License-Identifier: Apache-2.0
#include "postgres/pooler.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "operator/base/check.h"
#include "operator/base/log.h"
#include "postgres/pooler_console.h"
#include "postgres/simple_session.h"

namespace cutover::pg {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Between two questions of a proof.
constexpr milliseconds kBetweenQuestions{10};
/// One question through a pooler. While its way leads nowhere, PgBouncer lets the client wait.
constexpr seconds kQuestionPatience{1};
/// For a pooler that is not ready, and mostly is no more: clients of the others wait for the look.
constexpr milliseconds kPatienceOfUnready{200};
/// For what must be done also when the caller's time is over, such as letting clients go on.
constexpr seconds kLastPatience{5};
/// Until PgBouncer has a connection again for those who wait; it looks three times a second.
constexpr seconds kServedPatience{2};
constexpr std::string_view kIdentify =
    "SELECT system_identifier FROM pg_catalog.pg_control_system()";

std::string Joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : "; ") + sentence;
  return text;
}

bool AllOf(const std::vector<bool>& values) {
  return std::find(values.begin(), values.end(), false) == values.end();
}

/// That of the first in order that is not merely the echo of another's, in the words of all that
/// are not.
Error Together(std::vector<Error> errors) {
  CHECK(!errors.empty());
  auto is_echo = [](const Error& error) { return error.reason == "Stopped"; };
  if (!std::all_of(errors.begin(), errors.end(), is_echo)) std::erase_if(errors, is_echo);
  Error together = errors.front();
  for (size_t i = 1; i < errors.size(); ++i)
    if (together.message.find(errors[i].message) == std::string::npos)
      together.message += "; " + errors[i].message;
  return together;
}

template <class Value>
Result<std::vector<Value>> AllOrError(std::vector<Result<Value>> results) {
  std::vector<Value> values;
  std::vector<Error> errors;
  for (Result<Value>& result : results) {
    if (result)
      values.push_back(std::move(*result));
    else
      errors.push_back(std::move(result).error());
  }
  if (!errors.empty()) return tl::unexpected(Together(std::move(errors)));
  return values;
}

void LogRetryStaysLowered(const Error& error) {
  LogWarn("server_login_retry stays lowered until PgBouncer is told to RELOAD",
          {{"error", error.message}});
}

/// Entries of `facts` through which a question takes the way of `entries`.
std::vector<std::string> ProbeEntries(const PoolerFacts& facts,
                                      const std::vector<std::string>& entries) {
  std::vector<std::string> found;
  for (const PoolerEntry& candidate : facts.entries) {
    const bool same_way = std::any_of(entries.begin(), entries.end(), [&](const std::string& name) {
      const PoolerEntry* entry = facts.Find(name);
      return entry != nullptr && entry->host == candidate.host && entry->port == candidate.port;
    });
    const bool tenants = std::find(entries.begin(), entries.end(), candidate.name) != entries.end();
    if (same_way && !tenants && !candidate.paused && !candidate.disabled)
      found.push_back(candidate.name);
  }
  return found;
}

}  // namespace

std::string PoolerLogin::Describe() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return "PgBouncer " + (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

const PoolerEntry* PoolerFacts::Find(std::string_view name) const {
  auto found = std::find_if(entries.begin(), entries.end(),
                            [&](const PoolerEntry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

std::vector<std::string> PoolerFacts::EntriesOf(std::string_view database) const {
  std::vector<std::string> names;
  for (const PoolerEntry& entry : entries)
    if (entry.database == database) names.push_back(entry.name);
  return names;
}

std::vector<std::string> PoolerObstacles(const PoolerFacts& facts, std::string_view entry) {
  const std::string name = "\"" + std::string(entry) + "\"";
  const PoolerEntry* found = facts.Find(entry);
  if (found == nullptr)
    return {facts.pooler + " has no entry " + name +
            ": add it to its [databases], or, where \"*\" stands for it, connect once"};
  std::vector<std::string> obstacles;
  if (found->pool_mode == "session")
    obstacles.push_back(facts.pooler + " gives " + name +
                        " a server connection for a whole session, so PAUSE would never end: set "
                        "pool_mode = transaction for it");
  if (found->disabled)
    obstacles.push_back(facts.pooler + " has " + name + " disabled: ENABLE it at its console");
  return obstacles;
}

std::string ProbeObstacle(const PoolerFacts& facts, const std::vector<std::string>& entries) {
  if (!ProbeEntries(facts, entries).empty()) return "";
  const PoolerEntry* entry = entries.empty() ? nullptr : facts.Find(entries.front());
  const std::string way = entry == nullptr
                              ? "the same host and port"
                              : "host=" + entry->host + " port=" + std::to_string(entry->port);
  return facts.pooler +
         " has no other entry with the tenant's host, so that nobody could ask whether it leads to "
         "the target before clients go on: add \"postgres = " +
         way + "\" to its [databases]";
}

Poolers::Poolers(std::vector<PoolerLogin> logins) {
  CHECK(!logins.empty());
  for (PoolerLogin& login : logins)
    consoles_.push_back(std::make_unique<Console>(std::move(login)));
}
Poolers::Poolers(Poolers&&) noexcept = default;
Poolers& Poolers::operator=(Poolers&&) noexcept = default;
Poolers::~Poolers() = default;

size_t Poolers::size() const { return consoles_.size(); }

Poolers::Consoles Poolers::All() const {
  Consoles all;
  for (const auto& console : consoles_) all.push_back(console.get());
  return all;
}

Poolers::Consoles Poolers::Ready() const {
  Consoles ready = All();
  std::erase_if(ready, [](const Console* console) { return !console->login().ready; });
  return ready;
}

bool Poolers::Counts(const Console& console) const {
  return console.login().ready || Ready().empty();
}

/// `what` at each console at once; all have ended when it returns, with the result of each.
template <class Value>
std::vector<Result<Value>> Poolers::AtEach(const Consoles& consoles,
                                           const std::function<Result<Value>(Console&)>& what) {
  std::vector<std::optional<Result<Value>>> results(consoles.size());
  {
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < consoles.size(); ++i)
      threads.emplace_back([&, i] { results[i] = what(*consoles[i]); });
    if (!consoles.empty()) results[0] = what(*consoles[0]);
  }
  std::vector<Result<Value>> ended;
  for (std::optional<Result<Value>>& result : results) ended.push_back(std::move(*result));
  return ended;
}

std::vector<Status> Poolers::DoAtEach(const Consoles& consoles,
                                      const std::function<Status(Console&)>& what) {
  const auto results = AtEach<bool>(consoles, [&](Console& console) -> Result<bool> {
    const Status done = what(console);
    if (!done) return tl::unexpected(done.error());
    return true;
  });
  std::vector<Status> statuses;
  for (const Result<bool>& result : results)
    statuses.push_back(result ? Ok() : Status(tl::unexpected(result.error())));
  return statuses;
}

Result<std::vector<PoolerFacts>> Poolers::Observe(std::stop_token stop, Deadline deadline) {
  const Consoles ready = Ready();
  if (ready.empty())
    return RetryError("PoolerUnreachable", consoles_.front()->Describe() + ": is not ready");
  return AllOrError(AtEach<PoolerFacts>(
      ready, [&](Console& console) { return console.Observe(stop, deadline); }));
}

PoolerLook Poolers::Look(std::stop_token stop, Deadline deadline) {
  const Consoles all = All();
  std::vector<Result<PoolerFacts>> results = AtEach<PoolerFacts>(all, [&](Console& console) {
    return console.Observe(stop, Counts(console) ? deadline : deadline.OrAfter(kPatienceOfUnready));
  });
  PoolerLook look;
  std::vector<Error> errors;
  for (size_t i = 0; i < all.size(); ++i) {
    if (results[i])
      look.facts.push_back(std::move(*results[i]));
    else if (Counts(*all[i]))
      errors.push_back(results[i].error());
  }
  if (!errors.empty()) look.silent = Together(std::move(errors));
  return look;
}

// --- pausing ------------------------------------------------------------------------------------

Result<PauseReport> Poolers::Pause(std::stop_token stop, Deadline deadline,
                                   const std::vector<std::string>& entries,
                                   const PauseBounds& bounds) {
  CHECK(!entries.empty());
  for (Console* console : All()) console->set_proven(false);
  const Result<std::vector<PoolerFacts>> facts = Observe(stop, deadline);
  if (!facts) {
    // Those that had been paused before one fell silent. What keeps that one silent is said.
    const Status resumed = Resume({}, Deadline::After(kLastPatience), entries);
    if (!resumed) LogWarn("a pooler may still be paused", {{"error", resumed.error().message}});
    return tl::unexpected(facts.error());
  }
  std::vector<std::string> obstacles;
  for (const PoolerFacts& pooler : *facts)
    for (const std::string& entry : entries)
      for (std::string& obstacle : PoolerObstacles(pooler, entry))
        obstacles.push_back(std::move(obstacle));
  if (!obstacles.empty()) return TerminalError("PoolerObstacle", Joined(obstacles));

  const Deadline::Clock::time_point start = Deadline::Clock::now();
  PauseReport report;
  const Status paused = PauseAll(stop, deadline, Ready(), entries, bounds, &report);
  if (!paused) {
    Error error = paused.error();
    // Nobody may be left waiting for a switch that does not come, whatever else is over.
    const Status resumed = Resume({}, Deadline::After(kLastPatience), entries);
    if (!resumed)
      error.message +=
          "; and its clients wait, since they could not be resumed: " + resumed.error().message;
    return tl::unexpected(std::move(error));
  }
  report.took = std::chrono::duration_cast<milliseconds>(Deadline::Clock::now() - start);
  return report;
}

Status Poolers::PauseAll(const std::stop_token& stop, Deadline deadline, const Consoles& consoles,
                         const std::vector<std::string>& entries, const PauseBounds& bounds,
                         PauseReport* report) {
  // One that fails ends the waiting of all.
  std::stop_source any_failed;
  std::stop_callback from_outside(stop, [&] { any_failed.request_stop(); });
  using Wait =
      Result<bool> (Console::*)(const std::stop_token&, Deadline, const std::vector<std::string>&);
  auto round = [&](Wait wait, milliseconds patience) {
    const Deadline until = deadline.OrAfter(patience);
    return AllOrError(AtEach<bool>(consoles, [&, until](Console& console) {
      Result<bool> done = (console.*wait)(any_failed.get_token(), until, entries);
      if (!done) any_failed.request_stop();
      return done;
    }));
  };
  TRY_ASSIGN(std::vector<bool> done, round(&Console::Pause, bounds.wait));
  if (!AllOf(done) && bounds.end_transactions) {
    TRY(bounds.end_transactions());
    report->transactions_ended = true;
    TRY_ASSIGN(done, round(&Console::AwaitPaused, bounds.grace));
  }
  if (AllOf(done)) return Ok();
  const size_t late =
      static_cast<size_t>(std::find(done.begin(), done.end(), false) - done.begin());
  TRY_ASSIGN(const std::string holder,
             consoles[late]->Holder(stop, Deadline::After(kLastPatience), entries));
  return RetryError("TransactionsOpen",
                    consoles[late]->Describe() + ": transactions did not end within " +
                        std::to_string(bounds.wait.count()) + " ms; one is held by " + holder);
}

Status Poolers::Resume(std::stop_token stop, Deadline deadline,
                       const std::vector<std::string>& entries) {
  auto resume = [&](Console& console) -> Status {
    // A PAUSE that met a connection just being opened has left a failed one behind, after which
    // PgBouncer waits server_login_retry before it opens any. Resuming matters more, so it is done
    // also where that cannot be lowered.
    const Status lowered = console.LowerLoginRetry(stop, deadline.OrAfter(kServedPatience));
    TRY(console.Resume(stop, deadline, entries));
    if (!lowered) return Ok();
    const Status served = console.AwaitServed(stop, Deadline::After(kServedPatience), entries);
    const Status restored = console.RestoreLoginRetry({}, Deadline::After(kLastPatience));
    if (!served || !restored) LogRetryStaysLowered(!served ? served.error() : restored.error());
    return Ok();
  };
  const Consoles all = All();
  const std::vector<Status> resumed = DoAtEach(all, resume);
  std::vector<Error> errors;
  for (size_t i = 0; i < all.size(); ++i)
    if (!resumed[i] && Counts(*all[i])) errors.push_back(resumed[i].error());
  if (!errors.empty()) return tl::unexpected(Together(std::move(errors)));
  return Ok();
}

// --- proving ------------------------------------------------------------------------------------

Result<std::string> AskThroughPooler(std::stop_token stop, Deadline deadline,
                                     const PoolerLogin& pooler, std::string_view entry,
                                     const std::string& user, const std::string& password) {
  PoolerLogin client = pooler;
  client.user = user;
  client.password = password;
  TRY_ASSIGN(SimpleSession session,
             SimpleSession::Open(stop, deadline, client, std::string(entry)));
  TRY_ASSIGN(const SimpleSession::Rows rows, session.Query(stop, deadline, std::string(kIdentify)));
  if (rows.size() != 1 || !rows.front().contains("system_identifier"))
    return RetryError("PoolerUnreachable", client.Describe() + ": no server answered as such");
  return rows.front().at("system_identifier");
}

// A server has answered, and does not let this login into the database of that entry. Its words
// come through the pooler without their SQLSTATE.
bool IsRefusedBehindThePooler(const Error& error) {
  const std::string& words = error.message;
  return words.find("permission denied") != words.npos ||
         words.find("no pg_hba.conf entry") != words.npos ||
         words.find("does not exist") != words.npos;
}

/// The server that `proof` names answers behind `entry`; asked until the deadline, since the host
/// of the entry may still be on its way there. A probe's login may be one that no server lets into
/// that database; a tenant's own is let in once it is the right server that is asked.
Status Poolers::AwaitAnswer(const std::stop_token& stop, Deadline deadline, Console& console,
                            const std::string& entry, const PoolerProof& proof, bool is_probe) {
  while (true) {
    const Result<std::string> answer =
        AskThroughPooler(stop, deadline.OrAfter(kQuestionPatience), console.login(), entry,
                         proof.user, proof.password);
    if (answer && *answer == proof.system_identifier) return Ok();
    if (!answer && answer.error().disposition == Disposition::kTerminal)
      return tl::unexpected(answer.error());
    if (!answer && is_probe && IsRefusedBehindThePooler(answer.error()))
      return TerminalError("PoolerRefused", answer.error().message);
    if (stop.stop_requested())
      return RetryError("Stopped", "stopped while asking through a pooler");
    if (deadline.Expired())
      return RetryError("PoolerLeadsElsewhere",
                        console.Describe() + ": behind \"" + entry + "\" " +
                            (answer ? "server " + *answer + " answers, but it should be "
                                    : "nobody answers, but it should be server ") +
                            proof.system_identifier);
    // The next question must not be asked over the same connection. With a patience of its own, so
    // that at the deadline it is said what was found.
    TRY(console.Reconnect(stop, Deadline::After(kLastPatience), {entry}));
    std::this_thread::sleep_for(kBetweenQuestions);
  }
}

Result<bool> Poolers::Probe(const std::stop_token& stop, Deadline deadline, Console& console,
                            const std::vector<std::string>& entries, const PoolerProof& proof) {
  TRY_ASSIGN(const PoolerFacts facts, console.Observe(stop, deadline));
  for (const std::string& probe : ProbeEntries(facts, entries)) {
    TRY(console.Reconnect(stop, deadline, {probe}));
    const Status answered = AwaitAnswer(stop, deadline, console, probe, proof, true);
    if (answered) return true;
    // Another entry may let this login in.
    if (answered.error().reason != "PoolerRefused") return tl::unexpected(answered.error());
  }
  return false;
}

// That server_login_retry could not be put back is worth a line in the log and no failure: clients
// work, and a RELOAD brings it back.
Result<bool> Poolers::ProveBefore(std::stop_token stop, Deadline deadline,
                                  const std::vector<std::string>& entries,
                                  const PoolerProof& proof) {
  Consoles counting = All();
  std::erase_if(counting, [this](const Console* console) { return !Counts(*console); });
  const std::vector<Result<bool>> proven =
      AtEach<bool>(counting, [&](Console& console) -> Result<bool> {
        TRY(console.LowerLoginRetry(stop, deadline));
        Result<bool> probed = Probe(stop, deadline, console, entries, proof);
        const Status restored = console.RestoreLoginRetry({}, Deadline::After(kLastPatience));
        if (!restored) LogRetryStaysLowered(restored.error());
        return probed;
      });
  for (const Result<bool>& result : proven)
    if (!result && result.error().reason == "PoolerLeadsElsewhere")
      return tl::unexpected(result.error());
  TRY_ASSIGN(const std::vector<bool> all, AllOrError(proven));
  return AllOf(all);
}

Status Poolers::ResumeOnto(std::stop_token stop, Deadline deadline,
                           const std::vector<std::string>& entries, const PoolerProof& proof,
                           Connection& server, const std::function<void()>& on_resumed) {
  const Consoles all = All();
  const std::vector<Status> resumed = DoAtEach(all, [&](Console& console) -> Status {
    TRY(console.LowerLoginRetry(stop, deadline));
    TRY(console.Reconnect(stop, deadline, entries));
    return console.Resume(stop, deadline, entries);
  });
  Consoles open;
  std::vector<Error> missing, not_proven;
  for (size_t i = 0; i < all.size(); ++i) {
    if (resumed[i])
      open.push_back(all[i]);
    else if (Counts(*all[i]))
      missing.push_back(resumed[i].error());
  }
  if (on_resumed && !open.empty()) on_resumed();
  const std::vector<Status> asked = DoAtEach(open, [&](Console& console) -> Status {
    for (const std::string& entry : entries)
      TRY(AwaitAnswer(stop, deadline, console, entry, proof, false));
    return Ok();
  });
  for (size_t i = 0; i < open.size(); ++i) {
    const Status proven =
        asked[i] ? AwaitBackends(stop, deadline, *open[i], entries, server) : asked[i];
    open[i]->set_proven(proven.has_value());
    if (!proven && Counts(*open[i])) not_proven.push_back(proven.error());
  }
  for (const Status& restored : DoAtEach(all, [](Console& console) {
         return console.RestoreLoginRetry({}, Deadline::After(kLastPatience));
       }))
    if (!restored) LogRetryStaysLowered(restored.error());
  if (!not_proven.empty()) return tl::unexpected(Together(std::move(not_proven)));
  if (missing.empty()) return Ok();
  if (open.empty()) return tl::unexpected(Together(std::move(missing)));
  return RetryError("PoolerNotResumed", "clients go on, but not at every pooler: " +
                                            Together(std::move(missing)).message);
}

/// Every connection that the pooler holds is one of `server`'s own. The questions have a patience
/// of their own, so that at the deadline it is said what was found.
Status Poolers::AwaitBackends(const std::stop_token& stop, Deadline deadline, Console& console,
                              const std::vector<std::string>& entries, Connection& server) {
  while (true) {
    TRY_ASSIGN(const std::vector<std::string> pids,
               console.BackendPids(stop, Deadline::After(kLastPatience), entries));
    TRY_ASSIGN(const Rows strangers, server.Query(stop, Deadline::After(kLastPatience), R"(
        SELECT pid FROM unnest($1::int[]) pid
        EXCEPT SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend')",
                                                  {pids}));
    if (strangers.empty()) return Ok();
    if (stop.stop_requested()) return RetryError("Stopped", "stopped while looking at a pooler");
    if (deadline.Expired())
      return RetryError("PoolerLeadsElsewhere",
                        console.Describe() + " holds connections that are none of " +
                            server.options().Describe() + "; close them there with RECONNECT");
    // One that has ended between the two questions is no stranger the next time.
    std::this_thread::sleep_for(kBetweenQuestions);
  }
}

// --- open transactions --------------------------------------------------------------------------

Result<int> EndOpenTransactions(std::stop_token stop, Deadline deadline, Connection& connection,
                                std::string_view database,
                                const std::vector<std::string>& roles_left_out) {
  TRY_ASSIGN(const Rows ended, connection.Query(stop, deadline, R"(
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend'
         AND state <> 'idle' AND usename <> ALL ($2::text[]))",
                                                {database, roles_left_out}));
  return ended.size();
}

}  // namespace cutover::pg
