// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/for_each.h"

#include "operator/kube/error.h"

namespace cutover::kube {
namespace {

constexpr int kRestartsMax = 3;

}  // namespace

Status ForEachPage(std::stop_token stop, Deadline deadline, Client& client,
                   const Resource& resource, const ListOptions& options,
                   const std::function<void(ObjectList&)>& on_page,
                   const std::function<void()>& on_restart) {
  PageRequest next;
  for (int restarts = 0;;) {
    Result<ListPage> page = client.GetPage(stop, deadline, resource, options, next);
    if (!page && IsGone(page.error()) && !next.next.empty() && restarts++ < kRestartsMax) {
      on_restart();
      next = {};
      continue;
    }
    TRY(page);
    on_page(page->list);
    if (page->next.empty()) return Ok();
    next.next = page->next;
  }
}

Status ForEach(std::stop_token stop, Deadline deadline, Client& client, const Resource& resource,
               const ListOptions& options, const std::function<void(const Json&)>& each) {
  return ForEachPage(
      stop, deadline, client, resource, options,
      [&each](const ObjectList& page) {
        for (const Json& object : page.items) each(object);
      },
      [] {});
}

}  // namespace cutover::kube
