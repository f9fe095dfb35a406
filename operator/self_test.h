// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/result.h"
#include "operator/kube/client.h"

namespace cutover {

/// What `cutover-operator self-test` asks; the pod of `helm test` runs it.
struct SelfTest {
  std::string namespace_name;
  std::string lease_name;
  std::vector<std::string> watch_namespaces{};  ///< Empty: all.
  std::string host{};                           ///< Of a running operator; empty: not asked.
  uint16_t metrics_port = 8080;
  uint16_t health_port = 8081;
  bool metrics_authorization = false;  ///< Whether metrics are for bearers of tokens alone.
  /// Within which somebody renews the lease, as a leader does every 2 s: also after an uninstall,
  /// which takes the right to release it from the last one, so that its 15 s have to pass first.
  std::chrono::milliseconds patience{30'000};
};

/// Asks, as the operator's own account, whether all is well: the three resources are served and may
/// be read; somebody holds the lease and renews it while we look, whatever the clocks say; an
/// operator at `host` says that it is ready, and serves metrics; or, with metrics_authorization,
/// that this account may ask whose a token is and what they may do, and that metrics are refused to
/// who shows none. Its own token it shows to nobody but the API server. Prints a line for each,
/// "ok" or "FAILED" with what to do. Terminal "SelfTestFailed" when one failed; all are tried.
Status RunSelfTest(std::stop_token stop, kube::Client& client, const SelfTest& asked,
                   std::ostream& out);

}  // namespace cutover
