// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "operator/base/clock.h"
#include "operator/base/result.h"
#include "operator/kube/credentials.h"
#include "operator/kube/http_transport.h"

namespace cutover::kube {

/// All that is needed to reach one API server as somebody.
struct Connection {
  HttpTransportOptions transport{};
  std::shared_ptr<TokenSource>
      token;                   ///< Null when a client certificate (or nothing) identifies us.
  std::string ns = "default";  ///< Namespace of the context, or of the pod.
  std::string origin{};        ///< Where this was found, for messages.
};

/// Reads the environment; replaced in tests.
using GetEnv = std::function<std::optional<std::string>(const std::string& name)>;

/// Finds the connection by kubectl's precedence: `flag` (--kubeconfig, may be empty) > KUBECONFIG >
/// in-cluster (service account files and KUBERNETES_SERVICE_HOST) > ~/.kube/config.
/// Terminal error "InvalidKubeconfig" naming the file and what to change in it. KUBECONFIG may name
/// several files; as in kubectl the first to define something wins.
Result<Connection> LoadConnection(const std::string& flag, const GetEnv& get_env = {},
                                  const Clock& clock = RealClock());

/// What a command line says about which cluster is meant; either may be empty.
struct ConnectionChoice {
  std::string kubeconfig;  ///< --kubeconfig
  std::string context;     ///< --context, instead of the current one. Never the pod's own account.
};

/// The same for a command line.
Result<Connection> LoadConnection(const ConnectionChoice& choice, const GetEnv& get_env = {},
                                  const Clock& clock = RealClock());

/// The current context of one kubeconfig's text. Relative file names count from `directory`.
/// Certificates, keys and tokens in files are read again when they change; `exec` runs the plugin
/// it names when a credential is first needed (exec_credential.h).
Result<Connection> ParseKubeconfig(std::string_view yaml, const std::string& directory,
                                   const Clock& clock = RealClock());

}  // namespace cutover::kube
