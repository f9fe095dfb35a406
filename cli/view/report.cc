// SPDX-License-Identifier: Apache-2.0
#include "cli/view/report.h"

#include <openssl/evp.h>

#include <algorithm>

#include "cli/view/assessment.h"
#include "cli/view/stages.h"
#include "cli/view/status_document.h"
#include "operator/api/field_writer.h"
#include "operator/base/check.h"

namespace cutover::cli {
namespace {

// When an event happened, whichever of its three clocks it was written with.
std::string TimeOf(const Json& event) {
  for (const char* key : {"eventTime", "deprecatedLastTimestamp", "lastTimestamp"})
    if (std::string time = event[key].AsString(); !time.empty()) return time;
  return event.At({"metadata", "creationTimestamp"}).AsString();
}

Json Events(const Json& items) {
  std::vector<Json> events;
  for (const Json& item : items.Items())
    events.push_back(Json::Object({{"time", TimeOf(item)},
                                   {"type", item["type"].AsString()},
                                   {"reason", item["reason"].AsString()},
                                   {"action", item["action"].AsString()},
                                   {"note", item["note"].AsString()}}));
  std::stable_sort(events.begin(), events.end(), [](const Json& a, const Json& b) {
    return a["time"].StringRef() < b["time"].StringRef();
  });
  return Json::ArrayOf(std::move(events));
}

// What people asked for, as annotations and status.handled have it: the token of the plugin says
// when and by whom, as the API server named that person to the plugin.
Json Commands(const MigrationView& migration) {
  Json commands = Json::Array();
  auto add = [&](const char* command, const char* annotation, const std::string& handled) {
    const std::string token = migration.meta.Annotation(annotation);
    if (token.empty() && handled.empty()) return;
    commands.Append(Json::Object({{"command", command},
                                  {"token", token.empty() ? handled : token},
                                  {"answered", token.empty() || token == handled}}));
  };
  add("approve", api::kApproveAnnotation, migration.handled.approve);
  add("abort", api::kAbortAnnotation, migration.handled.abort);
  add("rollback", api::kRollbackAnnotation, migration.handled.rollback);
  add("retry", api::kRetryAnnotation, migration.handled.retry);
  return commands;
}

// Who wrote to the object, with what program, and when last: the API server's own record.
Json Writers(const Json& object) {
  Json writers = Json::Array();
  for (const Json& entry : object.At({"metadata", "managedFields"}).Items()) {
    Json writer = Json::Object({{"manager", entry["manager"].AsString()},
                                {"operation", entry["operation"].AsString()},
                                {"lastAt", entry["time"].AsString()}});
    if (std::string part = entry["subresource"].AsString(); !part.empty())
      writer.Set("subresource", part);
    writers.Append(std::move(writer));
  }
  return writers;
}

Json ConditionsOf(const MigrationView& migration) {
  return api::EncodeConditions(migration.conditions);
}

std::string VersionOf(const Lookup<api::DatabaseServer>& server) {
  return server && *server ? (*server)->status.version : "";
}

Json Moments(const MigrationView& migration) {
  api::FieldWriter fields;
  fields.Time("createdAt", migration.meta.creation_timestamp)
      .PreciseTime("usersStoppedAt", migration.cutover.fenced_at)
      .PreciseTime("journaledAt", migration.cutover.journaled_at)
      .PreciseTime("usersAdmittedAt", migration.cutover.opened_at)
      .Count("writePauseMilliseconds", migration.cutover.write_pause_milliseconds);
  if (const int64_t earlier = migration.cutover.earlier_pause_milliseconds; earlier > 0)
    fields.Count("earlierPauseMilliseconds", earlier);
  fields.Count("cutoverAttempts", migration.cutover.attempts)
      .PreciseTime("rollbackStoppedUsersAt", migration.rollback.fenced_at)
      .PreciseTime("rollbackAdmittedUsersAt", migration.rollback.opened_at)
      .Time("rollbackAvailableUntil", migration.rollback.available_until);
  return fields.Take();
}

Json Samples(const MigrationView& migration) {
  Json samples = Json::Array();
  for (const api::Sample& sample : migration.samples) {
    api::FieldWriter fields;
    fields.PreciseTime("time", sample.time);
    if (sample.copied_bytes) fields.Count("copiedBytes", *sample.copied_bytes);
    if (sample.lag_bytes) fields.Count("lagBytes", *sample.lag_bytes);
    samples.Append(fields.Take());
  }
  return samples;
}

Json Preflight(const MigrationView& migration) {
  Json lines = Json::Array();
  for (const api::PreflightLine& line : migration.preflight.lines)
    lines.Append(Json::Object(
        {{"name", line.name}, {"result", api::Name(line.result)}, {"message", line.message}}));
  return lines;
}

Json Proof(const MigrationView& migration) {
  const api::VerificationStatus& proof = migration.verification;
  if (!proof.finished_at) return Json();
  api::FieldWriter fields;
  fields.Text("level", proof.level)
      .Count("tables", proof.tables)
      .Count("rows", proof.rows)
      .Count("mismatches", proof.mismatches)
      .Time("finishedAt", proof.finished_at)
      .Text("report", proof.report);
  return fields.Take();
}

Json Report(const ReportFacts& facts) {
  const MigrationView& migration = facts.seen.migration;
  Json status = StatusDocument(facts.seen);
  status.Remove("youMay");  // Good for the moment, and not for a ticket.
  api::FieldWriter fields;
  fields.Value("migration", std::move(status))
      .Value("moments", Moments(migration))
      .Value("samples", Samples(migration))
      .Value("verification", Proof(migration))
      .Value("preflight", Preflight(migration))
      .Value("commands", Commands(migration))
      .Value("writers", Writers(facts.object))
      .Value("conditions", ConditionsOf(migration))
      .Value("spec", facts.object["spec"])
      .Text("failureReason", migration.failure_reason)
      .Text("failureMessage", migration.failure_message)
      .Text("sourceVersion", VersionOf(facts.seen.source))
      .Text("targetVersion", VersionOf(facts.seen.target));
  if (facts.events)
    fields.Value("events", Events(*facts.events));
  else
    fields.Text("eventsUnknown", facts.events.error().message);
  fields.Text("madeBy", facts.made_by)
      .Text("pluginVersion", facts.plugin_version)
      .Time("madeAt", facts.seen.now);
  return fields.Take();
}

}  // namespace

std::string CanonicalText(const Json& document) {
  std::string text;
  for (const char c : document.Dump())
    if (c == '<')
      text += "\\u003c";
    else
      text += c;
  return text;
}

std::string Sha256(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) == 1);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

Json ReportDocument(const ReportFacts& facts) {
  Json report = Report(facts);
  const std::string sum = Sha256(CanonicalText(report));
  return Json::Object({{"report", std::move(report)}, {"sha256", sum}});
}

}  // namespace cutover::cli
