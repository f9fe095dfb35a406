// SPDX-License-Identifier: Apache-2.0
#include "operator/base/beside.h"

#include <utility>

namespace cutover {

std::future<Status> Beside(std::function<Status()> work) {
  return std::async(std::launch::async, std::move(work));
}

}  // namespace cutover
