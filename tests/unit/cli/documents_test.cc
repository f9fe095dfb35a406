// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/unit/cli/golden.h"

namespace cutover::cli {
namespace {

using cutover::cli::testing::ReadText;

constexpr char kDocument[] = "docs/kubectl-cutover.md";
constexpr std::string_view kMark = "<!-- tests/unit/cli/golden/";
constexpr std::string_view kOpen = "```text\n", kClose = "```\n";

// The document with the block after each mark replaced by the golden file that the mark names.
std::string Renewed(const std::string& document, int& examples) {
  std::string renewed;
  size_t at = 0;
  examples = 0;
  for (size_t mark; (mark = document.find(kMark, at)) != std::string::npos; ++examples) {
    const size_t name = mark + kMark.size(), end = document.find(" -->\n", name);
    const size_t open = document.find(kOpen, end), close = document.find(kClose, open + 1);
    EXPECT_NE(close, std::string::npos);
    if (close == std::string::npos) return document;
    const std::string golden =
        ReadText("tests/unit/cli/golden/" + document.substr(name, end - name));
    EXPECT_NE(golden, "") << document.substr(name, end - name);
    renewed += document.substr(at, open + kOpen.size() - at) + golden;
    at = close;
  }
  return renewed + document.substr(at);
}

TEST(Document, ItsExamplesAreWhatThePluginPrints) {
  const std::string document = ReadText(kDocument);
  int examples = 0;
  const std::string renewed = Renewed(document, examples);
  EXPECT_GE(examples, 6);
  if (std::getenv("CUTOVER_UPDATE_GOLDEN"))
    std::ofstream(kDocument, std::ios::binary) << renewed;
  else
    EXPECT_EQ(document, renewed) << "run cli_test with CUTOVER_UPDATE_GOLDEN=1";
}

}  // namespace
}  // namespace cutover::cli
