// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace cutover {

/// A TCP connection to 127.0.0.1 that sends whatever bytes a test likes, as no HTTP library would.
class RawHttpClient {
 public:
  explicit RawHttpClient(uint16_t port);
  ~RawHttpClient();
  RawHttpClient(RawHttpClient&& other) noexcept;
  RawHttpClient(const RawHttpClient&) = delete;

  bool connected() const { return socket_ >= 0; }
  /// False when the peer has reset the connection.
  bool Send(std::string_view bytes);
  /// Reads one answer with a Content-Length; what came of it until the peer closed or 5 s passed.
  std::string ReadAnswer(bool has_body = true);
  /// Reads until the peer closes. False when it has not done so in time.
  bool ReadUntilClosed(std::chrono::milliseconds timeout, std::string* text = nullptr);

 private:
  int socket_ = -1;
};

/// Status code of an answer's text; 0 when it is none.
int StatusOf(const std::string& answer);
/// Body of an answer's text.
std::string BodyOf(const std::string& answer);

/// One GET on a connection of its own.
std::string Get(uint16_t port, const std::string& path, const std::string& more_headers = "");

}  // namespace cutover
