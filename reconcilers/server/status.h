// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "operator/api/database_server.h"
#include "operator/base/clock.h"
#include "operator/base/result.h"
#include "postgres/server_probe.h"

namespace cutover::server {

/// The status after a probe. Pure.
///
/// Ready's reasons: Ready; SecretMissing, SecretKeyMissing, Unreachable, ServerStarting (these may
/// pass by themselves); AuthenticationFailed, TlsFailed, PrivilegesMissing, IdentityChanged,
/// StandbyServer, UnsupportedServer, and what else PostgreSQL refuses us with.
/// LogicalReplicationReady's: Ready, NotConfigured, NotProbed.
///
/// What was seen last stays visible while the server cannot be probed, and while another one
/// answers in its place.
api::DatabaseServerStatus DecideStatus(const api::DatabaseServer& server,
                                       const Result<pg::ServerFacts>& probe, WallTime now);

}  // namespace cutover::server
