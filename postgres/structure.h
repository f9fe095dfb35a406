// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/control.h"
#include "postgres/replication.h"

namespace cutover::pg {

/// What a database is made of, object by object, and what of it was changed. Of the source, which
/// is followed, SchemaFingerprint() and ReadTableFiles() together tell whether it is still as it
/// was copied. The rest is about the target.
///
/// The structure of the target while users work on it. The stream back carries rows of the tables
/// that it was made with, and nothing else: rows of a table that came later go nowhere, and what a
/// column that came later holds makes it stop. So the structure is written down while nobody can
/// get at the target, and compared with that afterwards: a way back without loss needs it to be the
/// same again.
///
/// Undone, DDL counts no more, as a rule: a table that was made and dropped again leaves nothing to
/// lose, and a row with a column that the source lacks stops the stream for good, which is seen by
/// itself. What leaves rows behind unseen counts for ever:
///   - a published table that was dropped, or taken out of the publication, even for a moment;
///   - a column that was dropped, even if one of the same name was made since;
///   - a table whose rows were rewritten by ALTER TABLE (… TYPE … USING …), even back to the same
///     type: the stream does not carry that.
/// Indexes and extended statistics do not count: no row depends on them.
///
/// Kept in the target's ledger, so that it outlives every process and goes with the schema.

/// One thing with a name of its own, and a hash of each part of it: "column", "constraint", …
struct StructureObject {
  std::string name;  ///< "table public.orders", as pg_identify_object() says it.
  std::map<std::string, std::string> parts;
  friend bool operator==(const StructureObject&, const StructureObject&) = default;
};
/// By "class/oid": what was dropped and made again is another one.
using Structure = std::map<std::string, StructureObject>;

/// Of the tenant's part of the database, as of SchemaFingerprint(), and of `publication`. Takes
/// about as long as that.
Result<Structure> ReadStructure(std::stop_token stop, Deadline deadline, Connection& connection,
                                const std::string& publication);

/// The tables alone, with what tells those whose rows ALTER TABLE has rewritten (… TYPE … USING …):
/// no stream carries that, and SchemaFingerprint() is what it was where the types are. Compared
/// with an earlier one of the same database, names them; VACUUM FULL, CLUSTER, TRUNCATE, REINDEX
/// and ANALYZE are none. One too many, rather than missed: a table without TOAST of which a column
/// was added with a default that was dropped again, once VACUUM FULL has filled it in.
Result<Structure> ReadTableFiles(std::stop_token stop, Deadline deadline, Connection& connection);

/// Pure: "table public.orders was altered (column)", one for each object; empty when nothing
/// counts.
std::vector<std::string> CompareStructures(const Structure& before, const Structure& now);
/// The first few, and how many more.
std::string DescribeChanges(const std::vector<std::string>& changes);

Json ToJson(const Structure& structure);
Structure StructureOf(const Json& json);

/// What is known of the target's structure.
struct StructureWatch {
  CatalogMark mark;       ///< Of the catalogs, when they were last compared.
  WallTime compared_at;   ///< When that was.
  int64_t settled = 0;    ///< The highest number that LookAtStructure() has settled it for.
  std::string changes{};  ///< DescribeChanges(); empty: it is what was written down.
};
/// Nothing before the first look.
Result<std::optional<StructureWatch>> ReadStructureWatch(std::stop_token stop, Deadline deadline,
                                                         Connection& target);

/// How to look.
struct StructureLook {
  std::string publication;  ///< Of the stream back.
  WallTime now;             ///< For the record.
  /// Catalogs that were touched are compared no sooner than this after the last time: a tenant that
  /// makes temporary tables all day touches them all day.
  std::chrono::seconds pause{0};
  /// The answer has to stand for this number: it is compared at once. 0: it need not.
  int64_t settles = 0;
};
/// The first time, writes the structure down as what it has to be. Afterwards compares, if anything
/// in the catalogs has been touched since the last comparison (CatalogsTouched()), and writes down
/// what came out. `claim` is on the target's side.
Status LookAtStructure(std::stop_token stop, Deadline deadline, Connection& target,
                       const Claim& claim, const StructureLook& look);

}  // namespace cutover::pg
