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

  /// The token to use now; may read a file.
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

}  // namespace cutover::kube
