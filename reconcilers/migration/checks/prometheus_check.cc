// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/checks/prometheus_check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include "operator/base/json.h"
#include "reconcilers/migration/checks/http_check.h"

namespace cutover::migration {
namespace {

std::string WithoutTrailingSlash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

// RFC 3986: everything but the unreserved characters.
std::string PercentEncoded(std::string_view text) {
  constexpr std::string_view kUnreservedMarks = "-._~";
  std::string encoded;
  for (char c : text) {
    bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (alphanumeric || kUnreservedMarks.find(c) != std::string_view::npos) {
      encoded += c;
      continue;
    }
    char escaped[4];
    std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned char>(c));
    encoded += escaped;
  }
  return encoded;
}

std::string Shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

PrometheusVerdict Unknown(std::string message) { return {Verdict::kUnknown, std::move(message)}; }

// A sample is [time, "value"]; "NaN" is what a ratio gives of which nothing has been counted yet.
std::optional<double> ValueOf(const Json& sample) {
  const std::string text = sample[size_t{1}].AsString();
  char* end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || std::isnan(value)) return std::nullopt;
  return value;
}

// The samples of a scalar or an instant vector; nothing for any other type.
std::optional<std::vector<Json>> SamplesOf(const Json& data) {
  std::vector<Json> samples;
  const std::string type = data["resultType"].AsString();
  if (type == "scalar") {
    samples.push_back(data["result"]);
  } else if (type == "vector") {
    for (const Json& series : data["result"].Items()) samples.push_back(series["value"]);
  } else {
    return std::nullopt;
  }
  return samples;
}

std::string Bounds(const api::PrometheusCheck& check) {
  if (!check.max) return "at least " + Shown(*check.min);
  if (!check.min) return "at most " + Shown(*check.max);
  return "from " + Shown(*check.min) + " to " + Shown(*check.max);
}

PrometheusVerdict JudgeSamples(const api::PrometheusCheck& check,
                               const std::vector<Json>& samples) {
  if (samples.empty()) return Unknown("the query gave no value");
  std::string first;
  for (const Json& sample : samples) {
    std::optional<double> value = ValueOf(sample);
    if (!value) return Unknown("the query gave a value that is no number");
    if ((check.min && *value < *check.min) || (check.max && *value > *check.max))
      return {Verdict::kFailed, "the query gave " + Shown(*value) + " instead of " + Bounds(check)};
    if (first.empty()) first = Shown(*value);
  }
  std::string count =
      samples.size() == 1 ? first : std::to_string(samples.size()) + " values, each";
  return {Verdict::kPassed, "the query gave " + count + ", as asked for " + Bounds(check)};
}

}  // namespace

std::string InstantQueryUrl(const api::PrometheusCheck& check) {
  return WithoutTrailingSlash(check.url) + "/api/v1/query?query=" + PercentEncoded(check.query);
}

PrometheusVerdict Judge(const api::PrometheusCheck& check, const kube::Response& response) {
  // Errors of the query come as JSON, too, with status 400, 422 or 503.
  auto answer = Json::Parse(response.body);
  if (!answer || !answer->IsObject())
    return Unknown("Prometheus answered " + std::to_string(response.status) + " with " +
                   (response.body.empty() ? "nothing" : "\"" + Excerpt(response.body) + "\""));
  if ((*answer)["status"].StringRef() != "success")
    return Unknown("Prometheus answered " + std::to_string(response.status) + ": " +
                   Excerpt((*answer)["error"].AsString()));
  std::optional<std::vector<Json>> samples = SamplesOf((*answer)["data"]);
  if (!samples)
    return Unknown("the query gives a " + Excerpt((*answer)["data"]["resultType"].AsString()) +
                   ": ask for a scalar or an instant vector");
  return JudgeSamples(check, *samples);
}

Status MayAskPrometheus(const api::PrometheusCheck& check, const std::string& namespace_name,
                        const std::vector<std::string>& allowed_urls) {
  if (AsksOwnNamespace(check.url, namespace_name)) return Ok();
  const std::string asked = WithoutTrailingSlash(check.url);
  for (const std::string& allowed : allowed_urls)
    if (asked == WithoutTrailingSlash(allowed)) return Ok();
  return TerminalError("PrometheusNotAllowed",
                       Excerpt(check.url) +
                           " is not in the tenant's namespace, and its answers may be about other "
                           "tenants: start the operator with --prometheus-url " +
                           Excerpt(asked) + " to let checks ask it");
}

Result<PrometheusVerdict> RunPrometheusCheck(std::stop_token stop, Deadline deadline,
                                             const CheckContext& context,
                                             const api::PrometheusCheck& check) {
  TRY(MayAskPrometheus(check, context.namespace_name, context.prometheus_urls));
  auto response = Get(std::move(stop), deadline, context.http, InstantQueryUrl(check), "");
  if (!response) return Unknown(response.error().message);
  return Judge(check, *response);
}

}  // namespace cutover::migration
