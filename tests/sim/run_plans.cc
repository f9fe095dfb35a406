// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/run_plans.h"

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "operator/base/check.h"
#include "tests/sim/itineraries.h"

namespace cutover::sim {
namespace {

using std::chrono::milliseconds;

constexpr int kThreads = 2;

// The first line of `b` that `a` does not have, to say how two states differ.
std::string Difference(const std::string& a, const std::string& b) {
  for (size_t begin = 0; begin < b.size();) {
    size_t end = std::min(b.find('\n', begin), b.size());
    std::string line = b.substr(begin, end - begin);
    if (a.find(line) == std::string::npos) return line;
    begin = end + 1;
  }
  return "";
}

std::string CompareEnds(const RunResult& result, const RunResult& reference) {
  if (result.end != reference.end || result.end_state == reference.end_state) return "";
  return "ends otherwise than without the fault: has {" +
         Difference(reference.end_state, result.end_state) + "} and lacks {" +
         Difference(result.end_state, reference.end_state) + "}";
}

std::string FailuresOf(const RunPlan& plan, const RunResult& result) {
  std::string text;
  for (const std::string& failure : result.failures) text += failure + "\n  ";
  if (text.empty() && !plan.itinerary->loss_accepted)
    text = CompareEnds(result, ReferenceOf(*plan.itinerary));
  if (text.empty()) return text;
  return text + "\n  replay: CUTOVER_SIM_REPLAY='" + Describe(plan) +
         "' sim_cluster_test --gtest_filter=SimulatedMigration.IsReplayedFromOneLine";
}

int64_t Number(const std::string& text) {
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Fault ParseFault(const std::string& text) {
  Fault fault;
  size_t at = text.find('@'), plus = text.find('+'), rival = text.find('~');
  for (FaultKind kind : kAllFaults)
    if (Name(kind) == text.substr(0, at)) fault.kind = kind;
  fault.at = static_cast<int>(Number(text.substr(at + 1)));
  if (plus != std::string::npos) fault.lasts = milliseconds(Number(text.substr(plus + 1)));
  if (rival != std::string::npos)
    fault.rival_effects = static_cast<int>(Number(text.substr(rival + 1)));
  return fault;
}

}  // namespace

std::string Describe(const RunPlan& plan) {
  std::string text = plan.itinerary->name + "/" + std::to_string(plan.seed) + "/";
  for (const Fault& fault : plan.faults) {
    if (!text.ends_with('/')) text += ',';
    text += std::string(Name(fault.kind)) + "@" + std::to_string(fault.at) + "+" +
            std::to_string(fault.lasts.count()) + "~" + std::to_string(fault.rival_effects);
  }
  return text;
}

RunPlan ParsePlan(const std::string& text) {
  RunPlan plan;
  size_t first = text.find('/'), second = text.rfind('/');
  if (first == std::string::npos || first == second) return plan;
  plan.itinerary = FindItinerary(text.substr(0, first));
  plan.seed = static_cast<uint64_t>(Number(text.substr(first + 1, second - first - 1)));
  for (size_t begin = second + 1; begin < text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    plan.faults.push_back(ParseFault(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return plan;
}

const RunResult& ReferenceOf(const Itinerary& itinerary) {
  static std::mutex mutex;
  static std::map<std::string, RunResult> references;
  std::scoped_lock lock(mutex);
  auto [found, is_new] = references.try_emplace(itinerary.name);
  if (is_new) found->second = Simulation({&itinerary, {}, 0}).Run();
  return found->second;
}

const std::vector<FaultKind>& TriedFaults() {
  static const std::vector<FaultKind> tried = [] {
    std::vector<FaultKind> kinds(std::begin(kSurvivedFaults), std::end(kSurvivedFaults));
    const char* asked = std::getenv("CUTOVER_SIM_FAULTS");
    if (asked == nullptr) return kinds;
    kinds.clear();
    for (FaultKind kind : kAllFaults)
      if (("," + std::string(asked) + ",").find("," + std::string(Name(kind)) + ",") !=
          std::string::npos)
        kinds.push_back(kind);
    CHECK(!kinds.empty());
    return kinds;
  }();
  return tried;
}

RunPlan RandomPlan(uint64_t seed) {
  std::mt19937_64 random(seed);
  RunPlan plan;
  plan.itinerary = &Itineraries()[random() % Itineraries().size()];
  plan.seed = seed;
  int effects = ReferenceOf(*plan.itinerary).effects;
  for (uint64_t left = 1 + random() % 3; left > 0; --left) {
    Fault fault;
    fault.kind = TriedFaults()[random() % TriedFaults().size()];
    fault.at = static_cast<int>(random() % static_cast<uint64_t>(effects + 5));
    fault.lasts = milliseconds(1'000 + random() % 120'000);
    fault.rival_effects = static_cast<int>(random() % 30);
    plan.faults.push_back(fault);
  }
  return plan;
}

Tally RunPlans(const std::vector<RunPlan>& plans, size_t failures_max) {
  Tally tally;
  std::mutex mutex;
  std::atomic<size_t> next{0};
  auto started = std::chrono::steady_clock::now();
  auto work = [&] {
    Tally own;
    for (size_t at = next++; at < plans.size(); at = next++) {
      RunResult result = Simulation(plans[at]).Run();
      ++own.runs;
      own.effects += result.effects;
      own.states.merge(result.states);
      std::string failures = FailuresOf(plans[at], result);
      std::scoped_lock lock(mutex);
      if (!failures.empty()) tally.failures.push_back(std::move(failures));
      if (tally.failures.size() >= failures_max) break;
    }
    std::scoped_lock lock(mutex);
    tally.runs += own.runs;
    tally.effects += own.effects;
    tally.states.merge(own.states);
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back(work);
  }
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  tally.seconds = took.count();
  return tally;
}

}  // namespace cutover::sim
