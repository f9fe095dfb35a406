// SPDX-License-Identifier: Apache-2.0
#include "postgres/replication/apply_error.h"

#include <gtest/gtest.h>

namespace cutover::pg {
namespace {

constexpr const char* kLog =
    "2026-11-21 22:00:00.000 UTC [7] LOG:  logical replication apply worker for subscription "
    "\"cutover_forward_a\" has started\n"
    "2026-11-21 22:00:00.100 UTC [7] ERROR:  duplicate key value violates unique constraint "
    "\"t_pkey\"\n"
    "2026-11-21 22:00:00.100 UTC [7] DETAIL:  Key (id)=(5) already exists.\n"
    "2026-11-21 22:00:00.100 UTC [7] CONTEXT:  processing remote data for replication origin "
    "\"pg_16402\" during message type \"INSERT\" for replication target relation \"public.t\"\n"
    "2026-11-21 22:00:00.200 UTC [9] tenant@db ERROR:  division by zero\n"
    "2026-11-21 22:00:00.300 UTC [8] ERROR:  could not start WAL streaming: ERROR:  replication "
    "slot \"cutover_forward_b\" does not exist\n";

TEST(ApplyError, IsTheOneWhoseContextNamesTheOrigin) {
  EXPECT_EQ(FindApplyError(kLog, "cutover_forward_a", "pg_16402"),
            "duplicate key value violates unique constraint \"t_pkey\"");
}

TEST(ApplyError, IsTheOneThatNamesTheSubscription) {
  EXPECT_EQ(FindApplyError(kLog, "cutover_forward_b", "pg_16403"),
            "could not start WAL streaming: ERROR:  replication slot \"cutover_forward_b\" does "
            "not exist");
}

TEST(ApplyError, IsNeverSomebodyElses) {
  EXPECT_EQ(FindApplyError(kLog, "cutover_forward_c", "pg_1640"), "");
  EXPECT_EQ(FindApplyError("", "cutover_forward_a", "pg_16402"), "");
}

}  // namespace
}  // namespace cutover::pg
