// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "operator/base/check.h"
#include "operator/base/result.h"

namespace cutover::migration {

/// What there is to look at: one for each fact of an Observation.
enum class Subject {
  kPlacement,
  kLedger,
  kWorkloads,
  kRoutes,
  kWiring,
  kWiringRestored,
  kOutdated,
  kMaintenancePage,
  kBackupJob,
  kCopyJob,
  kCheckJobs,
  kCopyProgress,
  kCopyResult,
  kSource,
  kTarget,
  kForwardPublisher,
  kForwardSubscriber,
  kReversePublisher,
  kReverseSubscriber,
  kRehearsal,
  kTenantLogin,
  kTenantLoginBack,
  kReverseSample,
  kStructure,
  kViews,
  kSchema,
  kPoolers,
  kPreflight,
  kChecks,
  kBaselines,
};

/// Something that was read, or the reason why it could not be. Unknown is never absent: a phase
/// that needs an unknown fact waits; it does not guess.
template <class T>
class Fact {
 public:
  /// Not looked at.
  Fact() : value_(Error{Disposition::kRetry, "NotObserved", "nobody has looked at it"}) {}
  /// Not looked at yet, and of an Observation: `subject` is what to look at.
  explicit Fact(Subject subject) : Fact() { unseen_ = subject; }
  Fact(T value) : value_(std::move(value)) {}
  Fact(Error error) : value_(std::move(error)) {}
  Fact(Result<T> result) : Fact() {
    if (result)
      value_ = std::move(*result);
    else
      value_ = std::move(result).error();
  }

  bool known() const { return std::holds_alternative<T>(value_); }
  const T& operator*() const { return value(); }
  const T* operator->() const { return &value(); }
  const T& value() const {
    CHECK(known());
    return std::get<T>(value_);
  }
  const Error& error() const {
    CHECK(!known());
    return std::get<Error>(value_);
  }

  /// What to look at to learn more; nothing once that has been done.
  std::optional<Subject> unseen() const { return unseen_; }

 private:
  std::variant<T, Error> value_;
  std::optional<Subject> unseen_;
};

}  // namespace cutover::migration
