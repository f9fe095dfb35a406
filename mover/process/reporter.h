// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "mover/contract/progress.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// Tells people and the operator how far the work is, once a second: one line that rewrites itself
/// on a terminal (bar, rate, time left, tables in work), JSON lines otherwise, and rows of
/// cutover.progress when a ledger is attached. Everything goes to standard error; destroy the
/// reporter before writing to standard output, and its line is complete by then. All methods are
/// thread-safe. Losing the ledger is logged and stops nothing: the work itself will notice a dead
/// target.
class Reporter {
 public:
  enum class Output { kTerminal, kJsonLines, kSilent };

  explicit Reporter(Output output);
  ~Reporter();
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  /// From now on progress is also written to the target's ledger, over a connection of its own.
  void AttachLedger(pg::Connection connection, std::string migration_uid, int attempt);
  /// Writes what is new and closes the ledger's connection: nobody may be connected to a database
  /// whose owner and limits are about to change.
  void DetachLedger();

  void BeginStage(std::string_view stage, int64_t bytes_total = 0, int64_t tables_total = 0);
  void AddBytes(int64_t bytes, int64_t rows);
  /// So much of the stage's total need not be done.
  void Spare(int64_t bytes);
  void TableDone();
  void EndStage();

  /// What a lane works on now, for people ("public.ledger"); empty when it is done. `lane` is any
  /// number that is the lane's own.
  void SetActivity(int lane, std::string_view text);

  /// Seconds each finished stage took, in order.
  std::vector<std::pair<std::string, double>> SecondsByStage() const;

 private:
  struct Ledger {
    pg::Connection connection;
    std::string migration_uid;
    int attempt;
  };

  void Tick(std::stop_token stop);
  void Show(const StageProgress& stage);
  void ShowLine(const StageProgress& stage);
  /// The activities, each once.
  std::string Activities() const;
  void WriteLedger(const std::vector<StageProgress>& changed);
  std::vector<StageProgress> TakeChanged();

  const Output output_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::vector<StageProgress> stages_ GUARDED_BY(mutex_);
  SteadyTime stage_began_ GUARDED_BY(mutex_);
  std::vector<bool> changed_ GUARDED_BY(mutex_);
  bool ended_ GUARDED_BY(mutex_) = false;  ///< A stage ended: do not wait for the next second.
  std::map<int, std::string> activities_ GUARDED_BY(mutex_);  ///< By lane.
  bool line_open_ = false;  ///< The terminal's cursor stands behind a line; the ticker's alone.

  Mutex ledger_mutex_;  ///< Held across I/O on purpose: it serializes one connection's use.
  std::optional<Ledger> ledger_ GUARDED_BY(ledger_mutex_);
  std::jthread ticker_;
};

/// Pure: one line of a terminal that is `columns` wide. `working`: tables in work, as they fit.
std::string ProgressLine(const StageProgress& stage, const std::string& working, size_t columns);

/// Pure: seconds until the stage's end at its rate so far; nothing while there is too little to
/// tell by.
std::optional<double> SecondsLeft(const StageProgress& stage);

}  // namespace cutover::mover
