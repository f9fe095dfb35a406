// SPDX-License-Identifier: Apache-2.0
#include "tests/kube/faulty_transport.h"

#include <algorithm>
#include <utility>

#include "operator/kube/error.h"

namespace cutover::testing {
namespace {

using kube::Request;
using kube::Response;
using kube::StreamEnd;

Error Broken() {
  return {Disposition::kRetry, kube::reason::kUnreachable, "a fault broke the connection"};
}

// Where the value of a query parameter begins and how long it is.
std::optional<std::pair<size_t, size_t>> FindParameter(const std::string& target,
                                                       std::string_view name) {
  for (size_t at = target.find('?'); at != std::string::npos; at = target.find('&', at)) {
    ++at;
    if (target.compare(at, name.size(), name) != 0 || target[at + name.size()] != '=') continue;
    size_t value = at + name.size() + 1;
    return std::pair(value, std::min(target.find('&', value), target.size()) - value);
  }
  return std::nullopt;
}

std::string Describe(const Request& request) {
  if (IsComparison(request)) return "COMPARE";
  if (!IsWatch(request) && !IsList(request)) return std::string(kube::Name(request.method));
  if (IsNextPage(request)) return "LIST+";
  std::string version = Parameter(request, "resourceVersion");
  std::string verb = IsWatch(request) ? "WATCH" : "LIST";
  return version.empty() ? verb : verb + "@" + version;
}

// What stands between a stream of the server and its reader.
class Mangler {
 public:
  Mangler(const Fault& fault, kube::Transport::OnBytes on_bytes)
      : fault_(fault), on_bytes_(std::move(on_bytes)) {}

  // False once the stream is cut off.
  bool Feed(std::string_view bytes) {
    if (!fault_.change_line) return Forward(bytes);
    held_ += bytes;
    for (size_t newline; (newline = held_.find('\n')) != std::string::npos;) {
      std::string line = held_.substr(0, newline + 1);
      held_.erase(0, newline + 1);
      if (!Forward(fault_.change_line(line))) return false;
    }
    return true;
  }
  bool cut() const { return cut_; }

 private:
  bool Forward(std::string_view bytes) {
    size_t left = fault_.cut_after_bytes - forwarded_;
    cut_ = cut_ || bytes.size() > left;
    bytes = bytes.substr(0, left);
    forwarded_ += bytes.size();
    while (!bytes.empty()) {
      std::string_view piece = bytes.substr(0, fault_.piece_bytes);
      on_bytes_(piece);
      bytes.remove_prefix(piece.size());
    }
    return !cut_;
  }

  const Fault& fault_;
  const kube::Transport::OnBytes on_bytes_;
  std::string held_;
  size_t forwarded_ = 0;
  bool cut_ = false;
};

}  // namespace

bool IsWatch(const Request& request) { return !Parameter(request, "watch").empty(); }
bool IsComparison(const Request& request) { return Parameter(request, "limit") == "1"; }
bool IsList(const Request& request) {
  return !Parameter(request, "limit").empty() && !IsComparison(request);
}
bool IsNextPage(const Request& request) { return !Parameter(request, "continue").empty(); }
bool IsAnything(const Request&) { return true; }

std::string Parameter(const Request& request, std::string_view name) {
  auto found = FindParameter(request.target, name);
  return found ? request.target.substr(found->first, found->second) : "";
}

void SetParameter(Request& request, std::string_view name, const std::string& value) {
  if (auto found = FindParameter(request.target, name))
    request.target.replace(found->first, found->second, value);
  else
    request.target.append("&").append(name).append("=").append(value);
}

Response Refusal(int code, const std::string& reason, kube::Headers headers) {
  return {
      code, std::move(headers),
      R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"a fault","reason":")" +
          reason + R"(","code":)" + std::to_string(code) + "}"};
}

void FaultyTransport::Strike(Matcher which, Fault fault, int times) {
  MutexLock lock(mutex_);
  struck_.push_back({std::move(which), std::move(fault), times});
}

void FaultyTransport::Decide(std::function<Fault(const Request&)> decide) {
  MutexLock lock(mutex_);
  decide_ = std::move(decide);
}

void FaultyTransport::SetDown(bool down) {
  {
    MutexLock lock(mutex_);
    down_ = down;
  }
  if (down) BreakStreams();
}

void FaultyTransport::BreakStreams() {
  MutexLock lock(mutex_);
  for (Running& running : running_) {
    running.broken = true;
    running.stop.request_stop();
  }
}

void FaultyTransport::Route(std::unique_ptr<kube::Transport> inner) {
  MutexLock lock(mutex_);
  inner_ = std::move(inner);
}

std::vector<std::string> FaultyTransport::log() const {
  MutexLock lock(mutex_);
  return log_;
}

int FaultyTransport::Count(std::string_view prefix) const {
  MutexLock lock(mutex_);
  return static_cast<int>(std::count_if(log_.begin(), log_.end(), [&](const std::string& entry) {
    return entry.starts_with(prefix);
  }));
}

std::shared_ptr<kube::Transport> FaultyTransport::inner() const {
  MutexLock lock(mutex_);
  return inner_;
}

std::optional<Fault> FaultyTransport::Take(const Request& request) {
  std::function<Fault(const Request&)> decide;
  {
    MutexLock lock(mutex_);
    if (down_) return std::nullopt;
    log_.push_back(Describe(request));
    for (auto struck = struck_.begin(); struck != struck_.end(); ++struck) {
      if (!struck->which(request)) continue;
      Fault fault = struck->fault;
      if (--struck->times == 0) struck_.erase(struck);
      return fault;
    }
    decide = decide_;
  }
  return decide ? decide(request) : Fault();
}

std::list<FaultyTransport::Running>::iterator FaultyTransport::Begin() {
  MutexLock lock(mutex_);
  return running_.emplace(running_.end());
}

// True when it was broken.
bool FaultyTransport::End(std::list<Running>::iterator running) {
  MutexLock lock(mutex_);
  bool broken = running->broken;
  running_.erase(running);
  return broken;
}

Result<Response> FaultyTransport::Call(std::stop_token stop, Deadline deadline,
                                       const Request& request) {
  std::optional<Fault> fault = Take(request);
  if (!fault) return tl::make_unexpected(Broken());
  if (!SleepUntil(stop, Deadline::After(fault->delay)))
    return RetryError(kube::reason::kCancelled, "stopped while delayed");
  if (fault->before) fault->before();
  if (fault->refuse_with) return *fault->refuse_with;
  Request sent = request;
  if (fault->change) fault->change(sent);
  Result<Response> answer = inner()->Call(stop, deadline, sent);
  if (answer && answer->body.size() > fault->cut_after_bytes) {
    Error lost = Broken();
    if (kube::IsWrite(request.method)) lost.disposition = Disposition::kInDoubt;
    return tl::make_unexpected(std::move(lost));
  }
  return answer;
}

StreamEnd FaultyTransport::Stream(std::stop_token stop, std::chrono::milliseconds idle_timeout,
                                  const Request& request, OnBytes on_bytes) {
  // Known before it is in the log: whoever waits for that entry may break the stream.
  auto running = Begin();
  std::stop_source own_stop = running->stop;
  std::stop_callback forward(stop, [&] { own_stop.request_stop(); });
  StreamEnd end = StreamUntil(own_stop, idle_timeout, request, std::move(on_bytes));
  if (End(running) && !stop.stop_requested()) return {0, {}, "", Broken()};
  return end;
}

StreamEnd FaultyTransport::StreamUntil(std::stop_source& stop,
                                       std::chrono::milliseconds idle_timeout,
                                       const Request& request, OnBytes on_bytes) {
  std::optional<Fault> fault = Take(request);
  if (!fault) return {0, {}, "", Broken()};
  if (!SleepUntil(stop.get_token(), Deadline::After(fault->delay))) return {0, {}, "", Broken()};
  if (fault->before) fault->before();
  if (fault->refuse_with)
    return {fault->refuse_with->status, fault->refuse_with->headers, fault->refuse_with->body,
            std::nullopt};
  Request sent = request;
  if (fault->change) fault->change(sent);
  Mangler mangler(*fault, std::move(on_bytes));
  StreamEnd end =
      inner()->Stream(stop.get_token(), idle_timeout, sent, [&](std::string_view bytes) {
        // A broken connection lets nothing through, however long the real one takes to end.
        if (stop.stop_requested() || mangler.cut()) return;
        if (!mangler.Feed(bytes)) stop.request_stop();
      });
  if (mangler.cut()) {
    end.error = Broken();
    end.body.clear();
  }
  return end;
}

}  // namespace cutover::testing
