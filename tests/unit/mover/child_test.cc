// SPDX-License-Identifier: Apache-2.0
#include "mover/process/child.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

namespace cutover::mover {
namespace {

Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }

/// Whether it has not ended yet. When init buries an orphan that has is up to init.
bool Runs(pid_t pid) {
  std::string name, state;
  std::ifstream("/proc/" + std::to_string(pid) + "/stat") >> pid >> name >> state;
  return !state.empty() && state != "Z" && state != "X";
}

TEST(Child, ItsOutputAndEnvironmentArrive) {
  auto text = ReadChild({}, Soon(), {"sh", {"-c", "printf '%s' \"$SECRET\""}, {{"SECRET", "x y"}}});
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "x y");
}

TEST(Child, AFailureCarriesTheLastWords) {
  auto text = ReadChild({}, Soon(), {"sh", {"-c", "echo no such table >&2; exit 3"}, {}});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().reason, "ProgramFailed");
  EXPECT_NE(text.error().message.find("exit code 3: no such table"), std::string::npos)
      << text.error().message;
}

TEST(Child, AMissingProgramIsNamedWithItsRemedy) {
  auto text = ReadChild({}, Soon(), {"/nowhere/pg_dump", {}, {}});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().reason, "ProgramMissing");
}

TEST(Child, AStopEndsItsWholeGroup) {
  std::stop_source stop;
  std::string grandchild;
  Status status = RunChild(stop.get_token(), Soon(), {"sh", {"-c", "sleep 60 & echo $!; wait"}, {}},
                           [&](std::string_view piece) {
                             grandchild += piece;
                             stop.request_stop();
                             return Ok();
                           });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "Stopped");
  const pid_t pid = std::stoi(grandchild);
  for (const Deadline deadline = Soon(); Runs(pid) && !deadline.Expired();)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(Runs(pid)) << "process " << pid << " is still there";
}

TEST(Child, ASinkThatFailsEndsTheChild) {
  Status status =
      RunChild({}, Soon(), {"sh", {"-c", "while :; do echo x; done"}, {}},
               [](std::string_view) -> Status { return TerminalError("Enough", "no more"); });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "Enough");
}

TEST(Child, ADeadlineEndsTheChild) {
  Status status = RunChild({}, Deadline::After(std::chrono::milliseconds(200)),
                           {"sleep", {"60"}, {}}, [](std::string_view) { return Ok(); });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "DeadlineExceeded");
}

}  // namespace
}  // namespace cutover::mover
