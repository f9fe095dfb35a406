// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/base/result.h"

namespace cutover::kube {

/// Where bearer tokens come from. Thread-safe.
class TokenSource {
 public:
  virtual ~TokenSource() = default;

  /// The token to use now; may read a file or run a program. Empty: none is needed.
  virtual Result<std::string> Token() = 0;

  /// The server refused `token`: the next Token() must not come from memory.
  virtual void Invalidate(const std::string& token) = 0;
};

class StaticToken final : public TokenSource {
 public:
  explicit StaticToken(std::string token) : token_(std::move(token)) {}
  Result<std::string> Token() override { return token_; }
  void Invalidate(const std::string&) override {}

 private:
  const std::string token_;
};

/// A file that somebody rotates (the kubelet does so for service accounts): read again every
/// minute and after a refusal. While the file cannot be read, the last token is used.
class FileToken final : public TokenSource {
 public:
  explicit FileToken(std::string path, const Clock& clock = RealClock());
  Result<std::string> Token() override;
  void Invalidate(const std::string& token) override;

 private:
  const std::string path_;
  const Clock& clock_;
  Mutex mutex_;
  std::optional<std::string> token_ GUARDED_BY(mutex_);
  SteadyTime read_again_at_ GUARDED_BY(mutex_);
};

/// Whom a TLS client trusts and what it shows, in PEM. Empty where there is nothing.
struct TlsIdentity {
  std::string ca_pem{};
  std::string certificate_pem{};
  std::string key_pem{};

  friend bool operator==(const TlsIdentity&, const TlsIdentity&) = default;
};

/// Where identities come from that change while we run. Thread-safe.
class TlsSource {
 public:
  virtual ~TlsSource() = default;

  /// What the next connection is to be made with; may read files or run a program.
  virtual Result<TlsIdentity> Current() = 0;

  /// The server refused this identity, or was not trusted: the next must not come from memory.
  virtual void Invalidate() = 0;
};

/// Certificates in files that somebody rotates, read again as tokens are: every minute and after a
/// refusal. Of the three files those that are not named keep what `initial` says. While one of them
/// cannot be read all stay as they were.
class FileTls final : public TlsSource {
 public:
  struct Files {
    std::string ca{};
    std::string certificate{};
    std::string key{};

    bool Any() const { return !ca.empty() || !certificate.empty(); }
  };

  FileTls(Files files, TlsIdentity initial, const Clock& clock = RealClock());
  Result<TlsIdentity> Current() override;
  void Invalidate() override;

 private:
  const Files files_;
  const Clock& clock_;
  Mutex mutex_;
  TlsIdentity identity_ GUARDED_BY(mutex_);
  SteadyTime read_again_at_ GUARDED_BY(mutex_);
};

}  // namespace cutover::kube
