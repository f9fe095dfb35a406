-- SPDX-License-Identifier: Apache-2.0
-- Degraded fails a sync, so it is said only of what stays as it is without a person: condition
-- Stalled. What may pass by itself is Progressing.
if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "being deleted" }
end
if obj.status == nil or obj.status.conditions == nil then
  return { status = "Progressing", message = "not seen by the operator yet" }
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "its change was not seen by the operator yet" }
end

local health = { status = "Progressing", message = "" }
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then
    health.message = condition.message
    if condition.status == "True" then
      health.status = "Healthy"
    end
  end
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Stalled" and condition.status == "True" then
    health.status = "Degraded"
    health.message = condition.message
  end
end
return health
