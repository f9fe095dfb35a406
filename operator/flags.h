// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "operator/maintenance_page.h"
#include "operator/self_test.h"
#include "reconcilers/wiring/pod_settings.h"

namespace cutover {

/// How the program ends.
enum ExitCode : int {
  kExitStopped = 0,         ///< As asked, by SIGTERM or SIGINT.
  kExitFailed = 1,          ///< It could not start or go on; the last log line says why.
  kExitUsage = 2,           ///< The command line is wrong.
  kExitLeadershipLost = 3,  ///< Another process may be leading; a restart stands for election.
};

/// What the operator is started with.
struct OperatorFlags {
  std::string kubeconfig;
  std::string namespace_name = "cutover-system";
  std::vector<std::string> watch_namespaces{};  ///< Empty: all.
  std::string pod_name = "cutover-operator";
  std::string metrics_address = ":8080";
  bool metrics_authorization = false;
  std::string metrics_certificates{};  ///< Directory; empty: a self-signed one is made.
  std::string health_address = ":8081";
  bool leader_elect = true;
  std::string lease_name = "cutover-operator";
  int workers = 4;
  std::string log_level = "info";
  std::string operator_image = "cutover.local/operator:dev";
  std::string mover_image = "cutover.local/mover:dev";
  std::string image_pull_policy = "IfNotPresent";
  std::vector<std::string> image_pull_secrets{};
  wiring::PodSettings job_pods{};
  std::vector<std::string> prometheus_urls{};
  std::map<std::string, std::string> throttle_queries{};  ///< SQL by name.
};

enum class Command { kRun, kMaintenancePage, kSelfTest, kMetricsReference };

struct CommandLine {
  Command command = Command::kRun;
  OperatorFlags flags;
  MaintenancePage page;          ///< For kMaintenancePage, with
  uint16_t page_port = 8080;     ///< where to serve it.
  SelfTest self_test;            ///< For kSelfTest.
  std::optional<int> exit_code;  ///< Set when there is nothing to do: --help, or a wrong line.
};

/// Parses the arguments of main; prints help, version or what is wrong with them itself.
CommandLine ParseCommandLine(int argc, const char* const* argv);

}  // namespace cutover
