// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/checks/http_check.h"

#include <strings.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "operator/api/field_writer.h"
#include "operator/kube/http_transport.h"

namespace cutover::migration {
namespace {

constexpr std::string_view kScheme = "http://";
// An asset bundle has a few MiB; a page that has more is not what a check is about.
constexpr size_t kResponseBytesMax = 16u << 20;

/// Length of the UTF-8 sequence that begins `text`; 0 when there is none.
size_t SequenceLength(std::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (lead > 0xF4 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  return length;
}

bool IsBlankOrControl(char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7F; }

}  // namespace

HttpConnect PlainHttp() {
  return [](const std::string& origin) {
    kube::HttpTransportOptions options;
    options.url = origin;
    options.response_bytes_max = kResponseBytesMax;
    return kube::MakeHttpTransport(std::move(options));
  };
}

Result<HttpUrl> ParseHttpUrl(std::string_view url) {
  bool is_http =
      url.size() > kScheme.size() && strncasecmp(url.data(), kScheme.data(), kScheme.size()) == 0;
  std::string_view rest = is_http ? url.substr(kScheme.size()) : std::string_view();
  size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, end);
  if (authority.empty() || authority.find('@') != authority.npos)
    return TerminalError("InvalidUrl",
                         "a check asks http://service.namespace.svc:port/path, without user and "
                         "password, and not " +
                             Excerpt(url));
  std::string_view target = rest.substr(end, rest.find('#') - end);
  HttpUrl parsed;
  parsed.origin = std::string(kScheme) + std::string(authority);
  parsed.target = target.empty() || target[0] == '?' ? "/" + std::string(target) : target;
  return parsed;
}

Status AsksOwnNamespace(std::string_view url, std::string_view namespace_name) {
  TRY_ASSIGN(HttpUrl parsed, ParseHttpUrl(url));
  std::string_view host = std::string_view(parsed.origin).substr(kScheme.size());
  host = host.substr(0, host.find(':'));
  std::vector<std::string_view> labels;
  for (size_t at = 0; at <= host.size();) {
    size_t end = std::min(host.find('.', at), host.size());
    labels.push_back(host.substr(at, end - at));
    at = end + 1;
  }
  if (!labels.empty() && labels.back().empty()) labels.pop_back();
  // [pod.]service.namespace.svc[.cluster.local] and nothing else: names of other domains, and those
  // without svc, which may be such, are answered by whoever owns them.
  auto svc = std::find(labels.begin(), labels.end(), "svc");
  const std::vector<std::string_view> after(svc, labels.end());
  const std::vector<std::string_view> cluster_local = {"svc", "cluster", "local"};
  const bool in_cluster = after.size() == 1 || after == cluster_local;
  if (in_cluster && svc - labels.begin() >= 2 && *(svc - 1) == namespace_name) return Ok();
  return TerminalError("CheckOutsideNamespace",
                       Excerpt(url) +
                           " is not in the tenant's namespace: name a Service there, as "
                           "http://service." +
                           std::string(namespace_name) + ".svc:port/path");
}

Result<kube::Response> Get(std::stop_token stop, Deadline deadline, const HttpConnect& connect,
                           const std::string& url, const std::string& host) {
  TRY_ASSIGN(HttpUrl parsed, ParseHttpUrl(url));
  TRY_ASSIGN(std::unique_ptr<kube::Transport> transport, connect(parsed.origin));
  kube::Request request;
  request.method = kube::Method::kGet;
  request.target = parsed.target;
  if (!host.empty()) request.headers.emplace_back("Host", host);
  Result<kube::Response> response = transport->Call(stop, deadline, request);
  if (!response) return tl::make_unexpected(WithContext(std::move(response).error(), "GET " + url));
  return response;
}

Status Judge(const api::HttpCheck& check, const kube::Response& response) {
  std::string came = "GET " + check.url + " answered " + std::to_string(response.status);
  std::string body = response.body.empty() ? "nothing" : "\"" + Excerpt(response.body) + "\"";
  if (response.status != check.expected_status) {
    std::string location = response.Header("Location").value_or("");
    if (!location.empty()) body = "a redirect to " + Excerpt(location);
    return RetryError(
        "UnexpectedStatus",
        came + " instead of " + std::to_string(check.expected_status) + ", with " + body);
  }
  if (response.body.find(check.expected_text) == std::string::npos)
    return RetryError("TextMissing", came + " without the text \"" + Excerpt(check.expected_text) +
                                         "\", with " + body);
  return Ok();
}

Status RunHttpCheck(std::stop_token stop, Deadline deadline, const HttpConnect& connect,
                    const api::HttpCheck& check) {
  TRY_ASSIGN(kube::Response response, Get(stop, deadline, connect, check.url, check.host));
  return Judge(check, response);
}

std::string Excerpt(std::string_view text, size_t length_max) {
  std::string line;
  while (!text.empty() && line.size() <= length_max) {
    size_t length = SequenceLength(text);
    if (length == 0) {
      line += '?';
    } else if (!IsBlankOrControl(text[0])) {
      line += text.substr(0, length);
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  if (!line.empty() && line.back() == ' ') line.pop_back();
  return api::Shorten(line, length_max);
}

}  // namespace cutover::migration
