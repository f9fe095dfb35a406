// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/clock.h"
#include "operator/kube/backoff.h"
#include "operator/kube/client.h"

namespace cutover::kube {

/// Receives the state of a collection. Called by one thread at a time; must not block.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  /// The whole state: whatever is not in `objects` no longer exists.
  virtual void Replace(std::vector<Json> objects) = 0;
  virtual void Upsert(Json object) = 0;
  virtual void Remove(Json object) = 0;
};

struct WatcherOptions {
  Resource resource{};
  std::string ns{};
  std::string label_selector{};
  std::string field_selector{};
  int page_size = 500;
  /// Sleeps for a back-off; false when the stop came first. Replaced in tests.
  std::function<bool(std::stop_token, std::chrono::milliseconds)> sleep{};
};

/// Keeps a sink equal to a collection of the API server, through everything that a server may do:
///  - lists in pages of one consistent state, then watches from there with bookmarks;
///  - a watch that ends is resumed from the last version seen, without a list;
///  - 410 (as HTTP status or as an event) lists again, at least as new as what was seen; if that
///    version is gone or still unknown to this server as well, lists the most recent state;
///  - refused connections and 429 retry the same watch after a back-off;
///  - a watch that ends at once without an event waits as well, so that no server is hammered.
/// A collection that cannot be read leaves the sink as it was: stale, never empty.
class Watcher {
 public:
  Watcher(Client& client, WatcherOptions options, WatchSink& sink, const Clock& clock = RealClock(),
          Observer& observer = SilentObserver());

  /// Runs until `stop`. Once only.
  void Run(std::stop_token stop);

  /// One list, or one watch to its end. What Run is made of; for single-stepped runs instead of it.
  void Step(std::stop_token stop);

 private:
  enum class Next { kWatch, kList, kListMostRecent };

  Next ListAll(std::stop_token stop, const std::string& at_version);
  Next WatchOnce(std::stop_token stop);
  void HandleEvent(WatchEvent event);
  void Pause(std::stop_token stop);

  Client& client_;
  const WatcherOptions options_;
  WatchSink& sink_;
  const Clock& clock_;
  Observer& observer_;
  Backoff backoff_;
  Next next_ = Next::kListMostRecent;
  std::string version_;  // The last resourceVersion seen; the resume point.
};

}  // namespace cutover::kube
