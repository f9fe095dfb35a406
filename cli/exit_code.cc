// SPDX-License-Identifier: Apache-2.0
#include "cli/exit_code.h"

namespace cutover::cli {

ExitCode ExitCodeOf(Health health) {
  switch (health) {
    case Health::kGood:
      return kExitGood;
    case Health::kNotMoved:
      return kExitNotMoved;
    case Health::kAsksYou:
      return kExitAsksYou;
    case Health::kTrouble:
      return kExitTrouble;
  }
  return kExitFailed;
}

}  // namespace cutover::cli
