// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/manager.h"

#include <atomic>

#include "operator/base/log.h"
#include "operator/base/mutex.h"

namespace cutover::kube {
namespace {

constexpr std::chrono::milliseconds kSyncPoll{20};
constexpr std::chrono::seconds kReleaseTimeout{5};

}  // namespace

Manager::Manager(Client& client, ManagerOptions options, const Clock& clock, Observer& observer)
    : client_(client),
      writes_(client, [this] { return IsLeader(); }),
      options_(std::move(options)),
      clock_(clock),
      observer_(observer) {
  if (options_.election)
    elector_ = std::make_unique<LeaderElector>(client_, *options_.election, clock_, observer_);
}

Manager::~Manager() = default;

std::vector<std::string> Manager::NamespacesOf(const WatcherOptions& watch) const {
  const bool is_free = watch.resource.namespaced && watch.ns.empty();
  if (is_free && !options_.namespaces.empty()) return options_.namespaces;
  return {watch.ns};
}

void Manager::AddWatch(WatcherOptions options, std::shared_ptr<WatchSink> sink) {
  watches_.push_back({std::move(options), std::move(sink)});
}

Controller& Manager::AddController(ControllerOptions options, Reconcile reconcile) {
  controllers_.push_back(
      std::make_unique<Controller>(std::move(options), std::move(reconcile), clock_, observer_));
  return *controllers_.back();
}

void Manager::AddService(std::string name, std::function<void(std::stop_token)> run) {
  services_.push_back({std::move(name), std::move(run)});
}

void Manager::OnElected(std::function<void(int64_t epoch)> on_elected) {
  on_elected_.push_back(std::move(on_elected));
}

Status Manager::Run(std::stop_token stop) {
  // Not the caller's token: what runs in the background must outlast the controllers.
  std::stop_source background;
  std::vector<std::jthread> threads = StartBackground(background.get_token());
  Status outcome;
  if (elector_) {
    outcome = RunElected(stop);
  } else {
    for (const auto& on_elected : on_elected_) on_elected(epoch());
    outcome = RunControllers(stop);
  }
  background.request_stop();
  threads.clear();
  return outcome;
}

std::vector<std::jthread> Manager::StartBackground(std::stop_token stop) {
  std::vector<std::jthread> threads;
  for (const Watch& watch : watches_)
    threads.emplace_back([this, &watch, stop] {
      Watcher(client_, watch.options, *watch.sink, clock_, observer_).Run(stop);
    });
  for (const Service& service : services_)
    threads.emplace_back([&service, stop] {
      LogContext context({{"service", service.name}});
      service.run(stop);
    });
  return threads;
}

Status Manager::RunElected(std::stop_token stop) {
  std::stop_source work;
  std::stop_callback forward(stop, [&] { work.request_stop(); });
  Mutex mutex;
  CondVar changed;
  bool elected = false;
  std::atomic<bool> lost = false;
  // The election goes on while controllers finish: they may need the lease until their last write.
  std::jthread election([&](std::stop_token election_stop) {
    auto outcome = elector_->Run(election_stop, [&](int64_t epoch) {
      for (const auto& on_elected : on_elected_) on_elected(epoch);
      MutexLock lock(mutex);
      elected = true;
      changed.NotifyAll();
    });
    if (outcome != LeaderElector::Outcome::kLost) return;
    lost = true;
    if (options_.on_lost) options_.on_lost();
    work.request_stop();
  });
  bool leading;
  {
    MutexLock lock(mutex);
    leading = changed.Wait(mutex, work.get_token(), Deadline::Never(), [&] { return elected; });
  }
  Status outcome;
  if (leading) outcome = RunControllers(work.get_token());
  election.request_stop();
  election.join();
  if (lost) return RetryError("LeadershipLost", "another process may be leading; start again");
  if (Status released = elector_->Release({}, Deadline::After(kReleaseTimeout)); !released)
    LogWarn("the lease was not given back; the next leader waits for it to expire",
            {{"message", released.error().message}});
  return outcome;
}

Status Manager::RunControllers(std::stop_token stop) {
  TRY(WaitForSync(stop));
  std::vector<std::jthread> threads;
  for (const auto& controller : controllers_)
    threads.emplace_back([&controller, stop] { controller->Run(stop); });
  SleepUntil(stop, Deadline::Never());
  threads.clear();  // Waits for the reconciles under way.
  return Ok();
}

Status Manager::WaitForSync(std::stop_token stop) const {
  Deadline deadline = Deadline::After(options_.cache_sync_timeout);
  for (const FollowedStore& store : stores_) {
    while (!store.has_synced() && !stop.stop_requested()) {
      if (deadline.Expired())
        return RetryError("CacheSyncTimeout",
                          "cannot read " + store.name +
                              ": are the CRDs installed, and may this service account list them?");
      SleepUntil(stop, Deadline::After(kSyncPoll));
    }
  }
  return Ok();
}

int64_t Manager::epoch() const { return elector_ ? elector_->epoch() : 1; }

bool Manager::IsLeader() const { return !elector_ || elector_->IsLeader(); }

std::vector<std::pair<std::string, bool>> Manager::ReadinessFacts() const {
  std::vector<std::pair<std::string, bool>> facts;
  for (const FollowedStore& store : stores_)
    facts.emplace_back(store.name + " synced", store.has_synced());
  return facts;
}

bool Manager::IsHealthy() const { return !elector_ || elector_->IsHealthy(); }

}  // namespace cutover::kube
