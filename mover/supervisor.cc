// SPDX-License-Identifier: Apache-2.0
#include "mover/supervisor.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "operator/base/log.h"

namespace cutover::mover {
namespace {

/// What a worker says on its standard output: perhaps that it has copied, then its summary.
class WorkerOutput {
 public:
  explicit WorkerOutput(std::function<void()> on_copied) : on_copied_(std::move(on_copied)) {}

  Status Take(std::string_view piece) {
    text_.append(piece);
    const std::string line = std::string(kCopiedLine) + "\n";
    if (!copied_ && text_.compare(0, line.size(), line) == 0) {
      copied_ = true;
      text_.erase(0, line.size());
      on_copied_();
    }
    return Ok();
  }
  const std::string& summary() const { return text_; }

 private:
  std::function<void()> on_copied_;
  std::string text_;
  bool copied_ = false;
};

}  // namespace

Result<Outcome> SuperviseCopy(std::stop_token stop, SourceSnapshot& snapshot,
                              const ChildCommand& worker) {
  for (int number = 1; number <= kWorkersMax; ++number) {
    TRY(snapshot.Take(stop));
    ChildCommand command = worker;
    command.environment.emplace_back(kSnapshotVariable, snapshot.id());
    command.environment.emplace_back(kSlotBeginVariable, snapshot.slot_begins_at());
    WorkerOutput output([&snapshot] { snapshot.LetGo(); });
    TRY_ASSIGN(ChildEnd end,
               WatchChild(stop, Deadline::Never(), command,
                          [&output](std::string_view piece) { return output.Take(piece); }));
    if (end.signal == 0) {
      TRY_ASSIGN(Json summary, Json::Parse(output.summary()));
      if (end.exit_code == kExitProven) snapshot.KeepSlots();
      return Outcome{end.exit_code, std::move(summary)};
    }
    LogWarn("a worker was killed; another one takes over",
            {{"signal", end.signal}, {"worker", number}, {"of", kWorkersMax}});
  }
  return RetryError("WorkersKilled",
                    std::to_string(kWorkersMax) +
                        " workers were killed one after the other; look at the Job's memory limit "
                        "and its log, then try again");
}

Result<ChildCommand> ThisProgram() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  ChildCommand command;
  command.program = "/proc/self/exe";
  for (size_t at = text.find('\0'); at != std::string::npos && at + 1 < text.size();) {
    const size_t end = std::min(text.find('\0', at + 1), text.size());
    command.arguments.push_back(text.substr(at + 1, end - at - 1));
    at = end;
  }
  if (!text.empty()) return command;
  return TerminalError("NoProc", "cannot read /proc/self/cmdline; mount /proc");
}

}  // namespace cutover::mover
