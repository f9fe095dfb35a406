// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/telemetry/http_server.h"
#include "operator/telemetry/scrape_access.h"

namespace cutover::telemetry {

struct ScrapeGateOptions {
  int workers = 2;
  /// Requests that wait for a worker; more are refused at once.
  size_t waiting_max = 64;
  /// From a request to its decision. Nearer than a scraper's own timeout, which is 10 s.
  std::chrono::milliseconds patience{5'000};
};

/// Lets through who shows a token whose bearer may read metrics; the others get 401 (no token, or
/// one that nobody knows), 403, or, as long as it cannot be found out, 503. A token that was asked
/// about a moment ago is decided at once (AccessCache); others wait for one of few workers, so that
/// a slow API server, or many bad tokens, hold up neither those nor the server.
class ScrapeGate final : public HttpGate {
 public:
  /// Called on the workers' threads, several at a time.
  using Ask = std::function<Result<Access>(std::stop_token stop, Deadline deadline,
                                           const std::string& token)>;

  explicit ScrapeGate(Ask ask, ScrapeGateOptions options = {}, const Clock& clock = RealClock());
  /// Cancels what is being asked, and joins the workers.
  ~ScrapeGate() override;

  void Admit(const HttpRequest& request, Decide decide) override;

 private:
  struct Waiting {
    std::string token;
    Decide decide;
    Deadline deadline;
  };

  void Work(std::stop_token stop);
  Verdict Decision(const std::stop_token& stop, const Waiting& waiting);
  std::optional<Access> Remembered(const std::string& token);
  /// Says once that the API server cannot be asked, until it can be again.
  void NoteFailure(const Error& error);

  const Ask ask_;
  const ScrapeGateOptions options_;
  const Clock& clock_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Waiting> waiting_ GUARDED_BY(mutex_);
  AccessCache cache_ GUARDED_BY(mutex_);
  bool failing_ GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> workers_;  // Last: they use all of the above.
};

}  // namespace cutover::telemetry
