// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "operator/api/database_server.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "postgres/connection.h"

namespace cutover {

/// How the operator reaches a DatabaseServer as its administrator, at database "postgres":
/// endpoint, the Secret's username and password, and the CA. Secrets are read live from
/// `operator_namespace`, so a rotated password is used at once. Retry errors: "SecretMissing",
/// "SecretKeyMissing", naming the Secret and the key to add.
Result<pg::ConnectOptions> ReadAdminOptions(std::stop_token stop, Deadline deadline,
                                            kube::Client& client,
                                            const std::string& operator_namespace,
                                            const api::DatabaseServer& server);

}  // namespace cutover
