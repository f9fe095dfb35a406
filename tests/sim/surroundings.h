// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcilers/wiring/endpoints.h"
#include "tests/sim/api/api_model.h"
#include "tests/sim/postgres/model_pooler.h"
#include "tests/sim/postgres/model_server.h"
#include "tests/sim/virtual_clock.h"

namespace cutover::sim {

// The one tenant of a simulated cluster, and who keeps it.
inline constexpr char kSpace[] = "acme";
inline constexpr char kOperatorSpace[] = "cutover-system";
inline constexpr char kTenant[] = "acme";  ///< Placement, database, role, Deployment, route.
inline constexpr char kMigration[] = "move";
inline constexpr char kSourceServer[] = "shared";
inline constexpr char kTargetServer[] = "dedicated";
inline constexpr char kAdmin[] = "cutover";
inline constexpr char kAdminPassword[] = "s3cret-of-the-admin";
inline constexpr char kTenantPassword[] = "s3cret-of-the-tenant";
inline constexpr char kNewTenantPassword[] = "another-s3cret-of-the-tenant";
inline constexpr char kSourceAlias[] = "pg-source-2.example";  ///< Another name of the source.
inline constexpr char kTargetAlias[] = "pg-target-2.example";
inline constexpr char kHealthQuery[] = "SELECT app_health()";
inline constexpr int kReplicas = 2;

/// A finalizer: stands for a node that has died, whose pods nobody says to have ended.
inline constexpr char kOfADeadNode[] = "example.com/of-a-dead-node";

/// What a run's surroundings do wrong.
struct Misfortune {
  bool backup_fails = false;
  bool copy_fails = false;
  bool copy_differs = false;
  bool copy_lies = false;  ///< It lacks a row and says that it is equal. No operator survives that.
  bool pods_never_ready_on_target = false;
  bool smoke_fails = false;
  bool session_lingers = false;  ///< Somebody holds a session of the tenant's that is no pod's.
  /// The tenant's Deployment has a new form, whose image nobody can pull: its new pod is never
  /// ready, and nor is any that is made meanwhile. Those from before serve on beside it.
  bool image_is_gone = false;
  bool page_not_ready = false;     ///< The maintenance page's pod.
  bool proxies_live_on = false;    ///< A service mesh's, in the pods of Jobs: these never end.
  bool pods_never_go = false;      ///< Those that are told to end from here on: their node is dead.
  bool job_pods_never_go = false;  ///< Those that are made from here on.
};

/// Everything around the operator that acts by itself: controllers of the cluster (Deployments,
/// Jobs, endpoints, garbage), the tenant's pods with their sessions, users who write whenever they
/// are let, and the mover in its Jobs. Acts through the API as anybody does, in steps, at times of
/// the virtual clock.
class Surroundings {
 public:
  Surroundings(ApiModel& api, ModelServer& source, ModelServer& target, const VirtualClock& clock);

  /// Servers, Secrets, the tenant's objects and its database on the source, as they are before the
  /// operator comes. `placement_rest` goes over the DatabasePlacement.
  void Furnish();
  void CreateMigration(const std::string& name, const Json& spec_changes);
  /// The Secret of the wiring names what no DatabaseServer does.
  void WireThrough(const std::string& host);
  /// The tenant's password becomes kNewTenantPassword on that server and in its Secret, which is
  /// what pods log in with from then on.
  void ChangePassword(ModelServer& server);
  /// That Secret may not be changed any more.
  void FreezeWiring();
  /// From here on the tenant's pods reach its database through pooler().
  void PutPoolerInFront();
  /// Another one as well, at the other server's spec.pooler, that none of those pods uses.
  void PutSecondPoolerBeside();

  /// Does what is due; whether anything changed.
  bool Step();
  /// When something is due next, if anything is.
  std::optional<SteadyTime> NextDue() const;

  /// Whether somebody other than the operator could write to the tenant's database there.
  static bool IsWritable(const ModelServer& server);
  /// The server that the placement's Service leads to, by its slice; null for none.
  const ModelServer* WiredTo() const;
  bool UsersReachTheTenant() const;
  /// A pod of the tenant's is ready, with a session in its database where no pooler keeps those.
  bool PodsWork() const { return FindWorkingPod() != nullptr; }

  /// Rows whose writers were told that they are there.
  const RowSet& acknowledged() const { return acknowledged_; }
  /// Writes that failed where the tenant's pods were up and waited for the pooler.
  int client_errors() const { return client_errors_; }
  ModelPooler& pooler() { return pooler_; }
  ModelPooler& second_pooler() { return second_pooler_; }
  Misfortune misfortune;

 private:
  struct Pod {
    std::string name;
    SteadyTime ready_at;
    std::optional<SteadyTime> gone_at;  ///< Terminating until then.
    ModelServer* server = nullptr;      ///< Where its session is.
    int session = 0;
    bool announced_ready = false;
    bool lacks_image = false;  ///< As long as misfortune.image_is_gone.
  };
  struct Run {  ///< One Job's pod.
    SteadyTime due;
    int stage = 0;
    int failures = 0;
    bool over = false;
    std::optional<Content> snapshot;  ///< Of the source, when a slot was made.
  };

  bool StepDeployments();
  bool StepPods(const Json& deployment, std::vector<Pod>& pods);
  bool Connected(const Json& deployment, Pod& pod);
  void WriteDeploymentStatus(const Json& deployment, const std::vector<Pod>& pods);
  bool StepEndpoints();
  bool StepJobs();
  void RunJob(const Json& job, Run& run);
  void BackUp(const Json& job, Run& run);
  void Copy(const Json& job, const Json& order, Run& run);
  bool MayCopy(const Json& order) const;
  void TakeSnapshot(const std::string& slot, Run& run);
  void DropSlots(const std::string& slot);
  void CopyRows(const Json& order, Content content);
  void Finish(const Json& job, Run& run, bool good, const std::string& words);
  const Pod* FindWorkingPod() const;
  ModelServer* FindWiredTo() const;
  bool StepUsers();
  bool WriteThroughPods();
  bool WriteThroughPooler();
  void Write(ServerState& state) const;
  void Create(const kube::Resource& resource, const char* json);
  void Linger();

  ApiModel& api_;
  ModelServer& source_;
  ModelServer& target_;
  const VirtualClock& clock_;
  std::string tenant_password_ = kTenantPassword;
  std::map<kube::Key, std::vector<Pod>> pods_;  // By Deployment.
  std::map<std::string, Run> runs_;             // By the Job's uid.
  RowSet acknowledged_;
  int64_t next_row_ = 0;
  int client_errors_ = 0;
  bool through_pooler_ = false;
  ModelPooler pooler_, second_pooler_;
  int64_t endpoints_as_of_ = -1;  // The API server's version at which all were as they should be.
  int pod_names_ = 0;
  int lingering_session_ = 0;
  std::optional<SteadyTime> next_write_;
};

/// The addresses of the model's servers.
class ModelResolver final : public wiring::Resolver {
 public:
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override;
};

}  // namespace cutover::sim
