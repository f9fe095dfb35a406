// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operator/kube/transport.h"
#include "reconcilers/migration/checks/check.h"

namespace cutover::migration::testing {

/// A web in memory: answers by "origin + target", 404 for all else, and keeps what was asked. Must
/// outlive every HttpConnect made of it.
class FakeWeb {
 public:
  std::map<std::string, kube::Response> pages;
  std::vector<kube::Request> requests;
  bool down = false;

  HttpConnect Connect() {
    return [this](const std::string& origin) -> Result<std::unique_ptr<kube::Transport>> {
      return std::make_unique<Server>(*this, origin);
    };
  }

 private:
  class Server final : public kube::Transport {
   public:
    Server(FakeWeb& web, std::string origin) : web_(web), origin_(std::move(origin)) {}

    Result<kube::Response> Call(std::stop_token, Deadline, const kube::Request& request) override {
      web_.requests.push_back(request);
      if (web_.down) return RetryError("Unreachable", "connection refused");
      auto page = web_.pages.find(origin_ + request.target);
      if (page == web_.pages.end()) return kube::Response{404, {}, "no such page"};
      return page->second;
    }
    kube::StreamEnd Stream(std::stop_token, std::chrono::milliseconds, const kube::Request&,
                           OnBytes) override {
      return {};
    }
    std::string_view host() const override { return origin_; }

   private:
    FakeWeb& web_;
    std::string origin_;
  };
};

}  // namespace cutover::migration::testing
