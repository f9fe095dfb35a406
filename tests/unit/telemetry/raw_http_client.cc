// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/telemetry/raw_http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace cutover {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr std::string_view kHeaderEnd = "\r\n\r\n";
constexpr std::string_view kLengthHeader = "Content-Length: ";

// Appends what arrives; false at the end of the stream, on a reset, or when `until` has passed.
bool ReadSome(int socket, SteadyClock::time_point until, std::string& text, bool& closed) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(until - SteadyClock::now()).count();
  pollfd waiting{socket, POLLIN, 0};
  if (left <= 0 || poll(&waiting, 1, static_cast<int>(left)) <= 0) return false;
  char buffer[4096];
  const ssize_t bytes = recv(socket, buffer, sizeof buffer, 0);
  if (bytes <= 0) {
    closed = true;
    return false;
  }
  text.append(buffer, static_cast<size_t>(bytes));
  return true;
}

bool IsComplete(const std::string& text, bool has_body) {
  const size_t header_end = text.find(kHeaderEnd);
  if (header_end == text.npos) return false;
  const size_t length = text.find(kLengthHeader);
  if (!has_body || length > header_end) return true;
  const size_t body_bytes = std::stoul(text.substr(length + kLengthHeader.size()));
  return text.size() >= header_end + kHeaderEnd.size() + body_bytes;
}

}  // namespace

RawHttpClient::RawHttpClient(uint16_t port) {
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    close(std::exchange(socket_, -1));
}

RawHttpClient::~RawHttpClient() {
  if (socket_ >= 0) close(socket_);
}

RawHttpClient::RawHttpClient(RawHttpClient&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)) {}

bool RawHttpClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string RawHttpClient::ReadAnswer(bool has_body) {
  const auto until = SteadyClock::now() + std::chrono::seconds(30);
  std::string text;
  bool closed = false;
  while (!IsComplete(text, has_body) && ReadSome(socket_, until, text, closed)) {
  }
  return text;
}

bool RawHttpClient::ReadUntilClosed(std::chrono::milliseconds timeout, std::string* text) {
  const auto until = SteadyClock::now() + timeout;
  std::string ignored;
  bool closed = false;
  while (ReadSome(socket_, until, text ? *text : ignored, closed)) {
  }
  return closed;
}

int StatusOf(const std::string& answer) {
  constexpr std::string_view kStart = "HTTP/1.1 ";
  return answer.rfind(kStart, 0) == 0 ? std::stoi(answer.substr(kStart.size())) : 0;
}

std::string BodyOf(const std::string& answer) {
  const size_t header_end = answer.find(kHeaderEnd);
  return header_end == answer.npos ? "" : answer.substr(header_end + kHeaderEnd.size());
}

std::string Get(uint16_t port, const std::string& path, const std::string& more_headers) {
  RawHttpClient client(port);
  client.Send("GET " + path + " HTTP/1.1\r\nHost: test\r\n" + more_headers + "\r\n");
  return client.ReadAnswer();
}

}  // namespace cutover
