// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/json.h"
#include "operator/base/result.h"

namespace cutover::mover {

inline constexpr char kManifestName[] = "manifest.json";

struct ManifestFile {
  std::string name;  ///< Within the backup's data directory.
  int64_t bytes = 0;
  std::string sha256;

  bool operator==(const ManifestFile&) const = default;
};

/// What a backup is and what its files must be. Stands beside the dump as manifest.json.
struct Manifest {
  std::string migration_uid;
  std::string database;
  std::string server_version;
  std::string dump_version;  ///< pg_dump's own, as the archive says it.
  WallTime taken_at;
  int64_t toc_entries = 0;
  std::vector<ManifestFile> files;  ///< By name.
  /// Of an archive of single tables: the rows of each, by its name as pg_dump spells it.
  std::map<std::string, int64_t> rows;

  int64_t bytes() const;
};

Json EncodeManifest(const Manifest& manifest);
/// Terminal "BackupDamaged" for anything that is no manifest of ours.
Result<Manifest> DecodeManifest(const Json& json);

/// Every difference between what the manifest says and what was found, in sentences; empty when
/// there is none. Pure.
std::vector<std::string> CompareFiles(const std::vector<ManifestFile>& expected,
                                      const std::vector<ManifestFile>& found);

/// Reads every regular file of `directory` and hashes it, by name.
Result<std::vector<ManifestFile>> HashFiles(const std::string& directory);

}  // namespace cutover::mover
