// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/verbs/planned_changes.h"
#include "cli/verbs/verb.h"
#include "cli/view/move_plan.h"
#include "operator/kube/error.h"

namespace cutover::cli {
namespace {

constexpr char kMoveExamples[] =
    "  Move a tenant; ask before its users are stopped:\n"
    "    kubectl cutover move acme --to pg-dedicated -n acme --backup-claim backups "
    "--approval Manual\n"
    "  What would happen, without anything happening:\n"
    "    kubectl cutover move acme --to pg-dedicated -n acme --backup-claim backups --dry-run\n"
    "  While its users work, and with a way back for a day that loses nothing:\n"
    "    kubectl cutover move acme --to pg-dedicated -n acme --skip-backup --online --hypercare "
    "24h\n"
    "  The manifest, for Git:\n"
    "    kubectl cutover move acme --to pg-dedicated -n acme --skip-backup --dry-run -o yaml";

constexpr char kPlanExamples[] =
    "  How big it is, how long it may take, what would change, and what stands in the way:\n"
    "    kubectl cutover plan acme --to pg-dedicated -n acme\n"
    "  The same for a copy that is held back, and users who go on working meanwhile:\n"
    "    kubectl cutover plan acme --to pg-dedicated -n acme --online --max-rate 20\n"
    "  The manifest, for Git:\n"
    "    kubectl cutover plan acme --to pg-dedicated -n acme --skip-backup -o yaml\n"
    "EXIT CODES\n"
    "  0 nothing that is known stands in the way   1 nothing could be found out   3 something does";

/// `move` and `plan`: the same order, which one of them carries out.
class MoveVerb : public Verb {
 public:
  MoveVerb(CLI::App& app, bool plan_only)
      : Verb(app, plan_only ? "plan" : "move",
             plan_only ? "What a move would do; touches nothing" : "Create a TenantMigration",
             plan_only ? kPlanExamples : kMoveExamples),
        dry_run_(plan_only) {
    command()->add_option("PLACEMENT", order_.placement_name, "DatabasePlacement")->required();
    command()
        ->add_option("--to", order_.target_server_name, "DatabaseServer to move to")
        ->required();
    command()->add_flag("--online", online_, "Users work while the database is copied");
    command()
        ->add_option("--switch", order_.switch_by,
                     "Pooler pauses the PgBouncers before the servers and stops nobody")
        ->check(CLI::IsMember({"Restart", "Pooler"}))
        ->capture_default_str();
    command()->add_option("--hypercare", hypercare_,
                          "How long to watch after the switch, as 90s or 24h; with --online the "
                          "way back stays open meanwhile");
    command()
        ->add_option("--replica-identity", order_.replica_identity,
                     "With --online, tables without a key: SetFull follows them by whole rows, "
                     "which is slow for big ones (default: Refuse)")
        ->check(CLI::IsMember({"Refuse", "SetFull"}));
    command()
        ->add_option("--max-rate", order_.copy_rate_mebibytes_per_second_max,
                     "MiB a second that the copy reads at most (default: no limit)")
        ->check(CLI::Range(1, 1048576));
    command()->add_option("--backup-claim", order_.backup_claim_name,
                          "PersistentVolumeClaim that shall hold the backup");
    command()->add_flag("--skip-backup", order_.skip_backup,
                        "Take none; there is a good one elsewhere");
    command()
        ->add_option("--approval", order_.approval, "Manual waits before users are stopped")
        ->check(CLI::IsMember({"Automatic", "Manual"}))
        ->capture_default_str();
    command()->add_option("--name", order_.name, "Of the TenantMigration (default: made of both)");
    command()->add_flag("--suspend", order_.suspend,
                        "Hold it before it begins: the operator checks all, until resume");
    if (!plan_only) {
      command()->add_flag("--dry-run", dry_run_, "Create nothing; show what would happen");
      command()->add_flag("-y,--yes", yes_, "Do not ask");
    }
    command()
        ->add_option("-o,--output", format_,
                     plan_only ? "json or yaml: the manifest, and no plan"
                               : "json or yaml: the manifest, which is created as well without "
                                 "--dry-run")
        ->check(CLI::IsMember({"json", "yaml"}));
  }

  Result<ExitCode> Run(const ClusterFlags& flags) override {
    // What is written down is carried out by somebody, and nobody looks at the backup again.
    const bool binds = !dry_run_ || !format_.empty();
    if (binds && !order_.HasChosenBackup())
      return TerminalError("InvalidArguments",
                           "say what protects the data: --backup-claim NAME for a backup that is "
                           "taken first, or --skip-backup where there is a good one");
    TRY_ASSIGN(const Cluster cluster, Cluster::Connect(flags));
    TRY_ASSIGN(const MoveFacts facts, Gather(cluster));
    if (dry_run_) {
      Print(format_.empty() ? RenderPlan(facts, StyleOfOutput())
                            : Encode(ManifestOf(order_), format_));
      return StandsInTheWay(facts) ? kExitAsksYou : kExitGood;
    }
    if (!facts.refusal.empty()) return TerminalError("Refused", facts.refusal);
    if (order_.approval == "Automatic" && !yes_)
      TRY(Confirm("The users of " + order_.placement_name + " will be stopped as soon as " +
                      (order_.suspend ? "it is resumed and " : "") +
                      "all is prepared (--approval Manual would wait).",
                  "Go on? [y/N]", "y"));
    return Create(cluster);
  }

 private:
  Result<ExitCode> Create(const Cluster& cluster) {
    kube::WriteOptions options;
    options.field_manager = "kubectl-cutover";
    auto created = cluster.client().Create({}, Cluster::Soon(), kube::kTenantMigration,
                                           ManifestOf(order_), options);
    if (!created)
      return tl::make_unexpected(
          cluster.Explain(std::move(created).error(), "create", kube::kTenantMigration, order_.ns));
    if (!format_.empty())
      Print(Encode(*created, format_));
    else
      Print("tenantmigration " + order_.ns + "/" + order_.name +
            " created; follow it with:\n  kubectl cutover status " + order_.name + " -n " +
            order_.ns + " -w\n" +
            (order_.suspend ? "and begin it with:\n  kubectl cutover resume " + order_.name +
                                  " -n " + order_.ns + "\n"
                            : ""));
    return kExitGood;
  }

  Result<MoveFacts> Gather(const Cluster& cluster) {
    order_.ns = cluster.ns();
    if (online_) order_.strategy = "Online";
    if (!hypercare_.empty()) {
      TRY_ASSIGN(order_.hypercare, ParseSpan(hypercare_));
    }
    TRY_ASSIGN(const Json placement, cluster.Get(kube::kDatabasePlacement, order_.placement_name));
    MoveFacts facts;
    TRY_ASSIGN(facts.placement, api::DecodeDatabasePlacement(placement));
    order_.source_server_name = facts.placement.status.server_name;
    TRY_ASSIGN(const auto migrations, cluster.List(kube::kTenantMigration, order_.ns));
    std::vector<std::string> taken;
    for (const Json& migration : migrations)
      taken.push_back(migration.At({"metadata", "name"}).AsString());
    facts.migrations = AllMigrations(cluster, migrations, facts.where);
    // A plan is of what is there already, if that is held; a move is another one.
    const MigrationView* held =
        dry_run_ ? FindHeld(order_, facts.placement, facts.migrations) : nullptr;
    if (order_.name.empty())
      order_.name = NameForMove(order_.placement_name, order_.target_server_name, taken);
    facts.order = held ? OrderOf(*held) : order_;
    if (held) facts.held = *held;
    facts.source = FindServer(cluster, facts.placement.status.server_name);
    facts.target = FindServer(cluster, order_.target_server_name);
    facts.backup_claim = cluster.client().Get({}, Cluster::Soon(), kube::kPersistentVolumeClaim,
                                              {facts.order.ns, facts.order.backup_claim_name});
    facts.changes = PlanChanges(cluster, facts);
    if (!held) facts.refusal = AskTheApiServer(cluster);
    facts.now = RealClock().WallNow();
    return facts;
  }

  static Lookup<api::DatabaseServer> FindServer(const Cluster& cluster, const std::string& name) {
    if (name.empty()) return std::optional<api::DatabaseServer>();
    TRY_ASSIGN(auto found,
               cluster.client().Get({}, Cluster::Soon(), kube::kDatabaseServer, {"", name}));
    if (!found) return std::optional<api::DatabaseServer>();
    TRY_ASSIGN(auto server, api::DecodeDatabaseServer(*found));
    return std::optional(std::move(server));
  }

  // Those of the whole cluster tell more of how fast copies are; not everybody may read them.
  static std::vector<MigrationView> AllMigrations(const Cluster& cluster, std::vector<Json> own,
                                                  std::string& where) {
    auto all = cluster.List(kube::kTenantMigration, "");
    where = all ? "in this cluster" : WhereOnly(cluster.ns(), all.error());
    std::vector<MigrationView> views;
    for (const Json& migration : all ? *all : own) views.push_back(ViewOf(migration));
    return views;
  }

  // A dry run is validated and admitted like the real thing, and nothing is stored.
  std::string AskTheApiServer(const Cluster& cluster) const {
    kube::WriteOptions options;
    options.dry_run = true;
    auto checked = cluster.client().Create({}, Cluster::Soon(), kube::kTenantMigration,
                                           ManifestOf(order_), options);
    if (checked) return "";
    return cluster.Explain(std::move(checked).error(), "create", kube::kTenantMigration, order_.ns)
        .message;
  }

  MoveOrder order_;
  std::string format_, hypercare_;
  bool online_ = false;
  bool dry_run_;
  bool yes_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakeMoveVerb(CLI::App& app) { return std::make_unique<MoveVerb>(app, false); }
std::unique_ptr<Verb> MakePlanVerb(CLI::App& app) { return std::make_unique<MoveVerb>(app, true); }

}  // namespace cutover::cli
