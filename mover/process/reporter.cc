// SPDX-License-Identifier: Apache-2.0
#include "mover/process/reporter.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>
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

constexpr size_t kBarCells = 20;
/// Before that a rate says nothing.
constexpr double kSecondsToTellBy = 2;

/// Of all that is to be done: bytes where there are any, tables otherwise. Less than 1 before the
/// end, since totals are estimates.
double Fraction(const StageProgress& stage) {
  if (stage.finished) return 1;
  double done = 0;
  if (stage.bytes_total > 0)
    done = static_cast<double>(stage.bytes_done) / static_cast<double>(stage.bytes_total);
  else if (stage.tables_total > 0)
    done = static_cast<double>(stage.tables_done) / static_cast<double>(stage.tables_total);
  return std::clamp(done, 0.0, 0.99);
}

std::string Format(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// At most `columns` characters of UTF-8.
std::string Cut(const std::string& text, size_t columns) {
  size_t at = 0, shown = 0;
  while (at < text.size()) {
    size_t next = at + 1;
    while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0) == 0x80) ++next;
    if (shown++ == columns) break;
    at = next;
  }
  return text.substr(0, at);
}

size_t TerminalColumns() {
  winsize size{};
  constexpr size_t kUsual = 100;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

}  // namespace

std::optional<double> SecondsLeft(const StageProgress& stage) {
  const double fraction = Fraction(stage);
  if (stage.finished || fraction <= 0 || stage.seconds < kSecondsToTellBy) return std::nullopt;
  return stage.seconds * (1 - fraction) / fraction;
}

std::string ProgressLine(const StageProgress& stage, const std::string& working, size_t columns) {
  std::string line = stage.stage;
  line.resize(std::max<size_t>(line.size(), 12), ' ');
  if (stage.bytes_total > 0 || stage.tables_total > 0) {
    const double fraction = Fraction(stage);
    const size_t cells = static_cast<size_t>(fraction * kBarCells);
    line += "[" + std::string(cells, '#') + std::string(kBarCells - cells, '-') + "]" +
            Format(" %3.0f%%", fraction * 100);
  }
  if (stage.bytes_done > 0) {
    line += Format("  %.1f MiB", Mebibytes(stage.bytes_done));
    if (stage.seconds > 0)
      line += Format("  %.1f MiB/s", Mebibytes(stage.bytes_done) / stage.seconds);
  }
  if (stage.tables_total > 0)
    line += "  " + std::to_string(stage.tables_done) + "/" + std::to_string(stage.tables_total) +
            " tables";
  line += stage.finished ? Format("  %.1f s", stage.seconds)
                         : "  " + FormatDuration(seconds(static_cast<int64_t>(stage.seconds)));
  if (const auto left = SecondsLeft(stage))
    line += ", " + FormatDuration(seconds(static_cast<int64_t>(*left) + 1)) + " left";
  if (!working.empty() && !stage.finished) line += "  " + working;
  return Cut(line, columns);
}

Reporter::Reporter(Output output)
    : output_(output), ticker_([this](std::stop_token stop) { Tick(stop); }) {}

Reporter::~Reporter() {
  ticker_.request_stop();
  ticker_.join();
  const std::vector<StageProgress> changed = TakeChanged();
  for (const StageProgress& stage : changed) Show(stage);
  if (line_open_) std::fputc('\n', stderr);
  WriteLedger(changed);
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

void Reporter::Spare(int64_t bytes) {
  MutexLock lock(mutex_);
  if (stages_.empty()) return;
  StageProgress& stage = stages_.back();
  stage.bytes_total = std::max<int64_t>(stage.bytes_total - bytes, 0);
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

void Reporter::SetActivity(int lane, std::string_view text) {
  MutexLock lock(mutex_);
  if (text.empty())
    activities_.erase(lane);
  else
    activities_[lane] = text;
}

std::string Reporter::Activities() const {
  MutexLock lock(mutex_);
  std::set<std::string> names;
  for (const auto& [lane, text] : activities_) names.insert(text);
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
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
  if (output_ == Output::kTerminal) return ShowLine(stage);
  LogInfo("progress", {{"stage", stage.stage},
                       {"finished", stage.finished},
                       {"bytesDone", stage.bytes_done},
                       {"bytesTotal", stage.bytes_total},
                       {"tablesDone", stage.tables_done},
                       {"tablesTotal", stage.tables_total},
                       {"rows", stage.rows_done},
                       {"seconds", stage.seconds},
                       {"secondsLeft", SecondsLeft(stage).value_or(0)},
                       {"working", stage.finished ? "" : Activities()}});
}

void Reporter::ShowLine(const StageProgress& stage) {
  // The last column stays free, or some terminals go to the next line.
  const std::string line = ProgressLine(stage, Activities(), TerminalColumns() - 1);
  std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), stage.finished ? "\n" : "");
  line_open_ = !stage.finished;
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
