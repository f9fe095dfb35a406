// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/events.h"

#include "operator/base/log.h"
#include "operator/base/random.h"
#include "operator/kube/metadata.h"

namespace cutover::kube {
namespace {

constexpr size_t kNoteBytesMax = 1024;  // Bounds of the API server's validation.
constexpr size_t kWordBytesMax = 128;
constexpr size_t kNamePrefixBytesMax = 200;
constexpr std::chrono::seconds kSendTimeout{10};
constexpr std::chrono::seconds kLastWords{2};

// At most `bytes_max` bytes, never cut inside a UTF-8 sequence.
std::string Cut(const std::string& text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

Json ReferenceJson(const ObjectReference& reference) {
  Json json = Json::Object({{"apiVersion", reference.resource.ApiVersion()},
                            {"kind", reference.resource.kind},
                            {"name", reference.key.name}});
  if (!reference.key.ns.empty()) json.Set("namespace", reference.key.ns);
  if (!reference.uid.empty()) json.Set("uid", reference.uid);
  return json;
}

}  // namespace

EventRecorder::EventRecorder(Client& client, EventRecorderOptions options, const Clock& clock,
                             Observer& observer)
    : client_(client), options_(std::move(options)), clock_(clock), observer_(observer) {}

void EventRecorder::Record(EventSpec event) {
  WallTime at = clock_.WallNow();
  MutexLock lock(mutex_);
  if (queue_.size() >= options_.queue_max) return observer_.OnEventDropped();
  queue_.emplace_back(std::move(event), at);
  changed_.NotifyOne();
}

void EventRecorder::Run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    while (SendNext(stop, Deadline::After(kSendTimeout))) {
    }
    MutexLock lock(mutex_);
    changed_.Wait(mutex_, stop, Deadline::Never(), [&] { return !queue_.empty(); });
  }
  Deadline deadline = Deadline::After(kLastWords);
  while (!deadline.Expired() && SendNext({}, deadline)) {
  }
}

bool EventRecorder::SendNext(std::stop_token stop, Deadline deadline) {
  EventSpec event;
  WallTime at;
  {
    MutexLock lock(mutex_);
    if (queue_.empty()) return false;
    std::tie(event, at) = std::move(queue_.front());
    queue_.pop_front();
  }
  Status sent = Send(stop, deadline, event, at);
  if (!sent) {
    observer_.OnEventDropped();
    LogWarn("an event was not recorded",
            {{"reason", sent.error().reason}, {"message", sent.error().message}});
  }
  return true;
}

Status EventRecorder::Send(std::stop_token stop, Deadline deadline, const EventSpec& event,
                           WallTime at) {
  ForgetOld();
  Identity identity{std::string(event.regarding.resource.kind),
                    event.regarding.key,
                    event.regarding.uid,
                    event.warning,
                    event.reason,
                    event.action,
                    event.note};
  if (auto known = sent_.find(identity); known != sent_.end()) {
    Status extended = Extend(stop, deadline, known->second, at);
    if (extended || !IsNotFound(extended.error())) return extended;
    sent_.erase(known);  // The server forgets events after an hour or so: begin again.
  }
  const Key& about = event.regarding.key;
  Key key{about.ns.empty() ? options_.cluster_namespace : about.ns,
          Cut(about.name, kNamePrefixBytesMax) + "." + RandomHex(8)};
  Json object = NewObject(kEvent, key);
  object.Set("eventTime", FormatMicroTime(at));
  object.Set("reportingController", options_.controller);
  object.Set("reportingInstance", Cut(options_.instance, kWordBytesMax));
  object.Set("type", event.warning ? "Warning" : "Normal");
  object.Set("reason", Cut(event.reason, kWordBytesMax));
  object.Set("action", Cut(event.action, kWordBytesMax));
  object.Set("regarding", ReferenceJson(event.regarding));
  object.Set("note", Cut(event.note, kNoteBytesMax));
  Result<Json> created = client_.Create(stop, deadline, kEvent, object);
  TRY(created);
  sent_[identity] = Sent{key, 1, clock_.SteadyNow()};
  return Ok();
}

Status EventRecorder::Extend(std::stop_token stop, Deadline deadline, Sent& sent, WallTime at) {
  Json series =
      Json::Object({{"count", sent.count + 1}, {"lastObservedTime", FormatMicroTime(at)}});
  Result<Json> patched = client_.Patch(stop, deadline, kEvent, sent.key,
                                       Json::Object({{"series", std::move(series)}}));
  TRY(patched);
  ++sent.count;
  sent.last = clock_.SteadyNow();
  return Ok();
}

void EventRecorder::ForgetOld() {
  SteadyTime now = clock_.SteadyNow();
  std::erase_if(sent_,
                [&](const auto& item) { return now - item.second.last > options_.series_window; });
}

}  // namespace cutover::kube
