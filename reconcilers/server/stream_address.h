// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "operator/api/database_server.h"
#include "postgres/replication.h"

namespace cutover::server {

/// Where another server finds `database` of this one. A subscription can name no file of the
/// subscriber's machine, so certificates are not checked by it: what spec.endpoint says is to be
/// verified is encrypted ("require").
pg::PublisherAddress StreamAddress(const api::DatabaseServer& server, const std::string& database);

}  // namespace cutover::server
