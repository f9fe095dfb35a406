// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "operator/base/check.h"
#include "reconcilers/migration/world.h"

namespace cutover::migration {

/// Thrown where the operator dies. Nothing of the reconciler survives it; the model does.
struct Killed {};

/// One database in the model. Writable means: somebody other than the operator could write.
struct ModelDatabase {
  bool exists = false;
  bool closed = false;
  int64_t rows = 0;
  ControlState state = ControlState::kNone;
  bool verified_equal = false;

  bool Writable() const { return exists && !closed; }
};

enum class ModelSide { kSource, kTarget };

/// One stream between them: what its publisher has written arrives one look later.
struct ModelStream {
  bool published = false, slot = false, slot_lost = false;
  bool exists = false, enabled = false;
  int64_t marker_written = 0, marker_on_the_way = 0, marker = 0;
  WallTime heartbeat_written, heartbeat;
  int64_t sent_rows = 0;        ///< The publisher's rows up to which the slot has sent.
  int64_t rows_on_the_way = 0;  ///< Sent, and not applied yet.
};

/// Everything that outlives the operator: Kubernetes objects, two databases, the mover's Jobs.
struct Model {
  api::TenantMigration migration;
  bool placement_exists = true;
  ModelSide placed_on = ModelSide::kSource;
  std::string rival;
  bool ledger = false;
  int replicas = 2;
  int pods = 2;
  bool route_at_maintenance = false;
  ModelSide wiring = ModelSide::kSource;
  bool page = false;
  JobFacts backup_job, copy_job;
  int backup_left = 2, copy_left = 3;  ///< Observations until the Job has done its work.
  std::optional<CopyResult> copy_result;
  ModelDatabase source{.exists = true, .rows = 100}, target;
  ModelStream forward, reverse;
  bool poolers_paused = false;
  bool source_up = true, target_up = true;
  int64_t epoch = 0;
  int64_t acknowledged_rows = 100;  ///< What clients were told is safe.
  bool source_dropped = false;

  // As the operator knows it, which may be ahead of what it has recorded.
  api::Phase phase = api::Phase::kPending;

  // What this run is about.
  std::vector<Finding> findings;
  bool schema_changed = false, rogue_write = false, forward_stands_still = false;
  int pauses_that_fail = 0;
  bool copy_fails = false, copy_differs = false, smoke_fails = false, pods_never_ready = false;
};

enum class Fault {
  kNone,
  kDieBefore,   ///< Killed before the effect.
  kDieAfter,    ///< Killed after it.
  kAnswerLost,  ///< It happened, and the caller gets kInDoubt.
  kRefused,     ///< It did not happen, and the caller gets kRetry.
};

/// World over a Model, in virtual time, with one fault at one effect. Effects and records are
/// counted alike: both change the world, and the operator can die around both.
class ModelWorld final : public World {
 public:
  explicit ModelWorld(Model& model, int64_t epoch) : model_(model), epoch_(epoch) {}

  Observation Observe(std::stop_token, Deadline, const api::TenantMigration&) override;
  /// Never asked: its observations begin with everything in them.
  void LookAt(std::stop_token, Deadline, const api::TenantMigration&, Subject,
              Observation&) override {
    CHECK(false);
  }
  Status Perform(std::stop_token, Deadline, const api::TenantMigration&, Intent) override;
  Result<std::string> Record(std::stop_token, Deadline, const api::TenantMigration&,
                             const api::TenantMigrationStatus&) override;

  int fault_at = -1;
  Fault fault = Fault::kNone;
  int effects = 0;
  WallTime now = std::chrono::system_clock::from_time_t(1'800'000'000);
  /// Called after every change of the model: the invariants.
  std::function<void(const Model&)> check = [](const Model&) {};
  std::vector<Intent> performed;
  std::vector<api::Phase> recorded;  ///< Each that a record has entered, in order.

 private:
  Status WithFault(const std::function<Status()>& change);
  Status Change(Intent intent);
  Status ChangeSource(Intent intent);
  Status ChangeTarget(Intent intent);
  Status ChangeCluster(Intent intent);
  Status ChangeStream(Intent intent);
  Status DropStreamPart(Intent intent);
  void ObserveStreams(Observation& seen);
  void RunJobs();
  void RunStreams();
  void UsersWrite();

  Model& model_;
  int64_t epoch_;
};

}  // namespace cutover::migration
