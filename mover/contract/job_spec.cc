// SPDX-License-Identifier: Apache-2.0
#include "mover/contract/job_spec.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <initializer_list>

namespace cutover::mover {
namespace {

constexpr int kJobsMax = 64;

tl::unexpected<Error> Refuse(std::string_view field, std::string_view problem) {
  return TerminalError("InvalidJobSpec", "the job spec's field '" + std::string(field) + "' " +
                                             std::string(problem) +
                                             "; let the operator write it again");
}

Status OnlyKnown(const Json& object, std::string_view where,
                 std::initializer_list<std::string_view> known) {
  if (!object.IsObject()) return Refuse(where, "must be an object");
  for (const auto& [key, value] : object.Members()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      return Refuse(std::string(where) + "." + key, "is unknown");
  }
  return Ok();
}

Json EncodeEndpoint(const Endpoint& endpoint) {
  return Json::Object({{"host", endpoint.host},
                       {"port", endpoint.port},
                       {"database", endpoint.database},
                       {"user", endpoint.user},
                       {"sslMode", endpoint.ssl_mode},
                       {"caFile", endpoint.ca_file}});
}

Result<Endpoint> DecodeEndpoint(const Json& json, std::string_view where) {
  TRY(OnlyKnown(json, where, {"host", "port", "database", "user", "sslMode", "caFile"}));
  Endpoint endpoint;
  endpoint.host = json["host"].AsString();
  endpoint.port = static_cast<int>(json["port"].AsInt(5432));
  endpoint.database = json["database"].AsString();
  endpoint.user = json["user"].AsString();
  endpoint.ssl_mode = json["sslMode"].AsString();
  endpoint.ca_file = json["caFile"].AsString();
  const std::string prefix(where);
  if (endpoint.host.empty()) return Refuse(prefix + ".host", "is missing");
  if (endpoint.database.empty()) return Refuse(prefix + ".database", "is missing");
  if (endpoint.user.empty()) return Refuse(prefix + ".user", "is missing");
  if (endpoint.port < 1 || endpoint.port > 65535)
    return Refuse(prefix + ".port", "must be between 1 and 65535");
  return endpoint;
}

Result<JobKind> DecodeKind(const Json& json) {
  for (JobKind kind : {JobKind::kClone, JobKind::kVerify, JobKind::kBackup}) {
    if (json["kind"].AsString() == Name(kind)) return kind;
  }
  return Refuse("kind", "must be Clone, Verify or Backup");
}

Status DecodeThrottle(const Json& json, JobSpec& spec) {
  if (json.IsNull()) return Ok();
  TRY(OnlyKnown(json, "throttle", {"maxRateMebibytesPerSecond", "query"}));
  spec.max_rate_mebibytes_per_second = static_cast<int>(json["maxRateMebibytesPerSecond"].AsInt(0));
  spec.throttle_query = json["query"].AsString();
  if (spec.max_rate_mebibytes_per_second < 0)
    return Refuse("throttle.maxRateMebibytesPerSecond", "must not be negative");
  return Ok();
}

/// Room is left for what WatchSlotName() adds.
bool IsSlotName(std::string_view name) {
  constexpr size_t kSlotNameMax = 57;
  return name.size() <= kSlotNameMax &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

Status CheckWhole(const JobSpec& spec) {
  if (spec.migration_uid.empty()) return Refuse("migrationUid", "is missing");
  if (spec.attempt < 1) return Refuse("attempt", "must be at least 1");
  if (spec.epoch < 0) return Refuse("epoch", "must not be negative");
  if (spec.jobs < 1 || spec.jobs > kJobsMax) return Refuse("jobs", "must be between 1 and 64");
  if (spec.verification_seconds_max < 0)
    return Refuse("verification.maxSeconds", "must not be negative");
  const bool backup = spec.kind == JobKind::kBackup;
  if (backup == spec.target.has_value())
    return Refuse("target", backup ? "has no place in a backup" : "is missing");
  if (!spec.slot.empty() && spec.kind != JobKind::kClone)
    return Refuse("slot", "has a place in a clone only");
  if (!IsSlotName(spec.slot))
    return Refuse("slot", "must be of at most 57 lower case letters, digits and underscores");
  if (backup == spec.backup_directory.empty())
    return Refuse("backup.directory", backup ? "is missing" : "has a place in a backup only");
  return Ok();
}

}  // namespace

std::string_view Name(JobKind kind) {
  switch (kind) {
    case JobKind::kClone:
      return "Clone";
    case JobKind::kVerify:
      return "Verify";
    case JobKind::kBackup:
      return "Backup";
  }
  return "Unknown";
}

std::string_view Name(VerificationLevel level) {
  return level == VerificationLevel::kCounts ? "Counts" : "Rows";
}

std::optional<VerificationLevel> ParseLevel(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "counts") return VerificationLevel::kCounts;
  if (lower == "rows") return VerificationLevel::kRows;
  return std::nullopt;
}

Json EncodeJobSpec(const JobSpec& spec) {
  Json json = Json::Object({{"kind", Name(spec.kind)},
                            {"migrationUid", spec.migration_uid},
                            {"attempt", spec.attempt},
                            {"epoch", spec.epoch},
                            {"source", EncodeEndpoint(spec.source)}});
  if (spec.target) json.Set("target", EncodeEndpoint(*spec.target));
  json.Set("jobs", spec.jobs);
  if (!spec.slot.empty()) json.Set("slot", spec.slot);
  json.Set("excludeTables", Json::ArrayOf(spec.exclude_tables));
  json.Set("accept", Json::ArrayOf(spec.accept));
  if (spec.withhold_powers) json.Set("withholdPowers", true);
  if (spec.distrust_superusers) json.Set("distrustSuperusers", true);
  json.Set("throttle",
           Json::Object({{"maxRateMebibytesPerSecond", spec.max_rate_mebibytes_per_second},
                         {"query", spec.throttle_query}}));
  if (!spec.archive_directory.empty())
    json.Set("archive", Json::Object({{"directory", spec.archive_directory}}));
  json.Set("verification", Json::Object({{"level", Name(spec.verification_level)},
                                         {"maxSeconds", spec.verification_seconds_max}}));
  if (!spec.backup_directory.empty())
    json.Set("backup", Json::Object({{"directory", spec.backup_directory}}));
  return json;
}

Result<JobSpec> DecodeJobSpec(const Json& json) {
  TRY(OnlyKnown(json, "spec",
                {"kind", "migrationUid", "attempt", "epoch", "source", "target", "jobs", "slot",
                 "excludeTables", "accept", "withholdPowers", "distrustSuperusers", "archive",
                 "throttle", "verification", "backup"}));
  JobSpec spec;
  TRY_ASSIGN(spec.kind, DecodeKind(json));
  spec.migration_uid = json["migrationUid"].AsString();
  spec.attempt = static_cast<int>(json["attempt"].AsInt(1));
  spec.epoch = json["epoch"].AsInt(0);
  TRY_ASSIGN(spec.source, DecodeEndpoint(json["source"], "source"));
  if (json.Contains("target")) {
    TRY_ASSIGN(spec.target, DecodeEndpoint(json["target"], "target"));
  }
  spec.jobs = static_cast<int>(json["jobs"].AsInt(2));
  spec.slot = json["slot"].AsString();
  for (const Json& table : json["excludeTables"].Items()) {
    if (table.StringRef().find('.') == std::string::npos)
      return Refuse("excludeTables", "must hold schema.table");
    spec.exclude_tables.push_back(table.StringRef());
  }
  for (const Json& object : json["accept"].Items()) spec.accept.push_back(object.AsString());
  spec.withhold_powers = json["withholdPowers"].AsBool(false);
  spec.distrust_superusers = json["distrustSuperusers"].AsBool(false);
  if (json.Contains("archive")) {
    TRY(OnlyKnown(json["archive"], "archive", {"directory"}));
    spec.archive_directory = json["archive"]["directory"].AsString();
  }
  TRY(DecodeThrottle(json["throttle"], spec));
  if (json.Contains("verification")) {
    TRY(OnlyKnown(json["verification"], "verification", {"level", "maxSeconds"}));
    auto level = ParseLevel(json["verification"]["level"].AsString("Rows"));
    if (!level) return Refuse("verification.level", "must be Counts or Rows");
    spec.verification_level = *level;
    spec.verification_seconds_max = static_cast<int>(json["verification"]["maxSeconds"].AsInt(0));
  }
  if (json.Contains("backup")) {
    TRY(OnlyKnown(json["backup"], "backup", {"directory"}));
    spec.backup_directory = json["backup"]["directory"].AsString();
  }
  TRY(CheckWhole(spec));
  return spec;
}

}  // namespace cutover::mover
