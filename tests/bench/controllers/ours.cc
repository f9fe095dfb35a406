// SPDX-License-Identifier: Apache-2.0
//
// A controller on our runtime that does as little as a controller can: it caches every
// TenantMigration, decoded, and its reconcile looks the object up. peer/main.go does the same on
// controller-runtime. tests/bench/kube runs both and compares what they take.
//
// Says on stdout, a JSON object a line: "leading", "reconciled" once EXPECTED objects have been,
// and "stats" whenever it gets SIGUSR1.
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <unordered_set>

#include "operator/api/tenant_migration.h"
#include "operator/base/mutex.h"
#include "operator/kube/client.h"
#include "operator/kube/http_transport.h"
#include "operator/kube/kubeconfig.h"
#include "operator/kube/manager.h"
#include "operator/memory.h"

namespace cutover {
namespace {

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// "VmRSS" or "VmHWM", in KiB.
int64_t MemoryKibibytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kibibytes = 0;
    if (word == name + ":" && status >> kibibytes) return kibibytes;
  }
  return 0;
}

class Program {
 public:
  explicit Program(size_t expected) : expected_(expected) {}

  void Say(const std::string& what) {
    std::cout << "{\"event\":\"" + what + "\",\"cpuSeconds\":" + std::to_string(CpuSeconds()) +
                     ",\"rssKibibytes\":" + std::to_string(MemoryKibibytes("VmRSS")) +
                     ",\"peakRssKibibytes\":" + std::to_string(MemoryKibibytes("VmHWM")) +
                     ",\"changes\":" + std::to_string(changes_.load()) + "}\n"
              << std::flush;
  }

  void NoteChange() { ++changes_; }

  void NoteReconciled(const kube::Key& key) {
    MutexLock lock(mutex_);
    if (said_) return;
    reconciled_.insert(key.ToString());
    if (reconciled_.size() < expected_) return;
    said_ = true;
    reconciled_ = {};
    Say("reconciled");
  }

 private:
  const size_t expected_;
  std::atomic<int64_t> changes_ = 0;
  Mutex mutex_;
  bool said_ GUARDED_BY(mutex_) = false;
  std::unordered_set<std::string> reconciled_ GUARDED_BY(mutex_);
};

int Run(const std::string& kubeconfig, size_t expected, const std::string& lease,
        const std::string& identity) {
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGUSR1, SIGTERM}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  BoundMemory();
  kube::InitializeHttp();
  Result<kube::Connection> connection = kube::LoadConnection(kubeconfig);
  if (!connection) return 1;
  auto client = kube::MakeApiClient(*connection, kube::SilentObserver());
  if (!client) return 1;

  Program program(expected);
  kube::ManagerOptions options;
  if (!lease.empty()) {
    options.election.emplace();
    options.election->lease = {"default", lease};
    options.election->identity = identity;
    options.on_lost = [] { std::_Exit(3); };
  }
  kube::Manager manager(**client, options);
  kube::WatcherOptions watch;
  watch.resource = kube::kTenantMigration;
  auto& store =
      manager.AddStore<api::TenantMigration>(std::move(watch), api::DecodeTenantMigration);
  store.AddHandler(
      [&](kube::Change, const kube::Key&, const auto&, const auto&) { program.NoteChange(); });
  manager
      .AddController({.name = "bench"},
                     [&](std::stop_token, Deadline, const kube::Key& key) -> Result<kube::Step> {
                       if (store.Get(key)) program.NoteReconciled(key);
                       return kube::Step::Done();
                     })
      .For<api::TenantMigration>(store);
  manager.OnElected([&](int64_t) { program.Say("leading"); });

  std::stop_source stop;
  std::jthread signal_watch([&] {
    for (int number = 0; sigwait(&signals, &number) == 0;) {
      if (number == SIGTERM) break;
      program.Say("stats");
    }
    stop.request_stop();
  });
  const Status ran = manager.Run(stop.get_token());
  if (!ran) std::cerr << ran.error().message << "\n";
  std::_Exit(ran ? 0 : 1);
}

}  // namespace
}  // namespace cutover

int main(int count, char** words) {
  if (count != 3 && count != 5) {
    std::cerr << "usage: bench_controller KUBECONFIG EXPECTED [LEASE IDENTITY]\n";
    return 2;
  }
  return cutover::Run(words[1], std::stoul(words[2]), count == 5 ? words[3] : "",
                      count == 5 ? words[4] : "");
}
