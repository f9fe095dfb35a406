// SPDX-License-Identifier: Apache-2.0
#include "cli/view/report.h"

#include <fstream>
#include <string>

#include "cli/console.h"
#include "cli/verbs/verb.h"

namespace cutover::cli {
namespace {

constexpr char kExamples[] =
    "  A page for the change ticket:\n"
    "    kubectl cutover report acme-to-dedicated -n acme --file acme.html\n"
    "  The same for programs:\n"
    "    kubectl cutover report acme-to-dedicated -n acme -o json\n"
    "  It has what the API server has: Events live an hour or so, so make it soon.";

class ReportVerb : public Verb {
 public:
  explicit ReportVerb(CLI::App& app)
      : Verb(app, "report", "Write down what happened, for a ticket", kExamples) {
    command()->add_option("NAME", name_, "TenantMigration")->required();
    command()->add_option("-f,--file", file_,
                          "Where to write it (default: NAME.html; - for standard output)");
    command()
        ->add_option("-o,--output", format_, "html, json or yaml")
        ->check(CLI::IsMember({"html", "json", "yaml"}))
        ->capture_default_str();
  }

  Result<ExitCode> Run(const ClusterFlags& flags) override {
    TRY_ASSIGN(const Cluster cluster, Cluster::Connect(flags));
    TRY_ASSIGN(const ReportFacts facts, Gather(cluster));
    const Json document = ReportDocument(facts);
    const std::string text =
        format_ == "html" ? RenderReportPage(document) : Encode(document, format_);
    const std::string file = !file_.empty()      ? file_
                             : format_ == "html" ? name_ + ".html"
                                                 : std::string("-");
    if (file == "-") {
      Print(text);
      return kExitGood;
    }
    std::ofstream out(file, std::ios::binary);
    out << text;
    out.close();
    if (!out) return TerminalError("FileNotWritten", file + " cannot be written");
    Print(file + " written, sha256 of its data " + document["sha256"].AsString() + "\n");
    return kExitGood;
  }

 private:
  Result<ReportFacts> Gather(const Cluster& cluster) {
    ReportFacts facts;
    TRY_ASSIGN(facts.seen, cluster.Look(name_));
    TRY_ASSIGN(facts.object, cluster.Get(kube::kTenantMigration, name_));
    // One moment for all of it, should it have changed between the two.
    facts.seen.migration = ViewOf(facts.object);
    facts.events = EventsOf(cluster, facts.seen.migration.meta.uid);
    facts.made_by = cluster.WhoAmI();
    facts.plugin_version = CUTOVER_VERSION;
    return facts;
  }

  static Result<Json> EventsOf(const Cluster& cluster, const std::string& uid) {
    TRY_ASSIGN(const std::vector<Json> all, cluster.List(kube::kEvent, cluster.ns()));
    Json events = Json::Array();
    for (const Json& event : all)
      if (event.At({"regarding", "uid"}).AsString() == uid) events.Append(event);
    return events;
  }

  std::string name_;
  std::string file_;
  std::string format_ = "html";
};

}  // namespace

std::unique_ptr<Verb> MakeReportVerb(CLI::App& app) { return std::make_unique<ReportVerb>(app); }

}  // namespace cutover::cli
