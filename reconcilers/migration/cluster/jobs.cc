// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/jobs.h"

#include <algorithm>

#include "operator/kube/error.h"
#include "operator/kube/metadata.h"
#include "reconcilers/migration/cluster/pod_end.h"
#include "reconcilers/migration/cluster/pod_start.h"
#include "reconcilers/wiring/pod_settings.h"

namespace cutover::migration {
namespace {

// A pod that dies is replaced twice; the mover starts cleanly each time.
constexpr int kBackoffLimit = 2;
// A kubelet that lives has killed a pod by the end of its grace.
constexpr std::chrono::seconds kPodIsLate{60};

std::string KindName(mover::JobKind kind) {
  return kind == mover::JobKind::kBackup ? "backup" : "copy";
}

Json Labels(const api::TenantMigration& migration, mover::JobKind kind) {
  return Json::Object({{api::kManagedByLabel, api::kManagedByValue},
                       {api::kMigrationUidLabel, migration.meta.uid},
                       {kJobKindLabel, KindName(kind)}});
}

std::string Selector(const api::TenantMigration& migration) {
  return std::string(api::kMigrationUidLabel) + "=" + migration.meta.uid;
}

Json Environment(const MoverJob& job) {
  Json environment = Json::Array();
  environment.Append(PasswordVariable(mover::kSourcePasswordVariable, job.source_password));
  if (!job.target_password.secret_name.empty())
    environment.Append(PasswordVariable(mover::kTargetPasswordVariable, job.target_password));
  // The mover's scratch files, and pg_dump's, go where the read-only root lets them.
  environment.Append(Json::Object({{"name", "TMPDIR"}, {"value", "/tmp"}}));
  environment.Append(Json::Object({{"name", "HOME"}, {"value", "/tmp"}}));
  return environment;
}

// A mover that is moved begins anew, while users may be shut out. Autoscalers that make nodes fewer
// heed these; a person who drains a node does not.
Json KeepsItsNode() {
  return Json::Object({{"cluster-autoscaler.kubernetes.io/safe-to-evict", "false"},
                       {"karpenter.sh/do-not-disrupt", "true"}});
}

Json Container(const OperatorConfig& config, const MoverJob& job) {
  Json mounts =
      Json::Array({Json::Object({{"name", "order"}, {"mountPath", kOrderPath}, {"readOnly", true}}),
                   Json::Object({{"name", "scratch"}, {"mountPath", "/tmp"}})});
  if (!job.claim_name.empty())
    mounts.Append(Json::Object({{"name", "backup"}, {"mountPath", kBackupPath}}));
  Json container = Json::Object(
      {{"name", "mover"},
       {"image", config.mover_image},
       {"imagePullPolicy", config.image_pull_policy},
       {"args", Json::Array({"job", "--spec", std::string(kOrderPath) + "/spec.json"})},
       {"env", Environment(job)},
       {"volumeMounts", mounts},
       {"terminationMessagePolicy", "File"},
       {"securityContext",
        Json::Object({{"allowPrivilegeEscalation", false},
                      {"readOnlyRootFilesystem", true},
                      {"capabilities", Json::Object({{"drop", Json::Array({"ALL"})}})}})}});
  if (!config.pods.resources.Empty()) container.Set("resources", config.pods.resources);
  return container;
}

Json Volumes(const std::string& order_name, const MoverJob& job) {
  Json volumes = Json::Array(
      {Json::Object({{"name", "order"}, {"configMap", Json::Object({{"name", order_name}})}}),
       Json::Object({{"name", "scratch"}, {"emptyDir", Json::Object()}})});
  if (!job.claim_name.empty())
    volumes.Append(
        Json::Object({{"name", "backup"},
                      {"persistentVolumeClaim", Json::Object({{"claimName", job.claim_name}})}}));
  return volumes;
}

Json PullSecrets(const OperatorConfig& config) {
  Json secrets = Json::Array();
  for (const std::string& name : config.image_pull_secrets)
    secrets.Append(Json::Object({{"name", name}}));
  return secrets;
}

Json Metadata(const api::TenantMigration& migration, const MoverJob& job) {
  return Json::Object({{"name", JobName(migration, job.spec.kind)},
                       {"namespace", job.namespace_name},
                       {"labels", Labels(migration, job.spec.kind)}});
}

// The mover's summary as a sentence: what went wrong, or the proof of a backup. Words of anybody
// else (the kubelet, the kernel) are passed on as they are; a summary without proof says nothing.
std::string Sentence(const std::string& words) {
  auto summary = Json::Parse(words);
  if (!summary || !summary->IsObject()) return words;
  const Json& error = (*summary)["error"];
  if (error.IsObject()) return error["message"].AsString();
  if ((*summary)["verdict"].StringRef() != "Complete") return "";
  return "backed up into " + (*summary)["directory"].AsString() + ": " +
         std::to_string((*summary)["files"].AsInt()) + " files, " +
         std::to_string((*summary)["bytes"].AsInt()) + " bytes, every one read back";
}

/// Of a Job that makes another pod for each that fails, until those are more than kBackoffLimit.
/// Between two of them nothing runs for 10 s and more, which the users of a fenced tenant wait.
std::string Setback(const Json& job, const std::vector<Json>& pods) {
  const int64_t failed = job.At({"status", "failed"}).AsInt();
  if (failed == 0) return "";
  const std::string words = Sentence(FindLastFailure(job, pods));
  return std::to_string(failed) + (failed == 1 ? " pod" : " pods") +
         " of its Job failed and another takes over" + (words.empty() ? "" : ": " + words);
}

/// Whether a running copy was ordered to be as fast as the migration says by now, and between the
/// databases as they are reached by now.
bool IsCurrent(const mover::JobSpec& order, const OperatorConfig& config,
               const api::TenantMigrationSpec& migration, const CopySides* sides) {
  mover::JobSpec wanted = order;
  OrderCopy(config, migration, wanted);
  if (sides != nullptr) {
    wanted.source = sides->source;
    wanted.target = sides->target;
  }
  return wanted == order;
}

// The time by which a pod has to be gone, its grace included. (A Job has none.)
bool IsLate(const Json& object, WallTime now) {
  const auto by = ParseTime(object.At({"metadata", "deletionTimestamp"}).StringRef());
  return by && now - *by > kPodIsLate;
}

}  // namespace

Result<bool> IsAbandoned(std::stop_token stop, Deadline deadline, kube::Client& client,
                         const Json& job, WallTime now) {
  if (!IsLate(job, now)) return false;
  TRY_ASSIGN(const std::vector<Json> pods, PodsOf(stop, deadline, client, job));
  return !pods.empty() &&
         std::all_of(pods.begin(), pods.end(), [now](const Json& pod) { return IsLate(pod, now); });
}

Json PasswordVariable(const char* name, const PasswordReference& reference) {
  return Json::Object(
      {{"name", name},
       {"valueFrom", Json::Object({{"secretKeyRef", Json::Object({{"name", reference.secret_name},
                                                                  {"key", reference.key}})}})}});
}

Result<std::vector<Json>> PodsOf(std::stop_token stop, Deadline deadline, kube::Client& client,
                                 const Json& job) {
  const kube::Key key = kube::KeyOf(job);
  kube::ListOptions options;
  options.ns = key.ns;
  options.label_selector = "job-name=" + key.name;
  TRY_ASSIGN(kube::ObjectList pods, client.List(stop, deadline, kube::kPod, options));
  return std::move(pods.items);
}

bool ThrottleIsUnknown(const OperatorConfig& config, const api::TenantMigrationSpec& migration) {
  return !migration.copy_throttle_query.empty() &&
         !config.throttle_queries.contains(migration.copy_throttle_query);
}

Result<std::optional<mover::JobSpec>> ReadOrder(std::stop_token stop, Deadline deadline,
                                                kube::Client& client, const kube::Key& job) {
  TRY_ASSIGN(auto object, client.Get(stop, deadline, kube::kConfigMap, job));
  auto json = Json::Parse(object ? object->At({"data", "spec.json"}).AsString() : "");
  auto order = json ? mover::DecodeJobSpec(*json) : tl::make_unexpected(json.error());
  if (!order) return std::optional<mover::JobSpec>();
  return std::optional<mover::JobSpec>(std::move(*order));
}

void OrderCopy(const OperatorConfig& config, const api::TenantMigrationSpec& migration,
               mover::JobSpec& order) {
  order.jobs = migration.copy_jobs;
  order.verification_level = migration.verification_level == api::VerificationLevel::kRows
                                 ? mover::VerificationLevel::kRows
                                 : mover::VerificationLevel::kCounts;
  order.max_rate_mebibytes_per_second = migration.copy_rate_mebibytes_per_second_max;
  if (migration.copy_throttle_query.empty())
    order.throttle_query.clear();
  else if (!ThrottleIsUnknown(config, migration))
    order.throttle_query = config.throttle_queries.at(migration.copy_throttle_query);
  order.exclude_tables = migration.copy_exclude_tables;
  order.accept = migration.copy_accept;
  for (const std::string& table : migration.copy_exclude_tables) {
    const std::string rows = "rows of " + table;
    if (std::find(order.accept.begin(), order.accept.end(), rows) == order.accept.end())
      order.accept.push_back(rows);
  }
}

std::string JobName(const api::TenantMigration& migration, mover::JobKind kind) {
  return "cutover-" + KindName(kind) + "-" + migration.meta.uid.substr(0, 8) + "-" +
         std::to_string(migration.status.attempt);
}

Json MoverOrderObject(const api::TenantMigration& migration, const MoverJob& job) {
  Json order = Json::Object({{"apiVersion", "v1"}, {"kind", "ConfigMap"}});
  order.Set("metadata", Metadata(migration, job));
  Json data = Json::Object({{"spec.json", mover::EncodeJobSpec(job.spec).DumpPretty()}});
  if (!job.source_ca_pem.empty()) data.Set("source-ca.crt", job.source_ca_pem);
  if (!job.target_ca_pem.empty()) data.Set("target-ca.crt", job.target_ca_pem);
  order.Set("data", std::move(data));
  return order;
}

Json MoverJobObject(const OperatorConfig& config, const api::TenantMigration& migration,
                    const MoverJob& job) {
  std::string name = JobName(migration, job.spec.kind);
  Json pod_spec = Json::Object(
      {{"restartPolicy", "Never"},
       {"automountServiceAccountToken", false},  // The mover never talks to the API server.
       {"enableServiceLinks", false},
       {"securityContext",
        Json::Object({{"runAsNonRoot", true},
                      {"runAsUser", 65532},
                      {"runAsGroup", 65532},
                      {"fsGroup", 65532},
                      {"seccompProfile", Json::Object({{"type", "RuntimeDefault"}})}})},
       {"containers", Json::Array({Container(config, job)})},
       {"volumes", Volumes(name, job)}});
  // A Secret is of one namespace. In a tenant's, its ServiceAccount says what to pull with.
  if (job.namespace_name == config.namespace_name && !config.image_pull_secrets.empty())
    pod_spec.Set("imagePullSecrets", PullSecrets(config));
  wiring::Schedule(config.pods, pod_spec);
  const Json metadata =
      wiring::PodMetadata(config.pods, Labels(migration, job.spec.kind), KeepsItsNode());
  Json object = Json::Object({{"apiVersion", "batch/v1"}, {"kind", "Job"}});
  object.Set("metadata", Metadata(migration, job));
  object.Set(
      "spec",
      Json::Object({{"backoffLimit", kBackoffLimit},
                    {"template", Json::Object({{"metadata", metadata}, {"spec", pod_spec}})}}));
  return object;
}

Status CreateMoverJob(std::stop_token stop, Deadline deadline, kube::Client& client,
                      const OperatorConfig& config, const api::TenantMigration& migration,
                      const MoverJob& job) {
  TRY(client.Apply(stop, deadline, kube::kConfigMap, MoverOrderObject(migration, job)));
  auto created = client.Create(stop, deadline, kube::kJob, MoverJobObject(config, migration, job));
  if (created || kube::IsAlreadyExists(created.error())) return Ok();
  return tl::make_unexpected(created.error());
}

Result<JobFacts> ObserveJob(std::stop_token stop, Deadline deadline, kube::Client& client,
                            const OperatorConfig& config, const std::string& ns,
                            const api::TenantMigration& migration, mover::JobKind kind,
                            WallTime now, const CopySides* sides) {
  kube::ListOptions options;
  options.ns = ns;
  options.label_selector = Selector(migration) + "," + kJobKindLabel + "=" + KindName(kind);
  TRY_ASSIGN(kube::ObjectList jobs, client.List(stop, deadline, kube::kJob, options));
  JobFacts facts;
  facts.going = facts.abandoned = facts.earlier = !jobs.items.empty();
  for (const Json& job : jobs.items) {
    facts.exists = true;
    facts.going &= kube::IsDeleting(job);
    TRY_ASSIGN(const bool abandoned, IsAbandoned(stop, deadline, client, job, now));
    facts.abandoned &= abandoned;
    bool current = kube::KeyOf(job).name == JobName(migration, kind);
    facts.earlier &= !current;
    if (!current || kube::IsDeleting(job)) continue;
    facts.succeeded = kube::FindCondition(job, "Complete") != nullptr;
    facts.failed = kube::FindCondition(job, "Failed") != nullptr;
    std::vector<Json> pods;
    const bool lost_pods = job.At({"status", "failed"}).AsInt() > 0;
    if (facts.succeeded || facts.failed || lost_pods || MayBeHindered(job, now)) {
      TRY_ASSIGN(pods, PodsOf(stop, deadline, client, job));
    }
    if (!facts.succeeded && !facts.failed) {
      const std::optional<bool> end = FindEndBesideOthers(job, pods);
      facts.succeeded = end == true;
      facts.failed = end == false;
    }
    if (facts.succeeded || facts.failed) {
      facts.message = Sentence(FindLastWords(job, pods));
      continue;
    }
    if (kind == mover::JobKind::kClone) {
      // One whose order is gone, or cannot be read, shall get it again.
      TRY_ASSIGN(auto order, ReadOrder(stop, deadline, client, kube::KeyOf(job)));
      facts.order_current = order && IsCurrent(*order, config, migration.spec, sides);
      if (ThrottleIsUnknown(config, migration.spec))
        facts.message = "copy.throttleQuery names none of the operator's queries (" +
                        migration.spec.copy_throttle_query + "), so that it changes nothing";
    }
    facts.setback = Setback(job, pods);
    if (MayBeHindered(job, now))
      facts.hindrance = FindHindrance({"Job", "images.mover", job}, pods, now);
  }
  return facts;
}

Result<std::vector<LabelledObject>> ListMoverObjects(std::stop_token stop, Deadline deadline,
                                                     kube::Client& client, const std::string& ns,
                                                     const std::string& migration_uid) {
  return ListLabelled(stop, deadline, client,
                      {.resources = {kube::kConfigMap, kube::kJob},
                       .ns = ns,
                       .migration_uid = migration_uid,
                       .label = kJobKindLabel});
}

Status DeleteMoverJobs(std::stop_token stop, Deadline deadline, kube::Client& client,
                       const std::string& ns, const api::TenantMigration& migration) {
  TRY_ASSIGN(auto objects, ListMoverObjects(stop, deadline, client, ns, migration.meta.uid));
  return DeleteLabelled(stop, deadline, client, objects);
}

}  // namespace cutover::migration
