// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/access/admin_options.h"

#include "operator/kube/resource.h"
#include "reconcilers/wiring/base64.h"

namespace cutover {
namespace {

Result<std::string> ReadKey(const Json& secret, const std::string& name, const char* key) {
  const Json& value = secret.At({"data", key});
  if (!value.IsString() || value.StringRef().empty())
    return RetryError(
        "SecretKeyMissing",
        "Secret " + name + " in the operator's namespace has no key " + key + ": add it");
  return wiring::DecodeBase64(value.StringRef());
}

Result<Json> ReadSecret(std::stop_token stop, Deadline deadline, kube::Client& client,
                        const std::string& ns, const std::string& name) {
  TRY_ASSIGN(auto secret, client.Get(stop, deadline, kube::kSecret, {ns, name}));
  if (!secret)
    return RetryError("SecretMissing", "Secret " + name + " does not exist in namespace " + ns +
                                           ": create it with the keys the DatabaseServer needs");
  return std::move(*secret);
}

}  // namespace

Result<pg::ConnectOptions> ReadAdminOptions(std::stop_token stop, Deadline deadline,
                                            kube::Client& client,
                                            const std::string& operator_namespace,
                                            const api::DatabaseServer& server) {
  const api::DatabaseServerSpec& spec = server.spec;
  TRY_ASSIGN(Json secret,
             ReadSecret(stop, deadline, client, operator_namespace, spec.admin_secret_name));
  pg::ConnectOptions options;
  options.host = spec.endpoint.host;
  options.port = spec.endpoint.port;
  options.database = "postgres";
  options.ssl_mode = spec.endpoint.ssl_mode;
  TRY_ASSIGN(options.user, ReadKey(secret, spec.admin_secret_name, "username"));
  TRY_ASSIGN(options.password, ReadKey(secret, spec.admin_secret_name, "password"));
  if (!spec.endpoint.ca_secret_name.empty()) {
    TRY_ASSIGN(Json ca, ReadSecret(stop, deadline, client, operator_namespace,
                                   spec.endpoint.ca_secret_name));
    TRY_ASSIGN(options.ca_pem, ReadKey(ca, spec.endpoint.ca_secret_name, "ca.crt"));
  }
  options.application_name = "cutover-operator";
  return options;
}

}  // namespace cutover
