// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "operator/base/clock.h"

namespace cutover::api {

inline constexpr char kGroup[] = "cutover.dev";
inline constexpr char kVersion[] = "v1alpha1";
inline constexpr char kApiVersion[] = "cutover.dev/v1alpha1";

/// Keeps an object until the operator has undone or finished what it does for it.
inline constexpr char kFinalizer[] = "cutover.dev/undo";
/// On a DatabasePlacement, with the TenantMigration's uid: a move that must not lose it.
inline constexpr char kMoveFinalizerPrefix[] = "cutover.dev/move-";

/// Commands are annotations, so that Git never fights them; see design: "Resources".
inline constexpr char kApproveAnnotation[] = "cutover.dev/approve";
inline constexpr char kAbortAnnotation[] = "cutover.dev/abort";
inline constexpr char kRollbackAnnotation[] = "cutover.dev/rollback";
inline constexpr char kRetryAnnotation[] = "cutover.dev/retry";
inline constexpr char kAcceptDataLossAnnotation[] = "cutover.dev/accept-data-loss";

/// Labels on everything that the operator creates for a migration, on both sides of a namespace.
inline constexpr char kMigrationUidLabel[] = "cutover.dev/migration-uid";
inline constexpr char kManagedByLabel[] = "app.kubernetes.io/managed-by";
inline constexpr char kManagedByValue[] = "cutover";

/// What we use of metav1.ObjectMeta.
struct ObjectMeta {
  std::string name;
  std::string namespace_name;  ///< Empty for a cluster-scoped object.
  std::string uid;
  std::string resource_version;
  int64_t generation = 0;
  std::optional<WallTime> creation_timestamp;
  std::optional<WallTime> deletion_timestamp;
  std::vector<std::string> finalizers;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;

  bool deleting() const { return deletion_timestamp.has_value(); }
  bool HasFinalizer(const std::string& finalizer) const {
    for (const auto& held : finalizers)
      if (held == finalizer) return true;
    return false;
  }
  /// The annotation's value, or an empty string.
  std::string Annotation(const std::string& key) const {
    auto found = annotations.find(key);
    return found == annotations.end() ? "" : found->second;
  }

  friend bool operator==(const ObjectMeta&, const ObjectMeta&) = default;
};

}  // namespace cutover::api
