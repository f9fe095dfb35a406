// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "operator/base/log.h"
#include "operator/base/random.h"
#include "operator/controllers.h"
#include "operator/flags.h"
#include "operator/kube/client.h"
#include "operator/kube/http_transport.h"
#include "operator/kube/kubeconfig.h"
#include "operator/kube/manager.h"
#include "operator/memory.h"
#include "operator/self_test.h"
#include "operator/signals.h"
#include "operator/telemetry/health.h"
#include "operator/telemetry/http_server.h"
#include "operator/telemetry/metrics.h"
#include "operator/telemetry/object_metrics.h"
#include "operator/telemetry/process_metrics.h"
#include "operator/telemetry/runtime_metrics.h"
#include "operator/telemetry/scrape_access.h"
#include "operator/telemetry/scrape_gate.h"
#include "operator/telemetry/serving_certificate.h"

namespace cutover {
namespace {

using Servers = std::vector<std::unique_ptr<telemetry::HttpServer>>;

// Serves at an address of the command line, where "0" means nowhere.
Status Serve(const std::string& address_text, telemetry::HttpServerOptions options,
             Servers& servers) {
  if (address_text == "0") return Ok();
  TRY_ASSIGN(const telemetry::ListenAddress address, telemetry::ParseListenAddress(address_text));
  options.host = address.host;
  options.port = address.port;
  TRY_ASSIGN(auto server, telemetry::HttpServer::Start(std::move(options)));
  LogInfo("serving", {{"address", address_text}, {"port", server->port()}});
  servers.push_back(std::move(server));
  return Ok();
}

Status RequireToken(const OperatorFlags& flags, kube::Client& client,
                    telemetry::HttpServerOptions& options) {
  if (flags.metrics_address == flags.health_address)
    return TerminalError("InvalidAddress",
                         "with --metrics-authorization, --metrics-address must be another than "
                         "--health-address: probes show no token");
  TRY_ASSIGN(options.tls, telemetry::ServingCertificate(flags.metrics_certificates));
  options.gate = std::make_unique<telemetry::ScrapeGate>(
      [&client](std::stop_token stop, Deadline deadline, const std::string& token) {
        return telemetry::AskApiServer(stop, deadline, client, token);
      });
  return Ok();
}

Result<Servers> ServeTelemetry(const OperatorFlags& flags, const telemetry::Metrics& metrics,
                               const kube::Manager& manager, kube::Client& client) {
  Servers servers;
  telemetry::HttpServerOptions health, scrapes;
  health.routes = telemetry::HealthRoutes({[&manager] { return manager.IsHealthy(); },
                                           [&manager] { return manager.ReadinessFacts(); }});
  scrapes.routes = telemetry::MetricsRoutes(metrics);
  if (flags.metrics_authorization) TRY(RequireToken(flags, client, scrapes));
  if (flags.metrics_address == flags.health_address)
    scrapes.routes.merge(health.routes);
  else
    TRY(Serve(flags.health_address, std::move(health), servers));
  TRY(Serve(flags.metrics_address, std::move(scrapes), servers));
  return servers;
}

kube::ManagerOptions MakeManagerOptions(const OperatorFlags& flags) {
  kube::ManagerOptions options;
  options.namespaces = flags.watch_namespaces;
  if (!flags.leader_elect) return options;
  options.election.emplace();
  options.election->lease = {flags.namespace_name, flags.lease_name};
  options.election->identity = flags.pod_name + "_" + RandomHex(4);
  options.on_lost = [] {
    // At once, past every destructor: a reconcile under way must not get to its next effect.
    LogError("leadership is lost; leaving");
    std::_Exit(kExitLeadershipLost);
  };
  return options;
}

// Everything is made in the order of dependence, so that it goes in the opposite one: the servers
// first, which ask all the others.
Status RunOperator(const OperatorFlags& flags, std::stop_token stop) {
  telemetry::Metrics metrics;
  metrics.AddCollector(
      [](const telemetry::Metrics::Sink& sink) { telemetry::CollectProcess(sink); });
  metrics.Set(telemetry::Metric::kBuildInfo, {CUTOVER_VERSION}, 1);
  telemetry::RuntimeMetrics runtime(metrics);
  telemetry::ObjectMetrics objects(metrics);

  TRY_ASSIGN(const kube::Connection connection, kube::LoadConnection(flags.kubeconfig));
  LogInfo("starting", {{"version", CUTOVER_VERSION},
                       {"apiServer", connection.transport.url},
                       {"connection", connection.origin},
                       {"namespace", flags.namespace_name}});
  TRY_ASSIGN(const auto client, kube::MakeApiClient(connection, runtime));
  kube::EventRecorderOptions event_options;
  event_options.controller = "cutover.dev/operator";
  event_options.instance = flags.pod_name;
  kube::EventRecorder events(*client, event_options, RealClock(), runtime);

  // A standby shows its 0 from the start; the election reports only changes.
  if (flags.leader_elect) runtime.OnLeader(flags.lease_name, false);
  kube::Manager manager(*client, MakeManagerOptions(flags), RealClock(), runtime);
  manager.AddService("events", [&events](std::stop_token end) { events.Run(end); });
  manager.OnElected([&objects](int64_t epoch) {
    LogInfo("leading", {{"epoch", epoch}});
    objects.StartLeading();
  });
  const Controllers controllers({flags, manager.client(), manager, events, runtime, objects});
  TRY_ASSIGN(const Servers servers, ServeTelemetry(flags, metrics, manager, *client));
  return manager.Run(stop);
}

Status TestOperator(const CommandLine& line, std::stop_token stop) {
  TRY_ASSIGN(const kube::Connection connection, kube::LoadConnection(line.flags.kubeconfig));
  TRY_ASSIGN(const auto client, kube::MakeApiClient(connection));
  return RunSelfTest(stop, *client, line.self_test, std::cout);
}

int ExitCodeOf(const Status& status) {
  if (status) {
    LogInfo("stopped");
    return kExitStopped;
  }
  LogError("cannot go on", status.error());
  return status.error().reason == "LeadershipLost" ? kExitLeadershipLost : kExitFailed;
}

int Main(int argc, const char* const* argv) {
  BoundMemory();
  const CommandLine line = ParseCommandLine(argc, argv);
  if (line.exit_code) return *line.exit_code;
  if (line.command == Command::kMetricsReference) {
    std::cout << telemetry::RenderMetricsReference();
    return kExitStopped;
  }
  SetLogLevel(line.flags.log_level);
  const SignalStop signals;
  if (line.command == Command::kMaintenancePage)
    return ExitCodeOf(ServeMaintenancePage(signals.token(), line.page, {"", line.page_port}));
  kube::InitializeHttp();
  if (line.command == Command::kSelfTest) return ExitCodeOf(TestOperator(line, signals.token()));
  return ExitCodeOf(RunOperator(line.flags, signals.token()));
}

}  // namespace
}  // namespace cutover

int main(int argc, char** argv) { return cutover::Main(argc, argv); }
