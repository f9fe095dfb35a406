// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cli/golden.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace cutover::cli::testing {

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string CompareWithGolden(const std::string& name, const std::string& text) {
  const std::string path = "tests/unit/cli/golden/" + name;
  if (std::getenv("CUTOVER_UPDATE_GOLDEN")) {
    std::ofstream(path, std::ios::binary) << text;
    return "";
  }
  if (ReadText(path) == text) return "";
  return path +
         " says otherwise; look at both, and if the new text is right, run cli_test with "
         "CUTOVER_UPDATE_GOLDEN=1. It is now:\n" +
         text;
}

}  // namespace cutover::cli::testing
