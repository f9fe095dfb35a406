// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cutover {

/// Sets the allocator up for a process of many threads that mostly wait: what one of them has let
/// go another can take, and large blocks return to the system at once. First thing in main, before
/// any thread.
void BoundMemory();

}  // namespace cutover
