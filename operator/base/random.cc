// SPDX-License-Identifier: Apache-2.0
#include "operator/base/random.h"

#include <openssl/rand.h>

#include <random>
#include <vector>

#include "operator/base/check.h"

namespace cutover {
namespace {

std::mt19937_64& Engine() {
  thread_local std::mt19937_64 engine{std::random_device{}()};
  return engine;
}

}  // namespace

std::string RandomHex(int bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::vector<unsigned char> raw(static_cast<size_t>(bytes));
  CHECK(RAND_bytes(raw.data(), bytes) == 1);
  std::string text;
  text.reserve(raw.size() * 2);
  for (unsigned char c : raw) {
    text.push_back(kDigits[c >> 4]);
    text.push_back(kDigits[c & 15]);
  }
  return text;
}

double RandomFraction() { return std::uniform_real_distribution<double>(0.0, 1.0)(Engine()); }

void SeedRandomFraction(uint64_t seed) { Engine().seed(seed); }

}  // namespace cutover
