// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "operator/base/clock.h"
#include "reconcilers/migration/fact.h"

namespace cutover::migration {

/// State of `cutover.control`, the one row in a side's database that outlives every process.
///
///   source:  none → open → fenced → journaled → retired
///                     ↑        │          └→ reopened      (rollback)
///                     └────────┘ undo
///   target:  none → preparing → copied → verified → open ⇄ fenced (rollback, also from verified,
///                                                           and one that is given up)
///
/// `dropping` is the last word of a database that is about to go. postgres/control.h has the table.
enum class ControlState {
  kNone,
  kOpen,
  kFenced,
  kJournaled,
  kReopened,
  kRetired,
  kPreparing,
  kCopied,
  kVerified,
  kDropping,
};
std::string_view Name(ControlState state);

/// The tenant's database on one side, read in one go.
struct DatabaseFacts {
  bool exists = false;
  ControlState state = ControlState::kNone;
  bool foreign = false;        ///< The control row belongs to another migration.
  bool closed = false;         ///< Owner, ACL and connection limit refuse everybody but us.
  int64_t other_sessions = 0;  ///< Sessions in it that are not the operator's or the mover's.
  int64_t prepared_transactions = 0;
  std::string prepared{};        ///< Which those are.
  bool superuser_owner = false;  ///< Open, and a superuser's, whom no fence stops.
  std::string detail;            ///< What is in the way, for a message.
  /// The control row has the epoch of a leader before us: what it sends late would still be done.
  bool admits_former_leader = false;

  /// Roles that we made, or a database half made, are there; not looked for while the database's
  /// own control row says that it is ours.
  bool traces = false;

  /// Whether undo has something to drop here, and may.
  bool OursToDrop() const { return traces || (exists && !foreign && state != ControlState::kNone); }

  /// Proof that nobody can write, rather than a setting that says so.
  bool ProvenFenced() const {
    return exists && closed && other_sessions == 0 && prepared_transactions == 0;
  }
};

struct PlacementFacts {
  bool exists = false;
  int64_t generation = 0;   ///< Of its spec.
  std::string server_name;  ///< Where the tenant is now.
  /// Another active migration that came first, or empty; looked for before the migration begins,
  /// and when it has ended and may have left a pooler paused.
  std::string rival_migration;
};

/// All workloads of the placement together. Without workloads everything holds.
struct WorkloadFacts {
  bool scaled_down = true;  ///< Zero replicas wanted, or suspended.
  bool stopped = true;      ///< Scaled down and no pod left.
  bool as_recorded = true;  ///< None that ran is stopped; their numbers may be other ones by now.
  bool ready = true;        ///< As many pods are ready as are wanted.
  std::string detail;
  /// While going back: those that are not stopped, since their volumes would go with their pods.
  /// They count as stopped.
  std::string left_running{};
};

/// All routes of the placement together. Without routes both hold.
struct RouteFacts {
  bool at_maintenance = true;
  bool as_recorded = true;
  std::string detail;
};

/// All wiring of the placement together.
struct WiringFacts {
  bool at_target = false;
  std::string detail;
};

/// Why no pod of a Job, or of the maintenance page, runs that should.
struct PodHindrance {
  std::string words;  ///< With the object, and what to do; the same as long as it is so.
  WallTime since;     ///< When the pod was made, or its owner where there is none.
};

struct MaintenancePageFacts {
  bool exists = false;
  bool ready = false;
  bool half = false;  ///< Made in part, by somebody who was cut short.
  /// It is not ready; looked for while something waits for that.
  std::optional<PodHindrance> hindrance{};
};

struct JobFacts {
  bool exists = false;
  bool going = false;  ///< Deleted, with pods that have not ended yet.
  /// Going, with pods that should have ended long ago, as where their node is dead.
  bool abandoned = false;
  /// Only of an earlier attempt: a request of a deposed leader that arrived after that had ended.
  bool earlier = false;
  bool succeeded = false;
  bool failed = false;
  std::string
      message;  ///< The mover's last words, a backup's proof, or what a copy that runs lacks.
  /// It runs, though a pod of it has failed: how many, and why the last did; empty if none has.
  std::string setback;
  /// A running copy was ordered to be as fast as the migration's spec says by now, and between the
  /// addresses that the servers have by now.
  bool order_current = true;
  std::optional<PodHindrance> hindrance{};  ///< It has not ended, and has no pod that runs.
};

struct CopyProgress {
  std::string stage;
  int64_t bytes_done = 0, bytes_total = 0, tables_done = 0, tables_total = 0;
  int64_t rows_done = 0;
};

/// What the mover wrote into the target database when it was done, in the same transaction as its
/// last verified table.
struct CopyResult {
  int64_t attempt = 0;
  bool equal = false;  ///< Positive proof: everything compared, nothing differed.
  std::string level;
  int64_t tables = 0, rows = 0, bytes = 0, mismatches = 0;
  std::string report;
  /// Strategy Online: changed rows that nobody has compared, and why; empty if there are none.
  std::string left_out;

  bool Proven() const { return equal && mismatches == 0; }
  std::string Describe() const { return left_out.empty() ? report : report + "; " + left_out; }
};

enum class Severity {
  kWarning,   ///< Said, but not in the way.
  kBlocking,  ///< Somebody must change something; the migration goes on by itself then.
  kHopeless,  ///< This migration can never work, since its spec is immutable.
};

/// One line of the preflight's report.
struct Finding {
  Severity severity = Severity::kBlocking;
  std::string reason;   ///< CamelCase; documented.
  std::string message;  ///< What is wrong, with the object, and what to do.

  friend bool operator==(const Finding&, const Finding&) = default;
};

/// How one run of a check went.
enum class Verdict {
  kFailed,
  kPassed,
  kUnknown,     ///< Whoever was asked does not know, or does not answer: that says nothing.
  kNotStarted,  ///< Its Job is still to be made,
  kRunning,     ///< or has not ended.
};

struct CheckOutcome {
  std::string name;
  Verdict verdict = Verdict::kFailed;
  std::string message;
  int timeout_seconds = 60;
  int failure_threshold = 16;
  /// Of the answer, where that is measured; the median where there were several samples.
  std::optional<std::chrono::milliseconds> latency{};
  int samples = 0;
  bool by_job = false;  ///< A Job tries again by itself: its failure is its last word.

  bool Passed() const { return verdict == Verdict::kPassed; }
  bool IsOver() const { return verdict != Verdict::kNotStarted && verdict != Verdict::kRunning; }
};

/// What the publishing side of a stream holds, on its server (postgres/replication.h).
struct PublisherFacts {
  bool traces = false;     ///< A role, a publication, a slot, or changed replica identities.
  bool published = false;  ///< The publication is there.
  bool slot = false;
  bool slot_lost = false;  ///< The server has thrown away WAL that the slot needs.
  int64_t lag_bytes = 0;
  int64_t retained_bytes = 0;   ///< WAL that the server keeps for it; for the copy's watch, too.
  int64_t safe_wal_bytes = -1;  ///< How much more may be written until it is lost; -1: no bound.
  double clock_seconds = 0;     ///< What the server's clock said when this was read, since 1970.
  /// That the subscriber's log was on when the stream was laid; 0: nobody has written it down.
  int64_t subscriber_timeline = 0;

  /// Servers that have said how much more they will keep are not driven to the last byte.
  static constexpr int64_t kSafeWalBytesMin = 64 << 20;
  /// Whether the server will throw away soon what the slot needs.
  bool RunsOutOfWal() const { return safe_wal_bytes >= 0 && safe_wal_bytes < kSafeWalBytesMin; }

  /// Whether a stream can read from it: what is lost or dropped here does not come back.
  bool Streams() const { return published && slot && !slot_lost; }
};

/// What the subscribing side holds.
struct SubscriberFacts {
  bool exists = false;
  bool enabled = false;
  bool working = false;
  /// It dials the publisher where that is by now, as far as that is known.
  bool address_current = true;
  int64_t apply_errors = 0;  ///< -1: the server does not count them.
  std::string last_error;
  int64_t marker = 0;    ///< The highest that has arrived.
  int64_t timeline = 0;  ///< Of the server's log; 0: there is no database.
  /// What the publisher's clock said when it wrote the last heartbeat that has arrived; nothing
  /// before the first.
  std::optional<double> heartbeat_at_seconds;

  /// How old that heartbeat is; -1: none has arrived. By the publisher's own clock, since two
  /// servers' clocks may differ by any time.
  double HeartbeatAgeSeconds(const PublisherFacts& publisher) const {
    if (!heartbeat_at_seconds) return -1;
    return std::max(0.0, publisher.clock_seconds - *heartbeat_at_seconds);
  }

  /// Whether a standby was promoted in the place of the server that the stream was laid to, or an
  /// earlier state of it restored: what it had confirmed may be missing, and is not sent again.
  bool FailedOver(const PublisherFacts& publisher) const {
    return timeline > 0 && publisher.subscriber_timeline > 0 &&
           timeline != publisher.subscriber_timeline;
  }
};

/// What is known of the rows that the stream back has carried (postgres/sample.h).
struct SampleFacts {
  std::optional<WallTime> taken_at;  ///< The last look; nothing before the first.
  int64_t rows = 0;                  ///< Compared since the first.
  int64_t undecided = 0;             ///< Differed, and may have been on their way.
  int64_t differences = 0;           ///< Proven.
  std::string words;                 ///< Which those are.
  std::string not_compared;          ///< Tables that are large and have no key.
};

/// What is known of the target's structure since users work on it (postgres/structure.h).
struct StructureFacts {
  int64_t settled = 0;  ///< The marker (MarkerOf()) of the closed doors that it was settled behind.
  std::string changes;  ///< What is not as it was opened; empty if nothing.
};

/// The tenant's materialized views, which no stream carries (postgres/matviews.h).
struct ViewFacts {
  /// Refreshed on the source since they were filled on the target; those first that others read.
  std::vector<std::string> stale;
  int64_t refreshed = 0;                 ///< On the target, since the copy.
  std::optional<WallTime> refreshed_at;  ///< The last time that it was tried.
  std::string trouble;                   ///< Those that could not be, and why.
};

/// All poolers in front of the tenant that answer, together. Without poolers both hold.
struct PoolerFacts {
  bool paused = true;  ///< Those that are not ready left out, as long as any is.
  bool resumed = true;
  /// When this process paused or resumed them, whichever came last; nothing when another did.
  std::optional<WallTime> since;
  /// When this process began to pause them, the last time, in vain or not.
  std::optional<WallTime> tried_since{};
  /// This process has resumed them and found all that answer where it led them. One that was
  /// restarted while it was paused is open by itself, and nobody has asked it where it leads.
  bool proven = false;
  std::string detail;
  /// Some that are ready did not answer: why. Of them nothing is known.
  std::optional<Error> silent{};
};

/// Everything a decision may rest on. Begun by World::Observe with nothing looked at; a decision
/// that needs a fact asks for it (plan.h), and World::LookAt puts it in. What no decision asks for
/// is never read: while the doors are closed, each read is time that users wait.
struct Observation {
  WallTime now;
  Fact<PlacementFacts> placement{Subject::kPlacement};
  Fact<bool> ledger_recorded{Subject::kLedger};
  std::string ledger_secret;  ///< Which it is, or ought to be, in words; with `ledger_recorded`.
  Fact<WorkloadFacts> workloads{Subject::kWorkloads};
  Fact<RouteFacts> routes{Subject::kRoutes};
  Fact<WiringFacts> wiring{Subject::kWiring};
  Fact<bool> wiring_restored{Subject::kWiringRestored};  ///< Exactly what the ledger holds.
  /// No request of a former leader can change workloads, routes or wiring any more.
  Fact<bool> requests_outdated{Subject::kOutdated};
  Fact<MaintenancePageFacts> maintenance_page{Subject::kMaintenancePage};
  Fact<JobFacts> backup_job{Subject::kBackupJob};
  Fact<JobFacts> copy_job{Subject::kCopyJob};
  Fact<JobFacts> check_jobs{Subject::kCheckJobs};  ///< All Jobs of checks together.
  Fact<std::optional<CopyProgress>> copy_progress{Subject::kCopyProgress};
  Fact<std::optional<CopyResult>> copy_result{Subject::kCopyResult};
  Fact<DatabaseFacts> source{Subject::kSource};
  Fact<DatabaseFacts> target{Subject::kTarget};
  // Strategy Online: the stream to the target, and the one back.
  Fact<PublisherFacts> forward_publisher{Subject::kForwardPublisher};     ///< On the source.
  Fact<SubscriberFacts> forward_subscriber{Subject::kForwardSubscriber};  ///< On the target.
  Fact<PublisherFacts> reverse_publisher{Subject::kReversePublisher};     ///< On the target.
  Fact<SubscriberFacts> reverse_subscriber{Subject::kReverseSubscriber};  ///< On the source.
  /// The way back was tried for the cutover that comes next.
  Fact<bool> way_back_rehearsed{Subject::kRehearsal};
  /// The closed target knows the tenant: it refuses him the database, and no longer the login.
  /// False where his password was changed since his role was made there.
  Fact<bool> tenant_known{Subject::kTenantLogin};
  /// The same of the fenced source, while users work on the target. False where his password was
  /// changed there since, which the source does not know.
  Fact<bool> tenant_known_back{Subject::kTenantLoginBack};
  Fact<SampleFacts> reverse_sample{Subject::kReverseSample};
  Fact<StructureFacts> structure{Subject::kStructure};  ///< The target's.
  Fact<ViewFacts> views{Subject::kViews};
  /// What of the source's structure is not as it was copied, in words; empty: nothing.
  Fact<std::string> schema_change{Subject::kSchema};
  Fact<PoolerFacts> poolers{Subject::kPoolers};
  Fact<std::vector<Finding>> preflight{Subject::kPreflight};
  std::vector<api::PreflightLine> preflight_lines;  ///< The same line by line; with `preflight`.
  /// Those that ran: in Hypercare, that were due.
  Fact<std::vector<CheckOutcome>> checks{Subject::kChecks};
  /// In Preflight, those of Hypercare whose latency was measured.
  Fact<std::vector<CheckOutcome>> baselines{Subject::kBaselines};
};

}  // namespace cutover::migration
