// SPDX-License-Identifier: Apache-2.0
#include "operator/base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace cutover {
namespace {

Result<int> Half(int value) {
  if (value % 2) return TerminalError("Odd", "give an even number");
  return value / 2;
}

Result<std::unique_ptr<int>> Quarter(int value) {
  TRY_ASSIGN(int half, Half(value));
  TRY_ASSIGN(int quarter, Half(half));
  return std::make_unique<int>(quarter);
}

TEST(Result, TryAssignHandsTheFirstErrorOnUnchanged) {
  auto quarter = Quarter(8);
  ASSERT_TRUE(quarter);
  EXPECT_EQ(**quarter, 2);
  auto failed = Quarter(6);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().disposition, Disposition::kTerminal);
  EXPECT_EQ(failed.error().reason, "Odd");
}

TEST(Result, ContextKeepsDispositionAndReason) {
  Error error = WithContext(Half(1).error(), "halving 1");
  EXPECT_EQ(error.message, "halving 1: give an even number");
  EXPECT_EQ(error.reason, "Odd");
  EXPECT_EQ(error.disposition, Disposition::kTerminal);
}

}  // namespace
}  // namespace cutover
