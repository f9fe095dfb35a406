// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/api/model_transport.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <vector>

#include "operator/base/check.h"
#include "operator/kube/metadata.h"

namespace cutover::sim {
namespace {

using kube::Method;
using kube::Request;
using kube::Response;

constexpr std::array kServed = {kube::kNamespace,       kube::kPod,
                                kube::kService,         kube::kSecret,
                                kube::kConfigMap,       kube::kServiceAccount,
                                kube::kLease,           kube::kPersistentVolumeClaim,
                                kube::kEndpointSlice,   kube::kDeployment,
                                kube::kStatefulSet,     kube::kJob,
                                kube::kCronJob,         kube::kIngress,
                                kube::kHttpRoute,       kube::kHorizontalPodAutoscaler,
                                kube::kEvent,           kube::kDatabaseServer,
                                kube::kTenantMigration, kube::kDatabasePlacement};

// A request's path and query, taken apart.
struct Target {
  std::optional<kube::Resource> resource;
  kube::Key key;  // The name is empty for a collection.
  std::string subresource;
  std::map<std::string, std::string, std::less<>> query;

  std::string Query(std::string_view name) const {
    auto found = query.find(name);
    return found == query.end() ? "" : found->second;
  }
};

std::string Decoded(std::string_view text) {
  std::string decoded;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%' || at + 2 >= text.size()) {
      decoded += text[at];
      continue;
    }
    int byte = 0;
    std::from_chars(text.data() + at + 1, text.data() + at + 3, byte, 16);
    decoded += static_cast<char>(byte);
    at += 2;
  }
  return decoded;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

Target ParseTarget(std::string_view text) {
  Target target;
  size_t question = text.find('?');
  if (question != text.npos) {
    for (std::string_view pair : Split(text.substr(question + 1), '&')) {
      size_t equals = std::min(pair.find('='), pair.size());
      target.query[std::string(pair.substr(0, equals))] =
          Decoded(pair.substr(std::min(equals + 1, pair.size())));
    }
  }
  std::vector<std::string_view> parts = Split(text.substr(0, question), '/');
  size_t at = parts.empty() || parts[0] == "api" ? 1 : 2;
  std::string_view group = at == 2 && parts.size() > 1 ? parts[1] : "";
  ++at;  // The version.
  // "namespaces" is a place when something follows its name, and a resource otherwise.
  if (parts.size() > at + 2 && parts[at] == "namespaces") {
    target.key.ns = parts[at + 1];
    at += 2;
  }
  if (at >= parts.size()) return target;
  for (const kube::Resource& served : kServed)
    if (served.group == group && served.plural == parts[at]) target.resource = served;
  if (parts.size() > at + 1) target.key.name = parts[at + 1];
  if (parts.size() > at + 2) target.subresource = parts[at + 2];
  return target;
}

Json StatusJson(const Refusal& refusal) {
  Json status = Json::Object({{"kind", "Status"},
                              {"apiVersion", "v1"},
                              {"status", "Failure"},
                              {"message", refusal.message},
                              {"reason", refusal.reason},
                              {"code", refusal.code}});
  if (!refusal.cause.empty())
    status.MutableAt("details").Set(
        "causes",
        Json::Array({Json::Object({{"reason", refusal.cause}, {"message", refusal.message}})}));
  return status;
}

Response RefusalResponse(const Refusal& refusal) {
  return {refusal.code, {}, StatusJson(refusal).Dump()};
}

Response ObjectResponse(const Answer<VersionPointer>& answer, int code = 200) {
  if (!answer) return RefusalResponse(answer.error());
  return {code, {}, (*answer)->text};
}

Refusal TooLarge() {
  return {504, "Timeout", "Too large resource version", "ResourceVersionTooLarge"};
}

int64_t Number(const std::string& text) {
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// A continue token says as of which version the list goes on, and after which key.
struct Continuation {
  int64_t version = 0;
  kube::Key after;
};

std::string TokenOf(const Continuation& next) {
  return std::to_string(next.version) + "|" + next.after.ns + "|" + next.after.name;
}

Continuation ParseToken(const std::string& token) {
  size_t first = token.find('|'), second = token.rfind('|');
  return {Number(token.substr(0, first)),
          {token.substr(first + 1, second - first - 1), token.substr(second + 1)}};
}

Response ListResponse(const ApiModel& api, const Target& target, int64_t view) {
  int64_t as_of = std::min(view, api.version());
  kube::Key after;
  if (std::string token = target.Query("continue"); !token.empty()) {
    Continuation next = ParseToken(token);
    if (next.version < api.compacted())
      return RefusalResponse({410, "Expired", "The provided continue parameter is too old", ""});
    as_of = next.version;
    after = next.after;
  } else if (Number(target.Query("resourceVersion")) > as_of) {
    return RefusalResponse(TooLarge());
  }
  Selector selector(target.Query("labelSelector"), target.Query("fieldSelector"));
  size_t limit = static_cast<size_t>(Number(target.Query("limit")));
  std::string items, next;
  size_t count = 0;
  kube::Key last;
  for (const VersionPointer& version : api.List(*target.resource, target.key.ns, selector, as_of)) {
    const kube::Key key = kube::KeyOf(version->object);
    if (!after.name.empty() && key <= after) continue;
    if (limit > 0 && count == limit) {
      next = TokenOf({as_of, last});
      break;
    }
    items.append(count++ == 0 ? "" : ",").append(version->text);
    last = key;
  }
  Json metadata = Json::Object({{"resourceVersion", std::to_string(as_of)}});
  if (!next.empty()) metadata.Set("continue", next);
  return {200,
          {},
          R"({"kind":"List","apiVersion":"v1","metadata":)" + metadata.Dump() + R"(,"items":[)" +
              items + "]}"};
}

Response DeleteResponse(ApiModel& api, const Target& target, const std::string& body) {
  ApiModel::Removal removal;
  if (auto options = Json::Parse(body); options && options->IsObject()) {
    removal.uid = (*options)["preconditions"]["uid"].AsString();
    removal.resource_version = (*options)["preconditions"]["resourceVersion"].AsString();
    removal.foreground = (*options)["propagationPolicy"].StringRef() == "Foreground";
    CHECK((*options)["propagationPolicy"].StringRef() != "Orphan");  // Nobody asks for it.
  }
  return ObjectResponse(api.Delete(*target.resource, target.key, removal));
}

Response PatchResponse(ApiModel& api, const Target& target, const Request& request,
                       const Json& body, const ApiModel::Write& write) {
  if (request.content_type == "application/merge-patch+json")
    return ObjectResponse(api.MergePatch(*target.resource, target.key, body, write));
  if (request.content_type == "application/apply-patch+yaml")
    return ObjectResponse(api.Apply(*target.resource, target.key, body, write));
  return RefusalResponse({415, "UnsupportedMediaType", request.content_type, ""});
}

Response Serve(ApiModel& api, const Request& request, int64_t view) {
  Target target = ParseTarget(request.target);
  if (!target.resource)
    return RefusalResponse({404, "NotFound", "the server could not find " + request.target, ""});
  if (request.method == Method::kGet) {
    if (target.key.name.empty()) return ListResponse(api, target, view);
    return ObjectResponse(api.Get(*target.resource, target.key, view));
  }
  if (request.method == Method::kDelete) return DeleteResponse(api, target, request.body);
  Result<Json> body = Json::Parse(request.body);
  if (!body) return RefusalResponse({400, "BadRequest", body.error().message, ""});
  ApiModel::Write write{target.Query("fieldManager"), target.subresource,
                        target.Query("dryRun") == "All"};
  switch (request.method) {
    case Method::kPost:
      return ObjectResponse(api.Create(*target.resource, *body, write), 201);
    case Method::kPut:
      return ObjectResponse(api.Update(*target.resource, std::move(*body), write));
    default:
      return PatchResponse(api, target, request, *body, write);
  }
}

constexpr std::string_view kErrorEvent = R"({"type":"ERROR")";

std::string EventLine(std::string_view type, const std::string& object) {
  return R"({"type":")" + std::string(type) + R"(","object":)" + object + "}\n";
}

std::string Bookmark(const kube::Resource& resource, int64_t version, bool initial) {
  Json metadata = Json::Object({{"resourceVersion", std::to_string(version)}});
  if (initial) metadata.MutableAt("annotations").Set("k8s.io/initial-events-end", "true");
  Json object = Json::Object(
      {{"kind", resource.kind}, {"apiVersion", resource.ApiVersion()}, {"metadata", metadata}});
  return EventLine("BOOKMARK", object.Dump());
}

// What leaves a selection is told as it was there, in the version in which it left.
std::string AsItLeft(const ApiModel::Event& event) {
  if (event.after->deleted) return event.after->text;
  Json left = event.before->object;
  left.MutableAt("metadata").Set("resourceVersion", std::to_string(event.after->number));
  return left.Dump();
}

// The events of a watch up to `view`, as one text; a refusal as the ERROR event that it is.
std::string WatchText(const ApiModel& api, const Target& target, int64_t view) {
  Selector selector(target.Query("labelSelector"), target.Query("fieldSelector"));
  int64_t as_of = std::min(view, api.version());
  std::string text;
  if (target.Query("sendInitialEvents") == "true") {
    for (const VersionPointer& version : api.List(*target.resource, target.key.ns, selector, as_of))
      text += EventLine("ADDED", version->text);
    return text + Bookmark(*target.resource, as_of, true);
  }
  auto changes = api.Changes(*target.resource, Number(target.Query("resourceVersion")), as_of);
  if (!changes) return EventLine("ERROR", StatusJson(changes.error()).Dump());
  for (const ApiModel::Event& event : *changes) {
    if (!target.key.ns.empty() && kube::KeyOf(event.after->object).ns != target.key.ns) continue;
    bool was = event.before && selector.Matches(event.before->object);
    bool is = !event.after->deleted && selector.Matches(event.after->object);
    if (is)
      text += EventLine(was ? "MODIFIED" : "ADDED", event.after->text);
    else if (was)
      text += EventLine("DELETED", AsItLeft(event));
  }
  // A server whose state lies before what the client has seen has nothing to tell yet.
  if (as_of >= Number(target.Query("resourceVersion")))
    text += Bookmark(*target.resource, as_of, false);
  return text;
}

}  // namespace

Result<Response> ModelTransport::Call(std::stop_token, Deadline, const Request& request) {
  auto serve = [&] { return Serve(api_, request, std::max(view, api_.compacted())); };
  if (on_call) return on_call(request, serve);
  return serve();
}

kube::StreamEnd ModelTransport::Stream(std::stop_token, std::chrono::milliseconds,
                                       const Request& request, OnBytes on_bytes) {
  Target target = ParseTarget(request.target);
  kube::StreamEnd end;
  auto serve = [&]() -> Response {
    if (!target.resource)
      return RefusalResponse({404, "NotFound", "the server could not find " + request.target, ""});
    return {200, {}, WatchText(api_, target, std::min(view, watch_view))};
  };
  Result<Response> answer = on_call ? on_call(request, serve) : Result<Response>(serve());
  if (!answer) {
    end.error = answer.error();
    return end;
  }
  end.status = answer->status;
  if (end.status == 200 && !answer->body.starts_with(kErrorEvent)) ++watches_told;
  if (end.status == 200)
    on_bytes(answer->body);
  else
    end.body = std::move(answer->body);
  return end;
}

}  // namespace cutover::sim
