// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "reconcilers/migration/observation.h"
#include "reconcilers/migration/preflight/facts.h"

namespace cutover::migration {

/// One line of the preflight: pure, and independent of the lines before it.
struct PreflightCheck {
  std::string_view name;
  std::string_view makes_sure_that;
  std::vector<Finding> (*run)(const PreflightFacts& facts);
  /// Whether it is asked at all, for this spec and these objects; null: always. One that is not has
  /// no findings either.
  bool (*is_asked)(const PreflightFacts& facts) = nullptr;
};

/// The preflight as a list that reads as its specification.
std::span<const PreflightCheck> PreflightChecks();

/// Runs every check, so that a person mends everything in one go. What a check needs and could not
/// be read is a blocking finding with the reason why: unknown is never fine, nor ever hopeless.
/// Equal facts give equal findings, in the order of the list, none twice.
std::vector<Finding> CheckPreflight(const PreflightFacts& facts);

/// The same for people: each check that is asked, in the order of the list, also those that pass.
std::vector<api::PreflightLine> LinesOfPreflight(const PreflightFacts& facts);

}  // namespace cutover::migration
