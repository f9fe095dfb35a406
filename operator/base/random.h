// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace cutover {

/// Cryptographically random lower-case hexadecimal text of `bytes` random bytes; for passwords,
/// role names and identities. Thread-safe; aborts when the system has no entropy.
std::string RandomHex(int bytes);

/// A random number in [0, 1): for jitter. Thread-safe.
double RandomFraction();

/// From here on RandomFraction() repeats itself on this thread, for simulations.
void SeedRandomFraction(uint64_t seed);

}  // namespace cutover
