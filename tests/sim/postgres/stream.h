// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/sim/postgres/model_server.h"

namespace cutover::sim {

/// Whether the subscription's worker gets anything: it is enabled, and the publisher lets it in and
/// has slot and publication.
bool Works(const Subscription& subscription);

/// What the apply workers of the server's subscriptions do: of each, applies at most `changes_max`
/// that were made until `made_until`, in their order, and lets the publisher's slot go there.
/// Whether anything changed.
bool ApplyStreams(ModelServer& subscriber, WallTime made_until, int changes_max);

/// Makes the slot at the end of the database's log, as somebody who is not the operator.
void MakeSlot(ModelServer& server, const std::string& database, const std::string& name);
void DropSlot(ModelServer& server, const std::string& name);

}  // namespace cutover::sim
