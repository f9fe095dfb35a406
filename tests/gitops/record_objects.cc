// SPDX-License-Identifier: Apache-2.0
//
// record-objects: prints one object for every phase of a migration and for every way in which it
// can wait, and what a placement and a server look like, with the statuses that the operator's own
// code gives them. tests/gitops holds what Argo CD, Flux and kstatus make of them against the
// mapping; a phase that is added to the table of transitions appears here by itself.
//
// Prints {"Kind": {"name": object}} as JSON.
#include <cctype>
#include <iostream>
#include <string>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "operator/base/check.h"
#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/status.h"
#include "reconcilers/migration/transitions.h"
#include "reconcilers/placement/status.h"
#include "reconcilers/server/status.h"

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

/// With the status that the API server gives to whatever the operator has not looked at yet.
Json NotSeen(Json object) {
  object.Set("status", Json::Object({{"observedGeneration", -1}}));
  return object;
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
    AddDecided(name, std::move(object), migration, Seen(), decision);
  }

  /// What the operator itself decides about `object` in `phase`, when it sees `seen`.
  void AddDecided(const std::string& name, Phase phase, Json object, const Observation& seen) {
    api::TenantMigration migration = MigrationIn(phase, object);
    Decision decision = Decide(migration, seen);
    AddDecided(name, std::move(object), migration, seen, decision);
  }

  const Json& kinds() const { return kinds_; }

 private:
  void AddDecided(const std::string& name, Json object, const api::TenantMigration& migration,
                  const Observation& seen, const Decision& decision) {
    object.Set("status", api::EncodeStatus(migration::Advance(migration, seen, decision)));
    Add(name, std::move(object));
  }

  Json kinds_ = Json::Object();
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
    Plan plan = Plan::Go(line.guard, good ? "" : "the copy's Job failed: disk full");
    plan.reason = good ? "" : "CopyFailed";
    recording.AddPlanned(FileName(Name(line.to)) + "-from-" + FileName(Name(line.from)), line.from,
                         plan, good ? "" : "CopyFailed");
  }
}

// What a person is asked to do, in the operator's own words.
void RecordWaits(Recording& recording) {
  Json manual = MigrationObject();
  manual.MutableAt("spec").Set("cutover", Json::Object({{"approval", "Manual"}}));
  recording.AddDecided("awaiting-approval", Phase::kAwaitingCutover, manual, Seen());

  Json suspended = MigrationObject();
  suspended.MutableAt("spec").Set("suspend", true);
  recording.AddDecided("suspended", Phase::kPreparing, suspended, Seen());

  Json back = MigrationObject();
  back.MutableAt("metadata").Set("annotations", Json::Object({{api::kRollbackAnnotation, "1"}}));
  Observation with_source = Seen();
  migration::DatabaseFacts source;
  source.exists = true;
  source.state = migration::ControlState::kJournaled;
  with_source.source = source;
  recording.AddDecided("rollback-needs-consent", Phase::kHypercare, back, with_source);

  Observation ailing = Seen();
  migration::CheckOutcome check;
  check.name = "login-page";
  check.message = "status 500, expected 200";
  check.failure_threshold = 1;
  ailing.checks = std::vector{check};
  source.closed = true;
  ailing.source = source;
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
  for (const Held& held : {Held{Phase::kCopying, "PodCannotStart", true},
                           Held{Phase::kCatchingUp, "SchemaChanged", true},
                           Held{Phase::kCatchingUp, "ApplyFails", true},
                           Held{Phase::kHypercare, "AwaitingWayBack", false},
                           Held{Phase::kRollingBack, "NoWayBack", false},
                           Held{Phase::kUndoing, "SourceGone", false}}) {
    Plan plan = Plan::Wait(std::chrono::seconds(5), "holding for a person", held.reason);
    plan.trouble = held.trouble;
    recording.AddPlanned(FileName(held.reason), held.phase, plan);
  }
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

int main() {
  cutover::Recording recording;
  cutover::RecordPhases(recording);
  cutover::RecordEnds(recording);
  cutover::RecordWaits(recording);
  cutover::RecordWaitsOfDatabases(recording);
  cutover::RecordMoments(recording);
  cutover::RecordServers(recording);
  cutover::RecordPlacements(recording);
  std::cout << recording.kinds().DumpPretty() << "\n";
}
