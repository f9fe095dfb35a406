-- SPDX-License-Identifier: Apache-2.0
-- An action is offered while the operator would act upon it, and shown as disabled otherwise.
local status = obj.status or {}
local phase = status.phase or "Pending"
local ends = { Completed = true, Aborted = true, Failed = true, RolledBack = true }
local goes_back = { Undoing = true, RollingBack = true }
local may_roll_back = { Opening = true, Smoke = true, Admitting = true, Hypercare = true }

local ready = ""
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    ready = condition.reason
  end
end
local lives = obj.metadata.deletionTimestamp == nil
local journaled = status.cutover ~= nil and status.cutover.journaledAt ~= nil
local runs = lives and not ends[phase] and not goes_back[phase]
local suspended = obj.spec.suspend == true

return {
  approve = { disabled = not (runs and ready == "AwaitingApproval"), iconClass = "fa fa-fw fa-check" },
  abort = { disabled = not (runs and not journaled), iconClass = "fa fa-fw fa-stop" },
  rollback = { disabled = not (runs and may_roll_back[phase] == true), iconClass = "fa fa-fw fa-undo" },
  retry = {
    disabled = not (lives and (phase == "Failed" or phase == "Aborted")),
    iconClass = "fa fa-fw fa-redo",
  },
  suspend = { disabled = not (runs and not suspended), iconClass = "fa fa-fw fa-pause" },
  resume = { disabled = not (runs and suspended), iconClass = "fa fa-fw fa-play" },
}
