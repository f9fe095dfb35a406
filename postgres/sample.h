// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/control.h"
#include "postgres/keyed_rows.h"

namespace cutover::pg {

/// The way back, looked at row by row. While users write on the target and the stream brings it to
/// the source, a few rows of both sides are compared again and again: tables in turn, so that all
/// are looked at in time, and of each some blocks at random, so that all rows may be. Keys are
/// picked on both sides, or a row that only the source has would never be seen. A table without a
/// key is taken for one row, if it is small.
///
/// Both sides move on meanwhile, so a row that differs proves nothing: what was written on the
/// target may be on its way. It is a suspect, remembered with
///   - what each side had, with the version of the row (ctid and xmin: every write makes another),
///   - the target's log position, taken after that first look.
/// When the subscriber has confirmed that position, it is looked at again, on the source first and
/// then on the target. A difference is proven if neither side's row was written in between: what
/// the target had, it had when the stream passed that position; so the source should have had the
/// same then, and has not. Whatever was written in between begins anew. A row that is proven to
/// differ stays so until both sides are seen equal.
///
/// Kept in the target's ledger, as one record that goes with the schema; connections come back with
/// the settings that they had.

/// A row on one side: the hash of its text, and its version.
struct RowState {
  std::string hash;
  std::string version;
  friend bool operator==(const RowState&, const RowState&) = default;
};

struct Suspect {
  TableName table;
  std::string key;                         ///< JSON text of an array of the key columns' texts.
  std::string words;                       ///< "public.orders (id)=(42)"
  std::optional<RowState> source, target;  ///< Nothing: the row is not there.
  std::string position;                    ///< Of the target's log, after that look.
  bool proven = false;

  /// No suspect at all.
  bool IsEqual() const;
};

/// What a second look at a suspect says. The stream has passed its position.
enum class SecondLook {
  kEqual,
  kWritten,  ///< Different, but written since: looked at too early again.
  kDiffers,
};
SecondLook LookTwice(const Suspect& first, const std::optional<RowState>& source,
                     const std::optional<RowState>& target);

/// What is known of the way back's rows.
struct Sample {
  std::optional<WallTime> taken_at;  ///< The last one; nothing before the first.
  int64_t rows = 0;                  ///< Compared since the first one.
  TableName last_table;              ///< The next one goes on behind it.
  std::vector<Suspect> suspects;
  std::set<TableName> not_compared;  ///< Large, and without a key.

  /// Suspects that are yet to be looked at again.
  int64_t undecided() const;
  int64_t differences() const;
  /// "public.orders (id)=(42) differs, …" of those that are proven; a few, and how many more.
  std::string DescribeDifferences() const;
  /// "public.log, …" of those that are not compared.
  std::string DescribeNotCompared() const;
};
/// A Sample as it is kept in the ledger, and back.
Json ToJson(const Sample& sample);
Sample SampleOf(const Json& json);

/// An empty one before the first was taken.
Result<Sample> ReadSample(std::stop_token stop, Deadline deadline, Connection& target);

/// For TakeSample() and SettleSample(): writes what they have found.
Status KeepSample(std::stop_token stop, Deadline deadline, Connection& target, const Claim& claim,
                  const Sample& sample);

// --- looking (take_sample.cc) --------------------------------------------------------------------

/// The stream whose rows are looked at: from the target's database to the source's.
struct SampledStream {
  std::string slot;
  std::string publication;
};

/// Bounds of one sample; past the first of them the next table is left for the next one.
struct SampleTerms {
  int64_t rows_max = 1000;
  int64_t rows_per_table_max = 100;  ///< Of what is picked on each side.
  std::chrono::milliseconds budget = std::chrono::seconds(1);
};

/// What one call did.
struct SampleRound {
  int64_t tables = 0;
  int64_t rows = 0;
  /// Tables that could not be looked at, with why: empty if there is none.
  std::string passed_over;
};

/// Looks at every suspect again whose position the subscriber has confirmed, then at other rows.
/// `now` is when, for the record. `claim` is on the target's side. A table that a server
/// refuses to read is passed over, which is said, and is no error.
Result<SampleRound> TakeSample(std::stop_token stop, Deadline deadline, Connection& source,
                               Connection& target, const Claim& claim, const SampledStream& stream,
                               WallTime now, const SampleTerms& terms = {});
/// The first half of that alone; nothing is written where it finds nothing to look at.
Status SettleSample(std::stop_token stop, Deadline deadline, Connection& source, Connection& target,
                    const Claim& claim, const SampledStream& stream);

}  // namespace cutover::pg
