// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/ledger.h"

#include "operator/kube/error.h"
#include "operator/kube/metadata.h"
#include "reconcilers/wiring/base64.h"
#include "reconcilers/wiring/edit.h"

namespace cutover::migration {
namespace {

constexpr char kKey[] = "ledger.json";
constexpr char kOutdatedAnnotation[] = "cutover.dev/requests-outdated";

Result<Ledger> Decode(const Json& secret) {
  TRY_ASSIGN(std::string text, wiring::DecodeBase64(secret.At({"data", kKey}).StringRef()));
  TRY_ASSIGN(Json json, Json::Parse(text));
  return Ledger{json["migration"], json["placement"],
                json["workloads"], json["routes"],
                json["wiring"],    kube::AnnotationOf(secret, kOutdatedAnnotation)};
}

// Those of older versions do not say whose they are.
bool IsOfThisAttempt(const Ledger& ledger, const api::TenantMigration& migration) {
  const int64_t now = migration.status.attempt;
  return ledger.migration["attempt"].AsInt(now) >= now;
}

// What is there under the ledger's name, if it is of an earlier attempt.
Status DeleteEarlier(const std::stop_token& stop, Deadline deadline, kube::Client& client,
                     const kube::Key& key, const api::TenantMigration& migration) {
  TRY_ASSIGN(auto secret, client.Get(stop, deadline, kube::kSecret, key));
  if (!secret) return Ok();
  TRY_ASSIGN(Ledger ledger, Decode(*secret));
  if (IsOfThisAttempt(ledger, migration)) return Ok();
  kube::DeleteOptions how;
  how.uid = kube::UidOf(*secret);
  return client.Delete(stop, deadline, kube::kSecret, key, how);
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
  if (!IsOfThisAttempt(ledger, migration)) return std::optional<Ledger>();
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
    LabelledObject object{kube::kSecret, kube::KeyOf(secret), kube::UidOf(secret), uid};
    found.push_back({std::move(uid), std::move(object), std::move(*ledger)});
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
  TRY(DeleteEarlier(stop, deadline, client, kube::KeyOf(secret), migration));
  auto created = client.Create(stop, deadline, kube::kSecret, secret);
  if (created || kube::IsAlreadyExists(created.error())) return Ok();
  return tl::make_unexpected(created.error());
}

Status NoteOutdated(std::stop_token stop, Deadline deadline, kube::Client& client,
                    const std::string& ns, const api::TenantMigration& migration,
                    const std::string& note) {
  const auto edit = [&note](Json& secret) -> Status {
    secret.MutableAt("metadata").MutableAt("annotations").Set(kOutdatedAnnotation, note);
    return Ok();
  };
  TRY(wiring::EditObject(stop, deadline, client, kube::kSecret, {ns, LedgerName(migration)}, edit));
  return Ok();
}

Status DeleteLedger(std::stop_token stop, Deadline deadline, kube::Client& client,
                    const std::string& ns, const api::TenantMigration& migration) {
  const kube::Key key{ns, LedgerName(migration)};
  TRY_ASSIGN(auto secret, client.Get(stop, deadline, kube::kSecret, key));
  if (!secret) return Ok();
  // This very one: what a leader that froze here sends late must not take the next attempt's.
  return client.Delete(stop, deadline, kube::kSecret, key, {.uid = kube::UidOf(*secret)});
}

}  // namespace cutover::migration
