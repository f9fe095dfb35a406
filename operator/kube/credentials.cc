// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/credentials.h"

#include <fstream>
#include <sstream>

#include "operator/kube/error.h"

namespace cutover::kube {
namespace {

constexpr std::chrono::minutes kReadAgainAfter{1};

// The file's text without white space around it; empty when it cannot be read.
std::string ReadToken(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  std::string token = text.str();
  constexpr char kSpace[] = " \t\r\n";
  size_t first = token.find_first_not_of(kSpace);
  if (first == std::string::npos) return "";
  return token.substr(first, token.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

FileToken::FileToken(std::string path, const Clock& clock)
    : path_(std::move(path)), clock_(clock) {}

Result<std::string> FileToken::Token() {
  MutexLock lock(mutex_);
  if (token_ && clock_.SteadyNow() < read_again_at_) return *token_;
  std::string read = ReadToken(path_);
  if (!read.empty()) {
    token_ = std::move(read);
    read_again_at_ = clock_.SteadyNow() + kReadAgainAfter;
  }
  // A rotation in progress can leave the file unreadable for a moment; the old token is still good.
  if (token_) return *token_;
  return RetryError(reason::kUnauthorized, "cannot read a token from " + path_);
}

void FileToken::Invalidate(const std::string& token) {
  MutexLock lock(mutex_);
  if (token_ == token) read_again_at_ = clock_.SteadyNow();
}

}  // namespace cutover::kube
