// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/surroundings.h"

#include <algorithm>
#include <utility>

#include "mover/contract/job_spec.h"
#include "operator/base/check.h"
#include "operator/kube/metadata.h"
#include "postgres/changes.h"
#include "reconcilers/wiring/base64.h"
#include "tests/sim/postgres/stream.h"

namespace cutover::sim {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPodStarts{800};
constexpr milliseconds kPodStops{700};
constexpr SteadyTime kNever = SteadyTime::max();
constexpr char kTemplateHash[] = "5d8f";
constexpr milliseconds kJobStage{1500};
// How far behind an apply worker is, unless somebody looks.
constexpr milliseconds kApplyLag{1200};
constexpr int kChangesAtOnce = 50;
constexpr int64_t kFirstRows = 100;
constexpr milliseconds kWriteEvery{150};
constexpr int kJobFailuresMax = 3;
constexpr char kSourceAddress[] = "10.0.0.1";
constexpr char kTargetAddress[] = "10.0.0.2";
constexpr char kPoolerHost[] = "10.0.0.9";
constexpr char kSecondPoolerHost[] = "10.0.0.10";
constexpr int kPoolerPort = 6432;
constexpr char kServiceHost[] = "acme-pg.acme.svc.cluster.local";

const ApiModel::Write kKubelet{.manager = "kubelet"};
const ApiModel::Write kKubeletStatus{.manager = "kubelet", .subresource = "status"};

kube::Key KeyIn(const char* name) { return {kSpace, name}; }

bool IsApp(const Json& deployment) { return kube::KeyOf(deployment) == KeyIn(kTenant); }

// There are no ReplicaSets here: the Deployment stands for its own.
Json OwnerOfPods(const Json& deployment) {
  Json owner = kube::ControllerReference(kube::kReplicaSet, deployment);
  owner.Set("name", kube::KeyOf(deployment).name + "-" + kTemplateHash);
  return owner;
}

Json Parsed(const std::string& text) {
  Result<Json> json = Json::Parse(text);
  CHECK(json.has_value());
  return std::move(*json);
}

const Json* Condition(const Json& job, const char* type) {
  for (const Json& condition : job["status"]["conditions"].Items())
    if (condition["type"].StringRef() == type) return &condition;
  return nullptr;
}

}  // namespace

Result<std::vector<std::string>> ModelResolver::Resolve(std::stop_token, Deadline,
                                                        const std::string& host) {
  if (host == "pg-source.example" || host == kSourceAlias)
    return std::vector<std::string>{kSourceAddress};
  if (host == "pg-target.example" || host == kTargetAlias)
    return std::vector<std::string>{kTargetAddress};
  return RetryError("HostNotResolved", "no such host: " + host);
}

Surroundings::Surroundings(ApiModel& api, ModelServer& source, ModelServer& target,
                           const VirtualClock& clock)
    : api_(api),
      source_(source),
      target_(target),
      clock_(clock),
      pooler_(kTenant, kTenant, kTenantPassword, kServiceHost, [this] { return FindWiredTo(); }),
      second_pooler_(kTenant, kTenant, kTenantPassword, kServiceHost,
                     [this] { return FindWiredTo(); }) {
  for (ModelServer* server : {&source_, &target_})
    server->Edit([](ServerState& state) {
      state.roles[kAdmin] = {.superuser = true, .password = kAdminPassword};
      state.databases["postgres"] =
          std::make_shared<DatabaseState>(DatabaseState{.access = DefaultAccess(kAdmin)});
    });
  source_.Edit([](ServerState& state) {
    state.roles[kTenant] = {.password = kTenantPassword, .comment = "of the plan Basic"};
    DatabaseState database{.access = DefaultAccess(kTenant), .comment = "ACME"};
    database.access.connection_limit = 40;
    database.content = {.rows = RowSet::First(kFirstRows),
                        .tables = 7,
                        .sequences = {{"orders_id_seq", {kFirstRows, true}}}};
    state.databases[kTenant] = std::make_shared<DatabaseState>(std::move(database));
  });
  acknowledged_ = RowSet::First(kFirstRows);
  next_row_ = kFirstRows;
}

void Surroundings::Create(const kube::Resource& resource, const char* json) {
  Json object = Parsed(json);
  object.Set("apiVersion", resource.ApiVersion());
  object.Set("kind", resource.kind);
  auto created = api_.Create(resource, object, {.manager = "kubectl"});
  CHECK(created.has_value());
  // Create drops what only /status may say.
  if (object.Contains("status")) {
    Json with_status = (*created)->object;
    with_status.Set("status", object["status"]);
    CHECK(api_.Update(resource, with_status, kKubeletStatus).has_value());
  }
}

void Surroundings::Furnish() {
  Create(kube::kNamespace, R"({"metadata":{"name":"acme"}})");
  Create(kube::kNamespace, R"({"metadata":{"name":"cutover-system"}})");
  Json data = Json::Object({{"username", wiring::EncodeBase64(kAdmin)},
                            {"password", wiring::EncodeBase64(kAdminPassword)}});
  for (const char* name : {"pg-source", "pg-target"}) {
    Json secret = kube::NewObject(kube::kSecret, {kOperatorSpace, name});
    secret.Set("data", data);
    Create(kube::kSecret, secret.Dump().c_str());
  }
  for (auto [name, secret] :
       {std::pair{kSourceServer, "pg-source"}, std::pair{kTargetServer, "pg-target"}}) {
    Json server = kube::NewObject(kube::kDatabaseServer, {"", name});
    server.Set("spec",
               Json::Object({{"class", "Shared"},
                             {"endpoint", Json::Object({{"host", std::string(secret) + ".example"},
                                                        {"port", 5432},
                                                        {"sslMode", "prefer"}})},
                             {"adminSecretRef", Json::Object({{"name", secret}})}}));
    Create(kube::kDatabaseServer, server.Dump().c_str());
  }
  Json password = kube::NewObject(kube::kSecret, KeyIn("acme-db"));
  password.Set("data", Json::Object({{"password", wiring::EncodeBase64(kTenantPassword)}}));
  Create(kube::kSecret, password.Dump().c_str());
  Json wired = kube::NewObject(kube::kSecret, KeyIn("acme-conn"));
  wired.Set("data", Json::Object({{"host", wiring::EncodeBase64("pg-source.example")},
                                  {"port", wiring::EncodeBase64("5432")}}));
  Create(kube::kSecret, wired.Dump().c_str());
  Create(kube::kPersistentVolumeClaim,
         R"({"metadata":{"namespace":"acme","name":"backups"},"status":{"phase":"Bound"}})");
  Create(kube::kService, R"({"metadata":{"namespace":"acme","name":"acme"},
      "spec":{"selector":{"app":"acme"},"ports":[{"name":"http","port":80}]}})");
  Create(kube::kIngress, R"({"metadata":{"namespace":"acme","name":"acme"},"spec":{"rules":[
      {"host":"acme.example","http":{"paths":[{"path":"/","pathType":"Prefix","backend":
        {"service":{"name":"acme","port":{"number":80}}}}]}}]}})");
  Create(kube::kDeployment, R"({"metadata":{"namespace":"acme","name":"acme"},"spec":{
      "replicas":2,"selector":{"matchLabels":{"app":"acme"}},
      "template":{"metadata":{"labels":{"app":"acme"}},
        "spec":{"containers":[{"name":"app","image":"app"}]}}}})");
  Create(kube::kDatabasePlacement, R"({"metadata":{"namespace":"acme","name":"acme"},"spec":{
      "database":{"name":"acme","owner":"acme",
        "passwordSecretRef":{"name":"acme-db","key":"password"}},
      "class":"Shared","serverName":"shared","profile":{"type":"Generic"},
      "connection":{"service":{"name":"acme-pg"},
        "secret":{"name":"acme-conn","keys":{"host":"host","port":"port"}}},
      "workloads":[{"kind":"Deployment","name":"acme"}],
      "routes":[{"kind":"Ingress","name":"acme"}]}})");
}

void Surroundings::CreateMigration(const std::string& name, const Json& spec_changes) {
  Json migration = kube::NewObject(kube::kTenantMigration, {kSpace, name});
  Json spec = Parsed(R"json({"placementRef":{"name":"acme"},"target":{"serverName":"dedicated"},
      "strategy":"Offline","backup":{"mode":"Required","claimName":"backups"},
      "copy":{"jobs":2},"verification":{"level":"Rows"},
      "cutover":{"approval":"Automatic","switch":"Restart"},
      "checks":[{"name":"health","sql":{"query":"SELECT app_health()","expected":"ok"
}
, "timeoutSeconds" : 5, "when" : [ "Smoke", "Hypercare" ]
}],
      "hypercare":{"durationSeconds":0,"onFailedChecks":"Hold"},
      "source":{"retentionSeconds":86400,"reclaimPolicy":"Retain"},"suspend":false
})json");
  ;
  for (const auto& [key, value] : spec_changes.Members()) spec.Set(key, value);
  migration.Set("spec", std::move(spec));
  CHECK(api_.Create(kube::kTenantMigration, migration, {.manager = "kubectl"}).has_value());
}

void Surroundings::WireThrough(const std::string& host) {
  const Json data = Json::Object({{"host", wiring::EncodeBase64(host)}});
  CHECK(api_.MergePatch(kube::kSecret, KeyIn("acme-conn"), Json::Object({{"data", data}}),
                        {.manager = "kubectl"})
            .has_value());
}

void Surroundings::ChangePassword(ModelServer& server) {
  tenant_password_ = kNewTenantPassword;
  server.Edit([this](ServerState& state) { state.roles[kTenant].password = tenant_password_; });
  const Json data = Json::Object({{"password", wiring::EncodeBase64(tenant_password_)}});
  CHECK(api_.MergePatch(kube::kSecret, KeyIn("acme-db"), Json::Object({{"data", data}}),
                        {.manager = "kubectl"})
            .has_value());
}

void Surroundings::FreezeWiring() {
  CHECK(api_.MergePatch(kube::kSecret, KeyIn("acme-conn"), Json::Object({{"immutable", true}}),
                        {.manager = "kubectl"})
            .has_value());
}

void Surroundings::PutPoolerInFront() {
  through_pooler_ = true;
  for (auto& [key, pods] : pods_)
    for (Pod& pod : pods) {
      if (pod.server != nullptr) pod.server->End(pod.session);
      pod.server = nullptr;
    }
  const Json pooler =
      Json::Object({{"adminEndpoint", Json::Object({{"host", kPoolerHost}, {"port", kPoolerPort}})},
                    {"adminSecretRef", Json::Object({{"name", "pg-source"}})}});
  for (const char* server : {kSourceServer, kTargetServer})
    CHECK(api_.MergePatch(kube::kDatabaseServer, {"", server},
                          Json::Object({{"spec", Json::Object({{"pooler", pooler}})}}),
                          {.manager = "kubectl"})
              .has_value());
}

void Surroundings::PutSecondPoolerBeside() {
  const Json host = Json::Object({{"host", kSecondPoolerHost}, {"port", kPoolerPort}});
  const Json pooler = Json::Object(
      {{"adminEndpoint", host}, {"adminSecretRef", Json::Object({{"name", "pg-source"}})}});
  CHECK(api_.MergePatch(kube::kDatabaseServer, {"", kTargetServer},
                        Json::Object({{"spec", Json::Object({{"pooler", pooler}})}}),
                        {.manager = "kubectl"})
            .has_value());
}

// --- what is asked of it ------------------------------------------------------------------------

bool Surroundings::IsWritable(const ModelServer& server) {
  const DatabaseState* database = server.state().Find(kTenant);
  if (database == nullptr) return false;
  for (const auto& [pid, backend] : server.backends())
    if (backend.database == kTenant && backend.user != kAdmin) return true;
  if (database->access.connection_limit == 0) return false;
  // A stream's role may read the log and nothing else.
  for (const auto& [name, role] : server.state().roles)
    if (!role.superuser && !name.starts_with("cutover_") &&
        server.state().MayConnect(name, kTenant))
      return true;
  return false;
}

const ModelServer* Surroundings::WiredTo() const {
  auto slice = api_.Get(kube::kEndpointSlice, KeyIn("acme-pg-cutover-ipv4"));
  if (!slice) return nullptr;
  const Json& endpoints = (*slice)->object["endpoints"];
  const std::string& address = endpoints[size_t{0}]["addresses"][size_t{0}].StringRef();
  if (address == kSourceAddress) return &source_;
  return address == kTargetAddress ? &target_ : nullptr;
}

ModelServer* Surroundings::FindWiredTo() const {
  const ModelServer* wired = WiredTo();
  return wired == &source_ ? &source_ : wired == &target_ ? &target_ : nullptr;
}

bool Surroundings::UsersReachTheTenant() const {
  auto route = api_.Get(kube::kIngress, KeyIn(kTenant));
  if (!route) return false;
  const Json& path = (*route)->object["spec"]["rules"][size_t{0}]["http"]["paths"][size_t{0}];
  return path.At({"backend", "service", "name"}).StringRef() == kTenant;
}

std::optional<SteadyTime> Surroundings::NextDue() const {
  std::optional<SteadyTime> next;
  auto consider = [&](SteadyTime due) {
    if (due > clock_.SteadyNow() && (!next || due < *next)) next = due;
  };
  for (const auto& [key, pods] : pods_)
    for (const Pod& pod : pods)
      if (pod.gone_at != kNever) consider(pod.gone_at ? *pod.gone_at : pod.ready_at);
  for (const auto& [uid, run] : runs_)
    if (!run.over) consider(run.due);
  return next;
}

bool Surroundings::Step() {
  if (misfortune.session_lingers && lingering_session_ == 0) Linger();
  source_.check_answers[kHealthQuery] = "ok";
  target_.check_answers[kHealthQuery] = misfortune.smoke_fails ? "ill" : "ok";
  bool changed = StepDeployments();
  changed |= StepJobs();
  changed |= StepEndpoints();
  changed |= api_.CollectGarbage();
  for (ModelServer* server : {&source_, &target_})
    ApplyStreams(*server, clock_.WallNow() - kApplyLag, kChangesAtOnce);
  changed |= StepUsers();
  return changed;
}

void Surroundings::Linger() {
  if (!source_.up()) return;
  auto session = source_.Connect(kTenant, kTenantPassword, kTenant, "psql");
  lingering_session_ = session ? (*session)->pid : -1;
}

// --- Deployments and their pods -----------------------------------------------------------------

bool Surroundings::StepDeployments() {
  bool changed = false;
  for (auto& [key, pods] : pods_) {  // What has lost its Deployment terminates.
    if (api_.Get(kube::kDeployment, key)) continue;
    for (Pod& pod : pods)
      if (!pod.gone_at) pod.gone_at = clock_.SteadyNow() + kPodStops;
    changed |= StepPods(Json(), pods);
  }
  for (const VersionPointer& version : api_.List(kube::kDeployment, "", {})) {
    std::vector<Pod>& pods = pods_[kube::KeyOf(version->object)];
    changed |= StepPods(version->object, pods);
    WriteDeploymentStatus(version->object, pods);
  }
  return changed;
}

bool Surroundings::StepPods(const Json& deployment, std::vector<Pod>& pods) {
  bool changed = false;
  const SteadyTime now = clock_.SteadyNow();
  for (Pod& pod : pods) {
    if (!pod.gone_at || *pod.gone_at > now) continue;
    if (pod.server != nullptr) pod.server->End(pod.session);
    // Gone already when its Deployment's namespace was: nothing to add to that.
    static_cast<void>(api_.Delete(kube::kPod, KeyIn(pod.name.c_str()), {}));
    changed = true;
  }
  std::erase_if(pods, [&](const Pod& pod) { return pod.gone_at && *pod.gone_at <= now; });
  if (deployment.IsNull()) return changed;
  int64_t wanted = deployment["spec"]["replicas"].AsInt(1);
  int64_t running = 0;
  for (Pod& pod : pods) {
    if (pod.gone_at || ++running <= wanted) continue;
    pod.gone_at = misfortune.pods_never_go ? kNever : now + kPodStops;
    changed = true;
  }
  for (; running < wanted; ++running) {
    Pod pod{"pod-" + std::to_string(++pod_names_),        now + kPodStarts, {}, nullptr, 0, false,
            misfortune.image_is_gone && IsApp(deployment)};
    Json object = kube::NewObject(kube::kPod, KeyIn(pod.name.c_str()));
    Json labels = deployment.At({"spec", "template", "metadata", "labels"});
    labels.Set("pod-template-hash", kTemplateHash);
    object.MutableAt("metadata").Set("labels", std::move(labels));
    object.MutableAt("metadata").Set("ownerReferences", Json::Array({OwnerOfPods(deployment)}));
    // Not in a namespace that is being deleted.
    if (!api_.Create(kube::kPod, object, kKubelet)) break;
    pods.push_back(std::move(pod));
    changed = true;
  }
  return changed;
}

// A pod of the tenant's is ready while it has a session in the database that its wiring leads to;
// one of the maintenance page, once it has started.
bool Surroundings::Connected(const Json& deployment, Pod& pod) {
  if (!IsApp(deployment)) return !misfortune.page_not_ready;
  if (through_pooler_) return true;
  if (pod.server != nullptr && pod.server->Find(pod.session) != nullptr) return true;
  pod.server = nullptr;
  const ModelServer* wired = WiredTo();
  ModelServer* server = wired == &source_ ? &source_ : wired == &target_ ? &target_ : nullptr;
  if (server == nullptr || !server->up()) return false;
  if (server == &target_ && misfortune.pods_never_ready_on_target) return false;
  auto session = server->Connect(kTenant, tenant_password_, kTenant, "app");
  if (!session) return false;
  pod.server = server;
  pod.session = (*session)->pid;
  return true;
}

void Surroundings::WriteDeploymentStatus(const Json& deployment, const std::vector<Pod>& pods) {
  const bool image_is_gone = misfortune.image_is_gone && IsApp(deployment);
  int64_t ready = 0, earlier = 0;
  std::vector<Pod>& own = pods_[kube::KeyOf(deployment)];
  for (Pod& pod : own) {
    earlier += image_is_gone && !pod.lacks_image ? 1 : 0;
    if (pod.gone_at || pod.ready_at > clock_.SteadyNow()) continue;
    pod.announced_ready = !(image_is_gone && pod.lacks_image) && Connected(deployment, pod);
    ready += pod.announced_ready ? 1 : 0;
  }
  // The first pod of the new form is the one too many that a rolling update may make.
  const auto replicas = static_cast<int64_t>(pods.size()) + (earlier > 0 ? 1 : 0);
  const int64_t updated = replicas - earlier;
  const Json& generation = deployment["metadata"]["generation"];
  const Json& before = deployment["status"];
  if (before["observedGeneration"] == generation && before["replicas"].AsInt(-1) == replicas &&
      before["readyReplicas"].AsInt(-1) == ready && before["updatedReplicas"].AsInt(-1) == updated)
    return;
  Json next = deployment;
  next.Set("status", Json::Object({{"observedGeneration", generation},
                                   {"replicas", replicas},
                                   {"updatedReplicas", updated},
                                   {"readyReplicas", ready},
                                   {"availableReplicas", ready}}));
  CHECK(api_.Update(kube::kDeployment, next, kKubeletStatus).has_value());
}

// One slice for each Service that selects pods, with an address while one of them is ready.
bool Surroundings::StepEndpoints() {
  if (endpoints_as_of_ == api_.version()) return false;
  bool changed = false;
  for (const VersionPointer& service : api_.List(kube::kService, kSpace, {})) {
    const Json& selector = service->object["spec"]["selector"];
    // None is made for a Service that is going, as the endpoint slice controller has it.
    if (selector.Empty() || kube::IsDeleting(service->object)) continue;
    bool ready = false;
    for (const VersionPointer& deployment : api_.List(kube::kDeployment, kSpace, {})) {
      const Json& labels = deployment->object.At({"spec", "template", "metadata", "labels"});
      bool selected =
          std::all_of(selector.Members().begin(), selector.Members().end(),
                      [&](const auto& label) { return labels[label.first] == label.second; });
      ready |= selected && deployment->object["status"]["readyReplicas"].AsInt() > 0;
    }
    const std::string name = kube::KeyOf(service->object).name;
    Json slice = kube::NewObject(kube::kEndpointSlice, KeyIn((name + "-pods").c_str()));
    Json& metadata = slice.MutableAt("metadata");
    metadata.MutableAt("labels").Set("kubernetes.io/service-name", name);
    metadata.Set("ownerReferences",
                 Json::Array({kube::ControllerReference(kube::kService, service->object)}));
    slice.Set("addressType", "IPv4");
    slice.Set("endpoints",
              ready ? Parsed(R"([{"addresses":["10.1.0.1"],"conditions":{"ready":true}}])")
                    : Json::Array());
    auto before = api_.Get(kube::kEndpointSlice, kube::KeyOf(slice));
    if (before && (*before)->object["endpoints"] == slice["endpoints"]) continue;
    if (before)
      CHECK(api_.Update(kube::kEndpointSlice, slice, kKubelet).has_value());
    else if (!api_.Create(kube::kEndpointSlice, slice, kKubelet))
      continue;  // Nor this.
    changed = true;
  }
  if (!changed) endpoints_as_of_ = api_.version();
  return changed;
}

// --- Jobs and the mover in them -----------------------------------------------------------------

bool Surroundings::StepJobs() {
  bool changed = false;
  std::map<std::string, bool> present;
  for (const VersionPointer& version : api_.List(kube::kJob, "", {})) {
    const Json& job = version->object;
    const std::string& uid = kube::UidOf(job);
    present[uid] = true;
    auto [found, is_new] = runs_.try_emplace(uid);
    Run& run = found->second;
    if (is_new) {
      run.due = clock_.SteadyNow() + kJobStage;
      kube::Key key = kube::KeyOf(job);
      Json pod = kube::NewObject(kube::kPod, {key.ns, key.name + "-pod"});
      pod.MutableAt("metadata").Set("labels", Json::Object({{"job-name", key.name}}));
      pod.MutableAt("metadata")
          .Set("ownerReferences", Json::Array({kube::ControllerReference(kube::kJob, job)}));
      if (misfortune.job_pods_never_go)
        pod.MutableAt("metadata").Set("finalizers", Json::Array({kOfADeadNode}));
      // The pod of a Job of that name which is just going is in the way.
      if (!api_.Create(kube::kPod, pod, kKubelet)) {
        runs_.erase(uid);
        continue;
      }
      changed = true;
    }
    if (kube::IsDeleting(job)) run.over = true;
    if (run.over || run.due > clock_.SteadyNow()) continue;
    RunJob(job, run);
    changed = true;
  }
  std::erase_if(runs_, [&](const auto& item) { return !present.contains(item.first); });
  return changed;
}

void Surroundings::RunJob(const Json& job, Run& run) {
  run.due = clock_.SteadyNow() + kJobStage;
  if (job["metadata"]["labels"]["cutover.dev/job"].StringRef() == "backup") {
    BackUp(job, run);
    return;
  }
  auto order = api_.Get(kube::kConfigMap, kube::KeyOf(job));
  if (!order) {  // The order is created first; without it the pod does not start.
    return;
  }
  Copy(job, Parsed((*order)->object["data"]["spec.json"].AsString()), run);
}

void Surroundings::BackUp(const Json& job, Run& run) {
  if (!source_.up()) {
    if (++run.failures >= kJobFailuresMax) Finish(job, run, false, "the source does not answer");
    return;
  }
  if (misfortune.backup_fails)
    Finish(job, run, false, "the volume is full");
  else
    Finish(job, run, true,
           R"({"verdict":"Complete","directory":"/backup/acme","files":3,"bytes":1234})");
}

bool Surroundings::MayCopy(const Json& order) const {
  const DatabaseState* database = target_.state().Find(kTenant);
  return database != nullptr && database->control &&
         database->control->migration_uid == order["migrationUid"].StringRef() &&
         database->control->state == "preparing" &&
         database->control->epoch >= order["epoch"].AsInt();
}

void Surroundings::Copy(const Json& job, const Json& order, Run& run) {
  if (!source_.up() || !target_.up()) {
    run.stage = 0;  // The pod is replaced, and starts again.
    if (++run.failures >= kJobFailuresMax) Finish(job, run, false, "a server does not answer");
    return;
  }
  if (!MayCopy(order)) return Finish(job, run, false, "NotAuthorized");
  const std::string slot = order["slot"].AsString();
  if (run.stage++ == 0) {
    if (!slot.empty()) TakeSnapshot(slot, run);
    target_.Edit([](ServerState& state) {
      state.Edit(kTenant)->content = {.rows = RowSet::First(1), .tables = 1};
    });
    return;
  }
  if (misfortune.copy_fails) {
    if (!slot.empty()) DropSlots(slot);
    return Finish(job, run, false, "the target's disk is full");
  }
  CopyRows(order, slot.empty() ? source_.state().Find(kTenant)->content : *run.snapshot);
  // Slots stay only for a copy that is proven (mover/supervisor.cc).
  if (misfortune.copy_differs && !slot.empty()) DropSlots(slot);
  Finish(job, run, !misfortune.copy_differs, "");
}

// The stream's slot and the watch beside it begin where the snapshot is.
void Surroundings::TakeSnapshot(const std::string& slot, Run& run) {
  DropSlots(slot);
  for (const std::string& name : {slot, pg::WatchSlotName(slot)}) MakeSlot(source_, kTenant, name);
  run.snapshot = source_.state().Find(kTenant)->content;
}

void Surroundings::DropSlots(const std::string& slot) {
  for (const std::string& name : {slot, pg::WatchSlotName(slot)}) DropSlot(source_, name);
}

void Surroundings::CopyRows(const Json& order, Content content) {
  // Sequences are set by the operator, under the fence.
  for (auto& [name, position] : content.sequences) position = {1, false};
  bool differs = misfortune.copy_differs;
  if (differs || misfortune.copy_lies) content.rows.RemoveLast();
  Json result = Json::Object({{"kind", mover::Name(mover::JobKind::kClone)},
                              {"migrationUid", order["migrationUid"]},
                              {"attempt", order["attempt"]},
                              {"epoch", order["epoch"]},
                              {"verdict", differs ? "Different" : "Equal"},
                              {"level", "Rows"},
                              {"tables", content.tables},
                              {"rows", content.rows.size()},
                              {"bytes", content.rows.size() * 100},
                              {"mismatchCount", differs ? 1 : 0},
                              {"mismatches", Json::Array()}});
  target_.Edit([&](ServerState& state) {
    DatabaseState* database = state.Edit(kTenant);
    database->content = content;
    database->results[{order["migrationUid"].AsString(), std::to_string(order["attempt"].AsInt()),
                       std::string(mover::Name(mover::JobKind::kClone))}] = result.Dump();
  });
}

void Surroundings::Finish(const Json& job, Run& run, bool good, const std::string& words) {
  run.over = true;
  const kube::Key key = kube::KeyOf(job);
  auto running = api_.Get(kube::kPod, {key.ns, key.name + "-pod"});
  if (!running) return;  // Deleted with its Job.
  Json pod = (*running)->object;
  const Json mover = Json::Object(
      {{"name", "mover"},
       {"state", Json::Object({{"terminated", Json::Object({{"message", words},
                                                            {"exitCode", good ? 0 : 1}})}})}});
  const Json proxy = Parsed(R"({"name":"istio-proxy","state":{"running":{}}})");
  const bool lives_on = misfortune.proxies_live_on;
  pod.Set("status", Json::Object({{"phase", lives_on ? "Running"
                                            : good   ? "Succeeded"
                                                     : "Failed"},
                                  {"containerStatuses", lives_on ? Json::Array({proxy, mover})
                                                                 : Json::Array({mover})}}));
  CHECK(api_.Update(kube::kPod, pod, kKubeletStatus).has_value());
  if (lives_on) return;
  Json done = (*api_.Get(kube::kJob, key))->object;
  CHECK(Condition(done, "Complete") == nullptr && Condition(done, "Failed") == nullptr);
  done.MutableAt("status").Set(
      "conditions",
      Json::Array({Json::Object({{"type", good ? "Complete" : "Failed"}, {"status", "True"}})}));
  CHECK(api_.Update(kube::kJob, done, kKubeletStatus).has_value());
}

// --- users --------------------------------------------------------------------------------------

// Through the route, a pod that is ready, and what that works on, wherever that is; what is
// committed there is acknowledged.
bool Surroundings::StepUsers() {
  if (!UsersReachTheTenant()) return false;
  if (next_write_ && *next_write_ > clock_.SteadyNow()) return false;
  bool written = through_pooler_ ? WriteThroughPooler() : WriteThroughPods();
  if (!written) return false;
  acknowledged_.Insert(next_row_++);
  next_write_ = clock_.SteadyNow() + kWriteEvery;
  return false;  // Nobody needs to look again because a user wrote.
}

void Surroundings::Write(ServerState& state) const {
  DatabaseState* database = state.Edit(kTenant);
  CHECK(WriteRow(*database, next_row_, clock_.WallNow()));
  database->content.sequences["orders_id_seq"] = {next_row_ + 1, true};
}

const Surroundings::Pod* Surroundings::FindWorkingPod() const {
  auto pods = pods_.find(KeyIn(kTenant));
  if (pods == pods_.end()) return nullptr;
  for (const Pod& pod : pods->second) {
    const bool has_session = pod.server != nullptr && pod.server->Find(pod.session) != nullptr;
    if (pod.announced_ready && (through_pooler_ || has_session)) return &pod;
  }
  return nullptr;
}

bool Surroundings::WriteThroughPods() {
  const Pod* pod = FindWorkingPod();
  if (pod == nullptr) return false;
  pod->server->Edit([this](ServerState& state) { Write(state); });
  return true;
}

bool Surroundings::WriteThroughPooler() {
  if (FindWorkingPod() == nullptr) return false;
  auto outcome = pooler_.Transact([this](ServerState& state) { Write(state); });
  if (outcome == ModelPooler::Outcome::kError) {
    ++client_errors_;
    next_write_ = clock_.SteadyNow() + kWriteEvery;
  }
  return outcome == ModelPooler::Outcome::kDone;
}

}  // namespace cutover::sim
