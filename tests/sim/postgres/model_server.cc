// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/postgres/model_server.h"

#include <algorithm>

#include "operator/base/check.h"

namespace cutover::sim {
namespace {

thread_local ModelNetwork* current_network = nullptr;

pg::ServerError Refuse(std::string sqlstate, std::string message) {
  pg::ServerError error;
  error.sqlstate = std::move(sqlstate);
  error.message = std::move(message);
  return error;
}

}  // namespace

// --- state --------------------------------------------------------------------------------------

const DatabaseState* ServerState::Find(const std::string& name) const {
  auto found = databases.find(name);
  return found == databases.end() ? nullptr : found->second.get();
}

DatabaseState* ServerState::Edit(const std::string& name) {
  auto found = databases.find(name);
  if (found == databases.end()) return nullptr;
  auto copy = std::make_shared<DatabaseState>(*found->second);
  DatabaseState* editable = copy.get();
  found->second = std::move(copy);
  return editable;
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

void ModelServer::Crash() {
  up_ = false;
  locks_.clear();
  backends_.clear();
}

int ModelServer::CountSessions(const std::string& database) const {
  return static_cast<int>(std::count_if(backends_.begin(), backends_.end(), [&](const auto& item) {
    return item.second.database == database;
  }));
}

// --- transactions -------------------------------------------------------------------------------

void ModelServer::Begin(Backend& backend) {
  backend.in_transaction = true;
  backend.failed = false;
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

ModelServer* ModelNetwork::Find(const std::string& host, int port) {
  if (current_network == nullptr) return nullptr;
  auto found = current_network->servers_.find({host, port});
  return found == current_network->servers_.end() || !found->second->up() ? nullptr : found->second;
}

}  // namespace cutover::sim
