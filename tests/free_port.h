// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <random>
#include <string>

namespace cutover::testing {

/// A port of the loopback for a server that comes to take it some time later, and again after each
/// restart. Of those that the kernel gives to nobody who does not ask for one, and no other test's
/// until this process ends: a lock on a file stands for it, by the same name in
/// tests/postgres/servers. 0 where none is left. Any thread.
inline int FreePort() {
  constexpr int kFirst = 20'000, kCount = 10'000;
  const std::string locks = "/tmp/cutover-test-ports";
  mkdir(locks.c_str(), 0777);
  std::random_device choose;
  for (int tries = 0; tries < kCount; ++tries) {
    const int port = kFirst + static_cast<int>(choose() % kCount);
    const int lock =
        open((locks + "/" + std::to_string(port)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0) {
      close(lock);
      continue;
    }
    const int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const bool free = bind(handle, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(handle);
    if (free) return port;  // The lock is let go by the end of the process.
    close(lock);
  }
  return 0;
}

}  // namespace cutover::testing
