// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/schema_dump.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "postgres/stream_names.h"

namespace cutover::mover {
namespace {

/// A subscription that remembered its slot would, when it is dropped, take the slot away from the
/// subscription that it is a copy of.
RestoreItem WithoutSlot(RestoreItem item) {
  constexpr std::string_view kSlot = "slot_name = '";
  if (item.type != "SUBSCRIPTION") return item;
  const size_t at = item.sql.rfind(kSlot);  // Options stand last, behind the connection string.
  if (at == std::string::npos) return item;
  // Names of slots are made of letters, digits and underscores.
  const size_t end = item.sql.find('\'', at + kSlot.size());
  if (end != std::string::npos) item.sql.replace(at, end + 1 - at, "slot_name = NONE");
  return item;
}

/// Whether it is of one of our own streams, as are the publication of the forward one on the source
/// and the subscription of the reverse one: they are made and dropped by whoever runs the move.
bool IsOfStream(const RestoreItem& item) {
  constexpr std::string_view kObjects[] = {"PUBLICATION ", "SUBSCRIPTION ", "EVENT TRIGGER "};
  std::string_view name = item.name;
  if (item.type == "COMMENT" || item.type == "SECURITY LABEL") {
    for (const std::string_view kind : kObjects)
      if (name.starts_with(kind)) return pg::IsOfStream(name.substr(kind.size()));
    return false;
  }
  return (item.type.starts_with("PUBLICATION") || item.type.starts_with("SUBSCRIPTION") ||
          item.type == "EVENT TRIGGER") &&
         pg::IsOfStream(name);
}

Result<std::string> MakeFile() {
  const char* directory = std::getenv("TMPDIR");
  std::string path = std::string(directory == nullptr ? "/tmp" : directory) + "/cutover-XXXXXX";
  const int descriptor = mkstemp(path.data());
  if (descriptor < 0)
    return RetryError("NoTemporaryFile", "cannot write to " + path + ": " + strerror(errno) +
                                             "; point TMPDIR to a directory with room");
  close(descriptor);
  return path;
}

}  // namespace

Result<SchemaArchive> SchemaArchive::Dump(std::stop_token stop, Deadline deadline,
                                          const PgPrograms& programs,
                                          const pg::ConnectOptions& connect,
                                          const std::string& snapshot, int lock_seconds_max) {
  TRY_ASSIGN(std::string path, MakeFile());
  SchemaArchive archive(std::move(path));
  std::vector<std::string> arguments = {"--format=custom",
                                        "--compress=0",
                                        "--schema-only",
                                        "--no-password",
                                        "--exclude-schema=cutover",
                                        LockWaitFlag(lock_seconds_max),
                                        "--file=" + archive.path_};
  if (!snapshot.empty()) arguments.push_back("--snapshot=" + snapshot);
  TRY(ReadChild(stop, deadline, programs.Command("pg_dump", arguments, connect)));
  return archive;
}

SchemaArchive::~SchemaArchive() {
  if (!path_.empty()) unlink(path_.c_str());
}

Result<SchemaDump> SchemaArchive::Read(std::stop_token stop, Deadline deadline,
                                       const PgPrograms& programs) const {
  SchemaDump dump;
  TRY_ASSIGN(TableOfContents pre_data, List(stop, deadline, programs, {"--section=pre-data"}));
  for (const auto& entry : pre_data) dump.pre_data.insert(entry.first);
  std::vector<RestoreItem> items;
  TRY_ASSIGN(dump.script, Split(stop, deadline, programs, [&items](RestoreItem item) {
               if (!IsOfStream(item)) items.push_back(WithoutSlot(std::move(item)));
             }));
  items.shrink_to_fit();  // They are kept to the end.
  dump.script.items = std::move(items);
  return dump;
}

Status SchemaArchive::ReadItems(std::stop_token stop, Deadline deadline, const PgPrograms& programs,
                                const ScriptSplitter::OnItem& on_item) const {
  TRY(Split(stop, deadline, programs, [&on_item](RestoreItem item) {
    if (!IsOfStream(item)) on_item(WithoutSlot(std::move(item)));
  }));
  return Ok();
}

Result<TableOfContents> SchemaArchive::List(std::stop_token stop, Deadline deadline,
                                            const PgPrograms& programs,
                                            std::vector<std::string> flags) const {
  flags.insert(flags.begin(), "--list");
  flags.push_back(path_);
  TRY_ASSIGN(std::string listing,
             ReadChild(stop, deadline, programs.Command("pg_restore", std::move(flags))));
  return ParseTableOfContents(listing);
}

Result<RestoreScript> SchemaArchive::Split(std::stop_token stop, Deadline deadline,
                                           const PgPrograms& programs,
                                           ScriptSplitter::OnItem on_item) const {
  TRY_ASSIGN(const TableOfContents contents, List(stop, deadline, programs, {}));
  ScriptSplitter splitter(contents, std::move(on_item));
  TRY(RunChild(stop, deadline,
               programs.Command("pg_restore", {"--verbose", "--no-tablespaces", "--file=-", path_}),
               [&splitter](std::string_view piece) {
                 splitter.Take(piece);
                 return Ok();
               }));
  return splitter.Finish();
}

Result<SchemaDump> DumpSchema(std::stop_token stop, Deadline deadline, const PgPrograms& programs,
                              const pg::ConnectOptions& connect, const std::string& snapshot,
                              int lock_seconds_max) {
  TRY_ASSIGN(SchemaArchive archive,
             SchemaArchive::Dump(stop, deadline, programs, connect, snapshot, lock_seconds_max));
  return archive.Read(stop, deadline, programs);
}

}  // namespace cutover::mover
