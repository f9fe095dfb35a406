// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "operator/base/result.h"
#include "operator/telemetry/http_server.h"

namespace cutover {

/// What a tenant's users see while its doors are closed. `cutover-operator maintenance-page` serves
/// it in a Deployment of its own, to which the route points meanwhile.
struct MaintenancePage {
  std::string title = "Down for maintenance";
  std::string message = "We are moving your data to a new home. Please come back in a few minutes.";
  int retry_after_seconds = 60;
};

/// Where the kubelet asks whether the page is being served: 200, unlike every path a user can want.
inline constexpr char kMaintenanceHealthPath[] = "/-/cutover/healthz";

/// The page: self-contained HTML, readable without styles, in light and dark, that tries again by
/// itself. Title and message are text: nothing in them is taken for markup.
std::string RenderMaintenanceHtml(const MaintenancePage& page);

/// 503 with Retry-After and Cache-Control: no-store, whatever was asked; as JSON to clients that
/// prefer it, as HTML to all others.
telemetry::HttpResponse AnswerMaintenance(const MaintenancePage& page,
                                          const telemetry::HttpRequest& request);

/// A server that answers nothing but this, and kMaintenanceHealthPath.
telemetry::HttpServerOptions MaintenanceServerOptions(const MaintenancePage& page,
                                                      const telemetry::ListenAddress& address);

/// Serves the page until `stop`.
Status ServeMaintenancePage(std::stop_token stop, const MaintenancePage& page,
                            const telemetry::ListenAddress& address);

/// True when an Accept header ranks application/json above text/html. Clients that take anything
/// get HTML: most of them are people.
bool PrefersJson(std::string_view accept);

}  // namespace cutover
