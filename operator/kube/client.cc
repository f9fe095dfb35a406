// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/client.h"

#include <algorithm>
#include <charconv>

#include "operator/base/log.h"
#include "operator/base/mutex.h"
#include "operator/kube/for_each.h"
#include "operator/kube/kubeconfig.h"
#include "operator/kube/line_splitter.h"
#include "operator/kube/metadata.h"

namespace cutover::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Objects are at most 1.5 MB in etcd; their JSON with managedFields may be several times that.
constexpr size_t kWatchLineBytesMax = 16u << 20;
constexpr seconds kRetryAfterMax{30};
constexpr seconds kWatchMargin{10};

// The query of a URL, encoded.
class Query {
 public:
  void Add(std::string_view key, std::string_view value) {
    text_ += text_.empty() ? '?' : '&';
    text_.append(key).append("=");
    for (char c : value) AddEncoded(c);
  }
  void AddUnlessEmpty(std::string_view key, std::string_view value) {
    if (!value.empty()) Add(key, value);
  }
  const std::string& text() const { return text_; }

 private:
  void AddEncoded(char c) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.') {
      text_ += c;
      return;
    }
    auto byte = static_cast<unsigned char>(c);
    text_ += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }

  std::string text_;
};

Query WriteQuery(const std::string& field_manager, bool dry_run) {
  Query query;
  query.AddUnlessEmpty("fieldManager", field_manager);
  if (dry_run) query.Add("dryRun", "All");
  return query;
}

std::string_view ContentType(PatchType type) {
  switch (type) {
    case PatchType::kJsonMerge:
      return "application/merge-patch+json";
    case PatchType::kJsonPatch:
      return "application/json-patch+json";
    case PatchType::kApply:
      return "application/apply-patch+yaml";  // Of which JSON is a subset.
  }
  return "";
}

std::string_view Name(Propagation propagation) {
  switch (propagation) {
    case Propagation::kBackground:
      return "Background";
    case Propagation::kForeground:
      return "Foreground";
    case Propagation::kOrphan:
      return "Orphan";
  }
  return "";
}

std::optional<seconds> RetryAfter(const Response& response) {
  std::optional<std::string> text = response.Header("Retry-After");
  int value = 0;
  if (!text) return std::nullopt;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || value < 0) return std::nullopt;
  return std::min(seconds(value), kRetryAfterMax);
}

// Whether the server has said both that it did nothing and that it wants to be asked again. A 500
// or 504 says neither about a write.
bool MayRepeat(const Request& request, const Response& response) {
  if (response.status == 429 || response.status == 503) return true;
  // Each further try would wait three more seconds for a version that may never come.
  if (IsVersionTooLarge(ErrorFromResponse(response.status, response.body, false))) return false;
  return response.status >= 500 && !IsWrite(request.method);
}

std::optional<WatchEventType> TypeOf(std::string_view name) {
  if (name == "ADDED") return WatchEventType::kAdded;
  if (name == "MODIFIED") return WatchEventType::kModified;
  if (name == "DELETED") return WatchEventType::kDeleted;
  if (name == "BOOKMARK") return WatchEventType::kBookmark;
  return std::nullopt;
}

// Items of a list do not say what they are; written back or decoded, they must.
void FillTypes(const Resource& resource, std::vector<Json>& items) {
  for (Json& item : items) {
    if (!item.Contains("apiVersion")) item.Set("apiVersion", resource.ApiVersion());
    if (!item.Contains("kind")) item.Set("kind", resource.kind);
  }
}

std::string WatchTarget(const Resource& resource, const WatchOptions& options) {
  Query query;
  query.Add("watch", "1");
  query.Add("allowWatchBookmarks", "true");
  query.Add("timeoutSeconds", std::to_string(options.timeout.count()));
  query.AddUnlessEmpty("resourceVersion", options.resource_version);
  query.AddUnlessEmpty("labelSelector", options.label_selector);
  query.AddUnlessEmpty("fieldSelector", options.field_selector);
  if (options.initial_events) {
    query.Add("sendInitialEvents", "true");
    query.Add("resourceVersionMatch", "NotOlderThan");
  }
  return resource.CollectionPath(options.ns) + query.text();
}

// Turns the lines of one watch into events. What it meets first that is none ends the watch.
class WatchDecoder {
 public:
  WatchDecoder(const std::function<void(WatchEvent)>& on_event, std::function<void()> abandon)
      : on_event_(on_event),
        abandon_(std::move(abandon)),
        splitter_(kWatchLineBytesMax, [this](std::string_view line) { OnLine(line); }) {}

  void Feed(std::string_view bytes) {
    if (error_) return;
    if (!splitter_.Feed(bytes))
      Fail(Error{Disposition::kRetry, reason::kMalformed, "a watch event is too long"});
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  void OnLine(std::string_view line) {
    if (error_) return;
    Result<Json> event = Json::Parse(line);
    if (!event || !(*event)["object"].IsObject()) {
      Fail(Error{Disposition::kRetry, reason::kMalformed, "a watch event is no JSON object"});
      return;
    }
    const std::string& name = (*event)["type"].StringRef();
    if (name == "ERROR") {
      const Json& status = (*event)["object"];
      int code = static_cast<int>(status["code"].AsInt(500));
      Fail(ErrorFromResponse(code, status.Dump(), false));
    } else if (std::optional<WatchEventType> type = TypeOf(name)) {
      on_event_(WatchEvent{*type, std::move(event->MutableAt("object"))});
    } else {
      LogWarn("a watch event of an unknown type is ignored", {{"type", name}});
    }
  }
  void Fail(Error error) {
    error_ = std::move(error);
    abandon_();
  }

  const std::function<void(WatchEvent)>& on_event_;
  const std::function<void()> abandon_;
  LineSplitter splitter_;
  std::optional<Error> error_;
};

}  // namespace

bool EndsInitialEvents(const WatchEvent& event) {
  return event.type == WatchEventType::kBookmark &&
         AnnotationOf(event.object, "k8s.io/initial-events-end") == "true";
}

Result<ObjectList> Client::List(std::stop_token stop, Deadline deadline, const Resource& resource,
                                const ListOptions& options) {
  ObjectList all;
  TRY(ForEachPage(
      stop, deadline, *this, resource, options,
      [&all](ObjectList& page) {
        std::move(page.items.begin(), page.items.end(), std::back_inserter(all.items));
        all.resource_version = page.resource_version;
      },
      [&all] { all = {}; }));
  return all;
}

Result<Json> Client::Apply(std::stop_token stop, Deadline deadline, const Resource& resource,
                           const Json& object, const std::string& manager) {
  PatchOptions options;
  options.type = PatchType::kApply;
  options.field_manager = manager;
  options.force = true;
  return Patch(stop, deadline, resource, KeyOf(object), object, options);
}

Result<Json> Client::ApplyStatus(std::stop_token stop, Deadline deadline, const Resource& resource,
                                 const Key& key, const Json& status, const std::string& uid,
                                 const std::string& manager) {
  Json object = NewObject(resource, key);
  if (!uid.empty()) object.MutableAt("metadata").Set("uid", uid);
  object.Set("status", status);
  PatchOptions options;
  options.type = PatchType::kApply;
  options.field_manager = manager;
  options.subresource = "status";
  options.force = true;
  return Patch(stop, deadline, resource, key, object, options);
}

ApiClient::ApiClient(std::unique_ptr<Transport> transport, std::shared_ptr<TokenSource> token,
                     Observer& observer)
    : transport_(std::move(transport)), token_(std::move(token)), observer_(observer) {}

Result<Request> ApiClient::Authenticated(const Request& request, std::string& token) {
  Request authenticated = request;
  authenticated.headers.emplace_back("Accept", "application/json");
  authenticated.headers.emplace_back("User-Agent", "cutover");
  if (token_) {
    TRY_ASSIGN(token, token_->Token());
    if (!token.empty()) authenticated.headers.emplace_back("Authorization", "Bearer " + token);
  }
  return authenticated;
}

Result<Response> ApiClient::CallOnce(std::stop_token stop, Deadline deadline,
                                     const Request& request) {
  SteadyTime started = RealClock().SteadyNow();
  Result<Response> response = transport_->Call(stop, deadline, request);
  observer_.OnRequest(response ? response->status : 0, Name(request.method), transport_->host(),
                      RealClock().SteadyNow() - started);
  return response;
}

Result<Response> ApiClient::Call(std::stop_token stop, Deadline deadline, const Request& request) {
  bool reauthenticated = false;
  for (int attempt = 1;; ++attempt) {
    std::string token;
    TRY_ASSIGN(Request authenticated, Authenticated(request, token));
    Result<Response> response = CallOnce(stop, deadline, authenticated);
    bool last = attempt >= kAttemptsMax || stop.stop_requested();
    if (!response) {
      // A connection of the pool that the server has meanwhile closed; reads lose nothing by one
      // more try. Writes are the caller's to look into.
      if (attempt == 1 && !IsWrite(request.method) && IsUnreachable(response.error()) && !last)
        continue;
      return response;
    }
    if (response->status == 401 && token_ && !reauthenticated) {
      token_->Invalidate(token);
      reauthenticated = true;
      continue;
    }
    std::optional<seconds> wait = RetryAfter(*response);
    if (last || !wait || !MayRepeat(request, *response) || deadline.Remaining() <= *wait)
      return response;
    if (!SleepUntil(stop, Deadline::After(*wait))) return response;
  }
}

Result<Json> ApiClient::CallForJson(std::stop_token stop, Deadline deadline,
                                    const Request& request) {
  TRY_ASSIGN(Response response, Call(stop, deadline, request));
  bool is_write = IsWrite(request.method);
  if (response.status < 200 || response.status > 299) {
    Error error = ErrorFromResponse(response.status, response.body, is_write);
    return tl::make_unexpected(std::move(error));
  }
  Result<Json> json = Json::Parse(response.body);
  if (json && json->IsObject()) return json;
  std::string message = "the answer to " + request.target + " is no JSON object";
  // The write was done; only what it made is unknown.
  if (is_write) return InDoubtError(reason::kMalformed, std::move(message));
  return RetryError(reason::kMalformed, std::move(message));
}

Result<std::optional<Json>> ApiClient::Get(std::stop_token stop, Deadline deadline,
                                           const Resource& resource, const Key& key) {
  Request request;
  request.target = resource.ObjectPath(key);
  Result<Json> object = CallForJson(stop, deadline, request);
  if (object) return std::optional<Json>(std::move(*object));
  if (IsNotFound(object.error())) return std::optional<Json>();
  return tl::make_unexpected(std::move(object).error());
}

Result<ListPage> ApiClient::GetPage(std::stop_token stop, Deadline deadline,
                                    const Resource& resource, const ListOptions& options,
                                    const PageRequest& page) {
  Query query;
  query.Add("limit", std::to_string(options.page_size));
  query.AddUnlessEmpty("labelSelector", options.label_selector);
  query.AddUnlessEmpty("fieldSelector", options.field_selector);
  if (!page.next.empty()) {
    query.Add("continue", page.next);
  } else if (!page.resource_version.empty()) {
    query.Add("resourceVersion", page.resource_version);
    query.Add("resourceVersionMatch", "NotOlderThan");
  }
  Request request;
  request.target = resource.CollectionPath(options.ns) + query.text();
  TRY_ASSIGN(Json json, CallForJson(stop, deadline, request));
  ListPage result;
  result.list.resource_version = json.At({"metadata", "resourceVersion"}).AsString();
  result.next = json.At({"metadata", "continue"}).AsString();
  // Moved, not copied: a list may be most of the process's memory.
  Json& items = json.MutableAt("items");
  result.list.items.reserve(items.Size());
  for (size_t i = 0; i < items.Items().size(); ++i)
    if (items[i].IsObject()) result.list.items.push_back(std::move(items.MutableAt(i)));
  FillTypes(resource, result.list.items);
  return result;
}

Result<Json> ApiClient::Create(std::stop_token stop, Deadline deadline, const Resource& resource,
                               const Json& object, const WriteOptions& options) {
  Request request;
  request.method = Method::kPost;
  request.target = resource.CollectionPath(KeyOf(object).ns) +
                   WriteQuery(options.field_manager, options.dry_run).text();
  request.body = object.Dump();
  request.content_type = "application/json";
  return CallForJson(stop, deadline, request);
}

Result<Json> ApiClient::Update(std::stop_token stop, Deadline deadline, const Resource& resource,
                               const Json& object, const WriteOptions& options) {
  Request request;
  request.method = Method::kPut;
  request.target = resource.ObjectPath(KeyOf(object), options.subresource) +
                   WriteQuery(options.field_manager, options.dry_run).text();
  request.body = object.Dump();
  request.content_type = "application/json";
  return CallForJson(stop, deadline, request);
}

Result<Json> ApiClient::Patch(std::stop_token stop, Deadline deadline, const Resource& resource,
                              const Key& key, const Json& patch, const PatchOptions& options) {
  Query query = WriteQuery(options.field_manager, options.dry_run);
  if (options.type == PatchType::kApply && options.force) query.Add("force", "true");
  Request request;
  request.method = Method::kPatch;
  request.target = resource.ObjectPath(key, options.subresource) + query.text();
  request.body = patch.Dump();
  request.content_type = ContentType(options.type);
  return CallForJson(stop, deadline, request);
}

Status ApiClient::Delete(std::stop_token stop, Deadline deadline, const Resource& resource,
                         const Key& key, const DeleteOptions& options) {
  Json body = Json::Object({{"apiVersion", "v1"},
                            {"kind", "DeleteOptions"},
                            {"propagationPolicy", Name(options.propagation)}});
  if (options.grace_period_seconds) body.Set("gracePeriodSeconds", *options.grace_period_seconds);
  if (!options.uid.empty()) body.MutableAt("preconditions").Set("uid", options.uid);
  if (!options.resource_version.empty())
    body.MutableAt("preconditions").Set("resourceVersion", options.resource_version);
  Request request;
  request.method = Method::kDelete;
  request.target = resource.ObjectPath(key);
  request.body = body.Dump();
  request.content_type = "application/json";
  Result<Json> answer = CallForJson(stop, deadline, request);
  if (!answer && IsNotFound(answer.error())) return Ok();
  TRY(answer);
  return Ok();
}

Status ApiClient::Watch(std::stop_token stop, const Resource& resource, const WatchOptions& options,
                        const std::function<void(WatchEvent)>& on_event) {
  Request request;
  request.target = WatchTarget(resource, options);
  std::string token;
  TRY_ASSIGN(Request authenticated, Authenticated(request, token));
  std::stop_source abandoned;
  std::stop_callback forward(stop, [&] { abandoned.request_stop(); });
  WatchDecoder decoder(on_event, [&] { abandoned.request_stop(); });
  SteadyTime started = RealClock().SteadyNow();
  milliseconds silence_max =
      std::min<milliseconds>(options.timeout + kWatchMargin, options.silence_max);
  StreamEnd end = transport_->Stream(abandoned.get_token(), silence_max, authenticated,
                                     [&](std::string_view bytes) { decoder.Feed(bytes); });
  observer_.OnRequest(end.status, "WATCH", transport_->host(), RealClock().SteadyNow() - started);
  if (stop.stop_requested()) return RetryError(reason::kCancelled, "the watch was stopped");
  if (decoder.error()) return tl::make_unexpected(*decoder.error());
  if (end.error) return tl::make_unexpected(std::move(*end.error));
  if (end.status == 200) return Ok();
  if (end.status == 401 && token_) token_->Invalidate(token);
  Response refused{end.status, std::move(end.headers), std::move(end.body)};
  // Waiting here keeps the header's value out of Error; the caller's back-off comes on top.
  if (std::optional<seconds> wait = RetryAfter(refused)) SleepUntil(stop, Deadline::After(*wait));
  return tl::make_unexpected(ErrorFromResponse(refused.status, refused.body, false));
}

Result<std::string> ApiClient::GetRaw(std::stop_token stop, Deadline deadline,
                                      const std::string& target) {
  Request request;
  request.target = target;
  TRY_ASSIGN(Response response, Call(stop, deadline, request));
  if (response.status != 200)
    return tl::make_unexpected(ErrorFromResponse(response.status, response.body, false));
  return std::move(response.body);
}

Result<std::unique_ptr<ApiClient>> MakeApiClient(const Connection& connection, Observer& observer) {
  TRY_ASSIGN(std::unique_ptr<Transport> transport, MakeHttpTransport(connection.transport));
  return std::make_unique<ApiClient>(std::move(transport), connection.token, observer);
}

}  // namespace cutover::kube
