// SPDX-License-Identifier: Apache-2.0
//
// The looks at rows of the way back (postgres/take_sample.cc) over the model, in place of those for
// a program that has this among its own objects: all rows are looked at, and what follows from what
// is seen is postgres/sample.cc's.
#include <algorithm>
#include <cstdio>

#include "postgres/sample.h"
#include "tests/sim/postgres/model_server.h"

namespace cutover::pg {
namespace {

constexpr char kConfirmed[] =
    "SELECT confirmed_flush_lsn FROM pg_replication_slots"
    " WHERE slot_name = $1 AND confirmed_flush_lsn IS NOT NULL";
constexpr char kEndOfLog[] = "SELECT pg_current_wal_flush_lsn()";

uint64_t Number(const std::string& position) {
  unsigned high = 0, low = 0;
  if (std::sscanf(position.c_str(), "%X/%X", &high, &low) != 2) return 0;
  return uint64_t{high} << 32 | low;
}

Result<sim::RowSet> RowsOf(const Connection& connection) {
  const ConnectOptions& options = connection.options();
  sim::ModelServer* server = sim::ModelNetwork::Find(options.host, options.port);
  const sim::DatabaseState* database =
      server == nullptr ? nullptr : server->state().Find(options.database);
  if (database == nullptr)
    return RetryError("ConnectionLost", "the connection was lost while rows were looked at");
  return database->content.rows;
}

std::optional<RowState> StateOf(const sim::RowSet& rows, int64_t row) {
  return rows.Contains(row) ? std::optional(RowState{"hash", "version"}) : std::nullopt;
}

Status LookAgain(std::stop_token stop, Deadline deadline, Connection& source, Connection& target,
                 const SampledStream& stream, Sample& sample) {
  TRY_ASSIGN(Rows confirmed, target.Query(stop, deadline, kConfirmed, {stream.slot}));
  const uint64_t passed = confirmed.empty() ? 0 : Number(confirmed[0].Text(0));
  TRY_ASSIGN(const sim::RowSet here, RowsOf(source));
  TRY_ASSIGN(const sim::RowSet there, RowsOf(target));
  std::erase_if(sample.suspects, [&](Suspect& suspect) {
    if (Number(suspect.position) > passed) return false;
    const int64_t row = std::stoll(suspect.key);
    const SecondLook look = LookTwice(suspect, StateOf(here, row), StateOf(there, row));
    suspect.proven |= look == SecondLook::kDiffers;
    return look != SecondLook::kDiffers;
  });
  return Ok();
}

}  // namespace

Result<SampleRound> TakeSample(std::stop_token stop, Deadline deadline, Connection& source,
                               Connection& target, const Claim& claim, const SampledStream& stream,
                               WallTime now, const SampleTerms&) {
  TRY_ASSIGN(Sample sample, ReadSample(stop, deadline, target));
  TRY(LookAgain(stop, deadline, source, target, stream, sample));
  TRY_ASSIGN(const sim::RowSet here, RowsOf(source));
  TRY_ASSIGN(const sim::RowSet there, RowsOf(target));
  TRY_ASSIGN(Rows end, target.QueryOne(stop, deadline, kEndOfLog));
  const SampleRound round{
      .tables = 1, .rows = std::max(here.size(), there.size()), .passed_over = ""};
  int64_t left = here == there ? 0 : here.size() + there.size();
  for (int64_t row = 0; left > 0; ++row) {
    const auto ours = StateOf(here, row), theirs = StateOf(there, row);
    left -= (ours ? 1 : 0) + (theirs ? 1 : 0);
    const std::string key = std::to_string(row);
    const bool known = std::any_of(sample.suspects.begin(), sample.suspects.end(),
                                   [&](const Suspect& suspect) { return suspect.key == key; });
    if (!known && ours.has_value() != theirs.has_value())
      sample.suspects.push_back({{"public", "orders"},
                                 key,
                                 "public.orders (id)=(" + key + ")",
                                 ours,
                                 theirs,
                                 end[0].Text(0),
                                 false});
  }
  sample.taken_at = now;
  sample.rows += round.rows;
  TRY(KeepSample(stop, deadline, target, claim, sample));
  return round;
}

Status SettleSample(std::stop_token stop, Deadline deadline, Connection& source, Connection& target,
                    const Claim& claim, const SampledStream& stream) {
  TRY_ASSIGN(Sample sample, ReadSample(stop, deadline, target));
  TRY(LookAgain(stop, deadline, source, target, stream, sample));
  return KeepSample(stop, deadline, target, claim, sample);
}

}  // namespace cutover::pg
