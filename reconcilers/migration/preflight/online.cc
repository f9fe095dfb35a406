// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/preflight/online.h"

#include <algorithm>
#include <optional>

#include "operator/kube/resource.h"
#include "postgres/pooler.h"
#include "reconcilers/migration/preflight/findings.h"
#include "reconcilers/server/pooler_login.h"
#include "reconcilers/server/stream_address.h"

namespace cutover::migration {
namespace {

// Making a slot waits for transactions all over the server, so a probe takes what time it needs
// within this; one that takes longer says who is in the way.
constexpr std::chrono::seconds kProbeBound{15};

// Few of an application's transactions take longer, and one that does may never end.
constexpr std::chrono::seconds kLongTransaction{60};

constexpr int64_t kMebibyte = 1 << 20;

std::string Mebibytes(int64_t bytes) { return std::to_string(bytes / kMebibyte) + " MB"; }

// The stream's, and the watch beside it (postgres/changes.h). The target needs one, for the way
// back.
constexpr int kSlotsOnSource = 2;

// The maintenance databases: the tenant's own is not touched before Preparing.
Result<bool> TryStream(std::stop_token stop, Deadline deadline, const std::string& uid,
                       const Fact<std::optional<api::DatabaseServer>>& published,
                       const Fact<pg::ConnectOptions>& publisher,
                       const Fact<pg::ConnectOptions>& subscriber, pg::Direction direction) {
  if (!publisher.known()) return tl::make_unexpected(publisher.error());
  if (!subscriber.known()) return tl::make_unexpected(subscriber.error());
  TRY_ASSIGN(pg::Connection from, pg::Connection::Open(stop, deadline, *publisher));
  TRY_ASSIGN(pg::Connection to, pg::Connection::Open(stop, deadline, *subscriber));
  TRY(pg::ProbeStream(stop, deadline, from, to,
                      server::StreamAddress(**published, publisher->database), uid, direction));
  return true;
}

Result<pg::OnlineObstacles> ReadObstacles(std::stop_token stop, Deadline deadline,
                                          const PreflightInputs& inputs,
                                          const PreflightFacts& facts,
                                          const Fact<pg::ConnectOptions>& source) {
  if (!source.known()) return tl::make_unexpected(source.error());
  if (!facts.target.known()) return tl::make_unexpected(facts.target.error());
  TRY_ASSIGN(pg::Connection connection,
             pg::Connection::Open(stop, deadline,
                                  source->WithDatabase(inputs.placement.spec.database_name)));
  return pg::FindOnlineObstacles(stop, deadline, connection,
                                 {.may_set_full_identity = inputs.migration.spec.replica_identity ==
                                                           api::ReplicaIdentity::kSetFull,
                                  .long_transaction = kLongTransaction,
                                  .other_major = facts.target->server.version_number / 10'000});
}

// Whether the pooler's host is the placement's own Service, the only one that a switch leads
// elsewhere: by name, or by the Service's address.
Result<bool> IsPlacementsService(std::stop_token stop, Deadline deadline,
                                 const PreflightInputs& inputs, const std::string& host) {
  const std::string& ns = inputs.placement.meta.namespace_name;
  const std::string& name = inputs.placement.spec.connection.service_name;
  if (wiring::SameHost(host, name + "." + ns, ns)) return true;
  TRY_ASSIGN(const std::optional<Json> service,
             inputs.access.client.Get(stop, deadline, kube::kService, {ns, name}));
  if (!service) return false;
  const auto& addresses = (*service)["spec"]["clusterIPs"].Items();
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const Json& address) { return address.StringRef() == host; });
}

Result<std::vector<std::string>> FindPoolerObstacles(std::stop_token stop, Deadline deadline,
                                                     const PreflightInputs& inputs,
                                                     const PreflightFacts& facts) {
  std::vector<std::string> obstacles;
  if (inputs.placement.spec.connection.service_name.empty())
    obstacles.push_back("DatabasePlacement " + inputs.placement.meta.name +
                        " has no spec.connection.service, which the poolers have to connect to so "
                        "that it can lead them elsewhere: add it, and make it their host");
  std::vector<api::DatabaseServer> servers;
  for (const auto* server : {&facts.source_server, &facts.target_server})
    if (server->known() && **server) servers.push_back(*server->value());
  TRY_ASSIGN(auto logins, server::PoolerLogins(stop, deadline, inputs.access, servers));
  if (logins.empty()) {
    obstacles.push_back(
        "neither server has spec.pooler: say where its PgBouncer is, or set "
        "cutover.switch to Restart");
    return obstacles;
  }
  pg::Poolers poolers(std::move(logins));
  TRY_ASSIGN(auto seen, poolers.Observe(stop, deadline));
  const std::string& database = inputs.placement.spec.database_name;
  for (const pg::PoolerFacts& pooler : seen) {
    const std::vector<std::string> names = pooler.EntriesOf(database);
    for (const std::string& name : names) {
      const pg::PoolerEntry& entry = *pooler.Find(name);
      TRY_ASSIGN(const bool follows, IsPlacementsService(stop, deadline, inputs, entry.host));
      if (!follows)
        obstacles.push_back(pooler.pooler + " connects \"" + entry.name + "\" to host " +
                            entry.host + ", which no switch leads elsewhere: make it " +
                            inputs.placement.spec.connection.service_name + "." +
                            inputs.placement.meta.namespace_name + ".svc.cluster.local");
      for (std::string& obstacle : pg::PoolerObstacles(pooler, entry.name))
        obstacles.push_back(std::move(obstacle));
    }
    std::string unproven = names.empty() ? "" : pg::ProbeObstacle(pooler, names);
    if (names.empty())
      obstacles.push_back(pooler.pooler + " has no entry that leads to database " + database +
                          ": add one to its [databases]");
    else if (!unproven.empty())
      obstacles.push_back(std::move(unproven));
  }
  return obstacles;
}

void AddAll(const std::vector<std::string>& sentences, Severity severity, const char* reason,
            Findings& findings) {
  for (const std::string& sentence : sentences) findings.push_back({severity, reason, sentence});
}

// A server that throws away what a slot needs ends the move. Where it keeps too little for any,
// none is begun. `enough`: that the move's own bound is met first, in whole MiB.
void KeepsWalForSlot(const std::string& name, const pg::ServerFacts& server,
                     int64_t retained_bytes_max, Findings& findings) {
  const int64_t kept = server.slot_wal_bytes_max;
  if (kept < 0 || kept >= retained_bytes_max) return;
  const std::string enough =
      Mebibytes(retained_bytes_max + PublisherFacts::kSafeWalBytesMin + kMebibyte - 1);
  if (kept < PublisherFacts::kSafeWalBytesMin)
    findings.push_back({Severity::kBlocking, "ReplicationNotReady",
                        "DatabaseServer " + name + " keeps no more than " + Mebibytes(kept) +
                            " of WAL for a replication slot, which is too little for any move: run "
                            "there ALTER SYSTEM SET max_slot_wal_keep_size = '" +
                            enough + "' and SELECT pg_reload_conf(); or choose strategy Offline"});
  else
    findings.push_back({Severity::kWarning, "LittleWalKept",
                        "DatabaseServer " + name + " keeps no more than " + Mebibytes(kept) +
                            " of WAL for a replication slot, less than copy.maxRetainedWalBytes (" +
                            Mebibytes(retained_bytes_max) +
                            "): whoever falls behind by that much ends the move, or the way back; "
                            "if that is too little, run there ALTER SYSTEM SET "
                            "max_slot_wal_keep_size = '" +
                            enough + "' and SELECT pg_reload_conf()"});
}

}  // namespace

OnlineFacts GatherOnline(std::stop_token stop, Deadline deadline, const PreflightInputs& inputs,
                         const PreflightFacts& facts, const Fact<pg::ConnectOptions>& source,
                         const Fact<pg::ConnectOptions>& target) {
  OnlineFacts online;
  Deadline part = deadline.OrAfter(kProbeBound);
  online.obstacles = ReadObstacles(stop, part, inputs, facts, source);
  const std::string& uid = inputs.migration.meta.uid;
  online.forward_path =
      TryStream(stop, part, uid, facts.source_server, source, target, pg::Direction::kForward);
  online.reverse_path = TryStream(stop, deadline.OrAfter(kProbeBound), uid, facts.target_server,
                                  target, source, pg::Direction::kReverse);
  if (inputs.migration.spec.by_pooler())
    online.pooler_obstacles = FindPoolerObstacles(stop, part, inputs, facts);
  return online;
}

Findings ServersReplicate(const PreflightFacts& facts) {
  Findings findings;
  if (!facts.migration.spec.online()) return findings;
  auto add = [&](const std::string& name, const pg::ServerFacts& server) {
    for (const std::string& obstacle : server.replication_obstacles)
      findings.push_back(
          {Severity::kBlocking, "ReplicationNotReady",
           "DatabaseServer " + name + ": " + obstacle + "; or choose strategy Offline"});
    KeepsWalForSlot(name, server, facts.migration.spec.retained_wal_bytes_max, findings);
  };
  if (Have(facts.source, findings)) {
    const pg::ServerFacts& source = facts.source->server;
    add(facts.source_server_name, source);
    // Where none is free, that is said already.
    const int free = source.slots_max - source.slots_used;
    if (free > 0 && free < kSlotsOnSource)
      findings.push_back({Severity::kBlocking, "ReplicationNotReady",
                          "DatabaseServer " + facts.source_server_name + ": " +
                              std::to_string(free) + " of " + std::to_string(source.slots_max) +
                              " replication slots is free, and the move needs " +
                              std::to_string(kSlotsOnSource) +
                              " there: raise max_replication_slots, or choose strategy Offline"});
  }
  if (Have(facts.target, findings))
    add(facts.migration.spec.target_server_name, facts.target->server);
  return findings;
}

Findings SourceCanBeFollowed(const PreflightFacts& facts) {
  Findings findings;
  if (!facts.migration.spec.online() || !Have(facts.online.obstacles, findings)) return findings;
  AddAll(facts.online.obstacles->blocking, Severity::kBlocking, "NotFollowable", findings);
  AddAll(facts.online.obstacles->warnings, Severity::kWarning, "NotFollowed", findings);
  return findings;
}

Findings BothPathsAreOpen(const PreflightFacts& facts) {
  Findings findings;
  if (!facts.migration.spec.online()) return findings;
  // Of a server that does not answer at all that is said already, and Offline needs it as well.
  const bool both_answer = facts.source.known() && facts.target.known();
  for (const Fact<bool>* path : {&facts.online.forward_path, &facts.online.reverse_path}) {
    if (Have(*path, findings) || !both_answer) continue;
    findings.back().message += "; or choose strategy Offline";
  }
  return findings;
}

Findings PoolersCanPause(const PreflightFacts& facts) {
  Findings findings;
  if (!facts.migration.spec.by_pooler() || !Have(facts.online.pooler_obstacles, findings))
    return findings;
  AddAll(*facts.online.pooler_obstacles, Severity::kBlocking, "PoolerObstacle", findings);
  return findings;
}

}  // namespace cutover::migration
