// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "operator/base/clock.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"

namespace cutover::telemetry {

/// Whether the bearer of a token may read metrics.
enum class Access {
  kAllowed,
  kForbidden,     ///< The API server knows who it is, and that they may not.
  kUnknownToken,  ///< The API server knows nobody by it: expired, of another audience, made up.
};

/// What follows "Bearer " (in any case) in the header Authorization; empty when that says something
/// else.
std::string BearerToken(std::string_view authorization);

/// Asks the API server who the bearer of `token` is (TokenReview, for its own audience) and whether
/// they may GET /metrics (SubjectAccessReview of the non-resource URL). Only a plain yes to both is
/// kAllowed; an error means that it could not be asked, or not in time. `client` must be allowed to
/// create both kinds of review. Neither answers nor errors hold the token.
Result<Access> AskApiServer(std::stop_token stop, Deadline deadline, kube::Client& client,
                            const std::string& token);

/// The second half of that: whether a user, as a TokenReview describes one, may GET /metrics.
Result<bool> MayReadMetrics(std::stop_token stop, Deadline deadline, kube::Client& client,
                            const Json& user);

/// What was last answered about tokens, for a while: a yes for kAllowedFor, since a scraper comes
/// several times a minute, and anything else for kRefusedFor, since people wait for a new role to
/// take effect. Holds no token but its digest, and at most `entries_max` of them: the one that is
/// over soonest goes first, refusals before anything else, so that a flood of made-up tokens drives
/// out no good one. Not thread-safe.
class AccessCache {
 public:
  static constexpr std::chrono::seconds kAllowedFor{60};
  static constexpr std::chrono::seconds kRefusedFor{10};

  explicit AccessCache(size_t entries_max = 1024) : entries_max_(entries_max) {}

  std::optional<Access> Find(const std::string& token, SteadyTime now) const;
  void Put(const std::string& token, Access access, SteadyTime now);
  size_t size() const { return entries_.size(); }

 private:
  using Digest = std::array<uint8_t, 32>;
  struct Entry {
    Access access;
    SteadyTime until;
  };

  static Digest DigestOf(const std::string& token);
  void MakeRoom(SteadyTime now);

  const size_t entries_max_;
  std::map<Digest, Entry> entries_;
};

}  // namespace cutover::telemetry
