// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

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
      const Operators running = FindOperators(cluster);
      const std::string crds = CrdVersions(cluster);
      versions.Text("operator", running.text).Text("crds", crds);
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
  // The Deployments of operators: in words, and of which versions. None where they cannot be read.
  struct Operators {
    std::string text;
    std::vector<std::string> versions;
    bool known = true;
  };

  static Operators FindOperators(const Cluster& cluster) {
    auto found = cluster.List(kube::kDeployment, cluster.operator_namespace(), kOperatorSelector);
    if (!found) return {Unknown(found.error()), {}, false};
    Operators operators;
    for (const Json& deployment : *found) {
      const std::string version =
          deployment.At({"metadata", "labels", "app.kubernetes.io/version"}).AsString("unknown");
      const Json& containers = deployment.At({"spec", "template", "spec", "containers"});
      operators.versions.push_back(version);
      operators.text += (operators.text.empty() ? "" : "; ") + version + ", image " +
                        containers[size_t{0}]["image"].AsString() + ", " +
                        std::to_string(deployment["status"]["readyReplicas"].AsInt()) + " of " +
                        std::to_string(deployment["spec"]["replicas"].AsInt(1)) + " ready";
    }
    if (operators.versions.empty())
      operators.text = "none in namespace " + cluster.operator_namespace();
    return operators;
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

  // "1.4.2" → {"1", "1.4"}; nothing where it is no such version.
  static std::optional<std::pair<std::string, std::string>> MajorAndMinor(
      const std::string& version) {
    static const std::regex kVersion(R"(v?(\d+)\.(\d+)\..+)");
    std::smatch part;
    if (!std::regex_match(version, part, kVersion)) return std::nullopt;
    return std::pair(part.str(1), part.str(1) + "." + part.str(2));
  }

  // Of one operator. A plugin shows objects of any version of v1alpha1, so that another minor is
  // no more than a warning: what only one of the two knows is not shown, or not offered.
  static std::string CompatibleWith(const std::string& version) {
    const auto ours = MajorAndMinor(CUTOVER_VERSION), theirs = MajorAndMinor(version);
    if (!ours || !theirs) return "unknown: the operator's Deployment does not say its version";
    const std::string differ = "the operator is of version " + version + ", this plugin of " +
                               CUTOVER_VERSION + "; install the plugin of the operator's version";
    if (ours->first != theirs->first) return "no: " + differ;
    return ours->second == theirs->second ? "yes" : "perhaps: " + differ;
  }

  static std::string Compatible(const Operators& running, const std::string& crds) {
    if (crds.find("missing") != std::string::npos) return "no: CRDs are missing; install the chart";
    if (crds.starts_with("unknown")) return "unknown: the CRDs cannot be read";
    if (crds.find(api::kVersion) == std::string::npos)
      return "no: this plugin speaks " + std::string(api::kVersion) + "; use a newer one";
    if (!running.known) return "unknown: the operator's Deployment cannot be read";
    if (running.versions.empty())
      return "yes, but no operator was found; is it elsewhere "
             "(--operator-namespace)?";
    for (const std::string& version : running.versions)
      if (const std::string verdict = CompatibleWith(version); verdict != "yes") return verdict;
    return "yes";
  }

  std::string format_;
  bool client_only_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakeVersionVerb(CLI::App& app) { return std::make_unique<VersionVerb>(app); }

}  // namespace cutover::cli
