// SPDX-License-Identifier: Apache-2.0
//
// A pooler, and pg::Poolers over it: in place of postgres/pooler.cc for a program that has this
// among its own objects.
#include "tests/sim/postgres/model_pooler.h"

#include <algorithm>
#include <utility>

#include "postgres/pooler.h"
#include "postgres/server_probe.h"

namespace cutover::sim {

ModelPooler::ModelPooler(std::string database, std::string user, std::string password,
                         std::string host, std::function<ModelServer*()> leads_to)
    : database_(std::move(database)),
      user_(std::move(user)),
      password_(std::move(password)),
      host_(std::move(host)),
      leads_to_(std::move(leads_to)) {}

Backend* ModelPooler::Server() {
  if (server_ != nullptr) {
    if (Backend* backend = server_->Find(session_)) return backend;
    server_ = nullptr;
  }
  ModelServer* server = leads_to_();
  if (server == nullptr || !server->up()) return nullptr;
  auto session = server->Connect(user_, password_, database_, "pgbouncer");
  if (!session) return nullptr;
  server_ = server;
  session_ = (*session)->pid;
  return *session;
}

void ModelPooler::CloseServer() {
  if (server_ != nullptr) server_->End(session_);
  server_ = nullptr;
}

ModelPooler::Outcome ModelPooler::Transact(const Redo& change) {
  if (!up) return Outcome::kError;
  if (paused_) return Outcome::kWaits;
  if (Server() == nullptr) return Outcome::kError;
  server_->Edit(change);
  return Outcome::kDone;
}

void ModelPooler::Restart() {
  paused_ = false;
  CloseServer();
}

bool ModelPooler::Command(const std::string& what, const std::function<void()>& apply) {
  if (on_command) return on_command(what, apply);
  apply();
  return true;
}

bool ModelPooler::Pause() {
  if (paused_) return true;
  return Command("PAUSE", [this] {
    paused_ = true;
    CloseServer();
  });
}

bool ModelPooler::Resume() {
  if (!paused_) return true;
  return Command("RESUME", [this] { paused_ = false; });
}

}  // namespace cutover::sim

namespace cutover::pg {

namespace {

constexpr char kNamesake[] = "namesake";

// Whoever pauses it makes the clients of another tenant wait.
Status RefuseNamesake(const std::vector<std::string>& entries) {
  if (std::find(entries.begin(), entries.end(), kNamesake) == entries.end()) return Ok();
  return TerminalError("NotTheTenants", "an entry of another tenant is none of this move's");
}

}  // namespace

class Poolers::Console {
 public:
  explicit Console(PoolerLogin login) : login_(std::move(login)) {}

  Result<sim::ModelPooler*> Open() const {
    sim::ModelPooler* pooler = sim::ModelNetwork::FindPooler(login_.host, login_.port);
    if (pooler == nullptr || !pooler->up) return RetryError("PoolerUnreachable", login_.Describe());
    return pooler;
  }
  Error NoAnswer() const {
    return Error{Disposition::kRetry, "PoolerUnreachable", login_.Describe() + ": no answer"};
  }
  Result<PoolerFacts> Observe() const {
    TRY_ASSIGN(sim::ModelPooler * pooler, Open());
    PoolerEntry tenant{.name = pooler->database(),
                       .host = pooler->host(),
                       .port = 5432,
                       .database = pooler->database(),
                       .pool_mode = "transaction",
                       .paused = pooler->paused()};
    PoolerEntry other = tenant;
    other.name = other.database = "postgres";
    other.paused = false;
    // Another server has a database of that name.
    PoolerEntry namesake = tenant;
    namesake.name = kNamesake;
    namesake.host = "pg-of-others.example.com";
    namesake.paused = false;
    PoolerFacts facts{login_.Describe(), "PgBouncer 1.18.0", {tenant, other, namesake}};
    facts.proven = proven;
    return facts;
  }
  Status LeadsTo(const PoolerProof& proof) const {
    TRY_ASSIGN(sim::ModelPooler * pooler, Open());
    sim::ModelServer* server = pooler->leads_to();
    sim::Backend nobody;
    nobody.database = "postgres";
    if (server != nullptr && server->up()) {
      auto answer = sim::RunStatement(*server, nobody,
                                      "SELECT system_identifier FROM pg_control_system()", {});
      if (answer && (*answer)[0][0] == proof.system_identifier) return Ok();
    }
    return RetryError("PoolerLeadsElsewhere", "another server answered, or none");
  }
  Status Resume() const {
    TRY_ASSIGN(sim::ModelPooler * pooler, Open());
    if (!pooler->Resume()) return tl::unexpected(NoAnswer());
    return Ok();
  }

  bool proven = false;

 private:
  PoolerLogin login_;
};

std::string PoolerLogin::Describe() const {
  return "PgBouncer " + host + ":" + std::to_string(port);
}

const PoolerEntry* PoolerFacts::Find(std::string_view name) const {
  for (const PoolerEntry& entry : entries)
    if (entry.name == name) return &entry;
  return nullptr;
}

std::vector<std::string> PoolerFacts::EntriesOf(std::string_view database) const {
  std::vector<std::string> names;
  for (const PoolerEntry& entry : entries)
    if (entry.database == database) names.push_back(entry.name);
  return names;
}

std::vector<std::string> PoolerObstacles(const PoolerFacts&, std::string_view) { return {}; }
std::string ProbeObstacle(const PoolerFacts&, const std::vector<std::string>&) { return ""; }

Poolers::Poolers(std::vector<PoolerLogin> logins) {
  for (PoolerLogin& login : logins)
    consoles_.push_back(std::make_unique<Console>(std::move(login)));
}
Poolers::Poolers(Poolers&&) noexcept = default;
Poolers& Poolers::operator=(Poolers&&) noexcept = default;
Poolers::~Poolers() = default;
size_t Poolers::size() const { return consoles_.size(); }

PoolerLook Poolers::Look(std::stop_token, Deadline) {
  PoolerLook look;
  for (const auto& console : consoles_) {
    auto facts = console->Observe();
    if (facts)
      look.facts.push_back(std::move(*facts));
    else if (!look.silent)
      look.silent = facts.error();
  }
  return look;
}

Result<std::vector<PoolerFacts>> Poolers::Observe(std::stop_token stop, Deadline deadline) {
  PoolerLook look = Look(stop, deadline);
  if (look.silent) return tl::unexpected(*look.silent);
  return std::move(look.facts);
}

// Whoever has a transaction open keeps all of them from being paused, for longer than is waited.
Result<PauseReport> Poolers::Pause(std::stop_token stop, Deadline deadline,
                                   const std::vector<std::string>& entries,
                                   const PauseBounds& bounds) {
  TRY(RefuseNamesake(entries));
  for (const auto& console : consoles_) console->proven = false;
  if (auto all = Observe(stop, deadline); !all) {
    for (const auto& console : consoles_) static_cast<void>(console->Resume());
    return tl::unexpected(all.error());
  }
  for (const auto& console : consoles_) {
    TRY_ASSIGN(sim::ModelPooler * pooler, console->Open());
    pooler->pause_bound = bounds.wait;
    if (pooler->transaction_stuck && bounds.end_transactions) {
      TRY(bounds.end_transactions());
      pooler->transaction_stuck = false;
    }
    if (pooler->transaction_stuck)
      return RetryError("TransactionsOpen", "a client has a transaction open");
    if (!pooler->Pause()) return tl::unexpected(console->NoAnswer());
  }
  return PauseReport{};
}

Status Poolers::Resume(std::stop_token, Deadline, const std::vector<std::string>& entries) {
  TRY(RefuseNamesake(entries));
  Status all = Ok();
  for (const auto& console : consoles_) {
    Status resumed = console->Resume();
    if (!resumed && all) all = std::move(resumed);
  }
  return all;
}

// The model's transactions do nothing that would be rolled back.
Result<int> EndOpenTransactions(std::stop_token, Deadline, Connection&, std::string_view,
                                const std::vector<std::string>&) {
  return 1;
}

Result<bool> Poolers::ProveBefore(std::stop_token, Deadline, const std::vector<std::string>&,
                                  const PoolerProof& proof) {
  Status all = Ok();
  for (const auto& console : consoles_) {
    Status right = console->LeadsTo(proof);
    if (right) continue;
    if (right.error().reason == "PoolerLeadsElsewhere") return tl::unexpected(right.error());
    all = std::move(right);
  }
  if (!all) return tl::unexpected(all.error());
  return true;
}

Status Poolers::ResumeOnto(std::stop_token, Deadline, const std::vector<std::string>& entries,
                           const PoolerProof& proof, Connection&,
                           const std::function<void()>& on_resumed) {
  TRY(RefuseNamesake(entries));
  std::vector<Console*> open;
  Status all = Ok();
  for (const auto& console : consoles_) {
    Status resumed = console->Resume();
    if (resumed)
      open.push_back(console.get());
    else
      all = std::move(resumed);
  }
  if (open.empty()) return all;
  if (on_resumed) on_resumed();
  for (Console* console : open) {
    TRY(console->LeadsTo(proof));
    console->proven = true;
  }
  if (!all) return RetryError("PoolerNotResumed", all.error().message);
  return Ok();
}

}  // namespace cutover::pg
