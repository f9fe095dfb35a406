// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/observer.h"

namespace cutover::kube {

Observer& SilentObserver() {
  static auto* silent = new Observer;
  return *silent;
}

}  // namespace cutover::kube
