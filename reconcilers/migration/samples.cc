// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/samples.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "operator/api/field_writer.h"

namespace cutover::migration {
namespace {

using api::Sample;

constexpr std::chrono::seconds kSpacingMin{10};

// The longer curve has at least half of all samples when it is thinned out, so this many stay. One
// that has fewer never was.
constexpr size_t kThinnedMin = api::kSamplesMax / 4;

bool IsOfCopy(const Sample& sample) { return sample.copied_bytes.has_value(); }

// Twice as far for each time that the curve was thinned out, which doubles its smallest gap. Longer
// gaps tell nothing: a person may have been waited for, or no operator may have led.
WallTime::duration SpacingOf(const std::vector<Sample>& samples, bool of_copy) {
  size_t count = 0;
  std::optional<WallTime> last;
  WallTime::duration gap_min = WallTime::duration::max();
  for (const Sample& sample : samples) {
    if (IsOfCopy(sample) != of_copy) continue;
    ++count;
    if (last) gap_min = std::min(gap_min, sample.time - *last);
    last = sample.time;
  }
  WallTime::duration spacing = kSpacingMin;
  if (count < kThinnedMin) return spacing;
  while (spacing <= gap_min / 2) spacing *= 2;
  return spacing;
}

bool IsTooNear(const Sample& sample, const std::vector<Sample>& samples) {
  if (samples.empty()) return false;
  if (sample.time - samples.back().time < kSpacingMin) return true;
  const auto last = std::find_if(samples.rbegin(), samples.rend(), [&](const Sample& earlier) {
    return IsOfCopy(earlier) == IsOfCopy(sample);
  });
  return last != samples.rend() && sample.time - last->time < SpacingOf(samples, IsOfCopy(sample));
}

// The first sample of a curve stays for ever: it is where the curve begins.
void ThinOutLonger(std::vector<Sample>& samples) {
  const auto copied = static_cast<size_t>(std::count_if(samples.begin(), samples.end(), IsOfCopy));
  const bool of_copy = copied > samples.size() / 2;
  std::vector<Sample> kept;
  size_t place = 0;
  for (const Sample& sample : samples)
    if (IsOfCopy(sample) != of_copy || place++ % 2 == 0) kept.push_back(sample);
  samples = std::move(kept);
}

}  // namespace

void AddSample(const Sample& sample, std::vector<Sample>& samples) {
  Sample added = sample;
  // As it is read again: what is rounded away would make a gap look smaller than it was.
  added.time = std::chrono::floor<std::chrono::microseconds>(sample.time);
  if (IsTooNear(added, samples)) return;
  if (samples.size() >= api::kSamplesMax) {
    ThinOutLonger(samples);
    if (IsTooNear(added, samples)) return;
  }
  samples.push_back(added);
}

}  // namespace cutover::migration
