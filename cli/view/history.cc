// SPDX-License-Identifier: Apache-2.0
#include "cli/view/history.h"

#include <algorithm>

#include "cli/view/page.h"
#include "cli/view/phases.h"
#include "cli/view/words.h"
#include "operator/api/field_writer.h"

namespace cutover::cli {
namespace {

std::optional<WallTime> EndOf(const MigrationView& migration) {
  if (!IsEnd(migration.phase)) return std::nullopt;
  const api::Stage* last = migration.FindStage(migration.phase);
  return last ? last->started_at : std::nullopt;
}

std::string PauseOf(const MigrationView& migration) {
  const std::string pause = api::DescribePause(migration.cutover);
  return pause.empty() ? "-" : pause;
}

std::string ProofOf(const MigrationView& migration) {
  const api::VerificationStatus& proof = migration.verification;
  if (!proof.finished_at) return "-";
  return proof.mismatches > 0 ? Counted(proof.mismatches, "mismatch") + "es"
                              : Counted(proof.rows, "row") + " equal";
}

}  // namespace

std::vector<MigrationView> HistoryOf(std::vector<MigrationView> migrations,
                                     const std::string& placement_name) {
  std::erase_if(migrations, [&](const MigrationView& migration) {
    return !placement_name.empty() && migration.placement_name != placement_name;
  });
  std::stable_sort(migrations.begin(), migrations.end(),
                   [](const MigrationView& a, const MigrationView& b) {
                     return a.meta.creation_timestamp > b.meta.creation_timestamp;
                   });
  return migrations;
}

std::string RenderHistory(const std::vector<MigrationView>& moves, WallTime now,
                          bool all_namespaces) {
  std::vector<std::string> header{"CREATED", "NAME",   "PLACEMENT",   "FROM", "TO",
                                  "RESULT",  "LASTED", "WRITE-PAUSE", "PROOF"};
  if (all_namespaces) header.insert(header.begin() + 1, "NAMESPACE");
  Table table(header);
  for (const MigrationView& move : moves) {
    const auto& created = move.meta.creation_timestamp;
    const auto end = EndOf(move);
    std::string result = move.phase.empty() ? "-" : move.phase;
    if (!move.failure_reason.empty()) result += " (" + move.failure_reason + ")";
    std::vector<std::string> row{
        created ? FormatTime(*created) : "-",
        move.meta.name,
        move.placement_name,
        move.source_server_name.empty() ? "-" : move.source_server_name,
        move.target_server_name,
        result,
        created ? FormatSpan((end ? *end : now) - *created) + (end ? "" : " so far") : "-",
        PauseOf(move),
        ProofOf(move)};
    if (all_namespaces) row.insert(row.begin() + 1, move.meta.namespace_name);
    table.Row(std::move(row));
  }
  return table.Text();
}

Json HistoryDocument(const std::vector<MigrationView>& moves) {
  Json items = Json::Array();
  for (const MigrationView& move : moves) {
    api::FieldWriter fields;
    fields.Text("namespace", move.meta.namespace_name)
        .Text("name", move.meta.name)
        .Text("placement", move.placement_name)
        .Text("source", move.source_server_name)
        .Text("target", move.target_server_name)
        .Text("strategy", move.strategy)
        .Text("phase", move.phase)
        .Text("failureReason", move.failure_reason)
        .Time("createdAt", move.meta.creation_timestamp)
        .Time("endedAt", EndOf(move))
        .Count("writePauseMilliseconds", move.cutover.write_pause_milliseconds)
        .Count("rowsProved", move.verification.rows)
        .Count("mismatches", move.verification.mismatches);
    if (const int64_t earlier = move.cutover.earlier_pause_milliseconds; earlier > 0)
      fields.Count("earlierPauseMilliseconds", earlier);
    items.Append(fields.Take());
  }
  return Json::Object({{"items", std::move(items)}});
}

}  // namespace cutover::cli
