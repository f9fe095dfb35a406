// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/server/pooler_login.h"

#include <algorithm>
#include <utility>

#include "reconcilers/server/admin_login.h"

namespace cutover::server {

Result<std::vector<pg::PoolerLogin>> PoolerLogins(std::stop_token stop, Deadline deadline,
                                                  const wiring::Access& access,
                                                  const api::DatabaseServer& server) {
  std::vector<pg::PoolerLogin> logins;
  if (!server.spec.pooler) return logins;
  const api::Pooler& pooler = *server.spec.pooler;
  const kube::Key secret{access.operator_namespace, pooler.admin_secret_name};
  pg::PoolerLogin login;
  TRY_ASSIGN(login.user, ReadSecretValue(stop, deadline, access.client, secret, "username"));
  TRY_ASSIGN(login.password, ReadSecretValue(stop, deadline, access.client, secret, "password"));
  TRY_ASSIGN(
      const wiring::AllBackends backends,
      wiring::FindAllBackends(stop, deadline, access, {pooler.admin_host, pooler.admin_port}));
  login.port = backends.port;
  for (const auto* addresses : {&backends.ready, &backends.unready}) {
    login.ready = addresses == &backends.ready;
    for (const std::string& address : *addresses) {
      login.host = address;
      logins.push_back(login);
    }
  }
  return logins;
}

Result<std::vector<pg::PoolerLogin>> PoolerLogins(std::stop_token stop, Deadline deadline,
                                                  const wiring::Access& access,
                                                  const std::vector<api::DatabaseServer>& servers) {
  std::vector<pg::PoolerLogin> logins;
  for (const api::DatabaseServer& server : servers) {
    TRY_ASSIGN(auto found, PoolerLogins(stop, deadline, access, server));
    for (pg::PoolerLogin& login : found) {
      auto known = std::find_if(logins.begin(), logins.end(), [&](const pg::PoolerLogin& other) {
        return other.host == login.host && other.port == login.port;
      });
      if (known == logins.end())
        logins.push_back(std::move(login));
      else
        known->ready |= login.ready;
    }
  }
  return logins;
}

}  // namespace cutover::server
