// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "operator/base/mutex.h"
#include "operator/kube/error.h"
#include "operator/kube/transport.h"

namespace cutover::kube {

/// Answers requests from a script, in order, and keeps what was asked. Past the script's end calls
/// fail and streams call `on_exhausted` (a test's stop) and end.
class FakeTransport final : public Transport {
 public:
  struct Answer {
    int status = 200;    ///< 0: no answer.
    std::string body{};  ///< Of a call, of a stream's refusal, or all bytes of a stream.
    Headers headers{};
    size_t chunk_bytes = 0;  ///< Streams: hand the body over in pieces of this size; 0: whole.
    bool breaks = false;     ///< Streams: end with an error after the body.
    Disposition lost = Disposition::kRetry;
  };

  Result<Response> Call(std::stop_token, Deadline, const Request& request) override {
    Answer answer;
    if (!Take(request, answer) || answer.status == 0)
      return tl::make_unexpected(Error{answer.lost, reason::kUnreachable, "no answer"});
    return Response{answer.status, answer.headers, answer.body};
  }

  StreamEnd Stream(std::stop_token stop, std::chrono::milliseconds, const Request& request,
                   OnBytes on_bytes) override {
    Answer answer;
    if (!Take(request, answer)) {
      if (on_exhausted) on_exhausted();
      return {0, {}, "", Error{Disposition::kRetry, reason::kCancelled, "script at its end"}};
    }
    if (answer.status != 200) {
      StreamEnd end{answer.status, answer.headers, answer.body, std::nullopt};
      if (answer.status == 0) end.error = Error{answer.lost, reason::kUnreachable, "no answer"};
      return end;
    }
    std::string_view left = answer.body;
    while (!left.empty() && !stop.stop_requested()) {
      std::string_view piece =
          left.substr(0, answer.chunk_bytes ? answer.chunk_bytes : left.size());
      on_bytes(piece);
      left.remove_prefix(piece.size());
    }
    StreamEnd end{200, {}, "", std::nullopt};
    if (answer.breaks) end.error = Error{Disposition::kRetry, reason::kUnreachable, "reset"};
    return end;
  }

  std::string_view host() const override { return "fake:443"; }

  std::deque<Answer> script;
  std::vector<Request> requests;
  std::function<void()> on_exhausted;

 private:
  bool Take(const Request& request, Answer& answer) {
    requests.push_back(request);
    if (script.empty()) return false;
    answer = std::move(script.front());
    script.pop_front();
    return true;
  }
};

}  // namespace cutover::kube
