// SPDX-License-Identifier: Apache-2.0
#include "mover/copy/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <utility>

#include "operator/base/check.h"

namespace cutover::mover {
namespace {

/// Fetched once: looking an algorithm up costs more than hashing a row.
const EVP_MD* Sha256() {
  static const EVP_MD* const algorithm = [] {
    EVP_MD* fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    CHECK(fetched != nullptr);
    return fetched;
  }();
  return algorithm;
}

}  // namespace

void Digest::Add(const std::array<uint64_t, 4>& row) {
  unsigned carry = 0;
  for (size_t i = 0; i < sum_.size(); ++i) {
    const uint64_t with_row = sum_[i] + row[i];
    const unsigned carry_row = with_row < row[i];
    const uint64_t with_carry = with_row + carry;
    carry = carry_row + (with_carry < with_row);
    sum_[i] = with_carry;
  }
}

void Digest::Add(const Digest& other) { Add(other.sum_); }

std::string Digest::Hex() const {
  char text[65];
  for (size_t i = 0; i < sum_.size(); ++i)
    std::snprintf(text + 16 * i, 17, "%016llx",
                  static_cast<unsigned long long>(sum_[sum_.size() - 1 - i]));
  return text;
}

std::optional<Digest> Digest::FromHex(std::string_view hex) {
  Digest digest;
  if (hex.size() != 16 * digest.sum_.size()) return std::nullopt;
  for (size_t i = 0; i < digest.sum_.size(); ++i) {
    const char* word = hex.data() + 16 * (digest.sum_.size() - 1 - i);
    const auto [end, error] = std::from_chars(word, word + 16, digest.sum_[i], 16);
    if (error != std::errc() || end != word + 16) return std::nullopt;
  }
  return digest;
}

void RowsSeen::Add(const RowsSeen& other) {
  digest.Add(other.digest);
  rows += other.rows;
  bytes += other.bytes;
  row_bytes_max = std::max(row_bytes_max, other.row_bytes_max);
}

RowHasher::RowHasher() : context_(EVP_MD_CTX_new()) {
  CHECK(context_ != nullptr);
  CHECK(EVP_DigestInit_ex2(context_, Sha256(), nullptr) == 1);
}

RowHasher::~RowHasher() { EVP_MD_CTX_free(context_); }

void RowHasher::Add(std::string_view row, RowsSeen& seen) {
  Append(row, seen);
  EndRow(seen);
  seen.row_bytes_max = std::max(seen.row_bytes_max, static_cast<int64_t>(row.size()));
}

void RowHasher::Append(std::string_view piece, RowsSeen& seen) {
  // nullptr: the same algorithm again, without a new lookup.
  if (!std::exchange(row_began_, true)) CHECK(EVP_DigestInit_ex2(context_, nullptr, nullptr) == 1);
  CHECK(EVP_DigestUpdate(context_, piece.data(), piece.size()) == 1);
  seen.bytes += static_cast<int64_t>(piece.size());
}

void RowHasher::EndRow(RowsSeen& seen) {
  CHECK(std::exchange(row_began_, false));
  unsigned char hash[32];
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(context_, hash, &size) == 1 && size == sizeof hash);
  std::array<uint64_t, 4> words;
  std::memcpy(words.data(), hash, sizeof hash);
  seen.digest.Add(words);
  ++seen.rows;
}

}  // namespace cutover::mover
