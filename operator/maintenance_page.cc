// SPDX-License-Identifier: Apache-2.0
#include "operator/maintenance_page.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "operator/base/deadline.h"
#include "operator/base/html.h"
#include "operator/base/json.h"
#include "operator/base/log.h"
#include "operator/base/mutex.h"

namespace cutover {
namespace {

using telemetry::HttpRequest;
using telemetry::HttpResponse;

// Nothing is loaded from anywhere: the servers it could come from may be what is being moved.
// The contrast of text is above 7:1 in both schemes; motion stops for those who asked for less.
constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--page:#f3f5f9;--card:#fff;--text:#16202e;--quiet:#4a5769;
--line:#dfe5ee;--accent:#2f6fed}
@media (prefers-color-scheme:dark){:root{--page:#0e141d;--card:#172030;--text:#eef3fa;
--quiet:#b3c0d2;--line:#2a374b;--accent:#7fb0ff}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;
background:var(--page);color:var(--text);
font:1.0625rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{width:100%;max-width:34rem;padding:clamp(1.75rem,6vw,3rem);background:var(--card);
border:1px solid var(--line);border-radius:1.25rem;
box-shadow:0 1.5rem 3rem -1.5rem rgba(16,32,64,.25)}
svg{display:block;width:4.5rem;height:4.5rem;margin-bottom:1.25rem;color:var(--accent)}
h1{margin:0 0 .75rem;font-size:clamp(1.5rem,5vw,2rem);line-height:1.2;letter-spacing:-.01em;
overflow-wrap:anywhere}
p{margin:0;white-space:pre-line;overflow-wrap:anywhere}
.quiet{margin-top:1.75rem;padding-top:1.25rem;border-top:1px solid var(--line);
color:var(--quiet);font-size:.9375rem}
.moving{animation:move 2.4s ease-in-out infinite}
@keyframes move{0%,10%{transform:translateX(0);opacity:1}45%{transform:translateX(26px);opacity:1}
60%{transform:translateX(26px);opacity:0}61%{transform:translateX(0);opacity:0}
75%{transform:translateX(0);opacity:1}}
@media (prefers-reduced-motion:reduce){.moving{animation:none}}
)css";

// Two stores, and a block on its way from one to the other.
constexpr std::string_view kPicture = R"svg(
<svg viewBox="0 0 64 64" fill="none" stroke="currentColor" stroke-width="3" aria-hidden="true">
<ellipse cx="14" cy="18" rx="10" ry="5"/><path d="M4 18v28c0 2.8 4.5 5 10 5s10-2.2 10-5V18"/>
<ellipse cx="50" cy="18" rx="10" ry="5"/><path d="M40 18v28c0 2.8 4.5 5 10 5s10-2.2 10-5V18"/>
<rect class="moving" x="15" y="31" width="8" height="8" rx="2" fill="currentColor" stroke="none"/>
</svg>
)svg";

constexpr std::string_view kContentPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.remove_suffix(1);
  return text;
}

std::string_view TakeUntil(std::string_view& text, char separator) {
  const size_t end = std::min(text.find(separator), text.size());
  std::string_view part = Trim(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// The q value among the parameters of one range of an Accept header; 1 when there is none.
double Quality(std::string_view parameters) {
  while (!parameters.empty()) {
    std::string_view value = TakeUntil(parameters, ';');
    const std::string_view name = TakeUntil(value, '=');
    if (EqualsIgnoringCase(name, "q")) return std::atof(std::string(value).c_str());
  }
  return 1;
}

// How much an Accept header wants `type`, which is what its most specific matching range says.
double QualityOf(std::string_view accept, std::string_view type) {
  const std::string any_of_kind = std::string(type.substr(0, type.find('/'))) + "/*";
  double quality = 0;
  int best = 0;
  while (!accept.empty()) {
    std::string_view parameters = TakeUntil(accept, ',');
    const std::string_view range = TakeUntil(parameters, ';');
    const int specific = EqualsIgnoringCase(range, type)          ? 3
                         : EqualsIgnoringCase(range, any_of_kind) ? 2
                         : range == "*/*"                         ? 1
                                                                  : 0;
    if (specific <= best) continue;
    best = specific;
    quality = Quality(parameters);
  }
  return quality;
}

std::string RenderJson(const MaintenancePage& page) {
  return Json::Object({{"error", "maintenance"},
                       {"title", page.title},
                       {"message", page.message},
                       {"retryAfterSeconds", page.retry_after_seconds}})
             .Dump() +
         "\n";
}

}  // namespace

bool PrefersJson(std::string_view accept) {
  return QualityOf(accept, "application/json") > QualityOf(accept, "text/html");
}

std::string RenderMaintenanceHtml(const MaintenancePage& page) {
  const std::string title = EscapeHtml(page.title);
  std::string html = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  html += "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n";
  html += "<meta name=\"robots\" content=\"noindex\">\n";
  html += "<meta http-equiv=\"refresh\" content=\"" + std::to_string(page.retry_after_seconds) +
          "\">\n";
  html += "<title>" + title + "</title>\n<style>";
  html += kStyle;
  html += "</style>\n</head>\n<body>\n<main>";
  html += kPicture;
  html += "<h1>" + title + "</h1>\n<p>" + EscapeHtml(page.message) + "</p>\n";
  html += "<p class=\"quiet\">This page tries again by itself.</p>\n";
  html += "</main>\n</body>\n</html>\n";
  return html;
}

HttpResponse AnswerMaintenance(const MaintenancePage& page, const HttpRequest& request) {
  HttpResponse answer;
  answer.status = 503;
  answer.headers = {{"Retry-After", std::to_string(page.retry_after_seconds)},
                    {"Cache-Control", "no-store"},
                    {"Vary", "Accept"},
                    {"Content-Security-Policy", std::string(kContentPolicy)}};
  if (PrefersJson(request.Header("Accept"))) {
    answer.content_type = "application/json";
    answer.body = RenderJson(page);
  } else {
    answer.content_type = "text/html; charset=utf-8";
    answer.body = RenderMaintenanceHtml(page);
  }
  return answer;
}

telemetry::HttpServerOptions MaintenanceServerOptions(const MaintenancePage& page,
                                                      const telemetry::ListenAddress& address) {
  telemetry::HttpServerOptions options;
  options.host = address.host;
  options.port = address.port;
  options.routes[kMaintenanceHealthPath] = [](const HttpRequest&) {
    return HttpResponse{200, "text/plain; charset=utf-8", {{"Cache-Control", "no-store"}}, "ok\n"};
  };
  options.fallback = [page](const HttpRequest& request) {
    return AnswerMaintenance(page, request);
  };
  return options;
}

Status ServeMaintenancePage(std::stop_token stop, const MaintenancePage& page,
                            const telemetry::ListenAddress& address) {
  TRY_ASSIGN(const auto server,
             telemetry::HttpServer::Start(MaintenanceServerOptions(page, address)));
  LogInfo("serving the maintenance page", {{"port", server->port()}});
  while (!stop.stop_requested()) SleepUntil(stop, Deadline::After(std::chrono::hours(24)));
  return Ok();
}

}  // namespace cutover
