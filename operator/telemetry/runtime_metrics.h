// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "operator/kube/controller.h"
#include "operator/kube/observer.h"
#include "operator/telemetry/metrics.h"

namespace cutover::telemetry {

/// What the controller runtime tells about itself, under controller-runtime's names. Thread-safe;
/// `metrics` outlives it.
class RuntimeMetrics final : public kube::Observer {
 public:
  explicit RuntimeMetrics(Metrics& metrics);

  /// Shows the controller's workers and, at every scrape, the age of what is being worked on.
  /// `controller` outlives the last scrape.
  void Add(kube::Controller& controller);

  void OnRequest(int code, std::string_view method, std::string_view host,
                 kube::Duration took) override;
  void OnWatchRestart(std::string_view resource) override;
  void OnRelist(std::string_view resource) override;
  void OnQueueAdd(std::string_view queue) override;
  void OnQueueDepth(std::string_view queue, size_t depth) override;
  void OnQueueRetry(std::string_view queue) override;
  void OnQueueLatency(std::string_view queue, kube::Duration waited) override;
  void OnWorkDuration(std::string_view queue, kube::Duration worked) override;
  void OnReconcile(std::string_view controller, std::string_view result,
                   kube::Duration took) override;
  void OnActiveWorkers(std::string_view controller, int active) override;
  void OnLeader(std::string_view lease, bool leading) override;
  void OnEventDropped() override;

 private:
  Metrics& metrics_;
};

}  // namespace cutover::telemetry
