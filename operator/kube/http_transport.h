// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "operator/kube/credentials.h"
#include "operator/kube/transport.h"

namespace cutover::kube {

struct HttpTransportOptions {
  std::string url{};              ///< "https://10.96.0.1:443", "https://[fd00::1]", "http://…".
  std::string ca_pem{};           ///< Whom to trust. Empty: the machine's own authorities.
  std::string certificate_pem{};  ///< Client certificate and key, both or none.
  std::string key_pem{};
  std::string tls_server_name{};  ///< Name to verify instead of the URL's host; sent as SNI.
  bool insecure_skip_tls_verify = false;
  /// Where the three above come from when they change while we run: asked before each request, it
  /// counts instead of them. What it gives that cannot be used, as in the middle of a rotation, is
  /// passed over.
  std::shared_ptr<TlsSource> tls_source{};
  size_t response_bytes_max = 256u << 20;
};

/// Must be called first thing in main, before any thread: sizes the HTTP library's only thread
/// pool, which cannot be changed later. Calling it again does nothing.
void InitializeHttp(int threads = 4);

/// A Transport over HTTP/1.1, for an API server or any web page (a smoke check of a tenant sets the
/// header Host). Strict where the library below is not: only `ca_pem` is trusted, names are matched
/// against SANs alone, TLS 1.2 at least, redirects are answers and never followed, writes carry a
/// body that can be sent only once, dead peers are found by TCP keepalive in about 20 s.
///
/// Terminal error "InvalidUrl" or "InvalidCertificate" for options that can never work.
Result<std::unique_ptr<Transport>> MakeHttpTransport(HttpTransportOptions options);

}  // namespace cutover::kube
