// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/controller.h"

#include <exception>
#include <thread>

#include "operator/base/check.h"
#include "operator/base/log.h"
#include "operator/base/random.h"
#include "operator/kube/error.h"

namespace cutover::kube {
namespace {

// How soon to look whether a store has heard of our own last write.
constexpr std::chrono::milliseconds kOwnWriteDelay{20};
// Whoever wants another look sooner is in the middle of something, a cutover perhaps, and users
// wait for it. Later ones only make sure that nothing was missed.
constexpr std::chrono::seconds kResyncMin{10};

std::string_view ResultLabel(const Result<Step>& outcome, bool panicked) {
  if (panicked) return "panic";
  if (outcome) return outcome->delay() ? "requeue_after" : "success";
  return outcome.error().disposition == Disposition::kTerminal ? "terminal" : "error";
}

}  // namespace

Controller::Controller(ControllerOptions options, Reconcile reconcile, const Clock& clock,
                       Observer& observer)
    : options_(std::move(options)),
      reconcile_(std::move(reconcile)),
      clock_(clock),
      observer_(observer),
      queue_(options_.name, clock, observer, options_.limits) {
  CHECK(options_.workers > 0);
}

void Controller::Run(std::stop_token stop) {
  auto work = [this, stop] {
    while (std::optional<Key> key = queue_.Get(stop)) Process(stop, *key);
  };
  std::vector<std::jthread> others;
  for (int i = 1; i < options_.workers; ++i) others.emplace_back(work);
  work();
}

bool Controller::ProcessNext(std::stop_token stop) {
  std::optional<Key> key = queue_.TryGet();
  if (key) Process(stop, *key);
  return key.has_value();
}

bool Controller::IsBehind(const Key& key) const {
  for (const auto& is_behind : is_behind_)
    if (is_behind(key)) return true;
  return false;
}

bool Controller::IsListed(const Key& key) const {
  for (const auto& is_listed : is_listed_)
    if (is_listed(key)) return true;
  return false;
}

void Controller::Process(std::stop_token stop, const Key& key) {
  if (IsBehind(key)) {
    // What it would decide by is from before its own last step. The watch is a few milliseconds
    // away, or broken; then waiting is right as well.
    queue_.AddAfter(key, kOwnWriteDelay, Priority::kChanged);
    return queue_.Done(key);
  }
  LogContext context({{"controller", options_.name},
                      {"namespace", key.ns},
                      {"name", key.name},
                      {"reconcileID", RandomHex(8)}});
  observer_.OnActiveWorkers(options_.name, ++active_);
  SteadyTime started = clock_.SteadyNow();
  bool panicked = false;
  Result<Step> outcome = CallReconcile(stop, key, panicked);
  observer_.OnReconcile(options_.name, ResultLabel(outcome, panicked),
                        clock_.SteadyNow() - started);
  // An error on the way out is the stop's doing; whoever leads next looks at everything anew.
  if (outcome || !stop.stop_requested()) Schedule(key, outcome);
  queue_.Done(key);
  observer_.OnActiveWorkers(options_.name, --active_);
}

// No exception crosses our own interfaces, so one that arrives here is a mistake in the code for
// one object. It must not take the other tenants' operator down with it.
Result<Step> Controller::CallReconcile(std::stop_token stop, const Key& key, bool& panicked) {
  try {
    return reconcile_(stop, Deadline::After(options_.reconcile_timeout), key);
  } catch (const std::exception& exception) {
    panicked = true;
    return RetryError("Panic", std::string("a defect in this operator: ") + exception.what());
  }
}

void Controller::Schedule(const Key& key, const Result<Step>& outcome) {
  if (outcome && outcome->gone() && IsListed(key)) return queue_.AddRateLimited(key);
  if (outcome) {
    queue_.Forget(key);
    if (const auto delay = outcome->delay())
      queue_.AddAfter(key, *delay, *delay < kResyncMin ? Priority::kChanged : Priority::kTimed);
    return;
  }
  const Error& error = outcome.error();
  if (IsConflict(error))
    LogInfo("somebody else wrote at the same time; looking again", {{"message", error.message}});
  else
    LogError("reconciling failed", error);
  if (error.disposition == Disposition::kTerminal)
    queue_.Forget(key);
  else
    queue_.AddRateLimited(key);
}

}  // namespace cutover::kube
