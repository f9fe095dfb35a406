// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/json.h"
#include "operator/base/mutex.h"
#include "operator/base/result.h"
#include "operator/kube/credentials.h"

namespace cutover::kube {

/// A kubeconfig's `exec`: the program that makes credentials (aws, gke-gcloud-auth-plugin, …).
struct ExecPlugin {
  enum class Interactive { kNever, kIfAvailable, kAlways };

  std::string api_version{};  ///< "client.authentication.k8s.io/v1" or "…/v1beta1".
  std::string command{};      ///< A path, or a name to be found in PATH.
  std::vector<std::string> arguments{};
  std::vector<std::pair<std::string, std::string>> environment{};  ///< Added to our own.
  Interactive interactive = Interactive::kIfAvailable;
  std::string install_hint{};  ///< Told to whoever has not got the program.
  Json cluster{};              ///< provideClusterInfo: the ExecCredential's spec.cluster, or null.
};

/// Credentials that a program makes: a bearer token, a client certificate, or both.
///
/// *Guarantees*: the program runs when there is nothing yet, when what it gave expires within ten
/// seconds, and after the server has refused it; never twice at once. It sees
/// KUBERNETES_EXEC_INFO. It may ask questions if its mode allows and our standard input is a
/// terminal; else it is killed after a minute.
///
/// *Errors*: kRetry "CredentialPlugin" with the program's name, what went wrong and the install
/// hint. What the program writes to its standard error goes to ours; its output is a secret and
/// appears nowhere. Thread-safe.
class ExecCredential final : public TokenSource, public TlsSource {
 public:
  /// `authority` says whom to trust, of which plugins know nothing; may be null.
  ExecCredential(ExecPlugin plugin, std::shared_ptr<TlsSource> authority,
                 const Clock& clock = RealClock());

  Result<std::string> Token() override;
  void Invalidate(const std::string& token) override;
  Result<TlsIdentity> Current() override;
  void Invalidate() override;

 private:
  struct Credential {
    std::string token{};
    std::string certificate_pem{};
    std::string key_pem{};
    std::optional<WallTime> expires{};  // Without it: not before it is refused.
  };

  Result<Credential> Get();
  Result<Credential> Run() const;
  Result<Credential> Parse(const std::string& output) const;
  std::string Info(bool interactive) const;
  tl::unexpected<Error> Failed(const std::string& what) const;
  bool IsFreshLocked() const REQUIRES(mutex_);

  const ExecPlugin plugin_;
  const std::shared_ptr<TlsSource> authority_;
  const Clock& clock_;
  Mutex mutex_;
  CondVar changed_;
  bool running_ GUARDED_BY(mutex_) = false;
  std::optional<Credential> credential_ GUARDED_BY(mutex_);
};

}  // namespace cutover::kube
