// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/restore_waves.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace cutover::mover {
namespace {

bool IsNumerous(const RestoreItem& item) {
  constexpr std::string_view kTypes[] = {"TABLE", "SEQUENCE", "SEQUENCE OWNED BY", "DEFAULT"};
  if (std::find(std::begin(kTypes), std::end(kTypes), item.type) != std::end(kTypes)) return true;
  if (item.type != "COMMENT" && item.type != "ACL") return false;
  constexpr std::string_view kOn[] = {"TABLE ", "COLUMN ", "SEQUENCE "};
  return std::any_of(std::begin(kOn), std::end(kOn),
                     [&](std::string_view on) { return item.name.rfind(on, 0) == 0; });
}

RestoreWave Alone(const std::vector<const RestoreItem*>& items) {
  return {RestoreUnit{items, 0, 0, {}}};
}

/// Cuts a wave's items into units. `family` says which items touch the same table.
RestoreWave CutUnits(std::vector<std::pair<int, const RestoreItem*>> by_family) {
  std::stable_sort(by_family.begin(), by_family.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  RestoreWave wave;
  size_t bytes = 0;
  int last_family = 0;
  for (const auto& [family, item] : by_family) {
    const bool full = wave.empty() || wave.back().items.size() >= kUnitItemsMax ||
                      bytes + item->sql.size() > kUnitSqlBytesMax;
    if (full && (wave.empty() || family != last_family)) {
      wave.emplace_back();
      bytes = 0;
    }
    wave.back().items.push_back(item);
    bytes += item->sql.size();
    last_family = family;
  }
  return wave;
}

/// The waves of a run of numerous items: one for each step of their longest chain of dependencies.
void AddRun(const std::vector<const RestoreItem*>& run, std::vector<RestoreWave>& waves) {
  struct Place {
    size_t step = 0;
    int family = 0;
  };
  std::map<int, Place> places;
  std::vector<std::vector<std::pair<int, const RestoreItem*>>> steps;
  for (const RestoreItem* item : run) {
    Place place{0, item->dump_id};
    for (int id : item->depends_on) {
      auto found = places.find(id);
      if (found == places.end()) continue;
      place.step = std::max(place.step, found->second.step + 1);
      place.family = std::min(place.family, found->second.family);
    }
    places[item->dump_id] = place;
    if (steps.size() <= place.step) steps.resize(place.step + 1);
    steps[place.step].emplace_back(place.family, item);
  }
  for (auto& step : steps) waves.push_back(CutUnits(std::move(step)));
}

}  // namespace

std::vector<RestoreWave> PlanWaves(const std::vector<const RestoreItem*>& items) {
  std::vector<RestoreWave> waves;
  for (size_t from = 0; from < items.size();) {
    const bool numerous = IsNumerous(*items[from]);
    size_t to = from;
    while (to < items.size() && IsNumerous(*items[to]) == numerous) ++to;
    const std::vector<const RestoreItem*> run(items.begin() + static_cast<ptrdiff_t>(from),
                                              items.begin() + static_cast<ptrdiff_t>(to));
    if (numerous && run.size() > kUnitItemsMax)
      AddRun(run, waves);
    else
      waves.push_back(Alone(run));
    from = to;
  }
  return waves;
}

}  // namespace cutover::mover
