// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/base/result.h"
#include "operator/kube/credentials.h"

namespace cutover::telemetry {

struct HttpRequest {
  std::string method;
  std::string path;  ///< Without the query.
  std::vector<std::pair<std::string, std::string>> headers;

  /// The header's first value, its name in any case; or empty.
  std::string_view Header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

/// Answers a request. Called on the server's own thread, one at a time: must not block. What it
/// throws becomes a 500 that tells the client nothing.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

/// Handlers by exact path. They answer GET and HEAD; other methods get 405, other paths 404.
using Routes = std::map<std::string, HttpHandler>;

/// Who is asked about every request before it is answered. The server owns it, and destroys it on
/// its own thread.
class HttpGate {
 public:
  /// Nothing lets the request through; an answer is sent in its stead.
  using Verdict = std::optional<HttpResponse>;
  using Decide = std::function<void(Verdict)>;

  /// Ends what is under way; afterwards nothing is decided any more.
  virtual ~HttpGate() = default;

  /// Called on the server's own thread: must not block. Calls `decide` once, there and then or
  /// later on any thread, well before the request's timeout.
  virtual void Admit(const HttpRequest& request, Decide decide) = 0;
};

struct HttpServerOptions {
  std::string host;   ///< Address to bind; empty: every address of the machine.
  uint16_t port = 0;  ///< 0: any free one, see HttpServer::port().
  Routes routes;
  /// When set, answers every method and path that `routes` does not, and request bodies are
  /// skipped instead of refused.
  HttpHandler fallback;
  std::unique_ptr<HttpGate> gate;  ///< None: every request is answered.
  /// When set, the server speaks HTTPS alone (TLS 1.2 or newer) and shows the certificate that this
  /// gives, asked for at each connection. One that cannot be used, as in the middle of a rotation,
  /// is passed over for the one before; at the start it is error "InvalidCertificate".
  std::shared_ptr<kube::TlsSource> tls;
  size_t connections_max = 256;
  size_t header_bytes_max = 8192;
  /// From accept, or from the end of the answer before, until a request has been read and answered;
  /// a TLS handshake has as much for itself.
  std::chrono::milliseconds request_timeout{10'000};
};

/// Address of a listener as flags give it: ":8080", "127.0.0.1:0", "[::1]:8080". Terminal error
/// "InvalidAddress" for anything else.
struct ListenAddress {
  std::string host;
  uint16_t port = 0;
};
Result<ListenAddress> ParseListenAddress(std::string_view text);

/// A small HTTP/1.1 server for metrics, probes and the maintenance page: nothing that an
/// unauthenticated peer can do costs it more than a bounded amount of memory and time.
///  - A request that is not there within the timeout: the connection is closed.
///  - A header over the limit: 431. A request that is none: 400. A body: 413, unless there is a
///    fallback. All three close the connection.
///  - More connections than the limit: the one that has waited longest for a request is closed in
///    favour of the new one, so that idle connections cannot keep a probe out.
/// Bodies are never read into memory.
class HttpServer {
 public:
  /// Binds, listens and serves on a thread of its own. Terminal error "AddressUnavailable" when it
  /// cannot bind.
  static Result<std::unique_ptr<HttpServer>> Start(HttpServerOptions options);

  /// Closes all connections and joins the thread.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cutover::telemetry
