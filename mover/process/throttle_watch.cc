// SPDX-License-Identifier: Apache-2.0
#include "mover/process/throttle_watch.h"

#include <chrono>
#include <utility>

#include "operator/base/log.h"

namespace cutover::mover {
namespace {

constexpr auto kAskEvery = std::chrono::seconds(1);
constexpr auto kAnswerTimeout = std::chrono::seconds(5);
constexpr char kQuerySaysSo[] = "the throttle query says so";

bool MeansHold(const pg::Rows& rows) {
  if (rows.empty() || rows[0].IsNull(0)) return false;
  return rows[0].Bool(0) || rows[0].Double(0) != 0;
}

}  // namespace

Result<std::unique_ptr<ThrottleWatch>> ThrottleWatch::Start(std::stop_token stop,
                                                            pg::ConnectOptions source,
                                                            ThrottleSettings settings,
                                                            ReadSettings read, Throttle& throttle) {
  std::unique_ptr<ThrottleWatch> watch(
      new ThrottleWatch(std::move(source), std::move(settings), std::move(read), throttle));
  Result<bool> answer = watch->Ask(stop);
  if (!answer)
    return TerminalError("ThrottleQueryFailed",
                         "the throttle query cannot be asked on the source: " +
                             answer.error().message + "; correct it, then try again");
  watch->Apply();
  if (*answer) throttle.Hold(kQuerySaysSo);  // Before the first row, not a second later.
  watch->thread_ = std::jthread([raw = watch.get()](std::stop_token ended) { raw->Watch(ended); });
  return watch;
}

void ThrottleWatch::Watch(std::stop_token stop) {
  while (SleepUntil(stop, Deadline::After(kAskEvery))) {
    std::optional<ThrottleSettings> changed = read_ ? read_() : std::nullopt;
    if (changed && *changed != settings_) {
      settings_ = std::move(*changed);
      LogInfo("the throttle was changed",
              {{"bytesPerSecondMax", settings_.bytes_per_second_max}, {"query", settings_.query}});
      Apply();
    }
    Result<bool> hold = Ask(stop);
    if (stop.stop_requested()) break;
    if (!hold)
      Hold("the source does not answer the throttle query: " + hold.error().message);
    else if (*hold)
      Hold(kQuerySaysSo);
    else
      Resume();
  }
  throttle_.Resume();
}

void ThrottleWatch::Hold(const std::string& reason) {
  if (throttle_.held_for() != reason) LogWarn("the copy stands still", {{"reason", reason}});
  throttle_.Hold(reason);
}

void ThrottleWatch::Resume() {
  if (throttle_.held_for()) LogInfo("the copy goes on", {});
  throttle_.Resume();
}

void ThrottleWatch::Apply() { throttle_.SetRate(settings_.bytes_per_second_max); }

Result<bool> ThrottleWatch::Ask(std::stop_token stop) {
  if (settings_.query.empty()) return false;
  const Deadline deadline = Deadline::After(kAnswerTimeout);
  if (!connection_ || !connection_->usable()) {
    TRY_ASSIGN(pg::Connection opened, pg::Connection::Open(stop, deadline, source_));
    connection_ = std::move(opened);
    TRY(connection_->Exec(stop, deadline, "SET default_transaction_read_only TO on"));
  }
  TRY_ASSIGN(pg::Rows rows, connection_->Query(stop, deadline, settings_.query));
  return MeansHold(rows);
}

}  // namespace cutover::mover
