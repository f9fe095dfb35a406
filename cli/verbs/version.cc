// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "cli/console.h"
#include "cli/verbs/verb.h"
#include "operator/api/field_writer.h"

namespace cutover::cli {
namespace {

constexpr char kExamples[] =
    "    kubectl cutover version\n"
    "  Without asking a cluster:\n"
    "    kubectl cutover version --client";

constexpr char kOperatorSelector[] = "app.kubernetes.io/component=operator";

// "unknown (Forbidden)": what could not be read.
std::string Unknown(const Error& error) { return "unknown (" + error.reason + ")"; }

class VersionVerb : public Verb {
 public:
  explicit VersionVerb(CLI::App& app)
      : Verb(app, "version", "Of this plugin, the operator and the CRDs", kExamples) {
    command()->add_flag("--client", client_only_, "Of this plugin only");
    command()
        ->add_option("-o,--output", format_, "json or yaml")
        ->check(CLI::IsMember({"json", "yaml"}));
  }

  Result<ExitCode> Run(const ClusterFlags& flags) override {
    api::FieldWriter versions;
    versions.Text("plugin", CUTOVER_VERSION);
    ExitCode ended = kExitGood;
    if (!client_only_) {
      TRY_ASSIGN(const Cluster cluster, Cluster::Connect(flags));
      const std::string running = OperatorVersion(cluster), crds = CrdVersions(cluster);
      versions.Text("operator", running).Text("crds", crds);
      const std::string verdict = Compatible(running, crds);
      versions.Text("compatible", verdict);
      if (verdict.starts_with("no")) ended = kExitTrouble;
    }
    const Json document = versions.Take();
    if (!format_.empty()) {
      Print(Encode(document, format_));
      return ended;
    }
    for (const auto& [key, value] : document.Members())
      Print(Pad(key + ":", 12) + value.AsString() + "\n");
    return ended;
  }

 private:
  static std::string OperatorVersion(const Cluster& cluster) {
    auto found = cluster.List(kube::kDeployment, cluster.operator_namespace(), kOperatorSelector);
    if (!found) return Unknown(found.error());
    std::string text;
    for (const Json& deployment : *found) {
      const std::string version =
          deployment.At({"metadata", "labels", "app.kubernetes.io/version"}).AsString("unknown");
      const Json& containers = deployment.At({"spec", "template", "spec", "containers"});
      text += (text.empty() ? "" : "; ") + version + ", image " +
              containers[size_t{0}]["image"].AsString() + ", " +
              std::to_string(deployment["status"]["readyReplicas"].AsInt()) + " of " +
              std::to_string(deployment["spec"]["replicas"].AsInt(1)) + " ready";
    }
    return text.empty() ? "none in namespace " + cluster.operator_namespace() : text;
  }

  static std::string CrdVersions(const Cluster& cluster) {
    std::string text;
    for (const kube::Resource& resource :
         {kube::kDatabaseServer, kube::kDatabasePlacement, kube::kTenantMigration}) {
      auto crd = cluster.Find(kube::kCustomResourceDefinition,
                              {"", std::string(resource.plural) + ".cutover.dev"});
      if (!crd) return Unknown(crd.error());
      text += (text.empty() ? "" : ", ") + std::string(resource.plural) + " ";
      if (!*crd) {
        text += "missing";
        continue;
      }
      for (const Json& version : (**crd)["spec"]["versions"].Items())
        if (version["served"].AsBool()) text += version["name"].AsString() + " ";
      text.pop_back();
    }
    return text;
  }

  // Only what is certain: a plugin shows objects of any version of v1alpha1.
  static std::string Compatible(const std::string& running, const std::string& crds) {
    if (crds.find("missing") != std::string::npos) return "no: CRDs are missing; install the chart";
    if (crds.starts_with("unknown")) return "unknown: the CRDs cannot be read";
    if (crds.find(api::kVersion) == std::string::npos)
      return "no: this plugin speaks " + std::string(api::kVersion) + "; use a newer one";
    if (running.starts_with("none"))
      return "yes, but no operator was found; is it elsewhere "
             "(--operator-namespace)?";
    return "yes";
  }

  std::string format_;
  bool client_only_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakeVersionVerb(CLI::App& app) { return std::make_unique<VersionVerb>(app); }

}  // namespace cutover::cli
