// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/scrape_gate.h"

#include <optional>
#include <utility>

#include "operator/base/log.h"

namespace cutover::telemetry {
namespace {

HttpResponse Refusal(int status, std::string text) {
  HttpResponse refusal;
  refusal.status = status;
  refusal.headers = {{"Cache-Control", "no-store"}};
  if (status == 401) refusal.headers.emplace_back("WWW-Authenticate", "Bearer");
  refusal.body = std::move(text);
  return refusal;
}

HttpResponse CannotAsk() {
  return Refusal(503, "the API server cannot be asked now who may read metrics\n");
}

HttpGate::Verdict VerdictOf(Access access) {
  switch (access) {
    case Access::kAllowed:
      return std::nullopt;
    case Access::kForbidden:
      return Refusal(403, "whose token this is may not get /metrics\n");
    case Access::kUnknownToken:
      break;
  }
  return Refusal(401, "show a token that the API server takes: Authorization: Bearer TOKEN\n");
}

}  // namespace

ScrapeGate::ScrapeGate(Ask ask, ScrapeGateOptions options, const Clock& clock)
    : ask_(std::move(ask)), options_(options), clock_(clock) {
  for (int i = 0; i < options_.workers; ++i)
    workers_.emplace_back([this](std::stop_token stop) { Work(stop); });
}

ScrapeGate::~ScrapeGate() {
  for (std::jthread& worker : workers_) worker.request_stop();
}

void ScrapeGate::Admit(const HttpRequest& request, Decide decide) {
  std::string token = BearerToken(request.Header("Authorization"));
  if (token.empty()) return decide(VerdictOf(Access::kUnknownToken));
  if (const auto access = Remembered(token)) return decide(VerdictOf(*access));
  {
    MutexLock lock(mutex_);
    if (waiting_.size() < options_.waiting_max) {
      waiting_.push_back({std::move(token), std::move(decide), Deadline::After(options_.patience)});
      changed_.NotifyOne();
      return;
    }
  }
  decide(CannotAsk());
}

void ScrapeGate::Work(std::stop_token stop) {
  while (!stop.stop_requested()) {
    std::optional<Waiting> next;
    {
      MutexLock lock(mutex_);
      if (!changed_.Wait(mutex_, stop, Deadline::Never(), [this] { return !waiting_.empty(); }))
        return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    next->decide(Decision(stop, *next));
  }
}

HttpGate::Verdict ScrapeGate::Decision(const std::stop_token& stop, const Waiting& waiting) {
  // While it waited, another request may have brought the same token.
  if (const auto access = Remembered(waiting.token)) return VerdictOf(*access);
  if (waiting.deadline.Expired()) return CannotAsk();
  const Result<Access> access = ask_(stop, waiting.deadline, waiting.token);
  if (!access) {
    if (!stop.stop_requested()) NoteFailure(access.error());
    return CannotAsk();
  }
  MutexLock lock(mutex_);
  failing_ = false;
  cache_.Put(waiting.token, *access, clock_.SteadyNow());
  return VerdictOf(*access);
}

std::optional<Access> ScrapeGate::Remembered(const std::string& token) {
  MutexLock lock(mutex_);
  return cache_.Find(token, clock_.SteadyNow());
}

void ScrapeGate::NoteFailure(const Error& error) {
  {
    MutexLock lock(mutex_);
    if (std::exchange(failing_, true)) return;
  }
  LogError("cannot ask who may read metrics", error);
}

}  // namespace cutover::telemetry
