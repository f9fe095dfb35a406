// SPDX-License-Identifier: Apache-2.0
#include "mover/backup/backup.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "mover/backup/copy_rows.h"
#include "mover/plan/restore_script.h"

namespace cutover::mover {
namespace {

namespace fs = std::filesystem;

constexpr char kDataName[] = "data";

tl::unexpected<Error> Unwritable(const std::string& path, const std::string& why) {
  return RetryError("BackupUnwritable", "cannot write " + path + ": " + why +
                                            "; give the volume room and write access");
}

Status SyncPath(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return Unwritable(path, strerror(errno));
  const int result = fsync(descriptor);
  const int why = errno;
  close(descriptor);
  if (result != 0) return Unwritable(path, strerror(why));
  return Ok();
}

Status WriteSynced(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) return Unwritable(path, strerror(errno));
  return SyncPath(path);
}

/// "; Dumped by pg_dump version: 17.11" and "; TOC Entries: 21" of a listing.
std::string ListingField(const std::string& listing, const std::string& name) {
  const std::string opening = ";     " + name + ": ";
  const size_t at = listing.find(opening);
  if (at == std::string::npos) return "";
  const size_t start = at + opening.size();
  return listing.substr(start, listing.find('\n', start) - start);
}

Result<std::string> ReadListing(std::stop_token stop, const PgPrograms& programs,
                                const std::string& data) {
  return ReadChild(stop, Deadline::Never(), programs.Command("pg_restore", {"--list", data}));
}

Status Dump(std::stop_token stop, const PgPrograms& programs, const BackupOptions& options,
            const pg::ConnectOptions& source, const std::string& data) {
  std::vector<std::string> arguments = {"--format=directory",
                                        "--jobs=" + std::to_string(options.jobs),
                                        "--no-password",
                                        LockWaitFlag(options.lock_seconds_max),
                                        "--exclude-schema=cutover",
                                        "--file=" + data};
  for (const std::string& table : options.tables) arguments.push_back("--table=" + table);
  if (!options.snapshot.empty()) arguments.push_back("--snapshot=" + options.snapshot);
  // pg_dump syncs what it wrote; the directories above are ours.
  Status dumped =
      RunChild(stop, Deadline::Never(), programs.Command("pg_dump", std::move(arguments), source),
               [](std::string_view) { return Ok(); });
  if (dumped) return dumped;
  return tl::make_unexpected(ExplainLock(stop, options.source, std::move(dumped).error()));
}

/// Decodes every table's data, which a listing does not.
Result<std::map<std::string, int64_t>> CountRows(std::stop_token stop, const PgPrograms& programs,
                                                 const std::string& data) {
  CopyRowCounter counter;
  TRY(RunChild(stop, Deadline::Never(),
               programs.Command("pg_restore", {"--data-only", "--file=-", data}),
               [&counter](std::string_view piece) {
                 counter.Take(piece);
                 return Ok();
               }));
  return counter.rows();
}

Result<Manifest> WriteManifest(std::stop_token stop, const PgPrograms& programs,
                               const BackupOptions& options, const std::string& partial,
                               const std::string& database, const std::string& server_version) {
  const std::string data = partial + "/" + kDataName;
  Manifest manifest;
  manifest.migration_uid = options.migration_uid;
  manifest.database = database;
  manifest.server_version = server_version;
  TRY_ASSIGN(std::string listing, ReadListing(stop, programs, data));
  manifest.dump_version = ListingField(listing, "Dumped by pg_dump version");
  TRY_ASSIGN(auto contents, ParseTableOfContents(listing));
  manifest.toc_entries = static_cast<int64_t>(contents.size());
  // Whole seconds, as the manifest's text has them.
  manifest.taken_at = std::chrono::floor<std::chrono::seconds>(RealClock().WallNow());
  TRY_ASSIGN(manifest.files, HashFiles(data));
  if (!options.tables.empty()) {
    TRY_ASSIGN(manifest.rows, CountRows(stop, programs, data));
  }
  TRY(WriteSynced(partial + "/" + kManifestName, EncodeManifest(manifest).DumpPretty() + "\n"));
  TRY(SyncPath(data));
  TRY(SyncPath(partial));
  return manifest;
}

struct ServerFacts {
  std::string database;
  std::string version;
  int major;
  pg::ConnectOptions options;  ///< As a session was let in with.
};

Result<ServerFacts> AskServer(std::stop_token stop, const pg::ConnectOptions& options) {
  TRY_ASSIGN(pg::Connection source,
             pg::Connection::Open(stop, Deadline::After(std::chrono::seconds(30)), options));
  TRY_ASSIGN(
      pg::Rows rows,
      source.QueryOne(stop, Deadline::After(std::chrono::seconds(30)),
                      "SELECT pg_catalog.current_database(), current_setting('server_version')"));
  return ServerFacts{rows[0].Text(0), rows[0].Text(1), source.major_version(), source.options()};
}

/// A finished backup of the same migration and database, checked; or nothing, where none is.
Result<std::optional<Manifest>> ReuseBackup(std::stop_token stop, const PgPrograms& programs,
                                            const BackupOptions& options,
                                            const std::string& database) {
  std::error_code error;
  if (!fs::exists(options.directory, error) && !error) return std::optional<Manifest>();
  if (error) return Unwritable(options.directory, error.message());
  TRY_ASSIGN(Manifest manifest, CheckBackup(stop, programs, options.directory));
  if (manifest.migration_uid != options.migration_uid || manifest.database != database ||
      options.migration_uid.empty())
    return TerminalError("BackupExists", options.directory +
                                             " holds another backup, and backups are never "
                                             "overwritten; name another directory");
  return std::optional<Manifest>(std::move(manifest));
}

}  // namespace

Result<Manifest> CheckBackup(std::stop_token stop, const PgPrograms& programs,
                             const std::string& directory) {
  std::ifstream file(directory + "/" + kManifestName, std::ios::binary);
  if (!file)
    return TerminalError("BackupDamaged", directory + " has no readable " + kManifestName +
                                              "; name a backup's directory, or take it again");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Result<Json> json = Json::Parse(text);
  if (!json)
    return TerminalError("BackupDamaged",
                         directory + "/" + kManifestName + " is no JSON; take the backup again");
  TRY_ASSIGN(Manifest manifest, DecodeManifest(*json));
  const std::string data = directory + "/" + kDataName;
  TRY_ASSIGN(std::vector<ManifestFile> found, HashFiles(data));
  std::string differences;
  for (const std::string& difference : CompareFiles(manifest.files, found))
    differences += (differences.empty() ? "" : ", ") + difference;
  if (!differences.empty())
    return TerminalError("BackupDamaged", differences + "; take the backup again");
  TRY_ASSIGN(std::string listing, ReadListing(stop, programs, data));
  TRY_ASSIGN(auto contents, ParseTableOfContents(listing));
  if (static_cast<int64_t>(contents.size()) != manifest.toc_entries)
    return TerminalError("BackupDamaged",
                         "the table of contents has " + std::to_string(contents.size()) +
                             " entries instead of " + std::to_string(manifest.toc_entries) +
                             "; take the backup again");
  TRY_ASSIGN(auto rows, CountRows(stop, programs, data));
  if (!manifest.rows.empty() && rows != manifest.rows)
    return TerminalError("BackupDamaged",
                         directory +
                             " holds other numbers of rows than its manifest says; take "
                             "the backup again");
  return manifest;
}

Result<Manifest> TakeBackup(std::stop_token stop, const PgPrograms& programs,
                            const BackupOptions& options, Reporter& reporter) {
  TRY_ASSIGN(ServerFacts server, AskServer(stop, options.source));
  TRY(programs.RequireDumpFor(stop, Deadline::Never(), server.major));
  TRY_ASSIGN(std::optional<Manifest> there, ReuseBackup(stop, programs, options, server.database));
  if (there) return std::move(*there);
  const std::string partial = options.directory + ".partial";
  std::error_code error;
  fs::remove_all(partial, error);
  if (!error) fs::create_directories(partial, error);
  if (error) return Unwritable(partial, error.message());
  reporter.BeginStage("dump");
  TRY(Dump(stop, programs, options, server.options, partial + "/" + kDataName));
  TRY_ASSIGN(Manifest manifest,
             WriteManifest(stop, programs, options, partial, server.database, server.version));
  reporter.EndStage();
  reporter.BeginStage("check");
  TRY(CheckBackup(stop, programs, partial));
  reporter.EndStage();
  fs::rename(partial, options.directory, error);
  if (error) return Unwritable(options.directory, error.message());
  fs::path parent = fs::absolute(options.directory, error).parent_path();
  if (!error) TRY(SyncPath(parent));
  return manifest;
}

}  // namespace cutover::mover
