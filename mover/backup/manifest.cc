// SPDX-License-Identifier: Apache-2.0
#include "mover/backup/manifest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "operator/base/check.h"

namespace cutover::mover {
namespace {

constexpr int kFormatVersion = 1;
constexpr size_t kReadBytes = 1 << 20;

tl::unexpected<Error> Damaged(const std::string& what) {
  return TerminalError("BackupDamaged", what + "; take the backup again");
}

Result<ManifestFile> HashFile(const std::filesystem::path& path) {
  ManifestFile file;
  file.name = path.filename();
  std::unique_ptr<FILE, int (*)(FILE*)> open(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!open) return Damaged("cannot read " + path.string() + ": " + strerror(errno));
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  CHECK(hash && EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) == 1);
  std::string buffer(kReadBytes, '\0');
  while (size_t count = std::fread(buffer.data(), 1, buffer.size(), open.get())) {
    CHECK(EVP_DigestUpdate(hash.get(), buffer.data(), count) == 1);
    file.bytes += static_cast<int64_t>(count);
  }
  if (std::ferror(open.get())) return Damaged("cannot read " + path.string() + " to its end");
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(hash.get(), bytes, &size) == 1);
  for (unsigned i = 0; i < size; ++i) {
    char pair[3];
    std::snprintf(pair, sizeof pair, "%02x", static_cast<unsigned>(bytes[i]));
    file.sha256 += pair;
  }
  return file;
}

}  // namespace

int64_t Manifest::bytes() const {
  int64_t total = 0;
  for (const ManifestFile& file : files) total += file.bytes;
  return total;
}

Json EncodeManifest(const Manifest& manifest) {
  Json files = Json::Array();
  for (const ManifestFile& file : manifest.files)
    files.Append(
        Json::Object({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}}));
  Json rows = Json::Object({});
  for (const auto& [table, count] : manifest.rows) rows.Set(table, count);
  return Json::Object({{"formatVersion", kFormatVersion},
                       {"migrationUid", manifest.migration_uid},
                       {"database", manifest.database},
                       {"serverVersion", manifest.server_version},
                       {"dumpVersion", manifest.dump_version},
                       {"takenAt", FormatTime(manifest.taken_at)},
                       {"tocEntries", manifest.toc_entries},
                       {"bytes", manifest.bytes()},
                       {"rows", std::move(rows)},
                       {"files", std::move(files)}});
}

Result<Manifest> DecodeManifest(const Json& json) {
  if (json["formatVersion"].AsInt() != kFormatVersion)
    return Damaged("the backup's manifest is of an unknown format");
  Manifest manifest;
  manifest.migration_uid = json["migrationUid"].AsString();
  manifest.database = json["database"].AsString();
  manifest.server_version = json["serverVersion"].AsString();
  manifest.dump_version = json["dumpVersion"].AsString();
  std::optional<WallTime> taken_at = ParseTime(json["takenAt"].StringRef());
  if (!taken_at) return Damaged("the backup's manifest says no time");
  manifest.taken_at = *taken_at;
  manifest.toc_entries = json["tocEntries"].AsInt();
  for (const Json& file : json["files"].Items())
    manifest.files.push_back(
        {file["name"].AsString(), file["bytes"].AsInt(-1), file["sha256"].AsString()});
  for (const auto& [table, count] : json["rows"].Members()) manifest.rows[table] = count.AsInt(-1);
  if (manifest.files.empty()) return Damaged("the backup's manifest names no file");
  return manifest;
}

std::vector<std::string> CompareFiles(const std::vector<ManifestFile>& expected,
                                      const std::vector<ManifestFile>& found) {
  std::map<std::string, const ManifestFile*> by_name;
  for (const ManifestFile& file : found) by_name[file.name] = &file;
  std::vector<std::string> differences;
  for (const ManifestFile& file : expected) {
    auto there = by_name.find(file.name);
    if (there == by_name.end()) {
      differences.push_back("file " + file.name + " is missing");
      continue;
    }
    if (there->second->bytes != file.bytes)
      differences.push_back("file " + file.name + " has " + std::to_string(there->second->bytes) +
                            " bytes instead of " + std::to_string(file.bytes));
    else if (there->second->sha256 != file.sha256)
      differences.push_back("file " + file.name + " has other contents than were written");
    by_name.erase(there);
  }
  for (const auto& [name, file] : by_name)
    differences.push_back("file " + name + " does not belong to the backup");
  return differences;
}

Result<std::vector<ManifestFile>> HashFiles(const std::string& directory) {
  std::error_code error;
  std::vector<ManifestFile> files;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!entry->is_regular_file(error)) continue;
    TRY_ASSIGN(ManifestFile file, HashFile(entry->path()));
    files.push_back(std::move(file));
  }
  if (error) return Damaged("cannot list " + directory + ": " + error.message());
  std::sort(files.begin(), files.end(),
            [](const ManifestFile& a, const ManifestFile& b) { return a.name < b.name; });
  return files;
}

}  // namespace cutover::mover
