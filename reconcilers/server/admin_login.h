// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "operator/api/database_server.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "postgres/connection.h"

namespace cutover::server {

/// A value of a Secret. Retry errors "SecretMissing" and "SecretKeyMissing" that name what to
/// create: somebody may do so at any moment.
Result<std::string> ReadSecretValue(std::stop_token stop, Deadline deadline, kube::Client& client,
                                    const kube::Key& secret, const std::string& key);

/// Whether the error is about what a Secret holds or lacks, rather than about reading it.
bool IsLoginIncomplete(const Error& error);

/// Where a server is and how connections to it are protected, with its certificate authority if it
/// has one; database, user and password are left to the caller.
Result<pg::ConnectOptions> ServerAddress(std::stop_token stop, Deadline deadline,
                                         kube::Client& client,
                                         const std::string& operator_namespace,
                                         const api::DatabaseServer& server);

/// The same as the server's administrator, for database "postgres".
Result<pg::ConnectOptions> AdminLogin(std::stop_token stop, Deadline deadline, kube::Client& client,
                                      const std::string& operator_namespace,
                                      const api::DatabaseServer& server);

}  // namespace cutover::server
