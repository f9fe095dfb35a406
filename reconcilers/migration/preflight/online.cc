// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/preflight/online.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "postgres/pooler.h"
#include "reconcilers/migration/preflight/findings.h"
#include "reconcilers/server/pooler_entry.h"
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
                                  .other_major = facts.target->server.version_number / 10'000,
                                  .sessions_stay = inputs.migration.spec.by_pooler()});
}

std::string ServiceHost(const api::DatabasePlacement& placement) {
  return placement.spec.connection.service_name + "." + placement.meta.namespace_name +
         ".svc.cluster.local";
}

// An address tells nothing by itself: where it is one that a server's name stands for, it is that
// server's.
Result<bool> IsAddressOf(std::stop_token stop, Deadline deadline, const wiring::Access& access,
                         const std::vector<api::DatabaseServer>& servers, const std::string& host) {
  for (const api::DatabaseServer& server : servers) {
    TRY_ASSIGN(const wiring::Backends backends,
               wiring::FindBackends(stop, deadline, access, wiring::HostPortOf(server)));
    const auto& addresses = backends.addresses;
    if (std::find(addresses.begin(), addresses.end(), host) != addresses.end()) return true;
  }
  return false;
}

// Entries for a database of the tenant's name, of all poolers.
struct Entries {
  std::set<std::string> ours;
  std::vector<std::pair<std::string, std::string>> others;  // Each with where it leads, in words.
};

// What one PgBouncer has for the tenant's database; other tenants' databases have such names, too.
Status LookAtEntries(std::stop_token stop, Deadline deadline, const PreflightInputs& inputs,
                     const std::vector<api::DatabaseServer>& servers, const pg::PoolerFacts& pooler,
                     Entries& entries, pg::OnlineObstacles& obstacles) {
  const std::string& database = inputs.placement.spec.database_name;
  std::vector<std::string> ours;
  for (const std::string& name : pooler.EntriesOf(database)) {
    const pg::PoolerEntry& entry = *pooler.Find(name);
    TRY_ASSIGN(server::EntryLead lead, server::LeadOf(stop, deadline, inputs.access,
                                                      inputs.placement, servers, entry.host));
    if (lead == server::EntryLead::kElsewhere) {
      TRY_ASSIGN(const bool is_server,
                 IsAddressOf(stop, deadline, inputs.access, servers, entry.host));
      if (is_server) lead = server::EntryLead::kServer;
    }
    const std::string connects =
        pooler.pooler + " connects \"" + entry.name + "\" to host " + entry.host;
    if (lead == server::EntryLead::kElsewhere) {
      entries.others.emplace_back(name, connects);
      continue;
    }
    ours.push_back(name);
    if (lead == server::EntryLead::kServer)
      obstacles.blocking.push_back(connects + ", which no switch leads elsewhere: make it " +
                                   ServiceHost(inputs.placement));
    for (std::string& obstacle : pg::PoolerObstacles(pooler, entry.name))
      obstacles.blocking.push_back(std::move(obstacle));
  }
  entries.ours.insert(ours.begin(), ours.end());
  std::string missing = ours.empty() ? pooler.pooler + " has no entry that leads to database " +
                                           database + ": add one to its [databases]"
                                     : pg::ProbeObstacle(pooler, ours);
  if (!missing.empty()) obstacles.blocking.push_back(std::move(missing));
  return Ok();
}

Result<pg::OnlineObstacles> FindPoolerObstacles(std::stop_token stop, Deadline deadline,
                                                const PreflightInputs& inputs,
                                                const PreflightFacts& facts) {
  pg::OnlineObstacles obstacles;
  if (inputs.placement.spec.connection.service_name.empty())
    obstacles.blocking.push_back(
        "DatabasePlacement " + inputs.placement.meta.name +
        " has no spec.connection.service, which the poolers have to connect to so that it can lead "
        "them elsewhere: add it, and make it their host");
  std::vector<api::DatabaseServer> servers;
  for (const auto* server : {&facts.source_server, &facts.target_server})
    if (server->known() && **server) servers.push_back(*server->value());
  TRY_ASSIGN(auto logins, server::PoolerLogins(stop, deadline, inputs.access, servers));
  if (logins.empty()) {
    obstacles.blocking.push_back("neither server has spec.pooler: say where its PgBouncer is");
    return obstacles;
  }
  pg::Poolers poolers(std::move(logins));
  TRY_ASSIGN(auto seen, poolers.Observe(stop, deadline));
  Entries entries;
  for (const pg::PoolerFacts& pooler : seen)
    TRY(LookAtEntries(stop, deadline, inputs, servers, pooler, entries, obstacles));
  for (const auto& [name, connects] : entries.others) {
    if (entries.ours.contains(name))
      obstacles.blocking.push_back(connects +
                                   ", and another PgBouncer has the tenant's own entry by that "
                                   "name; both would be paused: give one of them another name");
    else
      obstacles.warnings.push_back(
          connects +
          ", which is taken for another tenant's, and left alone: should it lead to this one, its "
          "clients would be refused after the switch, so make it " +
          ServiceHost(inputs.placement));
  }
  return obstacles;
}

// Whatever cannot be followed can be moved all the same. What Offline asks for as well is no matter
// of these checks.
std::string OrOffline(std::string sentence) {
  return std::move(sentence) + "; or choose strategy Offline";
}

// The same of what could not be read. Of a server that does not answer at all that is said already,
// and Offline needs it as well.
template <class T>
bool HaveOrOffline(const PreflightFacts& facts, const Fact<T>& fact, Findings& findings) {
  if (Have(fact, findings)) return true;
  if (facts.source.known() && facts.target.known())
    findings.back().message = OrOffline(std::move(findings.back().message));
  return false;
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
  if (!facts.migration.spec.online()) return findings;
  if (!HaveOrOffline(facts, facts.online.obstacles, findings)) return findings;
  for (const std::string& obstacle : facts.online.obstacles->blocking)
    findings.push_back({Severity::kBlocking, "NotFollowable", OrOffline(obstacle)});
  AddAll(facts.online.obstacles->warnings, Severity::kWarning, "NotFollowed", findings);
  return findings;
}

Findings BothPathsAreOpen(const PreflightFacts& facts) {
  Findings findings;
  if (!facts.migration.spec.online()) return findings;
  for (const Fact<bool>* path : {&facts.online.forward_path, &facts.online.reverse_path})
    HaveOrOffline(facts, *path, findings);
  return findings;
}

Findings PoolersCanPause(const PreflightFacts& facts) {
  Findings findings;
  if (!facts.migration.spec.by_pooler() || !Have(facts.online.pooler_obstacles, findings))
    return findings;
  for (const std::string& obstacle : facts.online.pooler_obstacles->blocking)
    findings.push_back({Severity::kBlocking, "PoolerObstacle",
                        obstacle + "; or choose switch Restart, which needs no pooler"});
  AddAll(facts.online.pooler_obstacles->warnings, Severity::kWarning, "PoolerEntryLeftAlone",
         findings);
  return findings;
}

}  // namespace cutover::migration
