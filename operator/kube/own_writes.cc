// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/own_writes.h"

#include "operator/kube/metadata.h"

namespace cutover::kube {

Status OwnWrites::MayWrite() const {
  if (!may_write_ || may_write_()) return Ok();
  return RetryError("NotLeading", "another leader may be there: nothing is written any more");
}

Result<Json> OwnWrites::Tell(const Resource& resource, bool dry_run, Result<Json> written) const {
  if (!written || dry_run) return written;
  for (const auto& [followed, expect] : followers_)
    if (followed == resource) expect(KeyOf(*written), ResourceVersionOf(*written));
  return written;
}

Result<std::optional<Json>> OwnWrites::Get(std::stop_token stop, Deadline deadline,
                                           const Resource& resource, const Key& key) {
  return inner_.Get(stop, deadline, resource, key);
}

Result<ListPage> OwnWrites::GetPage(std::stop_token stop, Deadline deadline,
                                    const Resource& resource, const ListOptions& options,
                                    const PageRequest& page) {
  return inner_.GetPage(stop, deadline, resource, options, page);
}

Result<Json> OwnWrites::Create(std::stop_token stop, Deadline deadline, const Resource& resource,
                               const Json& object, const WriteOptions& options) {
  TRY(MayWrite());
  return Tell(resource, options.dry_run, inner_.Create(stop, deadline, resource, object, options));
}

Result<Json> OwnWrites::Update(std::stop_token stop, Deadline deadline, const Resource& resource,
                               const Json& object, const WriteOptions& options) {
  TRY(MayWrite());
  return Tell(resource, options.dry_run, inner_.Update(stop, deadline, resource, object, options));
}

Result<Json> OwnWrites::Patch(std::stop_token stop, Deadline deadline, const Resource& resource,
                              const Key& key, const Json& patch, const PatchOptions& options) {
  TRY(MayWrite());
  return Tell(resource, options.dry_run,
              inner_.Patch(stop, deadline, resource, key, patch, options));
}

Status OwnWrites::Delete(std::stop_token stop, Deadline deadline, const Resource& resource,
                         const Key& key, const DeleteOptions& options) {
  TRY(MayWrite());
  return inner_.Delete(stop, deadline, resource, key, options);
}

Status OwnWrites::Watch(std::stop_token stop, const Resource& resource, const WatchOptions& options,
                        const std::function<void(WatchEvent)>& on_event) {
  return inner_.Watch(stop, resource, options, on_event);
}

}  // namespace cutover::kube
