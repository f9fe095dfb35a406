// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/verbs/verb.h"
#include "cli/view/log_lines.h"

namespace cutover::cli {
namespace {

constexpr char kExamples[] =
    "    kubectl cutover logs acme-to-dedicated -n acme --since 30m\n"
    "  Pods that are gone have taken their logs along.";

constexpr char kOperatorSelector[] = "app.kubernetes.io/component=operator";
// Of each container, the latest; enough for a day of an operator that moves a dozen tenants.
constexpr int kLinesMax = 20'000;

class LogsVerb : public Verb {
 public:
  explicit LogsVerb(CLI::App& app)
      : Verb(app, "logs", "What operator and Jobs wrote about a migration, in order", kExamples) {
    command()->add_option("NAME", name_, "TenantMigration")->required();
    command()->add_option("--since", since_, "How far back")->capture_default_str();
  }

  Result<ExitCode> Run(const ClusterFlags& flags) override {
    TRY_ASSIGN(const std::chrono::seconds since, ParseSpan(since_));
    TRY_ASSIGN(const Cluster cluster, Cluster::Connect(flags));
    TRY_ASSIGN(const Json object, cluster.Get(kube::kTenantMigration, name_));
    const MigrationView migration = ViewOf(object);
    const std::string own = std::string(api::kMigrationUidLabel) + "=" + migration.meta.uid;
    const std::string& operator_namespace = cluster.operator_namespace();
    std::vector<LogSource> sources;
    Collect(cluster, operator_namespace, kOperatorSelector, since, true, sources);
    Collect(cluster, operator_namespace, own, since, false, sources);
    if (operator_namespace != cluster.ns())
      Collect(cluster, cluster.ns(), own, since, false, sources);
    const std::string text = MergeLogs(sources, migration);
    if (text.empty())
      Note("nothing was found about " + name_ + " in " + std::to_string(sources.size()) +
           " containers of the last " + since_ +
           "; pods that are gone have taken their logs along");
    Print(text);
    return text.empty() ? kExitFailed : kExitGood;
  }

 private:
  // What cannot be read is said, and the rest shown: half of the logs is better than none.
  static void Collect(const Cluster& cluster, const std::string& ns, const std::string& selector,
                      std::chrono::seconds since, bool shared, std::vector<LogSource>& sources) {
    auto pods = cluster.List(kube::kPod, ns, selector);
    if (!pods) return Complain(pods.error());
    for (const Json& pod : *pods)
      for (const Json& container : pod.At({"spec", "containers"}).Items())
        Read(cluster, ns, pod.At({"metadata", "name"}).AsString(), container["name"].AsString(),
             since, shared, sources);
  }

  static void Read(const Cluster& cluster, const std::string& ns, const std::string& pod,
                   const std::string& container, std::chrono::seconds since, bool shared,
                   std::vector<LogSource>& sources) {
    auto text = cluster.client().GetRaw(
        {}, Cluster::Soon(),
        kube::kPod.ObjectPath({ns, pod}, "log") + "?container=" + container +
            "&timestamps=true&sinceSeconds=" + std::to_string(std::max<int64_t>(since.count(), 1)) +
            "&tailLines=" + std::to_string(kLinesMax));
    if (!text) return Complain(WithContext(text.error(), "logs of pod " + ns + "/" + pod));
    sources.push_back({pod, std::move(*text), shared});
  }

  std::string name_;
  std::string since_ = "24h";
};

}  // namespace

std::unique_ptr<Verb> MakeLogsVerb(CLI::App& app) { return std::make_unique<LogsVerb>(app); }

}  // namespace cutover::cli
