// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "operator/kube/transport.h"
#include "tests/sim/api/api_model.h"

namespace cutover::sim {

/// What a client's call meets on its way: serves it (once, or not at all) and answers, or throws
/// where its process dies.
using OnCall = std::function<Result<kube::Response>(const kube::Request&,
                                                    const std::function<kube::Response()>& serve)>;

/// One client's connection to an ApiModel, at the level of HTTP: what kube::ApiClient sends is
/// parsed as the server's registry does. A watch hands over what has happened so far and a
/// bookmark, on the caller's own thread, and ends in good order; it goes on when it is asked for
/// again. Not thread-safe.
class ModelTransport final : public kube::Transport {
 public:
  explicit ModelTransport(ApiModel& api) : api_(api) {}

  Result<kube::Response> Call(std::stop_token stop, Deadline deadline,
                              const kube::Request& request) override;
  kube::StreamEnd Stream(std::stop_token stop, std::chrono::milliseconds idle_timeout,
                         const kube::Request& request, OnBytes on_bytes) override;
  std::string_view host() const override { return "model"; }

  /// The last version that this client's reads may show; a stale replica's. Writes always meet the
  /// present.
  int64_t view = ApiModel::kLatest;
  /// The last version that its watches may show: caches lag more often than reads.
  int64_t watch_view = ApiModel::kLatest;
  OnCall on_call;
  /// How many watches have been told what there was to tell.
  int64_t watches_told = 0;

 private:
  ApiModel& api_;
};

}  // namespace cutover::sim
