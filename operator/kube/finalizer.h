// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "operator/kube/client.h"

namespace cutover::kube {

/// Finalizers: promises to clean up before an object goes.
///
/// *Expected flow*: EnsureFinalizer; wait until a read shows it; only then have effects that need
/// cleaning up. When the object is being deleted: clean up (idempotently, and also when nothing was
/// ever done), then RemoveFinalizer, after which the object is gone and nothing more is called.
///
/// *Guarantees*: both read the object live, act on the one with `uid` only, and write on condition
/// that nobody has changed it meanwhile; other finalizers stay in place and order.
///
/// *Errors*: IsConflict when somebody else wrote at the same time: reconcile again. EnsureFinalizer
/// on an object that is absent, another one, or being deleted is NotFound or Conflict.

bool HasFinalizer(const Json& object, const std::string& finalizer);

/// The object with the finalizer in place.
Result<Json> EnsureFinalizer(std::stop_token stop, Deadline deadline, Client& client,
                             const Resource& resource, const Key& key, const std::string& uid,
                             const std::string& finalizer);

/// Ok also when the object or the finalizer is gone already.
Status RemoveFinalizer(std::stop_token stop, Deadline deadline, Client& client,
                       const Resource& resource, const Key& key, const std::string& uid,
                       const std::string& finalizer);

}  // namespace cutover::kube
