// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/chunks.h"

#include <algorithm>
#include <utility>

namespace cutover::mover {
namespace {

bool Splittable(const TablePlan& table, int major) {
  return table.heap && table.condition.empty() && major >= kTidRangeScanMajor;
}

/// As many equal ranges as it takes; the last one is open.
std::vector<TableChunk> SplitTable(size_t index, const TablePlan& table, int major,
                                   int64_t chunk_bytes) {
  const int64_t wanted = (table.bytes + chunk_bytes - 1) / chunk_bytes;
  const int64_t parts = Splittable(table, major)
                            ? std::clamp<int64_t>(wanted, 1, std::max<int64_t>(table.blocks, 1))
                            : 1;
  std::vector<TableChunk> chunks;
  for (int64_t part = 0; part < parts; ++part) {
    TableChunk chunk{index, static_cast<int>(part), {}, table.bytes / parts};
    chunk.range.from = table.blocks * part / parts;
    if (part + 1 < parts) chunk.range.to = table.blocks * (part + 1) / parts;
    chunks.push_back(chunk);
  }
  return chunks;
}

}  // namespace

std::vector<ChunkGroup> PlanChunks(const std::vector<TablePlan>& tables, int major,
                                   int64_t chunk_bytes) {
  std::vector<ChunkGroup> groups;
  ChunkGroup shared;
  auto close_shared = [&] {
    if (!shared.chunks.empty()) groups.push_back(std::exchange(shared, {}));
  };
  for (size_t i = 0; i < tables.size(); ++i) {
    const TablePlan& table = tables[i];
    if (table.excluded) continue;
    // An extension puts rows of its own there, which the source may not have any more.
    if (table.heap && table.blocks == 0 && !table.extension_member) continue;
    if (table.bytes >= kSmallTableBytesMax) {
      for (const TableChunk& chunk : SplitTable(i, table, major, chunk_bytes))
        groups.push_back(ChunkGroup{{chunk}, chunk.bytes});
      continue;
    }
    if (shared.bytes + table.bytes > kGroupBytesMax || shared.chunks.size() == kGroupTablesMax)
      close_shared();
    shared.chunks.push_back(TableChunk{i, 0, {}, table.bytes});
    shared.bytes += table.bytes;
  }
  close_shared();
  return groups;
}

}  // namespace cutover::mover
