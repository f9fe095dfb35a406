// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/leader_election.h"

#include <algorithm>

#include "operator/base/check.h"
#include "operator/base/log.h"
#include "operator/base/random.h"
#include "operator/kube/metadata.h"

namespace cutover::kube {
namespace {

using std::chrono::milliseconds;

// Standbys try at different moments. client-go, with 1.2, takes up to 4.4 s to find that a lease
// was given back; ours shall lead within 3.
constexpr double kAcquireJitter = 0.2;
constexpr int kReleaseAttemptsMax = 3;

std::string HolderOf(const Json& lease) { return lease["spec"]["holderIdentity"].AsString(); }
int64_t TransitionsOf(const Json& lease) { return lease["spec"]["leaseTransitions"].AsInt(); }

}  // namespace

LeaderElector::LeaderElector(Client& client, ElectionOptions options, const Clock& clock,
                             Observer& observer)
    : client_(client), options_(std::move(options)), clock_(clock), observer_(observer) {
  CHECK(options_.lease_duration > options_.renew_deadline);
  CHECK(options_.renew_deadline * 5 > options_.retry_period * 6);
  CHECK(!options_.identity.empty());
}

LeaderElector::Outcome LeaderElector::Run(std::stop_token stop,
                                          const std::function<void(int64_t epoch)>& on_elected) {
  bool announced = false;
  while (!stop.stop_requested()) {
    milliseconds wait = Tick(stop);
    if (!announced && IsLeader()) {
      announced = true;
      LogInfo("elected", {{"lease", options_.lease.ToString()}, {"epoch", epoch()}});
      on_elected(epoch());
    }
    if (IsLost()) {
      LogWarn("leadership lost", {{"lease", options_.lease.ToString()}, {"holder", Holder()}});
      return Outcome::kLost;
    }
    SleepUntil(stop, Deadline::After(wait));
  }
  return Outcome::kStopped;
}

milliseconds LeaderElector::Tick(std::stop_token stop) {
  bool leading;
  {
    MutexLock lock(mutex_);
    leading = leading_;
  }
  if (!leading) {
    Acquire(stop);
    if (IsLeader()) return options_.retry_period;
    return StandbyWait();
  }
  // Who has been asleep for so long does not ask first who leads by now.
  if (IsLost()) return milliseconds(0);
  Renew(stop);
  MutexLock lock(mutex_);
  auto left = renewed_at_ + options_.renew_deadline - clock_.SteadyNow();
  // Not a moment later than the end of what we may still believe.
  return std::clamp(std::chrono::ceil<milliseconds>(left), milliseconds(0), options_.retry_period);
}

milliseconds LeaderElector::StandbyWait() const {
  const auto jitter = static_cast<double>(options_.retry_period.count()) * kAcquireJitter;
  const milliseconds wait =
      options_.retry_period + milliseconds(static_cast<int64_t>(jitter * RandomFraction()));
  MutexLock lock(mutex_);
  if (!observed_) return wait;
  // Not past the moment from which the lease is ours to take; if that is over, the attempt failed.
  const auto left = observed_at_ + options_.lease_duration - clock_.SteadyNow();
  if (left <= left.zero()) return wait;
  return std::min(wait, std::chrono::ceil<milliseconds>(left));
}

void LeaderElector::Acquire(std::stop_token stop) {
  SteadyTime started = clock_.SteadyNow();
  Result<std::optional<Json>> lease = client_.Get(stop, RequestDeadline(), kLease, options_.lease);
  if (!lease) {
    LogDebug("the lease cannot be read", {{"message", lease.error().message}});
    return;
  }
  int64_t transitions;
  {
    MutexLock lock(mutex_);
    // Somebody may have deleted a lease whose number we have seen: never count backwards.
    transitions = epoch_ + 1;
  }
  if (*lease) {
    Observe(**lease);
    std::string holder = HolderOf(**lease);
    MutexLock lock(mutex_);
    bool held = !holder.empty() && holder != options_.identity;
    if (held && clock_.SteadyNow() < observed_at_ + options_.lease_duration) return;
    // Our own name there: an acquisition whose answer was lost. It is the same leadership.
    transitions = holder == options_.identity ? TransitionsOf(**lease)
                                              : std::max(TransitionsOf(**lease) + 1, transitions);
  }
  Result<Json> written = Write(stop, *lease, options_.identity, transitions);
  if (written) Lead(*written, started);
}

void LeaderElector::Renew(std::stop_token stop) {
  SteadyTime started = clock_.SteadyNow();
  std::optional<Json> seen;
  {
    MutexLock lock(mutex_);
    seen = observed_;
  }
  Result<Json> written = Write(stop, seen, options_.identity, epoch());
  if (written) return Lead(*written, started);
  // Optimism failed: somebody wrote, the answer was lost, or nobody answers. Look.
  Result<std::optional<Json>> lease = client_.Get(stop, RequestDeadline(), kLease, options_.lease);
  if (!lease) return;
  if (*lease) Observe(**lease);
  if (*lease && HolderOf(**lease) != options_.identity) return Depose();
  written = Write(stop, *lease, options_.identity, epoch());
  if (written) Lead(*written, started);
}

// Writes the record over `existing`, on condition that it is still what is stored, or creates it.
Result<Json> LeaderElector::Write(std::stop_token stop, const std::optional<Json>& existing,
                                  const std::string& holder, int64_t transitions) {
  std::string now = FormatMicroTime(clock_.WallNow());
  Json lease = existing ? *existing : NewObject(kLease, options_.lease);
  Json& spec = lease.MutableAt("spec");
  bool renewal = existing && HolderOf(*existing) == holder;
  auto duration = std::chrono::duration_cast<std::chrono::seconds>(options_.lease_duration);
  spec.Set("holderIdentity", holder);
  spec.Set("leaseDurationSeconds", holder.empty() ? 1 : std::max<int64_t>(duration.count(), 1));
  if (!renewal) spec.Set("acquireTime", now);
  spec.Set("renewTime", now);
  spec.Set("leaseTransitions", transitions);
  if (!existing) return client_.Create(stop, RequestDeadline(), kLease, lease);
  return client_.Update(stop, RequestDeadline(), kLease, lease);
}

void LeaderElector::Observe(const Json& lease) {
  MutexLock lock(mutex_);
  epoch_ = std::max(epoch_, TransitionsOf(lease));
  if (observed_ && ResourceVersionOf(*observed_) == ResourceVersionOf(lease)) return;
  observed_ = lease;
  observed_at_ = clock_.SteadyNow();
}

void LeaderElector::Lead(const Json& lease, SteadyTime started) {
  Observe(lease);
  bool first;
  {
    MutexLock lock(mutex_);
    first = !leading_;
    leading_ = true;
    // Counted from before the request: nobody else has counted from earlier.
    renewed_at_ = started;
  }
  if (first) observer_.OnLeader(options_.lease.name, true);
}

void LeaderElector::Depose() {
  {
    MutexLock lock(mutex_);
    leading_ = false;
    deposed_ = true;
  }
  observer_.OnLeader(options_.lease.name, false);
}

// Half of the renew deadline, so that one request that hangs leaves time for another.
Deadline LeaderElector::RequestDeadline() const {
  return Deadline::After(options_.renew_deadline / 2);
}

Status LeaderElector::Release(std::stop_token stop, Deadline deadline) {
  if (!IsLeader()) return Ok();
  for (int attempt = 1; !deadline.Expired(); ++attempt) {
    TRY_ASSIGN(std::optional<Json> lease, client_.Get(stop, deadline, kLease, options_.lease));
    if (!lease || HolderOf(*lease) != options_.identity) break;
    Result<Json> written = Write(stop, lease, "", TransitionsOf(*lease));
    if (written) break;
    if (!IsConflict(written.error()) || attempt == kReleaseAttemptsMax)
      return tl::make_unexpected(std::move(written).error());
  }
  MutexLock lock(mutex_);
  leading_ = false;
  observer_.OnLeader(options_.lease.name, false);
  return Ok();
}

bool LeaderElector::HoldsLocked() const {
  return leading_ && clock_.SteadyNow() < renewed_at_ + options_.renew_deadline;
}

bool LeaderElector::IsLeader() const {
  MutexLock lock(mutex_);
  return HoldsLocked();
}

bool LeaderElector::IsLost() const {
  MutexLock lock(mutex_);
  return deposed_ || (leading_ && !HoldsLocked());
}

int64_t LeaderElector::epoch() const {
  MutexLock lock(mutex_);
  return epoch_;
}

std::string LeaderElector::Holder() const {
  MutexLock lock(mutex_);
  return observed_ ? HolderOf(*observed_) : "";
}

bool LeaderElector::IsHealthy(milliseconds tolerance) const {
  MutexLock lock(mutex_);
  return !leading_ || clock_.SteadyNow() < renewed_at_ + options_.lease_duration + tolerance;
}

}  // namespace cutover::kube
