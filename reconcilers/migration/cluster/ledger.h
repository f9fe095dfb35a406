// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "reconcilers/migration/cluster/labelled.h"

namespace cutover::migration {

/// What Kubernetes objects were before the migration changed them: the placement, replica counts,
/// routes, wiring. And which migration that was, for whoever finds the ledger without it.
/// It lives in a Secret of the operator's namespace, since wiring holds passwords and a tenant must
/// not be able to lose it. (What the databases were is recorded in the source database, beside what
/// it describes: postgres/control.h.)
struct Ledger {
  Json migration;  ///< namespace, name, attempt, sourceServerName, targetServerName, online,
                   ///< byPooler. An older operator's ledger lacks the last two: see GhostOf().
  Json placement;  ///< The DatabasePlacement itself: later changes of its spec do not mix in.
  Json workloads;
  Json routes;
  Json wiring;
  std::string outdated{};  ///< Of NoteOutdated(); empty before the first.

  friend bool operator==(const Ledger&, const Ledger&) = default;
};

/// "cutover-ledger-<uid>".
std::string LedgerName(const api::TenantMigration& migration);

/// The ledger, or nothing when none was written yet. One of an earlier attempt counts for nothing:
/// a deposed leader had asked for it, and it came when that attempt was over.
Result<std::optional<Ledger>> ReadLedger(std::stop_token stop, Deadline deadline,
                                         kube::Client& client, const std::string& ns,
                                         const api::TenantMigration& migration);

struct FoundLedger {
  std::string migration_uid;
  LabelledObject secret;
  Ledger ledger;
};

/// Every ledger there is in the operator's namespace `ns`.
Result<std::vector<FoundLedger>> ListLedgers(std::stop_token stop, Deadline deadline,
                                             kube::Client& client, const std::string& ns);

/// Writes the ledger unless this attempt has one: the first record of what was there wins, because
/// a later look may already see our own changes.
Status WriteLedgerOnce(std::stop_token stop, Deadline deadline, kube::Client& client,
                       const std::string& ns, const api::TenantMigration& migration,
                       const Ledger& ledger);

/// Notes on the ledger, whose record stays as it is, that requests of former leaders have been
/// outdated (ClusterWorld::OutdateRequests), by whom and for which cutover. Nothing where there is
/// no ledger.
Status NoteOutdated(std::stop_token stop, Deadline deadline, kube::Client& client,
                    const std::string& ns, const api::TenantMigration& migration,
                    const std::string& note);

Status DeleteLedger(std::stop_token stop, Deadline deadline, kube::Client& client,
                    const std::string& ns, const api::TenantMigration& migration);

}  // namespace cutover::migration
