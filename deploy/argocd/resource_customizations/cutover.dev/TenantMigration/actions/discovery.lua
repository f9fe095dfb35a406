-- SPDX-License-Identifier: Apache-2.0
-- An action is offered while the operator would act upon it, and shown as disabled otherwise. Going
-- back is while nothing is lost by it: beyond that a person must say more than a button can, and no
-- button takes a rollback back that is refused.
local status = obj.status or {}
local phase = status.phase or "Pending"
local ends = { Completed = true, Aborted = true, Failed = true, RolledBack = true }
local goes_back = { Undoing = true, RollingBack = true }
local may_roll_back = { Opening = true, Smoke = true, Admitting = true, Hypercare = true }

local ready = ""
local way_back = false
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    ready = condition.reason
  elseif condition.type == "RollbackReady" then
    way_back = condition.status == "True"
  end
end
way_back = way_back and may_roll_back[phase] == true and ready ~= "RollbackNeedsConsent"
local lives = obj.metadata.deletionTimestamp == nil
local journaled = status.cutover ~= nil and status.cutover.journaledAt ~= nil
local runs = lives and not ends[phase] and not goes_back[phase]
local suspended = obj.spec.suspend == true

return {
  approve = { disabled = not (runs and ready == "AwaitingApproval"), iconClass = "fa fa-fw fa-check" },
  abort = { disabled = not (runs and not journaled), iconClass = "fa fa-fw fa-stop" },
  rollback = { disabled = not (runs and way_back), iconClass = "fa fa-fw fa-undo" },
  retry = {
    disabled = not (lives and (phase == "Failed" or phase == "Aborted")),
    iconClass = "fa fa-fw fa-redo",
  },
  suspend = { disabled = not (runs and not suspended), iconClass = "fa fa-fw fa-pause" },
  resume = { disabled = not (runs and suspended), iconClass = "fa fa-fw fa-play" },
}
