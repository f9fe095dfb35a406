// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "operator/kube/resource.h"
#include "reconcilers/migration/checks/check.h"
#include "reconcilers/wiring/base64.h"

namespace cutover::migration {

Result<std::string> ReadTenantPassword(std::stop_token stop, Deadline deadline,
                                       kube::Client& client,
                                       const api::DatabasePlacement& placement) {
  const api::SecretKeyRef& ref = placement.spec.password_secret_ref;
  TRY_ASSIGN(std::optional<Json> secret,
             client.Get(stop, deadline, kube::kSecret, {placement.meta.namespace_name, ref.name}));
  if (!secret)
    return RetryError("PasswordSecretNotFound",
                      "Secret " + ref.name + " with the password of role " + placement.spec.owner +
                          " does not exist in namespace " + placement.meta.namespace_name +
                          ": create it with key " + ref.key);
  const Json& value = (*secret)["data"][ref.key];
  if (!value.IsString() || value.StringRef().empty())
    return RetryError("PasswordKeyNotFound", "Secret " + ref.name + " has no password under key " +
                                                 ref.key +
                                                 ": add it, or name the right key in spec.database."
                                                 "passwordSecretRef.key of DatabasePlacement " +
                                                 placement.meta.name);
  return wiring::DecodeBase64(value.StringRef());
}

pg::ConnectOptions AsTenant(const pg::ConnectOptions& admin,
                            const api::DatabasePlacement& placement, const std::string& password) {
  pg::ConnectOptions tenant = admin.WithDatabase(placement.spec.database_name);
  tenant.user = placement.spec.owner;
  tenant.password = password;
  tenant.application_name = "cutover";
  return tenant;
}

}  // namespace cutover::migration
