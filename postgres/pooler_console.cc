// SPDX-License-Identifier: Apache-2.0
#include "postgres/pooler_console.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>
#include <utility>

namespace cutover::pg {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A console answers in well under a millisecond; one that needs longer than this is not there.
constexpr seconds kConsolePatience{2};
/// Between two looks while transactions end. PgBouncer wakes us earlier when it is done.
constexpr milliseconds kBetweenLooks{10};
constexpr std::string_view kLoweredRetry = "0.05";
constexpr std::string_view kConsoleDatabase = "pgbouncer";
/// Its buffer for an argument has 64 bytes and takes the quotes as well.
constexpr size_t kConsoleNameMax = 63;

std::string Text(const SimpleSession::Row& row, const char* column) {
  auto found = row.find(column);
  return found == row.end() ? std::string() : found->second;
}

int Int(const SimpleSession::Row& row, const char* column) {
  return std::atoi(Text(row, column).c_str());
}

bool Names(const std::vector<std::string>& entries, const std::string& name) {
  return std::find(entries.begin(), entries.end(), name) != entries.end();
}

PoolerEntry EntryOf(const SimpleSession::Row& row, const std::string& default_mode) {
  PoolerEntry entry;
  entry.name = Text(row, "name");
  entry.host = Text(row, "host");
  entry.port = Int(row, "port");
  entry.database = Text(row, "database");
  entry.pool_mode = row.contains("pool_mode") ? Text(row, "pool_mode") : default_mode;
  entry.paused = Int(row, "paused") != 0;
  entry.disabled = Int(row, "disabled") != 0;
  return entry;
}

/// A pool is an entry with one of its users.
void AddPool(const SimpleSession::Row& pool, PoolerEntry& entry) {
  const int busy = Int(pool, "sv_active") + Int(pool, "sv_tested") + Int(pool, "sv_active_cancel") +
                   Int(pool, "sv_being_canceled");
  entry.servers_busy += busy;
  entry.servers += busy + Int(pool, "sv_idle") + Int(pool, "sv_used") + Int(pool, "sv_login");
  entry.clients_waiting += Int(pool, "cl_waiting");
  entry.clients += Int(pool, "cl_active") + Int(pool, "cl_waiting");
  entry.longest_wait_seconds = std::max(
      entry.longest_wait_seconds, Int(pool, "maxwait") + Int(pool, "maxwait_us") / 1'000'000.0);
  // A user's own mode is stronger than the entry's.
  if (Text(pool, "pool_mode") == "session") entry.pool_mode = "session";
}

}  // namespace

std::optional<std::string> ConsoleName(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  std::string told = plain && !name.empty() ? std::string(name) : QuoteIdentifier(name);
  if (name.empty() || told.size() > kConsoleNameMax) return std::nullopt;
  return told;
}

Result<SimpleSession::Rows> Poolers::Console::Query(const std::stop_token& stop, Deadline deadline,
                                                    const std::string& statement) {
  deadline = deadline.OrAfter(kConsolePatience);
  while (true) {
    const bool fresh = !session_.has_value();
    if (fresh) {
      TRY_ASSIGN(session_,
                 SimpleSession::Open(stop, deadline, login_, std::string(kConsoleDatabase)));
    }
    Result<SimpleSession::Rows> rows = session_->Query(stop, deadline, statement);
    if (rows) return rows;
    if (rows.error().reason == "PoolerError") return tl::unexpected(Refusal(rows.error()));
    // Whatever is left of the answer would be taken for that of the next statement.
    session_.reset();
    if (fresh || rows.error().reason == "Stopped" || deadline.Expired()) return rows;
  }
}

Result<std::string> Poolers::Console::Setting(const std::stop_token& stop, Deadline deadline,
                                              std::string_view name, const char* column) {
  TRY_ASSIGN(const SimpleSession::Rows settings, Query(stop, deadline, "SHOW CONFIG"));
  for (const SimpleSession::Row& setting : settings)
    if (Text(setting, "key") == name) return Text(setting, column);
  return std::string();
}

Result<PoolerFacts> Poolers::Console::Observe(const std::stop_token& stop, Deadline deadline) {
  deadline = deadline.OrAfter(kConsolePatience);
  PoolerFacts facts;
  facts.pooler = Describe();
  facts.ready = login_.ready;
  facts.proven = proven_;
  TRY_ASSIGN(const SimpleSession::Rows version, Query(stop, deadline, "SHOW VERSION"));
  if (!version.empty()) facts.version = Text(version.front(), "version");
  TRY_ASSIGN(const std::string default_mode, Setting(stop, deadline, "pool_mode", "value"));
  TRY_ASSIGN(const SimpleSession::Rows databases, Query(stop, deadline, "SHOW DATABASES"));
  TRY_ASSIGN(const SimpleSession::Rows pools, Query(stop, deadline, "SHOW POOLS"));
  std::map<std::string, size_t> index;
  for (const SimpleSession::Row& row : databases) {
    if (Text(row, "name") == kConsoleDatabase) continue;
    index.emplace(Text(row, "name"), facts.entries.size());
    facts.entries.push_back(EntryOf(row, default_mode));
  }
  for (const SimpleSession::Row& pool : pools) {
    auto found = index.find(Text(pool, "database"));
    if (found != index.end()) AddPool(pool, facts.entries[found->second]);
  }
  return facts;
}

Result<Poolers::Console::State> Poolers::Console::Look(const std::stop_token& stop,
                                                       Deadline deadline,
                                                       const std::vector<std::string>& entries) {
  State state;
  size_t seen = 0;
  TRY_ASSIGN(const SimpleSession::Rows databases, Query(stop, deadline, "SHOW DATABASES"));
  for (const SimpleSession::Row& row : databases) {
    if (!Names(entries, Text(row, "name"))) continue;
    ++seen;
    if (Int(row, "paused") == 0) state.all_paused = false;
  }
  if (seen < entries.size()) state.all_paused = false;
  TRY_ASSIGN(const SimpleSession::Rows pools, Query(stop, deadline, "SHOW POOLS"));
  for (const SimpleSession::Row& pool : pools) {
    if (!Names(entries, Text(pool, "database"))) continue;
    PoolerEntry sum;
    AddPool(pool, sum);
    // Logging in is no use yet: min_pool_size makes PgBouncer try even while it is paused, and
    // close what it has got.
    if (sum.servers > Int(pool, "sv_login")) state.all_free = false;
  }
  return state;
}

Result<bool> Poolers::Console::Pause(const std::stop_token& stop, Deadline until,
                                     const std::vector<std::string>& entries) {
  // One session each: it is deaf until PgBouncer has answered, which may be never.
  std::vector<SimpleSession> bells;
  for (const std::string& entry : entries) {
    TRY_ASSIGN(const std::string name, MustConsoleName(entry));
    TRY_ASSIGN(SimpleSession bell, SimpleSession::Open(stop, Deadline::After(kConsolePatience),
                                                       login_, std::string(kConsoleDatabase)));
    TRY(bell.Send("PAUSE " + name));
    bells.push_back(std::move(bell));
  }
  bool was_paused = false;
  while (true) {
    for (SimpleSession& bell : bells) TRY(RefusalOfPause(bell));
    TRY_ASSIGN(const State state, Look(stop, Deadline::After(kConsolePatience), entries));
    if (state.all_paused && state.all_free) return true;
    if (was_paused && !state.all_paused) return tl::unexpected(ResumedByOther(entries));
    was_paused = state.all_paused;
    if (stop.stop_requested()) return RetryError("Stopped", "stopped while pausing");
    if (until.Expired()) return false;
    bells.front().AwaitInput(std::min<milliseconds>(kBetweenLooks, until.Remaining()));
  }
}

Result<bool> Poolers::Console::AwaitPaused(const std::stop_token& stop, Deadline until,
                                           const std::vector<std::string>& entries) {
  while (true) {
    TRY_ASSIGN(const State state, Look(stop, Deadline::After(kConsolePatience), entries));
    if (!state.all_paused) return tl::unexpected(ResumedByOther(entries));
    if (state.all_free) return true;
    if (stop.stop_requested()) return RetryError("Stopped", "stopped while pausing");
    if (until.Expired()) return false;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

Result<std::string> Poolers::Console::MustConsoleName(const std::string& entry) const {
  if (std::optional<std::string> name = ConsoleName(entry)) return *name;
  return TerminalError("PoolerObstacle", Describe() + ": its console cannot be told the name \"" +
                                             entry +
                                             "\"; give the entry one of at most 61 characters");
}

Status Poolers::Console::RefusalOfPause(SimpleSession& bell) const {
  // No answer yet, one already taken, a lost session: Look() finds out what is true.
  const Result<std::optional<SimpleSession::Rows>> answer = bell.Answered();
  if (answer || answer.error().reason != "PoolerError") return Ok();
  return tl::unexpected(Refusal(answer.error()));
}

Error Poolers::Console::Refusal(const Error& said) const {
  if (said.message.find("admin access needed") != std::string::npos)
    return Error{Disposition::kTerminal, "PoolerRefused",
                 Describe() + ": " + login_.user + " may only look; name one of its admin_users"};
  if (said.message.find("already suspended/paused") != std::string::npos)
    return Error{
        Disposition::kRetry, "PoolerPausedByOther",
        Describe() + " is paused or suspended as a whole, by somebody else: RESUME it there"};
  return said;
}

Error Poolers::Console::ResumedByOther(const std::vector<std::string>& entries) const {
  return Error{
      Disposition::kRetry, "PoolerResumed",
      Describe() + ": somebody else resumed \"" + entries.front() + "\" while it was being paused"};
}

Result<std::string> Poolers::Console::Holder(const std::stop_token& stop, Deadline deadline,
                                             const std::vector<std::string>& entries) {
  TRY_ASSIGN(const SimpleSession::Rows clients, Query(stop, deadline, "SHOW CLIENTS"));
  for (const SimpleSession::Row& client : clients) {
    if (!Names(entries, Text(client, "database")) || Text(client, "link").empty()) continue;
    const std::string application = Text(client, "application_name");
    return Text(client, "user") + " at " + Text(client, "addr") +
           (application.empty() ? "" : " (" + application + ")");
  }
  return std::string("a client that has just let go");
}

Status Poolers::Console::CommandEach(const std::stop_token& stop, Deadline deadline,
                                     std::string_view verb,
                                     const std::vector<std::string>& entries) {
  for (const std::string& entry : entries) {
    TRY_ASSIGN(const std::string name, MustConsoleName(entry));
    TRY(Query(stop, deadline, std::string(verb) + " " + name));
  }
  return Ok();
}

Status Poolers::Console::Resume(const std::stop_token& stop, Deadline deadline,
                                const std::vector<std::string>& entries) {
  auto paused = [&]() -> Result<std::vector<std::string>> {
    TRY_ASSIGN(const SimpleSession::Rows databases, Query(stop, deadline, "SHOW DATABASES"));
    std::vector<std::string> names;
    for (const SimpleSession::Row& row : databases)
      if (Int(row, "paused") != 0 && Names(entries, Text(row, "name")))
        names.push_back(Text(row, "name"));
    return names;
  };
  TRY_ASSIGN(const std::vector<std::string> to_resume, paused());
  if (to_resume.empty()) return Ok();
  const Status told = CommandEach(stop, deadline, "RESUME", to_resume);
  // It refuses what another has resumed meanwhile; what counts is how things are.
  TRY_ASSIGN(const std::vector<std::string> left, paused());
  if (left.empty()) return Ok();
  TRY(told);
  return RetryError("PoolerError", Describe() + ": \"" + left.front() + "\" is still paused");
}

Status Poolers::Console::AwaitServed(const std::stop_token& stop, Deadline until,
                                     const std::vector<std::string>& entries) {
  while (!stop.stop_requested() && !until.Expired()) {
    TRY_ASSIGN(const SimpleSession::Rows pools, Query(stop, until, "SHOW POOLS"));
    const bool somebody_waits =
        std::any_of(pools.begin(), pools.end(), [&](const SimpleSession::Row& pool) {
          PoolerEntry sum;
          AddPool(pool, sum);
          return Names(entries, Text(pool, "database")) && sum.clients_waiting > 0 &&
                 sum.servers == Int(pool, "sv_login");
        });
    if (!somebody_waits) break;
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return Ok();
}

Status Poolers::Console::Reconnect(const std::stop_token& stop, Deadline deadline,
                                   const std::vector<std::string>& entries) {
  return CommandEach(stop, deadline, "RECONNECT", entries);
}

Result<std::vector<std::string>> Poolers::Console::BackendPids(
    const std::stop_token& stop, Deadline deadline, const std::vector<std::string>& entries) {
  TRY_ASSIGN(const SimpleSession::Rows servers, Query(stop, deadline, "SHOW SERVERS"));
  std::vector<std::string> pids;
  for (const SimpleSession::Row& server : servers)
    if (Names(entries, Text(server, "database")) && Int(server, "remote_pid") != 0)
      pids.push_back(Text(server, "remote_pid"));
  return pids;
}

Status Poolers::Console::LowerLoginRetry(const std::stop_token& stop, Deadline deadline) {
  TRY_ASSIGN(std::string before, Setting(stop, deadline, "server_login_retry", "value"));
  // An operator that died had lowered it; what it was nobody knows, so it becomes PgBouncer's own.
  if (before == kLoweredRetry) {
    TRY_ASSIGN(before, Setting(stop, deadline, "server_login_retry", "default"));
  }
  TRY(Query(stop, deadline, "SET server_login_retry = '" + std::string(kLoweredRetry) + "'"));
  login_retry_ = before.empty() ? "15" : before;
  return Ok();
}

Status Poolers::Console::RestoreLoginRetry(const std::stop_token& stop, Deadline deadline) {
  if (login_retry_.empty()) return Ok();
  TRY(Query(stop, deadline, "SET server_login_retry = '" + login_retry_ + "'"));
  login_retry_.clear();
  return Ok();
}

}  // namespace cutover::pg
