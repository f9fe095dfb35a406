// SPDX-License-Identifier: Apache-2.0
#include "operator/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

namespace cutover {
namespace {

constexpr char kFooter[] =
    "Exit codes: 0 stopped as asked, 1 failed, 2 wrong command line, 3 leadership lost.\n"
    "SIGTERM and SIGINT stop in good order and give the lease back; the second one exits at once.";

void AddJobPods(CLI::App& app, OperatorFlags& flags) {
  app.add_option_function<std::string>(
      "--job-pods",
      [&flags](const std::string& json) {
        auto settings = wiring::DecodePodSettings(json);
        if (!settings) throw CLI::ValidationError("--job-pods", settings.error().message);
        flags.job_pods = std::move(*settings);
      },
      "How the pods of Jobs and maintenance pages are made, as JSON: the chart's values jobs");
}

/// As the CRD has names of spec.copy.throttleQuery.
bool IsQueryName(std::string_view name) {
  auto is_plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  return !name.empty() && name.size() <= 63 && is_plain(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; });
}

void AddThrottleQueries(CLI::App& app, OperatorFlags& flags) {
  app.add_option_function<std::vector<std::string>>(
         "--throttle-query",
         [&flags](const std::vector<std::string>& queries) {
           for (const std::string& query : queries) {
             const size_t end = std::min(query.find('='), query.size());
             const std::string name = query.substr(0, end);
             if (!IsQueryName(name) || end + 1 >= query.size())
               throw CLI::ValidationError("--throttle-query", "must be NAME=SQL, not " + query);
             if (!flags.throttle_queries.emplace(name, query.substr(end + 1)).second)
               throw CLI::ValidationError("--throttle-query", "names " + name + " more than once");
           }
         },
         "NAME=SQL that migrations may name in copy.throttleQuery: it is asked on the source once "
         "a "
         "second, as its admin; may be given again")
      ->allow_extra_args(false);
}

void AddOperatorFlags(CLI::App& app, OperatorFlags& flags) {
  app.add_option("--kubeconfig", flags.kubeconfig,
                 "How to reach the API server; else KUBECONFIG, the pod's service account, "
                 "~/.kube/config");
  app.add_option("--namespace", flags.namespace_name,
                 "Namespace of the lease, of servers' Secrets and of copy Jobs")
      ->envname("POD_NAMESPACE")
      ->capture_default_str();
  app.add_option("--watch-namespaces", flags.watch_namespaces,
                 "Namespaces whose tenants this operator works for, with commas between; else all. "
                 "One operator a cluster: DatabaseServers are everybody's")
      ->delimiter(',');
  app.add_option("--pod-name", flags.pod_name, "This process in events and in the lease")
      ->envname("POD_NAME")
      ->capture_default_str();
  app.add_option("--metrics-address", flags.metrics_address, "Where to serve /metrics; 0: nowhere")
      ->capture_default_str();
  CLI::Option* authorization =
      app.add_flag("--metrics-authorization", flags.metrics_authorization,
                   "Serve /metrics by HTTPS, and only to bearers of a token that the API server "
                   "knows (TokenReview) and that may get it (SubjectAccessReview)");
  app.add_option("--metrics-certificates", flags.metrics_certificates,
                 "Directory of the tls.crt and tls.key to serve with, read again when they change; "
                 "else a self-signed certificate is made")
      ->needs(authorization);
  app.add_option("--health-address", flags.health_address,
                 "Where to serve /healthz and /readyz; 0: nowhere")
      ->capture_default_str();
  app.add_flag("--leader-elect", flags.leader_elect,
               "Work only while holding the lease; =false only where no second one can run")
      ->capture_default_str();
  app.add_option("--lease-name", flags.lease_name, "Name of the lease")->capture_default_str();
  app.add_option("--workers", flags.workers, "Objects of a kind that are worked on at a time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--log-level", flags.log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  app.add_option("--operator-image", flags.operator_image, "Image of the maintenance page's pods")
      ->envname("CUTOVER_OPERATOR_IMAGE")
      ->capture_default_str();
  app.add_option("--mover-image", flags.mover_image, "Image of the mover's Jobs")
      ->envname("CUTOVER_MOVER_IMAGE")
      ->capture_default_str();
  app.add_option("--image-pull-policy", flags.image_pull_policy, "Of both")
      ->check(CLI::IsMember({"Always", "IfNotPresent", "Never"}))
      ->capture_default_str();
  app.add_option(
         "--image-pull-secrets", flags.image_pull_secrets,
         "Secrets that Jobs in the operator's own namespace pull with, with commas between; "
         "pods in a tenant's namespace pull as its ServiceAccount default does")
      ->delimiter(',');
  AddJobPods(app, flags);
  app.add_option("--prometheus-url", flags.prometheus_urls,
                 "A Prometheus that checks of every tenant may ask; may be given again");
  AddThrottleQueries(app, flags);
}

CLI::App* AddMaintenancePage(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand(
      "maintenance-page", "Answer everything with 503 and a page that says so, until stopped");
  command->add_option("--port", line.page_port, "Port to listen on")->capture_default_str();
  command->add_option("--title", line.page.title, "Heading, as plain text")->capture_default_str();
  command->add_option("--message", line.page.message, "What to tell the users, as plain text")
      ->capture_default_str();
  command->add_option("--retry-after", line.page.retry_after_seconds, "Seconds until a retry")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  return command;
}

CLI::App* AddSelfTest(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand(
      "self-test", "Ask the API server and a running operator whether all is well");
  command->add_option("--host", line.self_test.host, "Of a running operator; else it is not asked");
  command->add_option("--metrics-port", line.self_test.metrics_port, "Where it serves /metrics")
      ->capture_default_str();
  command->add_option("--health-port", line.self_test.health_port, "Where it serves /readyz")
      ->capture_default_str();
  return command;
}

}  // namespace

CommandLine ParseCommandLine(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app("Moves tenants between PostgreSQL servers.", "cutover-operator");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("cutover-operator ") + CUTOVER_VERSION);
  app.require_subcommand(0, 1);
  AddOperatorFlags(app, line.flags);
  const CLI::App* page = AddMaintenancePage(app, line);
  const CLI::App* self_test = AddSelfTest(app, line);
  const CLI::App* reference =
      app.add_subcommand("metrics-reference", "Print docs/metrics.md, which is generated");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    line.exit_code = app.exit(error) == 0 ? kExitStopped : kExitUsage;
  }
  if (page->parsed()) line.command = Command::kMaintenancePage;
  if (self_test->parsed()) line.command = Command::kSelfTest;
  line.self_test.namespace_name = line.flags.namespace_name;
  line.self_test.lease_name = line.flags.lease_name;
  line.self_test.watch_namespaces = line.flags.watch_namespaces;
  line.self_test.metrics_authorization = line.flags.metrics_authorization;
  if (reference->parsed()) line.command = Command::kMetricsReference;
  return line;
}

}  // namespace cutover
