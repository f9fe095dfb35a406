// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/base/json.h"

namespace cutover::migration {

// What a service mesh puts into a pod beside the work that the pod was made for: the kubelet lists
// containers by their names, so istio-proxy and linkerd-proxy come before the mover, and a proxy
// that does not end by itself keeps its Job from ever being Complete or Failed. Which containers
// are the work is said by the template of the pod's owner (a Job, a Deployment), which no webhook
// touches.

/// The status of the first container of `owner`'s template in its `pod`; null where there is none.
const Json* FindStatusOfWork(const Json& owner, const Json& pod);

/// Whether the work in the newest of the Job's `pods` went well, where it is over and something
/// else lives on in that pod. Nothing in every other case: then the Job's own conditions say how it
/// ended, and its controller replaces a pod that failed. One that lives on is not replaced, so work
/// that failed there is a Job that has failed, whatever its backoffLimit. Pure.
std::optional<bool> FindEndBesideOthers(const Json& job, const std::vector<Json>& pods);

/// What the work in the newest of the Job's `pods` said when it ended; empty when it left no
/// message. Pure.
std::string FindLastWords(const Json& job, const std::vector<Json>& pods);

/// Why the last of the Job's `pods` failed that did: what the work in it said, else the kubelet's
/// word for it (Evicted, OOMKilled) or the exit code; empty where none has, or they are gone. Pure.
std::string FindLastFailure(const Json& job, const std::vector<Json>& pods);

}  // namespace cutover::migration
