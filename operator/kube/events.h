// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <stop_token>
#include <string>
#include <tuple>

#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/kube/client.h"

namespace cutover::kube {

/// The object an event is about.
struct ObjectReference {
  Resource resource{};
  Key key{};
  std::string uid{};
};

struct EventSpec {
  ObjectReference regarding{};
  bool warning = false;
  std::string reason{};  ///< CamelCase, what happened: "PhaseChanged".
  std::string action{};  ///< CamelCase, what was done about it: "Copying".
  std::string note{};    ///< For people; cut at 1 kB. Never a secret.
};

struct EventRecorderOptions {
  std::string controller{};                   ///< reportingController: "cutover.dev/operator".
  std::string instance{};                     ///< reportingInstance: the pod's name.
  std::string cluster_namespace = "default";  ///< For events about cluster-scoped objects.
  size_t queue_max = 1000;
  std::chrono::seconds series_window{360};
};

/// Records events (events.k8s.io/v1) for `kubectl describe`. Fire and forget: Record never blocks
/// or fails, and when the API server is slower than the events they are dropped and counted.
/// The same event again within six minutes becomes a series on the first. Thread-safe.
class EventRecorder {
 public:
  EventRecorder(Client& client, EventRecorderOptions options, const Clock& clock = RealClock(),
                Observer& observer = SilentObserver());

  void Record(EventSpec event);

  /// Sends what is recorded until `stop`, then spends at most two seconds on what is left.
  void Run(std::stop_token stop);

  /// Sends one recorded event; false when there is none. What Run is made of.
  bool SendNext(std::stop_token stop, Deadline deadline);

 private:
  // Kind, key, uid, type, reason, action, note: events equal in all of these are one series.
  using Identity =
      std::tuple<std::string, Key, std::string, bool, std::string, std::string, std::string>;
  struct Sent {
    Key key;
    int count = 1;
    SteadyTime last{};
  };

  Status Send(std::stop_token stop, Deadline deadline, const EventSpec& event, WallTime at);
  Status Extend(std::stop_token stop, Deadline deadline, Sent& sent, WallTime at);
  void ForgetOld();

  Client& client_;
  const EventRecorderOptions options_;
  const Clock& clock_;
  Observer& observer_;
  std::map<Identity, Sent> sent_;  // The sending thread's own.
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::pair<EventSpec, WallTime>> queue_ GUARDED_BY(mutex_);
};

}  // namespace cutover::kube
