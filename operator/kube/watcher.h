// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "operator/base/clock.h"
#include "operator/kube/backoff.h"
#include "operator/kube/client.h"

namespace cutover::kube {

/// Receives the state of a collection. Called by one thread at a time; must not block.
///
/// A list comes object by object, so that nobody ever holds two states at once: BeginList, Listed
/// for each object, EndList, after which whatever was neither listed nor upserted since BeginList
/// no longer exists. A list that breaks off is begun anew; what it has shown was true all the same.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  virtual void BeginList() = 0;
  virtual void Listed(Json object) = 0;
  virtual void EndList(const std::string& version) = 0;
  virtual void Upsert(Json object) = 0;
  virtual void Remove(Json object) = 0;
  /// All changes up to `version` have been told by now. Never called within a list.
  virtual void Reached(const std::string& version) = 0;
};

struct WatcherOptions {
  Resource resource{};
  std::string ns{};
  std::string label_selector{};
  std::string field_selector{};
  int page_size = 500;
  /// Ask for lists as a stream of events (KEP-3157) where the client offers it; pages otherwise.
  bool watch_list = true;
  /// A watch that says nothing for so long is given up and resumed; it bounds how stale a sink gets
  /// behind a connection that died without a word. Twice and a half the time between bookmarks.
  std::chrono::milliseconds silence_max{150'000};
  /// Sleeps for a back-off; false when the stop came first. Replaced in tests.
  std::function<bool(std::stop_token, std::chrono::milliseconds)> sleep{};
};

/// Keeps a sink equal to a collection of the API server, through everything that a server may do:
///  - lists one consistent state, streamed or in pages, then watches from there with bookmarks;
///  - a streamed list that fails in any way, or whose end does not come, becomes one in pages;
///  - a watch that ends is resumed from the last version seen, without a list;
///  - 410 (as HTTP status, as an event, between pages) lists again, always the most recent state: a
///    server asked for "at least this version" has to be asked once more when it is behind, and
///    sends everything in one page;
///  - refused connections and 429 retry the same watch after a back-off; while nobody answers at
///    all, it is asked every 3 s at least whether somebody does;
///  - a watch that ends at once without an event waits as well, so that no server is hammered;
///  - after a connection was lost it makes sure that the server has not gone back in time, as one
///    restored from a backup has: to a watch from a version of its future it would say nothing;
///  - an event older than what was seen is a repetition, and passed over.
/// A collection that cannot be read leaves the sink as it was: stale, never empty.
class Watcher {
 public:
  Watcher(Client& client, WatcherOptions options, WatchSink& sink, const Clock& clock = RealClock(),
          Observer& observer = SilentObserver());

  /// Runs until `stop`. Once only.
  void Run(std::stop_token stop);

  /// One list, one comparison, or one watch to its end. What Run is made of; for single-stepped
  /// runs instead of it.
  void Step(std::stop_token stop);

 private:
  enum class Next { kWatch, kCompare, kList };

  Next ListInPages(std::stop_token stop);
  Next ListAsStream(std::stop_token stop);
  Next Compare(std::stop_token stop);
  Next WatchOnce(std::stop_token stop);
  Next AfterWatch(std::stop_token stop, const Status& ended, bool suspiciously_short);
  WatchOptions MakeWatchOptions() const;
  void HandleEvent(WatchEvent event);
  void Pause(std::stop_token stop, Backoff& backoff);

  Client& client_;
  const WatcherOptions options_;
  WatchSink& sink_;
  const Clock& clock_;
  Observer& observer_;
  Backoff backoff_;
  Backoff outage_backoff_;  // Of requests that nobody has answered.
  Next next_ = Next::kList;
  bool may_stream_lists_;
  std::string version_;  // The last resourceVersion seen; the resume point.
};

}  // namespace cutover::kube
