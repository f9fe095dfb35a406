// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "operator/base/json.h"

namespace cutover::mover::testing {

/// `cutover-mover` as people and Pods run it, with nothing on its standard input. Whatever a case
/// forgets is killed at the end. For one thread.
class Program {
 public:
  struct Ended {
    int exit_code = -1;
    int signal = 0;      ///< 0 unless a signal ended it.
    Json summary;        ///< What it printed; null when that is no JSON.
    std::string errors;  ///< Standard error: progress, log, and the last sentence.
    double seconds = 0;  ///< Since Wait() was called.
    /// The largest resident set, by wait4(): of the process itself or of a child that it waited
    /// for, whichever was larger.
    int64_t resident_kibibytes_max = 0;
    int64_t own_kibibytes_max = 0;  ///< Of the process itself, as of some milliseconds before.

    std::string reason() const { return summary["error"]["reason"].AsString(); }
    std::string message() const { return summary["error"]["message"].AsString(); }
  };

  /// `environment`: on top of the test's own. `binary`: CUTOVER_MOVER_BINARY.
  Program(const std::string& binary, std::vector<std::string> arguments,
          const std::vector<std::pair<std::string, std::string>>& environment);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void Send(int signal) const;
  /// Sends it, and returns once it was taken: signals of one kind merge as long as one waits.
  void SendAndAwait(int signal) const;
  /// Of the process: of a supervisor, its worker.
  std::vector<pid_t> Children() const;
  /// For messages, while it runs.
  std::string ErrorsSoFar() const { return Read(errors_); }
  /// Until it ends. One that takes longer is killed, and the test fails.
  Ended Wait(std::chrono::seconds patience);

 private:
  static std::string Read(int descriptor);

  int output_ = -1;
  int errors_ = -1;
  pid_t pid_ = -1;  ///< -1 once it was waited for.
};

}  // namespace cutover::mover::testing
