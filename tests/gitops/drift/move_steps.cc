// SPDX-License-Identifier: Apache-2.0
//
// move-steps STEP NAMESPACE LEDGER: one step of what a migration does to the objects of the tenant
// whose DatabasePlacement is the one in NAMESPACE, by the operator's own code, on the API server of
// $KUBECONFIG. The databases are no part of it. LEDGER is a file for what was there before.
//
// Steps: place (what the placement's reconciler does), close, switch, open, and back, which brings
// the wiring back.
#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "operator/api/database_placement.h"
#include "operator/kube/client.h"
#include "operator/kube/kubeconfig.h"
#include "reconcilers/wiring/routes.h"
#include "reconcilers/wiring/wiring.h"
#include "reconcilers/wiring/workloads.h"

namespace cutover {
namespace {

const wiring::HostPort kSource{"10.1.0.1", 5432};
const wiring::HostPort kTarget{"10.1.0.2", 6432};
const wiring::MaintenanceBackend kPage{"cutover-maintenance-acme-to-dedicated", 80};

Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }

Result<api::DatabasePlacement> ReadPlacement(kube::Client& client, const std::string& ns) {
  kube::ListOptions options;
  options.ns = ns;
  TRY_ASSIGN(kube::ObjectList list, client.List({}, Soon(), kube::kDatabasePlacement, options));
  if (list.items.size() != 1)
    return TerminalError("Usage", "namespace " + ns + " must have one DatabasePlacement");
  return api::DecodeDatabasePlacement(list.items.front());
}

Result<Json> ReadLedger(const std::string& file) {
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  return Json::Parse(text.str());
}

Status Close(kube::Client& client, const wiring::Access& access,
             const api::DatabasePlacement& placement, const std::string& file) {
  TRY_ASSIGN(Json workloads, wiring::RecordWorkloads({}, Soon(), client, placement));
  TRY_ASSIGN(Json routes, wiring::RecordRoutes({}, Soon(), client, placement));
  TRY_ASSIGN(Json wiring, wiring::RecordWiring({}, Soon(), access, placement));
  std::ofstream(file)
      << Json::Object({{"workloads", workloads}, {"routes", routes}, {"wiring", wiring}}).Dump();
  TRY(wiring::FlipToMaintenance({}, Soon(), client, placement, kPage));
  return wiring::StopWorkloads({}, Soon(), client, placement);
}

Status Take(const std::string& step, const std::string& ns, const std::string& file) {
  TRY_ASSIGN(const kube::Connection connection, kube::LoadConnection(""));
  TRY_ASSIGN(const std::unique_ptr<kube::ApiClient> client, kube::MakeApiClient(connection));
  wiring::SystemResolver resolver;
  const wiring::Access access{*client, resolver, "cutover-system"};
  TRY_ASSIGN(const api::DatabasePlacement placement, ReadPlacement(*client, ns));
  if (step == "place") return wiring::ApplyService({}, Soon(), access, placement, kSource);
  if (step == "close") return Close(*client, access, placement, file);
  if (step == "switch") {
    wiring::Wanted wanted;
    wanted.server = kTarget;
    wanted.user = placement.spec.owner;
    wanted.database = placement.spec.database_name;
    return wiring::ApplyWiring({}, Soon(), access, placement, wanted);
  }
  TRY_ASSIGN(const Json ledger, ReadLedger(file));
  if (step == "back")
    return wiring::RestoreWiring({}, Soon(), access, placement, ledger["wiring"], kSource);
  if (step != "open") return TerminalError("Usage", "no such step: " + step);
  TRY(wiring::RestoreWorkloads({}, Soon(), *client, placement, ledger["workloads"]));
  return wiring::RestoreRoutes({}, Soon(), *client, placement, ledger["routes"]);
}

}  // namespace
}  // namespace cutover

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: move-steps place|close|switch|open|back NAMESPACE LEDGER\n";
    return 2;
  }
  const cutover::Status taken = cutover::Take(argv[1], argv[2], argv[3]);
  if (!taken) std::cerr << taken.error().message << "\n";
  return taken ? 0 : 1;
}
