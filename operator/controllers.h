// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "operator/flags.h"
#include "operator/kube/client.h"
#include "operator/kube/events.h"
#include "operator/kube/manager.h"
#include "operator/telemetry/object_metrics.h"
#include "operator/telemetry/runtime_metrics.h"

namespace cutover {

/// What controllers are made of; all of it outlives them.
struct ControllerParts {
  const OperatorFlags& flags;
  kube::Client& client;
  kube::Manager& manager;
  kube::EventRecorder& events;
  telemetry::RuntimeMetrics& runtime;
  telemetry::ObjectMetrics& objects;
};

/// The operator's three reconcilers with their stores, wired to the manager that runs them.
/// Outlives the manager's Run.
class Controllers {
 public:
  explicit Controllers(const ControllerParts& parts);
  ~Controllers();
  Controllers(const Controllers&) = delete;
  Controllers& operator=(const Controllers&) = delete;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cutover
