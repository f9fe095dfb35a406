// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.h"
#include "cli/verbs/completion.h"
#include "cli/verbs/verb.h"
#include "operator/base/log.h"
#include "operator/kube/http_transport.h"

namespace cutover::cli {
namespace {

constexpr char kHelp[] =
    "WHICH CLUSTER\n"
    "  As with kubectl: --kubeconfig, else KUBECONFIG (a list of files), else ~/.kube/config; its\n"
    "  current context unless --context names another, and the context's namespace unless -n "
    "does.\n"
    "ENVIRONMENT\n"
    "  NO_COLOR   no colours, whatever the terminal can show\n"
    "EXIT CODES\n"
    "  0 done   1 nothing was done   3 not confirmed, or refused   5 --timeout ran out\n"
    "  64 wrong arguments; `kubectl cutover status --help` has those of status\n"
    "`kubectl cutover VERB --help` shows a verb's flags and examples.";

void AddClusterFlags(CLI::App& app, ClusterFlags& flags) {
  app.add_option("--kubeconfig", flags.choice.kubeconfig, "Path of the kubeconfig");
  app.add_option("--context", flags.choice.context, "Context of the kubeconfig");
  app.add_option("-n,--namespace", flags.ns, "Namespace of the tenant");
  app.add_option("--operator-namespace", flags.operator_namespace, "Where the operator runs")
      ->capture_default_str();
  app.add_option("--lease-name", flags.lease_name, "Name of the operator's lease")
      ->capture_default_str();
}

int Main(int argc, char** argv) {
  ClusterFlags flags;
  CLI::App app{"Shows and steers the moves of tenants between PostgreSQL servers.",
               "kubectl cutover"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("kubectl-cutover ") + CUTOVER_VERSION);
  app.footer(kHelp);
  AddClusterFlags(app, flags);
  std::vector<std::unique_ptr<Verb>> verbs;
  for (auto make :
       {MakeStatusVerb, MakePlanVerb, MakeMoveVerb, MakeApproveVerb, MakeAbortVerb,
        MakeRollbackVerb, MakeRetryVerb, MakeSuspendVerb, MakeResumeVerb, MakeHistoryVerb,
        MakeLogsVerb, MakeReportVerb, MakeSupportBundleVerb, MakeVersionVerb, MakeCompletionVerb})
    verbs.push_back(make(app));
  if (argc > 1 && argv[1] == std::string_view(kCompleteWord)) {
    kube::InitializeHttp(1);
    for (const std::string& word : Complete(app, {argv + 2, argv + argc})) Print(word + "\n");
    return kExitGood;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitGood : kExitUsage;
  }
  signal(SIGPIPE, SIG_IGN);
  SetLogLevel("error");  // What goes wrong is said in words, once.
  kube::InitializeHttp(1);
  for (const std::unique_ptr<Verb>& verb : verbs) {
    if (!verb->chosen()) continue;
    const Result<ExitCode> ended = verb->Run(flags);
    if (ended) return *ended;
    Complain(ended.error());
    if (ended.error().reason == "InvalidArguments") return kExitUsage;
    return ended.error().reason == "NotConfirmed" || ended.error().reason == "Refused"
               ? kExitAsksYou
               : kExitFailed;
  }
  return kExitUsage;  // CLI11 has required one.
}

}  // namespace
}  // namespace cutover::cli

int main(int argc, char** argv) { return cutover::cli::Main(argc, argv); }
