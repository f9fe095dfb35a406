// SPDX-License-Identifier: Apache-2.0
//
// The watch and the comparison of changed rows (postgres/changes.h) over the model. In their places
// for a program that has this among its own objects, like model_connection.cc: how keys are taken
// from the log and compared has its own tests on real servers; here it matters when it is done, and
// that a difference is seen.
#include "postgres/changes.h"
#include "tests/sim/postgres/model_server.h"

namespace cutover::pg {
namespace {

constexpr char kLookAtSlot[] =
    "SELECT pg_current_wal_flush_lsn(), wal_status = 'lost', coalesce(confirmed_flush_lsn, '0/0')"
    " FROM pg_replication_slots WHERE slot_name = $1 AND database = current_database()";
constexpr char kAdvance[] =
    "SELECT pg_replication_slot_advance(slot_name, $2::pg_lsn) FROM pg_replication_slots"
    " WHERE slot_name = $1 AND confirmed_flush_lsn < $2::pg_lsn";

sim::ModelServer* ServerOf(const Connection& connection) {
  return sim::ModelNetwork::Find(connection.options().host, connection.options().port);
}

const sim::RowSet* RowsOf(const Connection& connection) {
  const sim::ModelServer* server = ServerOf(connection);
  const sim::DatabaseState* database =
      server == nullptr ? nullptr : server->state().Find(connection.options().database);
  return database == nullptr ? nullptr : &database->content.rows;
}

}  // namespace

std::string WatchSlotName(std::string_view stream_slot) {
  return std::string(stream_slot) + "_watch";
}

Result<CollectedChanges> CollectChanges(std::stop_token stop, Deadline deadline, Connection& source,
                                        Connection& target, const Claim& claim,
                                        const ChangeWatch& watch, const ChangeLimits&) {
  TRY_ASSIGN(Rows slot, source.Query(stop, deadline, kLookAtSlot, {watch.slot}));
  if (slot.empty() || slot[0].Bool(1))
    return TerminalError("WatchLost", "replication slot " + watch.slot + " is gone");
  TRY(WithEpoch(stop, deadline, target, claim,
                [](Transaction&, const Control&) -> Status { return Ok(); }));
  TRY(source.Query(stop, deadline, kAdvance, {watch.slot, slot[0].Text(0)}));
  CollectedChanges collected;
  collected.complete = true;
  return collected;
}

Result<ChangeComparison> CompareChanged(std::stop_token stop, Deadline deadline, Connection& source,
                                        Connection& target, const Claim& claim,
                                        const ChangeWatch& watch, const CompareTerms& terms) {
  TRY(CollectChanges(stop, deadline, source, target, claim, watch));
  const sim::RowSet *here = RowsOf(source), *there = RowsOf(target);
  if (here == nullptr || there == nullptr)
    return RetryError("ConnectionLost", "the connection was lost while rows were compared");
  ServerOf(target)->compare_budget = terms.budget;
  ChangeComparison compared;
  compared.rows_compared = here->size();
  compared.differences = *here == *there ? 0 : 1;
  if (!compared.equal())
    compared.first_differences.push_back({"public.orders", "?", RowDifference::What::kDiffers});
  compared.not_compared.push_back({"public.log", 3, "it has no key"});
  return compared;
}

std::string ChangeComparison::DescribeDifferences() const {
  return equal() ? "" : "public.orders differs";
}
std::string ChangeComparison::DescribeNotCompared() const { return sim::kNotCompared; }

}  // namespace cutover::pg
