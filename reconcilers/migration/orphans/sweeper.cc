// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/orphans/sweeper.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "operator/base/log.h"
#include "operator/kube/for_each.h"
#include "operator/kube/metadata.h"
#include "postgres/control.h"
#include "postgres/database.h"
#include "postgres/fence.h"
#include "postgres/replication.h"
#include "reconcilers/migration/cluster/jobs.h"
#include "reconcilers/migration/step.h"
#include "reconcilers/migration/transitions.h"
#include "reconcilers/server/admin_login.h"
#include "reconcilers/wiring/maintenance.h"

namespace cutover::migration {
namespace {

// Events tell of migrations that vanish; this is for those that vanished while nobody looked.
constexpr std::chrono::minutes kInterval{5};
// A server that was away, or a workload that is not ready yet.
constexpr std::chrono::seconds kUnsettledInterval{10};
// What a remedy waits for may be there earlier; a sweep asks every server, so not at once.
constexpr std::chrono::seconds kSoonest{1};
constexpr std::chrono::seconds kServerBound{10};  // So that a dead server holds up little.
// A probe tries for 15 seconds at most, and cleans up for as long; a database that is made is
// claimed at once. What is older is nobody's any more, in whichever cluster he was.
constexpr std::chrono::minutes kNobodysAfter{2};
constexpr int kRoundsMax = 200;  // Of one remedy in one sweep; a whole rollback takes about 20.

// A ghost has no object, so its status is written nowhere but into the ghost itself.
class GhostWorld final : public World {
 public:
  explicit GhostWorld(World& world) : world_(world) {}

  Observation Observe(std::stop_token stop, Deadline deadline,
                      const api::TenantMigration& migration) override {
    return world_.Observe(stop, deadline, migration);
  }
  void LookAt(std::stop_token stop, Deadline deadline, const api::TenantMigration& migration,
              Subject subject, Observation& seen) override {
    world_.LookAt(stop, deadline, migration, subject, seen);
  }
  Status Perform(std::stop_token stop, Deadline deadline, const api::TenantMigration& migration,
                 Intent intent) override {
    released_ |= intent == Intent::kRemoveFinalizer;
    if (released_) return Ok();
    return world_.Perform(stop, deadline, migration, intent);
  }
  Result<std::string> Record(std::stop_token, Deadline, const api::TenantMigration&,
                             const api::TenantMigrationStatus&) override {
    return std::string();
  }

  /// Whether the ghost would now let go of its finalizer: nothing more is to be done for it.
  bool released() const { return released_; }

 private:
  World& world_;
  bool released_ = false;
};

std::string Called(const std::string& uid, const Ledger* ledger) {
  if (ledger == nullptr) return "migration uid " + uid;
  return "TenantMigration " + ledger->migration["namespace"].AsString() + "/" +
         ledger->migration["name"].AsString() + " (uid " + uid + ")";
}

std::string HowToResolve(const std::string& server_name, const std::string& uid) {
  return "kubectl annotate dbs " + server_name + " " + kResolveOrphanAnnotation + "=" + uid;
}

// As ListOptions have it.
constexpr char kEverywhere[] = "";

// Where migrations are ours.
std::set<std::string> Places(const OperatorConfig& config) {
  if (config.watch_namespaces.empty()) return {kEverywhere};
  return {config.watch_namespaces.begin(), config.watch_namespaces.end()};
}

void Append(std::string& sentences, const std::string& sentence) {
  sentences += (sentences.empty() ? "" : "; ") + sentence;
}

// What is known of the migration that a slot was made for.
enum class Owner { kUnderWay, kEnded, kUnknown };

// Whether a migration, be it another cluster's, has use for the slot: a row is there before any
// slot is made, and has not come to where all of them are gone. What cannot be read may say so.
bool IsClaimed(const std::stop_token& stop, Deadline deadline, const pg::ConnectOptions& admin,
               const pg::StreamSlot& slot) {
  auto inside = pg::Connection::Open(stop, deadline, admin.WithDatabase(slot.database));
  if (!inside) return true;
  auto control = pg::ReadControl(stop, deadline, *inside);
  if (!control) return true;
  return *control && slot.IsOf((*control)->migration_uid) &&
         (*control)->state != pg::ControlState::kRetired;
}

}  // namespace

/// What a sweep has seen, and what it makes of it.
struct Sweeper::Look {
  /// A database that nobody may enter, or that was only half made, and whose migration it says.
  struct Stranger {
    std::string server_name;
    std::string database;
    std::string migration_uid;
    std::optional<pg::Control> control;  ///< Nothing: half made.
    pg::ConnectOptions admin;
  };

  /// What a probe has made in a server's maintenance database.
  struct Probe {
    std::string server_name;
    pg::ConnectOptions admin;
    pg::ProbeTrace trace;
  };

  /// Of a stream, or of the watch beside one.
  struct Slot {
    std::string server_name;
    pg::ConnectOptions admin;
    pg::StreamSlot slot;
  };

  std::vector<FoundLedger> ledgers;
  std::vector<LabelledObject> movers;  ///< Jobs and their orders.
  std::vector<LabelledObject> pages;
  std::vector<Stranger> strangers;
  std::vector<Probe> probes;
  std::vector<Slot> slots;
  std::set<std::string> living;
  std::set<std::string> ended;        ///< Of the living: what they had is removed already.
  std::set<std::string> rolled_back;  ///< Of those: they keep a copy, and the ledger that says so.
  std::map<std::string, std::string> consents;  ///< Server → the uid that somebody named there.
  std::map<std::string, std::string> findings;
  /// When to look again if something is not settled.
  std::chrono::milliseconds again = kUnsettledInterval;

  bool Consents(const std::string& server_name, const std::string& uid) const {
    auto found = consents.find(server_name);
    return found != consents.end() && found->second == uid;
  }

  Owner OwnerOf(const pg::StreamSlot& slot) const {
    for (const std::string& uid : living)
      if (slot.IsOf(uid)) return ended.contains(uid) ? Owner::kEnded : Owner::kUnderWay;
    // Settle() removes it with the rest, or a person has to decide first.
    for (const FoundLedger& found : ledgers)
      if (slot.IsOf(found.migration_uid)) return Owner::kUnderWay;
    return Owner::kUnknown;
  }
};

// Jobs and orders are where their migration is, or at home; a maintenance page is beside it.
Status Sweeper::FindObjects(std::stop_token stop, Deadline deadline, Look& look) {
  const std::string& home = context_.config.namespace_name;
  std::set<std::string> places = Places(context_.config);
  for (const std::string& ns : places) {
    TRY_ASSIGN(auto pages, ListLabelled(stop, deadline, context_.client,
                                        {.resources = {kube::kService, kube::kDeployment},
                                         .ns = ns,
                                         .label = wiring::kMaintenanceLabel}));
    std::move(pages.begin(), pages.end(), std::back_inserter(look.pages));
  }
  if (!places.contains(kEverywhere)) places.insert(home);
  for (const std::string& ns : places) {
    TRY_ASSIGN(auto movers, ListMoverObjects(stop, deadline, context_.client, ns));
    std::move(movers.begin(), movers.end(), std::back_inserter(look.movers));
  }
  return Ok();
}

Status Sweeper::FindTheLiving(std::stop_token stop, Deadline deadline, Look& look) {
  const std::set<std::string> places = Places(context_.config);
  for (const std::string& ns : places) {
    // That one is seen twice, where the list has to begin again, does no harm: what of it is
    // deleted was found before.
    const auto note = [&look](const Json& migration) {
      look.living.insert(kube::UidOf(migration));
      auto phase = api::ParsePhase(migration.At({"status", "phase"}).AsString());
      if (phase && IsEnd(*phase)) look.ended.insert(kube::UidOf(migration));
      if (phase == api::Phase::kRolledBack) look.rolled_back.insert(kube::UidOf(migration));
    };
    TRY(kube::ForEach(stop, deadline, context_.client, kube::kTenantMigration, {.ns = ns}, note));
  }
  // A namespace that is no longer watched may hold a living one: nobody knows.
  if (places.contains(kEverywhere)) return Ok();
  for (const FoundLedger& found : look.ledgers)
    if (!places.contains(found.ledger.migration["namespace"].AsString()))
      look.living.insert(found.migration_uid);
  return Ok();
}

// Whoever is listed last cannot have been made after what was found of him.
Result<Sweeper::Look> Sweeper::LookAround(std::stop_token stop, Deadline deadline) {
  Look look;
  TRY_ASSIGN(look.ledgers,
             ListLedgers(stop, deadline, context_.client, context_.config.namespace_name));
  TRY(FindObjects(stop, deadline, look));
  TRY_ASSIGN(auto servers, context_.client.List(stop, deadline, kube::kDatabaseServer, {}));
  for (const Json& object : servers.items) {
    auto server = api::DecodeDatabaseServer(object);
    if (!server) continue;
    look.consents[server->meta.name] = server->meta.Annotation(kResolveOrphanAnnotation);
    FindStrangers(stop, deadline, *server, look);
  }
  TRY(FindTheLiving(stop, deadline, look));
  return look;
}

// The server's own catalogue names those worth a connection: what a fence or an unfinished creation
// looks like from outside. A server that cannot be asked is asked again at the next sweep.
void Sweeper::FindStrangers(std::stop_token stop, Deadline deadline,
                            const api::DatabaseServer& server, Look& look) {
  deadline = deadline.OrAfter(kServerBound);
  auto admin =
      server::AdminLogin(stop, deadline, context_.client, context_.config.namespace_name, server);
  if (!admin) return;
  auto beside = pg::Connection::Open(stop, deadline, *admin);
  if (!beside) return;
  if (auto traces = pg::FindProbes(stop, deadline, *beside))
    for (pg::ProbeTrace& trace : *traces)
      look.probes.push_back({server.meta.name, *admin, std::move(trace)});
  if (auto slots = pg::FindStreamSlots(stop, deadline, *beside))
    for (pg::StreamSlot& slot : *slots)
      look.slots.push_back({server.meta.name, *admin, std::move(slot)});
  auto rows = beside->Query(stop, deadline,
                            "SELECT datname, coalesce(substring(datname"
                            " FROM '^cutover_new_(.*)$'), '') FROM pg_catalog.pg_database"
                            " WHERE datallowconn AND NOT datistemplate"
                            " AND (datconnlimit = 0 OR datname LIKE 'cutover\\_new\\_%')");
  if (!rows) return;
  for (pg::Row row : *rows) {
    Look::Stranger stranger{server.meta.name, row.Text(0), row.Text(1), {}, *admin};
    auto inside = pg::Connection::Open(stop, deadline, admin->WithDatabase(stranger.database));
    if (!inside) continue;
    auto control = pg::ReadControl(stop, deadline, *inside);
    if (!control) continue;
    if (*control) stranger.migration_uid = (*control)->migration_uid;
    stranger.control = std::move(*control);
    if (!stranger.migration_uid.empty()) look.strangers.push_back(std::move(stranger));
  }
}

// Only what was listed before the migrations were: another attempt may have begun since.
Status Sweeper::DeleteLeftovers(std::stop_token stop, Deadline deadline, const Look& look) {
  std::vector<LabelledObject> nobodys;
  for (const LabelledObject& object : look.movers)
    if (!look.living.contains(object.migration_uid) || look.ended.contains(object.migration_uid))
      nobodys.push_back(object);
  // A page belongs to its migration: when that is missing, it goes by itself.
  for (const LabelledObject& object : look.pages)
    if (look.ended.contains(object.migration_uid)) nobodys.push_back(object);
  // Another attempt does not take a ledger for its own that is older than itself.
  for (const FoundLedger& found : look.ledgers)
    if (look.ended.contains(found.migration_uid) && !look.rolled_back.contains(found.migration_uid))
      nobodys.push_back(found.secret);
  for (const LabelledObject& object : nobodys)
    LogWarn("deleting what a migration that is over has left",
            {{"migrationUID", object.migration_uid},
             {"kind", object.resource.kind},
             {"object", object.key.ToString()}});
  return DeleteLabelled(stop, deadline, context_.client, nobodys);
}

// True unless there are some that may yet turn out to be nobody's.
bool Sweeper::RemoveOldProbes(std::stop_token stop, Deadline deadline, const Look& look) {
  const SteadyTime now = context_.clock.SteadyNow();
  std::map<std::string, SteadyTime> seen;
  std::set<std::pair<std::string, std::string>> removed;
  bool young = false;
  for (const Look::Probe& probe : look.probes) {
    const auto& [kind, name, identity] = probe.trace;
    const std::string what = probe.server_name + " " + kind + " " + name + " " + identity;
    auto before = probes_.find(what);
    const SteadyTime since = before == probes_.end() ? now : before->second;
    seen[what] = since;
    young |= now - since < kNobodysAfter;
    if (now - since < kNobodysAfter || !removed.insert({probe.server_name, name}).second) continue;
    LogWarn("removing what a probe of replication has left",
            {{"server", probe.server_name}, {"kind", kind}, {"name", name}});
    Deadline bound = deadline.OrAfter(kServerBound);
    auto beside = pg::Connection::Open(stop, bound, probe.admin);
    Status gone = beside ? pg::RemoveProbe(stop, bound, *beside, name)
                         : Status(tl::make_unexpected(beside.error()));
    if (!gone) LogError("cannot remove what a probe of replication has left", gone.error());
  }
  probes_ = std::move(seen);
  return !young;
}

// A CREATE DATABASE that arrived when its migration had ended, or was gone: never entered, and
// known by its name. True unless there are some that another cluster may yet claim.
bool Sweeper::DropHalfMade(std::stop_token stop, Deadline deadline, const Look& look) {
  const SteadyTime now = context_.clock.SteadyNow();
  std::map<std::string, SteadyTime> seen;
  bool young = false;
  for (const Look::Stranger& stranger : look.strangers) {
    const bool ended = look.ended.contains(stranger.migration_uid);
    if (stranger.control || (look.living.contains(stranger.migration_uid) && !ended)) continue;
    const std::string what = stranger.server_name + " " + stranger.database;
    auto before = half_made_.find(what);
    const SteadyTime since = before == half_made_.end() ? now : before->second;
    seen[what] = since;
    if (!ended && now - since < kNobodysAfter) {
      young = true;
      continue;
    }
    LogWarn("dropping a database that a migration that is over has left half made",
            {{"migrationUID", stranger.migration_uid}, {"database", stranger.database}});
    const pg::Claim claim{stranger.migration_uid, context_.config.epoch(), pg::Side::kTarget};
    Status dropped = pg::DropDatabase(stop, deadline, stranger.admin, stranger.database, claim);
    if (!dropped) LogError("cannot drop a database that is half made", dropped.error());
  }
  half_made_ = std::move(seen);
  return !young;
}

// One that was made when its migration was over, or gone, has no reader, and keeps more of the
// server's log every day. True unless there are some that may yet turn out to be nobody's.
bool Sweeper::DropLateSlots(std::stop_token stop, Deadline deadline, const Look& look) {
  const SteadyTime now = context_.clock.SteadyNow();
  std::map<std::string, SteadyTime> seen;
  bool young = false;
  for (const auto& [server_name, admin, slot] : look.slots) {
    const Owner owner = look.OwnerOf(slot);
    const Deadline bound = deadline.OrAfter(kServerBound);
    if (owner == Owner::kUnderWay) continue;
    if (owner == Owner::kUnknown && IsClaimed(stop, bound, admin, slot)) continue;
    const std::string what = server_name + " " + slot.name + " " + slot.position;
    auto before = late_slots_.find(what);
    const SteadyTime since = before == late_slots_.end() ? now : before->second;
    seen[what] = since;
    if (owner == Owner::kUnknown && now - since < kNobodysAfter) {
      young = true;
      continue;
    }
    LogWarn("dropping a replication slot that came when its migration was over",
            {{"server", server_name}, {"database", slot.database}, {"slot", slot.name}});
    auto beside = pg::Connection::Open(stop, bound, admin);
    Status dropped = beside ? pg::RemoveStreamSlot(stop, bound, *beside, slot)
                            : Status(tl::make_unexpected(beside.error()));
    if (!dropped) LogError("cannot drop a replication slot that came late", dropped.error());
  }
  late_slots_ = std::move(seen);
  return !young;
}

// True when nothing more is to be done without a person.
bool Sweeper::Settle(std::stop_token stop, Deadline deadline, const FoundLedger& found,
                     Look& look) {
  const std::string& uid = found.migration_uid;
  const std::string source = found.ledger.migration["sourceServerName"].AsString();
  const std::string target = found.ledger.migration["targetServerName"].AsString();
  ClusterWorld world(context_);
  const api::TenantMigration ghost = GhostOf(uid, found.ledger, Remedy::kReport);
  Observation seen = world.Observe(stop, deadline, ghost);
  world.LookAt(stop, deadline, ghost, Subject::kSource, seen);
  world.LookAt(stop, deadline, ghost, Subject::kTarget, seen);
  const bool consent = look.Consents(source, uid) || look.Consents(target, uid);
  const Advice advice = Advise(seen.source, seen.target, consent);
  const std::string found_it =
      "left by " + Called(uid, &found.ledger) + ", which no longer exists: " + advice.message;
  if (advice.remedy == Remedy::kReport) {
    std::string finding = found_it;
    if (seen.target.known() && seen.target->state == ControlState::kOpen)
      finding += "; to let the tenant stay on the target: " + HowToResolve(target, uid);
    LogError("a migration vanished and left what a person must decide",
             Error{Disposition::kTerminal, "OrphanFound", finding});
    Append(look.findings[source], finding);
    if (target != source) Append(look.findings[target], finding);
    return true;
  }
  LogWarn("settling what a vanished migration left", {{"migrationUID", uid}, {"why", found_it}});
  std::string last_words = advice.message;
  if (advice.remedy != Remedy::kWait &&
      Pursue(stop, deadline, advice.remedy, GhostOf(uid, found.ledger, advice.remedy), look,
             last_words))
    return true;
  Append(look.findings[source], found_it + "; being settled: " + last_words);
  return false;
}

// Goes on as the migration itself would have; true when that is done.
bool Sweeper::Pursue(std::stop_token stop, Deadline deadline, Remedy remedy,
                     api::TenantMigration ghost, Look& look, std::string& last_words) {
  ClusterWorld real(context_, /*vanished=*/true);
  GhostWorld world(real);
  for (int round = 0; round < kRoundsMax && !stop.stop_requested(); ++round) {
    auto step = RunOnce(world, stop, deadline, ghost, ghost.status);
    if (!step) {
      last_words = step.error().message;
      return false;
    }
    ghost.status = std::move(step->status);
    if (IsSettled(remedy, ghost.status.phase)) {
      LogInfo("settled", {{"migrationUID", ghost.meta.uid}, {"as", Name(ghost.status.phase)}});
      // The ledger stays with a rolled-back copy; for a vanished migration both go next.
      return remedy != Remedy::kGoBack;
    }
    if (world.released()) return true;
    last_words = ghost.status.message;
    if (step->moved) continue;
    look.again = std::min(look.again, std::max<std::chrono::milliseconds>(step->wait, kSoonest));
    return false;
  }
  return false;
}

// Without our ledger it may be another cluster's, which is at work there right now.
void Sweeper::ReportStrangers(std::stop_token stop, Deadline deadline, Look& look) {
  std::set<std::string> known = look.living;
  for (const FoundLedger& found : look.ledgers) known.insert(found.migration_uid);
  for (const Look::Stranger& stranger : look.strangers) {
    if (known.contains(stranger.migration_uid)) continue;
    const bool fenced_source = stranger.control &&
                               stranger.control->state == pg::ControlState::kFenced &&
                               stranger.control->side == pg::Side::kSource;
    if (fenced_source && look.Consents(stranger.server_name, stranger.migration_uid)) {
      pg::Claim claim{stranger.migration_uid, stranger.control->epoch, pg::Side::kSource};
      auto inside =
          pg::Connection::Open(stop, deadline, stranger.admin.WithDatabase(stranger.database));
      Status opened = inside ? pg::Unfence(stop, deadline, *inside, claim, pg::ControlState::kOpen)
                             : Status(tl::make_unexpected(inside.error()));
      if (opened) opened = pg::DropControl(stop, deadline, *inside, claim);
      if (opened) continue;
      LogError("cannot open a database as asked", opened.error());
    }
    std::string finding = "database " + stranger.database + " is held by " +
                          Called(stranger.migration_uid, nullptr) + " (" +
                          (stranger.control ? std::string(pg::Name(stranger.control->side)) + ", " +
                                                  std::string(pg::Name(stranger.control->state))
                                            : std::string("half made")) +
                          "), of which this cluster knows nothing";
    if (fenced_source)
      finding += "; if no other cluster is moving it, open it again: " +
                 HowToResolve(stranger.server_name, stranger.migration_uid);
    else
      finding += "; if no other cluster is moving it, and you need nothing of it, drop it";
    Append(look.findings[stranger.server_name], finding);
  }
}

Result<kube::Step> Sweeper::Sweep(std::stop_token stop, Deadline deadline) {
  // A deposed leader must not begin; the databases refuse it by themselves.
  if (context_.config.epoch() == 0) return kube::Step::Done();
  TRY_ASSIGN(Look look, LookAround(stop, deadline));
  TRY(DeleteLeftovers(stop, deadline, look));
  bool nothing_young = DropHalfMade(stop, deadline, look);
  nothing_young &= RemoveOldProbes(stop, deadline, look);
  nothing_young &= DropLateSlots(stop, deadline, look);
  bool settled = true;
  for (const FoundLedger& found : look.ledgers) {
    // Without these names it was written by an older version; a living migration needs neither.
    const bool complete = !found.ledger.migration["targetServerName"].AsString().empty();
    if (look.living.contains(found.migration_uid) || !complete) continue;
    settled &= Settle(stop, deadline, found, look);
  }
  ReportStrangers(stop, deadline, look);
  {
    MutexLock lock(mutex_);
    findings_ = std::move(look.findings);
  }
  if (!settled) return kube::Step::After(look.again);
  return kube::Step::After(nothing_young ? kInterval : kNobodysAfter);
}

std::string Sweeper::FindingsOn(const std::string& server_name) const {
  MutexLock lock(mutex_);
  auto found = findings_.find(server_name);
  return found == findings_.end() ? "" : found->second;
}

}  // namespace cutover::migration
