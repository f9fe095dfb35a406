// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/mutex.h"
#include "operator/base/result.h"
#include "operator/kube/controller.h"
#include "reconcilers/migration/cluster/cluster_world.h"
#include "reconcilers/migration/orphans/remedy.h"

namespace cutover::migration {

/// On a DatabaseServer: the uid of a vanished migration whose remains there a person wants resolved
/// in the way that the server's condition OrphansFound has described.
inline constexpr char kResolveOrphanAnnotation[] = "cutover.dev/resolve-orphan";

/// Finds what is left of migrations whose TenantMigration no longer exists, and settles what can be
/// settled without a person.
///
/// *Expected flow*: read every ledger, and every labelled Job and order; look at the servers'
/// databases that nobody may enter; only then list the TenantMigrations, so that whoever is missing
/// there is gone and not new. Jobs and orders of the missing go, and those of a migration that has
/// come to its end, with its maintenance page, ledger and a target database only half made:
/// neither Kubernetes objects nor CREATE DATABASE know epochs, so a request of a deposed leader may
/// still arrive when nobody expects it any more. So may a replication slot, which a mover asks for
/// that sat on a node that was lost: it goes where its migration has ended, or where no control row
/// in its database speaks of one. What a probe of replication has made goes once it
/// is older than any probe can be, whoever's it was. A ledger of the missing tells the rest:
/// Advise() decides, and the phases of a living migration do it.
///
/// *Guarantees*: nothing is done to a database without our own ledger of that migration, or a
/// person's word: another cluster may move tenants on the same servers. (A slot is only made where
/// a control row is, so one without is not that other cluster's either.) Every effect checks the
/// epoch, as always. A database that may hold the only verified copy is never dropped. Where only
/// some namespaces are watched, a migration of another is not missing: nothing is known of it.
///
/// *Errors*: retry errors when the API server cannot be read; a server that cannot be is waited
/// for. Sweep() by one thread at a time; FindingsOn() by any.
class Sweeper {
 public:
  explicit Sweeper(const ClusterContext& context) : context_(context) {}

  /// One look at everything, which ends at the latest when the deadline does.
  Result<kube::Step> Sweep(std::stop_token stop, Deadline deadline);

  /// What the last sweep found on this server and left to a person, as sentences; empty: nothing.
  std::string FindingsOn(const std::string& server_name) const;

 private:
  struct Look;

  Result<Look> LookAround(std::stop_token stop, Deadline deadline);
  Status FindObjects(std::stop_token stop, Deadline deadline, Look& look);
  Status FindTheLiving(std::stop_token stop, Deadline deadline, Look& look);
  void FindStrangers(std::stop_token stop, Deadline deadline, const api::DatabaseServer& server,
                     Look& look);
  Status DeleteLeftovers(std::stop_token stop, Deadline deadline, const Look& look);
  bool RemoveOldProbes(std::stop_token stop, Deadline deadline, const Look& look);
  bool DropHalfMade(std::stop_token stop, Deadline deadline, const Look& look);
  bool DropLateSlots(std::stop_token stop, Deadline deadline, const Look& look);
  bool Settle(std::stop_token stop, Deadline deadline, const FoundLedger& found, Look& look);
  bool Pursue(std::stop_token stop, Deadline deadline, Remedy remedy, api::TenantMigration ghost,
              Look& look, std::string& last_words);
  void ReportStrangers(std::stop_token stop, Deadline deadline, Look& look);

  const ClusterContext& context_;
  /// By what it is: when a thing of a probe's, a database half made, or a slot of nobody's was
  /// first seen, by the thread that sweeps. Forgotten with the process, and so seen a little later.
  std::map<std::string, SteadyTime> probes_, half_made_, late_slots_;
  mutable Mutex mutex_;
  std::map<std::string, std::string> findings_ GUARDED_BY(mutex_);  // By server.
};

}  // namespace cutover::migration
