// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "operator/api/tenant_migration.h"

namespace cutover::migration {

/// Adds a sample to the curves of a move, unless the last one is too near: samples of one curve are
/// at least ten seconds apart. Pure.
///
/// The copy and the lag are a curve each, and both together hold no more than api::kSamplesMax. At
/// that bound every second sample of the longer one goes, and from then on its samples are twice as
/// far apart: days of hypercare leave the copy's curve as it was. How far that is can be read from
/// the samples that are kept, so that whoever leads next goes on alike.
void AddSample(const api::Sample& sample, std::vector<api::Sample>& samples);

}  // namespace cutover::migration
