// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/unreadable.h"

#include "operator/api/conditions.h"
#include "operator/api/field_writer.h"

namespace cutover::migration {
namespace {

constexpr char kReady[] = "Ready", kStalled[] = "Stalled";

}  // namespace

std::optional<Json> UnreadableStatus(const Json& object, const Error& why, WallTime now) {
  const std::string message =
      why.message +
      ": correct it in a new TenantMigration, or, if a newer CRD admits it, bring the operator to "
      "the CRD's version; nothing is done until then";
  const int64_t generation = object.At({"metadata", "generation"}).AsInt();
  bool reason_is_new = true;
  Json kept = Json::Array();
  for (const Json& condition : object["status"]["conditions"].Items()) {
    const std::string& type = condition["type"].StringRef();
    if (type == kReady && condition["reason"].StringRef() == why.reason) {
      if (condition["message"].StringRef() == message) return std::nullopt;
      reason_is_new = false;
    }
    if (type != kReady && type != kStalled && type != "Reconciling") kept.Append(condition);
  }
  api::Conditions said;
  said.Set({kReady, api::ConditionStatus::kFalse, why.reason, message, generation, {}}, now);
  said.Set({kStalled, api::ConditionStatus::kTrue, why.reason, message, generation, {}}, now);
  const Json encoded = api::EncodeConditions(said);
  for (const Json& condition : encoded.Items()) kept.Append(condition);
  Json status = object["status"];
  status.Set("conditions", std::move(kept));
  if (reason_is_new) status.Set("reasonSince", FormatTime(now));
  return status;
}

}  // namespace cutover::migration
