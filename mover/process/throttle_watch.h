// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "mover/copy/throttle.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

struct ThrottleSettings {
  int64_t bytes_per_second_max = 0;  ///< 0: no limit.
  /// Asked on the source once a second; the copy stands still while its first value is true, or a
  /// number other than 0. Empty: never.
  std::string query;

  bool operator==(const ThrottleSettings&) const = default;
};

/// Steers a Throttle from a thread of its own, as long as it lives: by the settings, which it reads
/// again every few seconds, and by their query. A source that cannot answer the query is a source
/// in trouble, so the copy stands still then, too.
class ThrottleWatch {
 public:
  /// Nothing: the settings are as they were.
  using ReadSettings = std::function<std::optional<ThrottleSettings>()>;

  /// Asks the query once before it returns: terminal "ThrottleQueryFailed" for one that the server
  /// does not understand. `throttle` must outlive the watch.
  static Result<std::unique_ptr<ThrottleWatch>> Start(std::stop_token stop,
                                                      pg::ConnectOptions source,
                                                      ThrottleSettings settings, ReadSettings read,
                                                      Throttle& throttle);

 private:
  ThrottleWatch(pg::ConnectOptions source, ThrottleSettings settings, ReadSettings read,
                Throttle& throttle)
      : source_(std::move(source)),
        settings_(std::move(settings)),
        read_(std::move(read)),
        throttle_(throttle) {}

  void Watch(std::stop_token stop);
  void Apply();
  void Hold(const std::string& reason);
  void Resume();
  /// Whether the query wants the copy to stand still.
  Result<bool> Ask(std::stop_token stop);

  const pg::ConnectOptions source_;
  ThrottleSettings settings_;
  const ReadSettings read_;
  Throttle& throttle_;
  std::optional<pg::Connection> connection_;
  std::jthread thread_;  // Last: it uses all of the above.
};

}  // namespace cutover::mover
