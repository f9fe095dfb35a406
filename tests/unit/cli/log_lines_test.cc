// SPDX-License-Identifier: Apache-2.0
#include "cli/view/log_lines.h"

#include <gtest/gtest.h>

#include "tests/unit/cli/scenes.h"

namespace cutover::cli {
namespace {

using namespace cutover::cli::testing;

TEST(Logs, OneMigrationsLinesOfAllSourcesComeInTheOrderOfTime) {
  const MigrationView migration = ViewOf(ObjectOf(Typical(api::Phase::kCopying)));
  const std::vector<LogSource> sources{
      {"operator-1",
       "2026-11-21T03:00:02.5Z {\"level\":\"info\",\"message\":\"phase changed\",\"namespace\":"
       "\"acme\",\"name\":\"acme-to-dedicated\",\"to\":\"Copying\"}\n"
       "2026-11-21T03:00:03Z {\"message\":\"another's\",\"namespace\":\"acme\",\"name\":\"x\"}\n"
       "2026-11-21T03:00:04Z not about anybody\n",
       true},
      {"copy-1", "2026-11-21T03:00:02.25Z copying\033[2J\n", false}};
  EXPECT_EQ(MergeLogs(sources, migration),
            "2026-11-21T03:00:02.250000Z  copy-1      copying?[2J\n"
            "2026-11-21T03:00:02.500000Z  operator-1  info: phase changed (to=Copying)\n");
}

TEST(Logs, WhatHappenedAndWhatWasSaidOfItStandApart) {
  const MigrationView migration = ViewOf(ObjectOf(Typical(api::Phase::kCopying)));
  const std::string line =
      R"(2026-11-21T03:00:02Z {"level":"info","msg":"phase changed","namespace":"acme",)"
      R"("name":"acme-to-dedicated","to":"Copying","message":"as a person asked"})"
      "\n";
  EXPECT_EQ(MergeLogs({{"operator-1", line, true}}, migration),
            "2026-11-21T03:00:02.000000Z  operator-1  info: phase changed: as a person asked "
            "(to=Copying)\n");
}

}  // namespace
}  // namespace cutover::cli
