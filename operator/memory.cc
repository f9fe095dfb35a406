// SPDX-License-Identifier: Apache-2.0
#include "operator/memory.h"

#include <malloc.h>

namespace cutover {

void BoundMemory() {
  // By default each of some 25 threads has an arena of its own, and keeps in it what it has freed.
  constexpr int kArenasMax = 1;
  // Unless it is set, glibc raises it to the largest block that was ever freed (a page of a list),
  // and keeps twice as much of what is free at the end of the heap.
  constexpr int kLargeBlockBytes = 256 << 10;
  mallopt(M_ARENA_MAX, kArenasMax);
  mallopt(M_MMAP_THRESHOLD, kLargeBlockBytes);
  mallopt(M_TRIM_THRESHOLD, kLargeBlockBytes);
}

}  // namespace cutover

// GnuTLS asks for this before main; its macro GNUTLS_SKIP_GLOBAL_INIT defines the same. libpq
// brings the library along for LDAP, which nobody here speaks; and libldap would initialize it
// itself.
extern "C" int _gnutls_global_init_skip() { return 1; }
