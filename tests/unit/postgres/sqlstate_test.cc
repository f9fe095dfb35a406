// SPDX-License-Identifier: Apache-2.0
#include "postgres/sqlstate.h"

#include <gtest/gtest.h>

namespace cutover::pg {
namespace {

TEST(Sqlstate, DecidesByTheLongestPrefix) {
  struct Case {
    const char* sqlstate;
    Disposition disposition;
    const char* reason;
  };
  for (const Case& test :
       std::initializer_list<Case>{{"08006", Disposition::kRetry, "ConnectionLost"},
                                   {"08007", Disposition::kInDoubt, "TransactionInDoubt"},
                                   {"40001", Disposition::kRetry, "SerializationFailure"},
                                   {"40P01", Disposition::kRetry, "DeadlockDetected"},
                                   {"53300", Disposition::kRetry, "TooManyConnections"},
                                   {"53100", Disposition::kTerminal, "DiskFull"},
                                   {"42501", Disposition::kTerminal, "InsufficientPrivilege"},
                                   {"42601", Disposition::kTerminal, "InvalidStatement"},
                                   {"28P01", Disposition::kTerminal, "AuthenticationFailed"},
                                   {"3D000", Disposition::kTerminal, "DatabaseNotFound"},
                                   {"23505", Disposition::kTerminal, "ConstraintViolation"}}) {
    EXPECT_EQ(RuleFor(test.sqlstate).disposition, test.disposition) << test.sqlstate;
    EXPECT_EQ(RuleFor(test.sqlstate).reason, test.reason) << test.sqlstate;
  }
}

TEST(Sqlstate, NeverRetriesTheUnknown) {
  EXPECT_EQ(RuleFor("ZZ999").disposition, Disposition::kTerminal);
  EXPECT_EQ(RuleFor("").disposition, Disposition::kTerminal);
}

TEST(Sqlstate, ErrorNamesObjectWordsAndCode) {
  ServerError said;
  said.sqlstate = "23505";
  said.message = "duplicate key value";
  said.schema = "public";
  said.table = "t";
  said.constraint = "t_pkey";
  Error error = ErrorFrom(said, "copy");
  EXPECT_EQ(error.message, "copy: public.t.t_pkey: duplicate key value [SQLSTATE 23505]");
}

}  // namespace
}  // namespace cutover::pg
