// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "mover/clone.h"
#include "mover/process/pg_programs.h"
#include "operator/base/json.h"
#include "operator/base/result.h"

namespace cutover::mover {

/// What CloneDatabase would do with these options, found out in the same way and by the same code,
/// without writing anything: the tables with sizes and chunks in the order of their copy, how many
/// indexes and constraints there are to build, and an estimate. The estimate rests on a sample: up
/// to 64 MiB of the biggest table are read as a copy would read them.
///
/// Fields: database, sourceVersion, tables [{table, bytes, rowsEstimated, chunks, format}],
/// tableCount, bytes, chunkCount, transactions, excluded, indexes, foreignKeys, otherObjects,
/// materializedViews, sample {bytes, seconds}, readSecondsMin, notes. It fails as a clone would.
Result<Json> PlanClone(std::stop_token stop, const PgPrograms& programs,
                       const CloneOptions& options);

}  // namespace cutover::mover
