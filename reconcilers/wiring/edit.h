// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"

namespace cutover::wiring {

/// The JSON merge patch (RFC 7386) that makes `after` of `before`; nothing when they are equal.
/// Arrays are replaced whole. Neither may hold nulls that matter, which such a patch cannot set.
std::optional<Json> MergePatchBetween(const Json& before, const Json& after);

/// The same with `before`'s resourceVersion, so that it applies to that version only.
std::optional<Json> ConditionalPatch(const Json& before, const Json& after);

/// The kinds that a placement may name. Nothing for any other.
std::optional<kube::Resource> ResourceOfKind(std::string_view kind);

/// The field managers of edits: the API server keeps, for each field, who set it last. GitOps tools
/// are told to leave alone what the first has written (docs/gitops.md), so what goes back to what
/// it was goes back under the second, and is compared with Git again.
inline constexpr char kChanging[] = "cutover";
inline constexpr char kPuttingBack[] = "cutover-restore";

/// Changes an object in place; the live version, and again the next one after a conflict.
using Edit = std::function<Status(Json& object)>;

/// Reads the object live, edits it, and writes what has changed on condition that nobody else wrote
/// meanwhile; on conflict, or when in doubt, it looks again (at most `kEditAttemptsMax` times).
/// False when there is no such object. Writes nothing when the edit changes nothing. `manager` is
/// kChanging or kPuttingBack.
Result<bool> EditObject(std::stop_token stop, Deadline deadline, kube::Client& client,
                        const kube::Resource& resource, const kube::Key& key, const Edit& edit,
                        const std::string& manager = kChanging);

inline constexpr int kEditAttemptsMax = 5;

}  // namespace cutover::wiring
