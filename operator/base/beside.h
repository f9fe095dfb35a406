// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <future>

#include "operator/base/result.h"

namespace cutover {

/// Runs `work` on a thread of its own while the caller goes on; get() waits for what it returns,
/// and so does the future's end. For two servers that are each asked their own question while
/// clients wait. The simulation, which is one thread, has its own: it runs `work` at once.
std::future<Status> Beside(std::function<Status()> work);

}  // namespace cutover
