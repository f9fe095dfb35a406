// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/view/page.h"
#include "cli/view/snapshot.h"

namespace cutover::cli {

/// The whole of one migration: what happens, whether it is stuck, what may be done, who is in it,
/// and its pipeline. Pure.
std::string RenderStatus(const Snapshot& seen, const Style& style);

/// The same in one line: "Copying 85%, 512/596 MB, about 7s left", for logs of pipelines; it
/// changes when something worth a line has. Pure.
std::string RenderLine(const Snapshot& seen);

/// The conditions as a table, for -o wide. Pure.
std::string RenderConditions(const MigrationView& migration, WallTime now);

/// One line for each migration, worst first, and a last line that counts them. `all_namespaces`
/// adds a column; `wide` adds servers and the operator's words. Pure.
std::string RenderList(std::vector<MigrationView> migrations, WallTime now, bool all_namespaces,
                       bool wide);

}  // namespace cutover::cli
