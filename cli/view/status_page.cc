// SPDX-License-Identifier: Apache-2.0
#include "cli/view/status_page.h"

#include <algorithm>
#include <map>

#include "cli/view/assessment.h"
#include "cli/view/checks.h"
#include "cli/view/phases.h"
#include "cli/view/stages.h"
#include "cli/view/words.h"
#include "operator/api/field_writer.h"

namespace cutover::cli {
namespace {

constexpr size_t kIndent = 2;
constexpr size_t kLabelWidth = 10;
constexpr size_t kStageNameWidth = 17;
constexpr size_t kDurationWidth = 8;
constexpr size_t kCheckNameWidthMax = 24;
constexpr int kBarWidth = 20;
constexpr size_t kMessageWidthMax = 60;

Tone ToneOf(Health health) {
  switch (health) {
    case Health::kGood:
      return Tone::kGood;
    case Health::kAsksYou:
      return Tone::kWarning;
    case Health::kTrouble:
    case Health::kNotMoved:
      return Tone::kBad;
  }
  return Tone::kPlain;
}

void RenderHead(const Snapshot& seen, const Assessment& assessment, Page& page) {
  const MigrationView& migration = seen.migration;
  const std::string phase = migration.phase.empty() ? "not looked at yet" : migration.phase;
  page.Line(page.Paint(Tone::kBold, "TenantMigration " + migration.FullName() + ":") + " " +
            page.Paint(ToneOf(assessment.health), phase));
  std::string route = migration.placement_name + ": " +
                      (migration.source_server_name.empty() ? "?" : migration.source_server_name) +
                      std::string(page.Glyph(" → ", " -> ")) + migration.target_server_name + ", " +
                      migration.strategy;
  if (migration.rehearsal) route += ", rehearsal";
  if (migration.attempt > 1) route += ", attempt " + std::to_string(migration.attempt);
  if (const auto& created = migration.meta.creation_timestamp)
    route += ", created " + FormatDistance(*created, seen.now);
  page.Field(kIndent, "", 0, route, Tone::kDim);
  page.Line();
}

void RenderAnswers(const MigrationView& migration, const Assessment& assessment, Page& page) {
  page.Field(kIndent, "Now", kLabelWidth, assessment.now);
  if (!assessment.words.empty()) page.Field(kIndent, "", kLabelWidth, assessment.words, Tone::kDim);
  if (!assessment.cause.empty()) page.Field(kIndent, "", kLabelWidth, assessment.cause);
  page.Field(kIndent, "Stuck?", kLabelWidth, assessment.stuck, ToneOf(assessment.health));
  page.Field(kIndent, "Users", kLabelWidth, assessment.users);
  if (!assessment.next.empty()) page.Field(kIndent, "Next", kLabelWidth, assessment.next);
  page.Field(kIndent, "Way back", kLabelWidth, assessment.way_back);
  for (const std::string& verb : assessment.asked)
    page.Field(kIndent, "Asked", kLabelWidth, verb + ", not answered by the operator yet",
               Tone::kWarning);
  if (!assessment.kept.empty())
    page.Field(kIndent, "Asked", kLabelWidth, "approve, and that is kept: " + assessment.kept);
  if (migration.observed_generation > 0 && !IsEnd(migration.phase) &&
      migration.observed_generation < migration.meta.generation)
    page.Field(kIndent, "Spec", kLabelWidth, "its last change is not taken up by the operator yet",
               Tone::kWarning);
  if (!migration.unread.empty())
    page.Field(kIndent, "Note", kLabelWidth,
               "this plugin cannot read all of it (" + migration.unread +
                   "): use one as new as the operator",
               Tone::kWarning);
  page.Line();
}

std::string DescribeReady(const api::Conditions& conditions) {
  const api::Condition* ready = conditions.Find("Ready");
  if (!ready) return "not looked at yet";
  if (ready->status == api::ConditionStatus::kTrue) return "Ready";
  return "not Ready (" + ready->reason + "): " + ready->message;
}

template <class T, class Describe>
void RenderObject(std::string_view label, const std::string& name, const Lookup<T>& found,
                  Describe describe, Page& page) {
  std::string text = name + ": ";
  if (!found)
    text += "cannot be read (" + found.error().reason + ")";
  else if (!*found)
    text += "does not exist";
  else
    text += describe(**found);
  const bool bad = found && !*found;
  page.Field(kIndent, label, kLabelWidth, text, bad ? Tone::kBad : Tone::kPlain);
}

std::string DescribePlacement(const api::DatabasePlacement& placement) {
  std::string text = "database " + placement.spec.database_name;
  if (placement.status.database_size_bytes > 0)
    text += " (" + FormatBytes(placement.status.database_size_bytes) + ")";
  if (!placement.status.server_name.empty()) text += " on " + placement.status.server_name;
  text += ", " + DescribeReady(placement.status.conditions);
  const api::Condition* drifted = placement.status.conditions.Find("WiringDrifted");
  if (drifted && drifted->status == api::ConditionStatus::kTrue)
    text += "; wiring drifted: " + drifted->message;
  return text;
}

std::string DescribeServer(const api::DatabaseServer& server) {
  std::string text;
  if (!server.status.version.empty()) text = "PostgreSQL " + server.status.version + ", ";
  text += DescribeReady(server.status.conditions);
  if (server.spec.unschedulable) text += ", unschedulable";
  return text;
}

void RenderParts(const Snapshot& seen, Page& page) {
  const MigrationView& migration = seen.migration;
  RenderObject("Placement", migration.placement_name, seen.placement, DescribePlacement, page);
  if (!migration.source_server_name.empty())
    RenderObject("Source", migration.source_server_name, seen.source, DescribeServer, page);
  RenderObject("Target", migration.target_server_name, seen.target, DescribeServer, page);
  if (seen.lease && *seen.lease && !(*seen.lease)->holder.empty()) {
    std::string text = (*seen.lease)->holder + " leads";
    if (const auto& renewed = (*seen.lease)->renewed_at)
      text += ", lease renewed " + FormatDistance(*renewed, seen.now);
    page.Field(kIndent, "Operator", kLabelWidth, text);
  }
  page.Line();
}

std::string Mark(const StageLine& line, const Page& page) {
  switch (line.state) {
    case StageState::kDone:
      return page.Paint(Tone::kGood, page.Glyph("✔", "+"));
    case StageState::kRunning:
      return page.Paint(Tone::kWarning, page.Glyph("▶", ">"));
    case StageState::kFailed:
      return page.Paint(Tone::kBad, page.Glyph("✖", "x"));
    case StageState::kSkipped:
      return page.Paint(Tone::kDim, page.Glyph("∅", "-"));
    case StageState::kToCome:
      return page.Paint(Tone::kDim, page.Glyph("·", "."));
  }
  return " ";
}

std::string Cut(const std::string& text) {
  if (Columns(text) <= kMessageWidthMax) return text;
  return api::Shorten(text, kMessageWidthMax);
}

std::string StageText(const StageLine& line, const Page& page) {
  std::string text;
  if (line.percent >= 0)
    text = FormatBar(line.percent, kBarWidth, page.style().unicode) + " " +
           std::to_string(line.percent) + "%  ";
  if (!line.measures.empty()) return text + line.measures;
  if (line.state == StageState::kSkipped) return "skipped";
  // While it runs its words stand at the top already.
  return text + (line.state == StageState::kRunning ? "" : Cut(line.message));
}

void RenderStages(const Snapshot& seen, Page& page) {
  const std::vector<StageLine> lines = PipelineOf(seen.migration);
  if (lines.empty()) return;
  page.Line(std::string(kIndent, ' ') + page.Paint(Tone::kBold, "Stages"));
  for (const StageLine& line : lines) {
    const auto lasted = line.Lasted(seen.now);
    const bool dim = line.state == StageState::kToCome || line.state == StageState::kSkipped;
    // Spaces stay outside of the tone, so that a line ends where its text does.
    const std::string name =
        page.Paint(dim ? Tone::kDim : Tone::kPlain, line.name) +
        Pad("", kStageNameWidth - std::min(kStageNameWidth, Columns(line.name)));
    page.Line(std::string(kIndent + 2, ' ') + Mark(line, page) + " " + name +
              Pad(lasted ? FormatSpan(*lasted) : "", kDurationWidth) +
              page.Paint(Tone::kDim, StageText(line, page)));
  }
  page.Line();
}

std::string_view Mark(CheckState state, const Page& page) {
  switch (state) {
    case CheckState::kPassed:
      return page.Glyph("✔", "+");
    case CheckState::kUnknown:
      return "?";
    case CheckState::kFailing:
    case CheckState::kFailed:
      return page.Glyph("✖", "x");
    case CheckState::kNotRun:
      return page.Glyph("·", ".");
  }
  return " ";
}

Tone ToneOf(CheckState state) {
  if (state == CheckState::kFailed) return Tone::kBad;
  if (state == CheckState::kFailing || state == CheckState::kUnknown) return Tone::kWarning;
  return Tone::kDim;
}

void RenderChecks(const Snapshot& seen, Page& page) {
  const std::vector<CheckLine> lines = ChecksOf(seen.migration, seen.now);
  if (lines.empty()) return;
  page.Line(std::string(kIndent, ' ') + page.Paint(Tone::kBold, "Checks"));
  size_t width = 0;
  for (const CheckLine& line : lines) width = std::max(width, Columns(line.name));
  width = std::min(width, kCheckNameWidthMax) + 2;
  for (const CheckLine& line : lines)
    page.Field(kIndent + 2, std::string(Mark(line.state, page)) + " " + line.name, width + 2,
               line.text, ToneOf(line.state));
  const std::string follows = WhatChecksLeadTo(seen.migration);
  if (!follows.empty()) page.Field(kIndent + 2, "", 0, follows);
  page.Line();
}

void RenderResults(const MigrationView& migration, Page& page) {
  const api::VerificationStatus& proof = migration.verification;
  if (!proof.finished_at) return;
  std::string text = proof.mismatches == 0 ? "equal" : Counted(proof.mismatches, "mismatch") + "es";
  text += ": " + Counted(proof.tables, "table") + ", " + Counted(proof.rows, "row");
  if (!proof.level.empty())
    text += proof.level == "Counts" ? ", rows counted only" : ", every row compared in full";
  page.Field(kIndent, "Proof", kLabelWidth, text, proof.mismatches == 0 ? Tone::kGood : Tone::kBad);
  // The report of a whole proof says no more than the line above.
  if (!proof.report.empty() && !proof.report.ends_with("equal"))
    page.Field(kIndent, "", kLabelWidth, proof.report);
  page.Line();
}

void RenderAdvice(const Assessment& assessment, Page& page) {
  page.Line(std::string(kIndent, ' ') + page.Paint(Tone::kBold, "You may"));
  if (assessment.advice.empty())
    page.Field(
        kIndent + 2, "", 0,
        assessment.health == Health::kAsksYou
            ? "do what is said above: no command takes its place, and this goes on by itself "
              "once it is done"
            : "wait: there is nothing to decide until this is over");
  for (const Advice& advice : assessment.advice) {
    page.Line(std::string(kIndent + 2, ' ') +
              page.Paint(advice.awaited ? Tone::kWarning : Tone::kPlain, advice.command));
    page.Field(kIndent + 6, "", 0, advice.effect, Tone::kDim);
  }
}

int Urgency(const MigrationView& migration, WallTime now) {
  switch (HealthOf(migration, now)) {
    case Health::kTrouble:
      return 0;
    case Health::kAsksYou:
      return 1;
    case Health::kGood:
      return IsEnd(migration.phase) ? 4 : 2;
    case Health::kNotMoved:
      return 3;
  }
  return 4;
}

std::string Verdict(const MigrationView& migration, Health health) {
  switch (health) {
    case Health::kGood:
      return IsEnd(migration.phase) ? "done" : "going on";
    case Health::kAsksYou:
      return "waits for you";
    case Health::kTrouble:
      return "trouble";
    case Health::kNotMoved:
      return "not moved";
  }
  return "";
}

}  // namespace

std::string RenderStatus(const Snapshot& seen, const Style& style) {
  const Assessment assessment = Assess(seen);
  Page page(style);
  RenderHead(seen, assessment, page);
  RenderAnswers(seen.migration, assessment, page);
  RenderParts(seen, page);
  RenderStages(seen, page);
  RenderChecks(seen, page);
  RenderResults(seen.migration, page);
  RenderAdvice(assessment, page);
  return page.Take();
}

std::string RenderLine(const Snapshot& seen) {
  const MigrationView& migration = seen.migration;
  const Assessment assessment = Assess(seen);
  std::string line = migration.phase.empty() ? "not looked at yet" : migration.phase;
  for (const StageLine& stage : PipelineOf(migration))
    if (stage.state == StageState::kRunning && stage.percent >= 0)
      line += " " + std::to_string(stage.percent) + "%";
  if (!migration.message.empty()) line += ": " + Printable(migration.message);
  if (assessment.health != Health::kGood)
    line += " [" + Verdict(migration, assessment.health) + "]";
  return line;
}

std::string RenderConditions(const MigrationView& migration, WallTime now) {
  Table table({"CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"});
  for (const api::Condition& condition : migration.conditions.items()) {
    const auto& since = condition.last_transition_time;
    table.Row({condition.type, std::string(api::Name(condition.status)), condition.reason,
               since ? FormatDistance(*since, now) : "", condition.message});
  }
  return table.Text();
}

std::string RenderList(std::vector<MigrationView> migrations, WallTime now, bool all_namespaces,
                       bool wide) {
  std::stable_sort(migrations.begin(), migrations.end(),
                   [now](const MigrationView& a, const MigrationView& b) {
                     return Urgency(a, now) < Urgency(b, now);
                   });
  std::vector<std::string> header{"NAME",  "PLACEMENT", "TARGET", "PHASE",
                                  "STATE", "PROGRESS",  "LAG",    "AGE"};
  if (all_namespaces) header.insert(header.begin(), "NAMESPACE");
  if (wide) header.insert(header.end(), {"SOURCE", "SAYS"});
  Table table(header);
  std::map<std::string, int> counts;
  for (const MigrationView& migration : migrations) {
    const std::string verdict = Verdict(migration, HealthOf(migration, now));
    ++counts[verdict];
    const auto& created = migration.meta.creation_timestamp;
    std::vector<std::string> row{migration.meta.name,
                                 migration.placement_name,
                                 migration.target_server_name,
                                 migration.phase.empty() ? "-" : migration.phase,
                                 verdict,
                                 api::Summary(migration.progress),
                                 migration.progress.replication_lag_bytes
                                     ? FormatBytes(*migration.progress.replication_lag_bytes)
                                     : "",
                                 created ? FormatSpan(now - *created) : ""};
    if (all_namespaces) row.insert(row.begin(), migration.meta.namespace_name);
    if (wide) row.insert(row.end(), {migration.source_server_name, Cut(migration.message)});
    table.Row(std::move(row));
  }
  std::string text =
      table.Text() + "\n" + Counted(static_cast<int64_t>(migrations.size()), "migration") + ": ";
  bool first = true;
  for (const auto& [verdict, count] : counts) {
    text += (first ? "" : ", ") + std::to_string(count) + " " + verdict;
    first = false;
  }
  return text + "\n";
}

}  // namespace cutover::cli
