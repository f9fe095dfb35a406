// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"

namespace cutover::mover {

/// A program to run. No secret belongs into `arguments`: every user of the machine can read them.
struct ChildCommand {
  std::string program;  ///< A path, or a name to look up in PATH.
  std::vector<std::string> arguments;
  /// On top of this process's environment; wins over it.
  std::vector<std::pair<std::string, std::string>> environment;
};

/// Receives a child's standard output piece by piece. An error ends the child.
using OutputSink = std::function<Status(std::string_view)>;

/// Runs a program to its end, feeding its standard output to `sink`. Success only for exit code 0.
///
/// The child leads a process group of its own, so that its workers end with it, and is killed by
/// the kernel should this process die. When `stop` is requested or the deadline passes, the group
/// gets SIGTERM and, ten seconds later, SIGKILL. Standard error is kept (its last 4 KiB) for the
/// message. Reasons: "ProgramMissing", "ProgramFailed", "Stopped", "DeadlineExceeded".
/// Call it from the thread that will wait: the kernel ties the child's life to that thread.
Status RunChild(std::stop_token stop, Deadline deadline, const ChildCommand& command,
                const OutputSink& sink);

/// How a program ended that may fail: by its own exit code, or by a signal.
struct ChildEnd {
  int exit_code = 0;
  int signal = 0;  ///< 0 unless a signal ended it.
};

/// The same, for a program whose failure the caller wants to judge: success says only that it has
/// ended. Its standard error is ours.
Result<ChildEnd> WatchChild(std::stop_token stop, Deadline deadline, const ChildCommand& command,
                            const OutputSink& sink);

/// The same as RunChild, with standard output collected.
Result<std::string> ReadChild(std::stop_token stop, Deadline deadline, const ChildCommand& command);

}  // namespace cutover::mover
