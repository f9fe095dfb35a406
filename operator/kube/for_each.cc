// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/for_each.h"

#include "operator/kube/error.h"

namespace cutover::kube {
namespace {

// As Client::List has it.
constexpr int kRestartsMax = 3;

}  // namespace

Status ForEach(std::stop_token stop, Deadline deadline, Client& client, const Resource& resource,
               const ListOptions& options, const std::function<void(const Json&)>& each) {
  PageRequest next;
  for (int restarts = 0;;) {
    Result<ListPage> page = client.GetPage(stop, deadline, resource, options, next);
    if (!page && IsGone(page.error()) && !next.next.empty() && restarts++ < kRestartsMax) {
      next = {};
      continue;
    }
    TRY(page);
    for (const Json& object : page->list.items) each(object);
    if (page->next.empty()) return Ok();
    next.next = page->next;
  }
}

}  // namespace cutover::kube
