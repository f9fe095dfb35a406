// SPDX-License-Identifier: Apache-2.0
//
// record-objects: prints one object for every phase of a migration and for every way in which it
// can wait, and what a placement and a server look like, with the statuses that the operator's own
// code gives them. tests/gitops holds what Argo CD, Flux and kstatus make of them against the
// mapping; a phase that is added to the table of transitions appears here by itself.
//
// Prints {"Kind": {"name": object}} as JSON; with --obeyed, {"name": [command]} of the migrations:
// which commands the operator would obey there.
#include <cctype>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "operator/base/check.h"
#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/status.h"
#include "reconcilers/migration/transitions.h"
#include "reconcilers/placement/status.h"
#include "reconcilers/server/status.h"
#include "tests/gitops/obeyed.h"

namespace cutover {
namespace {

using api::Phase;
using migration::Decision;
using migration::Guard;
using migration::Observation;
using migration::Plan;

WallTime Noon() { return *ParseTime("2026-11-21T12:00:00Z"); }

Observation Seen() {
  Observation seen;
  seen.now = Noon();
  migration::PlacementFacts placement;
  placement.exists = true;
  placement.server_name = "pg-shared-1";
  seen.placement = placement;
  return seen;
}

/// With what a migration in `phase` meets that goes as it should.
Observation SeenIn(Phase phase) {
  Observation seen = Seen();
  migration::DatabaseFacts source;
  source.exists = source.closed = true;
  const bool journaled = migration::SideOf(phase) == migration::Side::kAfterJournal;
  source.state = journaled ? migration::ControlState::kJournaled : migration::ControlState::kFenced;
  seen.source = source;
  if (phase == Phase::kHypercare) {
    migration::DatabaseFacts target;
    target.exists = true;
    target.state = migration::ControlState::kOpen;
    seen.target = target;
  }
  seen.ledger_recorded = true;
  seen.routes = migration::RouteFacts{};
  seen.tenant_known = true;
  seen.maintenance_page = migration::MaintenancePageFacts{.exists = true, .ready = true};
  return seen;
}

/// What is seen of an Online migration in hypercare; as it is made, all that users write arrives.
struct WayBack {
  migration::DatabaseFacts left = *SeenIn(Phase::kHypercare).source;
  migration::PublisherFacts target;
  migration::SubscriberFacts source;
  migration::SampleFacts sample;
  migration::StructureFacts structure;

  WayBack() {
    target.traces = target.published = target.slot = true;
    target.clock_seconds = 1000;
    source.exists = source.enabled = source.working = true;
    source.heartbeat_at_seconds = target.clock_seconds - 1;
    sample.taken_at = Noon();
  }

  Observation Seen() const {
    Observation seen = SeenIn(Phase::kHypercare);
    seen.source = left;
    seen.forward_publisher = migration::PublisherFacts{};
    seen.forward_subscriber = migration::SubscriberFacts{};
    seen.reverse_publisher = target;
    seen.reverse_subscriber = source;
    seen.reverse_sample = sample;
    seen.structure = structure;
    seen.views = migration::ViewFacts{};
    seen.checks = std::vector<migration::CheckOutcome>();
    return seen;
  }
};

Error Refused() {
  return Error{Disposition::kRetry, "ConnectionFailed",
               "DatabaseServer pg-acme: could not connect to pg-acme.databases.svc, port 5432: "
               "connection refused"};
}

/// "AwaitingCutover" → "awaiting-cutover".
std::string FileName(std::string_view name) {
  std::string made;
  for (char c : name) {
    bool capital = std::isupper(static_cast<unsigned char>(c)) != 0;
    if (capital && !made.empty()) made += '-';
    made += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return made;
}

Json Metadata(const char* name, const char* namespace_name) {
  Json metadata = Json::Object({{"name", name}});
  if (*namespace_name != '\0') metadata.Set("namespace", namespace_name);
  metadata.Set("uid", "7a1e4f0c-3d5b-4c2a-9f0e-2b1d8c6e5a47");
  metadata.Set("resourceVersion", "4711");
  metadata.Set("generation", 1);
  metadata.Set("creationTimestamp", "2026-11-21T11:59:00Z");
  return metadata;
}

Json MigrationObject() {
  Json object = Json::Object({{"apiVersion", api::kApiVersion}, {"kind", "TenantMigration"}});
  object.Set("metadata", Metadata("acme-to-dedicated", "acme"));
  object.MutableAt("metadata").Set("finalizers", Json::Array({api::kFinalizer}));
  object.Set("spec", Json::Object({
                         {"placementRef", Json::Object({{"name", "acme"}})},
                         {"target", Json::Object({{"serverName", "pg-acme"}})},
                         {"strategy", "Offline"},
                         {"backup", Json::Object({{"mode", "Skip"}})},
                         {"hypercare", Json::Object({{"durationSeconds", 600}})},
                     }));
  return object;
}

Json OnlineObject() {
  Json object = MigrationObject();
  object.MutableAt("spec").Set("strategy", "Online");
  return object;
}

Json AskedToGoBack(Json object) {
  object.MutableAt("metadata").Set("annotations", Json::Object({{api::kRollbackAnnotation, "1"}}));
  return object;
}

/// With the status that the API server gives to whatever the operator has not looked at yet.
Json NotSeen(Json object) {
  object.Set("status", Json::Object({{"observedGeneration", -1}}));
  return object;
}

/// What the switch and the smoke test leave in the conditions.
void PassTo(Phase phase, api::TenantMigration& migration) {
  auto pass = [&](Phase from, Guard guard) {
    api::TenantMigration before = migration;
    before.status.phase = from;
    Decision decision;
    decision.plan = Plan::Go(guard);
    migration.status.conditions = migration::Advance(before, SeenIn(from), decision).conditions;
  };
  pass(Phase::kSwitching, Guard::kJournaled);
  if (phase != Phase::kOpening && phase != Phase::kSmoke) pass(Phase::kSmoke, Guard::kSmokePassed);
}

/// A migration that entered `phase` at noon, as the operator reads `object`.
api::TenantMigration MigrationIn(Phase phase, const Json& object) {
  Result<api::TenantMigration> decoded = api::DecodeTenantMigration(object);
  CHECK(decoded.has_value());
  api::TenantMigration migration = *decoded;
  auto& status = migration.status;
  status.phase = phase;
  status.attempt = 1;
  status.source_server_name = "pg-shared-1";
  api::Stage stage;
  stage.name = Name(phase);
  stage.state = "Running";
  stage.started_at = Noon();
  status.stages.push_back(stage);
  bool journaled = migration::SideOf(phase) == migration::Side::kAfterJournal;
  if (journaled || migration::DoorsClosed(phase, migration.spec.strategy))
    status.cutover.fenced_at = Noon();
  if (journaled) status.cutover.journaled_at = Noon();
  if (journaled) PassTo(phase, migration);
  return migration;
}

class Recording {
 public:
  Recording() {
    for (const char* kind : {"TenantMigration", "DatabasePlacement", "DatabaseServer"})
      kinds_.Set(kind, Json::Object());
  }

  void Add(const std::string& name, Json object) {
    Json& objects = kinds_.MutableAt(object["kind"].StringRef());
    CHECK(!objects.Contains(name));
    objects.Set(name, std::move(object));
  }

  /// What becomes of a migration in `phase` by `plan`.
  void AddPlanned(const std::string& name, Phase phase, Plan plan, std::string failure = "") {
    Json object = MigrationObject();
    api::TenantMigration migration = MigrationIn(phase, object);
    if (!failure.empty()) {
      migration.status.failure_reason = failure;
      migration.status.failure_message = "the copy's Job failed: disk full";
    }
    Decision decision;
    decision.plan = std::move(plan);
    AddDecided(name, std::move(object), migration, SeenIn(phase), decision);
  }

  /// What the operator itself decides about `object` in `phase`, when it sees `seen`.
  void AddDecided(const std::string& name, Phase phase, Json object, const Observation& seen) {
    api::TenantMigration migration = MigrationIn(phase, object);
    Decision decision = Decide(migration, seen);
    AddDecided(name, std::move(object), migration, seen, decision);
  }

  const Json& kinds() const { return kinds_; }
  const Json& obeyed() const { return obeyed_; }

 private:
  void AddDecided(const std::string& name, Json object, const api::TenantMigration& migration,
                  const Observation& seen, const Decision& decision) {
    api::TenantMigration then = migration;
    then.status = migration::Advance(migration, seen, decision);
    obeyed_.Set(name, Json::ArrayOf(ObeyedCommands(then, seen)));
    object.Set("status", api::EncodeStatus(then.status));
    Add(name, std::move(object));
  }

  Json kinds_ = Json::Object();
  Json obeyed_ = Json::Object();
};

std::vector<Phase> PhasesOfTheTable() {
  std::vector<Phase> phases;
  auto note = [&](Phase phase) {
    for (Phase known : phases)
      if (known == phase) return;
    phases.push_back(phase);
  };
  for (const auto& line : migration::Transitions()) {
    note(line.from);
    note(line.to);
  }
  return phases;
}

void RecordPhases(Recording& recording) {
  for (Phase phase : PhasesOfTheTable()) {
    if (migration::IsEnd(phase)) continue;
    std::string name = FileName(Name(phase));
    recording.AddPlanned(name, phase, Plan::Wait(std::chrono::seconds(1), "working"));
    recording.AddPlanned(name + "-retrying", phase, Plan::Unknown(Refused()));
  }
}

void RecordEnds(Recording& recording) {
  for (const auto& line : migration::Transitions()) {
    if (!migration::IsEnd(line.to) || migration::IsEnd(line.from)) continue;
    bool good = line.to == Phase::kCompleted;
    const bool says_why = !good && line.guard != Guard::kRolledBack;
    Plan plan = Plan::Go(line.guard, says_why ? "the copy's Job failed: disk full" : "");
    plan.reason = good ? "" : "CopyFailed";
    recording.AddPlanned(FileName(Name(line.to)) + "-from-" + FileName(Name(line.from)), line.from,
                         plan, good ? "" : "CopyFailed");
  }
}

// What a person is asked to do, in the operator's own words.
void RecordWaits(Recording& recording) {
  Json manual = MigrationObject();
  manual.MutableAt("spec").Set("cutover", Json::Object({{"approval", "Manual"}}));
  recording.AddDecided("awaiting-approval", Phase::kAwaitingCutover, manual,
                       SeenIn(Phase::kAwaitingCutover));

  Json suspended = MigrationObject();
  suspended.MutableAt("spec").Set("suspend", true);
  recording.AddDecided("suspended", Phase::kPreparing, suspended, Seen());

  recording.AddDecided("rollback-needs-consent", Phase::kHypercare,
                       AskedToGoBack(MigrationObject()), SeenIn(Phase::kHypercare));

  Observation ailing = SeenIn(Phase::kHypercare);
  migration::CheckOutcome check;
  check.name = "login-page";
  check.message = "status 500, expected 200";
  check.failure_threshold = 1;
  ailing.checks = std::vector{check};
  recording.AddDecided("hypercare-check-failed", Phase::kHypercare, MigrationObject(), ailing);

  Json early = MigrationObject();
  early.MutableAt("spec").Set(
      "cutover", Json::Object({{"window", Json::Object({{"start", "2026-11-22T01:00:00Z"},
                                                        {"end", "2026-11-22T03:00:00Z"}})}}));
  recording.AddDecided("awaiting-window", Phase::kAwaitingCutover, early, Seen());

  Observation empty = Seen();
  empty.placement = migration::PlacementFacts{};  // It does not exist.
  recording.AddDecided("placement-not-found", Phase::kPending, MigrationObject(), empty);

  Observation lacking = Seen();
  lacking.preflight = std::vector{migration::Finding{migration::Severity::kBlocking, "ServerFull",
                                                     "DatabaseServer pg-acme has 3 tenants"}};
  lacking.preflight_lines = {
      {"capacity", api::PreflightResult::kBlocking, "DatabaseServer pg-acme has 3 tenants"}};
  recording.AddDecided("preflight-failed", Phase::kPreflight, MigrationObject(), lacking);
}

// The other reasons of api::kWaitsForPerson, which follow from facts of two databases, each in a
// phase that gives it. tests/gitops/waits_for_person_test.py sees that none is missing.
void RecordWaitsOfDatabases(Recording& recording) {
  struct Held {
    Phase phase;
    const char* reason;
    bool trouble;
  };
  for (const Held& held :
       {Held{Phase::kCopying, "PodCannotStart", true},
        Held{Phase::kCatchingUp, "SchemaChanged", true},
        Held{Phase::kCatchingUp, "ApplyFails", true}, Held{Phase::kRollingBack, "NoWayBack", false},
        Held{Phase::kHypercare, "SmokeFailedNoWayBack", true},
        Held{Phase::kUndoing, "SourceGone", false}, Held{Phase::kHypercare, "TargetGone", true},
        Held{Phase::kRollingBack, "LedgerMissing", true},
        Held{Phase::kUndoing, "MoveWasOver", true}, Held{Phase::kUndoing, "EpochBehind", true}}) {
    Plan plan = Plan::Wait(std::chrono::seconds(5), "holding for a person", held.reason);
    plan.trouble = held.trouble;
    recording.AddPlanned(FileName(held.reason), held.phase, plan);
  }
}

// A database that no fence would stop: the source before the doors close, and the target where a
// rollback is asked for.
void RecordWaitsForFence(Recording& recording) {
  Observation prepared = SeenIn(Phase::kAwaitingCutover);
  migration::DatabaseFacts source;
  source.exists = true;
  source.state = migration::ControlState::kOpen;
  source.prepared_transactions = 1;
  source.prepared = "order-42";
  prepared.source = source;
  recording.AddDecided("prepared-transactions", Phase::kAwaitingCutover, MigrationObject(),
                       prepared);

  Observation owned = WayBack().Seen();
  migration::DatabaseFacts target = *owned.target;
  target.superuser_owner = true;
  owned.target = target;
  recording.AddDecided("superuser-owner", Phase::kHypercare, AskedToGoBack(OnlineObject()), owned);
}

// Every way in which an Online move's way back can stand while users work on the target, and what
// becomes of a rollback that is asked for then.
void RecordWaysBack(Recording& recording) {
  const Json object = OnlineObject();
  auto record = [&](const std::string& name, auto change) {
    WayBack back;
    change(back);
    recording.AddDecided(name, Phase::kHypercare, object, back.Seen());
    return back.Seen();
  };
  record("online-way-back-open", [](WayBack&) {});
  record("online-stream-behind", [](WayBack& back) { back.source.heartbeat_at_seconds = 0; });
  const Observation broken =
      record("online-stream-broken", [](WayBack& back) { back.target.slot = false; });
  recording.AddDecided("online-rollback-needs-consent", Phase::kHypercare, AskedToGoBack(object),
                       broken);
  record("online-sample-differs", [](WayBack& back) {
    back.sample.differences = 1;
    back.sample.words = "public.orders (id)=(42) differs";
  });
  record("online-structure-changed",
         [](WayBack& back) { back.structure.changes = "table public.orders has another column"; });
  record("online-way-back-given-up",
         [](WayBack& back) { back.target.retained_bytes = int64_t{1} << 60; });
  record("online-source-gone", [](WayBack& back) {
    back.left = {};
    back.source = {};
  });

  WayBack behind;
  behind.target.lag_bytes = int64_t{1} << 40;
  recording.AddDecided("awaiting-way-back", Phase::kHypercare, AskedToGoBack(object),
                       behind.Seen());
}

// Moments between two writes of the operator.
void RecordMoments(Recording& recording) {
  recording.Add("not-seen-yet", NotSeen(MigrationObject()));
  const Json copying = recording.kinds().At({"TenantMigration", "copying"});
  Json deleted = copying;
  deleted.MutableAt("metadata").Set("deletionTimestamp", "2026-11-21T12:00:01Z");
  recording.Add("deleting", deleted);
  Json changed = recording.kinds().At({"TenantMigration", "awaiting-approval"});
  changed.MutableAt("metadata").Set("generation", 2);
  recording.Add("changed-since", changed);
}

Json PlacementObject() {
  Json object = Json::Object({{"apiVersion", api::kApiVersion}, {"kind", "DatabasePlacement"}});
  object.Set("metadata", Metadata("acme", "acme"));
  Json password = Json::Object({{"name", "acme-database"}, {"key", "password"}});
  object.Set(
      "spec",
      Json::Object(
          {{"database",
            Json::Object({{"name", "acme"}, {"owner", "acme"}, {"passwordSecretRef", password}})},
           {"class", "Shared"},
           {"serverName", "pg-shared-1"},
           {"connection",
            Json::Object({{"service", Json::Object({{"name", "acme-database"}})}})}}));
  return object;
}

Json ServerObject() {
  Json object = Json::Object({{"apiVersion", api::kApiVersion}, {"kind", "DatabaseServer"}});
  object.Set("metadata", Metadata("pg-shared-1", ""));
  object.Set("spec",
             Json::Object({{"class", "Shared"},
                           {"endpoint", Json::Object({{"host", "pg-shared-1.databases.svc"}})},
                           {"adminSecretRef", Json::Object({{"name", "pg-shared-1-admin"}})}}));
  return object;
}

pg::ServerFacts HealthyServer() {
  pg::ServerFacts facts;
  facts.version = "17.6";
  facts.system_identifier = "7000";
  facts.timeline = 1;
  facts.wal_level = "logical";
  facts.tenants = {"acme"};
  facts.connections_max = 100;
  return facts;
}

void AddServer(Recording& recording, const char* name, const Result<pg::ServerFacts>& probe) {
  Json object = ServerObject();
  Result<api::DatabaseServer> decoded = api::DecodeDatabaseServer(object);
  CHECK(decoded.has_value());
  object.Set("status", api::EncodeStatus(server::DecideStatus(*decoded, probe, Noon())));
  recording.Add(name, std::move(object));
}

void RecordServers(Recording& recording) {
  recording.Add("not-seen-yet", NotSeen(ServerObject()));
  AddServer(recording, "ready", HealthyServer());
  AddServer(recording, "unreachable", tl::make_unexpected(Refused()));
  AddServer(recording, "authentication-failed",
            tl::make_unexpected(Error{Disposition::kTerminal, "AuthenticationFailed",
                                      "password authentication failed for user \"cutover\""}));
}

placement::PlacementObservation HealthyPlacement() {
  placement::PlacementObservation seen;
  Result<api::DatabasePlacement> decoded = api::DecodeDatabasePlacement(PlacementObject());
  CHECK(decoded.has_value());
  seen.placement = *decoded;
  seen.server_name = "pg-shared-1";
  Result<api::DatabaseServer> server = api::DecodeDatabaseServer(ServerObject());
  CHECK(server.has_value());
  seen.server = *server;
  seen.server->status = server::DecideStatus(*server, HealthyServer(), Noon());
  seen.password = std::string("p");
  seen.database = placement::DatabaseObservation{.exists = true, .owner = "acme"};
  return seen;
}

void AddPlacement(Recording& recording, const char* name,
                  const placement::PlacementObservation& seen) {
  Json object = PlacementObject();
  object.Set("status", api::EncodeStatus(placement::DecideStatus(seen, Noon())));
  recording.Add(name, std::move(object));
}

void RecordPlacements(Recording& recording) {
  recording.Add("not-seen-yet", NotSeen(PlacementObject()));
  placement::PlacementObservation seen = HealthyPlacement();
  AddPlacement(recording, "ready", seen);
  seen.migration_name = "acme-to-dedicated";
  seen.is_being_moved = true;
  AddPlacement(recording, "migrating", seen);
  seen = HealthyPlacement();
  seen.placement.status.server_name = "pg-acme";
  AddPlacement(recording, "pinned-elsewhere", seen);
  seen = HealthyPlacement();
  seen.password = tl::make_unexpected(
      Error{Disposition::kRetry, "SecretMissing", "Secret acme/acme-database does not exist"});
  AddPlacement(recording, "password-missing", seen);
  seen = HealthyPlacement();
  seen.database->exists = false;
  AddPlacement(recording, "database-not-found", seen);
}

}  // namespace
}  // namespace cutover

int main(int argc, char** argv) {
  cutover::Recording recording;
  cutover::RecordPhases(recording);
  cutover::RecordEnds(recording);
  cutover::RecordWaits(recording);
  cutover::RecordWaitsOfDatabases(recording);
  cutover::RecordWaitsForFence(recording);
  cutover::RecordWaysBack(recording);
  cutover::RecordMoments(recording);
  cutover::RecordServers(recording);
  cutover::RecordPlacements(recording);
  const bool obeyed = argc == 2 && std::string_view(argv[1]) == "--obeyed";
  std::cout << (obeyed ? recording.obeyed() : recording.kinds()).DumpPretty() << "\n";
}
