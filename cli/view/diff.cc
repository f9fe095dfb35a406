// SPDX-License-Identifier: Apache-2.0
#include "cli/view/diff.h"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "cli/view/redact.h"

namespace cutover::cli {
namespace {

using Lines = std::vector<std::string>;

// Beyond this a comparison of each line with each other is not worth its memory.
constexpr size_t kComparedLinesMax = 2000;

Lines LinesOf(const Json& value) {
  Lines lines;
  if (value.IsNull()) return lines;
  std::stringstream stream(value.IsString() ? value.StringRef() : value.Dump());
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  if (lines.empty()) lines.emplace_back();  // An empty text is not the same as none.
  return lines;
}

// lengths[i][j]: of the longest common subsequence of before from i on and after from j on.
std::vector<std::vector<size_t>> CommonLengths(const Lines& before, const Lines& after) {
  std::vector<std::vector<size_t>> lengths(before.size() + 1,
                                           std::vector<size_t>(after.size() + 1, 0));
  for (size_t i = before.size(); i-- > 0;)
    for (size_t j = after.size(); j-- > 0;)
      lengths[i][j] = before[i] == after[j] ? lengths[i + 1][j + 1] + 1
                                            : std::max(lengths[i + 1][j], lengths[i][j + 1]);
  return lengths;
}

class Comparison {
 public:
  explicit Comparison(bool is_secret) : is_secret_(is_secret) {}

  void Compare(const std::string& path, const Json& before, const Json& after) {
    if (before == after || path == ".metadata.resourceVersion") return;
    const bool objects =
        (before.IsObject() || before.IsNull()) && (after.IsObject() || after.IsNull());
    const bool arrays =
        (before.IsArray() || before.IsNull()) && (after.IsArray() || after.IsNull());
    if (objects) {
      for (const auto& [key, value] : after.Members())
        Compare(path + Step(key), before[key], value);
      for (const auto& [key, value] : before.Members())
        if (!after.Contains(key)) Compare(path + Step(key), value, Json());
    } else if (arrays) {
      for (size_t i = 0; i < std::max(before.Size(), after.Size()); ++i)
        Compare(path + Step(before[i], after[i], i), before[i], after[i]);
    } else if (is_secret_ || NamesASecret(path)) {
      Hide(path, before, after);
    } else {
      CompareLines(path, LinesOf(before), LinesOf(after));
    }
  }

  std::vector<Hunk> Take() { return std::move(hunks_); }

 private:
  static std::string Step(const std::string& key) {
    const bool plain = std::all_of(key.begin(), key.end(),
                                   [](unsigned char c) { return std::isalnum(c) || c == '_'; });
    return plain ? "." + key : "[\"" + key + "\"]";
  }
  // Elements that have a name are known by it: which container, which variable.
  static std::string Step(const Json& before, const Json& after, size_t index) {
    const std::string name = after["name"].AsString();
    if (!name.empty() && before["name"].AsString() == name) return "[" + name + "]";
    return "[" + std::to_string(index) + "]";
  }

  void Hide(const std::string& path, const Json& before, const Json& after) {
    Hunk hunk{path, 1, 1, {}, {}};
    if (!before.IsNull()) hunk.before = {"(not shown)"};
    if (!after.IsNull()) hunk.after = {before.IsNull() ? "(not shown)" : "(another, not shown)"};
    Add(std::move(hunk));
  }

  // What both begin and end with is set aside: a long file of which one line changes is compared
  // as well as a short one.
  void CompareLines(const std::string& path, Lines before, Lines after) {
    const auto begin =
        std::mismatch(before.begin(), before.end(), after.begin(), after.end()).first;
    const auto same = static_cast<size_t>(begin - before.begin());
    before.erase(before.begin(), begin);
    after.erase(after.begin(), after.begin() + static_cast<ptrdiff_t>(same));
    while (!before.empty() && !after.empty() && before.back() == after.back())
      before.pop_back(), after.pop_back();
    if (const size_t lines = std::max(before.size(), after.size()); lines > kComparedLinesMax)
      hunks_.push_back({path, same + 1, same + 1, {}, {}, lines});
    else
      CompareEach(path, same + 1, before, after);
  }

  // The first of each is line `first` of its text.
  void CompareEach(const std::string& path, size_t first, const Lines& before, const Lines& after) {
    const auto common = CommonLengths(before, after);
    size_t i = 0, j = 0;
    while (i < before.size() || j < after.size()) {
      if (i < before.size() && j < after.size() && before[i] == after[j]) {
        ++i, ++j;
        continue;
      }
      Hunk hunk{path, first + i, first + j, {}, {}};
      while (i < before.size() || j < after.size()) {
        if (i < before.size() && j < after.size() && before[i] == after[j]) break;
        const bool take_before =
            j == after.size() || (i < before.size() && common[i + 1][j] >= common[i][j + 1]);
        (take_before ? hunk.before : hunk.after).push_back(take_before ? before[i++] : after[j++]);
      }
      Add(std::move(hunk));
    }
  }

  void Add(Hunk hunk) {
    for (Lines* lines : {&hunk.before, &hunk.after})
      for (std::string& line : *lines) line = WithoutSecretSettings(line);
    hunks_.push_back(std::move(hunk));
  }

  const bool is_secret_;
  std::vector<Hunk> hunks_;
};

// "-4" or "-4,2"; nothing is counted from the line before.
std::string Range(char sign, size_t line, size_t count) {
  std::string text = sign + std::to_string(count == 0 ? line - 1 : line);
  return count == 1 ? text : text + "," + std::to_string(count);
}

}  // namespace

std::vector<Hunk> HunksBetween(const Json& before, const Json& after, bool is_secret) {
  Comparison comparison(is_secret);
  comparison.Compare("", before, after);
  return comparison.Take();
}

void RenderDiff(const ObjectDiff& diff, size_t indent, Page& page) {
  const std::string margin(indent, ' ');
  if (!diff.unknown.empty())
    page.Field(indent, "", 0, diff.object + ": unknown, since " + diff.unknown, Tone::kWarning);
  if (diff.hunks.empty()) return;
  page.Line(margin + page.Paint(Tone::kBold, "--- " + diff.object));
  page.Line(margin + page.Paint(Tone::kBold, "+++ " + diff.object + ", " + diff.when));
  for (const Hunk& hunk : diff.hunks) {
    if (hunk.uncompared > 0) {
      page.Line(margin +
                page.Paint(Tone::kDim, "@@ -" + std::to_string(hunk.before_line) + " +" +
                                           std::to_string(hunk.after_line) + " @@ " + hunk.place));
      page.Line(margin + "up to " + std::to_string(hunk.uncompared) +
                " lines differ from there on, too many to compare them one by one");
      continue;
    }
    page.Line(margin +
              page.Paint(Tone::kDim, "@@ " + Range('-', hunk.before_line, hunk.before.size()) +
                                         " " + Range('+', hunk.after_line, hunk.after.size()) +
                                         " @@ " + hunk.place));
    for (const std::string& line : hunk.before)
      page.Line(margin + page.Paint(Tone::kBad, "-" + line));
    for (const std::string& line : hunk.after)
      page.Line(margin + page.Paint(Tone::kGood, "+" + line));
  }
}

}  // namespace cutover::cli
