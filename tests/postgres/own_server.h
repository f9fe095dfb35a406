// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "postgres/connection.h"

namespace cutover::pg::testing {

struct OwnServerOptions {
  int major = 15;  ///< Any that Servers() has.
  /// Above 0: the data stands on a disk of this size, in memory, and can be filled. An empty
  /// cluster takes about 40 MiB of it. WAL stays elsewhere unless bounded itself, so that a full
  /// disk fails a statement and not the server.
  int data_mebibytes_max = 0;
  /// The same for WAL. A server that cannot write its WAL crashes. At least two segments (32 MiB).
  int wal_mebibytes_max = 0;
  /// Lines of postgresql.conf: {"shared_buffers", "32MB"}.
  std::vector<std::pair<std::string, std::string>> settings;
};

/// A server of a test's own, on loopback like the common ones, that it may stop, kill or fill up.
/// Takes one to three seconds to make. Gone at the end with all that it has written; if the test
/// dies, with the fixture. Every method aborts the test with the server's own words when it fails,
/// and returns when the server takes connections, or has ended. For one thread.
class OwnServer {
 public:
  explicit OwnServer(const OwnServerOptions& options);
  explicit OwnServer(int major) : OwnServer(OwnServerOptions{major, 0, 0, {}}) {}
  ~OwnServer();
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;

  /// Of a superuser, to database `postgres`; the same for as long as this object lives.
  const ConnectOptions& Options() const { return options_; }
  ConnectOptions Options(std::string_view database) const {
    return options_.WithDatabase(database);
  }

  /// Ends sessions and server in good order (pg_ctl's "fast").
  void Stop() const { Run({"stop", "fast"}); }
  /// Ends all its processes at once by SIGKILL: what is committed is recovered by Start().
  void Kill() const { Run({"stop", "kill"}); }
  /// After Stop() or Kill(). Fails the test when the server's disk is too full to start.
  void Start() const { Run({"start"}); }
  void Restart() const {
    Stop();
    Start();
  }

  /// Restarts it, and keeps what it has by then: what an asynchronous standby has that receives
  /// nothing more. For a server whose disks have no bounds.
  void SetStandbyAside() const { Run({"set-aside"}); }
  /// Kills it, and promotes that standby at its address: the same cluster as it was then, without
  /// slots and on another timeline.
  void FailOver() const { Run({"fail-over"}); }

  /// Leaves so much room on the disk of its data, which has to be bounded. Not by a table: a server
  /// has to write before it drops one, and on a full disk may not be able to.
  void FillDisk(int mebibytes_left) const { Run({"fill", std::to_string(mebibytes_left)}); }
  /// Gives back what FillDisk() took.
  void FreeDisk() const { Run({"free"}); }

 private:
  /// Runs `tests/postgres/servers VERB DIRECTORY NAME ARGUMENTS...`, and returns what it prints.
  std::string Run(const std::vector<std::string>& verb_and_arguments) const;

  std::string name_;
  ConnectOptions options_;
};

}  // namespace cutover::pg::testing
