// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <sstream>

#include "operator/base/check.h"
#include "operator/base/mutex.h"
#include "operator/telemetry/utf8.h"

namespace cutover::telemetry {
namespace {

// controller-runtime's own buckets, so that its dashboards show what they show elsewhere.
constexpr double kReconcileBuckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3,  0.35,
                                        0.4,   0.45, 0.5,   0.6,  0.7, 0.8,  0.9, 1.0,  1.25, 1.5,
                                        1.75,  2.0,  2.5,   3.0,  3.5, 4.0,  4.5, 5,    6,    7,
                                        8,     9,    10,    15,   20,  25,   30,  40,   50,   60};
constexpr double kQueueBuckets[] = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3,
                                    1e-2, 1e-1, 1,    10,   100,  1000};
constexpr double kRequestBuckets[] = {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60};
// A stage lasts from a blink (Switching) to half a day (Copying); a pause, from the pooler's
// fraction of a second to the hours of an offline copy.
constexpr double kStageBuckets[] = {0.1, 0.5, 1,   2.5,  5,    10,   30,    60,
                                    120, 300, 600, 1800, 3600, 7200, 14400, 43200};
constexpr double kPauseBuckets[] = {0.1, 0.25, 0.5, 1,   2,   5,    10,   20,
                                    30,  60,   120, 300, 600, 1800, 3600, 14400};

constexpr auto kCounter = MetricType::kCounter;
constexpr auto kGauge = MetricType::kGauge;
constexpr auto kHistogram = MetricType::kHistogram;

// clang-format off
constexpr MetricDefinition kTable[] = {
    // The domain's own.
    {Metric::kMigrationInfo, "cutover_migration_info", kGauge,
     "What a migration moves, from where, to where and how; always 1.",
     "namespace,name,placement,source,target,strategy", {}},
    {Metric::kMigrationPhase, "cutover_migration_phase", kGauge,
     "1 for the phase a migration is in, 0 for all others; of one that is over only its end.",
     "namespace,name,phase", {}},
    {Metric::kMigrationPhaseStartTime, "cutover_migration_phase_start_time_seconds", kGauge,
     "When a migration entered the phase it is in, in seconds since 1970.", "namespace,name", {}},
    {Metric::kMigrationReason, "cutover_migration_reason", kGauge,
     "The reason of a migration's condition Ready: its phase, what it waits for, or what is wrong; "
     "always 1.", "namespace,name,reason", {}},
    {Metric::kMigrationReasonSince, "cutover_migration_reason_since_time_seconds", kGauge,
     "Since when a migration has been in its phase for that reason, in seconds since 1970; only "
     "while it is under way.", "namespace,name", {}},
    {Metric::kMigrationRetrying, "cutover_migration_retrying", kGauge,
     "1 while something is wrong with a migration and is tried again, else 0; only while it is "
     "under way.", "namespace,name", {}},
    {Metric::kMigrationBytesCopied, "cutover_migration_bytes_copied", kGauge,
     "Bytes of table data copied to the target so far.", "namespace,name", {}},
    {Metric::kMigrationBytesExpected, "cutover_migration_bytes_expected", kGauge,
     "Bytes of table data that the copy will have moved when it is done.", "namespace,name", {}},
    {Metric::kMigrationTablesCopied, "cutover_migration_tables_copied", kGauge,
     "Tables copied completely so far.", "namespace,name", {}},
    {Metric::kMigrationTablesExpected, "cutover_migration_tables_expected", kGauge,
     "Tables that the copy will have moved when it is done.", "namespace,name", {}},
    {Metric::kMigrationRowsCopied, "cutover_migration_rows_copied", kGauge,
     "Rows copied to the target so far.", "namespace,name", {}},
    {Metric::kMigrationEtaSeconds, "cutover_migration_eta_seconds", kGauge,
     "Estimated time until the copy is done, while copying, or until the target has caught up, "
     "while it does so.", "namespace,name", {}},
    {Metric::kMigrationWritePauseSeconds, "cutover_migration_write_pause_seconds", kGauge,
     "How long the tenant could not write; grows while the doors are closed.",
     "namespace,name", {}},
    {Metric::kMigrationWritePauseMaxSeconds, "cutover_migration_write_pause_max_seconds", kGauge,
     "How long the doors may be closed before the migration gives up: what it says, else 60 for "
     "Online, and none for Offline.",
     "namespace,name", {}},
    {Metric::kMigrationUsersShutOut, "cutover_migration_users_shut_out", kGauge,
     "1 while the doors are closed, 0 while users can work; only of a migration that is under way.",
     "namespace,name", {}},
    {Metric::kStageDurationSeconds, "cutover_stage_duration_seconds", kHistogram,
     "How long a stage of a migration took, waiting for people included (AwaitingCutover).",
     "stage", kStageBuckets},
    {Metric::kWritePauseSeconds, "cutover_write_pause_seconds", kHistogram,
     "How long tenants could not write, one observation for each time that they could again.",
     "", kPauseBuckets},
    {Metric::kVerificationRows, "cutover_verification_rows", kGauge,
     "Rows compared by the last verification that ended.", "namespace,name", {}},
    {Metric::kVerificationMismatches, "cutover_verification_mismatches", kGauge,
     "Differences found by the last verification that ended.", "namespace,name", {}},
    {Metric::kMigrationsTotal, "cutover_migrations_total", kCounter,
     "Migrations that ended, by the phase they ended in.", "result", {}},
    {Metric::kRollbacksTotal, "cutover_rollbacks_total", kCounter,
     "Migrations that went back after the point of no return, by reason.", "reason", {}},
    {Metric::kReplicationLagBytes, "cutover_replication_lag_bytes", kGauge,
     "WAL that the side that follows has not confirmed yet; only while a stream is followed.",
     "namespace,name,direction", {}},
    {Metric::kReplicationLagSeconds, "cutover_replication_lag_seconds", kGauge,
     "Age of the last heartbeat that has arrived on the side that follows.",
     "namespace,name,direction", {}},
    {Metric::kSlotRetainedBytes, "cutover_slot_retained_bytes", kGauge,
     "WAL that a server keeps for a migration's stream, from the copy's beginning on; also while "
     "the other server is away.",
     "namespace,name,direction", {}},
    {Metric::kRollbackReady, "cutover_rollback_ready", kGauge,
     "1 while the way back to the source is open and was last seen working.",
     "namespace,name", {}},
    {Metric::kRollbackSampledRows, "cutover_rollback_sampled_rows", kGauge,
     "Rows of the target and the source compared since hypercare began; only of Online.",
     "namespace,name", {}},
    {Metric::kRollbackAvailableUntil, "cutover_rollback_available_until_time_seconds", kGauge,
     "When the way back closes, in seconds since 1970; only while that is known.",
     "namespace,name", {}},
    {Metric::kWritableSides, "cutover_writable_sides", kGauge,
     "Databases of a tenant that somebody but the operator can write to, as last observed in the "
     "servers; never 2.", "namespace,name", {}},
    {Metric::kServerUp, "cutover_server_up", kGauge,
     "1 when the last probe of a database server succeeded.", "server", {}},
    {Metric::kServerTenants, "cutover_server_tenants", kGauge,
     "Tenants' databases on a server.", "server", {}},
    {Metric::kPlacementInfo, "cutover_placement_info", kGauge,
     "Which server holds a tenant's database; always 1.",
     "namespace,name,database,server,class,profile", {}},
    {Metric::kBuildInfo, "cutover_build_info", kGauge,
     "The version of an operator's process, which leads or stands by; always 1.", "version", {}},

    // As controller-runtime names them.
    {Metric::kReconcileTotal, "controller_runtime_reconcile_total", kCounter,
     "Reconciles, by result.", "controller,result", {}},
    {Metric::kReconcileErrorsTotal, "controller_runtime_reconcile_errors_total", kCounter,
     "Reconciles that failed.", "controller", {}},
    {Metric::kTerminalReconcileErrorsTotal, "controller_runtime_terminal_reconcile_errors_total",
     kCounter, "Reconciles that failed in a way that trying again cannot cure.",
     "controller", {}},
    {Metric::kReconcilePanicsTotal, "controller_runtime_reconcile_panics_total", kCounter,
     "Reconciles that ended in an exception.", "controller", {}},
    {Metric::kReconcileTimeSeconds, "controller_runtime_reconcile_time_seconds", kHistogram,
     "How long a reconcile took.", "controller", kReconcileBuckets},
    {Metric::kMaxConcurrentReconciles, "controller_runtime_max_concurrent_reconciles", kGauge,
     "Workers of a controller.", "controller", {}},
    {Metric::kActiveWorkers, "controller_runtime_active_workers", kGauge,
     "Workers of a controller that are reconciling now.", "controller", {}},

    {Metric::kQueueDepth, "workqueue_depth", kGauge,
     "Keys waiting for a worker.", "name,controller", {}},
    {Metric::kQueueAddsTotal, "workqueue_adds_total", kCounter,
     "Keys added.", "name,controller", {}},
    {Metric::kQueueWaitSeconds, "workqueue_queue_duration_seconds", kHistogram,
     "How long a key waited for a worker.", "name,controller", kQueueBuckets},
    {Metric::kQueueWorkSeconds, "workqueue_work_duration_seconds", kHistogram,
     "How long a worker held a key.", "name,controller", kQueueBuckets},
    {Metric::kQueueUnfinishedWorkSeconds, "workqueue_unfinished_work_seconds", kGauge,
     "Time spent so far on keys that are being worked on; large values tell of stuck workers.",
     "name,controller", {}},
    {Metric::kQueueLongestRunningSeconds, "workqueue_longest_running_processor_seconds", kGauge,
     "Time spent so far on the key that has been worked on the longest.",
     "name,controller", {}},
    {Metric::kQueueRetriesTotal, "workqueue_retries_total", kCounter,
     "Keys added again after a failure.", "name,controller", {}},

    {Metric::kRestRequestsTotal, "rest_client_requests_total", kCounter,
     "Requests to the API server, by the status code of the answer.",
     "code,method,host", {}},
    {Metric::kRestRequestSeconds, "rest_client_request_duration_seconds", kHistogram,
     "How long requests to the API server took, watches left out.", "verb,host",
     kRequestBuckets},
    {Metric::kWatchRestartsTotal, "cutover_kube_watch_restarts_total", kCounter,
     "Watches resumed after an interruption.", "resource", {}},
    {Metric::kRelistsTotal, "cutover_kube_relists_total", kCounter,
     "Collections listed anew, because a watch could not be resumed.", "resource", {}},
    {Metric::kEventsDroppedTotal, "cutover_kube_events_dropped_total", kCounter,
     "Events not recorded, because the API server was slower than they came.", "", {}},
    {Metric::kLeader, "leader_election_master_status", kGauge,
     "1 in the process that leads, 0 in a standby.", "name", {}},

    // Of this process, as every Prometheus client library names them.
    {Metric::kProcessCpuSecondsTotal, "process_cpu_seconds_total", kCounter,
     "CPU time, user and system.", "", {}},
    {Metric::kProcessOpenFds, "process_open_fds", kGauge, "Open file descriptors.", "", {}},
    {Metric::kProcessFdsMax, "process_max_fds", kGauge,
     "Limit of open file descriptors.", "", {}},
    {Metric::kProcessVirtualMemoryBytes, "process_virtual_memory_bytes", kGauge,
     "Virtual memory.", "", {}},
    {Metric::kProcessResidentMemoryBytes, "process_resident_memory_bytes", kGauge,
     "Resident memory.", "", {}},
    {Metric::kProcessStartTimeSeconds, "process_start_time_seconds", kGauge,
     "When this process started, in seconds since 1970.", "", {}},
    {Metric::kProcessThreads, "process_threads", kGauge, "Threads.", "", {}},
};
// clang-format on

// Its numbers are counted by ObjectMetricsTest.
constexpr char kReaders[] =
    "\n## Who may read them\n\n"
    "Everybody who reaches the port, by plain HTTP, unless `metrics.authorization.enabled` is set\n"
    "(flag `--metrics-authorization`). Then they are served by HTTPS alone, to who shows a token "
    "of\n"
    "which the API server says whose it is and that they may `get` the non-resource URL "
    "`/metrics`:\n\n"
    "| answer | to whom | what to do | remembered for |\n|---|---|---|---|\n"
    "| 200 | who may | | 60 s |\n"
    "| 401 | no `Authorization: Bearer TOKEN`, or a token that is expired, of another audience or "
    "made up | show the token of a ServiceAccount | 10 s |\n"
    "| 403 | who may not; the operator's log names them | bind the ClusterRole "
    "`RELEASE-metrics-reader`, or list the account in `metrics.authorization.readers` | 10 s |\n"
    "| 503 | everybody new, when the API server cannot be asked within 5 s; the log says why | "
    "look at the API server, and at the ClusterRole `RELEASE-metrics-reviewer` | not at all |"
    "\n\n"
    "So Prometheus, which runs as ServiceAccount `prometheus` in `monitoring`, gets in with\n\n"
    "```sh\n"
    "helm upgrade --install cutover charts/cutover --namespace cutover-system \\\n"
    "  --set metrics.authorization.enabled=true \\\n"
    "  --set 'metrics.authorization.readers[0].name=prometheus' \\\n"
    "  --set 'metrics.authorization.readers[0].namespace=monitoring' \\\n"
    "  --set monitoring.serviceMonitor.enabled=true\n"
    "```\n\n"
    "Where Prometheus may read no files (`arbitraryFSAccessThroughSMs.deny`), or with a "
    "PodMonitor, put\na token into a Secret beside the operator and name it in "
    "`metrics.authorization.tokenSecret`. Without\nthe Prometheus Operator:\n\n"
    "```yaml\n"
    "scheme: https\n"
    "authorization: {credentials_file: /var/run/secrets/kubernetes.io/serviceaccount/token}\n"
    "tls_config: {insecure_skip_verify: true}   # or ca_file and server_name, see below\n"
    "```\n\n"
    "The operator makes itself a certificate at each start, as controller-runtime does: it keeps "
    "tokens from\nwho listens, but nobody can verify it. Name a Secret of your own in "
    "`metrics.authorization.certificateSecret`\n(cert-manager's will do, for "
    "`RELEASE-metrics.NAMESPACE.svc`), and Prometheus verifies; a renewed one is\nshown within two "
    "minutes, without a restart.\n";

constexpr char kCardinality[] =
    "\n## How many series\n\n"
    "As many as there are objects for. Labels hold the names of objects, and words of the API, of\n"
    "Kubernetes and of HTTP; nothing of a tenant's data, and nothing that grows by what "
    "happens.\n\n"
    "| for each | series | until |\n|---|---|---|\n"
    "| TenantMigration | up to 48, 22 of them its phases | it is deleted |\n"
    "| DatabaseServer | 2 | it is deleted |\n"
    "| DatabasePlacement | 1 | it is deleted |\n"
    "| leader | 373, of what has ended: by stage, result and reason | its process ends |\n"
    "| process | some hundreds: by controller, resource, method and code | it ends |\n";

constexpr bool TableFollowsEnumeration() {
  int expected = 0;
  for (const MetricDefinition& row : kTable)
    if (static_cast<int>(row.metric) != expected++) return false;
  return expected == static_cast<int>(Metric::kProcessThreads) + 1;
}
static_assert(TableFollowsEnumeration(), "a row for each Metric, in the order of the enumeration");

const MetricDefinition& Definition(Metric metric) { return kTable[static_cast<size_t>(metric)]; }

std::vector<std::string> Split(std::string_view names) {
  std::vector<std::string> parts;
  while (!names.empty()) {
    size_t comma = names.find(',');
    parts.emplace_back(names.substr(0, comma));
    names.remove_prefix(comma == names.npos ? names.size() : comma + 1);
  }
  return parts;
}

std::string_view TypeName(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
  }
  return "unknown";
}

}  // namespace

std::span<const MetricDefinition> MetricTable() { return kTable; }

class Metrics::Impl {
 public:
  Impl() {
    for (const MetricDefinition& row : kTable) families_[Index(row.metric)] = MakeFamily(row);
  }

  prometheus::Counter& CounterOf(Metric metric, LabelValues values) {
    CHECK(Definition(metric).type == MetricType::kCounter);
    return families_[Index(metric)].counters->Add(Labels(metric, values));
  }
  prometheus::Gauge& GaugeOf(Metric metric, LabelValues values) {
    CHECK(Definition(metric).type == MetricType::kGauge);
    return families_[Index(metric)].gauges->Add(Labels(metric, values));
  }
  prometheus::Histogram& HistogramOf(Metric metric, LabelValues values) {
    const MetricDefinition& row = Definition(metric);
    CHECK(row.type == MetricType::kHistogram);
    return families_[Index(metric)].histograms->Add(
        Labels(metric, values),
        prometheus::Histogram::BucketBoundaries(row.buckets.begin(), row.buckets.end()));
  }

  void AddCollector(std::function<void(const Sink&)> collect) {
    MutexLock lock(mutex_);
    collectors_.push_back(std::move(collect));
  }

  std::string Expose() const {
    std::vector<prometheus::MetricFamily> all(std::size(kTable));
    for (const MetricDefinition& row : kTable) Describe(row, all[Index(row.metric)]);
    for (const Family& family : families_) family.CollectInto(all);
    Sink sink = [this, &all](const Sample& sample) { AppendSample(sample, all); };
    for (const auto& collect : Collectors()) collect(sink);
    // One family at a time, which is let go once it is text: of many objects the samples take
    // several times as much as their text.
    std::ostringstream text;
    std::vector<prometheus::MetricFamily> next(1);
    for (prometheus::MetricFamily& family : all) {
      if (family.metric.empty()) continue;
      next.front() = std::move(family);
      prometheus::TextSerializer().Serialize(text, next);
    }
    return std::move(text).str();
  }

 private:
  // One of the three, by the type in the table; owned by registry_.
  struct Family {
    prometheus::Family<prometheus::Counter>* counters = nullptr;
    prometheus::Family<prometheus::Gauge>* gauges = nullptr;
    prometheus::Family<prometheus::Histogram>* histograms = nullptr;
    size_t index = 0;
    std::vector<std::string> label_names;

    void CollectInto(std::vector<prometheus::MetricFamily>& all) const {
      const prometheus::Collectable* family = counters;
      if (gauges) family = gauges;
      if (histograms) family = histograms;
      for (prometheus::MetricFamily& collected : family->Collect())
        all[index].metric = std::move(collected.metric);
    }
  };

  static size_t Index(Metric metric) { return static_cast<size_t>(metric); }

  Family MakeFamily(const MetricDefinition& row) {
    const std::string name(row.name), help(row.help);
    Family family;
    family.index = Index(row.metric);
    family.label_names = Split(row.labels);
    if (row.type == MetricType::kCounter)
      family.counters = &prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
    else if (row.type == MetricType::kGauge)
      family.gauges = &prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
    else
      family.histograms = &prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
    return family;
  }

  static void Describe(const MetricDefinition& row, prometheus::MetricFamily& family) {
    family.name = row.name;
    family.help = row.help;
    family.type = row.type == MetricType::kCounter ? prometheus::MetricType::Counter
                  : row.type == MetricType::kGauge ? prometheus::MetricType::Gauge
                                                   : prometheus::MetricType::Histogram;
  }

  prometheus::Labels Labels(Metric metric, LabelValues values) const {
    const auto& names = families_[Index(metric)].label_names;
    CHECK(names.size() == values.size());
    prometheus::Labels labels;
    auto name = names.begin();
    for (std::string_view value : values) labels.emplace(*name++, ValidUtf8(value));
    return labels;
  }

  void AppendSample(const Sample& sample, std::vector<prometheus::MetricFamily>& all) const {
    const Family& family = families_[Index(sample.metric)];
    CHECK(family.label_names.size() == sample.labels.size() && !family.histograms);
    prometheus::ClientMetric metric;
    for (size_t i = 0; i < sample.labels.size(); ++i)
      metric.label.push_back({family.label_names[i], ValidUtf8(sample.labels[i])});
    metric.counter.value = metric.gauge.value = sample.value;
    all[family.index].metric.push_back(std::move(metric));
  }

  std::vector<std::function<void(const Sink&)>> Collectors() const {
    MutexLock lock(mutex_);
    return collectors_;
  }

  prometheus::Registry registry_;
  std::array<Family, std::size(kTable)> families_;
  mutable Mutex mutex_;
  std::vector<std::function<void(const Sink&)>> collectors_ GUARDED_BY(mutex_);
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::Increment(Metric counter, LabelValues labels, double by) {
  prometheus::Counter& series = impl_->CounterOf(counter, labels);
  if (by > 0) series.Increment(by);
}

void Metrics::Set(Metric gauge, LabelValues labels, double value) {
  impl_->GaugeOf(gauge, labels).Set(value);
}

void Metrics::Observe(Metric histogram, LabelValues labels, double value) {
  impl_->HistogramOf(histogram, labels).Observe(value);
}

void Metrics::Show(Metric histogram, LabelValues labels) { impl_->HistogramOf(histogram, labels); }

void Metrics::AddCollector(std::function<void(const Sink&)> collect) {
  impl_->AddCollector(std::move(collect));
}

std::string Metrics::Expose() const { return impl_->Expose(); }

std::string RenderMetricsReference() {
  std::string text =
      "# Metrics\n\n"
      "Served at `/metrics` of the operator. Generated from the table in\n"
      "`operator/telemetry/metrics.cc` by `cutover-operator metrics-reference`; do not edit.\n\n"
      "| name | type | labels | meaning |\n|---|---|---|---|\n";
  for (const MetricDefinition& row : kTable) {
    std::string labels;
    for (const std::string& label : Split(row.labels))
      labels += (labels.empty() ? "`" : ", `") + label + "`";
    text += "| `" + std::string(row.name) + "` | " + std::string(TypeName(row.type)) + " | " +
            labels + " | " + std::string(row.help) + " |\n";
  }
  return text + kReaders + kCardinality;
}

}  // namespace cutover::telemetry
