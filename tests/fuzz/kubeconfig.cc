// SPDX-License-Identifier: Apache-2.0
//
// Any text is a kubeconfig or refused as one, in words; none takes the operator down.
#include "operator/kube/kubeconfig.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view yaml(reinterpret_cast<const char*>(data), size);
  // Files that the text names are looked for where there are none.
  if (yaml.find("/dev/") != std::string_view::npos) return 0;
  auto connection = cutover::kube::ParseKubeconfig(yaml, "/nonexistent");
  if (connection) {
    HOLDS(!connection->transport.url.empty());
    return 0;
  }
  HOLDS(connection.error().disposition == cutover::Disposition::kTerminal);
  HOLDS(!connection.error().message.empty());
  return 0;
}
