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

}  // namespace cutover::api
