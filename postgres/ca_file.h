// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "operator/base/result.h"

namespace cutover::pg {

/// Certificates from a Secret as a path that libpq, and programs we start, can open. It lives in
/// memory, since our containers have a read-only root filesystem, and ends with this object.
class CaFile {
 public:
  static Result<CaFile> Of(std::string_view pem);

  CaFile(CaFile&& other) noexcept;
  CaFile& operator=(CaFile&& other) noexcept;
  ~CaFile();

  /// For this process and for those it starts; not for others.
  std::string path() const;

 private:
  explicit CaFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace cutover::pg
