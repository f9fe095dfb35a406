// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace cutover::mover {

/// What a set of rows is, whatever order they come in: the sum, modulo 2^256, of the rows' SHA-256.
/// A sum and not an exclusive or, in which a row that is there twice would vanish. Two tables of
/// equal digest and equal number of rows hold the same rows: docs/decisions/20261121-row-digest.md.
class Digest {
 public:
  void Add(const std::array<uint64_t, 4>& row);
  void Add(const Digest& other);
  /// 64 hexadecimal digits.
  std::string Hex() const;
  /// The reverse; nothing for any other text.
  static std::optional<Digest> FromHex(std::string_view hex);
  bool operator==(const Digest&) const = default;

 private:
  std::array<uint64_t, 4> sum_{};  ///< Least significant word first.
};

/// Rows that passed by: their digest, number and bytes.
struct RowsSeen {
  Digest digest;
  int64_t rows = 0;
  int64_t bytes = 0;
  int64_t row_bytes_max = 0;  ///< The largest that was held whole; no part of what is compared.

  void Add(const RowsSeen& other);
  bool operator==(const RowsSeen& other) const {
    return digest == other.digest && rows == other.rows && bytes == other.bytes;
  }
};

/// Takes rows one by one. One thread at a time; making one costs some microseconds, so keep it.
class RowHasher {
 public:
  RowHasher();
  ~RowHasher();
  RowHasher(const RowHasher&) = delete;
  RowHasher& operator=(const RowHasher&) = delete;

  void Add(std::string_view row, RowsSeen& seen);

  /// The same for a row that comes in pieces: rows end, and count, with EndRow().
  void Append(std::string_view piece, RowsSeen& seen);
  void EndRow(RowsSeen& seen);

 private:
  evp_md_ctx_st* context_;
  bool row_began_ = false;
};

}  // namespace cutover::mover
