// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/schema_dump.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace cutover::mover {
namespace {

/// A subscription that remembered its slot would, when it is dropped, take the slot away from the
/// subscription that it is a copy of.
void ForgetSlots(RestoreScript& script) {
  constexpr std::string_view kSlot = "slot_name = '";
  for (RestoreItem& item : script.items) {
    if (item.type != "SUBSCRIPTION") continue;
    const size_t at = item.sql.rfind(kSlot);  // Options stand last, behind the connection string.
    if (at == std::string::npos) continue;
    // Names of slots are made of letters, digits and underscores.
    const size_t end = item.sql.find('\'', at + kSlot.size());
    if (end != std::string::npos) item.sql.replace(at, end + 1 - at, "slot_name = NONE");
  }
}

/// A file of its own name in $TMPDIR, removed with this object.
class TemporaryFile {
 public:
  static Result<TemporaryFile> Create() {
    const char* directory = std::getenv("TMPDIR");
    std::string path = std::string(directory == nullptr ? "/tmp" : directory) + "/cutover-XXXXXX";
    const int descriptor = mkstemp(path.data());
    if (descriptor < 0)
      return RetryError("NoTemporaryFile", "cannot write to " + path + ": " + strerror(errno) +
                                               "; point TMPDIR to a directory with room");
    close(descriptor);
    return TemporaryFile(std::move(path));
  }
  TemporaryFile(TemporaryFile&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace

Result<SchemaDump> DumpSchema(std::stop_token stop, Deadline deadline, const PgPrograms& programs,
                              const pg::ConnectOptions& connect, const std::string& snapshot) {
  TRY_ASSIGN(TemporaryFile archive, TemporaryFile::Create());
  std::vector<std::string> arguments = {"--format=custom", "--compress=0", "--schema-only",
                                        "--no-password", "--exclude-schema=cutover",
                                        // It undoes the session's own lock_timeout.
                                        "--lock-wait-timeout=60s", "--file=" + archive.path()};
  if (!snapshot.empty()) arguments.push_back("--snapshot=" + snapshot);
  TRY(ReadChild(stop, deadline, programs.Command("pg_dump", arguments, connect)));
  SchemaDump dump;
  TRY_ASSIGN(std::string all,
             ReadChild(stop, deadline, programs.Command("pg_restore", {"--list", archive.path()})));
  TRY_ASSIGN(std::set<int> known, ParseTocIds(all));
  TRY_ASSIGN(
      std::string before,
      ReadChild(stop, deadline,
                programs.Command("pg_restore", {"--list", "--section=pre-data", archive.path()})));
  TRY_ASSIGN(dump.pre_data, ParseTocIds(before));
  TRY_ASSIGN(std::string script,
             ReadChild(stop, deadline,
                       programs.Command("pg_restore", {"--verbose", "--no-tablespaces", "--file=-",
                                                       archive.path()})));
  TRY_ASSIGN(dump.script, SplitScript(script, known));
  ForgetSlots(dump.script);
  return dump;
}

}  // namespace cutover::mover
