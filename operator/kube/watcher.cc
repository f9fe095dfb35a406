// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/watcher.h"

#include "operator/base/log.h"
#include "operator/base/mutex.h"
#include "operator/base/random.h"
#include "operator/kube/metadata.h"

namespace cutover::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPageTimeout{60};
constexpr seconds kWatchMin{300};
constexpr milliseconds kSuspiciouslyShort{1000};

// Errors after which the version we hold is as good as before: the same watch may go on.
bool KeepsVersion(const Error& error) {
  return IsUnreachable(error) || IsTooManyRequests(error) || IsTimeout(error) ||
         IsUnauthorized(error) || IsCancelled(error) ||
         error.reason == reason::kServiceUnavailable || error.reason == reason::kInternalError;
}

}  // namespace

Watcher::Watcher(Client& client, WatcherOptions options, WatchSink& sink, const Clock& clock,
                 Observer& observer)
    : client_(client),
      options_(std::move(options)),
      sink_(sink),
      clock_(clock),
      observer_(observer),
      backoff_(clock) {}

void Watcher::Run(std::stop_token stop) {
  while (!stop.stop_requested()) Step(stop);
}

void Watcher::Step(std::stop_token stop) {
  LogContext context({{"resource", options_.resource.plural}});
  if (next_ == Next::kWatch)
    next_ = WatchOnce(stop);
  else
    next_ = ListAll(stop, next_ == Next::kList ? version_ : "");
}

Watcher::Next Watcher::ListAll(std::stop_token stop, const std::string& at_version) {
  observer_.OnRelist(options_.resource.plural);
  ListOptions list{options_.ns, options_.label_selector, options_.field_selector,
                   options_.page_size};
  PageRequest request{at_version, ""};
  std::vector<Json> objects;
  while (true) {
    Result<ListPage> page =
        client_.GetPage(stop, Deadline::After(kPageTimeout), options_.resource, list, request);
    if (!page) {
      if (stop.stop_requested()) return Next::kListMostRecent;
      const Error& error = page.error();
      LogWarn("listing failed", {{"reason", error.reason}, {"message", error.message}});
      Pause(stop);
      bool ask_for_most_recent =
          at_version.empty() || IsGone(error) || IsVersionTooLarge(error) || IsTimeout(error);
      return ask_for_most_recent ? Next::kListMostRecent : Next::kList;
    }
    std::move(page->list.items.begin(), page->list.items.end(), std::back_inserter(objects));
    version_ = page->list.resource_version;
    if (page->next.empty()) break;
    request.next = page->next;
  }
  sink_.Replace(std::move(objects));
  return Next::kWatch;
}

Watcher::Next Watcher::WatchOnce(std::stop_token stop) {
  observer_.OnWatchRestart(options_.resource.plural);
  WatchOptions watch{options_.ns, options_.label_selector, options_.field_selector, version_,
                     // Random, so that watches begun together do not all end together.
                     kWatchMin + seconds(static_cast<int>(RandomFraction() * 300))};
  SteadyTime started = clock_.SteadyNow();
  int events = 0;
  Status ended = client_.Watch(stop, options_.resource, watch, [&](WatchEvent event) {
    ++events;
    HandleEvent(std::move(event));
  });
  if (stop.stop_requested()) return Next::kWatch;
  if (ended) {
    if (events == 0 && clock_.SteadyNow() - started < kSuspiciouslyShort) Pause(stop);
    return Next::kWatch;
  }
  const Error& error = ended.error();
  LogInfo("a watch broke", {{"reason", error.reason}, {"message", error.message}});
  if (IsGone(error)) return Next::kList;
  Pause(stop);
  if (IsVersionTooLarge(error)) return Next::kListMostRecent;
  return KeepsVersion(error) ? Next::kWatch : Next::kList;
}

void Watcher::HandleEvent(WatchEvent event) {
  version_ = ResourceVersionOf(event.object);
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
}

void Watcher::Pause(std::stop_token stop) {
  milliseconds wait = backoff_.Next();
  if (options_.sleep)
    options_.sleep(stop, wait);
  else
    SleepUntil(stop, Deadline::After(wait));
}

}  // namespace cutover::kube
