// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/runtime_metrics.h"

#include <chrono>
#include <string>

namespace cutover::telemetry {
namespace {

double Seconds(kube::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

RuntimeMetrics::RuntimeMetrics(Metrics& metrics) : metrics_(metrics) {
  metrics_.Increment(Metric::kEventsDroppedTotal, {}, 0);
}

void RuntimeMetrics::Add(kube::Controller& controller) {
  const std::string& name = controller.name();
  metrics_.Set(Metric::kMaxConcurrentReconciles, {name}, controller.workers());
  metrics_.Set(Metric::kActiveWorkers, {name}, 0);
  metrics_.Set(Metric::kQueueDepth, {name, name}, 0);
  // All results from the start: a counter that appears with its first error shows no increase.
  for (std::string_view result : {"success", "error", "requeue_after"})
    metrics_.Increment(Metric::kReconcileTotal, {name, result}, 0);
  metrics_.Increment(Metric::kQueueAddsTotal, {name, name}, 0);
  metrics_.Increment(Metric::kQueueRetriesTotal, {name, name}, 0);
  metrics_.Increment(Metric::kReconcileErrorsTotal, {name}, 0);
  metrics_.Increment(Metric::kTerminalReconcileErrorsTotal, {name}, 0);
  metrics_.Increment(Metric::kReconcilePanicsTotal, {name}, 0);
  metrics_.AddCollector([&controller](const Metrics::Sink& sink) {
    const auto [all, longest] = controller.queue().UnfinishedWork();
    const std::string& queue = controller.name();
    sink({Metric::kQueueUnfinishedWorkSeconds, {queue, queue}, Seconds(all)});
    sink({Metric::kQueueLongestRunningSeconds, {queue, queue}, Seconds(longest)});
  });
}

void RuntimeMetrics::OnRequest(int code, std::string_view method, std::string_view host,
                               kube::Duration took) {
  const std::string code_text = code == 0 ? "<error>" : std::to_string(code);
  metrics_.Increment(Metric::kRestRequestsTotal, {code_text, method, host});
  // A watch lasts as long as the server likes; among durations it would hide everything else.
  if (method != "WATCH")
    metrics_.Observe(Metric::kRestRequestSeconds, {method, host}, Seconds(took));
}

void RuntimeMetrics::OnWatchRestart(std::string_view resource) {
  metrics_.Increment(Metric::kWatchRestartsTotal, {resource});
}

void RuntimeMetrics::OnRelist(std::string_view resource) {
  metrics_.Increment(Metric::kRelistsTotal, {resource});
}

void RuntimeMetrics::OnQueueAdd(std::string_view queue) {
  metrics_.Increment(Metric::kQueueAddsTotal, {queue, queue});
}

void RuntimeMetrics::OnQueueDepth(std::string_view queue, size_t depth) {
  metrics_.Set(Metric::kQueueDepth, {queue, queue}, static_cast<double>(depth));
}

void RuntimeMetrics::OnQueueRetry(std::string_view queue) {
  metrics_.Increment(Metric::kQueueRetriesTotal, {queue, queue});
}

void RuntimeMetrics::OnQueueLatency(std::string_view queue, kube::Duration waited) {
  metrics_.Observe(Metric::kQueueWaitSeconds, {queue, queue}, Seconds(waited));
}

void RuntimeMetrics::OnWorkDuration(std::string_view queue, kube::Duration worked) {
  metrics_.Observe(Metric::kQueueWorkSeconds, {queue, queue}, Seconds(worked));
}

void RuntimeMetrics::OnReconcile(std::string_view controller, std::string_view result,
                                 kube::Duration took) {
  // controller-runtime counts a terminal error and a panic as errors, and each once more by itself.
  const bool terminal = result == "terminal";
  const bool panic = result == "panic";
  const bool error = terminal || panic || result == "error";
  metrics_.Observe(Metric::kReconcileTimeSeconds, {controller}, Seconds(took));
  metrics_.Increment(Metric::kReconcileTotal, {controller, error ? "error" : result});
  if (error) metrics_.Increment(Metric::kReconcileErrorsTotal, {controller});
  if (terminal) metrics_.Increment(Metric::kTerminalReconcileErrorsTotal, {controller});
  if (panic) metrics_.Increment(Metric::kReconcilePanicsTotal, {controller});
}

void RuntimeMetrics::OnActiveWorkers(std::string_view controller, int active) {
  metrics_.Set(Metric::kActiveWorkers, {controller}, active);
}

void RuntimeMetrics::OnLeader(std::string_view lease, bool leading) {
  metrics_.Set(Metric::kLeader, {lease}, leading ? 1 : 0);
}

void RuntimeMetrics::OnEventDropped() { metrics_.Increment(Metric::kEventsDroppedTotal, {}); }

}  // namespace cutover::telemetry
