// SPDX-License-Identifier: Apache-2.0
#include "tests/kube/tcp_relay.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "operator/base/check.h"

namespace cutover::testing {
namespace {

constexpr std::chrono::milliseconds kPoll{5};

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool WriteAll(int handle, const char* bytes, size_t count) {
  while (count > 0) {
    ssize_t written = send(handle, bytes, count, MSG_NOSIGNAL);
    if (written <= 0) return false;
    bytes += written;
    count -= static_cast<size_t>(written);
  }
  return true;
}

// Closes with a reset instead of an orderly end.
void Reset(int handle) {
  linger now{1, 0};
  setsockopt(handle, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(handle);
}

}  // namespace

TcpRelay::TcpRelay(int target_port) : target_port_(target_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  CHECK(bind(listener_, generic, size) == 0 && listen(listener_, 64) == 0);
  CHECK(getsockname(listener_, generic, &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this] { Accept(); });
}

TcpRelay::~TcpRelay() {
  closing_ = true;
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  pumps_.clear();
  close(listener_);
}

void TcpRelay::ForgetConnections() {
  MutexLock lock(mutex_);
  for (Connection& connection : all_) connection.forgotten = true;
}

void TcpRelay::Accept() {
  while (!closing_) {
    int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    ++connections_;
    Connection* connection;
    {
      MutexLock lock(mutex_);
      connection = &all_.emplace_back();
    }
    connection->client = client;
    connection->cut_after_bytes = cut_after_bytes_;
    pumps_.emplace_back([this, connection] { Pump(*connection); });
  }
}

void TcpRelay::Pump(Connection& connection) {
  connection.target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(target_port_);
  bool open =
      connect(connection.target, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  size_t from_target_bytes = 0;
  while (open && !closing_) {
    if (frozen_ || connection.forgotten) {
      std::this_thread::sleep_for(kPoll);
      continue;
    }
    std::array<pollfd, 2> ends{pollfd{connection.client, POLLIN, 0},
                               pollfd{connection.target, POLLIN, 0}};
    poll(ends.data(), ends.size(), static_cast<int>(kPoll.count()));
    // Frozen meanwhile: what is in the sockets stays there.
    if (frozen_ || connection.forgotten) continue;
    if (ends[0].revents != 0) open = PassOn(connection, false, from_target_bytes);
    if (open && ends[1].revents != 0) open = PassOn(connection, true, from_target_bytes);
  }
  Reset(connection.client);
  Reset(connection.target);
}

// False when the connection has ended, or has had its share.
bool TcpRelay::PassOn(Connection& connection, bool from_target, size_t& from_target_bytes) {
  std::array<char, 16384> buffer;
  size_t wanted = buffer.size();
  if (from_target) wanted = std::min(wanted, connection.cut_after_bytes - from_target_bytes);
  if (wanted == 0) return false;
  int source = from_target ? connection.target : connection.client;
  int sink = from_target ? connection.client : connection.target;
  ssize_t count = recv(source, buffer.data(), wanted, 0);
  if (count <= 0) return false;
  if (from_target) from_target_bytes += static_cast<size_t>(count);
  return WriteAll(sink, buffer.data(), static_cast<size_t>(count));
}

}  // namespace cutover::testing
