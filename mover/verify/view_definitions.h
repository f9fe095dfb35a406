// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "mover/plan/restore_script.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// Servers of different majors write the same view down in different words (16 and newer leave out
/// qualifiers that are not needed). For each view whose words differ, lets the target's server read
/// the source's definition and write it down itself, and puts that into `script`, the source's.
/// What differs then differs in meaning.
///
/// The target reads it as a temporary view in a transaction that is rolled back. A definition that
/// the target cannot read stays as it is and will show as a difference.
Status TranslateViewDefinitions(std::stop_token stop, pg::Connection& source,
                                pg::Connection& target, RestoreScript& script);

}  // namespace cutover::mover
