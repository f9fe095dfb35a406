-- SPDX-License-Identifier: Apache-2.0
-- Degraded fails a sync, so it is said only of what stays as it is without a person: condition
-- Stalled. Trouble that is tried again is Progressing; waiting for somebody's answer is Suspended.
-- The reasons are those of operator/api/waits_for_person.h; a test says which one differs.
local waits_for_a_person = {
  ApplyFails = true,
  AwaitingApproval = true,
  AwaitingWayBack = true,
  EpochBehind = true,
  HypercareCheckFailed = true,
  LedgerMissing = true,
  MoveWasOver = true,
  NoWayBack = true,
  PlacementNotFound = true,
  PodCannotStart = true,
  SmokeFailedNoWayBack = true,
  PreflightFailed = true,
  PreparedTransactions = true,
  RollbackNeedsConsent = true,
  SchemaChanged = true,
  SourceGone = true,
  SuperuserOwner = true,
  Suspended = true,
  TargetGone = true,
}

local function is_current(condition, status)
  return condition ~= nil and condition.status == status
end

if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "being deleted: undone, or finished, first" }
end
if obj.status == nil or obj.status.conditions == nil then
  return { status = "Progressing", message = "not seen by the operator yet" }
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "its change was not seen by the operator yet" }
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local health = { status = "Progressing", message = obj.status.message or "" }
if is_current(conditions.Stalled, "True") then
  health.status = "Degraded"
elseif is_current(conditions.Ready, "True") then
  health.status = "Healthy"
elseif conditions.Ready ~= nil and waits_for_a_person[conditions.Ready.reason] then
  health.status = "Suspended"
end
if health.message == "" then
  health.message = obj.status.phase or ""
end
return health
