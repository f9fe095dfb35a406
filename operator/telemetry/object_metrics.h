// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/api/tenant_migration.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/kube/resource.h"
#include "operator/telemetry/metrics.h"

namespace cutover::telemetry {

/// The series of our resources, each computed from its object alone: after a restart they are back
/// as soon as the objects have been listed, and they go when their object goes. Fed by the stores,
/// so that no reconciler has to remember to report.
///
/// *Guarantees*: shows nothing and counts nothing until StartLeading, since a standby that watches
/// the same objects would double every sum. Counters and histograms count what happened between
/// two versions of an object; what an object had behind it when first seen is not counted again.
/// From StartLeading on they show 0 for everything that may happen.
///
/// *Costs*: for each object a pointer to the store's own version of it; its series are made anew at
/// each scrape, and a scrape of many keeps nobody who observes waiting. Of a migration that is
/// over, as nearly all are, the phases that it is not in have no series.
///
/// *Caveat*: what happens while no process leads is in the gauges, but in no counter.
///
/// Thread-safe. `metrics` outlives this, and this the last scrape.
class ObjectMetrics {
 public:
  explicit ObjectMetrics(Metrics& metrics, const Clock& clock = RealClock());

  void StartLeading();

  void ObserveMigration(std::shared_ptr<const api::TenantMigration> migration);
  void ForgetMigration(const kube::Key& key);
  void ObserveServer(std::shared_ptr<const api::DatabaseServer> server);
  void ForgetServer(const std::string& name);
  void ObservePlacement(std::shared_ptr<const api::DatabasePlacement> placement);
  void ForgetPlacement(const kube::Key& key);

  /// How many sides of the migration's tenant somebody but the operator can write to, as just
  /// observed in the servers themselves (status could never tell of a breach); nothing when they
  /// could not be asked. Kept until the next call or ForgetMigration; ignored for a migration that
  /// has not been observed.
  void ObserveWritableSides(const kube::Key& key, std::optional<int> sides);

  /// A stream of a migration, as just observed on its two servers. The rules of the above hold.
  struct Stream {
    std::string direction;  ///< "forward" or "reverse".
    int64_t retained_bytes = 0;
    std::optional<int64_t> lag_bytes;   ///< Nothing before the copy is to be followed.
    std::optional<double> lag_seconds;  ///< Unknown until a heartbeat has arrived.
  };
  void ObserveStreams(const kube::Key& key, std::vector<Stream> streams);

 private:
  struct Migration {
    std::shared_ptr<const api::TenantMigration> object;
    std::optional<int> writable_sides;
    std::vector<Stream> streams;
  };

  void CountChanges(const api::TenantMigrationStatus& before,
                    const api::TenantMigrationStatus& after);
  void Collect(const Metrics::Sink& sink) const;

  Metrics& metrics_;
  const Clock& clock_;
  mutable Mutex mutex_;
  bool leading_ GUARDED_BY(mutex_) = false;
  std::map<kube::Key, Migration> migrations_ GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<const api::DatabaseServer>> servers_ GUARDED_BY(mutex_);
  std::map<kube::Key, std::shared_ptr<const api::DatabasePlacement>> placements_ GUARDED_BY(mutex_);
};

}  // namespace cutover::telemetry
