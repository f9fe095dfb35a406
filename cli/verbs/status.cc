// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "cli/console.h"
#include "cli/verbs/verb.h"
#include "cli/view/assessment.h"
#include "cli/view/phases.h"
#include "cli/view/stages.h"
#include "cli/view/status_document.h"
#include "cli/view/status_page.h"
#include "cli/view/words.h"
#include "operator/kube/error.h"

namespace cutover::cli {
namespace {

constexpr char kExamples[] =
    "  What is moving in this namespace, and in the whole cluster:\n"
    "    kubectl cutover status\n"
    "    kubectl cutover status -A\n"
    "  One migration: what happens, is it stuck, what may I do:\n"
    "    kubectl cutover status acme-to-dedicated -n acme\n"
    "  Stay until it is over, half an hour at most; the exit code says how it is:\n"
    "    kubectl cutover status acme-to-dedicated -n acme -w --timeout 30m\n"
    "  For programs:\n"
    "    kubectl cutover status acme-to-dedicated -n acme -o json | jq -r .health\n"
    "EXIT CODES\n"
    "  0 going on, or completed   1 nothing could be found out   2 over, and not moved\n"
    "  3 waits for your answer    4 trouble, or nobody works on it   5 --timeout ran out\n"
    "  For several migrations: that of the worst of those that are not over.";

constexpr std::chrono::seconds kLookInterval{1};

Json MigrationsDocument(const std::vector<MigrationView>& migrations, WallTime now) {
  Json items = Json::Array();
  for (const MigrationView& migration : migrations)
    items.Append(Json::Object({{"namespace", migration.meta.namespace_name},
                               {"name", migration.meta.name},
                               {"phase", migration.phase},
                               {"health", Name(HealthOf(migration, now))},
                               {"message", migration.message}}));
  return Json::Object({{"items", std::move(items)}});
}

class StatusVerb : public Verb {
 public:
  explicit StatusVerb(CLI::App& app)
      : Verb(app, "status", "What happens, whether it is stuck, and what you may do", kExamples) {
    command()->add_option("NAME", name_, "TenantMigration; without it, all of the namespace");
    command()->add_flag("-A,--all-namespaces", all_namespaces_, "Migrations of all namespaces");
    command()->add_flag("-w,--watch", watch_, "Stay, and follow it until it is over");
    command()->add_option("--timeout", timeout_, "With --watch: how long at most, as 90s or 30m");
    command()
        ->add_option("-o,--output", format_, "json, yaml or wide")
        ->check(CLI::IsMember({"json", "yaml", "wide"}));
  }

  Result<ExitCode> Run(const ClusterFlags& flags) override {
    std::optional<Deadline> deadline;
    if (!timeout_.empty()) {
      TRY_ASSIGN(const std::chrono::seconds span, ParseSpan(timeout_));
      deadline = Deadline::After(span);
    }
    TRY_ASSIGN(const Cluster cluster, Cluster::Connect(flags));
    if (!watch_) return name_.empty() ? ShowAll(cluster) : ShowOne(cluster);
    if (name_.empty())
      return TerminalError("InvalidArguments", "--watch follows one migration: name it");
    return Follow(cluster, deadline.value_or(Deadline::Never()));
  }

 private:
  bool Machine() const { return format_ == "json" || format_ == "yaml"; }

  std::string Rendered(const Snapshot& seen) const {
    if (Machine()) return Encode(StatusDocument(seen), format_);
    std::string text = RenderStatus(seen, StyleOfOutput());
    return format_ == "wide" ? text + "\n" + RenderConditions(seen.migration, seen.now) : text;
  }

  Result<ExitCode> ShowOne(const Cluster& cluster) {
    TRY_ASSIGN(const Snapshot seen, cluster.Look(name_));
    Print(Rendered(seen));
    return ExitCodeOf(Assess(seen).health);
  }

  Result<ExitCode> ShowAll(const Cluster& cluster) {
    const std::string ns = all_namespaces_ ? "" : cluster.ns();
    TRY_ASSIGN(const std::vector<Json> objects, cluster.List(kube::kTenantMigration, ns));
    const WallTime now = RealClock().WallNow();
    std::vector<MigrationView> migrations;
    for (const Json& object : objects) migrations.push_back(ViewOf(object));
    ExitCode worst = kExitGood;
    for (const MigrationView& migration : migrations)
      if (!IsEnd(migration.phase)) worst = std::max(worst, ExitCodeOf(HealthOf(migration, now)));
    if (Machine())
      Print(Encode(MigrationsDocument(migrations, now), format_));
    else if (migrations.empty())
      Note(all_namespaces_ ? "there are no migrations in this cluster"
                           : "there are no migrations in namespace " + ns +
                                 "; look at all with: kubectl cutover status -A");
    else
      Print(RenderList(std::move(migrations), now, all_namespaces_, format_ == "wide"));
    return worst;
  }

  // On a terminal the page is painted again and again; elsewhere, as in the log of a pipeline, one
  // line is printed whenever something has changed, and the page at the end.
  Result<ExitCode> Follow(const Cluster& cluster, Deadline deadline) {
    TRY_ASSIGN(Snapshot seen, cluster.Look(name_));
    std::string last_line;
    while (true) {
      const Health health = Assess(seen).health;
      const bool over = IsEnd(seen.migration.phase), late = deadline.Expired();
      if (OutputCanBeRepainted() && !Machine())
        Repaint(Rendered(seen) + trouble_);
      else if (over || late)
        Print(Rendered(seen));
      else if (!Machine())
        PrintChange(seen, last_line);
      if (over) return ExitCodeOf(health);
      if (late) return health == Health::kGood ? kExitTimedOut : ExitCodeOf(health);
      std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(
          kLookInterval, deadline.Remaining() + std::chrono::milliseconds(1)));
      TRY(LookAgain(cluster, seen));
    }
  }

  static void PrintChange(const Snapshot& seen, std::string& last_line) {
    const std::string line = RenderLine(seen);
    if (line == last_line) return;
    last_line = line;
    Print(FormatTime(seen.now) + " " + line + "\n");
  }

  // Whoever watches at night wants to see when the server is back, not an end.
  Status LookAgain(const Cluster& cluster, Snapshot& seen) {
    Result<Snapshot> again = cluster.Look(name_);
    if (again) {
      seen = std::move(*again);
      trouble_.clear();
      return Ok();
    }
    if (again.error().disposition == Disposition::kTerminal)
      return tl::make_unexpected(std::move(again).error());
    const std::string trouble = "\nAs it was at " + FormatTime(seen.now) +
                                "; it cannot be read since: " + again.error().message + "\n";
    if (trouble != trouble_ && !OutputCanBeRepainted()) Note(again.error().message);
    trouble_ = trouble;
    return Ok();
  }

  std::string name_;
  std::string timeout_;
  std::string format_;
  std::string trouble_;  // Why it cannot be read at the moment, or empty.
  bool all_namespaces_ = false;
  bool watch_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakeStatusVerb(CLI::App& app) { return std::make_unique<StatusVerb>(app); }

}  // namespace cutover::cli
