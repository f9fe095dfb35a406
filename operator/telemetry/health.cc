// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/health.h"

namespace cutover::telemetry {
namespace {

HttpResponse Text(int status, std::string body) {
  return {status, "text/plain; charset=utf-8", {{"Cache-Control", "no-store"}}, std::move(body)};
}

HttpResponse Readiness(const HealthSource& source) {
  bool ready = true;
  std::string body;
  for (const auto& [name, holds] : source.readiness()) {
    body += (holds ? "[+] " : "[-] ") + name + "\n";
    ready = ready && holds;
  }
  return Text(ready ? 200 : 503, body + (ready ? "ready\n" : "not ready\n"));
}

}  // namespace

Routes HealthRoutes(HealthSource source) {
  Routes routes;
  routes["/healthz"] = [healthy = source.healthy](const HttpRequest&) {
    return healthy() ? Text(200, "ok\n") : Text(503, "stuck: restart this process\n");
  };
  routes["/readyz"] = [source = std::move(source)](const HttpRequest&) {
    return Readiness(source);
  };
  return routes;
}

Routes MetricsRoutes(const Metrics& metrics) {
  Routes routes;
  routes["/metrics"] = [&metrics](const HttpRequest&) {
    return HttpResponse{200, "text/plain; version=0.0.4; charset=utf-8", {}, metrics.Expose()};
  };
  return routes;
}

}  // namespace cutover::telemetry
