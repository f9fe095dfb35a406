// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/run_plans.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
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
constexpr size_t kProcesses = 2;

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

// How much is lost, where somebody accepts that, is a matter of moments; so is which of two rivals
// moves.
std::string JudgedOf(const Itinerary& itinerary, std::string end_state) {
  if (itinerary.has_rival) return "";
  if (!itinerary.loss_accepted) return end_state;
  for (size_t at = 0; (at = end_state.find(kComplete, at)) != std::string::npos;)
    end_state.erase(at, kComplete.size());
  return end_state;
}

std::string CompareEnds(const Itinerary& itinerary, const RunResult& result) {
  const RunResult& reference = ReferenceOf(itinerary);
  const std::string expected = JudgedOf(itinerary, reference.end_state);
  const std::string found = JudgedOf(itinerary, result.end_state);
  if (result.end != reference.end || result.given_up_in_outage || found == expected) return "";
  return "ends otherwise than without the fault: has {" + Difference(expected, found) +
         "} and lacks {" + Difference(found, expected) + "}";
}

std::string WithReplay(const RunPlan& plan, const std::string& text) {
  if (text.empty()) return text;
  return text + "\n  replay: CUTOVER_SIM_REPLAY='" + Describe(plan) +
         "' sim_cluster_test --gtest_filter=SimulatedMigration.IsReplayedFromOneLine";
}

std::string FailuresOf(const RunPlan& plan, const RunResult& result) {
  std::string text;
  for (const std::string& failure : result.failures) text += failure + "\n  ";
  if (text.empty()) text = CompareEnds(*plan.itinerary, result);
  return WithReplay(plan, text);
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

bool TriesEverything() {
  const char* asked = std::getenv("CUTOVER_SIM_ALL");
  return asked != nullptr && std::atoi(asked) != 0;
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
      const RunPlan& plan = plans[at];
      Simulation simulation(plan);
      simulation.reference = &ReferenceOf(*plan.itinerary);
      RunResult result = simulation.Run();
      ++own.runs;
      own.effects += result.effects;
      own.states.merge(result.states);
      std::string failures = FailuresOf(plan, result);
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

// --- forks --------------------------------------------------------------------------------------

namespace {

// A run that goes on in a child: what it comes to arrives as one text of fixed-size numbers and
// words, and its end is the end of the file.
struct Child {
  pid_t pid = 0;
  int pipe = -1;
  const RunPlan* plan = nullptr;
  std::string report{};
};

std::string Report(const RunPlan& plan, const RunResult& result) {
  const int64_t head[] = {result.effects, static_cast<int64_t>(result.states.size())};
  std::string text(reinterpret_cast<const char*>(head), sizeof head);
  for (uint64_t state : result.states)
    text.append(reinterpret_cast<const char*>(&state), sizeof state);
  return text + FailuresOf(plan, result);
}

void WriteAll(int pipe, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = write(pipe, text.data(), text.size());
    CHECK(written > 0);
    text.remove_prefix(static_cast<size_t>(written));
  }
}

/// The run without a fault, which forks where the plans' faults begin.
class Trunk {
 public:
  Trunk(const std::vector<RunPlan>& plans, size_t failures_max) : failures_max_(failures_max) {
    for (const RunPlan& plan : plans)
      due_[{plan.faults.front().at, plan.faults.front().kind == FaultKind::kStaleReads}].push_back(
          &plan);
  }

  /// Returns in this process only.
  Tally Run(const Itinerary& itinerary) {
    Simulation simulation({&itinerary, {}, 0});
    simulation.reference = &ReferenceOf(itinerary);
    simulation.choose_fault = [this](int number, bool stale) { return Branch(number, stale); };
    RunResult result = simulation.Run();
    if (branch_ != nullptr) {
      WriteAll(pipe_, Report(*branch_, result));
      _exit(0);
    }
    while (!children_.empty()) AwaitOne();
    return std::move(tally_);
  }

 private:
  std::optional<Fault> Branch(int number, bool stale) {
    auto plans = due_.find({number, stale});
    if (branch_ != nullptr || plans == due_.end()) return std::nullopt;
    for (const RunPlan* plan : plans->second) {
      while (children_.size() >= kProcesses) AwaitOne();
      if (tally_.failures.size() >= failures_max_) return std::nullopt;
      if (Fork(plan)) return plan->faults.front();
    }
    return std::nullopt;
  }

  /// True in the child.
  bool Fork(const RunPlan* plan) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      branch_ = plan;
      pipe_ = ends[1];
      return true;
    }
    close(ends[1]);
    children_.push_back({pid, ends[0], plan});
    return false;
  }

  void AwaitOne() {
    std::vector<pollfd> pipes;
    for (const Child& child : children_) pipes.push_back({child.pipe, POLLIN, 0});
    CHECK(poll(pipes.data(), pipes.size(), -1) > 0 || errno == EINTR);
    for (size_t at = pipes.size(); at-- > 0;) {
      if (pipes[at].revents == 0) continue;
      char bytes[4096];
      ssize_t count = read(pipes[at].fd, bytes, sizeof bytes);
      CHECK(count >= 0);
      children_[at].report.append(bytes, static_cast<size_t>(count));
      if (count > 0) continue;
      Take(children_[at]);
      children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  void Take(const Child& child) {
    close(child.pipe);
    int status = 0;
    CHECK(waitpid(child.pid, &status, 0) == child.pid);
    ++tally_.runs;
    int64_t head[2];
    const bool whole =
        WIFEXITED(status) && WEXITSTATUS(status) == 0 && child.report.size() >= sizeof head;
    if (!whole) {
      tally_.failures.push_back(
          WithReplay(*child.plan, "died of wait status " + std::to_string(status)));
      return;
    }
    std::string_view rest = child.report;
    std::memcpy(head, rest.data(), sizeof head);
    rest.remove_prefix(sizeof head);
    tally_.effects += head[0];
    for (int64_t left = head[1]; left > 0; --left) {
      uint64_t state = 0;
      std::memcpy(&state, rest.data(), sizeof state);
      rest.remove_prefix(sizeof state);
      tally_.states.insert(state);
    }
    if (!rest.empty()) tally_.failures.emplace_back(rest);
  }

  const size_t failures_max_;
  std::map<std::pair<int, bool>, std::vector<const RunPlan*>> due_;  // By effect, and stale or not.
  std::vector<Child> children_;
  Tally tally_;
  const RunPlan* branch_ = nullptr;  // In a child: the plan that it runs,
  int pipe_ = -1;                    // and where it reports.
};

}  // namespace

Tally RunFromEffects(const std::vector<RunPlan>& plans, size_t failures_max) {
  if (plans.empty()) return {};
  const Itinerary& itinerary = *plans.front().itinerary;
  ReferenceOf(itinerary);  // Known before anything forks.
  auto started = std::chrono::steady_clock::now();
  Tally tally = Trunk(plans, failures_max).Run(itinerary);
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  tally.seconds = took.count();
  return tally;
}

}  // namespace cutover::sim
