// SPDX-License-Identifier: Apache-2.0
#include "postgres/ca_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace cutover::pg {

Result<CaFile> CaFile::Of(std::string_view pem) {
  int descriptor = memfd_create("cutover-ca", MFD_CLOEXEC);
  if (descriptor < 0)
    return RetryError("CaFileFailed",
                      std::string("no memory file for the server's CA: ") + std::strerror(errno));
  CaFile file(descriptor);
  while (!pem.empty()) {
    ssize_t written = write(descriptor, pem.data(), pem.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      return RetryError("CaFileFailed",
                        std::string("cannot write the server's CA: ") + std::strerror(errno));
    pem.remove_prefix(static_cast<size_t>(written));
  }
  return file;
}

CaFile::CaFile(CaFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

CaFile& CaFile::operator=(CaFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

CaFile::~CaFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

// Through the process's number and not /proc/self, so that a child opens our file and not its own.
std::string CaFile::path() const {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(descriptor_);
}

}  // namespace cutover::pg
