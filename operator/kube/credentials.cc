// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/credentials.h"

#include <fstream>
#include <sstream>

#include "operator/kube/error.h"

namespace cutover::kube {
namespace {

constexpr std::chrono::minutes kReadAgainAfter{1};

// Empty when it cannot be read.
std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The file's text without white space around it.
std::string ReadToken(const std::string& path) {
  std::string token = ReadFile(path);
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

FileTls::FileTls(Files files, TlsIdentity initial, const Clock& clock)
    : files_(std::move(files)),
      clock_(clock),
      identity_(std::move(initial)),
      read_again_at_(clock.SteadyNow() + kReadAgainAfter) {}

Result<TlsIdentity> FileTls::Current() {
  MutexLock lock(mutex_);
  if (clock_.SteadyNow() < read_again_at_) return identity_;
  TlsIdentity read = identity_;
  bool complete = true;
  for (auto [path, text] :
       {std::pair(&files_.ca, &read.ca_pem), std::pair(&files_.certificate, &read.certificate_pem),
        std::pair(&files_.key, &read.key_pem)}) {
    if (path->empty()) continue;
    *text = ReadFile(*path);
    complete = complete && !text->empty();
  }
  if (complete) {
    identity_ = std::move(read);
    read_again_at_ = clock_.SteadyNow() + kReadAgainAfter;
  }
  return identity_;
}

void FileTls::Invalidate() {
  MutexLock lock(mutex_);
  read_again_at_ = clock_.SteadyNow();
}

}  // namespace cutover::kube
