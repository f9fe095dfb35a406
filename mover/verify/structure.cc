// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/structure.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "mover/plan/sql_tokens.h"
#include "mover/verify/array_casts.h"

namespace cutover::mover {
namespace {

constexpr size_t kExcerptBytesMax = 200;

/// What an entry is, whoever owns it and whatever it says.
std::string KeyOf(const RestoreItem& item) {
  return item.type + '\0' + item.schema + '\0' + item.name;
}

bool IsGrants(const RestoreItem& item) { return item.type == "ACL" || item.type == "DEFAULT ACL"; }

bool IsExtension(const RestoreItem& item) {
  return item.type == "EXTENSION" ||
         (item.type == "COMMENT" && item.name.rfind("EXTENSION ", 0) == 0);
}

/// Without the quotes that only a server of some majors writes, because the name has become a
/// keyword there: "json" since 16. A keyword itself is written in capitals where it could be meant.
std::string WithoutNeedlessQuotes(const std::string& sql) {
  if (sql.find('"') == std::string::npos) return sql;
  std::string plain;
  size_t done = 0;
  for (const SqlToken& token : TokenizeSql(sql)) {
    if (token.kind != SqlToken::Kind::kQuoted) continue;
    const std::string name = NameOf(sql, token);
    if (name.empty() ||
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos)
      continue;
    if (name[0] >= '0' && name[0] <= '9') continue;
    plain.append(sql, done, token.begin - done).append(name);
    done = token.end;
  }
  return plain.append(sql, done);
}

/// Lines that mean something. Settings between entries are pg_dump's own state, and belong to
/// whichever entry happens to stand before them.
std::vector<std::string> Lines(const RestoreItem& item) {
  std::vector<std::string> lines;
  const std::string sql = WithoutNeedlessQuotes(item.sql);
  std::string_view rest = sql;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.empty() || line.rfind("SET default_table", 0) == 0) continue;
    lines.push_back(SpellArrayCasts(line));
  }
  if (IsGrants(item)) std::sort(lines.begin(), lines.end());
  return lines;
}

std::string Excerpt(const std::string& line) {
  return line.size() <= kExcerptBytesMax ? line : line.substr(0, kExcerptBytesMax) + "…";
}

/// The first line in which they differ, from each side.
std::pair<std::string, std::string> FirstDifference(const std::vector<std::string>& source,
                                                    const std::vector<std::string>& target) {
  for (size_t i = 0; i < std::max(source.size(), target.size()); ++i) {
    const std::string left = i < source.size() ? source[i] : "";
    const std::string right = i < target.size() ? target[i] : "";
    if (left != right) return {Excerpt(left), Excerpt(right)};
  }
  return {};
}

std::string KindOf(const RestoreItem& item) { return IsGrants(item) ? "grants" : "structure"; }

bool Inherits(const RestoreItem& item) {
  return item.type == "TABLE" && item.sql.find("\nINHERITS (") != std::string::npos;
}

/// Lines of a CREATE TABLE whatever their order; the last column has no comma.
std::vector<std::string> InAnyOrder(std::vector<std::string> lines) {
  for (std::string& line : lines) {
    if (line.rfind("    ", 0) == 0 && line.back() == ',') line.pop_back();
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

void CompareItem(const RestoreItem& source, const RestoreItem& target, Report& report) {
  if (source.owner != target.owner)
    report.Add({source.Describe(), "owner", source.owner, target.owner});
  const std::vector<std::string> source_lines = Lines(source), target_lines = Lines(target);
  // The owner stands in the text as well; once is enough.
  auto without_owner = [](std::vector<std::string> lines) {
    std::erase_if(lines, [](const std::string& line) {
      return line.rfind("ALTER ", 0) == 0 && line.find(" OWNER TO ") != std::string::npos;
    });
    return lines;
  };
  const auto source_text = without_owner(source_lines), target_text = without_owner(target_lines);
  if (source_text == target_text) return;
  // A dump tells the order of some of its columns only, so that is compared without it.
  if (Inherits(source) && InAnyOrder(source_text) == InAnyOrder(target_text)) return;
  auto [left, right] = FirstDifference(source_text, target_text);
  report.Add({source.Describe(), KindOf(source), left, right});
}

}  // namespace

StructureComparison::StructureComparison(const RestoreScript& source, Report& report)
    : report_(report) {
  for (const RestoreItem& item : source.items)
    if (!IsExtension(item)) entries_[KeyOf(item)].source.push_back(&item);
}

void StructureComparison::Take(RestoreItem target) {
  if (IsExtension(target)) return;
  Same& same = entries_[KeyOf(target)];
  if (same.source.size() == 1 && !same.paired) {
    same.paired = true;
    CompareItem(*same.source[0], target, report_);
  } else {
    same.target.push_back(std::move(target));
  }
}

void StructureComparison::Finish() {
  for (auto& [key, same] : entries_) {
    auto& [source, target, paired] = same;
    if (paired) source.clear();
    // Several entries can share a key; by their text they pair up on both sides.
    std::sort(source.begin(), source.end(),
              [](const RestoreItem* a, const RestoreItem* b) { return a->sql < b->sql; });
    std::sort(target.begin(), target.end(),
              [](const RestoreItem& a, const RestoreItem& b) { return a.sql < b.sql; });
    for (size_t i = 0; i < std::max(source.size(), target.size()); ++i) {
      if (i >= target.size())
        report_.Add({source[i]->Describe(), KindOf(*source[i]), "present", "absent"});
      else if (i >= source.size())
        report_.Add({target[i].Describe(), KindOf(target[i]), "absent", "present"});
      else
        CompareItem(*source[i], target[i], report_);
    }
  }
}

void CompareStructure(const RestoreScript& source, const RestoreScript& target, Report& report) {
  StructureComparison comparison(source, report);
  for (const RestoreItem& item : target.items) comparison.Take(item);
  comparison.Finish();
}

}  // namespace cutover::mover
