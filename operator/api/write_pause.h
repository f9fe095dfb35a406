// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "operator/api/tenant_migration.h"

namespace cutover::api {

/// For how many seconds a cutover may keep users out before it is given up: what the spec says. If
/// it says nothing, Offline has no bound, since that depends on the size of the database; Online
/// promises a short pause, so there it is a minute.
inline std::optional<int> WritePauseSecondsMax(int said_seconds, bool online) {
  constexpr int kOnlineDefault = 60;
  if (said_seconds > 0) return said_seconds;
  return online ? std::optional(kOnlineDefault) : std::nullopt;
}

inline std::optional<int> WritePauseSecondsMax(const TenantMigrationSpec& spec) {
  return WritePauseSecondsMax(spec.max_write_pause_seconds, spec.online());
}

/// Since when the users of a migration that is under way have been shut out; nothing while they can
/// work, wherever that is. Going back from Hypercare stops them a second time.
inline std::optional<WallTime> ShutOutSince(const CutoverStatus& cutover,
                                            const RollbackStatus& rollback) {
  if (rollback.fenced_at && !rollback.opened_at) return rollback.fenced_at;
  return cutover.opened_at ? std::nullopt : cutover.fenced_at;
}

}  // namespace cutover::api
