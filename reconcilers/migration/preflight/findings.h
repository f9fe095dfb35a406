// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "operator/base/enumerate.h"
#include "reconcilers/migration/preflight/facts.h"

namespace cutover::migration {

/// What the lines of the preflight are made of; see checks.h.
using Findings = std::vector<Finding>;

/// Whether `fact` was read; if not, why not becomes a finding. The same fact asked for by several
/// checks gives the same finding, which is reported once.
template <class T>
bool Have(const Fact<T>& fact, Findings& findings) {
  if (!fact.known())
    findings.push_back({Severity::kBlocking, fact.error().reason, fact.error().message});
  return fact.known();
}

/// "a, b, c and 4 more"
inline std::string List(const std::vector<std::string>& items, size_t shown_max = 5) {
  return Enumerate(items, shown_max);
}

// The checks that look into the two servers (database_checks.cc).
Findings NeverToOlderMajor(const PreflightFacts& facts);
Findings TenantIsAsThePlacementSays(const PreflightFacts& facts);
Findings TenantCanBeFenced(const PreflightFacts& facts);
Findings OperatorMayDoItsWork(const PreflightFacts& facts);
Findings NoPreparedTransactions(const PreflightFacts& facts);
Findings TargetHasNoSuchDatabase(const PreflightFacts& facts);
Findings LocaleCanBeReproduced(const PreflightFacts& facts);
Findings ExtensionsAreAvailable(const PreflightFacts& facts);
Findings RolesDoNotClash(const PreflightFacts& facts);
Findings RolesKeepToTheirDatabase(const PreflightFacts& facts);
Findings CopyCanBeDoneAsOrdered(const PreflightFacts& facts);
Findings TenantCanBackItselfUp(const PreflightFacts& facts);
Findings WhatDoesNotMoveByItself(const PreflightFacts& facts);

// What this placement and others name (sharing.cc).
Findings NothingIsShared(const PreflightFacts& facts);

// The checks of strategy Online (online.cc); without findings for Offline.
Findings ServersReplicate(const PreflightFacts& facts);
Findings SourceCanBeFollowed(const PreflightFacts& facts);
Findings BothPathsAreOpen(const PreflightFacts& facts);
Findings PoolersCanPause(const PreflightFacts& facts);

}  // namespace cutover::migration
