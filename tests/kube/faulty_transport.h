// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <limits>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/mutex.h"
#include "operator/kube/transport.h"

namespace cutover::testing {

/// What happens to one request on its way to the server and back; nothing unless set. In this
/// order: it is delayed, `before` runs, it is refused or changed and sent, and the answer's body is
/// changed, cut into pieces, cut off.
struct Fault {
  static constexpr size_t kNever = std::numeric_limits<size_t>::max();

  std::chrono::milliseconds delay{0};
  std::function<void()> before{};
  std::optional<kube::Response> refuse_with{};  ///< The server never sees the request.
  std::function<void(kube::Request&)> change{};
  /// Streams: what becomes of each whole line, newline included; several lines, or none, are fine.
  std::function<std::string(const std::string& line)> change_line{};
  size_t piece_bytes = kNever;      ///< Streams: no more than so many bytes at a time.
  size_t cut_after_bytes = kNever;  ///< Then the connection breaks.
};

/// Which requests a fault strikes.
using Matcher = std::function<bool(const kube::Request&)>;
bool IsWatch(const kube::Request& request);
bool IsComparison(const kube::Request& request);  ///< A watcher's, after it lost touch.
bool IsList(const kube::Request& request);        ///< Any page of one; not a comparison.
bool IsNextPage(const kube::Request& request);    ///< A page that is not the first.
bool IsAnything(const kube::Request& request);

/// A query parameter of a request, as it stands there; empty when there is none.
std::string Parameter(const kube::Request& request, std::string_view name);
void SetParameter(kube::Request& request, std::string_view name, const std::string& value);

/// An answer as the API server makes it when it refuses: a metav1.Status.
kube::Response Refusal(int code, const std::string& reason, kube::Headers headers = {});

/// Does to requests what networks, proxies and servers do, between a real client and a real server.
/// Thread-safe.
class FaultyTransport final : public kube::Transport {
 public:
  explicit FaultyTransport(std::unique_ptr<kube::Transport> inner) : inner_(std::move(inner)) {}

  /// The next `times` requests that match get this fault. Of several, the one added first counts.
  void Strike(Matcher which, Fault fault, int times = 1);
  /// Decides about every request that no Strike took; asked on the thread that sends.
  void Decide(std::function<Fault(const kube::Request&)> decide);
  /// The network is away: running streams break and connections are refused, until it is back.
  void SetDown(bool down);
  /// Breaks what streams now, once.
  void BreakStreams();
  /// Another server, from the next request on.
  void Route(std::unique_ptr<kube::Transport> inner);

  /// What has arrived here and was not refused for being down, in order: "LIST", "LIST@10" (a list
  /// at a version), "LIST+" (a further page), "WATCH@10", "COMPARE", else the method.
  std::vector<std::string> log() const;
  /// How many entries of the log begin with `prefix`.
  int Count(std::string_view prefix) const;

  Result<kube::Response> Call(std::stop_token stop, Deadline deadline,
                              const kube::Request& request) override;
  kube::StreamEnd Stream(std::stop_token stop, std::chrono::milliseconds idle_timeout,
                         const kube::Request& request, OnBytes on_bytes) override;
  std::string_view host() const override { return "faulty:443"; }

 private:
  struct Struck {
    Matcher which;
    Fault fault;
    int times;
  };
  // One stream under way, for whoever breaks it.
  struct Running {
    std::stop_source stop;
    bool broken = false;
  };

  // Nothing when the network is away.
  std::optional<Fault> Take(const kube::Request& request);
  std::shared_ptr<kube::Transport> inner() const;
  kube::StreamEnd StreamUntil(std::stop_source& stop, std::chrono::milliseconds idle_timeout,
                              const kube::Request& request, OnBytes on_bytes);
  std::list<Running>::iterator Begin();
  bool End(std::list<Running>::iterator running);

  mutable Mutex mutex_;
  std::shared_ptr<kube::Transport> inner_ GUARDED_BY(mutex_);
  std::list<Struck> struck_ GUARDED_BY(mutex_);
  std::function<Fault(const kube::Request&)> decide_ GUARDED_BY(mutex_);
  bool down_ GUARDED_BY(mutex_) = false;
  std::list<Running> running_ GUARDED_BY(mutex_);
  std::vector<std::string> log_ GUARDED_BY(mutex_);
};

}  // namespace cutover::testing
