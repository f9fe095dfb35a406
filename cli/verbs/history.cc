// SPDX-License-Identifier: Apache-2.0
#include "cli/view/history.h"

#include "cli/console.h"
#include "cli/verbs/verb.h"

namespace cutover::cli {
namespace {

constexpr char kExamples[] =
    "  Where has this tenant been?\n"
    "    kubectl cutover history acme -n acme\n"
    "  Every move of the cluster, for a spreadsheet:\n"
    "    kubectl cutover history -A -o json\n"
    "  What the API server no longer has (TenantMigrations that were deleted) is not in it.";

class HistoryVerb : public Verb {
 public:
  explicit HistoryVerb(CLI::App& app)
      : Verb(app, "history", "The moves of a placement, the latest first", kExamples) {
    command()->add_option("PLACEMENT", placement_, "DatabasePlacement; without it, all");
    command()->add_flag("-A,--all-namespaces", all_namespaces_, "Of all namespaces");
    command()
        ->add_option("-o,--output", format_, "json or yaml")
        ->check(CLI::IsMember({"json", "yaml"}));
  }

  Result<ExitCode> Run(const ClusterFlags& flags) override {
    TRY_ASSIGN(const Cluster cluster, Cluster::Connect(flags));
    TRY_ASSIGN(const std::vector<Json> objects,
               cluster.List(kube::kTenantMigration, all_namespaces_ ? "" : cluster.ns()));
    std::vector<MigrationView> migrations;
    for (const Json& object : objects) migrations.push_back(ViewOf(object));
    const auto moves = HistoryOf(std::move(migrations), placement_);
    if (!format_.empty())
      Print(Encode(HistoryDocument(moves), format_));
    else if (moves.empty())
      Note("no moves are on record" + (placement_.empty() ? "" : " of placement " + placement_));
    else
      Print(RenderHistory(moves, RealClock().WallNow(), all_namespaces_));
    return kExitGood;
  }

 private:
  std::string placement_;
  std::string format_;
  bool all_namespaces_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakeHistoryVerb(CLI::App& app) { return std::make_unique<HistoryVerb>(app); }

}  // namespace cutover::cli
