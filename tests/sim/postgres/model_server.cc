// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/postgres/model_server.h"

#include <algorithm>
#include <bit>

#include "operator/base/check.h"

namespace cutover::sim {
namespace {

thread_local ModelNetwork* current_network = nullptr;

// Of a statement, in a trace.
constexpr size_t kStatementShown = 48;

pg::ServerError Refuse(std::string sqlstate, std::string message) {
  pg::ServerError error;
  error.sqlstate = std::move(sqlstate);
  error.message = std::move(message);
  return error;
}

}  // namespace

// --- rows and the log ---------------------------------------------------------------------------

RowSet RowSet::First(int64_t count) {
  RowSet rows;
  for (int64_t row = 0; row < count; ++row) rows.Insert(row);
  return rows;
}

bool RowSet::Insert(int64_t row) {
  if (Contains(row)) return false;
  const auto word = static_cast<size_t>(row / 64);
  if (word >= bits_.size()) bits_.resize(word + 1);
  bits_[word] |= uint64_t{1} << (row % 64);
  return true;
}

void RowSet::RemoveLast() {
  if (bits_.empty()) return;
  bits_.back() &= ~std::bit_floor(bits_.back());
  while (!bits_.empty() && bits_.back() == 0) bits_.pop_back();
}

bool RowSet::Contains(int64_t row) const {
  const auto word = static_cast<size_t>(row / 64);
  return word < bits_.size() && (bits_[word] >> (row % 64) & 1) != 0;
}

bool RowSet::Includes(const RowSet& other) const {
  if (other.bits_.size() > bits_.size()) return false;
  for (size_t word = 0; word < other.bits_.size(); ++word)
    if ((other.bits_[word] & ~bits_[word]) != 0) return false;
  return true;
}

int64_t RowSet::size() const {
  int64_t count = 0;
  for (uint64_t word : bits_) count += std::popcount(word);
  return count;
}

void Log(DatabaseState& database, LogEntry entry) {
  entry.position = EndOfLog(database) + 1;
  entry.before = std::move(database.log);
  database.log = std::make_shared<const LogEntry>(std::move(entry));
}

bool WriteRow(DatabaseState& database, int64_t row, WallTime now, const std::string& origin) {
  if (!database.content.rows.Insert(row)) return false;
  Log(database, {.kind = LogEntry::Kind::kRow, .number = row, .at = now, .origin = origin});
  return true;
}

// --- state --------------------------------------------------------------------------------------

const DatabaseState* ServerState::Find(const std::string& name) const {
  auto found = databases.find(name);
  return found == databases.end() ? nullptr : found->second.get();
}

DatabaseState* ServerState::Edit(const std::string& name) {
  auto found = databases.find(name);
  if (found == databases.end()) return nullptr;
  // Shared with what a transaction sees: that stays as it is.
  if (found->second.use_count() > 1)
    found->second = std::make_shared<DatabaseState>(*found->second);
  return found->second.get();
}

bool ServerState::ActsAs(const std::string& role, const std::string& other) const {
  if (role == other) return true;
  auto found = roles.find(role);
  if (found == roles.end()) return false;
  if (found->second.superuser) return true;
  return std::any_of(found->second.groups.begin(), found->second.groups.end(),
                     [&](const std::string& group) { return ActsAs(group, other); });
}

bool ServerState::MayConnect(const std::string& role, const std::string& database) const {
  const DatabaseState* found = Find(database);
  auto known = roles.find(role);
  if (found == nullptr || known == roles.end() || !known->second.login) return false;
  if (found->access.connection_limit == kHalfDropped) return false;
  if (known->second.superuser) return true;
  return std::any_of(found->access.acl.begin(), found->access.acl.end(), [&](const auto& item) {
    return item.privilege == "CONNECT" && (item.grantee.empty() || ActsAs(role, item.grantee));
  });
}

pg::DatabaseAccess DefaultAccess(const std::string& owner) {
  pg::DatabaseAccess access;
  access.owner = owner;
  for (const char* privilege : {"CONNECT", "TEMPORARY"})
    access.acl.push_back({owner, "", privilege, false});
  for (const char* privilege : {"CONNECT", "CREATE", "TEMPORARY"})
    access.acl.push_back({owner, owner, privilege, false});
  std::sort(access.acl.begin(), access.acl.end());
  return access;
}

// --- sessions -----------------------------------------------------------------------------------

tl::expected<Backend*, pg::ServerError> ModelServer::Connect(const std::string& user,
                                                             const std::string& password,
                                                             const std::string& database,
                                                             const std::string& application) {
  CHECK(up_);  // Who calls a server that is down hears nothing, not even a refusal.
  auto role = state_.roles.find(user);
  if (role == state_.roles.end() || !role->second.login || role->second.password != password)
    return tl::make_unexpected(
        Refuse("28P01", "password authentication failed for user \"" + user + "\""));
  const DatabaseState* wanted = state_.Find(database);
  if (wanted == nullptr)
    return tl::make_unexpected(Refuse("3D000", "database \"" + database + "\" does not exist"));
  if (wanted->access.connection_limit == kHalfDropped)
    return tl::make_unexpected(
        Refuse("55000", "cannot connect to invalid database \"" + database + "\""));
  if (!state_.MayConnect(user, database))
    return tl::make_unexpected(
        Refuse("42501", "permission denied for database \"" + database + "\""));
  int limit = wanted->access.connection_limit;
  if (!role->second.superuser && limit >= 0 && CountSessions(database) >= limit)
    return tl::make_unexpected(
        Refuse("53300", "too many connections for database \"" + database + "\""));
  Backend backend;
  backend.pid = ++pids_;
  backend.database = database;
  backend.user = user;
  backend.application = application;
  return &(backends_[backend.pid] = std::move(backend));
}

Backend* ModelServer::Find(int pid) {
  auto found = backends_.find(pid);
  return found == backends_.end() ? nullptr : &found->second;
}

void ModelServer::End(int pid) {
  Unlock(pid, true);
  backends_.erase(pid);
}

void ModelServer::EndSilentTransactions() {
  std::erase_if(backends_, [this](const auto& session) {
    const Backend& backend = session.second;
    const bool ends = backend.in_transaction && backend.bounded;
    if (ends || !backend.in_transaction) Unlock(backend.pid, ends);
    return ends;
  });
}

void ModelServer::Crash() {
  up_ = false;
  locks_.clear();
  backends_.clear();
  for (auto& [name, slot] : state_.slots) slot.position = slot.durable_position;
  ++version_;
}

int ModelServer::CountSessions(const std::string& database) const {
  return static_cast<int>(std::count_if(backends_.begin(), backends_.end(), [&](const auto& item) {
    return item.second.database == database;
  }));
}

// --- transactions -------------------------------------------------------------------------------

void ModelServer::Begin(Backend& backend) {
  backend.in_transaction = true;
  backend.failed = backend.bounded = false;
  backend.working_of = -1;
}

bool ModelServer::Commit(Backend& backend) {
  auto apply = [&] {
    for (const Redo& redo : backend.redo) redo(state_);
    ++version_;
  };
  // One that changed nothing has no effect that could be lost.
  bool answered = backend.redo.empty() || CommitNow(backend, apply);
  if (answered) Rollback(backend);
  return answered;
}

void ModelServer::Rollback(Backend& backend) {
  backend.in_transaction = backend.failed = false;
  backend.redo.clear();
  backend.acting_as.clear();
  backend.working = ServerState();
  Unlock(backend.pid, false);
}

bool ModelServer::CommitNow(Backend& backend, const std::function<void()>& apply) {
  if (!on_commit) {
    apply();
    return true;
  }
  const int pid = backend.pid;
  bool answered = on_commit(backend, apply);
  if (!answered) End(pid);
  return answered && Find(pid) != nullptr;
}

const ServerState& ModelServer::Seen(Backend& backend) {
  if (!backend.in_transaction) return state_;
  if (backend.working_of != version_) {
    backend.working = state_;
    for (const Redo& redo : backend.redo) redo(backend.working);
    backend.working_of = version_;
  }
  return backend.working;
}

bool ModelServer::Change(Backend& backend, Redo redo) {
  backend.changed_by = backend.statement.substr(0, kStatementShown);
  if (backend.in_transaction) {
    Seen(backend);
    redo(backend.working);
    backend.redo.push_back(std::move(redo));
    return true;
  }
  return CommitNow(backend, [&] {
    redo(state_);
    ++version_;
  });
}

bool ModelServer::ChangeAtOnce(Backend& backend, const Redo& redo) {
  backend.changed_by = backend.statement.substr(0, kStatementShown);
  return CommitNow(backend, [&] {
    redo(state_);
    ++version_;
  });
}

void ModelServer::Edit(const Redo& change) {
  change(state_);
  ++version_;
}

bool ModelServer::Lock(Backend& backend, const std::string& name) {
  auto [held, taken] = locks_.try_emplace(name, backend.pid);
  return taken || held->second == backend.pid;
}

std::optional<int> ModelServer::HolderOf(const std::string& lock) const {
  auto found = locks_.find(lock);
  return found == locks_.end() ? std::nullopt : std::optional(found->second);
}

void ModelServer::Unlock(int pid, bool with_session_locks) {
  std::erase_if(locks_, [&](const auto& lock) {
    return lock.second == pid && (with_session_locks || !lock.first.starts_with("session/"));
  });
}

// --- network ------------------------------------------------------------------------------------

ModelNetwork::ModelNetwork() : outer_(current_network) { current_network = this; }
ModelNetwork::~ModelNetwork() { current_network = outer_; }

void ModelNetwork::Add(const std::string& host, int port, ModelServer& server) {
  servers_[{host, port}] = &server;
}

void ModelNetwork::Add(const std::string& host, int port, ModelPooler& pooler) {
  poolers_[{host, port}] = &pooler;
}

void ModelNetwork::Remove(const std::string& host, int port) { servers_.erase({host, port}); }

ModelPooler* ModelNetwork::FindPooler(const std::string& host, int port) {
  if (current_network == nullptr) return nullptr;
  auto found = current_network->poolers_.find({host, port});
  return found == current_network->poolers_.end() ? nullptr : found->second;
}

ModelServer* ModelNetwork::Find(const std::string& host, int port) {
  if (current_network == nullptr) return nullptr;
  auto found = current_network->servers_.find({host, port});
  return found == current_network->servers_.end() || !found->second->up() ? nullptr : found->second;
}

}  // namespace cutover::sim
