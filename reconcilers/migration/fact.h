// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <variant>

#include "operator/base/check.h"
#include "operator/base/result.h"

namespace cutover::migration {

/// Something that was read, or the reason why it could not be. Unknown is never absent: a phase
/// that needs an unknown fact waits; it does not guess.
template <class T>
class Fact {
 public:
  /// Not asked for in this phase.
  Fact() : value_(Error{Disposition::kRetry, "NotObserved", "not observed in this phase"}) {}
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

 private:
  std::variant<T, Error> value_;
};

}  // namespace cutover::migration
