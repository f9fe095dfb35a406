// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/check_jobs.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "operator/api/owner_references.h"
#include "operator/kube/error.h"
#include "operator/kube/metadata.h"
#include "reconcilers/migration/cluster/pod_end.h"
#include "reconcilers/migration/cluster/pod_start.h"
#include "reconcilers/migration/tally.h"

namespace cutover::migration {
namespace {

constexpr char kCheckLabel[] = "cutover.dev/check";
constexpr char kCheckKind[] = "check";

// What `kubectl create job --from=cronjob/…` marks its Jobs with.
constexpr char kInstantiateAnnotation[] = "cronjob.kubernetes.io/instantiate";

std::string NameOfRun(const api::TenantMigration& migration, const api::Check& check,
                      const std::string& run) {
  size_t number = 0;
  while (number < migration.spec.checks.size() && migration.spec.checks[number].name != check.name)
    ++number;
  return "cutover-check-" + migration.meta.uid.substr(0, 8) + "-" +
         std::to_string(migration.status.attempt) + "-" + std::to_string(number) + "-" + run;
}

int64_t RunsOf(const api::TenantMigration& migration, const api::Check& check) {
  const api::CheckStatus* known = FindCheck(migration.status.checks, check.name);
  return known == nullptr ? 0 : known->runs;
}

bool RunsNow(const api::TenantMigration& migration, const api::Check& check, api::CheckWhen moment,
             WallTime now) {
  if (!check.job || !check.At(moment)) return false;
  return moment != api::CheckWhen::kHypercare ||
         IsDue(migration.status.checks, check.name, check.interval_seconds, now);
}

// The members of `over` in `object`, whatever was there before.
void Overlay(Json& object, const Json& over) {
  for (const auto& [key, value] : over.Members()) object.Set(key, value);
}

Json ObjectOr(const Json& value) { return value.IsObject() ? value : Json::Object(); }

Json OwnLabels(const api::TenantMigration& migration, const api::Check& check) {
  return Json::Object({{api::kManagedByLabel, api::kManagedByValue},
                       {api::kMigrationUidLabel, migration.meta.uid},
                       {kJobKindLabel, kCheckKind},
                       {kCheckLabel, check.name}});
}

Json Variable(const char* name, std::string value) {
  return Json::Object({{"name", name}, {"value", std::move(value)}});
}

Json PlaceVariables(const TenantPlace& place, api::CheckWhen moment) {
  Json variables =
      Json::Array({Variable("PGHOST", place.host), Variable("PGPORT", std::to_string(place.port)),
                   Variable("PGDATABASE", place.database), Variable("PGUSER", place.user)});
  if (!place.ssl_mode.empty()) variables.Append(Variable("PGSSLMODE", place.ssl_mode));
  variables.Append(PasswordVariable("PGPASSWORD", place.password));
  variables.Append(Variable("CUTOVER_CHECK_WHEN", std::string(Name(moment))));
  return variables;
}

bool Names(const Json& variables, const std::string& name) {
  for (const Json& variable : variables.Items())
    if (variable["name"].StringRef() == name) return true;
  return false;
}

// Ours come first, so that what the template builds of them, as $(PGHOST), is of the new place.
Json WithPlace(const Json& container, const Json& place) {
  Json variables = place;
  for (const Json& variable : container["env"].Items())
    if (!Names(place, variable["name"].AsString())) variables.Append(variable);
  Json told = container;
  told.Set("env", std::move(variables));
  // The end of the log says more than nothing where a container leaves no message of its own.
  if (!told.Contains("terminationMessagePolicy"))
    told.Set("terminationMessagePolicy", "FallbackToLogsOnError");
  return told;
}

Json PodTemplate(const Json& pod_template, const Json& labels, const Json& place) {
  Json metadata = ObjectOr(pod_template["metadata"]);
  Json all_labels = ObjectOr(metadata["labels"]);
  Overlay(all_labels, labels);
  metadata.Set("labels", std::move(all_labels));
  Json spec = ObjectOr(pod_template["spec"]);
  for (const char* kind : {"initContainers", "containers"}) {
    if (!spec.Contains(kind)) continue;
    Json containers = Json::Array();
    for (const Json& container : pod_template["spec"][kind].Items())
      containers.Append(WithPlace(container, place));
    spec.Set(kind, std::move(containers));
  }
  return Json::Object({{"metadata", metadata}, {"spec", spec}});
}

Json JobSpecOf(const api::Check& check, const Json& job_template, const Json& labels,
               const Json& place) {
  Json spec = ObjectOr(job_template["spec"]);
  int64_t own_bound = spec["activeDeadlineSeconds"].AsInt(check.timeout_seconds);
  spec.Set("activeDeadlineSeconds", std::min<int64_t>(own_bound, check.timeout_seconds));
  // Gone before it was looked at, it would be run again.
  spec.Remove("ttlSecondsAfterFinished");
  spec.Set("template", PodTemplate(job_template.At({"spec", "template"}), labels, place));
  return spec;
}

/// A question about the checks of one migration, and whom to ask.
struct Look {
  std::stop_token stop;
  Deadline deadline;
  kube::Client& client;
  const api::TenantMigration& migration;

  const std::string& ns() const { return migration.meta.namespace_name; }
};

// Every Job of a check that bears this migration's mark; never on the word of a selector alone.
Result<std::vector<Json>> ListJobs(const Look& look) {
  const std::string& uid = look.migration.meta.uid;
  kube::ListOptions options;
  options.ns = look.ns();
  options.label_selector =
      std::string(api::kMigrationUidLabel) + "=" + uid + "," + kJobKindLabel + "=" + kCheckKind;
  TRY_ASSIGN(kube::ObjectList listed,
             look.client.List(look.stop, look.deadline, kube::kJob, options));
  std::vector<Json> ours;
  for (Json& job : listed.items)
    if (kube::LabelOf(job, api::kMigrationUidLabel) == uid &&
        kube::LabelOf(job, kJobKindLabel) == kCheckKind)
      ours.push_back(std::move(job));
  return ours;
}

const Json* FindJob(const std::vector<Json>& jobs, const std::string& name) {
  for (const Json& job : jobs)
    if (kube::KeyOf(job).name == name) return &job;
  return nullptr;
}

Result<std::optional<Json>> ReadCronJob(const Look& look, const api::Check& check) {
  return look.client.Get(look.stop, look.deadline, kube::kCronJob,
                         {look.ns(), check.job->cron_job_name});
}

Result<CheckOutcome> WithoutJob(const Look& look, const api::Check& check, CheckOutcome outcome) {
  TRY_ASSIGN(auto cron_job, ReadCronJob(look, check));
  outcome.verdict = cron_job ? Verdict::kNotStarted : Verdict::kUnknown;
  outcome.message = cron_job ? "its Job has not started yet"
                             : "CronJob " + check.job->cron_job_name +
                                   " does not exist in namespace " + look.ns() + ": create it";
  return outcome;
}

// How a Job has ended whose template is somebody's: by its conditions, or, where a service mesh has
// put a proxy into its pod that does not end, by its own containers. Nothing while it runs.
struct JobEnd {
  bool well = false;
  std::string message;
};
Result<std::optional<JobEnd>> FindEnd(const Look& look, const Json& job, WallTime now) {
  const std::string begins = "Job " + kube::KeyOf(job).name;
  const JobEnd completed{true, begins + " completed"};
  const Json* failed = kube::FindCondition(job, "Failed");
  if (!failed && kube::IsDeleting(job)) return std::optional<JobEnd>();
  if (!failed && kube::FindCondition(job, "Complete")) return std::optional(completed);
  if (!failed && !MayBeHindered(job, now)) return std::optional<JobEnd>();
  TRY_ASSIGN(const std::vector<Json> pods, PodsOf(look.stop, look.deadline, look.client, job));
  const std::optional<bool> end = failed ? std::optional(false) : FindEndBesideOthers(job, pods);
  if (!end) return std::optional<JobEnd>();
  if (*end) return std::optional(completed);
  std::string words = FindLastWords(job, pods);
  if (words.empty()) words = failed ? (*failed)["message"].AsString() : "see its pod's log";
  return std::optional(JobEnd{false, begins + " failed: " + words});
}

Result<CheckOutcome> OutcomeOf(const Look& look, const std::vector<Json>& jobs,
                               const api::Check& check, api::CheckWhen moment, WallTime now) {
  CheckOutcome outcome;
  outcome.name = check.name;
  outcome.timeout_seconds = check.timeout_seconds;
  outcome.failure_threshold = check.failure_threshold;
  outcome.by_job = true;
  const std::string name = CheckJobName(look.migration, check, moment);
  const Json* job = FindJob(jobs, name);
  if (job == nullptr) return WithoutJob(look, check, std::move(outcome));
  TRY_ASSIGN(const std::optional<JobEnd> end, FindEnd(look, *job, now));
  outcome.verdict = !end ? Verdict::kRunning : end->well ? Verdict::kPassed : Verdict::kFailed;
  outcome.message = end ? end->message : "Job " + name + " is running";
  return outcome;
}

Status StartOne(const Look& look, const api::Check& check, api::CheckWhen moment,
                const TenantPlace& place) {
  TRY_ASSIGN(auto cron_job, ReadCronJob(look, check));
  if (!cron_job) return Ok();  // Said by the next observation.
  // First what has been looked at long ago: nobody comes back for it once the new one is there.
  const int64_t runs = RunsOf(look.migration, check);
  if (moment == api::CheckWhen::kHypercare && runs > 1)
    TRY(look.client.Delete(look.stop, look.deadline, kube::kJob,
                           {look.ns(), NameOfRun(look.migration, check, std::to_string(runs - 1))},
                           {}));
  auto created =
      look.client.Create(look.stop, look.deadline, kube::kJob,
                         CheckJobObject(look.migration, check, moment, *cron_job, place));
  if (created) return Ok();
  // Ours would have been listed, or will be by the next look.
  if (kube::IsAlreadyExists(created.error()))
    return RetryError("JobNameTaken", "Job " + CheckJobName(look.migration, check, moment) +
                                          " in namespace " + look.ns() +
                                          " is not this migration's, whose check " + check.name +
                                          " needs the name: delete it");
  return tl::make_unexpected(WithContext(std::move(created).error(), "check " + check.name));
}

}  // namespace

std::string CheckJobName(const api::TenantMigration& migration, const api::Check& check,
                         api::CheckWhen moment) {
  return NameOfRun(migration, check,
                   moment == api::CheckWhen::kHypercare
                       ? std::to_string(RunsOf(migration, check) + 1)
                       : "smoke");
}

Json CheckJobObject(const api::TenantMigration& migration, const api::Check& check,
                    api::CheckWhen moment, const Json& cron_job, const TenantPlace& place) {
  const Json& job_template = cron_job.At({"spec", "jobTemplate"});
  Json labels = OwnLabels(migration, check);
  Json object = kube::NewObject(
      kube::kJob, {migration.meta.namespace_name, CheckJobName(migration, check, moment)});
  Json& metadata = object.MutableAt("metadata");
  Json all_labels = ObjectOr(job_template.At({"metadata", "labels"}));
  Overlay(all_labels, labels);
  metadata.Set("labels", std::move(all_labels));
  Json annotations = ObjectOr(job_template.At({"metadata", "annotations"}));
  annotations.Set(kInstantiateAnnotation, "manual");
  metadata.Set("annotations", std::move(annotations));
  metadata.Set("ownerReferences", api::OwnerReferences("TenantMigration", migration.meta));
  object.Set("spec", JobSpecOf(check, job_template, labels, PlaceVariables(place, moment)));
  return object;
}

Result<std::vector<CheckOutcome>> ObserveCheckJobs(std::stop_token stop, Deadline deadline,
                                                   kube::Client& client,
                                                   const api::TenantMigration& migration,
                                                   api::CheckWhen moment, WallTime now) {
  const Look look{std::move(stop), deadline, client, migration};
  std::vector<CheckOutcome> outcomes;
  std::optional<std::vector<Json>> jobs;
  for (const api::Check& check : migration.spec.checks) {
    if (!RunsNow(migration, check, moment, now)) continue;
    if (!jobs) {
      TRY_ASSIGN(jobs, ListJobs(look));
    }
    TRY_ASSIGN(CheckOutcome outcome, OutcomeOf(look, *jobs, check, moment, now));
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

Status StartCheckJobs(std::stop_token stop, Deadline deadline, kube::Client& client,
                      const api::TenantMigration& migration, api::CheckWhen moment, WallTime now,
                      const TenantPlace& place) {
  const Look look{std::move(stop), deadline, client, migration};
  TRY_ASSIGN(std::vector<Json> jobs, ListJobs(look));
  for (const api::Check& check : migration.spec.checks)
    if (RunsNow(migration, check, moment, now) &&
        FindJob(jobs, CheckJobName(migration, check, moment)) == nullptr)
      TRY(StartOne(look, check, moment, place));
  return Ok();
}

Result<JobFacts> ObserveAnyCheckJob(std::stop_token stop, Deadline deadline, kube::Client& client,
                                    const api::TenantMigration& migration, WallTime now) {
  JobFacts facts;
  bool asked_for = false;
  for (const api::Check& check : migration.spec.checks) asked_for |= check.job.has_value();
  if (!asked_for) return facts;  // The spec never changes, so there never was one.
  TRY_ASSIGN(std::vector<Json> jobs, ListJobs({stop, deadline, client, migration}));
  facts.exists = facts.going = facts.abandoned = !jobs.empty();
  for (const Json& job : jobs) {
    facts.going &= kube::IsDeleting(job);
    TRY_ASSIGN(const bool abandoned, IsAbandoned(stop, deadline, client, job, now));
    facts.abandoned &= abandoned;
  }
  return facts;
}

}  // namespace cutover::migration
