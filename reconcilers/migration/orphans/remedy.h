// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "operator/api/tenant_migration.h"
#include "reconcilers/migration/cluster/ledger.h"
#include "reconcilers/migration/fact.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

/// An orphan is what a migration has left whose TenantMigration no longer exists: somebody removed
/// the finalizer, or the namespace's. docs/decisions/20261121-orphans.md says why each of these.
enum class Remedy {
  kUndo,      ///< Nothing was switched: open the source, and go on as Undoing does.
  kGoBack,    ///< Journaled, but the target was never opened: go on as RollingBack does.
  kDropCopy,  ///< The source is free of us: only the copy and the ledger are left.
  kTidyUp,    ///< The move was over: go on as Completing does. The source stays, fenced.
  kFinish,    ///< A person decided that the tenant stays on the target: go on as Opening does.
  kReport,    ///< For a person to decide; nothing is touched.
  kWait,      ///< Not all that must be known can be read.
};

struct Advice {
  Remedy remedy = Remedy::kWait;
  std::string message;  ///< What was found, and what a person can do about it.
};

/// Pure. `consent`: somebody has set kResolveOrphanAnnotation to this migration's uid. The control
/// rows alone decide; what is unknown is never guessed.
Advice Advise(const Fact<DatabaseFacts>& source, const Fact<DatabaseFacts>& target, bool consent);

/// The vanished migration as far as its ledger tells, in the phase in which `remedy` goes on. Its
/// spec has no checks, and keeps the source for ever. kReport and kWait: as for kUndo.
api::TenantMigration GhostOf(const std::string& uid, const Ledger& ledger, Remedy remedy);

/// Whether the ghost has come to the end of `remedy`, or to where the remedy must not go.
bool IsSettled(Remedy remedy, api::Phase phase);

}  // namespace cutover::migration
