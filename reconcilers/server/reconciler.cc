// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/server/reconciler.h"

#include <optional>
#include <utility>
#include <vector>

#include "operator/base/log.h"
#include "reconcilers/server/admin_login.h"
#include "reconcilers/server/progress.h"
#include "reconcilers/server/status.h"

namespace cutover::server {
namespace {

// The condition exists only while there is something to say.
void NoteOrphans(const std::string& findings, int64_t generation, WallTime now,
                 api::DatabaseServerStatus& status) {
  if (findings.empty())
    status.conditions.Remove("OrphansFound");
  else
    status.conditions.Set({"OrphansFound", api::ConditionStatus::kTrue, "MigrationVanished",
                           findings, generation, std::nullopt},
                          now);
}

// All that a watch of Secrets is for here: that one of this name has changed. What is in them is
// read when it is needed, and never kept.
struct SecretName {
  std::string name;
};

Result<SecretName> DecodeSecretName(const Json& object) {
  return SecretName{kube::KeyOf(object).name};
}

bool Names(const api::DatabaseServer& server, const std::string& secret) {
  return server.spec.admin_secret_name == secret || server.spec.endpoint.ca_secret_name == secret;
}

// Another cluster in its place has a size of its own.
bool IsKnownAs(const pg::ServerFacts& facts, const api::DatabaseServerStatus& status) {
  return facts.system_identifier == status.system_identifier;
}

void LogChange(const api::DatabaseServer& server, const api::DatabaseServerStatus& status) {
  const api::Condition* before = server.status.conditions.Find("Ready");
  const api::Condition* after = status.conditions.Find("Ready");
  if (before != nullptr && before->reason == after->reason) return;
  LogInfo("a server's condition has changed", {{"ready", api::Name(after->status)},
                                               {"reason", after->reason},
                                               {"message", after->message}});
}

}  // namespace

Result<pg::ServerFacts> ProbeOverNetwork(std::stop_token stop, Deadline deadline,
                                         const pg::ConnectOptions& login) {
  TRY_ASSIGN(pg::Connection connection, pg::Connection::Open(stop, deadline, login));
  return pg::ProbeServer(stop, deadline, connection);
}

Result<int64_t> ReadSizeOverNetwork(std::stop_token stop, Deadline deadline,
                                    const pg::ConnectOptions& login) {
  TRY_ASSIGN(pg::Connection connection, pg::Connection::Open(stop, deadline, login));
  return pg::ReadServerSize(stop, deadline, connection);
}

ServerReconciler::ServerReconciler(kube::Client& client, ServerReconcilerOptions options,
                                   const Clock& clock, Probe probe, ReadSize read_size)
    : client_(client),
      options_(std::move(options)),
      clock_(clock),
      probe_(std::move(probe)),
      read_size_(std::move(read_size)) {}

Result<pg::ServerFacts> ServerReconciler::Observe(std::stop_token stop, Deadline deadline,
                                                  const Result<pg::ConnectOptions>& login) {
  if (!login) return tl::make_unexpected(login.error());
  return probe_(stop, deadline.OrAfter(options_.probe_timeout), *login);
}

// Compared as they are written: what encoding shortens must not look like a change.
Status ServerReconciler::Write(std::stop_token stop, Deadline deadline, const kube::Key& key,
                               const api::DatabaseServer& server,
                               const api::DatabaseServerStatus& status) {
  const Json encoded = api::EncodeStatus(status);
  if (encoded == api::EncodeStatus(server.status)) return Ok();
  LogChange(server, status);
  TRY(client_.ApplyStatus(stop, deadline, kube::kDatabaseServer, key, encoded, server.meta.uid));
  return Ok();
}

bool ServerReconciler::SizeIsDue(const kube::Key& key) {
  const SteadyTime now = clock_.SteadyNow();
  MutexLock lock(mutex_);
  std::optional<SteadyTime>& asked_at = sizes_[key].asked_at;
  if (asked_at && now - *asked_at < options_.size_interval) return false;
  asked_at = now;
  return true;
}

int64_t ServerReconciler::LastSize(const kube::Key& key) {
  MutexLock lock(mutex_);
  return sizes_[key].bytes;
}

// A query that was cut off would be so again; a server that has just gone is asked when it is back.
void ServerReconciler::KeepSize(const kube::Key& key, const Result<int64_t>& size) {
  MutexLock lock(mutex_);
  if (size)
    sizes_[key].bytes = *size;
  else if (size.error().reason != "DeadlineExceeded")
    sizes_[key].asked_at.reset();
}

Result<kube::Step> ServerReconciler::Reconcile(std::stop_token stop, Deadline deadline,
                                               const kube::Key& key) {
  TRY_ASSIGN(const std::optional<Json> object,
             client_.Get(stop, deadline, kube::kDatabaseServer, key));
  if (!object) {
    MutexLock lock(mutex_);
    sizes_.erase(key);
    return kube::Step::Gone();
  }
  if (kube::IsDeleting(*object)) return kube::Step::Done();
  TRY_ASSIGN(api::DatabaseServer server, api::DecodeDatabaseServer(*object));

  const Result<pg::ConnectOptions> login =
      AdminLogin(stop, deadline, client_, options_.operator_namespace, server);
  // What the API server fails to tell says nothing about the database server.
  if (!login && !IsLoginIncomplete(login.error())) return tl::make_unexpected(login.error());
  const Result<pg::ServerFacts> probe = Observe(stop, deadline, login);
  if (stop.stop_requested()) return kube::Step::Done();
  api::DatabaseServerStatus status = DecideStatus(server, probe, clock_.WallNow());
  NoteOrphans(options_.orphans(server.meta.name), server.meta.generation, clock_.WallNow(), status);

  const bool is_known = probe && IsKnownAs(*probe, status);
  // A deposed leader's late write of the status may have had none.
  if (is_known && status.size_bytes == 0) status.size_bytes = LastSize(key);
  TRY(Write(stop, deadline, key, server, status));
  // Whether the server can be worked with is said by now, however long this takes.
  if (!is_known || !SizeIsDue(key)) return kube::Step::After(options_.probe_interval);
  const Result<int64_t> size = read_size_(stop, deadline.OrAfter(options_.size_timeout), *login);
  KeepSize(key, size);
  if (!size) {
    LogInfo("a server's size could not be read; the last one stays",
            {{"reason", size.error().reason}, {"message", size.error().message}});
    return kube::Step::After(options_.probe_interval);
  }
  server.status = status;
  status.size_bytes = SettledFigure(status.size_bytes, *size);
  TRY(Write(stop, deadline, key, server, status));
  return kube::Step::After(options_.probe_interval);
}

void AddServerController(kube::Manager& manager, kube::Store<api::DatabaseServer>& servers,
                         ServerReconciler& reconciler) {
  kube::ControllerOptions options;
  options.name = "databaseserver";
  options.workers = reconciler.options().workers;
  kube::Controller& controller = manager.AddController(
      options, [&reconciler](std::stop_token stop, Deadline deadline, const kube::Key& key) {
        return reconciler.Reconcile(stop, deadline, key);
      });

  // Our own writes of the status would start a second probe each.
  controller.For<api::DatabaseServer>(
      servers, [](const api::DatabaseServer& before, const api::DatabaseServer& after) {
        return before.meta.generation != after.meta.generation;
      });

  kube::WatcherOptions watch;
  watch.resource = kube::kSecret;
  watch.ns = reconciler.options().operator_namespace;
  kube::Store<SecretName>& secrets = manager.AddStore<SecretName>(watch, DecodeSecretName);
  controller.Watches<SecretName>(secrets, [&servers](const kube::Key&, const SecretName& secret) {
    std::vector<kube::Key> affected;
    for (const auto& server : servers.List())
      if (Names(*server, secret.name)) affected.push_back({"", server->meta.name});
    return affected;
  });
}

}  // namespace cutover::server
