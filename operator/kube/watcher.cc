// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/watcher.h"

#include <algorithm>

#include "operator/base/log.h"
#include "operator/base/mutex.h"
#include "operator/base/random.h"
#include "operator/kube/metadata.h"

namespace cutover::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPageTimeout{60};
// A connection that died without a word may be the next one to be used, too.
constexpr seconds kCompareTimeout{5};
constexpr seconds kWatchMin{300};
constexpr milliseconds kSuspiciouslyShort{1000};
// A server that does not know streamed lists takes the request for an ordinary watch, and then
// waits for changes where the end of the list should come.
constexpr milliseconds kInitialEventsSilenceMax{10'000};

// Errors after which the version we hold is as good as before: the same watch may go on.
bool KeepsVersion(const Error& error) {
  return IsTooManyRequests(error) || IsUnauthorized(error) || IsCancelled(error) ||
         error.reason == reason::kServiceUnavailable || error.reason == reason::kInternalError;
}

// Errors after which there may be another server, or the same with another past.
bool LostTouch(const Error& error) { return IsUnreachable(error) || IsTimeout(error); }

// While nobody answers, asking costs nobody anything; and what is decided by this cache once
// somebody does, such as whether users are let in again, waits for it.
Backoff::Options WhileNobodyAnswers() { return {.cap = milliseconds(1'500)}; }

}  // namespace

Watcher::Watcher(Client& client, WatcherOptions options, WatchSink& sink, const Clock& clock,
                 Observer& observer)
    : client_(client),
      options_(std::move(options)),
      sink_(sink),
      clock_(clock),
      observer_(observer),
      backoff_(clock),
      outage_backoff_(clock, WhileNobodyAnswers()),
      may_stream_lists_(options_.watch_list && client.OffersInitialEvents()) {}

void Watcher::Run(std::stop_token stop) {
  while (!stop.stop_requested()) Step(stop);
}

void Watcher::Step(std::stop_token stop) {
  LogContext context({{"resource", options_.resource.plural}});
  switch (next_) {
    case Next::kWatch:
      next_ = WatchOnce(stop);
      break;
    case Next::kCompare:
      next_ = Compare(stop);
      break;
    case Next::kList:
      observer_.OnRelist(options_.resource.plural);
      next_ = may_stream_lists_ ? ListAsStream(stop) : ListInPages(stop);
      break;
  }
}

Watcher::Next Watcher::ListInPages(std::stop_token stop) {
  ListOptions list{options_.ns, options_.label_selector, options_.field_selector,
                   options_.page_size};
  PageRequest request;
  sink_.BeginList();
  while (true) {
    Result<ListPage> page =
        client_.GetPage(stop, Deadline::After(kPageTimeout), options_.resource, list, request);
    if (stop.stop_requested()) return Next::kList;
    if (!page) {
      const Error& error = page.error();
      LogWarn("listing failed", {{"reason", error.reason}, {"message", error.message}});
      Pause(stop, IsUnreachable(error) ? outage_backoff_ : backoff_);
      return Next::kList;
    }
    for (Json& object : page->list.items) sink_.Listed(std::move(object));
    if (page->next.empty()) {
      version_ = page->list.resource_version;
      sink_.EndList(version_);
      return Next::kWatch;
    }
    request.next = page->next;
  }
}

// Events arrive one by one and are stored as they come, so a list of any size needs the memory of
// one object. The stream goes on as the watch.
Watcher::Next Watcher::ListAsStream(std::stop_token stop) {
  WatchOptions watch = MakeWatchOptions();
  watch.resource_version.clear();  // The most recent state.
  watch.initial_events = true;
  watch.silence_max = std::min(options_.silence_max, kInitialEventsSilenceMax);
  bool listed = false;
  sink_.BeginList();
  Status ended = client_.Watch(stop, options_.resource, watch, [&](WatchEvent event) {
    if (listed) return HandleEvent(std::move(event));
    if (EndsInitialEvents(event)) {
      listed = true;
      version_ = ResourceVersionOf(event.object);
      sink_.EndList(version_);
    } else if (event.type == WatchEventType::kDeleted) {
      sink_.Remove(std::move(event.object));
    } else if (event.type != WatchEventType::kBookmark) {
      sink_.Listed(std::move(event.object));
    }
  });
  if (stop.stop_requested()) return Next::kList;
  // Nothing changes at the moment; from now on silence may last longer than within a list.
  if (listed && !ended && IsTimeout(ended.error())) return Next::kWatch;
  if (listed) return AfterWatch(stop, ended, false);
  // Whatever it was, a list in pages either works or has an error of its own to tell.
  LogInfo("a streamed list did not end; listing in pages",
          {{"reason", ended ? "Ended" : ended.error().reason},
           {"message", ended ? "the server ended it" : ended.error().message}});
  bool passing = !ended && (IsUnreachable(ended.error()) || IsGone(ended.error()) ||
                            KeepsVersion(ended.error()));
  if (!passing) may_stream_lists_ = false;
  return ListInPages(stop);
}

// A list of one object, for its version. To a watch from a version that the server has yet to reach
// it says nothing, whatever changes on the way there.
Watcher::Next Watcher::Compare(std::stop_token stop) {
  ListOptions list{options_.ns, options_.label_selector, options_.field_selector, 1};
  Result<ListPage> page =
      client_.GetPage(stop, Deadline::After(kCompareTimeout), options_.resource, list, {});
  if (stop.stop_requested()) return Next::kCompare;
  if (!page && (LostTouch(page.error()) || KeepsVersion(page.error()))) {
    Pause(stop, LostTouch(page.error()) ? outage_backoff_ : backoff_);
    return Next::kCompare;
  }
  if (page && IsOlderVersion(page->list.resource_version, version_)) {
    LogWarn("the server has gone back in time; listing what it has now",
            {{"seen", version_}, {"server", page->list.resource_version}});
    return Next::kList;
  }
  return Next::kWatch;
}

WatchOptions Watcher::MakeWatchOptions() const {
  WatchOptions watch;
  watch.ns = options_.ns;
  watch.label_selector = options_.label_selector;
  watch.field_selector = options_.field_selector;
  watch.resource_version = version_;
  // Random, so that watches begun together do not all end together.
  watch.timeout = kWatchMin + seconds(static_cast<int>(RandomFraction() * 300));
  watch.silence_max = options_.silence_max;
  return watch;
}

Watcher::Next Watcher::WatchOnce(std::stop_token stop) {
  observer_.OnWatchRestart(options_.resource.plural);
  SteadyTime started = clock_.SteadyNow();
  bool any_event = false;
  Status ended = client_.Watch(stop, options_.resource, MakeWatchOptions(), [&](WatchEvent event) {
    any_event = true;
    HandleEvent(std::move(event));
  });
  return AfterWatch(stop, ended, !any_event && clock_.SteadyNow() - started < kSuspiciouslyShort);
}

Watcher::Next Watcher::AfterWatch(std::stop_token stop, const Status& ended,
                                  bool suspiciously_short) {
  if (stop.stop_requested()) return Next::kWatch;
  if (ended) {
    if (suspiciously_short) Pause(stop, backoff_);
    return Next::kWatch;
  }
  const Error& error = ended.error();
  LogInfo("a watch broke", {{"reason", error.reason}, {"message", error.message}});
  // Gone again at once after the list: something is wrong with that server.
  if (!IsGone(error) || suspiciously_short) Pause(stop, backoff_);
  if (IsGone(error)) return Next::kList;
  if (LostTouch(error)) return Next::kCompare;
  return KeepsVersion(error) ? Next::kWatch : Next::kList;
}

void Watcher::HandleEvent(WatchEvent event) {
  const std::string version = ResourceVersionOf(event.object);
  auto order = CompareResourceVersions(version, version_);
  // Without a version there is nothing to go on from, and an old one tells what is known already;
  // taken for news it would bring back what has been deleted since.
  if (version.empty() || order == std::partial_ordering::less ||
      order == std::partial_ordering::equivalent) {
    LogDebug("a watch event tells nothing new", {{"version", version}, {"seen", version_}});
    return;
  }
  version_ = version;
  switch (event.type) {
    case WatchEventType::kAdded:
    case WatchEventType::kModified:
      sink_.Upsert(std::move(event.object));
      break;
    case WatchEventType::kDeleted:
      sink_.Remove(std::move(event.object));
      break;
    case WatchEventType::kBookmark:
      break;  // Its version is all it says.
  }
  sink_.Reached(version_);
}

void Watcher::Pause(std::stop_token stop, Backoff& backoff) {
  milliseconds wait = backoff.Next();
  if (options_.sleep)
    options_.sleep(stop, wait);
  else
    SleepUntil(stop, Deadline::After(wait));
}

}  // namespace cutover::kube
