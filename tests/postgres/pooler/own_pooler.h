// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "postgres/pooler.h"

namespace cutover::pg::testing {

struct OwnPoolerOptions {
  std::vector<std::string> entries;                        ///< Lines of [databases].
  std::vector<std::pair<std::string, std::string>> users;  ///< Name and password.
  std::vector<std::string> settings;                       ///< Further lines of [pgbouncer].
  /// If empty, what CUTOVER_TEST_PGBOUNCER names, else "pgbouncer".
  std::string program;
};

/// A PgBouncer of a test's own, on loopback, pooling by transaction unless told otherwise. Every
/// method aborts the test when it fails. Gone at the end with its files. For one thread.
class OwnPooler {
 public:
  explicit OwnPooler(const OwnPoolerOptions& options);
  ~OwnPooler();
  OwnPooler(const OwnPooler&) = delete;
  OwnPooler& operator=(const OwnPooler&) = delete;

  /// Of its only admin.
  PoolerLogin Admin() const;
  /// As one of its users, for clients.
  PoolerLogin As(const std::string& user, const std::string& password) const;

  /// Its process ends at once, and with it all that it knew.
  void Kill();
  /// After Kill(). Returns when it takes connections.
  void Start();
  /// It neither answers nor ends until Thaw().
  void Freeze() const;
  void Thaw() const;

 private:
  std::string program_;
  std::string directory_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace cutover::pg::testing
