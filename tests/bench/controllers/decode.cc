// SPDX-License-Identifier: Apache-2.0
//
// What a watch costs behind the network: feeds the recorded bytes of one through decoding into a
// store, and says on stdout how many events came out of it and what they took. peer/decode.go does
// the same with controller-runtime's cache.
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "operator/api/tenant_migration.h"
#include "operator/kube/client.h"
#include "operator/kube/store.h"
#include "operator/kube/watcher.h"
#include "operator/memory.h"

namespace cutover {
namespace {

// As many as one read of a busy connection gives: what a TLS record holds.
constexpr size_t kPieceBytes = 16 << 10;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// A server with an empty list and one watch.
class Recording final : public kube::Transport {
 public:
  Recording(std::string bytes, std::stop_source end) : bytes_(std::move(bytes)), end_(end) {}

  Result<kube::Response> Call(std::stop_token, Deadline, const kube::Request&) override {
    return kube::Response{200, {}, R"({"metadata":{"resourceVersion":"1"},"items":[]})"};
  }
  kube::StreamEnd Stream(std::stop_token, std::chrono::milliseconds, const kube::Request&,
                         OnBytes on_bytes) override {
    const double started = CpuSeconds();
    std::string_view rest = bytes_;
    for (; !rest.empty(); rest.remove_prefix(std::min(rest.size(), kPieceBytes)))
      on_bytes(rest.substr(0, kPieceBytes));
    cpu_seconds_ = CpuSeconds() - started;
    end_.request_stop();
    return {200, {}, "", std::nullopt};
  }
  std::string_view host() const override { return "recording"; }

  double cpu_seconds() const { return cpu_seconds_; }

 private:
  const std::string bytes_;
  std::stop_source end_;
  double cpu_seconds_ = 0;
};

int Run(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::stop_source end;
  auto transport = std::make_unique<Recording>(std::move(bytes), end);
  const Recording& recording = *transport;
  kube::ApiClient client(std::move(transport));
  kube::Store<api::TenantMigration> store("tenantmigrations", api::DecodeTenantMigration);
  int64_t changes = 0;
  store.AddHandler([&](kube::Change, const auto&, const auto&, const auto& after) {
    changes += after != nullptr;
  });
  kube::WatcherOptions watch;
  watch.resource = kube::kTenantMigration;
  watch.watch_list = false;
  kube::Watcher(client, watch, store).Run(end.get_token());
  std::cout << "{\"changes\":" << changes << ",\"cpuSeconds\":" << recording.cpu_seconds() << "}\n";
  return 0;
}

}  // namespace
}  // namespace cutover

int main(int count, char** words) {
  if (count != 2) {
    std::cerr << "usage: bench_decode RECORDING\n";
    return 2;
  }
  cutover::BoundMemory();
  return cutover::Run(words[1]);
}
