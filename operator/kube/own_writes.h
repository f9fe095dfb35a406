// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "operator/kube/client.h"

namespace cutover::kube {

/// A client that tells stores which versions its writes got, so that a controller never decides by
/// a cache that is older than its own last step (read-your-writes, as in KEP-5647; that versions
/// can be compared is KEP-5504).
///
/// *Guarantees*: when a write returns its answer, the stores that follow its kind expect the
/// version in it; Store::IsBehind is true until they have heard of it.
///
/// Writes are refused, kRetry "NotLeading", once `may_write` says no: a process that froze in a
/// request, and wakes to a conflict, must not read again and repeat it.
///
/// *Caveats*: a write in doubt and a deletion without a finalizer have no version to expect. Before
/// anything that cannot be undone, read with Get: it asks the server, here as anywhere.
///
/// Thread-safe once every Follow is done. `inner` outlives it.
class OwnWrites final : public Client {
 public:
  using Expect = std::function<void(const Key&, const std::string& version)>;

  explicit OwnWrites(Client& inner, std::function<bool()> may_write = nullptr)
      : inner_(inner), may_write_(std::move(may_write)) {}

  /// From now on `expect` is called, on the writing thread, for every write to `resource`.
  void Follow(const Resource& resource, Expect expect) {
    followers_.emplace_back(resource, std::move(expect));
  }

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
  bool OffersInitialEvents() const override { return inner_.OffersInitialEvents(); }

 private:
  Status MayWrite() const;
  Result<Json> Tell(const Resource& resource, bool dry_run, Result<Json> written) const;

  Client& inner_;
  const std::function<bool()> may_write_;
  std::vector<std::pair<Resource, Expect>> followers_;
};

}  // namespace cutover::kube
