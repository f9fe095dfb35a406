// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mover/plan/tables.h"

namespace cutover::mover {

/// A part of a table that is copied, or compared, by one COPY.
struct TableChunk {
  size_t table = 0;  ///< Index into the tables that were planned.
  int number = 0;    ///< Counts from 0 within the table.
  BlockRange range;
  int64_t bytes = 0;  ///< Estimated, with its share of TOAST.

  bool operator==(const TableChunk&) const = default;
};

/// Chunks that one transaction carries: one chunk of a big table, or many small tables whole,
/// because for thousands of small tables the time is commits and not bytes.
struct ChunkGroup {
  std::vector<TableChunk> chunks;
  int64_t bytes = 0;

  bool operator==(const ChunkGroup&) const = default;
};

/// Tables below this travel together.
inline constexpr int64_t kSmallTableBytesMax = 1 << 20;
/// What a group of small tables may hold: little enough that its repetition after a lost connection
/// costs nothing, and its locks (a table, its TOAST and its index each) fit any server.
inline constexpr int64_t kGroupBytesMax = 8 << 20;
inline constexpr size_t kGroupTablesMax = 64;
/// What an interruption may cost, and how uneven lanes may end. Not smaller without need: a table
/// that is copied whole can be loaded frozen, which saves reading and writing it once more later.
inline constexpr int64_t kChunkBytes = int64_t{1} << 30;
/// Reading a range of blocks without reading the whole table for it (trap 36).
inline constexpr int kTidRangeScanMajor = 14;

/// Pure. Splits `tables` (in the order that is wanted) into groups, in the same order, big ones
/// first and small ones together. Leaves out excluded tables and those that hold no row. Big
/// tables are split by blocks, never by the least and greatest key, whatever its distribution
/// (trap 35), as far as the server of major version `major` can read a range of blocks alone.
std::vector<ChunkGroup> PlanChunks(const std::vector<TablePlan>& tables, int major,
                                   int64_t chunk_bytes = kChunkBytes);

}  // namespace cutover::mover
