// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <string>

#include "cli/console.h"
#include "cli/verbs/verb.h"
#include "cli/view/redact.h"

namespace cutover::cli {
namespace {

constexpr char kExamples[] =
    "  What the project needs to help, of one namespace and the operator:\n"
    "    kubectl cutover support-bundle -n acme --file acme-bundle.yaml\n"
    "  Secrets and ConfigMaps are not read. Passwords in messages are removed; have a look all the "
    "same.";

constexpr char kOperatorSelector[] = "app.kubernetes.io/component=operator";
constexpr int kLogLinesMax = 5'000;

class SupportBundleVerb : public Verb {
 public:
  explicit SupportBundleVerb(CLI::App& app)
      : Verb(app, "support-bundle", "Collect objects, Events and logs, redacted", kExamples) {
    command()->add_option("-f,--file", file_, "Where to write it")->capture_default_str();
  }

  Result<ExitCode> Run(const ClusterFlags& flags) override {
    TRY_ASSIGN(const Cluster cluster, Cluster::Connect(flags));
    const std::string &ns = cluster.ns(), &operator_namespace = cluster.operator_namespace();
    Json bundle = Json::Object({{"plugin", CUTOVER_VERSION},
                                {"madeAt", FormatTime(RealClock().WallNow())},
                                {"namespace", ns}});
    bundle.Set("tenantMigrations", Items(cluster, kube::kTenantMigration, ns));
    bundle.Set("databasePlacements", Items(cluster, kube::kDatabasePlacement, ns));
    bundle.Set("databaseServers", Items(cluster, kube::kDatabaseServer, ""));
    bundle.Set("events", Items(cluster, kube::kEvent, ns));
    bundle.Set("jobs", Items(cluster, kube::kJob, ns, kManaged));
    bundle.Set("operatorDeployments",
               Items(cluster, kube::kDeployment, operator_namespace, kOperatorSelector));
    bundle.Set("operatorEvents", Items(cluster, kube::kEvent, operator_namespace));
    bundle.Set("operatorLogs", Logs(cluster, operator_namespace, kOperatorSelector));
    // The mover works beside the operator, a backup beside the tenant.
    bundle.Set("operatorJobs",
               Items(cluster, kube::kJob, operator_namespace, api::kMigrationUidLabel));
    bundle.Set("operatorJobLogs", Logs(cluster, operator_namespace, api::kMigrationUidLabel));
    bundle.Set("jobLogs", Logs(cluster, ns, api::kMigrationUidLabel));
    std::ofstream out(file_, std::ios::binary);
    out << Encode(Redacted(bundle), "yaml");
    out.close();
    if (!out) return TerminalError("FileNotWritten", file_ + " cannot be written");
    if (bundle["tenantMigrations"].Size() + bundle["databasePlacements"].Size() == 0)
      Note("namespace " + ns + " has no migration and no placement: is it the tenant's? Name it " +
           "with -n");
    Print(file_ + " written; look through it before you give it away\n");
    return kExitGood;
  }

 private:
  static constexpr char kManaged[] = "app.kubernetes.io/managed-by=cutover";

  // What may not be read is in the bundle as the reason why.
  static Json Items(const Cluster& cluster, const kube::Resource& resource, const std::string& ns,
                    const std::string& selector = "") {
    auto items = cluster.List(resource, ns, selector);
    if (!items) return Json::Object({{"notRead", items.error().message}});
    return Json::ArrayOf(std::move(*items));
  }

  static Json Logs(const Cluster& cluster, const std::string& ns, const std::string& selector) {
    auto pods = cluster.List(kube::kPod, ns, selector);
    if (!pods) return Json::Object({{"notRead", pods.error().message}});
    Json logs = Json::Object();
    for (const Json& pod : *pods) {
      const std::string name = pod.At({"metadata", "name"}).AsString();
      auto text = cluster.client().GetRaw(
          {}, Cluster::Soon(),
          kube::kPod.ObjectPath({ns, name}, "log") + "?tailLines=" + std::to_string(kLogLinesMax));
      logs.Set(name, text ? Json(*text) : Json::Object({{"notRead", text.error().message}}));
    }
    return logs;
  }

  std::string file_ = "cutover-support-bundle.yaml";
};

}  // namespace

std::unique_ptr<Verb> MakeSupportBundleVerb(CLI::App& app) {
  return std::make_unique<SupportBundleVerb>(app);
}

}  // namespace cutover::cli
