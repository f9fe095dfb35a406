// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/ledger.h"

#include "operator/kube/error.h"
#include "operator/kube/metadata.h"
#include "reconcilers/wiring/base64.h"

namespace cutover::migration {
namespace {

constexpr char kKey[] = "ledger.json";

Result<Ledger> Decode(const Json& secret) {
  TRY_ASSIGN(std::string text, wiring::DecodeBase64(secret.At({"data", kKey}).StringRef()));
  TRY_ASSIGN(Json json, Json::Parse(text));
  return Ledger{json["migration"], json["placement"], json["workloads"], json["routes"],
                json["wiring"]};
}

}  // namespace

std::string LedgerName(const api::TenantMigration& migration) {
  return "cutover-ledger-" + migration.meta.uid;
}

Result<std::optional<Ledger>> ReadLedger(std::stop_token stop, Deadline deadline,
                                         kube::Client& client, const std::string& ns,
                                         const api::TenantMigration& migration) {
  TRY_ASSIGN(auto secret, client.Get(stop, deadline, kube::kSecret, {ns, LedgerName(migration)}));
  if (!secret) return std::optional<Ledger>();
  TRY_ASSIGN(Ledger ledger, Decode(*secret));
  return std::optional<Ledger>(std::move(ledger));
}

Result<std::vector<FoundLedger>> ListLedgers(std::stop_token stop, Deadline deadline,
                                             kube::Client& client, const std::string& ns) {
  kube::ListOptions options;
  options.ns = ns;
  options.label_selector = api::kMigrationUidLabel;
  TRY_ASSIGN(kube::ObjectList secrets, client.List(stop, deadline, kube::kSecret, options));
  std::vector<FoundLedger> found;
  for (const Json& secret : secrets.items) {
    auto ledger = Decode(secret);
    if (!ledger) continue;  // Some other Secret that carries our label.
    std::string uid = secret.At({"metadata", "labels", api::kMigrationUidLabel}).AsString();
    found.push_back({std::move(uid), std::move(*ledger)});
  }
  return found;
}

Status WriteLedgerOnce(std::stop_token stop, Deadline deadline, kube::Client& client,
                       const std::string& ns, const api::TenantMigration& migration,
                       const Ledger& ledger) {
  Json json = Json::Object({{"migration", ledger.migration},
                            {"placement", ledger.placement},
                            {"workloads", ledger.workloads},
                            {"routes", ledger.routes},
                            {"wiring", ledger.wiring}});
  Json secret = kube::NewObject(kube::kSecret, {ns, LedgerName(migration)});
  secret.MutableAt("metadata")
      .Set("labels", Json::Object({{api::kManagedByLabel, api::kManagedByValue},
                                   {api::kMigrationUidLabel, migration.meta.uid}}));
  secret.Set("immutable", true);
  secret.Set("data", Json::Object({{kKey, wiring::EncodeBase64(json.Dump())}}));
  auto created = client.Create(stop, deadline, kube::kSecret, secret);
  if (created || kube::IsAlreadyExists(created.error())) return Ok();
  return tl::make_unexpected(created.error());
}

Status DeleteLedger(std::stop_token stop, Deadline deadline, kube::Client& client,
                    const std::string& ns, const api::TenantMigration& migration) {
  return client.Delete(stop, deadline, kube::kSecret, {ns, LedgerName(migration)});
}

}  // namespace cutover::migration
