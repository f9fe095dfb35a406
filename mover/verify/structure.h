// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "mover/plan/restore_script.h"
#include "mover/verify/report.h"

namespace cutover::mover {

/// Compares two databases' structure as the same pg_dump wrote it down: tables, columns, defaults,
/// indexes, constraints and whether they were proven, triggers and whether they fire, views,
/// functions, policies, comments, owners, grants, default privileges … whatever a dump carries.
/// Order does not matter, neither of objects nor of grants, nor of the columns of a table
/// that inherits: a dump puts the inherited ones first, whatever their order was (a warning says
/// so). Extensions are left out: their version may rightly differ and is compared elsewhere.
///
/// The target's entries are taken one by one, so that only one side is in memory as a whole.
class StructureComparison {
 public:
  /// Both must outlive it.
  StructureComparison(const RestoreScript& source, Report& report);

  void Take(RestoreItem target);
  /// When all were taken: what is on one side only.
  void Finish();

 private:
  /// Entries of one kind and name.
  struct Same {
    std::vector<const RestoreItem*> source;
    std::vector<RestoreItem> target;  ///< That had no one partner when they came.
    bool paired = false;              ///< The only one of the source was compared.
  };

  std::map<std::string, Same> entries_;
  Report& report_;
};

/// The same for two scripts that are there as a whole.
void CompareStructure(const RestoreScript& source, const RestoreScript& target, Report& report);

}  // namespace cutover::mover
