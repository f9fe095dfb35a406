// SPDX-License-Identifier: Apache-2.0
#include "mover/process/reporter.h"

#include <chrono>
#include <cstdio>
#include <utility>

#include "operator/base/log.h"

namespace cutover::mover {
namespace {

using std::chrono::seconds;

constexpr auto kInterval = seconds(1);
constexpr auto kLedgerTimeout = seconds(10);

double Mebibytes(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

double Since(SteadyTime began) {
  return std::chrono::duration<double>(RealClock().SteadyNow() - began).count();
}

}  // namespace

Reporter::Reporter(Output output)
    : output_(output), ticker_([this](std::stop_token stop) { Tick(stop); }) {}

Reporter::~Reporter() {
  ticker_.request_stop();
  ticker_.join();
  WriteLedger(TakeChanged());
}

void Reporter::AttachLedger(pg::Connection connection, std::string migration_uid, int attempt) {
  MutexLock lock(ledger_mutex_);
  ledger_.emplace(Ledger{std::move(connection), std::move(migration_uid), attempt});
}

void Reporter::DetachLedger() {
  WriteLedger(TakeChanged());
  MutexLock lock(ledger_mutex_);
  ledger_.reset();
}

void Reporter::BeginStage(std::string_view stage, int64_t bytes_total, int64_t tables_total) {
  MutexLock lock(mutex_);
  StageProgress begun;
  begun.stage = stage;
  begun.bytes_total = bytes_total;
  begun.tables_total = tables_total;
  stages_.push_back(std::move(begun));
  changed_.push_back(true);
  stage_began_ = RealClock().SteadyNow();
}

void Reporter::AddBytes(int64_t bytes, int64_t rows) {
  MutexLock lock(mutex_);
  if (stages_.empty()) return;
  stages_.back().bytes_done += bytes;
  stages_.back().rows_done += rows;
  changed_.back() = true;
}

void Reporter::TableDone() {
  MutexLock lock(mutex_);
  if (stages_.empty()) return;
  ++stages_.back().tables_done;
  changed_.back() = true;
}

void Reporter::EndStage() {
  MutexLock lock(mutex_);
  if (stages_.empty()) return;
  StageProgress& stage = stages_.back();
  stage.finished = true;
  stage.seconds = Since(stage_began_);
  // The total was the server's idea of the tables' size; what passed is known better by now.
  if (stage.bytes_done > 0) stage.bytes_total = stage.bytes_done;
  changed_.back() = true;
  ended_ = true;
  wake_.NotifyAll();
}

std::vector<std::pair<std::string, double>> Reporter::SecondsByStage() const {
  MutexLock lock(mutex_);
  std::vector<std::pair<std::string, double>> result;
  for (const StageProgress& stage : stages_) {
    if (stage.finished) result.emplace_back(stage.stage, stage.seconds);
  }
  return result;
}

void Reporter::Tick(std::stop_token stop) {
  while (!stop.stop_requested()) {
    {
      MutexLock lock(mutex_);
      wake_.Wait(mutex_, stop, Deadline::After(kInterval), [this] { return ended_; });
      ended_ = false;
    }
    std::vector<StageProgress> changed = TakeChanged();
    for (const StageProgress& stage : changed) Show(stage);
    WriteLedger(changed);
  }
}

std::vector<StageProgress> Reporter::TakeChanged() {
  MutexLock lock(mutex_);
  std::vector<StageProgress> changed;
  for (size_t i = 0; i < stages_.size(); ++i) {
    // A stage that runs is reported even when nothing moved: its seconds did, and the operator
    // tells a slow mover from a dead one by the age of the report.
    if (!stages_[i].finished) stages_[i].seconds = Since(stage_began_);
    if (changed_[i] || !stages_[i].finished) changed.push_back(stages_[i]);
    changed_[i] = false;
  }
  return changed;
}

void Reporter::Show(const StageProgress& stage) {
  if (output_ == Output::kSilent) return;
  if (output_ == Output::kJsonLines) {
    LogInfo("progress", {{"stage", stage.stage},
                         {"finished", stage.finished},
                         {"bytesDone", stage.bytes_done},
                         {"bytesTotal", stage.bytes_total},
                         {"tablesDone", stage.tables_done},
                         {"tablesTotal", stage.tables_total},
                         {"rows", stage.rows_done},
                         {"seconds", stage.seconds}});
    return;
  }
  const double rate = stage.seconds > 0 ? Mebibytes(stage.bytes_done) / stage.seconds : 0;
  std::fprintf(stderr, "\r\033[K%-12s %8.1f MiB  %6.1f MiB/s  %lld/%lld tables  %.1f s%s",
               stage.stage.c_str(), Mebibytes(stage.bytes_done), rate,
               static_cast<long long>(stage.tables_done),
               static_cast<long long>(stage.tables_total), stage.seconds,
               stage.finished ? "\n" : "");
}

void Reporter::WriteLedger(const std::vector<StageProgress>& changed) {
  MutexLock lock(ledger_mutex_);
  if (!ledger_) return;
  for (const StageProgress& stage : changed) {
    // No stop token: the last report matters most when everything is being stopped.
    Status written = WriteStage({}, Deadline::After(kLedgerTimeout), ledger_->connection,
                                ledger_->migration_uid, ledger_->attempt, stage);
    if (written) continue;
    LogError("progress is no longer written to the target", written.error());
    ledger_.reset();
    return;
  }
}

}  // namespace cutover::mover
