// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/server/admin_login.h"

#include <optional>
#include <utility>

#include "reconcilers/wiring/base64.h"

namespace cutover::server {

Result<std::string> ReadSecretValue(std::stop_token stop, Deadline deadline, kube::Client& client,
                                    const kube::Key& secret, const std::string& key) {
  TRY_ASSIGN(const std::optional<Json> object, client.Get(stop, deadline, kube::kSecret, secret));
  if (!object)
    return RetryError("SecretMissing",
                      "Secret " + secret.ToString() + " does not exist: create it with key " + key);
  const Json* value = (*object)["data"].Find(key);
  if (value == nullptr || value->StringRef().empty())
    return RetryError("SecretKeyMissing",
                      "Secret " + secret.ToString() + " has no value for key " + key + ": add it");
  return wiring::DecodeBase64(value->StringRef());
}

bool IsLoginIncomplete(const Error& error) {
  return error.reason == "SecretMissing" || error.reason == "SecretKeyMissing" ||
         error.reason == "InvalidBase64";
}

Result<pg::ConnectOptions> ServerAddress(std::stop_token stop, Deadline deadline,
                                         kube::Client& client,
                                         const std::string& operator_namespace,
                                         const api::DatabaseServer& server) {
  const api::Endpoint& endpoint = server.spec.endpoint;
  pg::ConnectOptions options;
  options.host = endpoint.host;
  options.port = endpoint.port;
  options.ssl_mode = endpoint.ssl_mode;
  if (!endpoint.ca_secret_name.empty()) {
    TRY_ASSIGN(options.ca_pem,
               ReadSecretValue(stop, deadline, client,
                               {operator_namespace, endpoint.ca_secret_name}, "ca.crt"));
  }
  return options;
}

Result<pg::ConnectOptions> AdminLogin(std::stop_token stop, Deadline deadline, kube::Client& client,
                                      const std::string& operator_namespace,
                                      const api::DatabaseServer& server) {
  const kube::Key secret{operator_namespace, server.spec.admin_secret_name};
  TRY_ASSIGN(pg::ConnectOptions options,
             ServerAddress(stop, deadline, client, operator_namespace, server));
  TRY_ASSIGN(options.user, ReadSecretValue(stop, deadline, client, secret, "username"));
  TRY_ASSIGN(options.password, ReadSecretValue(stop, deadline, client, secret, "password"));
  options.database = "postgres";
  options.application_name = "cutover-operator";
  return options;
}

}  // namespace cutover::server
