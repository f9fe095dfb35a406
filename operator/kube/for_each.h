// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stop_token>

#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "operator/kube/resource.h"

namespace cutover::kube {

/// Client::List for who needs a little of each object: `each` gets them one by one, and of a
/// collection of any size only a page is in memory.
///
/// *Caveat*: where the server forgets the state that the list is of, the list begins again, and
/// `each` gets objects a second time, as they are by then. One that has gone meanwhile it had got.
///
/// Errors are List's.
Status ForEach(std::stop_token stop, Deadline deadline, Client& client, const Resource& resource,
               const ListOptions& options, const std::function<void(const Json&)>& each);

/// What List and ForEach() do: `on_page` gets every page in turn, and may take it; `on_restart` is
/// called where the list begins again, since half of one state and half of another would be none.
Status ForEachPage(std::stop_token stop, Deadline deadline, Client& client,
                   const Resource& resource, const ListOptions& options,
                   const std::function<void(ObjectList&)>& on_page,
                   const std::function<void()>& on_restart);

}  // namespace cutover::kube
