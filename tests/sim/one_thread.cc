// SPDX-License-Identifier: Apache-2.0
//
// In place of operator/base/beside.cc for a program that has this among its own objects: a
// simulation's operators, servers and clock belong to one thread.
#include <utility>

#include "operator/base/beside.h"

namespace cutover {

std::future<Status> Beside(std::function<Status()> work) {
  std::promise<Status> done;
  done.set_value(work());
  return done.get_future();
}

}  // namespace cutover
