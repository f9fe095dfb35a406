// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "operator/kube/credentials.h"
#include "operator/kube/error.h"
#include "operator/kube/observer.h"
#include "operator/kube/resource.h"
#include "operator/kube/transport.h"

namespace cutover::kube {

struct ListOptions {
  std::string ns{};  ///< Empty: all namespaces.
  std::string label_selector{};
  std::string field_selector{};
  int page_size = 500;
};

struct ObjectList {
  std::vector<Json> items{};       ///< apiVersion and kind are filled in, which servers leave out.
  std::string resource_version{};  ///< Where a watch goes on from here.
};

/// One page of a list. `next` is empty on the last one.
struct ListPage {
  ObjectList list{};
  std::string next{};
};

/// Which page: the first (optionally not older than, or served from cache at, `resource_version`),
/// or the one after another page.
struct PageRequest {
  std::string resource_version{};  ///< Empty: the most recent state.
  std::string next{};
};

struct WriteOptions {
  std::string field_manager = "cutover";
  std::string subresource{};  ///< "status" or "scale"; empty for the object itself.
  bool dry_run = false;
};

enum class PatchType { kJsonMerge, kJsonPatch, kApply };

struct PatchOptions {
  PatchType type = PatchType::kJsonMerge;
  std::string field_manager = "cutover";
  std::string subresource{};
  bool force = false;  ///< kApply only: take fields over from other managers.
  bool dry_run = false;
};

enum class Propagation { kBackground, kForeground, kOrphan };

struct DeleteOptions {
  std::string uid{};               ///< When set, another object of the same name is left alone,
  std::string resource_version{};  ///< and so is one that has changed: IsConflict.
  Propagation propagation = Propagation::kBackground;
  std::optional<int> grace_period_seconds{};
};

enum class WatchEventType { kAdded, kModified, kDeleted, kBookmark };

struct WatchEvent {
  WatchEventType type = WatchEventType::kAdded;
  Json object{};
};

struct WatchOptions {
  std::string ns{};
  std::string label_selector{};
  std::string field_selector{};
  std::string resource_version{};
  std::chrono::seconds timeout{300};  ///< After which the server ends the watch.
  /// Without a byte for so long the connection counts as dead. Servers send a bookmark a minute.
  std::chrono::milliseconds silence_max{150'000};
  /// Begins with the whole state as kAdded events, ended by a bookmark for which
  /// EndsInitialEvents holds, and goes on from there (KEP-3157, "WatchList"). Only where
  /// Client::OffersInitialEvents; servers may refuse, or never send that bookmark.
  bool initial_events = false;
};

/// True for the bookmark after the last initial event.
bool EndsInitialEvents(const WatchEvent& event);

/// The Kubernetes API, typed by Resource, in JSON. Abstract, so that simulations and tests put a
/// world of their own behind reconcilers; `ApiClient` is the real one. Thread-safe.
///
/// Every call but Watch is bounded by its deadline and ends early when `stop` is requested. Errors
/// are those of error.h. A write that may have been executed without our seeing the answer is
/// kInDoubt: read before doing anything else.
///
/// Before anything that cannot be undone (deleting, fencing, switching) read with Get, which asks
/// the server; a Store may be behind it.
class Client {
 public:
  virtual ~Client() = default;

  /// The object, or nothing when there is none (404). Whatever else prevents reading it is an
  /// error: unknown is not absent.
  virtual Result<std::optional<Json>> Get(std::stop_token stop, Deadline deadline,
                                          const Resource& resource, const Key& key) = 0;

  /// One page; IsGone when the continue token has expired. Callers want List.
  virtual Result<ListPage> GetPage(std::stop_token stop, Deadline deadline,
                                   const Resource& resource, const ListOptions& options,
                                   const PageRequest& page) = 0;

  /// Creates `object` (metadata.namespace decides where) and returns it as stored.
  /// IsAlreadyExists when the name is taken.
  virtual Result<Json> Create(std::stop_token stop, Deadline deadline, const Resource& resource,
                              const Json& object, const WriteOptions& options = {}) = 0;

  /// Replaces the object. IsConflict when metadata.resourceVersion is not the stored one. Without
  /// subresource "status" the status is silently left as it is; with it, everything else is.
  virtual Result<Json> Update(std::stop_token stop, Deadline deadline, const Resource& resource,
                              const Json& object, const WriteOptions& options = {}) = 0;

  /// Changes part of an object. A metadata.resourceVersion in `patch` makes it conditional.
  virtual Result<Json> Patch(std::stop_token stop, Deadline deadline, const Resource& resource,
                             const Key& key, const Json& patch,
                             const PatchOptions& options = {}) = 0;

  /// Asks for the deletion. Ok also when there is nothing to delete: gone is gone. Finalizers and
  /// foreground deletion let the object live on after the return.
  virtual Status Delete(std::stop_token stop, Deadline deadline, const Resource& resource,
                        const Key& key, const DeleteOptions& options = {}) = 0;

  /// Follows changes from `options.resource_version`, calling `on_event` on another thread, never
  /// concurrently and never after the return. Ok when the server ended the watch in good order
  /// (resume from the last version seen); IsGone when that version is too old. Returns at the
  /// latest some seconds after `options.timeout`. Callers want Watcher.
  virtual Status Watch(std::stop_token stop, const Resource& resource, const WatchOptions& options,
                       const std::function<void(WatchEvent)>& on_event) = 0;

  /// Whether it is worth asking Watch for `initial_events`.
  virtual bool OffersInitialEvents() const { return false; }

  // Conveniences, all made of the above.

  /// All pages of one consistent state; starts over when it expires between pages.
  Result<ObjectList> List(std::stop_token stop, Deadline deadline, const Resource& resource,
                          const ListOptions& options = {});

  /// Server-side apply: makes the fields in `object` so and owns them as `manager`, taking them
  /// over by force; fields this manager applied before and leaves out now are removed. `object`
  /// has apiVersion, kind and metadata.name, and neither resourceVersion (unless the write is to be
  /// conditional) nor managedFields.
  Result<Json> Apply(std::stop_token stop, Deadline deadline, const Resource& resource,
                     const Json& object, const std::string& manager = "cutover");

  /// The same for the status of an object. `status` becomes all that `manager` says about it.
  /// With `uid`, the status never lands on another object of the same name (IsConflict).
  Result<Json> ApplyStatus(std::stop_token stop, Deadline deadline, const Resource& resource,
                           const Key& key, const Json& status, const std::string& uid = "",
                           const std::string& manager = "cutover-status");
};

/// The Client of a real API server. Repeats a request only when the server asks for it
/// (429 or 503 with Retry-After; reads also after other 5xx with Retry-After), at most
/// `kAttemptsMax` times and within the deadline, and once after a 401 with a fresh token.
class ApiClient final : public Client {
 public:
  static constexpr int kAttemptsMax = 5;

  ApiClient(std::unique_ptr<Transport> transport, std::shared_ptr<TokenSource> token = nullptr,
            Observer& observer = SilentObserver());

  Result<std::optional<Json>> Get(std::stop_token stop, Deadline deadline, const Resource& resource,
                                  const Key& key) override;
  Result<ListPage> GetPage(std::stop_token stop, Deadline deadline, const Resource& resource,
                           const ListOptions& options, const PageRequest& page) override;
  Result<Json> Create(std::stop_token stop, Deadline deadline, const Resource& resource,
                      const Json& object, const WriteOptions& options = {}) override;
  Result<Json> Update(std::stop_token stop, Deadline deadline, const Resource& resource,
                      const Json& object, const WriteOptions& options = {}) override;
  Result<Json> Patch(std::stop_token stop, Deadline deadline, const Resource& resource,
                     const Key& key, const Json& patch, const PatchOptions& options = {}) override;
  Status Delete(std::stop_token stop, Deadline deadline, const Resource& resource, const Key& key,
                const DeleteOptions& options = {}) override;
  Status Watch(std::stop_token stop, const Resource& resource, const WatchOptions& options,
               const std::function<void(WatchEvent)>& on_event) override;

  /// True: a server that does not know them says so, or ends the watch.
  bool OffersInitialEvents() const override { return true; }

  /// Any GET of the server: "/readyz", "/version". The body of a 200.
  Result<std::string> GetRaw(std::stop_token stop, Deadline deadline, const std::string& target);

 private:
  Result<Request> Authenticated(const Request& request, std::string& token);
  Result<Response> CallOnce(std::stop_token stop, Deadline deadline, const Request& request);
  Result<Response> Call(std::stop_token stop, Deadline deadline, const Request& request);
  Result<Json> CallForJson(std::stop_token stop, Deadline deadline, const Request& request);

  const std::unique_ptr<Transport> transport_;
  const std::shared_ptr<TokenSource> token_;
  Observer& observer_;
};

/// The usual way to a client: LoadConnection's answer, with its transport.
struct Connection;
Result<std::unique_ptr<ApiClient>> MakeApiClient(const Connection& connection,
                                                 Observer& observer = SilentObserver());

}  // namespace cutover::kube
