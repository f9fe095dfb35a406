// SPDX-License-Identifier: Apache-2.0
//
// A watch's bytes mean the same however the network cuts them: fed whole, byte by byte, and in the
// pieces that the input's first part says, they give the same events and the same end.
#include <string>
#include <utility>
#include <vector>

#include "operator/kube/client.h"
#include "operator/kube/http_transport.h"
#include "operator/kube/metadata.h"
#include "tests/fuzz/fuzz.h"

namespace cutover::kube {
namespace {

/// Streams `body` in pieces, as a server with status 200 would.
class PieceTransport final : public Transport {
 public:
  PieceTransport(std::string_view body, std::string_view sizes) : body_(body), sizes_(sizes) {}

  Result<Response> Call(std::stop_token, Deadline, const Request&) override { return Response{}; }

  StreamEnd Stream(std::stop_token, std::chrono::milliseconds, const Request&,
                   OnBytes on_bytes) override {
    std::string_view rest = body_;
    for (size_t turn = 0; !rest.empty(); ++turn) {
      size_t length = rest.size();
      if (!sizes_.empty()) length = static_cast<unsigned char>(sizes_[turn % sizes_.size()]) % 64;
      on_bytes(rest.substr(0, length));
      rest.remove_prefix(std::min(length == 0 ? 1 : length, rest.size()));
      if (length == 0) on_bytes(body_.substr(body_.size() - rest.size() - 1, 1));
    }
    StreamEnd end;
    end.status = 200;
    return end;
  }

  std::string_view host() const override { return "fuzz"; }

 private:
  std::string_view body_, sizes_;
};

struct Seen {
  std::vector<std::pair<WatchEventType, std::string>> events;
  std::string end;

  friend bool operator==(const Seen&, const Seen&) = default;
};

Seen Watch(std::string_view body, std::string_view sizes) {
  Seen seen;
  ApiClient client(std::make_unique<PieceTransport>(body, sizes), nullptr);
  Status end = client.Watch({}, kTenantMigration, {}, [&](WatchEvent event) {
    seen.events.emplace_back(event.type, event.object.Dump());
  });
  seen.end = end ? "" : end.error().reason + ": " + end.error().message;
  return seen;
}

}  // namespace

// What the client would speak HTTP with is not part of this program, and never asked for.
Result<std::unique_ptr<Transport>> MakeHttpTransport(HttpTransportOptions) {
  return TerminalError("NoNetwork", "a fuzz target reaches nobody");
}

}  // namespace cutover::kube

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cutover::fuzz::Parts parts(data, size);
  const std::string_view sizes = parts.Next();
  const std::string_view body = parts.Rest();
  const cutover::kube::Seen whole = cutover::kube::Watch(body, "");
  HOLDS(cutover::kube::Watch(body, "\x01") == whole);
  HOLDS(cutover::kube::Watch(body, sizes) == whole);
  return 0;
}
