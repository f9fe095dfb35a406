// SPDX-License-Identifier: Apache-2.0
//
// How much memory a relist needs beyond what the store holds anyway. Informers that collect a list
// before they store it need two or three times as much, just when the server is in trouble.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <functional>

#include "operator/kube/store.h"
#include "tests/unit/kube/fake_clock.h"

namespace cutover::kube {
namespace {

constexpr int kObjects = 10'000;

std::string Object(int number) {
  const std::string name = "object-" + std::to_string(100'000 + number);
  return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"ns","name":")" + name +
         R"(","uid":"00000000-0000-0000-0000-)" + name + R"(","resourceVersion":")" +
         std::to_string(1000 + number) +
         R"(","managedFields":[{"manager":"m","fieldsV1":{"f:data":{".":{},"f:value":{}}}}]},)" +
         R"("data":{"value":")" + std::string(600, 'x') + "\"}}";
}

// A server of ten thousand objects that makes what it sends as it sends it. Every watch from a
// version is gone, so the watcher lists again and again.
class BigServer final : public Transport {
 public:
  explicit BigServer(std::function<void()> on_watch) : on_watch_(std::move(on_watch)) {}

  Result<Response> Call(std::stop_token, Deadline, const Request& request) override {
    size_t next = request.target.find("continue=");
    int first = next == std::string::npos ? 0 : std::stoi(request.target.substr(next + 9));
    int last = std::min(first + std::stoi(request.target.substr(request.target.find("limit=") + 6)),
                        kObjects);
    std::string items;
    for (int i = first; i < last; ++i) items += (i > first ? "," : "") + Object(i);
    std::string rest = last < kObjects ? std::to_string(last) : "";
    return Response{200,
                    {},
                    R"({"metadata":{"resourceVersion":"99999","continue":")" + rest +
                        R"("},"items":[)" + items + "]}"};
  }

  StreamEnd Stream(std::stop_token, std::chrono::milliseconds, const Request& request,
                   OnBytes on_bytes) override {
    if (request.target.find("sendInitialEvents") == std::string::npos) {
      on_watch_();
      return {410, {}, R"({"kind":"Status","reason":"Expired","code":410})", std::nullopt};
    }
    for (int i = 0; i < kObjects; ++i) on_bytes(R"({"type":"ADDED","object":)" + Object(i) + "}\n");
    on_bytes(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"99999",)"
             R"("annotations":{"k8s.io/initial-events-end":"true"}}}})"
             "\n");
    on_watch_();
    return {200, {}, R"({"kind":"Status","reason":"Expired","code":410})", std::nullopt};
  }

  std::string_view host() const override { return "big:443"; }

 private:
  const std::function<void()> on_watch_;
};

class RelistMemory : public ::testing::TestWithParam<bool> {};

TEST_P(RelistMemory, IsAtMostAFifthMoreThanTheStateItself) {
  std::stop_source stop;
  size_t before = mallinfo2().uordblks, steady = 0, peak = 0;
  if (before == 0) return;  // A sanitizer's allocator, which counts nothing here.
  int lists = 0;
  FakeClock clock;
  Store<Json> store("configmaps", AsIs);
  ApiClient client(std::make_unique<BigServer>([&] {
    size_t used = mallinfo2().uordblks - before;
    if (++lists == 1) steady = used;
    if (lists == 3) stop.request_stop();
  }));
  // Between the store and its watcher: what is in use each time an object arrives.
  class Sampler final : public WatchSink {
   public:
    Sampler(WatchSink& sink, std::function<void()> sample)
        : sink_(sink), sample_(std::move(sample)) {}
    void BeginList() override { sink_.BeginList(); }
    void Listed(Json object) override {
      if (++count_ % 50 == 0) sample_();
      sink_.Listed(std::move(object));
    }
    void EndList(const std::string& version) override { sink_.EndList(version); }
    void Upsert(Json object) override { sink_.Upsert(std::move(object)); }
    void Remove(Json object) override { sink_.Remove(std::move(object)); }
    void Reached(const std::string& version) override { sink_.Reached(version); }

   private:
    WatchSink& sink_;
    const std::function<void()> sample_;
    int count_ = 0;
  } sampler(store, [&] {
    if (lists > 0) peak = std::max(peak, mallinfo2().uordblks - before);
  });
  WatcherOptions options;
  options.resource = kConfigMap;
  options.watch_list = GetParam();
  options.sleep = [](std::stop_token, std::chrono::milliseconds) { return true; };
  Watcher(client, options, sampler, clock).Run(stop.get_token());
  ASSERT_EQ(store.Keys().size(), static_cast<size_t>(kObjects));
  RecordProperty("steady_bytes", std::to_string(steady));
  RecordProperty("peak_bytes", std::to_string(peak));
  EXPECT_GT(peak, steady / 2) << "the relist was measured at all";
  EXPECT_LE(static_cast<double>(peak), 1.2 * static_cast<double>(steady))
      << peak << " bytes at most, " << steady << " at rest";
}

INSTANTIATE_TEST_SUITE_P(StreamedAndPaged, RelistMemory, ::testing::Bool());

}  // namespace
}  // namespace cutover::kube
